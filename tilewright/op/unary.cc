// SPDX-License-Identifier: Apache-2.0
// Element-wise functions of one argument, without attributes.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

enum class Domain { kAny, kNumber, kFloat, kBool, kInteger };

struct UnaryRow {
  const char* name;
  const char* doc;
  Domain domain;
  Expr (*f)(const Expr& x);
  /// The cotangent of x; null: there is no gradient.
  Value (*gradient)(const GradientContext& ctx) = nullptr;
};

template <Intrinsic op>
Expr Apply(const Expr& x) {
  return MakeCall(op, {x});
}

Expr AbsOf(const Expr& x) {
  if (x.dtype().is_uint()) return x;
  if (x.dtype().is_float()) return MakeCall(Intrinsic::k_abs, {x});
  return MakeSelect(x < ConstLike(x, 0), -x, x);
}

/// NaN stays NaN, zeros keep their sign.
Expr SignOf(const Expr& x) {
  Expr one = ConstLike(x, 1), zero = ConstLike(x, 0);
  if (x.dtype().is_uint()) return MakeSelect(x > zero, one, zero);
  return MakeSelect(x > zero, one, MakeSelect(x < zero, ConstLike(x, -1), x));
}

/// log(1 + e^x), without overflow for large x.
Expr SoftplusOf(const Expr& x) {
  Expr decayed = MakeCall(Intrinsic::k_exp, {-MakeCall(Intrinsic::k_abs, {x})});
  return Max(x, ConstLike(x, 0)) + MakeCall(Intrinsic::k_log1p, {decayed});
}

// ---- Gradients, g the cotangent of y = f(x)

using Context = const GradientContext&;

Value Scaled(Context ctx, const Value& x, double factor) { return ctx.Mul(x, ctx.Scalar(factor, x)); }
/// Of a function that is constant between its jumps.
Value NoSlope(Context) { return nullptr; }
Value ReluGradient(Context ctx) {
  const Value &g = ctx.Cotangent(), &x = ctx.Arg(0);
  return ctx.Call("Where", {ctx.Call("Less", {ctx.Scalar(0, x), x}), g, ctx.Scalar(0, g)});
}
Value ReciprocalGradient(Context ctx) {
  return ctx.Neg(ctx.Mul(ctx.Cotangent(), ctx.Mul(ctx.Result(), ctx.Result())));
}
Value TanhGradient(Context ctx) {
  const Value& y = ctx.Result();
  return ctx.Mul(ctx.Cotangent(), ctx.Sub(ctx.Scalar(1, y), ctx.Mul(y, y)));
}
Value SigmoidGradient(Context ctx) {
  const Value& y = ctx.Result();
  return ctx.Mul(ctx.Cotangent(), ctx.Mul(y, ctx.Sub(ctx.Scalar(1, y), y)));
}
Value ErfGradient(Context ctx) {
  const Value& x = ctx.Arg(0);
  constexpr double kTwoOverRootPi = 1.1283791670955126;
  return ctx.Mul(ctx.Cotangent(), Scaled(ctx, ctx.Call("Exp", {ctx.Neg(ctx.Mul(x, x))}), kTwoOverRootPi));
}

