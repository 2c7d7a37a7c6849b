// SPDX-License-Identifier: Apache-2.0
// Losses, composed of element-wise operators, gathers and reductions.
#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

/// The loss of each position: minus the log-probability of its class, times the class's weight. `weight` gets
/// what each position counts; null where all count alike.
Value LossPerPosition(NodeContext& ctx, const Value& log_probability, Value* weight) {
  Value target = ctx.Arg(1), mask;
  const DataType t = log_probability.tensor().dtype, index = target.tensor().dtype;
  if (ctx.HasAttr("ignore_index")) {
    mask = ctx.Call("Equal", {target, ctx.Scalar(index, double(ctx.Int("ignore_index")))});
    target = ctx.Call("Where", {mask, ctx.Scalar(index, 0), target});
  }
  std::vector<Expr> shape = target.tensor().shape, wide = shape;
  if (shape.empty() || log_probability.tensor().rank() != int(shape.size()) + 1) {
    ctx.Fail("TW2017", fmt::format("scores of rank {} and labels of rank {}", log_probability.tensor().rank(),
                                   shape.size()));
  }
  wide.insert(wide.begin() + 1, Expr(1));
  Value picked =
      ctx.Call("GatherElements", {log_probability, ctx.Reshape(target, wide)}, {{"axis", int64_t{1}}});
  Value loss = ctx.Call("Neg", {ctx.Reshape(picked, shape)});
  if (ctx.Has(2)) *weight = ctx.Call("Gather", {ctx.Arg(2), target}, {{"axis", int64_t{0}}});
  if (mask) *weight = ctx.Call("Where", {mask, ctx.Scalar(t, 0), *weight ? *weight : ctx.Scalar(t, 1)});
  return *weight ? ctx.Call("Mul", {loss, *weight}) : loss;
}

Value Reduce(NodeContext& ctx, const Value& loss, const Value& weight) {
  const std::string reduction = ctx.String("reduction", "mean");
  const Annotations all = {{"keepdims", false}};
  if (reduction == "none") return loss;
  if (reduction == "sum") return ctx.Call("ReduceSum", {loss}, all);
  if (reduction != "mean") {
    ctx.Fail("TW2015", fmt::format("reduction is '{}', expected none, sum or mean", reduction));
  }
  if (!weight) return ctx.Call("ReduceMean", {loss}, all);
  return ctx.Call("Div", {ctx.Call("ReduceSum", {loss}, all), ctx.Call("ReduceSum", {weight}, all)});
}

void NegativeLogLikelihoodLoss(NodeContext& ctx) {
  Value weight, loss = LossPerPosition(ctx, ctx.Arg(0), &weight);
  ctx.Set(0, Reduce(ctx, loss, weight));
}

void SoftmaxCrossEntropyLoss(NodeContext& ctx) {
  Value log_probability = ctx.Call("LogSoftmax", {ctx.Arg(0)}, {{"axis", int64_t{1}}});
  Value weight, loss = LossPerPosition(ctx, log_probability, &weight);
  ctx.Set(0, Reduce(ctx, loss, weight));
  if (ctx.Wants(1)) ctx.Set(1, log_probability);
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"NegativeLogLikelihoodLoss", 12, 0, NegativeLogLikelihoodLoss},
    {"SoftmaxCrossEntropyLoss", 12, 0, SoftmaxCrossEntropyLoss},
});

}  // namespace
}  // namespace tilewright::onnx
