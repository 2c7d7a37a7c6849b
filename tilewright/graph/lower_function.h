// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// The kernel-level function, not yet scheduled, that computes a graph function of operator calls: buffers
/// are the function's parameters and then its results, in their physical shapes. Before: the function holds
/// operator calls only (FuseOps). Error TW2201 for an operator without a lowering.
PrimFunc LowerFunction(const GraphFunction& f);

}  // namespace tilewright
