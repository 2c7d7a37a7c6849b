// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Turns the `allocs` of blocks into Allocate statements, each at the innermost place that encloses all uses
/// of its buffer and across whose iterations no value of it lives: outside the loops that a block updating it
/// reduces over, outside vectorized loops, and outside loops over threads where all threads see one memory of
/// its scope. Memory that some threads share (DeviceModel::owners) is placed as if each had its own:
/// BindThreads takes it out of their loops.
/// Before: the scheduled stage. After: the same with Allocate statements, and blocks without `allocs`.
PrimFunc PlaceAllocations(const PrimFunc& f, const Target& target);

}  // namespace tilewright
