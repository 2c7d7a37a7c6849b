// SPDX-License-Identifier: Apache-2.0
// Element-wise functions of two and three arguments with numpy broadcasting.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

enum class Result { kOperand, kBool };
enum class Domain { kAny, kNumber, kInteger, kBool };

struct BinaryRow {
  const char* name;
  const char* doc;
  Domain domain;
  Result result;
  Expr (*f)(const Expr& a, const Expr& b);
  /// The cotangents of a and b in the result's shape; null: there is no gradient.
  std::vector<Value> (*gradient)(const GradientContext& ctx) = nullptr;
};

template <BinaryOp op>
Expr Apply(const Expr& a, const Expr& b) {
  return MakeBinary(op, a, b);
}
template <Intrinsic op>
Expr ApplyBits(const Expr& a, const Expr& b) {
  return MakeCall(op, {a, b});
}

/// Integer division by zero has no value; 1 stands in so that no target traps.
Expr SafeDivisor(const Expr& b) { return MakeSelect(Eq(b, ConstLike(b, 0)), ConstLike(b, 1), b); }

Expr DivideOf(const Expr& a, const Expr& b) {
  return a.dtype().is_float() ? a / b : TruncDiv(a, SafeDivisor(b));
}
Expr FloorModOf(const Expr& a, const Expr& b) {
  if (!a.dtype().is_float()) return FloorMod(a, SafeDivisor(b));
  Expr r = TruncMod(a, b), zero = ConstLike(a, 0);
  Expr opposite = MakeBinary(BinaryOp::kAnd, Ne(r, zero), Ne(r < zero, b < zero));
  return MakeSelect(opposite, r + b, r);
}
Expr TruncModOf(const Expr& a, const Expr& b) {
  return a.dtype().is_float() ? TruncMod(a, b) : TruncMod(a, SafeDivisor(b));
}
/// A shift by the width or more, or by a negative amount, moves every bit out: 0 is left, or the sign where a
/// signed number is shifted to the right.
Expr Shift(Intrinsic op, const Expr& a, const Expr& b) {
  Expr inside = b < ConstLike(b, a.dtype().bits), rest = ConstLike(a, 0);
  if (b.dtype().is_int()) inside = MakeBinary(BinaryOp::kAnd, inside, b >= ConstLike(b, 0));
  if (op == Intrinsic::k_shift_right && a.dtype().is_int()) {
    rest = MakeSelect(a < ConstLike(a, 0), ConstLike(a, -1), rest);
  }
  return MakeSelect(inside, MakeCall(op, {a, MakeSelect(inside, b, ConstLike(b, 0))}), rest);
}

// ---- Gradients, g the cotangent of the result

using Context = const GradientContext&;
using Values = std::vector<Value>;

Values DivGradient(Context ctx) {
  Value over_b = ctx.Div(ctx.Cotangent(), ctx.Arg(1));
  return {over_b, ctx.Wanted(1) ? ctx.Neg(ctx.Mul(over_b, ctx.Result())) : nullptr};
}
/// All of g goes to the argument that is the result; to the first where both are.
Values ChoiceGradient(Context ctx, const Value& first) {
  const Value &g = ctx.Cotangent(), zero = ctx.Scalar(0, g);
  return {ctx.Call("Where", {first, g, zero}), ctx.Call("Where", {first, zero, g})};
}
Values PowGradient(Context ctx) {
  const Value &g = ctx.Cotangent(), &a = ctx.Arg(0);
  Value b = ctx.Arg(1), zero = ctx.Scalar(0, a);
  const DataType exponent = b.tensor().dtype;
  if (exponent != a.tensor().dtype) b = ctx.Call("Cast", {b}, {{"to", a.tensor().dtype}});
  Value lower = ctx.Call("Pow", {a, ctx.Sub(b, ctx.Scalar(1, b))});
  Value by_b;
  if (ctx.Wanted(1)) {
    // a^b is 0 for a = 0 and all positive b; for negative a there is no derivative by b.
    Value positive = ctx.Call("Less", {zero, a});
    Value log = ctx.Call("Log", {ctx.Call("Where", {positive, a, ctx.Scalar(1, a)})});
    by_b = ctx.Mul(g, ctx.Mul(ctx.Result(), log));
    if (exponent != a.tensor().dtype) by_b = ctx.Call("Cast", {by_b}, {{"to", exponent}});
  }
  return {ctx.Mul(g, ctx.Mul(b, lower)), by_b};
}

/// A gradient whose results have been broadcast as the arguments were.
Gradient SummedToArguments(Values (*f)(Context)) {
  return [f](Context ctx) {
    Values cotangents = f(ctx);
    for (size_t i = 0; i < cotangents.size(); ++i) {
      const bool wanted = cotangents[i] && ctx.Wanted(i);
      cotangents[i] = wanted ? ctx.SumTo(cotangents[i], ctx.Shape(i)) : nullptr;
    }
    return cotangents;
  };
}

