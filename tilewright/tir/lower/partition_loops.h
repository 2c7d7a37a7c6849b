// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Splits the range of every loop that carries the annotation "loop_partition" (with a value other than false
/// or 0) so that the conditions inside that depend on it hold throughout the main part, and simplifies the
/// parts. A loop whose bounds are not constant, or in which no condition is decided for any part, stays
/// whole. Before: LowerBlocks, Simplify. After: the annotation is gone.
PrimFunc PartitionLoops(const PrimFunc& f);

}  // namespace tilewright
