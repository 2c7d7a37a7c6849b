// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright::te {

/// Joins axes that lie side by side in every buffer and in every block that runs over them, so that rules see
/// one long line where a model has several short axes. Takes what CreatePrimFunc makes; buffers, parameters
/// too, keep their memory and get fewer dimensions. Functions with a block that a rule is named for are left
/// alone: such rules know the axes by their places.
PrimFunc MergeAxes(const PrimFunc& f);

}  // namespace tilewright::te
