// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Replaces calls of transcendental functions, and the remainder of floats, by arithmetic, since kernels
/// import no symbols. Infinities, NaN, signed zeros and subnormal numbers are those of IEEE 754 and C99,
/// annex F. f32: exp, exp2, log, rsqrt, tanh, sigmoid and erf in f32, all others in f64 and rounded once; f16
/// and bf16 as f32.
///
/// Largest errors found with fused multiply-add, in units in the last place, over samples of all exponents:
///   f32  exp 0.9, exp2 1.0, log 0.9, tanh 1.2, erf 0.9, rsqrt 1.5, sigmoid 2.3, others 0.501
///   f64  exp 0.9, exp2 1.1, expm1 1.5, log 0.8, log2 0.9, log1p 1.5, pow 1.3, erf 0.9, tanh 2.4,
///   sigmoid 2.3,
///        sin, cos, tan 2, asin, acos, atan, atan2 2.1, sinh, cosh, asinh, acosh, atanh 2.3, rsqrt 1.5
/// Remainders are exact (f64 without fused multiply-add: but for results below 2^-960).
///
/// Before: VectorizeLoops. After: of the functions only those that code generators have instructions for
/// (lower.h).
PrimFunc ExpandMath(const PrimFunc& f, const Target& target);

/// The same for one expression.
Expr ExpandMath(const Expr& e, bool has_fma);

}  // namespace tilewright
