// SPDX-License-Identifier: Apache-2.0
// Normalisation.
#include <functional>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

/// Softmax and its kin work on one axis from operator set 13 on; before, on all axes from `axis` taken as
/// one.
Value OverAxis(NodeContext& ctx, const std::function<Value(const Value&, int64_t axis)>& f) {
  Value x = ctx.Arg(0);
  const std::vector<Expr> shape = x.tensor().shape;
  const int64_t rank = int64_t(shape.size());
  if (ctx.opset() >= 13) return f(x, AxisFromFront(ctx, ctx.Int("axis", -1), rank));
  int64_t axis = AxisFromFront(ctx, ctx.Int("axis", 1), rank);
  if (axis == rank - 1) return f(x, axis);
  Expr outer(1), inner(1);
  for (int64_t d = 0; d < rank; ++d) {
    Expr& side = d < axis ? outer : inner;
    side = side * shape[size_t(d)];
  }
  return ctx.Reshape(f(ctx.Reshape(x, {outer, inner}), 1), shape);
}

void Softmax(NodeContext& ctx) {
  const std::string& core = ctx.node().op_type();
  ctx.Set(0,
          OverAxis(ctx, [&](const Value& x, int64_t axis) { return ctx.Call(core, {x}, {{"axis", axis}}); }));
}

void Hardmax(NodeContext& ctx) {
  const DataType t = ctx.DType(0);
  ctx.Set(0, OverAxis(ctx, [&](const Value& x, int64_t axis) {
            Value index = ctx.Call("ArgMax", {x}, {{"axis", axis}, {"keepdims", false}});
            Value values = ctx.Constant(NDArray::FromDoubles(t, {2}, std::vector<double>{0, 1}));
            return ctx.Call("OneHot", {index, values},
                            {{"axis", axis}, {"depth", x.tensor().shape[size_t(axis)]}});
          }));
}

/// A per-channel vector as [C, 1, ...] that broadcasts against x [N, C, ...].
Value PerChannel(NodeContext& ctx, const Value& v, int rank) {
  std::vector<Expr> shape(size_t(rank) - 1, Expr(1));
  if (v.tensor().rank() != 1)
    ctx.Fail("TW2017", fmt::format("scale or bias has rank {}, expected 1", v.tensor().rank()));
  shape[0] = v.tensor().shape[0];
  return ctx.Reshape(v, shape);
}

/// Normalisation per channel needs axes of batch and channels.
void RequireChannels(const NodeContext& ctx, const Value& x) {
  if (x.tensor().rank() < 2)
    ctx.Fail("TW2017", fmt::format("x has rank {}, expected 2 or more", x.tensor().rank()));
}

std::vector<int64_t> AxesFrom(int64_t first, int64_t rank) {
  std::vector<int64_t> axes;
  for (int64_t d = first; d < rank; ++d) axes.push_back(d);
  return axes;
}

/// In training the batch's own mean and variance normalise, and running ones are updated by them.
void TrainingBatchNormalization(NodeContext& ctx) {
  Value x = ctx.Arg(0);
  RequireChannels(ctx, x);
  std::vector<int64_t> axes = AxesFrom(2, x.tensor().rank());
  axes.insert(axes.begin(), 0);
  Annotations over = {{"axes", axes}};
  Value mean = ctx.Call("ReduceMean", {x}, over);
  Value d = ctx.Call("Sub", {x, mean});
  Value variance = ctx.Call("ReduceMean", {ctx.Call("Mul", {d, d})}, over);
  const std::vector<Expr> channels = {x.tensor().shape[1]};
  mean = ctx.Reshape(mean, channels);
  variance = ctx.Reshape(variance, channels);
  ctx.Set(0, ctx.Call("BatchNormalization", {x, ctx.Arg(1), ctx.Arg(2), mean, variance},
                      {{"epsilon", ctx.Float("epsilon", 1e-5f)}}));
  const double momentum = ctx.Float("momentum", 0.9f);
  auto running = [&](const Value& old, const Value& now) {
    const DataType kept = old.tensor().dtype;
    Value share = ctx.Call("Mul", {old, ctx.Scalar(kept, momentum)});
    return ctx.Call("Add", {share, ctx.Call("Mul", {ctx.Cast(now, kept), ctx.Scalar(kept, 1 - momentum)})});
  };
  if (ctx.Wants(1)) ctx.Set(1, running(ctx.Arg(3), mean));
  if (ctx.Wants(2)) ctx.Set(2, running(ctx.Arg(4), variance));
}

