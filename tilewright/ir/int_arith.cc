// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/int_arith.h"

#include <algorithm>

#include "tilewright/ir/float16.h"

namespace tilewright {

int64_t FloorDivInt(int64_t a, int64_t b) {
  const int64_t q = a / b;
  return q - (a % b != 0 && (a < 0) != (b < 0));
}

int64_t FloorModInt(int64_t a, int64_t b) {
  const int64_t r = a % b;
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

int64_t LargestDivisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d) {
    if (n % d == 0) return d;
  }
  return 1;
}

namespace {

using MaybeInt = std::optional<int64_t>;

/// Operations on u64, whose values are bit patterns.
MaybeInt EvalU64(BinaryOp op, uint64_t a, uint64_t b) {
  switch (op) {
    case BinaryOp::kFloorDiv:
    case BinaryOp::kTruncDiv:
      return b == 0 ? MaybeInt() : MaybeInt(int64_t(a / b));
    case BinaryOp::kFloorMod:
    case BinaryOp::kTruncMod:
      return b == 0 ? MaybeInt() : MaybeInt(int64_t(a % b));
    case BinaryOp::kMin:
      return int64_t(std::min(a, b));
    case BinaryOp::kMax:
      return int64_t(std::max(a, b));
    case BinaryOp::kLt:
      return a < b;
    case BinaryOp::kLe:
      return a <= b;
    default:
      return std::nullopt;
  }
}

/// Sums and products: i64 must not overflow, other types wrap.
template <class Exact>
MaybeInt Ring(DataType t, uint64_t wrapped, Exact exact) {
  int64_t r;
  const bool overflow = exact(&r);
  if (t.element() == DataType::Index() && overflow) return std::nullopt;
  return WrapToType(int64_t(wrapped), t);
}

}  // namespace

MaybeInt EvalIntBinary(BinaryOp op, DataType t, int64_t a, int64_t b) {
  if (t.is_uint() && t.bits == 64) {
    if (auto r = EvalU64(op, uint64_t(a), uint64_t(b))) return r;
  }
  const bool divisible = b != 0 && !(a == INT64_MIN && b == -1);
  const uint64_t ua = uint64_t(a), ub = uint64_t(b);
  switch (op) {
    case BinaryOp::kAdd:
      return Ring(t, ua + ub, [&](int64_t* r) { return __builtin_add_overflow(a, b, r); });
    case BinaryOp::kSub:
      return Ring(t, ua - ub, [&](int64_t* r) { return __builtin_sub_overflow(a, b, r); });
    case BinaryOp::kMul:
      return Ring(t, ua * ub, [&](int64_t* r) { return __builtin_mul_overflow(a, b, r); });
    case BinaryOp::kFloorDiv:
      return divisible ? MaybeInt(WrapToType(FloorDivInt(a, b), t)) : std::nullopt;
    case BinaryOp::kFloorMod:
      return divisible ? MaybeInt(FloorModInt(a, b)) : std::nullopt;
    case BinaryOp::kTruncDiv:
      return divisible ? MaybeInt(WrapToType(a / b, t)) : std::nullopt;
    case BinaryOp::kTruncMod:
      return divisible ? MaybeInt(a % b) : std::nullopt;
    case BinaryOp::kMin:
      return std::min(a, b);
    case BinaryOp::kMax:
      return std::max(a, b);
    case BinaryOp::kEq:
      return a == b;
    case BinaryOp::kNe:
      return a != b;
    case BinaryOp::kLt:
      return a < b;
    case BinaryOp::kLe:
      return a <= b;
    case BinaryOp::kAnd:
      return a && b;
    case BinaryOp::kOr:
      return a || b;
    case BinaryOp::kDiv:
      return std::nullopt;
  }
  return std::nullopt;
}

}  // namespace tilewright
