// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Turns kVectorized loops into vector statements: the variable becomes a ramp, what does not depend on it
/// stays scalar, conditions on it become predicates of loads and stores. A loop whose body has no vector form
/// (an inner loop whose extent depends on the lane, an allocation, vectors already) becomes kUnrolled
/// instead, or serial when long. Throws Error TW1303 for an extent that is not constant, TW1304 for a
/// reduction over the lanes (under a condition on the lane it becomes kUnrolled). Before: FlattenBuffers,
/// Simplify. After: no kVectorized loops.
PrimFunc VectorizeLoops(const PrimFunc& f, const Target& target);

}  // namespace tilewright
