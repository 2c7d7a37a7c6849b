// SPDX-License-Identifier: Apache-2.0
// Gather, scatter and their kin.
#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

void Gather(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("Gather", {ctx.Arg(0), ctx.Arg(1)}, {{"axis", ctx.Int("axis", 0)}}));
}
void GatherElements(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("GatherElements", {ctx.Arg(0), ctx.Arg(1)}, {{"axis", ctx.Int("axis", 0)}}));
}
void GatherND(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("GatherND", {ctx.Arg(0), ctx.Arg(1)}, {{"batch_dims", ctx.Int("batch_dims", 0)}}));
}

void ScatterElements(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("ScatterElements", {ctx.Arg(0), ctx.Arg(1), ctx.Arg(2)},
                      {{"axis", ctx.Int("axis", 0)}, {"reduction", ctx.String("reduction", "none")}}));
}
void ScatterND(NodeContext& ctx) {
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
