// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Replaces calls of transcendental functions, and the remainder of floats, by arithmetic, since kernels
/// import no symbols. f16 and bf16 are computed in f32. Infinities, NaN, signed zeros and subnormal numbers
/// are those of IEEE 754 and C99, annex F. Largest errors in units in the last place, as tests/… measured:
/// docs/ir.md, "Numerics". Before: VectorizeLoops, PromoteRegisters. After: of the functions only those that
/// a code generator has instructions for (lower.h).
PrimFunc ExpandMath(const PrimFunc& f, const Target& target);

/// The same for one expression.
Expr ExpandMath(const Expr& e, bool has_fma);

}  // namespace tilewright
