// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Brings loops that are bound to hardware threads to the form of a device's program:
/// - A loop that is bound as a loop around it is the work that these threads share: each does the iteration
/// of
///   its own number, and the loop is gone. All iterations of the outer loop must have done the same, in
///   memory that they share.
/// - Memory that threads share is allocated outside of their loops, inside of those of its owner.
/// - Loops over threads are nested directly, the target's outermost family first.
/// What a family may have of threads is checked, and that allocations fit their scopes.
/// Errors TW1302, TW1305 to TW1308. Before: CompactBuffers, SimplifyFunc. Functions without bound loops stay
/// as they are.
PrimFunc BindThreads(const PrimFunc& f, const Target& target);

}  // namespace tilewright
