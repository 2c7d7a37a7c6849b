// SPDX-License-Identifier: Apache-2.0
// Exponentials: exp(x) = 2^n exp(r) with r = x - n log(2) in two parts (Cody and Waite, 1980).
// Logarithms: log(x) = e log(2) + log(m) with m in [sqrt(1/2), sqrt(2)).
#include <cmath>

#include "tilewright/tir/lower/math_coefficients.h"
#include "tilewright/tir/lower/math_functions.h"

namespace tilewright::math {

namespace {

constexpr double kLog2E = 1.4426950408889634074;

/// log(2) in two parts, the first with so few bits that its product with an exponent is exact.
struct SplitLn2 {
  double hi, lo;
};
SplitLn2 Ln2(const MathBuilder& b) {
  if (b.is_f64()) return {0x1.62e42fee00000p-1, 0x1.a39ef35793c76p-33};
  return {0x1.63p-1, -0x1.bd0106p-13};
}

/// x = n log(2) + r with r = head - tail: head is exact, and so are n as a float and as the low bits of
/// `shifted`.
struct Reduced {
  Expr n_float, shifted, head, tail, r;
};

/// Adding 1.5 * 2^mantissa rounds to an integer, whose bits are then the low bits of the sum, above it
/// `offset`; no conversion is needed, and a NaN gives some integer instead of an undefined one.
Reduced RoundToInteger(MathBuilder& b, const Expr& scaled, int offset = 0) {
  const double magic = (b.is_f64() ? 0x1.8p52 : 0x1.8p23) + offset;
  Expr t = b.Bind(scaled + b.C(magic));
  return {b.Bind(t - b.C(magic)), t, nullptr, nullptr, nullptr};
}

/// n, where the offset is 0.
Expr Exponent(MathBuilder& b, const Reduced& a) {
  return b.Bind(b.Bits(a.shifted) - b.I(b.is_f64() ? 0x4338000000000000 : 0x4b400000));
}

/// 2^(n + offset), where that is a normal number. The bits above n fall off.
Expr ShiftedPower(MathBuilder& b, const Reduced& a) {
  const Expr one = b.I(b.exponent_bias() << b.mantissa_bits());
  return b.FromBits(b.ShiftLeft(b.Bits(a.shifted), b.mantissa_bits()) + one);
}

Reduced Reduce(MathBuilder& b, const Expr& x, int offset = 0) {
  Reduced result = RoundToInteger(b, x * b.C(kLog2E), offset);
  const SplitLn2 ln2 = Ln2(b);
  result.head = b.Bind(result.n_float * b.C(-ln2.hi) + x);
  result.tail = b.Bind(result.n_float * b.C(ln2.lo));
  result.r = b.Bind(result.head - result.tail);
  return result;
}

/// value * 2^n in two steps, so that neither factor overflows and the result may be subnormal.
Expr Scale(MathBuilder& b, const Expr& value, const Expr& n) {
  Expr half = b.Bind(b.ShiftRight(n, 1));
  return value * b.PowerOfTwo(half) * b.PowerOfTwo(n - half);
}

/// Beyond these bounds exp is infinite or zero; a NaN stays.
Expr ClampExponent(MathBuilder& b, const Expr& x, double lo, double hi) {
  Expr low = b.Bind(MakeSelect(x < b.C(lo), b.C(lo), x));
  return b.Bind(MakeSelect(low > b.C(hi), b.C(hi), low));
}

/// exp(head - tail) - 1, |head| <= log(2) / 2. The tail joins where its rounding counts least.
Expr ExpMinusOne(MathBuilder& b, const Reduced& a) {
  Expr q = b.is_f64() ? b.Polynomial(kExp64, a.r) : b.Polynomial(kExp32, a.r);
  Expr square = b.Bind(a.r * a.r);
  return b.Bind(q * square - a.tail + a.head);
}

Expr ExpCore(MathBuilder& b, const Reduced& a) { return b.Bind(ExpMinusOne(b, a) + b.C(1)); }

Expr ClampForExp(MathBuilder& b, const Expr& x) {
  return ClampExponent(b, x, b.is_f64() ? -750 : -105, b.is_f64() ? 712 : 90);
}

}  // namespace

Expr Exp(MathBuilder& b, const Expr& x, int scale) {
  Reduced a = Reduce(b, ClampForExp(b, x));
  Expr n = Exponent(b, a);
  return Scale(b, ExpCore(b, a), scale ? b.Bind(n + b.I(scale)) : n);
}

Expr ExpOfModest(MathBuilder& b, const Expr& x) {
  Reduced a = Reduce(b, x);
  return ExpCore(b, a) * ShiftedPower(b, a);
}

ScaledExp ExpOfNegative(MathBuilder& b, const Expr& x) {
  const int offset = b.is_f64() ? 64 : 32;
  const double least = b.is_f64() ? -750 : -105;
  Reduced a = Reduce(b, b.Bind(MakeSelect(x < b.C(least), b.C(least), x)), offset);
  return {b.Bind(ExpCore(b, a) * ShiftedPower(b, a)), b.C(std::ldexp(1.0, -offset))};
}

Expr Exp2(MathBuilder& b, const Expr& x) {
  Expr clamped = ClampExponent(b, x, b.is_f64() ? -1080 : -152, b.is_f64() ? 1026 : 130);
  Reduced a = RoundToInteger(b, clamped);
  a.head = a.r = b.Bind((clamped - a.n_float) * b.C(1 / kLog2E));
  a.tail = b.C(0);
  return Scale(b, ExpCore(b, a), Exponent(b, a));
}

Expr Expm1(MathBuilder& b, const Expr& x) {
  Expr clamped = ClampExponent(b, x, b.is_f64() ? -60 : -30, b.is_f64() ? 709.9 : 88.9);
  Reduced a = Reduce(b, clamped);
  Expr q = b.is_f64() ? b.Polynomial(kExpm164, a.r) : b.Polynomial(kExpm132, a.r);
  Expr p = b.Bind(q * b.Bind(a.r * a.r) - a.tail + a.head);
  // (1 + p) 2^n - 1 = 2 (p s + (s - 1/2)) with s = 2^(n - 1), which does not overflow before the result does.
  Expr n = Exponent(b, a);
  Expr s = b.Bind(b.PowerOfTwo(n - b.I(1)));
  Expr r = b.Bind((p * s + (s + b.C(-0.5))) * b.C(2));
  // Around zero the polynomial alone keeps the sign of zero.
  Expr zero_n = Eq(n, b.I(0));
  return MakeSelect(zero_n, MakeSelect(Eq(x, b.C(0)), x, p), r);
}

namespace {

/// x = 2^e m, with f = m - 1 exact; n is -e as an integer.
struct Split {
  Expr e, f, n;
};

/// `subnormals`: x may be one; n is then that of a multiple of x.
Split SplitExponent(MathBuilder& b, const Expr& x, bool subnormals = true) {
  const int m = b.mantissa_bits();
  Expr normal = x, scaled = b.C(0);
  if (subnormals) {
    Expr subnormal = b.Bind(x < b.C(b.is_f64() ? 0x1p-1022 : 0x1p-126));
    normal = b.Bind(MakeSelect(subnormal, x * b.C(b.is_f64() ? 0x1p54 : 0x1p25), x));
    scaled = MakeSelect(subnormal, b.C(b.is_f64() ? -54 : -25), b.C(0));
  }
  const int64_t root_half = b.is_f64() ? 0x3fe6a09e667f3bcd : 0x3f3504f3;
  Expr bits = b.Bind(b.Bits(normal) - b.I(root_half));
  Expr n = b.Bind(b.ShiftRight(bits, m));
  Expr e = MakeCast(b.dtype(), n);
  if (subnormals) e = e + scaled;
  Expr mantissa = b.FromBits(b.And(bits, b.I((int64_t(1) << m) - 1)) + b.I(root_half));
  return {b.Bind(e), b.Bind(mantissa - b.C(1)), b.I(0) - n};
}

/// The value for arguments that are not positive and finite.
Expr LogLimits(MathBuilder& b, const Expr& x, const Expr& regular) {
  Expr positive = MakeSelect(x < b.Inf(), regular, x);
  Expr other = MakeSelect(Eq(x, b.C(0)), b.C(-1) * b.Inf(), b.Nan());
  return MakeSelect(b.C(0) < x, positive, other);
}

/// log(1 + f) - f for f64: f^2/2 - s (f^2/2 + R) with s = f / (2 + f), after the identity
/// log(1 + f) = 2 atanh(s) (Tang, "Table-driven implementation of the logarithm", 1990, section 2).
Expr LogTail64(MathBuilder& b, const Expr& f) {
  Expr s = b.Bind(f / (f + b.C(2)));
  Expr z = b.Bind(s * s);
  Expr half = b.Bind(f * f * b.C(0.5));
  Expr r = b.Bind(b.Polynomial(kLog64, z) * z);
  return b.Bind(s * (half + r) - half);
}

Expr LogTail32(MathBuilder& b, const Expr& f) {
  Expr square = b.Bind(f * f);
  return b.Bind(b.Polynomial(kLog32, f) * f * square + square * b.C(-0.5));
}

Expr LogTail(MathBuilder& b, const Expr& f) { return b.is_f64() ? LogTail64(b, f) : LogTail32(b, f); }

}  // namespace

Expr Log(MathBuilder& b, const Expr& x) {
  Split s = SplitExponent(b, x);
  const SplitLn2 ln2 = Ln2(b);
  Expr tail = b.Bind(s.e * b.C(ln2.lo) + LogTail(b, s.f));
  return LogLimits(b, x, b.Bind(s.e * b.C(ln2.hi) + (s.f + tail)));
}

Expr Log2(MathBuilder& b, const Expr& x) {
  Split s = SplitExponent(b, x);
  // log2(e) in two parts; the first has few bits, so that its product with the head of f is nearly exact.
  const double hi = b.is_f64() ? 0x1.7154764p0 : 0x1.716p0;
  const double lo = b.is_f64() ? kLog2E - 0x1.7154764p0 : kLog2E - 0x1.716p0;
  Pair l = b.QuickSum(s.f, LogTail(b, s.f));
  Expr low = b.Bind(l.hi * b.C(lo) + l.lo * b.C(kLog2E));
  return LogLimits(b, x, b.Bind(s.e + (l.hi * b.C(hi) + low)));
}

// 2^e log(2) takes u, which is 1 + x rounded; what rounding lost joins f, where it counts in full.
Expr Log1p(MathBuilder& b, const Expr& x) {
  Expr u = b.Bind(x + b.C(1));
  Expr rest = b.Bind(x - (u - b.C(1)));
  Split s = SplitExponent(b, u, /*subnormals=*/false);
  // Nothing is lost where the inverse of 2^e would be subnormal.
  const Expr least = b.I(1 - b.exponent_bias());
  Expr down = b.Bind(MakeSelect(s.n < least, least, s.n));
  Expr f = b.Bind(rest * b.PowerOfTwo(down) + s.f);
  const SplitLn2 ln2 = Ln2(b);
  Expr tail = b.Bind(s.e * b.C(ln2.lo) + LogTail(b, f));
  return MakeSelect(Eq(x, b.C(0)), x, LogLimits(b, u, b.Bind(s.e * b.C(ln2.hi) + (f + tail))));
}

Pair LogPair(MathBuilder& b, const Expr& x) {
  Split split = SplitExponent(b, x);
  const Expr& f = split.f;
  // s = f / (2 + f) to twice the precision.
  Pair d = b.Sum(f, b.C(2));
  Expr s_hi = b.Bind(f / d.hi);
  Pair back = b.Product(s_hi, d.hi);
  Expr s_lo = b.Bind(((f - back.hi) - back.lo - s_hi * d.lo) / d.hi);
  // s^2 and 2/3 s^3 to twice the precision, the rest of the series to one.
  Pair z = b.Product(s_hi, s_hi);
  Expr z_lo = b.Bind(z.lo + s_hi * s_lo * b.C(2));
  Pair cube = b.Product(z.hi, s_hi);
  Expr cube_lo = b.Bind(cube.lo + z_lo * s_hi + z.hi * s_lo);
  const double third_lo = 0x1.5555555555555p-55;
  Pair third = b.Product(cube.hi, b.C(0x1.5555555555555p-1));
  Expr third_tail = b.Bind(third.lo + cube_lo * b.C(0x1.5555555555555p-1) + cube.hi * b.C(third_lo));
  Expr rest = b.Bind(b.Polynomial(kLogRest64, z.hi) * z.hi * cube.hi);
  Pair head = b.Product(split.e, b.C(0x1.62e42fefa39efp-1));
  Pair sum = b.Sum(head.hi, s_hi * b.C(2));
  Pair more = b.Sum(sum.hi, third.hi);
  Expr low = b.Bind((head.lo + split.e * b.C(0x1.abc9e3b39803fp-56)) + (s_lo * b.C(2) + third_tail) + rest +
                    sum.lo + more.lo);
  return b.QuickSum(more.hi, low);
}

namespace {

/// exp(y log a) for a positive finite a.
Expr PowMagnitude(MathBuilder& b, const Expr& a, const Expr& y, bool precise) {
  if (!precise) return Exp(b, b.Bind(y * Log(b, a)));
  Pair l = LogPair(b, a);
  Pair p = b.Product(y, l.hi);
  Expr big = b.Bind(b.Abs(p.hi) < b.C(800));  // beyond, the result is 0 or infinite whatever the low part
  Expr low = b.Bind(MakeSelect(big, p.lo + y * l.lo, b.C(0)));
  Expr e = b.Bind(Exp(b, p.hi));
  Expr finite = b.Bind(e < b.Inf());
  return MakeSelect(finite, e * low + e, e);
}

}  // namespace

Expr Pow(MathBuilder& b, const Expr& x, const Expr& y, bool precise) {
  Expr a = b.Bind(b.Abs(x));
  Expr ordinary = b.Bind(b.C(0) < a && a < b.Inf());
  Expr base = b.Bind(MakeSelect(ordinary, a, b.C(1)));
  Expr r = b.Bind(PowMagnitude(b, base, y, precise));
  Expr grows = b.Bind(Eq(b.C(0) < y, b.C(1) < a));  // a is 0 or infinite
  r = b.Bind(MakeSelect(ordinary, r, MakeSelect(grows, b.Inf(), b.C(0))));
  r = b.Bind(MakeSelect(Eq(a, b.C(1)), b.C(1), r));  // also for infinite y
  Expr integer = b.Bind(Eq(b.Floor(y), y));
  Expr half = b.Bind(y * b.C(0.5));
  Expr odd = b.Bind(integer && Ne(b.Floor(half), half));
  Expr negative = b.Bind(b.SignBit(x));
  r = b.Bind(MakeSelect(negative && odd, r * b.C(-1), r));
  r = b.Bind(MakeSelect(negative && ordinary && MakeNot(integer), b.Nan(), r));
  r = b.Bind(MakeSelect(b.IsNan(x) || b.IsNan(y), b.Nan(), r));
  return MakeSelect(Eq(y, b.C(0)) || Eq(x, b.C(1)), b.C(1), r);
}

}  // namespace tilewright::math