void BatchNormalization(NodeContext& ctx) {
  ctx.Ignore({"momentum", "is_test", "spatial"});
  if (ctx.opset() < 9 && ctx.Int("spatial", 1) == 0) ctx.Unsupported("BatchNormalization with spatial = 0");
  if (ctx.Int("training_mode", 0) != 0) return TrainingBatchNormalization(ctx);
  Value x = ctx.Arg(0);
  ctx.Set(0, ctx.Call("BatchNormalization", {x, ctx.Arg(1), ctx.Arg(2), ctx.Arg(3), ctx.Arg(4)},
                      {{"epsilon", ctx.Float("epsilon", 1e-5f)}}));
}

void InstanceNormalization(NodeContext& ctx) {
  Value x = ctx.Arg(0);
  RequireChannels(ctx, x);
  const int rank = x.tensor().rank();
  Value y = ctx.Call("MeanVarianceNormalization", {x},
                     {{"axes", AxesFrom(2, rank)}, {"epsilon", ctx.Float("epsilon", 1e-5f)}});
  y = ctx.Call("Mul", {y, PerChannel(ctx, ctx.Arg(1), rank)});
  ctx.Set(0, ctx.Call("Add", {y, PerChannel(ctx, ctx.Arg(2), rank)}));
}

void GroupNormalization(NodeContext& ctx) {
  ctx.Ignore({"stash_type"});
  Value x = ctx.Arg(0);
  RequireChannels(ctx, x);
  const std::vector<Expr> shape = x.tensor().shape;
  const int rank = int(shape.size());
  const int64_t groups = ctx.Int("num_groups");
  auto channels = AsInt(shape.at(1));
  if (groups < 1 || (channels && *channels % groups)) ctx.Fail("TW2015", fmt::format("{} groups", groups));
  std::vector<Expr> split = {shape[0], Expr(groups), FloorDiv(shape[1], Expr(groups))};
  split.insert(split.end(), shape.begin() + 2, shape.end());
  Value y = ctx.Call("MeanVarianceNormalization", {ctx.Reshape(x, split)},
                     {{"axes", AxesFrom(2, rank + 1)}, {"epsilon", ctx.Float("epsilon", 1e-5f)}});
  // Scale and bias are per group up to operator set 20.
  const bool per_group = ctx.opset() < 21;
  if (!per_group) y = ctx.Reshape(y, shape);
  const int width = per_group ? rank + 1 : rank;
  y = ctx.Call("Mul", {y, PerChannel(ctx, ctx.Arg(1), width)});
  y = ctx.Call("Add", {y, PerChannel(ctx, ctx.Arg(2), width)});
  ctx.Set(0, ctx.Reshape(y, shape));
}

