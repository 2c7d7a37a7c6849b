// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/float16.h"

#include <cmath>

namespace tilewright {

namespace {

/// Rounds to a 16-bit format with `exponent_bits`, to nearest, ties to even. The exponent field of a value
/// that rounds up past its binade carries by itself, from subnormal to normal and from the largest value to
/// infinity.
uint16_t RoundTo16Bits(double value, int exponent_bits) {
  const int mantissa_bits = 15 - exponent_bits;
  const int bias = (1 << (exponent_bits - 1)) - 1;
  const uint64_t bits = std::bit_cast<uint64_t>(value);
  const uint16_t sign = uint16_t(bits >> 48) & 0x8000;
  const uint16_t infinity = uint16_t(((1 << exponent_bits) - 1) << mantissa_bits);
  if (std::isnan(value)) return sign | infinity | uint16_t(1 << (mantissa_bits - 1));
  if (std::isinf(value)) return sign | infinity;
  const int exponent = int(bits >> 52 & 0x7FF);
  // Subnormal doubles are far below half of the smallest 16-bit value.
  if (exponent == 0) return sign;
  int biased = exponent - 1023 + bias;
  int shift = 52 - mantissa_bits;
  uint64_t mantissa = bits & ((uint64_t(1) << 52) - 1);
  if (biased >= (1 << exponent_bits) - 1) return sign | infinity;
  if (biased <= 0) {
    mantissa |= uint64_t(1) << 52;
    shift += 1 - biased;
    biased = 0;
    if (shift > 54) return sign;
  }
  uint64_t kept = (uint64_t(biased) << mantissa_bits) + (mantissa >> shift);
  const uint64_t rest = mantissa & ((uint64_t(1) << shift) - 1), half = uint64_t(1) << (shift - 1);
  if (rest > half || (rest == half && (kept & 1))) ++kept;
  return sign | uint16_t(kept);
}

}  // namespace

uint16_t DoubleToHalf(double value) { return RoundTo16Bits(value, 5); }
uint16_t DoubleToBFloat16(double value) { return RoundTo16Bits(value, 8); }

double HalfToDouble(uint16_t bits) {
  const int exponent = bits >> 10 & 31, mantissa = bits & 1023;
  const double sign = bits & 0x8000 ? -1.0 : 1.0;
  if (exponent == 31) return mantissa ? std::copysign(NAN, sign) : sign * INFINITY;
  if (exponent == 0) return sign * std::ldexp(mantissa, -24);
  return sign * std::ldexp(1024 + mantissa, exponent - 25);
}

double RoundToType(double value, DataType dtype) {
  if (dtype.code == TypeCode::kBFloat) return BFloat16ToDouble(DoubleToBFloat16(value));
  if (dtype.bits == 16) return HalfToDouble(DoubleToHalf(value));
  if (dtype.bits == 32) return static_cast<float>(value);
  return value;
}

int64_t WrapToType(int64_t value, DataType dtype) {
  if (dtype.is_bool()) return value != 0;
  if (dtype.bits >= 64) return value;
  const int unused = 64 - dtype.bits;
  const uint64_t shifted = uint64_t(value) << unused;
  return dtype.is_int() ? int64_t(shifted) >> unused : int64_t(shifted >> unused);
}

}  // namespace tilewright
