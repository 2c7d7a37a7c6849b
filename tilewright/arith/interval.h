// SPDX-License-Identifier: Apache-2.0
// Constant intervals and residue classes of integers.
#pragma once

#include <cstdint>
#include <optional>

#include "tilewright/ir/expr.h"

namespace tilewright {

/// A closed interval of integers; INT64_MIN and INT64_MAX as bounds mean unbounded. Arithmetic saturates.
struct Interval {
  int64_t min = INT64_MIN;
  int64_t max = INT64_MAX;

  static Interval Everything() { return {}; }
  static Interval Point(int64_t value) { return {value, value}; }
  /// All values of an integer or bool type (u64: everything, as its values are bit patterns).
  static Interval OfType(DataType dtype);

  bool is_everything() const { return min == INT64_MIN && max == INT64_MAX; }
  bool is_point() const { return min == max && min != INT64_MIN && min != INT64_MAX; }
  bool empty() const { return min > max; }
  bool Contains(int64_t value) const { return min <= value && value <= max; }
  bool Contains(const Interval& other) const { return min <= other.min && other.max <= max; }
  friend bool operator==(const Interval&, const Interval&) = default;
};

/// Sum and product of bounds; infinities stay infinite, overflow becomes infinite.
int64_t SaturatingAdd(int64_t a, int64_t b);
int64_t SaturatingMul(int64_t a, int64_t b);
int64_t SaturatingNeg(int64_t a);

Interval Union(const Interval& a, const Interval& b);
/// May be empty.
Interval Intersect(const Interval& a, const Interval& b);
Interval operator+(const Interval& a, const Interval& b);
Interval operator-(const Interval& a, const Interval& b);
Interval operator*(const Interval& a, const Interval& b);
/// Quotients and remainders by the divisors in `b` other than 0.
Interval FloorDiv(const Interval& a, const Interval& b);
Interval FloorMod(const Interval& a, const Interval& b);
Interval TruncDiv(const Interval& a, const Interval& b);
Interval TruncMod(const Interval& a, const Interval& b);
Interval Min(const Interval& a, const Interval& b);
Interval Max(const Interval& a, const Interval& b);

/// All integers multiple * k + remainder. multiple 0 is the single value `remainder`, multiple 1 is
/// everything; otherwise 0 <= remainder < multiple.
struct Modular {
  int64_t multiple = 1;
  int64_t remainder = 0;

  /// The class with its remainder reduced; a multiple that overflowed may be given as 1.
  static Modular Of(int64_t multiple, int64_t remainder);
  friend bool operator==(const Modular&, const Modular&) = default;
};

Modular operator+(const Modular& a, const Modular& b);
Modular operator*(const Modular& a, const Modular& b);
/// The smallest class that contains both.
Modular Union(const Modular& a, const Modular& b);
/// Quotient by a positive constant.
Modular FloorDiv(const Modular& a, int64_t divisor);
Modular FloorMod(const Modular& a, int64_t divisor);

}  // namespace tilewright
