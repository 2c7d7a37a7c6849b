// SPDX-License-Identifier: Apache-2.0
// Activations with parameters. Formulas as in the papers that introduced them and in ONNX's operator
// documentation; parameters are attributes, so that they are constants of the kernel.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct AlphaBetaAttrs {
  double alpha = 0;
  double beta = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("alpha", &AlphaBetaAttrs::alpha, "first parameter"),
                      AttrField("beta", &AlphaBetaAttrs::beta, "second parameter"));
  }
};

using ParamFunction = Expr (*)(const Expr& x, const Expr& alpha, const Expr& beta);

OpDef ParamActivation(std::string name, std::string doc, ParamFunction f, Gradient gradient = nullptr) {
  OpDef def = ElementwiseOp(std::move(name), std::move(doc), [f](const Expr& x, const LowerContext& ctx) {
    const auto& attrs = ctx.Attr<AlphaBetaAttrs>();
    return f(x, ConstLike(x, attrs.alpha), ConstLike(x, attrs.beta));
  });
  def.attrs = DescribeAttrs<AlphaBetaAttrs>();
  def.infer = [](const InferContext& ctx) {
    RequireFloat(ctx, 0);
    return InferSame(ctx);
  };
  def.gradient = std::move(gradient);
  return def;
}

Expr Zero(const Expr& x) { return ConstLike(x, 0); }
Expr Expm1(const Expr& x) { return MakeCall(Intrinsic::k_expm1, {x}); }
Expr Sigmoid(const Expr& x) { return MakeCall(Intrinsic::k_sigmoid, {x}); }

std::vector<Value> LeakyReluGradient(const GradientContext& ctx) {
  const Value &g = ctx.Cotangent(), &x = ctx.Arg(0);
  Value low = ctx.Mul(g, ctx.Scalar(ctx.Attr<AlphaBetaAttrs>().alpha, g));
  return {ctx.Call("Where", {ctx.Call("Less", {x, ctx.Scalar(0, x)}), low, g})};
}

/// Phi(x) + x * phi(x), phi the density of the normal distribution.
std::vector<Value> GeluGradient(const GradientContext& ctx) {
  const Value& x = ctx.Arg(0);
  auto scaled = [&](const Value& v, double factor) { return ctx.Mul(v, ctx.Scalar(factor, v)); };
  Value erf = ctx.Call("Erf", {scaled(x, 0.70710678118654752)});
  Value integral = scaled(ctx.Add(erf, ctx.Scalar(1, erf)), 0.5);
  Value density = scaled(ctx.Call("Exp", {scaled(ctx.Mul(x, x), -0.5)}), 0.3989422804014327);
  return {ctx.Mul(ctx.Cotangent(), ctx.Add(integral, ctx.Mul(x, density)))};
}

TW_OP(LeakyRelu) = ParamActivation(
    "LeakyRelu", "x < 0 ? alpha * x : x",
    [](const Expr& x, const Expr& alpha, const Expr&) { return MakeSelect(x < Zero(x), alpha * x, x); },
    LeakyReluGradient);
// Negative branches take min(x, 0), so that e^x stays finite where the branch is not chosen.
TW_OP(Elu) = ParamActivation("Elu", "x < 0 ? alpha * (e^x - 1) : x",
                             [](const Expr& x, const Expr& alpha, const Expr&) {
                               return MakeSelect(x < Zero(x), alpha * Expm1(Min(x, Zero(x))), x);
                             });
TW_OP(Selu) = ParamActivation("Selu", "beta * (x <= 0 ? alpha * (e^x - 1) : x)",
                              [](const Expr& x, const Expr& alpha, const Expr& beta) {
                                Expr low = alpha * Expm1(Min(x, Zero(x)));
                                return beta * MakeSelect(x <= Zero(x), low, x);
                              });
TW_OP(Celu) = ParamActivation("Celu", "max(x, 0) + min(alpha * (e^(x / alpha) - 1), 0)",
                              [](const Expr& x, const Expr& alpha, const Expr&) {
                                Expr low = alpha * Expm1(Min(x, Zero(x)) / alpha);
                                return Max(x, Zero(x)) + Min(low, Zero(x));
                              });
TW_OP(HardSigmoid) = ParamActivation("HardSigmoid", "min(max(alpha * x + beta, 0), 1)",
                                     [](const Expr& x, const Expr& alpha, const Expr& beta) {
                                       return Min(Max(alpha * x + beta, Zero(x)), ConstLike(x, 1));
                                     });
TW_OP(ThresholdedRelu) = ParamActivation("ThresholdedRelu", "x > alpha ? x : 0",
                                         [](const Expr& x, const Expr& alpha, const Expr&) {
                                           return MakeSelect(x > alpha, x, Zero(x));
                                         });
TW_OP(Swish) = ParamActivation("Swish", "x * sigmoid(alpha * x)",
                               [](const Expr& x, const Expr& alpha, const Expr&) {
                                 return x * Sigmoid(alpha * x);
                               });
TW_OP(Shrink) = ParamActivation("Shrink", "x < -alpha ? x + beta : x > alpha ? x - beta : 0",
                                [](const Expr& x, const Expr& alpha, const Expr& beta) {
                                  Expr high = MakeSelect(x > alpha, x - beta, Zero(x));
                                  return MakeSelect(x < -alpha, x + beta, high);
                                });
TW_OP(Gelu) = ParamActivation(
    "Gelu", "x * Phi(x), Phi the normal distribution's integral, by erf",
    [](const Expr& x, const Expr&, const Expr&) {
      Expr phi = MakeCall(Intrinsic::k_erf, {x * ConstLike(x, 0.70710678118654752)});
      return ConstLike(x, 0.5) * x * (ConstLike(x, 1) + phi);
    },
    GeluGradient);
TW_OP(GeluTanh) = ParamActivation("GeluTanh", "Gelu with Phi approximated by tanh (Hendrycks and Gimpel)",
                                  [](const Expr& x, const Expr&, const Expr&) {
                                    Expr inner = ConstLike(x, 0.79788456080286536) *
                                                 (x + ConstLike(x, 0.044715) * x * x * x);
                                    return ConstLike(x, 0.5) * x *
                                           (ConstLike(x, 1) + MakeCall(Intrinsic::k_tanh, {inner}));
                                  });

}  // namespace
}  // namespace tilewright
