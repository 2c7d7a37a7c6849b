// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Replaces calls of transcendental functions, and the remainder of floats, by arithmetic, since kernels
/// import no symbols. Infinities, NaN, signed zeros and subnormal numbers are those of IEEE 754 and C99,
/// annex F. f32: exp, exp2, expm1, log, log1p, rsqrt, tanh, sigmoid and erf in f32, all others in f64 and
/// rounded once; f16 and bf16 as f32.
///
/// Largest errors, in units in the last place, over samples of all exponents, the edges and dense ranges
/// where models compute (codegen/llvm/math_accuracy_test.cc); in brackets without fused multiply-add:
///   f32  exp 0.9, exp2 1.0, expm1 1.6, log 0.9, log1p 1.5, tanh 1.3, erf 1.0 (1.3), rsqrt 1.5, sigmoid 1.9,
///        others 0.501
///   f64  exp 0.9, exp2 1.1, expm1 1.6, log 0.9, log2 1.0 (1.3), log1p 1.5, pow 1.4, erf 1.0 (1.3), tanh 2.3,
///        sigmoid 1.7, sin, cos 0.8, tan 2.2, asin, atan2 2.2, acos 1.2, atan 1.9, sinh 2.1, cosh 1.4,
///        asinh 2.0 (2.1), acosh 2.0, atanh 2.2, rsqrt 1.5
/// Remainders are exact (f64 without fused multiply-add: but for results below 2^-960).
///
/// Before: VectorizeLoops. After: of the functions only those that code generators have instructions for
/// (lower.h).
PrimFunc ExpandMath(const PrimFunc& f, const Target& target);

/// The same for one expression.
Expr ExpandMath(const Expr& e, bool has_fma);

}  // namespace tilewright
