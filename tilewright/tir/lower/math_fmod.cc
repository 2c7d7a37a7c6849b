// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/math_functions.h"

namespace tilewright::math {

namespace {

/// What is left of r after taking out its quotient by m to the leading 53 bits. Exact: r and quotient times m
/// agree in so many leading bits that their difference is a number of the type. May be of either sign.
Expr TakeOut(MathBuilder& b, const Expr& r, const Expr& m) {
  Expr q = b.Bind(b.Trunc(r / m));
  if (b.has_fma()) return b.Bind(MakeCall(Intrinsic::k_fma, {q * b.C(-1), m, r}));
  Pair p = b.Product(q, m);
  return b.Bind((r - p.hi) - p.lo);
}

/// Quotients of any size: first by multiples of m by a power of two, so that no quotient overflows.
Expr LargeQuotient(MathBuilder& b, Expr r, const Expr& m) {
  auto steps = [&](const Expr& multiple, int count) {
    for (int i = 0; i < count; ++i) r = TakeOut(b, r, multiple);
  };
  if (b.narrow()) {
    steps(m, 6);  // quotients of f32 values are below 2^278; each step takes 52 bits
    return r;
  }
  Expr tiny = b.Bind(m < b.C(0x1p-67));
  Expr middle = b.Bind(m < b.C(0x1p478));
  Expr high = b.Bind(m * MakeSelect(tiny, b.C(0x1p545), b.C(1)));
  Expr top = b.Bind(high * MakeSelect(middle, b.C(0x1p545), b.C(1)));
  steps(top, 20);
  steps(high, 11);
  steps(m, 12);
  return r;
}

}  // namespace

Expr Fmod(MathBuilder& b, const Expr& x, const Expr& y) {
  Expr a = b.Bind(b.Abs(x)), m = b.Bind(b.Abs(y));
  Expr divides = b.Bind(b.C(0) < m && m < b.Inf() && a < b.Inf());
  Expr quotient = b.Bind(MakeSelect(divides, a / m, b.C(0)));
  Expr largest = b.MaxLane(quotient);
  Expr small = largest < MakeConst(largest.dtype(), 0x1p52);
  Expr one_step = b.Branch([&] { return TakeOut(b, a, m); });
  Expr many = b.Branch([&] { return LargeQuotient(b, a, m); });
  Expr r = b.Bind(MakeIfThenElse(small, one_step, many));
  // The last quotient may be off by one.
  r = b.Bind(MakeSelect(r < b.C(0), r + m, r));
  r = b.Bind(MakeSelect(m <= r, r - m, r));
  Expr other = MakeSelect(Eq(m, b.Inf()) && a < b.Inf(), a, b.Nan());
  return b.WithSignOf(b.Bind(MakeSelect(divides, r, other)), x);
}

}  // namespace tilewright::math
