// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/interpret/value.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <limits>

#include "tilewright/ir/float16.h"

namespace tilewright::interpret {

namespace {

/// Results are computed in double and rounded to the type. For +, -, *, / and sqrt of f32, f16 and bf16 that
/// equals rounding the exact result once, since double has more than twice their digits (Figueroa 1995).
Lane Rounded(DataType t, double value, bool poison) {
  if (t.bits == 32) return Lane::Float(static_cast<float>(value), poison);
  if (t.bits == 64) return Lane::Float(value, poison);
  return Lane::Float(RoundToType(value, t), poison);
}

Lane Wrapped(DataType t, uint64_t value, bool poison) {
  return Lane::Int(WrapToType(int64_t(value), t), poison);
}

double MinOrMax(bool is_min, double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return std::numeric_limits<double>::quiet_NaN();
  return (a < b) == is_min ? a : b;
}

Lane FloatBinary(BinaryOp op, DataType t, double a, double b, bool poison) {
  switch (op) {
    case BinaryOp::kAdd:
      return Rounded(t, a + b, poison);
    case BinaryOp::kSub:
      return Rounded(t, a - b, poison);
    case BinaryOp::kMul:
      return Rounded(t, a * b, poison);
    case BinaryOp::kDiv:
      return Rounded(t, a / b, poison);
    case BinaryOp::kTruncMod:
      return Rounded(t, std::fmod(a, b), poison);
    case BinaryOp::kMin:
      return Lane::Float(MinOrMax(true, a, b), poison);
    case BinaryOp::kMax:
      return Lane::Float(MinOrMax(false, a, b), poison);
    case BinaryOp::kEq:
      return Lane::Int(a == b, poison);
    case BinaryOp::kNe:
      return Lane::Int(a != b, poison);
    case BinaryOp::kLt:
      return Lane::Int(a < b, poison);
    case BinaryOp::kLe:
      return Lane::Int(a <= b, poison);
    default:
      throw Problem{"TW1604", fmt::format("'{}' of floats", BinaryOpText(op))};
  }
}

/// Quotient and remainder; the quotient of the smallest value by -1 wraps around.
Lane DivideSigned(BinaryOp op, DataType t, int64_t a, int64_t b, bool poison) {
  const bool remainder = op == BinaryOp::kFloorMod || op == BinaryOp::kTruncMod;
  if (b == -1) return Wrapped(t, remainder ? 0 : 0 - uint64_t(a), poison);
  const bool floor = op == BinaryOp::kFloorDiv || op == BinaryOp::kFloorMod;
  int64_t q = a / b, r = a % b;
  if (floor && r != 0 && (r < 0) != (b < 0)) --q, r += b;
  return Lane::Int(remainder ? r : q, poison);
}

Lane Divide(BinaryOp op, DataType t, int64_t a, int64_t b, bool poison) {
  if (poison) return Lane::Int(0, true);
  if (b == 0) throw Problem{"TW1603", fmt::format("{} {} 0: a division by zero", a, BinaryOpText(op))};
  if (t != kU64) return DivideSigned(op, t, a, b, false);
  const bool remainder = op == BinaryOp::kFloorMod || op == BinaryOp::kTruncMod;
  return Lane::Int(int64_t(remainder ? uint64_t(a) % uint64_t(b) : uint64_t(a) / uint64_t(b)));
}

Lane IntBinary(BinaryOp op, DataType t, int64_t a, int64_t b, bool poison) {
  // Comparison of u64, whose values are bit patterns, as of i64 with the top bit flipped.
  const int64_t flip = t == kU64 ? INT64_MIN : 0;
  const bool less = (a ^ flip) < (b ^ flip);
  switch (op) {
    case BinaryOp::kAdd:
      return Wrapped(t, uint64_t(a) + uint64_t(b), poison);
    case BinaryOp::kSub:
      return Wrapped(t, uint64_t(a) - uint64_t(b), poison);
    case BinaryOp::kMul:
      return Wrapped(t, uint64_t(a) * uint64_t(b), poison);
    case BinaryOp::kFloorDiv:
    case BinaryOp::kFloorMod:
    case BinaryOp::kTruncDiv:
    case BinaryOp::kTruncMod:
      return Divide(op, t, a, b, poison);
    case BinaryOp::kMin:
      return Lane::Int(less ? a : b, poison);
    case BinaryOp::kMax:
      return Lane::Int(less ? b : a, poison);
    case BinaryOp::kEq:
      return Lane::Int(a == b, poison);
    case BinaryOp::kNe:
      return Lane::Int(a != b, poison);
    case BinaryOp::kLt:
      return Lane::Int(less, poison);
    case BinaryOp::kLe:
      return Lane::Int(less || a == b, poison);
    default:
      throw Problem{"TW1604", fmt::format("'{}' of integers", BinaryOpText(op))};
  }
}

}  // namespace

Lane ApplyBinary(BinaryOp op, DataType t, Lane a, Lane b) {
  // A false operand decides '&&' whatever the other is.
  if (op == BinaryOp::kAnd) {
    const bool decided = (!a.poison && !a.i) || (!b.poison && !b.i);
    return Lane::Int(a.i && b.i, !decided && (a.poison || b.poison));
  }
  if (op == BinaryOp::kOr) {
    const bool decided = (!a.poison && a.i) || (!b.poison && b.i);
    return Lane::Int(a.i || b.i, !decided && (a.poison || b.poison));
  }
  const bool poison = a.poison || b.poison;
  return t.is_float() ? FloatBinary(op, t, a.d, b.d, poison) : IntBinary(op, t, a.i, b.i, poison);
}

namespace {

/// Truncates; out of range saturates and NaN gives 0 (docs/ir.md leaves the value open).
int64_t FloatToInt(DataType to, double v) {
  if (std::isnan(v)) return 0;
  if (to == kU64) return v <= -1 ? 0 : v >= 0x1p64 ? -1 : v >= 0x1p63 ? int64_t(uint64_t(v)) : int64_t(v);
  const int value_bits = to.bits - to.is_int();
  const double bound = std::ldexp(1.0, value_bits);
  if (v >= bound) return int64_t(~uint64_t(0) >> (64 - value_bits));
  if (to.is_uint()) return v <= -1 ? 0 : int64_t(v);
  return v < -bound ? int64_t(~uint64_t(0) << value_bits) : int64_t(v);
}

double IntToFloat(DataType to, DataType from, int64_t v) {
  // Directly, since through double a 64-bit integer would round twice.
  if (to.bits == 32) return from == kU64 ? static_cast<float>(uint64_t(v)) : static_cast<float>(v);
  return RoundToType(from == kU64 ? static_cast<double>(uint64_t(v)) : static_cast<double>(v), to);
}

}  // namespace

Lane ApplyCast(DataType to, DataType from, Lane value) {
  if (to.is_float()) {
    return from.is_float() ? Rounded(to, value.d, value.poison)
                           : Lane::Float(IntToFloat(to, from, value.i), value.poison);
  }
  if (to.is_bool()) return Lane::Int(from.is_float() ? value.d != 0 : value.i != 0, value.poison);
  if (from.is_float()) return Lane::Int(FloatToInt(to, value.d), value.poison);
  return Wrapped(to, uint64_t(value.i), value.poison);
}

namespace {

double Transcendental(Intrinsic op, double x) {
  switch (op) {
    case Intrinsic::k_exp:
      return std::exp(x);
    case Intrinsic::k_exp2:
      return std::exp2(x);
    case Intrinsic::k_log:
      return std::log(x);
    case Intrinsic::k_log2:
      return std::log2(x);
    case Intrinsic::k_log1p:
      return std::log1p(x);
    case Intrinsic::k_expm1:
      return std::expm1(x);
    case Intrinsic::k_sqrt:
      return std::sqrt(x);
    case Intrinsic::k_rsqrt:
      return 1 / std::sqrt(x);
    case Intrinsic::k_tanh:
      return std::tanh(x);
    case Intrinsic::k_sigmoid:
      return 1 / (1 + std::exp(-x));
    case Intrinsic::k_erf:
      return std::erf(x);
    case Intrinsic::k_sin:
      return std::sin(x);
    case Intrinsic::k_cos:
      return std::cos(x);
    case Intrinsic::k_tan:
      return std::tan(x);
    case Intrinsic::k_asin:
      return std::asin(x);
    case Intrinsic::k_acos:
      return std::acos(x);
    case Intrinsic::k_atan:
      return std::atan(x);
    case Intrinsic::k_sinh:
      return std::sinh(x);
    case Intrinsic::k_cosh:
      return std::cosh(x);
    case Intrinsic::k_asinh:
      return std::asinh(x);
    case Intrinsic::k_acosh:
      return std::acosh(x);
    case Intrinsic::k_atanh:
      return std::atanh(x);
    case Intrinsic::k_abs:
      return std::fabs(x);
    case Intrinsic::k_floor:
      return std::floor(x);
    case Intrinsic::k_ceil:
      return std::ceil(x);
    case Intrinsic::k_trunc:
      return std::trunc(x);
    case Intrinsic::k_round:
      return std::nearbyint(x);
    default:
      throw Problem{"TW1604", fmt::format("{} of a float", GetIntrinsicInfo(op).name)};
  }
}

Lane FloatCall(Intrinsic op, DataType t, std::span<const Lane> args, bool poison) {
  const double x = args[0].d;
  switch (op) {
    case Intrinsic::k_isnan:
      return Lane::Int(std::isnan(x), poison);
    case Intrinsic::k_isinf:
      return Lane::Int(std::isinf(x), poison);
    case Intrinsic::k_pow:
      return Rounded(t, std::pow(x, args[1].d), poison);
    case Intrinsic::k_atan2:
      return Rounded(t, std::atan2(x, args[1].d), poison);
    case Intrinsic::k_fma:
      // In f32 itself: the sum in double would round twice.
      if (t.bits == 32) return Lane::Float(std::fma(float(x), float(args[1].d), float(args[2].d)), poison);
      return Rounded(t, std::fma(x, args[1].d, args[2].d), poison);
    default:
      return Rounded(t, Transcendental(op, x), poison);
  }
}

uint64_t BitsOf(DataType t, int64_t value) {
  return t.bits == 64 ? uint64_t(value) : uint64_t(value) & ((uint64_t(1) << t.bits) - 1);
}

Lane Shift(Intrinsic op, DataType t, int64_t a, int64_t by, bool poison) {
  if (poison) return Lane::Int(0, true);
  if (by < 0 || by >= t.bits) {
    throw Problem{"TW1603", fmt::format("{}({}, {}) of {}: the distance is outside 0..{}",
                                        GetIntrinsicInfo(op).name, a, by, t.ToString(), t.bits)};
  }
  if (op == Intrinsic::k_shift_left) return Wrapped(t, uint64_t(a) << by, false);
  return Wrapped(t, t.is_uint() ? BitsOf(t, a) >> by : uint64_t(a >> by), false);
}

Lane IntCall(Intrinsic op, DataType t, std::span<const Lane> args, bool poison) {
  const int64_t a = args[0].i, b = args.size() > 1 ? args[1].i : 0;
  switch (op) {
    case Intrinsic::k_abs:
      return Wrapped(t, t.is_int() && a < 0 ? 0 - uint64_t(a) : uint64_t(a), poison);
    case Intrinsic::k_bit_and:
      return Lane::Int(a & b, poison);
    case Intrinsic::k_bit_or:
      return Lane::Int(a | b, poison);
    case Intrinsic::k_bit_xor:
      return Lane::Int(a ^ b, poison);
    case Intrinsic::k_bit_not:
      return Wrapped(t, ~uint64_t(a), poison);
    case Intrinsic::k_shift_left:
    case Intrinsic::k_shift_right:
      return Shift(op, t, a, b, poison);
    case Intrinsic::k_popcount:
      return Lane::Int(std::popcount(BitsOf(t, a)), poison);
    default:
      throw Problem{"TW1604", fmt::format("{} of an integer", GetIntrinsicInfo(op).name)};
  }
}

}  // namespace

bool IsLaneWise(Intrinsic op) {
  switch (op) {
    case Intrinsic::k_vector_reduce_add:
    case Intrinsic::k_vector_reduce_max:
    case Intrinsic::k_vector_reduce_min:
    case Intrinsic::k_dot_u8s8_i32:
    case Intrinsic::k_dot_bf16_f32:
      return false;
    default:
      return GetIntrinsicInfo(op).pure;
  }
}

Lane ApplyCall(Intrinsic op, DataType result, DataType t, std::span<const Lane> args) {
  bool poison = false;
  for (const Lane& a : args) poison |= a.poison;
  if (op == Intrinsic::k_likely) return args[0];
  if (op == Intrinsic::k_reinterpret) {
    char bytes[8] = {};
    WriteElement(t, bytes, args[0]);
    Lane lane = ReadElement(result, bytes);
    lane.poison = poison;
    return lane;
  }
  return t.is_float() ? FloatCall(op, t, args, poison) : IntCall(op, t, args, poison);
}

namespace {

template <class T>
T ReadAs(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

template <class T>
void WriteAs(char* p, T value) {
  std::memcpy(p, &value, sizeof(T));
}

}  // namespace

Lane ReadElement(DataType t, const char* p) {
  if (t.is_float()) {
    if (t.bits == 32) return Lane::Float(ReadAs<float>(p));
    if (t.bits == 64) return Lane::Float(ReadAs<double>(p));
    const uint16_t bits = ReadAs<uint16_t>(p);
    return Lane::Float(t.code == TypeCode::kBFloat ? BFloat16ToDouble(bits) : HalfToDouble(bits));
  }
  switch (t.element_bytes()) {
    case 1:
      return t.is_bool() ? Lane::Int(*p != 0) : Wrapped(t, uint64_t(ReadAs<int8_t>(p)), false);
    case 2:
      return Wrapped(t, uint64_t(ReadAs<int16_t>(p)), false);
    case 4:
      return Wrapped(t, uint64_t(ReadAs<int32_t>(p)), false);
    default:
      return Lane::Int(ReadAs<int64_t>(p));
  }
}

void WriteElement(DataType t, char* p, Lane value) {
  if (t.is_float()) {
    if (t.bits == 32) return WriteAs(p, float(value.d));
    if (t.bits == 64) return WriteAs(p, value.d);
    return WriteAs(p, t.code == TypeCode::kBFloat ? DoubleToBFloat16(value.d) : DoubleToHalf(value.d));
  }
  switch (t.element_bytes()) {
    case 1:
      return WriteAs(p, int8_t(value.i));
    case 2:
      return WriteAs(p, int16_t(value.i));
    case 4:
      return WriteAs(p, int32_t(value.i));
    default:
      return WriteAs(p, value.i);
  }
}

}  // namespace tilewright::interpret
