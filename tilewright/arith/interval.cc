// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/interval.h"

#include <algorithm>
#include <numeric>

#include "tilewright/arith/eval.h"

namespace tilewright {

namespace {

bool IsInfinite(int64_t a) { return a == INT64_MIN || a == INT64_MAX; }

/// The hull of `f` over the corners of a and b, for operations monotone in each operand.
template <class F>
Interval Corners(const Interval& a, const Interval& b, F f) {
  const int64_t v[] = {f(a.min, b.min), f(a.min, b.max), f(a.max, b.min), f(a.max, b.max)};
  return {*std::min_element(v, v + 4), *std::max_element(v, v + 4)};
}

int64_t FloorDivBound(int64_t a, int64_t b) {
  // An infinite divisor drives the quotient to 0 or, from below, to -1.
  if (IsInfinite(b)) {
    if (IsInfinite(a)) return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
    return a == 0 || (a < 0) == (b < 0) ? 0 : -1;
  }
  if (IsInfinite(a)) return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
  return FloorDivInt(a, b);
}

/// Applies `f` to the negative and the positive part of the divisor.
template <class F>
Interval ByDivisorSign(const Interval& b, F f) {
  const Interval negative = Intersect(b, {INT64_MIN, -1}), positive = Intersect(b, {1, INT64_MAX});
  if (negative.empty() && positive.empty()) return Interval::Everything();
  if (negative.empty()) return f(positive);
  if (positive.empty()) return f(negative);
  return Union(f(negative), f(positive));
}

/// The largest magnitude in an interval.
int64_t MaxMagnitude(const Interval& a) { return std::max(SaturatingNeg(a.min), a.max); }

int64_t Gcd(int64_t a, int64_t b) { return std::gcd(a, b); }

}  // namespace

Interval Interval::OfType(DataType t) {
  if (t.is_bool()) return {0, 1};
  if (!t.is_integer() || t.bits >= 64) return Everything();
  const int64_t half = int64_t(1) << (t.bits - 1);
  return t.is_uint() ? Interval{0, 2 * half - 1} : Interval{-half, half - 1};
}

int64_t SaturatingAdd(int64_t a, int64_t b) {
  if (IsInfinite(a)) return a;
  if (IsInfinite(b)) return b;
  int64_t r;
  if (__builtin_add_overflow(a, b, &r)) return a < 0 ? INT64_MIN : INT64_MAX;
  return r;
}

int64_t SaturatingMul(int64_t a, int64_t b) {
  if (a == 0 || b == 0) return 0;
  int64_t r;
  if (IsInfinite(a) || IsInfinite(b) || __builtin_mul_overflow(a, b, &r)) {
    return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
  }
  return r;
}

int64_t SaturatingNeg(int64_t a) {
  if (a == INT64_MIN) return INT64_MAX;
  if (a == INT64_MAX) return INT64_MIN;
  return -a;
}

Interval Union(const Interval& a, const Interval& b) {
  return {std::min(a.min, b.min), std::max(a.max, b.max)};
}
Interval Intersect(const Interval& a, const Interval& b) {
  return {std::max(a.min, b.min), std::min(a.max, b.max)};
}

Interval operator+(const Interval& a, const Interval& b) {
  // The two ends saturate apart: a lower end that overflowed upwards still says nothing.
  Interval r;
  r.min = a.min == INT64_MIN || b.min == INT64_MIN ? INT64_MIN : SaturatingAdd(a.min, b.min);
  r.max = a.max == INT64_MAX || b.max == INT64_MAX ? INT64_MAX : SaturatingAdd(a.max, b.max);
  return r;
}

Interval operator-(const Interval& a, const Interval& b) {
  return a + Interval{SaturatingNeg(b.max), SaturatingNeg(b.min)};
}

Interval operator*(const Interval& a, const Interval& b) { return Corners(a, b, SaturatingMul); }

Interval FloorDiv(const Interval& a, const Interval& b) {
  return ByDivisorSign(b, [&](const Interval& d) { return Corners(a, d, FloorDivBound); });
}

Interval FloorMod(const Interval& a, const Interval& b) {
  return ByDivisorSign(b, [&](const Interval& d) -> Interval {
    if (d.min > 0) {
      // Below the divisor the remainder is the value itself.
      if (a.min >= 0 && a.max < d.min) return a;
      if (d.is_point() && !IsInfinite(a.min) && !IsInfinite(a.max) &&
          FloorDivInt(a.min, d.min) == FloorDivInt(a.max, d.min)) {
        return {FloorModInt(a.min, d.min), FloorModInt(a.max, d.min)};
      }
      return {0, a.min >= 0 ? std::min(a.max, SaturatingAdd(d.max, -1)) : SaturatingAdd(d.max, -1)};
    }
    if (a.max <= 0 && a.min > d.max) return a;
    return {SaturatingAdd(d.min, 1), 0};
  });
}

Interval TruncDiv(const Interval& a, const Interval& b) {
  auto magnitude = [&](const Interval& x) -> Interval {  // x >= 0, by divisors of one sign
    return ByDivisorSign(b, [&](const Interval& d) -> Interval {
      if (d.min > 0) return Corners(x, d, FloorDivBound);
      const Interval q = Corners(x, Interval{SaturatingNeg(d.max), SaturatingNeg(d.min)}, FloorDivBound);
      return Interval::Point(0) - q;
    });
  };
  const Interval up = Intersect(a, {0, INT64_MAX}), down = Intersect(a, {INT64_MIN, -1});
  if (down.empty()) return magnitude(up);
  const Interval neg = Interval::Point(0) - magnitude(Interval::Point(0) - down);
  return up.empty() ? neg : Union(magnitude(up), neg);
}

Interval TruncMod(const Interval& a, const Interval& b) {
  const int64_t limit = SaturatingAdd(MaxMagnitude(b), -1);
  Interval r{a.min >= 0 ? 0 : std::max(a.min, SaturatingNeg(limit)), a.max <= 0 ? 0 : std::min(a.max, limit)};
  return r;
}

Interval Min(const Interval& a, const Interval& b) {
  return {std::min(a.min, b.min), std::min(a.max, b.max)};
}
Interval Max(const Interval& a, const Interval& b) {
  return {std::max(a.min, b.min), std::max(a.max, b.max)};
}

Modular Modular::Of(int64_t multiple, int64_t remainder) {
  if (multiple == 0) return {0, remainder};
  if (multiple == INT64_MIN) return {};
  if (multiple < 0) multiple = -multiple;
  return {multiple, FloorModInt(remainder, multiple)};
}

Modular operator+(const Modular& a, const Modular& b) {
  int64_t r;
  const int64_t m = Gcd(a.multiple, b.multiple);
  if (__builtin_add_overflow(a.remainder, b.remainder, &r)) {
    // Wrapping changes the residue unless the multiple is a power of two.
    return m != 0 ? Modular::Of(m, FloorModInt(a.remainder, m) + (FloorModInt(b.remainder, m) - m))
                  : Modular();
  }
  return Modular::Of(m, r);
}

Modular operator*(const Modular& a, const Modular& b) {
  // (ma*x + ra) * (mb*y + rb): every term but ra*rb is a multiple of the gcd of the three products.
  int64_t mm, mr, rm, rr;
  if (__builtin_mul_overflow(a.multiple, b.multiple, &mm) ||
      __builtin_mul_overflow(a.multiple, b.remainder, &mr) ||
      __builtin_mul_overflow(a.remainder, b.multiple, &rm) ||
      __builtin_mul_overflow(a.remainder, b.remainder, &rr) || mm == INT64_MIN || mr == INT64_MIN ||
      rm == INT64_MIN) {
    return {};
  }
  return Modular::Of(Gcd(mm, Gcd(mr, rm)), rr);
}

Modular Union(const Modular& a, const Modular& b) {
  int64_t d;
  if (__builtin_sub_overflow(a.remainder, b.remainder, &d) || d == INT64_MIN) return {};
  return Modular::Of(Gcd(Gcd(a.multiple, b.multiple), d), a.remainder);
}

Modular FloorDiv(const Modular& a, int64_t divisor) {
  if (a.multiple % divisor != 0) return {};
  return Modular::Of(a.multiple / divisor, FloorDivInt(a.remainder, divisor));
}

Modular FloorMod(const Modular& a, int64_t divisor) {
  const int64_t m = Gcd(a.multiple, divisor);
  // All values fall in one class of the divisor: the remainder is known.
  if (m == divisor) return {0, FloorModInt(a.remainder, divisor)};
  return Modular::Of(m, a.remainder);
}

}  // namespace tilewright
