// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Shrinks every allocated buffer to the box that is accessed at its place, per iteration of the loops
/// outside: a buffer of a whole intermediate tensor that is used tile by tile becomes one tile. Of loops
/// outside over threads that share the buffer, the box is that of all threads. Dimensions whose box has no
/// constant bound stay as they are. Before: LowerBlocks, Simplify. After: indices are
/// relative to the box.
PrimFunc CompactBuffers(const PrimFunc& f, const Target& target);

}  // namespace tilewright
