// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Groups the operator calls of @main into functions that become one kernel each, and calls those instead.
/// An operator joins the group of a producer whose value nobody else uses when their patterns allow it:
///   after a convolution, matrix product or pooling: element-wise and broadcast operators of the same result
///   shape; after a reduction: the same; after element-wise, broadcast and injective operators: any of these,
///   and a reduction.
/// Where a value is used several times, but only by element-wise work that meets again in one result (x *
/// sigmoid(x)), that work joins as a whole.
/// A Cast of another argument that nobody else reads comes along.
/// A call that joins arguments which may be written where they belong in the result (WorthJoining) stays
/// alone. Calls that work on rows, some of which reduce them (FindRowGroups), become one group. Before:
/// layouts are chosen. After: @main holds constants, control flow and calls of functions whose attribute
/// "primitive" is true; each of these holds operator calls only.
IRModule FuseOps(const IRModule& module);

}  // namespace tilewright
