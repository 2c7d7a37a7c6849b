// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Turns the `allocs` of blocks into Allocate statements, each at the innermost place that encloses all uses
/// of its buffer and across whose iterations no value of it lives: outside the loops that a block updating it
/// reduces over, and outside vectorized loops.
/// Before: the scheduled stage. After: the same with Allocate statements, and blocks without `allocs`.
PrimFunc PlaceAllocations(const PrimFunc& f);

}  // namespace tilewright
