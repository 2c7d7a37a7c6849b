// SPDX-License-Identifier: Apache-2.0
// Conversions between double or float and the 16-bit float formats, by bits, so that every host agrees.
#pragma once

#include <bit>
#include <cstdint>

#include "tilewright/ir/dtype.h"

namespace tilewright {

/// The nearest binary16 value (ties to even) as bits; overflow gives infinity, NaN stays a quiet NaN.
uint16_t DoubleToHalf(double value);
double HalfToDouble(uint16_t bits);
/// The nearest bfloat16 value (ties to even) as bits; overflow gives infinity, NaN stays a quiet NaN.
uint16_t DoubleToBFloat16(double value);
inline uint16_t FloatToBFloat16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if (value != value) return uint16_t(bits >> 16 | 0x40);
  return uint16_t((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline double BFloat16ToDouble(uint16_t bits) { return std::bit_cast<float>(uint32_t(bits) << 16); }

/// The value rounded to a float type (f16, bf16, f32, f64): what a constant of that type is.
double RoundToType(double value, DataType dtype);
/// The value wrapped to an integer type's width: sign-extended for i*, zero-extended for u* (u64 by bit
/// pattern). Bool becomes 0 or 1.
int64_t WrapToType(int64_t value, DataType dtype);

}  // namespace tilewright
