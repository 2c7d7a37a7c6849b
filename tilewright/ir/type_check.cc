// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/type_check.h"

namespace tilewright {

namespace {

bool IsNumber(DataType t) { return t.is_integer() || t.is_float(); }
bool IsValue(DataType t) { return IsNumber(t) || t.is_bool(); }

/// Lanes that indices of these types select from a buffer; -1 when they disagree.
int64_t AccessLanes(const Buffer& buffer, std::span<const Expr> indices) {
  int64_t lanes = 1;
  for (const Expr& i : indices) {
    if (i.dtype().lanes == 1) continue;
    if (lanes != 1 && lanes != i.dtype().lanes) return -1;
    lanes = i.dtype().lanes;
  }
  return lanes * buffer.dtype().lanes;
}

/// What the arguments of a group of intrinsics must be.
enum class ArgRule { kFloat, kNumber, kInteger, kBool, kFree };

ArgRule RuleOf(Intrinsic op) {
  switch (op) {
    case Intrinsic::k_abs:
    case Intrinsic::k_vector_reduce_add:
    case Intrinsic::k_vector_reduce_max:
    case Intrinsic::k_vector_reduce_min:
      return ArgRule::kNumber;
    case Intrinsic::k_bit_and:
    case Intrinsic::k_bit_or:
    case Intrinsic::k_bit_xor:
    case Intrinsic::k_bit_not:
    case Intrinsic::k_shift_left:
    case Intrinsic::k_shift_right:
    case Intrinsic::k_popcount:
      return ArgRule::kInteger;
    case Intrinsic::k_likely:
      return ArgRule::kBool;
    case Intrinsic::k_reinterpret:
    case Intrinsic::k_dot_u8s8_i32:
    case Intrinsic::k_dot_bf16_f32:
    case Intrinsic::k_prefetch:
    case Intrinsic::k_barrier:
    case Intrinsic::k_async_copy:
    case Intrinsic::k_async_wait:
    case Intrinsic::k_extern_call:
      return ArgRule::kFree;
    default:
      return ArgRule::kFloat;
  }
}

bool Fits(ArgRule rule, DataType t) {
  switch (rule) {
    case ArgRule::kFloat:
      return t.is_float();
    case ArgRule::kNumber:
      return IsNumber(t);
    case ArgRule::kInteger:
      return t.is_integer();
    case ArgRule::kBool:
      return t.is_bool();
    case ArgRule::kFree:
      return true;
  }
  return false;
}

std::string_view RuleName(ArgRule rule) {
  switch (rule) {
    case ArgRule::kFloat:
      return "floats";
    case ArgRule::kNumber:
      return "numbers";
    case ArgRule::kInteger:
      return "integers";
    case ArgRule::kBool:
      return "bool";
    case ArgRule::kFree:
      return "anything";
  }
  return "";
}

std::string DotTypeProblem(Intrinsic op, DataType result, std::span<const Expr> args) {
  const bool integer = op == Intrinsic::k_dot_u8s8_i32;
  const int ways = integer ? 4 : 2;
  const DataType acc = args[0].dtype();
  const DataType element = integer ? kI32 : kF32;
  const int many = acc.lanes * ways;
  const DataType a = integer ? DataType::UInt(8, many) : DataType::BFloat16(many);
  const DataType b = integer ? DataType::Int(8, many) : a;
  if (acc.element() == element && result == acc && args[1].dtype() == a && args[2].dtype() == b) return "";
  return fmt::format("{} takes {}xN, {}x{}N and {}x{}N and gives the first type", GetIntrinsicInfo(op).name,
                     element.ToString(), a.element().ToString(), ways, b.element().ToString(), ways);
}

/// Rules of the intrinsics that are not a lane-wise function of one type.
std::string SpecialCallProblem(Intrinsic op, DataType result, std::span<const Expr> args) {
  const std::string_view name = GetIntrinsicInfo(op).name;
  switch (op) {
    case Intrinsic::k_reinterpret: {
      const DataType t = args[0].dtype();
      const bool same = t.bits == result.bits && t.lanes == result.lanes && t.scalable == result.scalable;
      if (same && IsNumber(t) && IsNumber(result)) return "";
      return fmt::format("reinterpret of {} as {}: the widths differ", t.ToString(), result.ToString());
    }
    case Intrinsic::k_dot_u8s8_i32:
    case Intrinsic::k_dot_bf16_f32:
      return DotTypeProblem(op, result, args);
    case Intrinsic::k_prefetch: {
      const auto locality = AsInt(args[1]);
      if (args[0].kind() == ExprKind::kLoad && locality && *locality >= 0 && *locality <= 3) return "";
      return "prefetch takes a load and a constant from 0 to 3";
    }
    case Intrinsic::k_barrier:
    case Intrinsic::k_extern_call:
      if (!args.empty() && args[0].kind() == ExprKind::kStringImm) return "";
      return fmt::format("{} takes a string first", name);
    default:
      return "";
  }
}

}  // namespace

std::string BinaryTypeProblem(BinaryOp op, DataType a, DataType b) {
  const std::string_view text = BinaryOpText(op);
  if (a != b) return fmt::format("'{}' of {} and {}", text, a.ToString(), b.ToString());
  if (!IsValue(a)) return fmt::format("'{}' of {}", text, a.ToString());
  switch (op) {
    case BinaryOp::kDiv:
      return a.is_float() ? "" : fmt::format("'/' is for floats ('//' for integers); got {}", a.ToString());
    case BinaryOp::kFloorDiv:
    case BinaryOp::kFloorMod:
    case BinaryOp::kTruncDiv:
      return a.is_integer() ? "" : fmt::format("'{}' is for integers; got {}", text, a.ToString());
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
      return a.is_bool() ? "" : fmt::format("'{}' is for bool; got {}", text, a.ToString());
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
    case BinaryOp::kMul:
    case BinaryOp::kTruncMod:
      return IsNumber(a) ? "" : fmt::format("'{}' is for numbers; got {}", text, a.ToString());
    default:
      return "";
  }
}

std::string CastTypeProblem(DataType to, DataType from) {
  const bool lanes = to.lanes == from.lanes && to.scalable == from.scalable;
  return lanes && IsValue(to) && IsValue(from)
             ? ""
             : fmt::format("a cast of {} to {}", from.ToString(), to.ToString());
}

std::string ChoiceTypeProblem(bool lane_wise, DataType condition, DataType a, DataType b) {
  const bool scalar = condition == kBool;
  const bool lanes = lane_wise && condition.lanes == a.lanes && condition.scalable == a.scalable;
  if (condition.is_bool() && (scalar || lanes) && a == b) return "";
  return fmt::format("a choice by {} between {} and {}", condition.ToString(), a.ToString(), b.ToString());
}

std::string CallTypeProblem(Intrinsic op, DataType result, std::span<const Expr> args) {
  const IntrinsicInfo& info = GetIntrinsicInfo(op);
  if (info.arity >= 0 && size_t(info.arity) != args.size()) {
    return fmt::format("{} takes {} arguments, got {}", info.name, info.arity, args.size());
  }
  const ArgRule rule = RuleOf(op);
  if (rule == ArgRule::kFree) return SpecialCallProblem(op, result, args);
  const DataType t = args[0].dtype();
  for (const Expr& a : args) {
    if (!Fits(rule, a.dtype())) {
      return fmt::format("{} takes {}, got {}", info.name, RuleName(rule), a.dtype().ToString());
    }
    if (a.dtype() != t) {
      return fmt::format("{} of {} and {}", info.name, t.ToString(), a.dtype().ToString());
    }
  }
  const DataType expected = MakeCall(op, std::vector<Expr>(args.begin(), args.end())).dtype();
  if (expected == result) return "";
  return fmt::format("{} of {} gives {}, not {}", info.name, t.ToString(), expected.ToString(),
                     result.ToString());
}

std::string AccessTypeProblem(const Buffer& buffer, std::span<const Expr> indices, const Expr& predicate) {
  if (indices.size() != buffer.shape().size()) {
    return fmt::format("{} has {} dimensions, indexed by {}", buffer.name(), buffer.shape().size(),
                       indices.size());
  }
  for (const Expr& i : indices) {
    if (!i.dtype().is_integer() || i.dtype().scalable) {
      return fmt::format("an index of type {}", i.dtype().ToString());
    }
  }
  const int64_t lanes = AccessLanes(buffer, indices);
  if (lanes < 0 || lanes > UINT16_MAX) return "indices of different vector lengths";
  if (predicate.get() && (!predicate.dtype().is_bool() || predicate.dtype().lanes != lanes)) {
    return fmt::format("a predicate of type {} for {} lanes", predicate.dtype().ToString(), lanes);
  }
  return "";
}

std::string RampTypeProblem(DataType base, DataType stride, int64_t lanes) {
  if (lanes < 2 || lanes > UINT16_MAX) return fmt::format("a ramp of {} lanes", lanes);
  if (base == stride && base.is_scalar() && base.is_integer()) return "";
  return fmt::format("a ramp from {} by {}", base.ToString(), stride.ToString());
}

std::string BroadcastTypeProblem(DataType value, int64_t lanes) {
  if (lanes < 2 || lanes > UINT16_MAX) return fmt::format("a broadcast to {} lanes", lanes);
  return value.is_scalar() && IsValue(value) ? "" : fmt::format("a broadcast of {}", value.ToString());
}

std::string ShuffleTypeProblem(std::span<const Expr> vectors, std::span<const int> lanes) {
  if (vectors.empty() || lanes.empty() || lanes.size() > UINT16_MAX) return "an empty shuffle";
  int64_t total = 0;
  for (const Expr& v : vectors) {
    if (v.dtype() != vectors[0].dtype() || v.dtype().scalable || !IsValue(v.dtype())) {
      return fmt::format("a shuffle of {} and {}", vectors[0].dtype().ToString(), v.dtype().ToString());
    }
    total += v.dtype().lanes;
  }
  for (int lane : lanes) {
    if (lane < 0 || lane >= total) return fmt::format("a shuffle picks lane {} of {}", lane, total);
  }
  return "";
}

std::string StoreTypeProblem(const Buffer& buffer, std::span<const Expr> indices, const Expr& predicate,
                             DataType value) {
  if (std::string problem = AccessTypeProblem(buffer, indices, predicate); !problem.empty()) return problem;
  const DataType expected = buffer.dtype().WithLanes(int(AccessLanes(buffer, indices)));
  if (value == expected) return "";
  return fmt::format("a store of {} where {} is expected", value.ToString(), expected.ToString());
}

std::string TypeProblem(const Expr& e) {
  return Dispatch(
      e,
      Overloaded{
          [](const VarNode&) { return std::string(); },
          [](const IntImmNode&) { return std::string(); },
          [](const FloatImmNode&) { return std::string(); },
          [](const StringImmNode&) { return std::string(); },
          [](const CastNode& n) { return CastTypeProblem(n.dtype, n.value.dtype()); },
          [](const BinaryNode& n) { return BinaryTypeProblem(n.op, n.a.dtype(), n.b.dtype()); },
          [](const NotNode& n) {
            return n.value.dtype().is_bool() ? "" : fmt::format("'!' of {}", n.value.dtype().ToString());
          },
          [](const SelectNode& n) {
            return ChoiceTypeProblem(true, n.condition.dtype(), n.true_value.dtype(), n.false_value.dtype());
          },
          [](const IfThenElseNode& n) {
            return ChoiceTypeProblem(false, n.condition.dtype(), n.true_value.dtype(), n.false_value.dtype());
          },
          [](const LetNode& n) {
            return n.var.dtype() == n.value.dtype() ? "" : fmt::format("a let of another type");
          },
          [](const CallNode& n) { return CallTypeProblem(n.op, n.dtype, n.args); },
          [](const LoadNode& n) {
            std::string problem = AccessTypeProblem(n.buffer, n.indices, n.predicate);
            if (!problem.empty() || n.dtype == MakeLoad(n.buffer, n.indices).dtype()) return problem;
            return fmt::format("a load from {} of type {}", n.buffer.name(), n.dtype.ToString());
          },
          [](const RampNode& n) { return RampTypeProblem(n.base.dtype(), n.stride.dtype(), n.dtype.lanes); },
          [](const BroadcastNode& n) { return BroadcastTypeProblem(n.value.dtype(), n.dtype.lanes); },
          [](const ShuffleNode& n) { return ShuffleTypeProblem(n.vectors, n.lanes); },
      });
}

}  // namespace tilewright
