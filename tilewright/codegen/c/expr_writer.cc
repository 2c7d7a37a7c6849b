// SPDX-License-Identifier: Apache-2.0
// Expressions, loads and stores.
#include <fmt/format.h>

#include <bit>
#include <cmath>
#include <optional>

#include "tilewright/codegen/c/kernel_writer.h"
#include "tilewright/ir/float16.h"

namespace tilewright::c_codegen {

namespace {

std::string InParentheses(const Text& text, int strength) {
  return text.strength < strength ? "(" + text.s + ")" : text.s;
}

std::string IntegerLiteral(DataType t, int64_t value) {
  if (t.is_bool()) return value ? "true" : "false";
  if (t.is_uint() && t.bits == 64)
    return fmt::format("{}u{}", uint64_t(value), uint64_t(value) > UINT32_MAX ? "ll" : "");
  if (t.is_uint() && t.bits == 32) return fmt::format("{}u", uint32_t(value));
  if (value == INT64_MIN) return "INT64_MIN";
  if (value == INT32_MIN) return "INT32_MIN";
  return value > INT32_MAX || value < INT32_MIN ? fmt::format("{}ll", value) : fmt::format("{}", value);
}

std::string FloatLiteral(DataType t, double value) {
  if (t.bits == 16)
    return fmt::format("0x{:04x}",
                       t.code == TypeCode::kFloat ? DoubleToHalf(value) : DoubleToBFloat16(value));
  const char* cast = t.bits == 64 ? "(f64)" : "";
  if (std::isnan(value)) return fmt::format("{}NAN", cast);
  if (std::isinf(value)) return fmt::format("{}{}INFINITY", value < 0 ? "-" : "", cast);
  std::string digits = t.bits == 64 ? fmt::format("{}", value) : fmt::format("{}", float(value));
  if (digits.find_first_of(".e") == std::string::npos) digits += ".0";
  return digits + (t.bits == 64 ? "" : "f");
}

/// The number by which all lanes are shifted, where it is one constant.
std::optional<int64_t> ConstantAmount(const Expr& e) {
  auto* same = e.As<BroadcastNode>();
  return AsInt(same ? same->value : e);
}

/// The unsigned type whose arithmetic wraps as that of `t` shall.
DataType Wrapping(DataType t) { return DataType::UInt(t.is_scalar() && t.bits < 32 ? 32 : t.bits, t.lanes); }

}  // namespace

const std::string& KernelWriter::NameOf(const Buffer& buffer) const {
  auto it = buffers_.find(buffer.get());
  TW_CHECK(it != buffers_.end(), "buffer {} is neither a parameter nor allocated here", buffer.name());
  return it->second;
}

std::string KernelWriter::Temporary(DataType t, const std::string& value) {
  const std::string name = names_.Declare("t");
  Line(fmt::format("const {} {} = {};", support_.Type(t), name, value));
  return name;
}

std::string KernelWriter::Emit(const Expr& e, int strength) { return InParentheses(Emit(e), strength); }

Text KernelWriter::Emit(const Expr& e) {
  if (e.kind() == ExprKind::kVar || e.kind() == ExprKind::kIntImm || e.kind() == ExprKind::kFloatImm)
    return EmitNode(e);
  for (size_t i = memo_.size(); i-- > barrier_;) {
    auto it = memo_[i].find(e.get());
    if (it != memo_[i].end()) return {it->second};
  }
  Text text = EmitNode(e);
  auto it = uses_.find(e.get());
  if (it == uses_.end() || it->second < 2) return text;
  const std::string name = Temporary(e.dtype(), text.s);
  memo_.back().emplace(e.get(), name);
  return {name};
}

bool KernelWriter::IsNonNegative(const Expr& e) const {
  if (auto value = AsInt(e)) return *value >= 0;
  if (auto* var = e.As<VarNode>()) return nonnegative_.contains(var);
  if (auto* n = e.As<BinaryNode>()) {
    switch (n->op) {
      case BinaryOp::kAdd:
      case BinaryOp::kMul:
      case BinaryOp::kFloorDiv:
      case BinaryOp::kMin:
      case BinaryOp::kTruncDiv:
      case BinaryOp::kTruncMod:
        return IsNonNegative(n->a) && IsNonNegative(n->b);
      case BinaryOp::kMax:
        return IsNonNegative(n->a) || IsNonNegative(n->b);
      case BinaryOp::kFloorMod:
        return IsNonNegative(n->b);
      default:
        return false;
    }
  }
  return false;
}

Text KernelWriter::EmitConstant(DataType t, const std::string& scalar) {
  if (t.is_scalar()) return {scalar, scalar[0] == '-' || scalar[0] == '(' ? kUnary : kPostfix};
  return {fmt::format("{}({})", support_.Splat(t), scalar)};
}

Text KernelWriter::EmitNode(const Expr& e) {
  if (e.dtype().is_bool() && !e.dtype().is_scalar()) {
    bool made = true;
    return EmitMaskNode(e, 8, made);
  }
  return Dispatch(
      e,
      Overloaded{
          [&](const VarNode& n) {
            auto it = vars_.find(&n);
            TW_CHECK(it != vars_.end(), "variable {} is not defined here", n.name);
            return Text{it->second};
          },
          [&](const IntImmNode& n) { return EmitConstant(n.dtype, IntegerLiteral(n.dtype, n.value)); },
          [&](const FloatImmNode& n) { return EmitConstant(n.dtype, FloatLiteral(n.dtype, n.value)); },
          [&](const StringImmNode& n) -> Text { TW_CHECK(false, "string \"{}\" used as a value", n.value); },
          [&](const CastNode& n) { return EmitCast(n.value.dtype(), n.dtype, n.value); },
          [&](const BinaryNode& n) { return EmitBinary(n); },
          [&](const NotNode& n) { return Text{"!" + Emit(n.value, kUnary), kUnary}; },
          [&](const SelectNode& n) -> Text {
            if (n.condition.dtype().is_scalar()) {
              const std::string c = Emit(n.condition, kOr), t = Emit(n.true_value, kOr);
              return {fmt::format("{} ? {} : {}", c, t, Emit(n.false_value, kConditional)), kConditional};
            }
            const std::string mask = EmitMask(n.condition, int(n.dtype.element_bytes()) * 8).s;
            const std::string t = Emit(n.true_value, kConditional);
            return {fmt::format("{}({}, {}, {})", support_.Select(n.dtype), mask, t,
                                Emit(n.false_value, kConditional))};
          },
          [&](const IfThenElseNode& n) { return EmitIfThenElse(n); },
          [&](const LetNode& n) { return EmitLet(n); },
          [&](const CallNode& n) { return EmitCall(n); },
          [&](const LoadNode& n) { return EmitLoad(n); },
          [&](const RampNode& n) {
            const std::string base = Emit(n.base, kConditional);
            return Text{
                fmt::format("{}({}, {})", support_.Ramp(n.dtype), base, Emit(n.stride, kConditional))};
          },
          [&](const BroadcastNode& n) {
            return Text{fmt::format("{}({})", support_.Splat(n.dtype), Emit(n.value, kConditional))};
          },
          [&](const ShuffleNode& n) { return EmitShuffle(n); },
      });
}

// ---- Operators

Text KernelWriter::EmitBinary(const BinaryNode& n) {
  const DataType t = n.a.dtype();
  auto infix = [&](const char* op, int strength, int left, int right) {
    const std::string a = Emit(n.a, left);
    return Text{fmt::format("{} {} {}", a, op, Emit(n.b, right)), strength};
  };
  auto function = [&] {
    const std::string a = Emit(n.a, kConditional);
    return Text{fmt::format("{}({}, {})", support_.BinaryFunction(n.op, t), a, Emit(n.b, kConditional))};
  };
  if (t.is_bool()) {
    if (n.op == BinaryOp::kAnd || n.op == BinaryOp::kMin) return infix("&&", kAnd, kAnd, kCompare);
    if (n.op == BinaryOp::kOr || n.op == BinaryOp::kMax) return infix("||", kOr, kCompare, kCompare);
  }
  if (t.is_float() && t.bits == 16) return function();
  if (IsComparison(n.op)) {
    const std::string op(BinaryOpText(n.op));
    return infix(op.c_str(), kCompare, kSum, kSum);
  }
  if (n.op == BinaryOp::kMin || n.op == BinaryOp::kMax) return function();
  if (!t.is_float()) return EmitInteger(n);
  switch (n.op) {
    case BinaryOp::kAdd:
      return infix("+", kSum, kSum, kProduct);
    case BinaryOp::kSub:
      return infix("-", kSum, kSum, kProduct);
    case BinaryOp::kMul:
      return infix("*", kProduct, kProduct, kUnary);
    case BinaryOp::kDiv:
      return infix("/", kProduct, kProduct, kUnary);
    default:
      return function();
  }
}

// Indices are C's own arithmetic, as overflow is open there too; other types wrap, which C's unsigned ones
// do.
Text KernelWriter::EmitInteger(const BinaryNode& n) {
  const DataType t = n.dtype;
  const bool sums = n.op == BinaryOp::kAdd || n.op == BinaryOp::kSub || n.op == BinaryOp::kMul;
  if (sums) {
    const char op = n.op == BinaryOp::kAdd ? '+' : n.op == BinaryOp::kSub ? '-' : '*';
    const int strength = n.op == BinaryOp::kMul ? kProduct : kSum;
    auto constant = AsInt(n.b);
    if (t == DataType::Index() && n.op == BinaryOp::kAdd && constant && *constant < 0 &&
        *constant > INT64_MIN)
      return {fmt::format("{} - {}", Emit(n.a, kSum), IntegerLiteral(t, -*constant)), kSum};
    if (t == DataType::Index() || (t.is_uint() && t.bits >= 32)) {
      const std::string a = Emit(n.a, strength);
      return {fmt::format("{} {} {}", a, op, Emit(n.b, strength + 1)), strength};
    }
    const std::string wide = support_.Type(Wrapping(t)), type = support_.Type(t);
    const std::string a = Emit(n.a, kUnary);
    return {fmt::format("({})(({}){} {} ({}){})", type, wide, a, op, wide, Emit(n.b, kUnary)), kUnary};
  }
  const auto divisor = AsInt(n.b);
  const bool floor = n.op == BinaryOp::kFloorDiv || n.op == BinaryOp::kFloorMod;
  if (t.is_scalar() && divisor && *divisor > 0 && (t.is_uint() || !floor || IsNonNegative(n.a))) {
    const bool quotient = n.op == BinaryOp::kFloorDiv || n.op == BinaryOp::kTruncDiv;
    return {fmt::format("{} {} {}", Emit(n.a, kProduct), quotient ? '/' : '%', IntegerLiteral(t, *divisor)),
            kProduct};
  }
  const std::string a = Emit(n.a, kConditional);
  return {fmt::format("{}({}, {})", support_.BinaryFunction(n.op, t), a, Emit(n.b, kConditional))};
}

Text KernelWriter::EmitMask(const Expr& e, int bits) {
  if (bits == 8) return Emit(e);
  auto used = uses_.find(e.get());
  if (used == uses_.end() || used->second < 2) {
    bool made = true;
    Text text = EmitMaskNode(e, bits, made);
    if (made) return text;
  }
  const std::string mask = Emit(e, kConditional);
  return {fmt::format("__builtin_convertvector({}, {})", mask, support_.MaskType(bits, e.dtype().lanes))};
}

// As a mask of that width, or `made` is false: it has another width by nature.
Text KernelWriter::EmitMaskNode(const Expr& e, int bits, bool& made) {
  made = true;
  const int lanes = e.dtype().lanes;
  auto converted = [&](const std::string& mask, int from) -> Text {
    if (from == bits) return {mask};
    return {fmt::format("__builtin_convertvector({}, {})", mask, support_.MaskType(bits, lanes))};
  };
  if (auto* n = e.As<BinaryNode>()) {
    const bool bools = n->a.dtype().is_bool();
    const int width = bools ? bits : int(n->a.dtype().element_bytes()) * 8;
    auto operand = [&](const Expr& x) { return bools ? EmitMask(x, bits).s : Emit(x, kSum); };
    const std::string a = operand(n->a), b = operand(n->b);
    if (n->a.dtype().is_float() && n->a.dtype().bits == 16)
      return converted(fmt::format("{}({}, {})", support_.BinaryFunction(n->op, n->a.dtype()), a, b), 16);
    if (IsComparison(n->op)) {
      // true, which is -1 here, is less than false only as a number.
      const bool swapped = bools && (n->op == BinaryOp::kLt || n->op == BinaryOp::kLe);
      return converted(fmt::format("({} {} {})", swapped ? b : a, BinaryOpText(n->op), swapped ? a : b),
                       width);
    }
    const bool both = n->op == BinaryOp::kAnd || n->op == BinaryOp::kMin;
    return {fmt::format("({} {} {})", a, both ? '&' : '|', b)};
  }
  if (auto* n = e.As<NotNode>()) return {"~" + EmitMask(n->value, bits).s, kUnary};
  if (auto* n = e.As<BroadcastNode>(); n && bits == 8)
    return {fmt::format("{}({})", support_.Splat(e.dtype()), Emit(n->value, kConditional))};
  if (auto* n = e.As<IntImmNode>(); n && bits == 8)
    return EmitConstant(n->dtype, n->value ? "true" : "false");
  if (bits != 8) {
    made = false;
    return {};
  }
  if (auto* n = e.As<SelectNode>()) {
    const std::string t = EmitMask(n->true_value, 8).s, f = EmitMask(n->false_value, 8).s;
    if (n->condition.dtype().is_scalar())
      return {fmt::format("({} ? {} : {})", Emit(n->condition, kOr), t, f)};
    return {fmt::format("{}({}, {}, {})", support_.Select(e.dtype()), EmitMask(n->condition, 8).s, t, f)};
  }
  if (auto* n = e.As<VarNode>()) return {vars_.at(n)};
  if (auto* n = e.As<CastNode>()) return EmitCast(n->value.dtype(), n->dtype, n->value);
  if (auto* n = e.As<LoadNode>()) return EmitLoad(*n);
  if (auto* n = e.As<CallNode>()) return EmitCall(*n);
  if (auto* n = e.As<ShuffleNode>()) return EmitShuffle(*n);
  if (auto* n = e.As<IfThenElseNode>()) return EmitIfThenElse(*n);
  if (auto* n = e.As<LetNode>()) return EmitLet(*n);
  TW_CHECK(false, "{} has no form as a mask", ToString(e));
}

// Only the chosen value may be evaluated: what it needs in front of it goes into a branch.
Text KernelWriter::EmitIfThenElse(const IfThenElseNode& n) {
  const std::string condition = Emit(n.condition, kOr);
  auto branch = [&](const Expr& value) {
    std::string outside = std::exchange(out_, {});
    names_.Push();
    memo_.emplace_back();
    ++depth_;
    std::string text = Emit(value, kOr);
    --depth_;
    memo_.pop_back();
    names_.Pop();
    return std::pair(std::exchange(out_, std::move(outside)), text);
  };
  const auto [then_lines, then_value] = branch(n.true_value);
  const auto [else_lines, else_value] = branch(n.false_value);
  if (then_lines.empty() && else_lines.empty())
    return {fmt::format("{} ? {} : {}", condition, then_value, else_value), kConditional};
  // A name that neither branch has declared.
  const std::string name = names_.Declare("chosen");
  Line(fmt::format("{} {};", support_.Type(n.dtype), name));
  Line(fmt::format("if ({}) {{", condition));
  out_ += then_lines;
  Line(fmt::format("  {} = {};", name, then_value));
  Line("} else {");
  out_ += else_lines;
  Line(fmt::format("  {} = {};", name, else_value));
  Line("}");
  return {name};
}

Text KernelWriter::EmitLet(const LetNode& n) {
  const bool shadows = vars_.contains(n.var.operator->());
  if (n.var.dtype().is_integer() && n.var.dtype().is_scalar() && IsNonNegative(n.value))
    nonnegative_.insert(n.var.operator->());
  Define(n.var, Emit(n.value, kConditional));
  memo_.emplace_back();
  const size_t barrier = barrier_;
  if (shadows) barrier_ = memo_.size() - 1;
  Text text = Emit(n.body);
  barrier_ = barrier;
  memo_.pop_back();
  return text;
}

// ---- Conversions, calls, lanes

Text KernelWriter::EmitCast(DataType from, DataType to, const Expr& value) {
  if (from == to) return Emit(value);
  const bool half = (from.is_float() && from.bits == 16) || (to.is_float() && to.bits == 16);
  if (from.is_bool() && !from.is_scalar()) {
    // A mask's -1 is 1 elsewhere.
    const int bits = half ? 32 : int(to.element_bytes()) * 8;
    const DataType ones = DataType::Int(bits, to.lanes);
    const std::string number = fmt::format("({} & 1)", EmitMask(value, bits).s);
    if (half) return {fmt::format("{}({})", support_.ConvertHalf(ones, to), number)};
    return {fmt::format("__builtin_convertvector({}, {})", number, support_.Type(to))};
  }
  if (half && !to.is_bool())
    return {fmt::format("{}({})", support_.ConvertHalf(from, to), Emit(value, kConditional))};
  if (to.is_bool()) {
    if (to.is_scalar()) {
      if (half) return {fmt::format("{}({})", support_.ConvertHalf(from, to), Emit(value, kConditional))};
      return {fmt::format("{} != 0", Emit(value, kSum)), kCompare};
    }
    const DataType wide = half ? DataType::Float(32, from.lanes) : from;
    std::string v = Emit(value, kSum);
    if (half) v = fmt::format("{}({})", support_.ConvertHalf(from, wide), v);
    return {fmt::format("__builtin_convertvector({} != 0, {})", v, support_.MaskType(8, to.lanes))};
  }
  const bool via_int = from.is_float() && to.is_integer() && to.bits < 32;
  if (to.is_scalar()) {
    const std::string v = Emit(value, kUnary);
    return {fmt::format("({}){}{}", support_.Type(to), via_int ? "(i32)" : "", v), kUnary};
  }
  std::string v = Emit(value, kConditional);
  if (via_int)
    v = fmt::format("__builtin_convertvector({}, {})", v, support_.Type(DataType::Int(32, to.lanes)));
  return {fmt::format("__builtin_convertvector({}, {})", v, support_.Type(to))};
}

Text KernelWriter::EmitCall(const CallNode& n) {
  TW_CHECK(GetIntrinsicInfo(n.op).pure, "{} inside an expression", GetIntrinsicInfo(n.op).name);
  const DataType t = n.args[0].dtype();
  switch (n.op) {
    case Intrinsic::k_likely:
      return Emit(n.args[0]);
    case Intrinsic::k_reinterpret:
      return {fmt::format("{}({})", support_.Reinterpret(t, n.dtype), Emit(n.args[0], kConditional))};
    case Intrinsic::k_bit_and:
    case Intrinsic::k_bit_or:
    case Intrinsic::k_bit_xor:
    case Intrinsic::k_bit_not:
      return EmitBits(n);
    case Intrinsic::k_shift_left:
    case Intrinsic::k_shift_right:
      if (auto amount = ConstantAmount(n.args[1]); amount && *amount >= 0 && *amount < t.bits)
        return EmitShift(n, *amount);
      break;
    case Intrinsic::k_floor:
    case Intrinsic::k_ceil:
    case Intrinsic::k_trunc:
    case Intrinsic::k_round:
      if (!t.is_float()) return Emit(n.args[0]);
      break;
    case Intrinsic::k_abs:
      if (t.is_uint()) return Emit(n.args[0]);
      break;
    case Intrinsic::k_isnan:
    case Intrinsic::k_isinf:
      if (!t.is_float()) return EmitConstant(n.dtype, "false");
      break;
    case Intrinsic::k_vector_reduce_add:
    case Intrinsic::k_vector_reduce_max:
    case Intrinsic::k_vector_reduce_min:
      if (t.is_scalar()) return Emit(n.args[0]);
      break;
    default:
      break;
  }
  std::string args;
  for (const Expr& arg : n.args) args += (args.empty() ? "" : ", ") + Emit(arg, kConditional);
  return {fmt::format("{}({})", support_.IntrinsicFunction(n.op, t), args)};
}

Text KernelWriter::EmitShift(const CallNode& n, int64_t amount) {
  const std::string type = support_.Type(n.dtype), x = Emit(n.args[0], kUnary);
  if (n.op == Intrinsic::k_shift_right) return {fmt::format("({})({} >> {})", type, x, amount), kUnary};
  return {fmt::format("({})(({}){} << {})", type, support_.Type(Wrapping(n.dtype)), x, amount), kUnary};
}

Text KernelWriter::EmitBits(const CallNode& n) {
  const std::string type = support_.Type(n.dtype), a = Emit(n.args[0], kUnary);
  if (n.op == Intrinsic::k_bit_not) {
    if (n.dtype.is_bool()) return {"!" + a, kUnary};
    return {fmt::format("({})~{}", type, a), kUnary};
  }
  const char op = n.op == Intrinsic::k_bit_and ? '&' : n.op == Intrinsic::k_bit_or ? '|' : '^';
  return {fmt::format("({} {} {})", a, op, Emit(n.args[1], kUnary))};
}

Text KernelWriter::EmitShuffle(const ShuffleNode& n) {
  const DataType first = n.vectors.front().dtype();
  std::vector<std::string> parts;
  for (const Expr& v : n.vectors) {
    TW_CHECK(v.dtype() == first, "shuffle of {} and {}", first.ToString(), v.dtype().ToString());
    const std::string part = Emit(v, kConditional);
    parts.push_back(v.kind() == ExprKind::kVar ? part : Temporary(first, part));
  }
  auto lane = [&](int k) {
    const int at = n.lanes[size_t(k)];
    TW_CHECK(at >= 0 && size_t(at) < parts.size() * first.lanes, "lane {}", at);
    const std::string& part = parts[size_t(at / first.lanes)];
    if (first.is_scalar()) return (first.is_bool() && n.lanes.size() > 1 ? "-" : "") + part;
    return fmt::format("{}[{}]", part, at % first.lanes);
  };
  const int lanes = int(n.lanes.size());
  if (lanes == 1)
    return {first.is_bool() && !first.is_scalar() ? fmt::format("({} != 0)", lane(0)) : lane(0)};
  return {fmt::format("({}){{{}}}", support_.Type(n.dtype), Listed(lanes, lane))};
}

// ---- Memory

// The name of a vector of indices.
std::string KernelWriter::IndexVector(const Expr& index) {
  const std::string text = Emit(index, kConditional);
  return index.kind() == ExprKind::kVar ? text : Temporary(index.dtype(), text);
}

namespace {

using Access = Support::Access;

const Expr& OnlyIndex(const Buffer& buffer, const std::vector<Expr>& indices) {
  TW_CHECK(indices.size() == 1 && buffer->strides.empty() && !buffer->offset, "buffer {} is not flat",
           buffer.name());
  return indices[0];
}

/// The first index where lanes follow one another.
const Expr* Consecutive(const Expr& index) {
  auto* ramp = index.As<RampNode>();
  return ramp && IsInt(ramp->stride, 1) ? &ramp->base : nullptr;
}

}  // namespace

Text KernelWriter::EmitLoad(const LoadNode& n) {
  const std::string& name = NameOf(n.buffer);
  const Expr& index = OnlyIndex(n.buffer, n.indices);
  const char* test = n.dtype.is_bool() ? " != 0" : "";
  if (n.dtype.is_scalar()) {
    const std::string element = fmt::format("{}[{}]{}", name, Emit(index, kConditional), test);
    if (!n.predicate) return {element, n.dtype.is_bool() ? kCompare : kPostfix};
    return {fmt::format("{} ? {} : 0", Emit(n.predicate, kOr), element), kConditional};
  }
  if (auto* same = index.As<BroadcastNode>(); same && !n.predicate)
    return {
        fmt::format("{}({}[{}]{})", support_.Splat(n.dtype), name, Emit(same->value, kConditional), test)};
  if (const Expr* first = Consecutive(index)) {
    const std::string mask = n.predicate ? ", " + EmitMask(n.predicate, 8).s : "";
    const Access access = n.predicate ? Access::kLoadIf : Access::kLoad;
    const std::string at = IsInt(*first, 0) ? name : fmt::format("&{}[{}]", name, Emit(*first, kConditional));
    return {fmt::format("{}({}{})", support_.Memory(access, n.dtype), at, mask)};
  }
  const std::string at = IndexVector(index);
  const std::string chosen = n.predicate ? Temporary(n.predicate.dtype(), EmitMask(n.predicate, 8).s) : "";
  auto lane = [&](int i) {
    std::string value = fmt::format("{}[{}[{}]]", name, at, i);
    if (n.dtype.is_bool()) value = fmt::format("-({} != 0)", value);
    return n.predicate ? fmt::format("{}[{}] ? {} : 0", chosen, i, value) : value;
  };
  return {fmt::format("({}){{{}}}", support_.Type(n.dtype), Listed(n.dtype.lanes, lane))};
}

void KernelWriter::EmitStore(const StoreNode& n) {
  const std::string& name = NameOf(n.buffer);
  const Expr& index = OnlyIndex(n.buffer, n.indices);
  BeginStatement({n.value, index, n.predicate});
  const DataType t = n.value.dtype();
  const std::string value = Emit(n.value, kConditional);
  if (t.is_scalar() && index.dtype().is_scalar()) {
    const std::string at = Emit(index, kConditional);
    const std::string condition = n.predicate ? fmt::format("if ({}) ", Emit(n.predicate, kConditional)) : "";
    return Line(fmt::format("{}{}[{}] = {};", condition, name, at, value));
  }
  if (const Expr* first = Consecutive(index)) {
    const std::string mask = n.predicate ? ", " + EmitMask(n.predicate, 8).s : "";
    const Access access = n.predicate ? Access::kStoreIf : Access::kStore;
    const std::string at = IsInt(*first, 0) ? name : fmt::format("&{}[{}]", name, Emit(*first, kConditional));
    return Line(fmt::format("{}({}, {}{});", support_.Memory(access, t), at, value, mask));
  }
  const std::string at = IndexVector(index), values = Temporary(t, value);
  const std::string chosen = n.predicate ? Temporary(n.predicate.dtype(), EmitMask(n.predicate, 8).s) : "";
  for (int i = 0; i < t.lanes; ++i) {
    const std::string condition = n.predicate ? fmt::format("if ({}[{}]) ", chosen, i) : "";
    const char* sign = t.is_bool() ? "(u8)-" : "";
    Line(fmt::format("{}{}[{}[{}]] = {}{}[{}];", condition, name, at, i, sign, values, i));
  }
}

}  // namespace tilewright::c_codegen
