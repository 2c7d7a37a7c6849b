// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/eval.h"

#include <bit>
#include <cmath>

#include "tilewright/ir/float16.h"

namespace tilewright {

namespace {

using MaybeInt = std::optional<int64_t>;
using MaybeValue = std::optional<ScalarValue>;

/// min and max propagate NaN.
MaybeValue EvalFloatBinary(BinaryOp op, DataType t, double a, double b) {
  auto round = [&](double r) { return t.bits == 32 ? double(float(r)) : r; };
  const bool nan = std::isnan(a) || std::isnan(b);
  switch (op) {
    // Double arithmetic on f32 operands rounds correctly when rounded again to f32.
    case BinaryOp::kAdd:
      return round(a + b);
    case BinaryOp::kSub:
      return round(a - b);
    case BinaryOp::kMul:
      return round(a * b);
    case BinaryOp::kDiv:
      return round(a / b);
    case BinaryOp::kTruncMod:
      return round(std::fmod(a, b));
    case BinaryOp::kMin:
      return nan ? std::nan("") : std::min(a, b);
    case BinaryOp::kMax:
      return nan ? std::nan("") : std::max(a, b);
    case BinaryOp::kEq:
      return int64_t(a == b);
    case BinaryOp::kNe:
      return int64_t(a != b);
    case BinaryOp::kLt:
      return int64_t(a < b);
    case BinaryOp::kLe:
      return int64_t(a <= b);
    default:
      return std::nullopt;
  }
}

struct Evaluator {
  const VarValues& values;
  int lane;

  MaybeInt Int(const Expr& e) const {
    auto v = Value(e);
    if (!v || !std::holds_alternative<int64_t>(*v)) return std::nullopt;
    return std::get<int64_t>(*v);
  }

  MaybeValue Choice(const Expr& condition, const Expr& t, const Expr& f, bool both) const {
    // The condition of a vector IfThenElse is a scalar, and lane n of a scalar is its value.
    auto c = Int(condition);
    if (!c) return std::nullopt;
    if (both && (!Value(t) || !Value(f))) return std::nullopt;
    return Value(*c ? t : f);
  }

  MaybeValue Cast(const CastNode& n) const {
    auto v = Value(n.value);
    if (!v) return std::nullopt;
    if (n.dtype.is_float()) {
      const double d = std::holds_alternative<double>(*v) ? std::get<double>(*v)
                       : n.value.dtype() == kU64          ? double(uint64_t(std::get<int64_t>(*v)))
                                                          : double(std::get<int64_t>(*v));
      return n.dtype.bits == 32 ? double(float(d)) : d;
    }
    if (std::holds_alternative<int64_t>(*v)) return WrapToType(std::get<int64_t>(*v), n.dtype);
    const double d = std::get<double>(*v);
    if (n.dtype.is_bool()) return int64_t(d != 0);
    if (!(std::abs(d) < 9e18)) return std::nullopt;
    const int64_t i = int64_t(d);
    return WrapToType(i, n.dtype) == i ? MaybeValue(i) : std::nullopt;
  }

  MaybeValue Call(const CallNode& n) const {
    if (n.args.empty() || !n.args[0].dtype().is_integer()) {
      return n.op == Intrinsic::k_likely ? Value(n.args[0]) : std::nullopt;
    }
    const DataType t = n.args[0].dtype();
    std::vector<int64_t> a;
    for (const Expr& arg : n.args) {
      auto v = Int(arg);
      if (!v) return std::nullopt;
      a.push_back(*v);
    }
    switch (n.op) {
      case Intrinsic::k_abs:
        return t == kI64 && a[0] == INT64_MIN ? MaybeValue() : WrapToType(a[0] < 0 ? -a[0] : a[0], t);
      case Intrinsic::k_bit_and:
        return a[0] & a[1];
      case Intrinsic::k_bit_or:
        return a[0] | a[1];
      case Intrinsic::k_bit_xor:
        return a[0] ^ a[1];
      case Intrinsic::k_bit_not:
        return WrapToType(~a[0], t);
      case Intrinsic::k_shift_left:
        return a[1] < 0 || a[1] >= t.bits ? MaybeValue() : WrapToType(int64_t(uint64_t(a[0]) << a[1]), t);
      case Intrinsic::k_shift_right:
        if (a[1] < 0 || a[1] >= t.bits) return std::nullopt;
        return t.is_uint() ? int64_t(uint64_t(a[0]) >> a[1]) : a[0] >> a[1];
      case Intrinsic::k_popcount:
        return int64_t(
            std::popcount(t.bits == 64 ? uint64_t(a[0]) : uint64_t(a[0]) & ((uint64_t(1) << t.bits) - 1)));
      default:
        return std::nullopt;
    }
  }

