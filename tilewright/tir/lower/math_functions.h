// SPDX-License-Identifier: Apache-2.0
// The functions of expand_math, as expressions. Arguments and results have the builder's type; arguments are
// bound.
#pragma once

#include "tilewright/tir/lower/math_builder.h"

namespace tilewright::math {

// ---- Exponentials and logarithms (math_exp.cc), f32 and f64.

/// exp(x) * 2^scale, for small `scale`.
Expr Exp(MathBuilder& b, const Expr& x, int scale = 0);
/// exp(x) for |x| <= 87; a NaN stays.
Expr ExpOfModest(MathBuilder& b, const Expr& x);
/// value * scale = exp(x) for x <= 0, where value is a normal number although exp(x) may not be one.
struct ScaledExp {
  Expr value, scale;
};
ScaledExp ExpOfNegative(MathBuilder& b, const Expr& x);
Expr Exp2(MathBuilder& b, const Expr& x);
Expr Expm1(MathBuilder& b, const Expr& x);
Expr Log(MathBuilder& b, const Expr& x);
Expr Log2(MathBuilder& b, const Expr& x);
Expr Log1p(MathBuilder& b, const Expr& x);
/// f64: log of a positive finite number to about 2^-65 of itself.
Pair LogPair(MathBuilder& b, const Expr& x);
/// f64; `precise` for a result rounded to f64, otherwise good for one rounded to f32.
Expr Pow(MathBuilder& b, const Expr& x, const Expr& y, bool precise);

// ---- Sigmoid and relatives (math_sigmoid.cc), f32 and f64.

Expr Sigmoid(MathBuilder& b, const Expr& x);
Expr Tanh(MathBuilder& b, const Expr& x);
Expr Erf(MathBuilder& b, const Expr& x);

/// C's fmod (math_fmod.cc), f64: the sign of x, |result| < |y|, exact.
Expr Fmod(MathBuilder& b, const Expr& x, const Expr& y);

// ---- Trigonometric and hyperbolic functions (math_trig.cc), f64 only.

Expr Sin(MathBuilder& b, const Expr& x);
Expr Cos(MathBuilder& b, const Expr& x);
Expr Tan(MathBuilder& b, const Expr& x);
Expr Asin(MathBuilder& b, const Expr& x);
Expr Acos(MathBuilder& b, const Expr& x);
Expr Atan(MathBuilder& b, const Expr& x);
Expr Atan2(MathBuilder& b, const Expr& y, const Expr& x);
Expr Sinh(MathBuilder& b, const Expr& x);
Expr Cosh(MathBuilder& b, const Expr& x);
Expr Asinh(MathBuilder& b, const Expr& x);
Expr Acosh(MathBuilder& b, const Expr& x);
Expr Atanh(MathBuilder& b, const Expr& x);

}  // namespace tilewright::math
