// SPDX-License-Identifier: Apache-2.0
// Tensor intrinsics: small computations that hardware does at once. An intrinsic is described by a function
// of the scheduled stage and implemented by another over the same buffers; Schedule::Tensorize finds the
// first in a kernel and puts the second in its place.
#pragma once

#include <string>
#include <vector>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

struct TensorIntrinsic {
  std::string name;
  /// Loops with constant extents around one block without initialisation: what is computed. A buffer whose
  /// scope is not "global" stands for buffers of that scope only.
  PrimFunc description;
  /// The same buffers in the same order; its root block's body takes the place of the computation. Indices
  /// are relative to the tile. Vector indices run along the last dimension.
  PrimFunc implementation;
};

/// Adds an intrinsic; Error TW1418 when the name is taken or the two functions do not fit.
void RegisterTensorIntrinsic(TensorIntrinsic intrinsic);
/// Null when there is none of that name.
const TensorIntrinsic* FindTensorIntrinsic(const std::string& name);
std::vector<std::string> TensorIntrinsicNames();

}  // namespace tilewright