const BinaryRow kRows[] = {
    {"Add", "a + b; integers wrap", Domain::kNumber, Result::kOperand, Apply<BinaryOp::kAdd>,
     [](Context ctx) { return Values{ctx.Cotangent(), ctx.Cotangent()}; }},
    {"Sub", "a - b; integers wrap", Domain::kNumber, Result::kOperand, Apply<BinaryOp::kSub>,
     [](Context ctx) { return Values{ctx.Cotangent(), ctx.Wanted(1) ? ctx.Neg(ctx.Cotangent()) : nullptr}; }},
    {"Mul", "a * b; integers wrap", Domain::kNumber, Result::kOperand, Apply<BinaryOp::kMul>,
     [](Context ctx) {
       const Value& g = ctx.Cotangent();
       return Values{ctx.Wanted(0) ? ctx.Mul(g, ctx.Arg(1)) : nullptr,
                     ctx.Wanted(1) ? ctx.Mul(g, ctx.Arg(0)) : nullptr};
     }},
    {"Div", "a / b; integers round towards zero", Domain::kNumber, Result::kOperand, DivideOf, DivGradient},
    {"FloorMod", "remainder with the divisor's sign", Domain::kNumber, Result::kOperand, FloorModOf},
    {"TruncMod", "remainder with the dividend's sign", Domain::kNumber, Result::kOperand, TruncModOf},
    {"Minimum", "the smaller; NaN if either is", Domain::kNumber, Result::kOperand, Apply<BinaryOp::kMin>,
     [](Context ctx) { return ChoiceGradient(ctx, ctx.Call("LessEqual", {ctx.Arg(0), ctx.Arg(1)})); }},
    {"Maximum", "the larger; NaN if either is", Domain::kNumber, Result::kOperand, Apply<BinaryOp::kMax>,
     [](Context ctx) { return ChoiceGradient(ctx, ctx.Call("LessEqual", {ctx.Arg(1), ctx.Arg(0)})); }},
    {"Equal", "a == b", Domain::kAny, Result::kBool, Apply<BinaryOp::kEq>},
    {"NotEqual", "a != b", Domain::kAny, Result::kBool, Apply<BinaryOp::kNe>},
    {"Less", "a < b", Domain::kNumber, Result::kBool, Apply<BinaryOp::kLt>},
    {"LessEqual", "a <= b", Domain::kNumber, Result::kBool, Apply<BinaryOp::kLe>},
    {"And", "logical and", Domain::kBool, Result::kBool, Apply<BinaryOp::kAnd>},
    {"Or", "logical or", Domain::kBool, Result::kBool, Apply<BinaryOp::kOr>},
    {"Xor", "logical exclusive or", Domain::kBool, Result::kBool, Apply<BinaryOp::kNe>},
    {"BitwiseAnd", "and of all bits", Domain::kInteger, Result::kOperand, ApplyBits<Intrinsic::k_bit_and>},
    {"BitwiseOr", "or of all bits", Domain::kInteger, Result::kOperand, ApplyBits<Intrinsic::k_bit_or>},
    {"BitwiseXor", "exclusive or of all bits", Domain::kInteger, Result::kOperand,
     ApplyBits<Intrinsic::k_bit_xor>},
    {"ShiftLeft", "a << b; 0 where b is no bit position", Domain::kInteger, Result::kOperand,
     [](const Expr& a, const Expr& b) { return Shift(Intrinsic::k_shift_left, a, b); }},
    {"ShiftRight", "a >> b; only the sign is left where b is no bit position", Domain::kInteger,
     Result::kOperand, [](const Expr& a, const Expr& b) { return Shift(Intrinsic::k_shift_right, a, b); }},
};

void CheckDomain(const InferContext& ctx, Domain domain) {
  DataType t = ctx.Input(0).dtype;
  bool number = t.is_float() || t.is_integer();
  bool fine = domain == Domain::kAny || (domain == Domain::kNumber && number) ||
              (domain == Domain::kInteger && t.is_integer()) || (domain == Domain::kBool && t.is_bool());
  if (!fine) ctx.Fail("TW2112", fmt::format("there is no such operation on {}", t.ToString()));
}

std::vector<te::Tensor> LowerBroadcast(const LowerContext& ctx,
                                       const std::function<Expr(const std::vector<Expr>&)>& f) {
  return {ctx.Compute([&](const Indices& i) {
    std::vector<Expr> args;
    for (size_t k = 0; k < ctx.size(); ++k) args.push_back(ctx.ReadBroadcast(k, i));
    return InComputeType(ctx.OutputType().dtype, args, f);
  })};
}

OpDef BroadcastOp(std::string name, std::string doc) {
  OpDef def;
  def.name = std::move(name);
  def.doc = std::move(doc);
  def.inputs = {{"a"}, {"b"}};
  def.pattern = FusePattern::kBroadcast;
  def.layout_agnostic = true;
  return def;
}