const UnaryRow kRows[] = {
    {"Identity", "x", Domain::kAny, [](const Expr& x) { return x; },
     [](Context ctx) { return ctx.Cotangent(); }},
    {"Abs", "|x|", Domain::kNumber, AbsOf,
     [](Context ctx) { return ctx.Mul(ctx.Cotangent(), ctx.Call("Sign", {ctx.Arg(0)})); }},
    {"Neg", "-x; integers wrap", Domain::kNumber, [](const Expr& x) { return -x; },
     [](Context ctx) { return ctx.Neg(ctx.Cotangent()); }},
    {"Sign", "-1, 0 or 1", Domain::kNumber, SignOf, NoSlope},
    {"Relu", "max(x, 0); NaN stays NaN", Domain::kNumber,
     [](const Expr& x) { return Max(x, ConstLike(x, 0)); }, ReluGradient},
    {"Reciprocal", "1 / x", Domain::kFloat, [](const Expr& x) { return ConstLike(x, 1) / x; },
     ReciprocalGradient},
    {"Sqrt", "square root", Domain::kFloat, Apply<Intrinsic::k_sqrt>,
     [](Context ctx) { return Scaled(ctx, ctx.Div(ctx.Cotangent(), ctx.Result()), 0.5); }},
    {"Exp", "e^x", Domain::kFloat, Apply<Intrinsic::k_exp>,
     [](Context ctx) { return ctx.Mul(ctx.Cotangent(), ctx.Result()); }},
    {"Log", "natural logarithm", Domain::kFloat, Apply<Intrinsic::k_log>,
     [](Context ctx) { return ctx.Div(ctx.Cotangent(), ctx.Arg(0)); }},
    {"Floor", "round down", Domain::kFloat, Apply<Intrinsic::k_floor>, NoSlope},
    {"Ceil", "round up", Domain::kFloat, Apply<Intrinsic::k_ceil>, NoSlope},
    {"Round", "round, halves to even", Domain::kFloat, Apply<Intrinsic::k_round>, NoSlope},
    {"Sin", "sine", Domain::kFloat, Apply<Intrinsic::k_sin>,
     [](Context ctx) { return ctx.Mul(ctx.Cotangent(), ctx.Call("Cos", {ctx.Arg(0)})); }},
    {"Cos", "cosine", Domain::kFloat, Apply<Intrinsic::k_cos>,
     [](Context ctx) { return ctx.Neg(ctx.Mul(ctx.Cotangent(), ctx.Call("Sin", {ctx.Arg(0)}))); }},
    {"Tan", "tangent", Domain::kFloat, Apply<Intrinsic::k_tan>},
    {"Asin", "inverse sine", Domain::kFloat, Apply<Intrinsic::k_asin>},
    {"Acos", "inverse cosine", Domain::kFloat, Apply<Intrinsic::k_acos>},
    {"Atan", "inverse tangent", Domain::kFloat, Apply<Intrinsic::k_atan>},
    {"Sinh", "hyperbolic sine", Domain::kFloat, Apply<Intrinsic::k_sinh>},
    {"Cosh", "hyperbolic cosine", Domain::kFloat, Apply<Intrinsic::k_cosh>},
    {"Tanh", "hyperbolic tangent", Domain::kFloat, Apply<Intrinsic::k_tanh>, TanhGradient},
    {"Asinh", "inverse hyperbolic sine", Domain::kFloat, Apply<Intrinsic::k_asinh>},
    {"Acosh", "inverse hyperbolic cosine", Domain::kFloat, Apply<Intrinsic::k_acosh>},
    {"Atanh", "inverse hyperbolic tangent", Domain::kFloat, Apply<Intrinsic::k_atanh>},
    {"Erf", "error function", Domain::kFloat, Apply<Intrinsic::k_erf>, ErfGradient},
    {"Sigmoid", "1 / (1 + e^-x)", Domain::kFloat, Apply<Intrinsic::k_sigmoid>, SigmoidGradient},
    {"Softplus", "log(1 + e^x)", Domain::kFloat, SoftplusOf,
     [](Context ctx) { return ctx.Mul(ctx.Cotangent(), ctx.Call("Sigmoid", {ctx.Arg(0)})); }},
    {"Softsign", "x / (1 + |x|)", Domain::kFloat,
     [](const Expr& x) { return x / (ConstLike(x, 1) + AbsOf(x)); }},
    {"Mish", "x * tanh(softplus(x))", Domain::kFloat,
     [](const Expr& x) { return x * MakeCall(Intrinsic::k_tanh, {SoftplusOf(x)}); }},
    {"HardSwish", "x * min(max(x / 6 + 1/2, 0), 1)", Domain::kFloat,
     [](const Expr& x) {
       Expr gate = x * ConstLike(x, 1.0 / 6) + ConstLike(x, 0.5);
       return x * Min(Max(gate, ConstLike(x, 0)), ConstLike(x, 1));
     }},
    {"Not", "logical negation", Domain::kBool, [](const Expr& x) { return MakeNot(x); }},
    {"BitwiseNot", "all bits inverted", Domain::kInteger, Apply<Intrinsic::k_bit_not>},
};

void CheckDomain(const InferContext& ctx, Domain domain) {
  DataType t = ctx.Input(0).dtype;
  switch (domain) {
    case Domain::kAny:
      return;
    case Domain::kFloat:
      return RequireFloat(ctx, 0);
    case Domain::kBool:
      return RequireDType(ctx, 0, kBool);
    case Domain::kNumber:
      if (t.is_float() || t.is_integer()) return;
      break;
    case Domain::kInteger:
      if (t.is_integer()) return;
      break;
  }
  ctx.Fail("TW2112", fmt::format("argument 0 has element type {}, expected {}", t.ToString(),
                                 domain == Domain::kInteger ? "an integer type" : "a number"));
}

OpDef MakeUnary(const UnaryRow& row) {
  OpDef def =
      ElementwiseOp(row.name, row.doc, [f = row.f](const Expr& x, const LowerContext&) { return f(x); });
  def.infer = [domain = row.domain](const InferContext& ctx) {
    CheckDomain(ctx, domain);
    return InferSame(ctx);
  };
  if (row.gradient) {
    def.gradient = [f = row.gradient](const GradientContext& ctx) { return std::vector{f(ctx)}; };
  }
  return def;
}

[[maybe_unused]] const bool kRegistered = [] {
  for (const UnaryRow& row : kRows) OpRegistry::Register(MakeUnary(row));
  return true;
}();

struct InfAttrs {
  bool negative = true;
  bool positive = true;
  static constexpr auto Fields() {
    return std::tuple(AttrField("negative", &InfAttrs::negative, "find minus infinity"),
                      AttrField("positive", &InfAttrs::positive, "find plus infinity"));
  }
};

/// A float predicate: bool result of the argument's shape and layout.
OpDef FloatPredicate(std::string name, std::string doc,
                     std::function<Expr(const Expr&, const LowerContext&)> f) {
  OpDef def = ElementwiseOp(std::move(name), std::move(doc), std::move(f));
  def.infer = [](const InferContext& ctx) -> std::vector<Type> {
    RequireFloat(ctx, 0);
    TensorType t = ctx.Input(0);
    t.dtype = kBool;
    return {Type(std::move(t))};
  };
  return def;
}

TW_OP(IsNaN) = FloatPredicate("IsNaN", "whether x is not a number", [](const Expr& x, const LowerContext&) {
  return MakeCall(Intrinsic::k_isnan, {x});
});

TW_OP(IsInf) = [] {
  OpDef def = FloatPredicate("IsInf", "whether x is an infinity", [](const Expr& x, const LowerContext& ctx) {
    const auto& attrs = ctx.Attr<InfAttrs>();
    Expr found = MakeBool(false);
    if (attrs.positive) found = Eq(x, MaxValue(x.dtype()));
    if (attrs.negative) {
      Expr low = Eq(x, MinValue(x.dtype()));
      found = attrs.positive ? MakeBinary(BinaryOp::kOr, found, low) : low;
    }
    return found;
  });
  def.attrs = DescribeAttrs<InfAttrs>();
  return def;
}();

}  // namespace
}  // namespace tilewright
