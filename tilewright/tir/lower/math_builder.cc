// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/math_builder.h"

namespace tilewright::math {

Expr MathBuilder::Bind(Expr e) {
  const bool named = e.kind() == ExprKind::kVar || AsNumber(e).has_value();
  if (named) return e;
  Var var("t", e.dtype());
  lets_.emplace_back(var, std::move(e));
  return var;
}

Expr MathBuilder::Finish(Expr result) {
  for (auto it = lets_.rbegin(); it != lets_.rend(); ++it)
    result = MakeLet(it->first, it->second, std::move(result));
  lets_.clear();
  return result;
}

Expr MathBuilder::Polynomial(std::span<const double> c, const Expr& x) const {
  Expr sum = C(c.back());
  for (size_t i = c.size() - 1; i-- > 0;) sum = sum * x + C(c[i]);
  return sum;
}

Pair MathBuilder::QuickSum(const Expr& a, const Expr& b) {
  Expr s = Bind(a + b);
  return {s, Bind(b - (s - a))};
}

// Knuth, "The Art of Computer Programming", volume 2, section 4.2.2, theorem B.
Pair MathBuilder::Sum(const Expr& a, const Expr& b) {
  Expr s = Bind(a + b);
  Expr part = Bind(s - a);
  return {s, Bind((a - (s - part)) + (b - part))};
}

// Veltkamp's splitting; Dekker, "A floating-point technique for extending the available precision", 1971.
Pair MathBuilder::Split(const Expr& a) {
  Expr c = Bind(a * C(is_f64() ? 134217729.0 : 4097.0));
  Expr hi = Bind(c - Bind(c - a));
  return {hi, Bind(a - hi)};
}

Pair MathBuilder::Product(const Expr& a, const Expr& b) {
  Expr p = Bind(a * b);
  if (has_fma_) return {p, Bind(MakeCall(Intrinsic::k_fma, {a, b, p * C(-1)}))};
  Pair x = Split(a), y = Split(b);
  Expr e = Bind(x.hi * y.hi - p);
  e = Bind(e + x.hi * y.lo);
  e = Bind(e + x.lo * y.hi);
  return {p, Bind(e + x.lo * y.lo)};
}

}  // namespace tilewright::math
