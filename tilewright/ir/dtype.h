// SPDX-License-Identifier: Apache-2.0
// Element types. A type is {kind, bits, lanes}; lanes may be a multiple of the machine's vector scale.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tilewright {

enum class TypeCode : uint8_t {
  kInt,
  kUInt,
  kFloat,   ///< IEEE 754 binary16, binary32, binary64
  kBFloat,  ///< the upper 16 bits of binary32
  kBool,    ///< true or false; one byte in memory
  kString,  ///< graph level only
  kHandle,  ///< an opaque pointer of the run time
  kCustom,  ///< a registered type; `bits` in memory, meaning by its registration
};

struct DataType {
  TypeCode code = TypeCode::kFloat;
  uint8_t bits = 32;
  uint16_t lanes = 1;     ///< 1 for a scalar
  bool scalable = false;  ///< lanes count units of the machine's vector scale (SVE, RVV)
  uint8_t custom = 0;     ///< index of the registered type when code is kCustom

  static constexpr DataType Int(int bits, int lanes = 1) {
    return {TypeCode::kInt, uint8_t(bits), uint16_t(lanes)};
  }
  static constexpr DataType UInt(int bits, int lanes = 1) {
    return {TypeCode::kUInt, uint8_t(bits), uint16_t(lanes)};
  }
  static constexpr DataType Float(int bits, int lanes = 1) {
    return {TypeCode::kFloat, uint8_t(bits), uint16_t(lanes)};
  }
  static constexpr DataType BFloat16(int lanes = 1) { return {TypeCode::kBFloat, 16, uint16_t(lanes)}; }
  static constexpr DataType Bool(int lanes = 1) { return {TypeCode::kBool, 1, uint16_t(lanes)}; }
  static constexpr DataType Handle() { return {TypeCode::kHandle, 64, 1}; }
  static constexpr DataType String() { return {TypeCode::kString, 0, 1}; }
  /// The type of loop variables, indices and shapes everywhere. Lowering may narrow it where bounds allow.
  static constexpr DataType Index() { return Int(64); }

  constexpr bool is_int() const { return code == TypeCode::kInt; }
  constexpr bool is_uint() const { return code == TypeCode::kUInt; }
  constexpr bool is_integer() const { return is_int() || is_uint(); }
  constexpr bool is_float() const { return code == TypeCode::kFloat || code == TypeCode::kBFloat; }
  constexpr bool is_bool() const { return code == TypeCode::kBool; }
  constexpr bool is_string() const { return code == TypeCode::kString; }
  constexpr bool is_scalar() const { return lanes == 1 && !scalable; }
  constexpr DataType element() const { return WithLanes(1); }
  constexpr DataType WithLanes(int n) const {
    DataType t = *this;
    t.lanes = uint16_t(n);
    t.scalable = false;
    return t;
  }
  /// Bytes of one element in memory; bool takes one.
  constexpr int64_t element_bytes() const { return (bits + 7) / 8; }
  constexpr int64_t bytes() const { return element_bytes() * lanes; }

  friend constexpr bool operator==(const DataType&, const DataType&) = default;

  /// "f32", "i64", "bf16", "bool", "f32x16", "f32xs4" (scalable).
  std::string ToString() const;
  /// The inverse of ToString; throws Error TW1001 on an unknown name.
  static DataType Parse(std::string_view text);
};

inline constexpr DataType kF32 = DataType::Float(32);
inline constexpr DataType kF64 = DataType::Float(64);
inline constexpr DataType kF16 = DataType::Float(16);
inline constexpr DataType kBF16 = DataType::BFloat16();
inline constexpr DataType kI8 = DataType::Int(8);
inline constexpr DataType kI16 = DataType::Int(16);
inline constexpr DataType kI32 = DataType::Int(32);
inline constexpr DataType kI64 = DataType::Int(64);
inline constexpr DataType kU8 = DataType::UInt(8);
inline constexpr DataType kU16 = DataType::UInt(16);
inline constexpr DataType kU32 = DataType::UInt(32);
inline constexpr DataType kU64 = DataType::UInt(64);
inline constexpr DataType kBool = DataType::Bool();

}  // namespace tilewright
