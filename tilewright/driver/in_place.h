// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Which results a kernel (scheduled stage) may write in the memory of which arguments: one flag per argument
/// and result, all results of an argument together.
std::vector<bool> InPlacePairs(const PrimFunc& scheduled);

}  // namespace tilewright