void LayerNormalization(NodeContext& ctx) {
  ctx.Ignore({"stash_type"});
  Value x = ctx.Arg(0);
  const int64_t rank = x.tensor().rank();
  std::vector<int64_t> axes = AxesFrom(AxisFromFront(ctx, ctx.Int("axis", -1), rank), rank);
  const double epsilon = ctx.Float("epsilon", 1e-5f);
  Value y = ctx.Call("MeanVarianceNormalization", {x}, {{"axes", axes}, {"epsilon", epsilon}});
  y = ctx.Call("Mul", {y, ctx.Arg(1)});
  if (ctx.Has(2)) y = ctx.Call("Add", {y, ctx.Arg(2)});
  ctx.Set(0, y);
  if (!ctx.Wants(1) && !ctx.Wants(2)) return;
  Value wide = ctx.Cast(x, kF32);
  Value mean = ctx.Call("ReduceMean", {wide}, {{"axes", axes}});
  if (ctx.Wants(1)) ctx.Set(1, mean);
  Value d = ctx.Call("Sub", {wide, mean});
  Value variance = ctx.Call("ReduceMean", {ctx.Call("Mul", {d, d})}, {{"axes", axes}});
  Value deviation = ctx.Call("Sqrt", {ctx.Call("Add", {variance, ctx.Scalar(kF32, epsilon)})});
  if (ctx.Wants(2)) ctx.Set(2, ctx.Call("Reciprocal", {deviation}));
}

void RMSNormalization(NodeContext& ctx) {
  ctx.Ignore({"stash_type"});
  Value x = ctx.Arg(0);
  const int64_t rank = x.tensor().rank();
  std::vector<int64_t> axes = AxesFrom(AxisFromFront(ctx, ctx.Int("axis", -1), rank), rank);
  Value y = ctx.Call("RMSNormalization", {x}, {{"axes", axes}, {"epsilon", ctx.Float("epsilon", 1e-5f)}});
  ctx.Set(0, ctx.Call("Mul", {y, ctx.Arg(1)}));
}

void MeanVarianceNormalization(NodeContext& ctx) {
  // Operator set 13's own definition adds this to the deviation; under the root it is as harmless.
  constexpr double kTiny = 1e-9;
  ctx.Set(0, ctx.Call("MeanVarianceNormalization", {ctx.Arg(0)},
                      {{"axes", ctx.Ints("axes", std::vector<int64_t>{0, 2, 3})}, {"epsilon", kTiny}}));
}

void LpNormalization(NodeContext& ctx) {
  const int64_t p = ctx.Int("p", 2);
  if (p != 1 && p != 2) ctx.Fail("TW2015", fmt::format("p is {}, expected 1 or 2", p));
  Value x = ctx.Arg(0);
  Annotations over = {{"axes", std::vector<int64_t>{ctx.Int("axis", -1)}}};
  Value norm = p == 1 ? ctx.Call("ReduceSum", {ctx.Call("Abs", {x})}, over)
                      : ctx.Call("Sqrt", {ctx.Call("ReduceSum", {ctx.Call("Mul", {x, x})}, over)});
  // A zero vector stays zero.
  const DataType t = x.tensor().dtype;
  Value safe = ctx.Call("Where", {ctx.Call("Equal", {norm, ctx.Scalar(t, 0)}), ctx.Scalar(t, 1), norm});
  ctx.Set(0, ctx.Call("Div", {x, safe}));
}

void LRN(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("LRN", {ctx.Arg(0)},
                      {{"size", ctx.Int("size")},
                       {"alpha", ctx.Float("alpha", 1e-4f)},
                       {"beta", ctx.Float("beta", 0.75f)},
                       {"bias", ctx.Float("bias", 1)}}));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Softmax", 1, 0, Softmax},
    {"LogSoftmax", 1, 0, Softmax},
    {"Hardmax", 1, 0, Hardmax},
    {"BatchNormalization", 1, 0, BatchNormalization},
    {"InstanceNormalization", 6, 0, InstanceNormalization},
    {"GroupNormalization", 18, 0, GroupNormalization},
    {"LayerNormalization", 17, 0, LayerNormalization},
    {"RMSNormalization", 23, 0, RMSNormalization},
    {"MeanVarianceNormalization", 9, 0, MeanVarianceNormalization},
    {"LpNormalization", 1, 0, LpNormalization},
    {"LRN", 1, 0, LRN},
});

}  // namespace
}  // namespace tilewright::onnx
