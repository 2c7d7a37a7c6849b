// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Replaces blocks by what they mean: iteration variables by their bindings, the predicate by a condition,
/// the initialiser by one that runs where all reduce variables are at the start of their domains.
/// Before: PlaceAllocations. After: no blocks; the function is of the lowered stage.
PrimFunc LowerBlocks(const PrimFunc& f);

}  // namespace tilewright
