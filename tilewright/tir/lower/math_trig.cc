// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/math_coefficients.h"
#include "tilewright/tir/lower/math_functions.h"

namespace tilewright::math {

namespace {

constexpr double kPi = 0x1.921fb54442d18p1;
constexpr double kPiLow = 0x1.1a62633145c07p-53;  // pi - kPi

/// 2 / pi in groups of 24 bits after the point.
constexpr int kTwoOverPi[] = {
    0xa2f983, 0x6e4e44, 0x1529fc, 0x2757d1, 0xf534dd, 0xc0db62, 0x95993c, 0x439041, 0xfe5163, 0xabdebb,
    0xc561b7, 0x246e3a, 0x424dd2, 0xe00649, 0x2eea09, 0xd1921c, 0xfe1deb, 0x1cb129, 0xa73ee8, 0x8235f5,
    0x2ebb44, 0x84e99c, 0x7026b4, 0x5f7e41, 0x3991d6, 0x398353, 0x39f49c, 0x845f8b, 0xbdf928, 0x3b1ff8,
    0x97ffde, 0x05980f, 0xef2f11, 0x8b5a0a, 0x6d1f6d, 0x367ecf, 0x27cb09, 0xb74f46, 0x3f669e, 0x5fea2d,
    0x7527ba, 0xc7ebe5, 0xf17b3d, 0x0739f7, 0x8a5292, 0xea6bfb, 0x5fb11f, 0x8d5d08, 0x560330, 0x46fc7b,
};

constexpr int kRescaleAt = 30;

/// x = (4 k + quadrant) pi / 2 + r, |r| <= pi / 4.
struct Angle {
  Expr quadrant;  ///< 0, 1, 2 or 3, as a float
  Pair r;
};

/// x modulo 4, in [0, 4).
Expr Mod4(MathBuilder& b, const Expr& x) { return b.Bind(x - b.C(4) * b.Floor(x * b.C(0.25))); }
/// x modulo 4, in [-2, 2]: exact for small numbers of either sign.
Expr SignedMod4(MathBuilder& b, const Expr& x) { return b.Bind(x - b.C(4) * b.Round(x * b.C(0.25))); }

/// For |x| up to 2^20 pi / 2: three parts of pi / 2 of 33 bits each, whose products with the quotient are
/// exact (Cody and Waite).
Angle ReduceSmall(MathBuilder& b, const Expr& x) {
  Expr n = b.Bind(b.Round(x * b.C(2 / kPi)));
  Expr first = b.Bind(n * b.C(-0x1.921fb54400000p0) + x);
  Pair second = b.Sum(first, b.Bind(n * b.C(-0x1.0b4611a600000p-34)));
  Expr third = b.Bind(n * b.C(-0x1.3198a2e037073p-69));
  return {Mod4(b, n), b.QuickSum(second.hi, b.Bind(second.lo + third))};
}

/// For every x: the product of x with enough bits of 2 / pi, each partial product exact and taken modulo 4,
/// so that what the leading bits contribute to the quotient beyond its last two bits drops out (Payne and
/// Hanek, 1983).
Angle ReduceLarge(MathBuilder& b, const Expr& x, bool f32_argument) {
  Expr x_hi = x, x_lo;
  if (!f32_argument) {
    Expr bits = b.And(b.Bits(x), b.I(~((int64_t(1) << 27) - 1)));
    x_hi = b.Bind(b.FromBits(bits));
    x_lo = b.Bind(x - x_hi);
  }
  const int groups = f32_argument ? 10 : int(std::size(kTwoOverPi));
  Pair sum{b.C(0), b.C(0)};
  double weight = 1;
  for (int j = 0; j < groups; ++j) {
    weight *= 0x1p-24;
    // Late groups would be subnormal; they matter to huge arguments only, which can lend them a factor.
    if (j == kRescaleAt) {
      x_hi = b.Bind(x_hi * b.C(0x1p-400));
      x_lo = b.Bind(x_lo * b.C(0x1p-400));
      weight *= 0x1p400;
    }
    for (const Expr& part : {x_hi, x_lo}) {
      if (!part) continue;
      Expr product = SignedMod4(b, b.Bind(part * b.C(kTwoOverPi[j] * weight)));
      Pair next = b.Sum(sum.hi, product);
      sum = {SignedMod4(b, next.hi), b.Bind(sum.lo + next.lo)};
    }
  }
  Expr n = b.Bind(b.Round(sum.hi));
  Pair fraction = b.Sum(b.Bind(sum.hi - n), sum.lo);
  Pair r = b.Product(fraction.hi, b.C(kPi / 2));
  Expr low = b.Bind(r.lo + fraction.lo * b.C(kPi / 2) + fraction.hi * b.C(kPiLow / 2));
  return {Mod4(b, n), b.QuickSum(r.hi, low)};
}

Expr SinCore(MathBuilder& b, const Pair& r) {
  Expr z = b.Bind(r.hi * r.hi);
  Expr cube = b.Bind(z * r.hi);
  Expr tail = b.Bind(b.Polynomial(kSin64, z) * cube + r.lo * (b.C(1) + z * b.C(-0.5)));
  return b.Bind(r.hi + tail);
}

Expr CosCore(MathBuilder& b, const Pair& r) {
  Expr z = b.Bind(r.hi * r.hi);
  Pair head = b.QuickSum(b.C(1), b.Bind(z * b.C(-0.5)));
  Expr tail = b.Bind(b.Polynomial(kCos64, z) * z * z + (head.lo + r.hi * r.lo * b.C(-1)));
  return b.Bind(head.hi + tail);
}

/// f(angle), the argument reduced by the short way where all lanes permit it.
template <class F>
Expr WithAngle(MathBuilder& b, const Expr& x, F&& f) {
  Expr size = b.Bind(b.Abs(x));
  Expr finite = b.Bind(MakeSelect(size < b.Inf(), size, b.C(0)));
  Expr largest = b.MaxLane(finite);
  Expr small = largest <= MakeConst(largest.dtype(), 0x1p20);
  Expr t = b.Branch([&] { return f(ReduceSmall(b, x)); });
  Expr e = b.Branch([&] { return f(ReduceLarge(b, x, b.narrow())); });
  return b.Bind(MakeIfThenElse(small, t, e));
}

Expr SinOf(MathBuilder& b, const Angle& a) {
  Expr odd = b.Bind(Eq(a.quadrant, b.C(1)) || Eq(a.quadrant, b.C(3)));
  Expr r = b.Bind(MakeSelect(odd, CosCore(b, a.r), SinCore(b, a.r)));
  return MakeSelect(a.quadrant < b.C(2), r, r * b.C(-1));
}

}  // namespace

namespace {

/// Sine and tangent differ from a small x by less than it is rounded by; reduction would round a subnormal
/// one.
Expr UnlessSmall(MathBuilder& b, const Expr& x, const Expr& r) {
  return MakeSelect(b.Abs(x) < b.C(0x1p-28), x, r);
}

}  // namespace

Expr Sin(MathBuilder& b, const Expr& x) {
  Expr r = WithAngle(b, x, [&](const Angle& a) { return SinOf(b, a); });
  return UnlessSmall(b, x, r);
}

Expr Cos(MathBuilder& b, const Expr& x) {
  return WithAngle(b, x, [&](Angle a) {
    a.quadrant = b.Bind(MakeSelect(Eq(a.quadrant, b.C(3)), b.C(0), a.quadrant + b.C(1)));
    return SinOf(b, a);
  });
}

Expr Tan(MathBuilder& b, const Expr& x) {
  Expr r = WithAngle(b, x, [&](const Angle& a) {
    Expr odd = b.Bind(Eq(a.quadrant, b.C(1)) || Eq(a.quadrant, b.C(3)));
    Expr s = SinCore(b, a.r), c = CosCore(b, a.r);
    return MakeSelect(odd, c * b.C(-1), s) / MakeSelect(odd, s, c);
  });
  return UnlessSmall(b, x, r);
}

namespace {

/// asin(x) for |x| <= 1/2.
Expr AsinCore(MathBuilder& b, const Expr& x, const Expr& z) {
  return b.Bind(b.Polynomial(kAsin64, z) * z * x + x);
}

/// For 1/2 < a <= 1: asin(sqrt((1 - a) / 2)), a quarter-turn formula's complement.
Expr AsinOfComplement(MathBuilder& b, const Expr& a) {
  Expr z = b.Bind((b.C(1) - a) * b.C(0.5));
  return AsinCore(b, b.Bind(b.Sqrt(z)), z);
}

}  // namespace

Expr Asin(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr small = AsinCore(b, x, b.Bind(x * x));
  Expr large = b.Bind(b.C(kPi / 2) - (AsinOfComplement(b, a) * b.C(2) + b.C(-kPiLow / 2)));
  return MakeSelect(a <= b.C(0.5), small, b.WithSignOf(large, x));
}

Expr Acos(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr small = b.C(kPi / 2) - (AsinCore(b, x, b.Bind(x * x)) + b.C(-kPiLow / 2));
  Expr twice = b.Bind(AsinOfComplement(b, a) * b.C(2));
  Expr large = MakeSelect(x < b.C(0), b.C(kPi) - (twice + b.C(-kPiLow)), twice);
  return MakeSelect(a <= b.C(0.5), small, large);
}

namespace {

/// atan(t) for 0 <= t <= 1, where larger than tan(pi / 8) by atan(t) = pi / 4 + atan((t - 1) / (t + 1)).
Expr AtanUnit(MathBuilder& b, const Expr& t) {
  Expr upper = b.Bind(b.C(0x1.a827999fcef32p-2) < t);
  Expr u = b.Bind(MakeSelect(upper, (t - b.C(1)) / (t + b.C(1)), t));
  Expr z = b.Bind(u * u);
  Expr r = b.Bind(b.Polynomial(kAtan64, z) * z * u);
  return b.Bind(MakeSelect(upper, b.C(kPi / 4) + (u + (r + b.C(kPiLow / 4))), u + r));
}

}  // namespace

Expr Atan(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr inverse = b.Bind(b.C(1) < a);
  Expr r = AtanUnit(b, b.Bind(MakeSelect(inverse, b.C(1) / a, a)));
  Expr turned = b.C(kPi / 2) - (r + b.C(-kPiLow / 2));
  return b.WithSignOf(b.Bind(MakeSelect(inverse, turned, r)), x);
}

Expr Atan2(MathBuilder& b, const Expr& y, const Expr& x) {
  Expr ay = b.Bind(b.Abs(y)), ax = b.Bind(b.Abs(x));
  Expr steep = b.Bind(ax < ay);
  Expr lesser = b.Bind(MakeSelect(steep, ax, ay)), greater = b.Bind(MakeSelect(steep, ay, ax));
  Expr both_infinite = Eq(lesser, b.Inf());
  Expr t = MakeSelect(Eq(greater, b.C(0)), b.C(0), MakeSelect(both_infinite, b.C(1), lesser / greater));
  Expr r = AtanUnit(b, b.Bind(t));
  r = b.Bind(MakeSelect(steep, b.C(kPi / 2) - (r + b.C(-kPiLow / 2)), r));
  r = b.Bind(MakeSelect(b.SignBit(x), b.C(kPi) - (r + b.C(-kPiLow)), r));
  return MakeSelect(b.IsNan(x) || b.IsNan(y), b.Nan(), b.WithSignOf(r, y));
}

Expr Sinh(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr t = b.Bind(Expm1(b, b.Bind(MakeSelect(a < b.C(1), a, b.C(1)))));
  Expr small = b.C(0.5) * (t + t / (t + b.C(1)));
  Expr half = b.Bind(Exp(b, a, -1));
  Expr r = b.Bind(MakeSelect(a < b.C(1), small, half - b.C(0.25) / half));
  return b.WithSignOf(r, x);
}

Expr Cosh(MathBuilder& b, const Expr& x) {
  Expr half = b.Bind(Exp(b, b.Bind(b.Abs(x)), -1));
  return half + b.C(0.25) / half;
}

Expr Asinh(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr large = b.Bind(b.C(0x1p28) < a);
  Expr v = b.Bind(MakeSelect(large, b.C(1), a));
  Expr square = b.Bind(v * v);
  Expr small = Log1p(b, b.Bind(v + square / (b.C(1) + b.Sqrt(square + b.C(1)))));
  Expr big = Log(b, a) + b.C(0x1.62e42fefa39efp-1);
  return b.WithSignOf(b.Bind(MakeSelect(large, big, small)), x);
}

Expr Acosh(MathBuilder& b, const Expr& x) {
  Expr large = b.Bind(b.C(0x1p28) < x);
  Expr t = b.Bind(MakeSelect(large, b.C(1), x - b.C(1)));
  Expr small = Log1p(b, b.Bind(t + b.Sqrt(t * t + t * b.C(2))));
  Expr big = Log(b, x) + b.C(0x1.62e42fefa39efp-1);
  return MakeSelect(x < b.C(1), b.Nan(), MakeSelect(large, big, small));
}

Expr Atanh(MathBuilder& b, const Expr& x) {
  Expr a = b.Bind(b.Abs(x));
  Expr r = b.Bind(Log1p(b, b.Bind(a * b.C(2) / (b.C(1) - a))) * b.C(0.5));
  return b.WithSignOf(r, x);
}

}  // namespace tilewright::math
