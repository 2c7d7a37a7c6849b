// SPDX-License-Identifier: Apache-2.0
// Element types of the tests as C++ types, with 16-bit floats computed the long way round: by searching for
// the nearest neighbour in double precision.
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>
#include <vector>

#include "tilewright/ir/dtype.h"

namespace tilewright::testing_types {

/// A 16-bit float of `kExponentBits` exponent bits.
template <int kExponentBits>
struct Small {
  uint16_t bits = 0;

  static constexpr int kFraction = 15 - kExponentBits;
  static constexpr int kBias = (1 << (kExponentBits - 1)) - 1;

  static double Decode(uint16_t bits) {
    const int exponent = (bits >> kFraction) & ((1 << kExponentBits) - 1);
    const int fraction = bits & ((1 << kFraction) - 1);
    const double sign = bits & 0x8000 ? -1 : 1;
    if (exponent == (1 << kExponentBits) - 1) return fraction ? NAN : sign * INFINITY;
    if (exponent == 0) return sign * std::ldexp(fraction, 1 - kBias - kFraction);
    return sign * std::ldexp(fraction + (1 << kFraction), exponent - kBias - kFraction);
  }

  /// The nearest value, ties to the one with an even last bit.
  static Small Encode(double value) {
    constexpr uint16_t kInfinity = ((1 << kExponentBits) - 1) << kFraction;
    const uint16_t sign = std::signbit(value) ? 0x8000 : 0;
    const double x = std::fabs(value);
    if (std::isnan(x)) return {uint16_t(sign | kInfinity | 1 << (kFraction - 1))};
    uint16_t low = 0, high = kInfinity;  // Decode(low) <= x < Decode(high), but for x beyond all numbers
    while (high - low > 1) {
      const uint16_t middle = uint16_t((low + high) / 2);
      (Decode(middle) <= x ? low : high) = middle;
    }
    // Infinity stands where the next number would be.
    const double below = Decode(low);
    const double above = high == kInfinity ? std::ldexp(1, kBias + 1) : Decode(high);
    const bool up = x - below > above - x || (x - below == above - x && low % 2);
    return {uint16_t(sign | (up ? high : low))};
  }

  explicit operator double() const { return Decode(bits); }
};

using F16 = Small<5>;
using BF16 = Small<8>;

template <class T>
struct TypeOf;
template <>
struct TypeOf<F16> : std::integral_constant<DataType, kF16> {};
template <>
struct TypeOf<BF16> : std::integral_constant<DataType, kBF16> {};
template <>
struct TypeOf<float> : std::integral_constant<DataType, kF32> {};
template <>
struct TypeOf<double> : std::integral_constant<DataType, kF64> {};
template <>
struct TypeOf<bool> : std::integral_constant<DataType, kBool> {};
template <class T>
  requires std::is_integral_v<T>
struct TypeOf<T> : std::integral_constant<DataType, std::is_signed_v<T> ? DataType::Int(8 * sizeof(T))
                                                                        : DataType::UInt(8 * sizeof(T))> {};

template <class T>
inline constexpr bool kIsSmall = std::is_same_v<T, F16> || std::is_same_v<T, BF16>;
template <class T>
inline constexpr bool kIsFloat = kIsSmall<T> || std::is_floating_point_v<T>;

/// What an operation computes in: 16-bit floats in binary32.
template <class T>
using Compute = std::conditional_t<kIsSmall<T>, float, T>;

template <class T>
Compute<T> Value(T x) {
  if constexpr (kIsSmall<T>) {
    return float(double(x));
  } else {
    return x;
  }
}

template <class T>
T Rounded(Compute<T> x) {
  if constexpr (kIsSmall<T>) {
    return T::Encode(x);
  } else {
    return x;
  }
}

/// Sixteen values with the type's edges among them.
template <class T>
std::vector<T> Edges() {
  if constexpr (std::is_same_v<T, bool>) {
    return {0, 1, 0, 1, 1, 1, 0, 0, 1, 0, 1, 0, 0, 1, 1, 0};
  } else if constexpr (kIsFloat<T>) {
    using L = std::numeric_limits<Compute<T>>;
    std::vector<double> list{0.0,  -0.0, 1.0,  -1.0,  1.5,      -2.5,      0.5,
                             3.25, -0.1, 1e-3, 200.7, INFINITY, -INFINITY, NAN};
    std::vector<T> values;
    for (double x : list) values.push_back(Rounded<T>(Compute<T>(x)));
    values.push_back(kIsSmall<T> ? std::bit_cast<T>(std::conditional_t<kIsSmall<T>, uint16_t, T>(1))
                                 : Rounded<T>(L::denorm_min()));
    values.push_back(Rounded<T>(std::is_same_v<T, F16> ? 65504.f : L::max()));
    return values;
  } else {
    using L = std::numeric_limits<T>;
    return {0,     1,        T(-1),           2,        T(-2),           3,   7,
            T(-7), L::min(), T(L::min() + 1), L::max(), T(L::max() - 1), 100, T(-100),
            5,     T(-5)};
  }
}

}  // namespace tilewright::testing_types
