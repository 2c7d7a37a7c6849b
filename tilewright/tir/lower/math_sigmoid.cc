// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/math_coefficients.h"
#include "tilewright/tir/lower/math_functions.h"

namespace tilewright::math {

namespace {

Expr AtMost(MathBuilder& b, const Expr& x, double limit) {  // a NaN stays
  return b.Bind(MakeSelect(b.C(limit) < x, b.C(limit), x));
}

Expr Erf32(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr z = b.Bind(x * x);
  Expr small = b.Bind(b.Polynomial(kErfSmall32, z) * x + x);
  Expr large = b.Bind(b.C(1) - ExpOfModest(b, b.Bind(b.Polynomial(kErfLarge32, AtMost(b, a, 4)))));
  return MakeSelect(a < b.C(1), small, b.WithSignOf(large, x));
}

Expr Erf64(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr small = b.Bind(b.Polynomial(kErfSmall64, b.Bind(x * x)) * x + x);
  Expr v = AtMost(b, a, 6);
  Expr t = b.Bind((v - b.C(2)) / (v + b.C(2)));
  Expr scaled = b.Polynomial(kErfLarge64, t) / (b.C(1) + v * b.C(2));
  Expr large = b.Bind(b.C(1) - ExpOfModest(b, b.Bind(v * v * b.C(-1))) * scaled);
  return MakeSelect(a < b.C(1), small, b.WithSignOf(large, x));
}

}  // namespace

// With e = exp(-|x|), which cannot overflow where the result has not yet vanished: 1 / (1 + e), or e / (1 +
// e) for x < 0, where e has an error of its own: what rounding did to the denominator corrects the quotient.
Expr Sigmoid(MathBuilder& b, const Expr& x) {
  ScaledExp scaled = ExpOfNegative(b, b.Bind(b.Abs(x) * b.C(-1)));
  Expr e = b.Bind(scaled.value * scaled.scale);
  Expr d = b.Bind(scaled.value * scaled.scale + b.C(1));
  Expr d_excess = b.Bind(d - b.C(1) - e);
  Expr negative = b.Bind(x < b.C(0));
  Expr quotient = b.Bind(MakeSelect(negative, e, b.C(1)) / d);
  return MakeSelect(negative, quotient * d_excess + quotient, quotient);
}

Expr Tanh(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr twice = b.Bind(AtMost(b, a, b.is_f64() ? 22 : 10) * b.C(2));
  if (b.is_f64()) {
    Expr t = b.Bind(Expm1(b, twice));
    Expr r = MakeSelect(a < b.C(0.5), t / (t + b.C(2)), b.C(1) - b.C(2) / (t + b.C(2)));
    return b.WithSignOf(b.Bind(r), x);
  }
  Expr z = b.Bind(x * x);
  Expr small = b.Polynomial(kTanh32, z) * z * a + a;
  Expr large = b.C(1) - b.C(2) / (ExpOfModest(b, twice) + b.C(1));
  return b.WithSignOf(b.Bind(MakeSelect(a < b.C(0.625), small, large)), x);
}

Expr Erf(MathBuilder& b, const Expr& x) { return b.is_f64() ? Erf64(b, x) : Erf32(b, x); }

}  // namespace tilewright::math