  MaybeValue Binary(const BinaryNode& n) const {
    auto a = Value(n.a), b = Value(n.b);
    if (!a || !b || a->index() != b->index()) return std::nullopt;
    if (std::holds_alternative<double>(*a)) {
      return EvalFloatBinary(n.op, n.a.dtype(), std::get<double>(*a), std::get<double>(*b));
    }
    auto r = EvalIntBinary(n.op, n.a.dtype(), std::get<int64_t>(*a), std::get<int64_t>(*b));
    return r ? MaybeValue(*r) : std::nullopt;
  }

  MaybeValue Let(const LetNode& n) const {
    auto v = Int(n.value);
    if (!v) return std::nullopt;
    VarValues inner = values;
    inner[n.var] = *v;
    return Evaluator{inner, lane}.Value(n.body);
  }

  MaybeValue Ramp(const RampNode& n) const {
    auto base = Int(n.base), stride = Int(n.stride);
    if (!base || !stride) return std::nullopt;
    auto step = EvalIntBinary(BinaryOp::kMul, n.base.dtype(), *stride, lane);
    auto r = step ? EvalIntBinary(BinaryOp::kAdd, n.base.dtype(), *base, *step) : std::nullopt;
    return r ? MaybeValue(*r) : std::nullopt;
  }

  MaybeValue Shuffle(const ShuffleNode& n) const {
    int at = n.lanes[size_t(lane)];
    for (const Expr& v : n.vectors) {
      if (at < v.dtype().lanes) return Evaluator{values, at}.Value(v);
      at -= v.dtype().lanes;
    }
    return std::nullopt;
  }

  MaybeValue Value(const Expr& e) const {
    return Dispatch(e, Overloaded{
                           [&](const VarNode& n) -> MaybeValue {
                             auto it = values.find(Var(&n));
                             return it == values.end() || n.dtype.is_float() ? MaybeValue() : it->second;
                           },
                           [&](const IntImmNode& n) -> MaybeValue { return n.value; },
                           [&](const FloatImmNode& n) -> MaybeValue {
                             return n.dtype.bits == 32 ? double(float(n.value)) : n.value;
                           },
                           [&](const StringImmNode&) -> MaybeValue { return std::nullopt; },
                           [&](const CastNode& n) -> MaybeValue { return Cast(n); },
                           [&](const BinaryNode& n) -> MaybeValue { return Binary(n); },
                           [&](const NotNode& n) -> MaybeValue {
                             auto v = Int(n.value);
                             return v ? MaybeValue(int64_t(*v == 0)) : std::nullopt;
                           },
                           [&](const SelectNode& n) -> MaybeValue {
                             return Choice(n.condition, n.true_value, n.false_value, true);
                           },
                           [&](const IfThenElseNode& n) -> MaybeValue {
                             return Choice(n.condition, n.true_value, n.false_value, false);
                           },
                           [&](const LetNode& n) -> MaybeValue { return Let(n); },
                           [&](const CallNode& n) -> MaybeValue { return Call(n); },
                           [&](const LoadNode&) -> MaybeValue { return std::nullopt; },
                           [&](const RampNode& n) -> MaybeValue { return Ramp(n); },
                           [&](const BroadcastNode& n) -> MaybeValue { return Value(n.value); },
                           [&](const ShuffleNode& n) -> MaybeValue { return Shuffle(n); },
                       });
  }
};

}  // namespace

std::optional<ScalarValue> EvalScalar(const Expr& e, const VarValues& values, int lane) {
  return Evaluator{values, lane}.Value(e);
}

MaybeInt EvalInt(const Expr& e, const VarValues& values, int lane) { return Evaluator{values, lane}.Int(e); }

}  // namespace tilewright
