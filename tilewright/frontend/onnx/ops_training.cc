// SPDX-License-Identifier: Apache-2.0
// Steps of optimisers (ai.onnx.preview.training), as its operator documentation defines them.
#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

/// Arithmetic on values as it is written; a number takes the type of the other side.
struct Term {
  NodeContext* ctx;
  Value value;
  Term Apply(const char* op, const Term& other) const { return {ctx, ctx->Call(op, {value, other.value})}; }
  Term Of(double number) const { return {ctx, ctx->Scalar(value.tensor().dtype, number)}; }
  Term Sqrt() const { return {ctx, ctx->Call("Sqrt", {value})}; }
};
Term operator+(const Term& a, const Term& b) { return a.Apply("Add", b); }
Term operator-(const Term& a, const Term& b) { return a.Apply("Sub", b); }
Term operator*(const Term& a, const Term& b) { return a.Apply("Mul", b); }
Term operator/(const Term& a, const Term& b) { return a.Apply("Div", b); }
Term operator*(double a, const Term& b) { return b.Of(a) * b; }
Term operator-(double a, const Term& b) { return b.Of(a) - b; }
Term operator+(const Term& a, double b) { return a + a.Of(b); }

/// What is updated with what belongs to it: argument 2 + k * count + i is part k of tensor i. The learning
/// rate and the number of the step are in the tensor's type.
struct Step {
  Term rate, count;
  std::vector<Term> parts;
};

/// Calls `update` for each of the tensors; it returns the new value and then the new state.
void ForEachTensor(NodeContext& ctx, size_t parts,
                   const std::function<std::vector<Term>(const Step&)>& update) {
  if (ctx.size() < 2 + parts || (ctx.size() - 2) % parts)
    ctx.Fail("TW2017", fmt::format("{} arguments, expected 2 and then {} per tensor", ctx.size(), parts));
  const size_t tensors = (ctx.size() - 2) / parts;
  for (size_t i = 0; i < tensors; ++i) {
    const DataType t = ctx.DType(2 + i);
    auto scalar = [&](size_t k) { return Term{&ctx, ctx.Cast(ctx.Reshape(ctx.Arg(k), {}), t)}; };
    Step step{scalar(0), scalar(1), {}};
    for (size_t k = 0; k < parts; ++k) step.parts.push_back({&ctx, ctx.Arg(2 + k * tensors + i)});
    const std::vector<Term> results = update(step);
    for (size_t k = 0; k < results.size(); ++k) ctx.Set(k * tensors + i, results[k].value);
  }
}

/// `later` from the second step on, `first` in the first.
Term AfterFirst(const Step& step, const Term& later, const Term& first) {
  NodeContext& ctx = *step.count.ctx;
  Value started = ctx.Call("Less", {step.count.Of(0).value, step.count.value});
  return {&ctx, ctx.Call("Where", {started, later.value, first.value})};
}

void Momentum(NodeContext& ctx) {
  const double norm = ctx.Float("norm_coefficient"), alpha = ctx.Float("alpha"), beta = ctx.Float("beta");
  const std::string mode = ctx.String("mode");
  if (mode != "standard" && mode != "nesterov")
    ctx.Fail("TW2015", fmt::format("mode is '{}', expected standard or nesterov", mode));
  ForEachTensor(ctx, 3, [&](const Step& s) -> std::vector<Term> {
    const Term &x = s.parts[0], &v = s.parts[2];
    const Term g = norm * x + s.parts[1];
    const Term now = alpha * v + AfterFirst(s, s.rate.Of(beta), s.rate.Of(1)) * g;
    return {x - s.rate * (mode == "nesterov" ? g + alpha * now : now), now};
  });
}

void Adagrad(NodeContext& ctx) {
  const double norm = ctx.Float("norm_coefficient", 0), decay = ctx.Float("decay_factor", 0),
               epsilon = ctx.Float("epsilon", 1e-6f);
  ForEachTensor(ctx, 3, [&](const Step& s) -> std::vector<Term> {
    const Term &x = s.parts[0], &h = s.parts[2];
    const Term g = norm * x + s.parts[1], now = h + g * g;
    const Term rate = s.rate / (decay * s.count + 1.0);
    return {x - rate * g / (now.Sqrt() + epsilon), now};
  });
}

void Adam(NodeContext& ctx) {
  const double norm = ctx.Float("norm_coefficient", 0), after = ctx.Float("norm_coefficient_post", 0),
               alpha = ctx.Float("alpha", 0.9f), beta = ctx.Float("beta", 0.999f),
               epsilon = ctx.Float("epsilon", 1e-6f);
  ForEachTensor(ctx, 4, [&](const Step& s) -> std::vector<Term> {
    const Term& x = s.parts[0];
    const Term g = norm * x + s.parts[1];
    const Term v = alpha * s.parts[2] + (1 - alpha) * g, h = beta * s.parts[3] + (1 - beta) * (g * g);
    auto power = [&](double base) { return s.count.Of(base).Apply("Pow", s.count); };
    const Term unbiased = s.rate * (1 - power(beta)).Sqrt() / (1 - power(alpha));
    const Term moved = x - AfterFirst(s, unbiased, s.rate) * (v / (h.Sqrt() + epsilon));
    return {(1 - after) * moved, v, h};
  });
}

constexpr const char* kDomain = "ai.onnx.preview.training";
[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Momentum", 1, 0, Momentum, kDomain},
    {"Adagrad", 1, 0, Adagrad, kDomain},
    {"Adam", 1, 0, Adam, kDomain},
});

}  // namespace
}  // namespace tilewright::onnx