OpDef MakeRow(const BinaryRow& row) {
  OpDef def = BroadcastOp(row.name, row.doc);
  def.infer = [domain = row.domain, result = row.result](const InferContext& ctx) {
    CheckDomain(ctx, domain);
    RequireSameDType(ctx, 0, 1);
    return InferBroadcast(ctx, result == Result::kBool ? kBool : ctx.Input(0).dtype);
  };
  def.lower = [f = row.f](const LowerContext& ctx) {
    return LowerBroadcast(ctx, [&](const std::vector<Expr>& x) { return f(x[0], x[1]); });
  };
  if (row.gradient) def.gradient = SummedToArguments(row.gradient);
  return def;
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const BinaryRow& row : kRows) OpRegistry::Register(MakeRow(row));
  return true;
}();

/// base^n for integers, by squaring; a negative exponent gives what truncation of the real power would. Of
/// powers beyond the 63rd only those of 0, 1 and -1 are in the range of a type; of those that are not, the
/// even bases' wrap to 0, and the others' have no defined value.
Expr IntegerPower(const Expr& base, const Expr& exponent) {
  const DataType t = base.dtype();
  Expr one = MakeConst(t, 1), result = one, square = base, e = MakeCast(kI64, exponent);
  for (int bit = 0; bit < 6; ++bit) {  // 2^63 is the largest power that any integer type holds
    Expr set =
        Ne(MakeCall(Intrinsic::k_bit_and, {e, MakeConst(kI64, int64_t{1} << bit)}), MakeConst(kI64, 0));
    result = MakeSelect(set, result * square, result);
    square = square * square;
  }
  Expr zero = MakeConst(t, 0);
  Expr even = Eq(MakeCall(Intrinsic::k_bit_and, {base, one}), zero);
  result = MakeSelect(MakeBinary(BinaryOp::kAnd, even, e > MakeConst(kI64, 63)), zero, result);
  Expr low = MakeSelect(Eq(base, one), one, zero);
  if (t.is_int()) {
    Expr odd = Ne(MakeCall(Intrinsic::k_bit_and, {e, MakeConst(kI64, 1)}), MakeConst(kI64, 0));
    low = MakeSelect(Eq(base, MakeConst(t, -1)), MakeSelect(odd, MakeConst(t, -1), one), low);
  }
  return MakeSelect(e < MakeConst(kI64, 0), low, result);
}

Expr PowerOf(const Expr& base, const Expr& exponent) {
  if (!base.dtype().is_float() && !exponent.dtype().is_float()) return IntegerPower(base, exponent);
  DataType t = base.dtype().is_float() ? ComputeType(base.dtype())
                                       : (exponent.dtype() == kF64 || base.dtype().bits > 16 ? kF64 : kF32);
  Expr power = MakeCall(Intrinsic::k_pow, {MakeCast(t, base), MakeCast(t, exponent)});
  // A power of integers that is an integer may come out a few units in the last place below it.
  if (!base.dtype().is_float()) power = power * MakeConst(t, t == kF64 ? 1 + 0x1p-46 : 1 + 0x1p-20);
  return MakeCast(base.dtype(), power);
}

TW_OP(Pow) = [] {
  OpDef def = BroadcastOp("Pow", "a^b in a's type; the exponent may have another type");
  def.infer = [](const InferContext& ctx) { return InferBroadcast(ctx, ctx.Input(0).dtype); };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute(
        [&](const Indices& i) { return PowerOf(ctx.ReadBroadcast(0, i), ctx.ReadBroadcast(1, i)); })};
  };
  def.gradient = SummedToArguments(PowGradient);
  return def;
}();

TW_OP(PRelu) = [] {
  OpDef def = BroadcastOp("PRelu", "x < 0 ? slope * x : x");
  def.inputs = {{"x"}, {"slope"}};
  def.infer = [](const InferContext& ctx) {
    RequireSameDType(ctx, 0, 1);
    return InferBroadcast(ctx, ctx.Input(0).dtype);
  };
  def.lower = [](const LowerContext& ctx) {
    return LowerBroadcast(ctx, [](const std::vector<Expr>& x) {
      return MakeSelect(x[0] < ConstLike(x[0], 0), x[1] * x[0], x[0]);
    });
  };
  return def;
}();

TW_OP(Where) = [] {
  OpDef def = BroadcastOp("Where", "condition ? a : b");
  def.inputs = {{"condition"}, {"a"}, {"b"}};
  def.infer = [](const InferContext& ctx) {
    RequireDType(ctx, 0, kBool);
    RequireSameDType(ctx, 1, 2);
    return InferBroadcast(ctx, ctx.Input(1).dtype);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) {
      return MakeSelect(ctx.ReadBroadcast(0, i), ctx.ReadBroadcast(1, i), ctx.ReadBroadcast(2, i));
    })};
  };
  def.gradient = SummedToArguments([](Context ctx) {
    Values of_choice = ChoiceGradient(ctx, ctx.Arg(0));
    return Values{nullptr, of_choice[0], of_choice[1]};
  });
  return def;
}();

}  // namespace
}  // namespace tilewright
