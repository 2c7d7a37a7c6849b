// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// The kernel-level function, not yet scheduled, that computes a graph function of operator calls: buffers
/// are the function's parameters and then its results, in their physical shapes. Before: the function holds
/// operator calls only (FuseOps). Error TW2201 for an operator without a lowering. Where the function updates
/// an argument, the attribute "updates" of the result has its number.
PrimFunc LowerFunction(const GraphFunction& f);

/// The parameter that the function's one operator updates (OpDef::updates_argument): who calls the kernel
/// puts it into the result's memory first. Null for all other functions.
Value UpdatedArgument(const GraphFunction& f);

}  // namespace tilewright
