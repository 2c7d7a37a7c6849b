// SPDX-License-Identifier: Apache-2.0
// Gather, scatter and their kin.
#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

/// TW2017 for a constant index outside of its axis, whose extent is that of `axes` in their turn.
void CheckIndices(const NodeContext& ctx, const std::vector<Expr>& axes) {
  const std::optional<Known> known = ctx.KnownInput(1);
  const auto indices = known ? known->Ints() : std::nullopt;
  if (!indices || axes.empty()) return;
  for (size_t k = 0; k < indices->size(); ++k) {
    const int64_t index = (*indices)[k];
    const auto extent = AsInt(axes[k % axes.size()]);
    if (extent && (index < -*extent || index >= *extent)) {
      ctx.Fail("TW2017", fmt::format("index {} is outside of [{}, {})", index, -*extent, *extent));
    }
  }
}

/// The axis that GatherElements and its kin address.
void CheckAxisIndices(const NodeContext& ctx) {
  const std::vector<Expr> shape = ctx.Shape(0);
  const int64_t rank = int64_t(shape.size()), axis = ctx.Int("axis", 0);
  if (axis >= -rank && axis < rank) CheckIndices(ctx, {shape[size_t(axis < 0 ? axis + rank : axis)]});
}

/// The axes that the tuples of GatherND and ScatterND address.
void CheckTupleIndices(const NodeContext& ctx, int64_t batch_dims) {
  const std::vector<Expr> shape = ctx.Shape(0), tuples = ctx.Shape(1);
  const auto length = tuples.empty() ? std::nullopt : AsInt(tuples.back());
  if (!length || batch_dims < 0 || *length < 1 || *length > int64_t(shape.size()) - batch_dims) return;
  CheckIndices(ctx, {shape.begin() + batch_dims, shape.begin() + batch_dims + *length});
}

void Gather(NodeContext& ctx) {
  CheckAxisIndices(ctx);
  ctx.Set(0, ctx.Call("Gather", {ctx.Arg(0), ctx.Arg(1)}, {{"axis", ctx.Int("axis", 0)}}));
}
void GatherElements(NodeContext& ctx) {
  CheckAxisIndices(ctx);
  ctx.Set(0, ctx.Call("GatherElements", {ctx.Arg(0), ctx.Arg(1)}, {{"axis", ctx.Int("axis", 0)}}));
}
void GatherND(NodeContext& ctx) {
  CheckTupleIndices(ctx, ctx.Int("batch_dims", 0));
  ctx.Set(0, ctx.Call("GatherND", {ctx.Arg(0), ctx.Arg(1)}, {{"batch_dims", ctx.Int("batch_dims", 0)}}));
}

void ScatterElements(NodeContext& ctx) {
  CheckAxisIndices(ctx);
  ctx.Set(0, ctx.Call("ScatterElements", {ctx.Arg(0), ctx.Arg(1), ctx.Arg(2)},
                      {{"axis", ctx.Int("axis", 0)}, {"reduction", ctx.String("reduction", "none")}}));
}
void ScatterND(NodeContext& ctx) {
  CheckTupleIndices(ctx, 0);
  ctx.Set(0, ctx.Call("ScatterND", {ctx.Arg(0), ctx.Arg(1), ctx.Arg(2)},
                      {{"reduction", ctx.String("reduction", "none")}}));
}

void OneHot(NodeContext& ctx) {
  Known depth = ctx.RequireKnown(1, "the depth of OneHot");
  auto numbers = depth.Numbers();
  if (depth.elements.size() != 1)
    ctx.Fail("TW2017", fmt::format("depth has {} elements", depth.elements.size()));
  Expr extent = numbers ? Expr(int64_t(numbers->front())) : depth.elements[0];
  if (auto n = AsInt(extent); n && *n < 1) ctx.Fail("TW2017", fmt::format("depth is {}", *n));
  Value indices = ctx.Arg(0);
  if (indices.tensor().dtype != kI32) indices = ctx.Cast(indices, kI64);
  ctx.Set(0, ctx.Call("OneHot", {indices, ctx.Arg(2)}, {{"axis", ctx.Int("axis", -1)}, {"depth", extent}}));
}

void ReverseSequence(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("ReverseSequence", {ctx.Arg(0), ctx.Arg(1)},
                      {{"time_axis", ctx.Int("time_axis", 0)}, {"batch_axis", ctx.Int("batch_axis", 1)}}));
}

/// The condition decides about the result's extent, so that it has to be known.
void Compress(NodeContext& ctx) {
  std::vector<int64_t> condition = ctx.RequireInts(1, "the condition of Compress");
  std::vector<int64_t> chosen;
  for (size_t i = 0; i < condition.size(); ++i) {
    if (condition[i]) chosen.push_back(int64_t(i));
  }
  Value x = ctx.Arg(0), indices = ctx.Constant(NDArray::FromInts(kI64, {int64_t(chosen.size())}, chosen));
  if (!ctx.HasAttr("axis")) x = ctx.Reshape(x, {x.tensor().NumElements()});
  ctx.Set(0, ctx.Call("Gather", {x, indices}, {{"axis", ctx.Int("axis", 0)}}));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Gather", 1, 0, Gather},
    {"GatherElements", 11, 0, GatherElements},
    {"GatherND", 11, 0, GatherND},
    {"Scatter", 9, 0, ScatterElements},
    {"ScatterElements", 11, 0, ScatterElements},
    {"ScatterND", 11, 0, ScatterND},
    {"OneHot", 9, 0, OneHot},
    {"ReverseSequence", 10, 0, ReverseSequence},
    {"Compress", 9, 0, Compress},
});

}  // namespace
}  // namespace tilewright::onnx
