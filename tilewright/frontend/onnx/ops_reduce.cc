// SPDX-License-Identifier: Apache-2.0
// Reductions, running sums, selection.
#include <functional>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

/// Axes of a Reduce node, an attribute at first and an argument from operator set `argument_since` on. Null
/// when the node reduces nothing (noop_with_empty_axes).
std::optional<Annotations> ReduceAttrs(const NodeContext& ctx, int64_t argument_since) {
  std::vector<int64_t> axes;
  const bool keepdims = ctx.Int("keepdims", 1) != 0;
  if (ctx.opset() >= argument_since) {
    if (ctx.Has(1)) axes = ctx.RequireInts(1, "the axes of " + ctx.node().op_type());
    if (ctx.Int("noop_with_empty_axes", 0) != 0 && axes.empty()) return std::nullopt;
  } else {
    axes = ctx.Ints("axes", std::vector<int64_t>{});
  }
  return Annotations{{"axes", axes}, {"keepdims", keepdims}};
}

using Step = std::function<Value(NodeContext&, const Value&)>;

/// The reduction; of all axes with their ones kept, which the scheduler takes for one row, and dropped
/// behind.
Value ReduceOver(NodeContext& ctx, const char* core, const Value& x, Annotations attrs) {
  const size_t reduced = std::get<std::vector<int64_t>>(attrs.at("axes")).size();
  const size_t rank = x.tensor().shape.size();
  const bool to_scalar =
      rank > 0 && !std::get<bool>(attrs.at("keepdims")) && (reduced == 0 || reduced == rank);
  if (!to_scalar) return ctx.Call(core, {x}, attrs);
  attrs["keepdims"] = true;
  return ctx.Reshape(ctx.Call(core, {x}, attrs), {});
}

/// before(x), a reduction, after(result).
void Reduce(NodeContext& ctx, const char* core, int64_t argument_since, const Step& before = nullptr,
            const Step& after = nullptr) {
  auto attrs = ReduceAttrs(ctx, argument_since);
  Value x = ctx.Arg(0);
  if (before) x = before(ctx, x);
  if (attrs) x = ReduceOver(ctx, core, x, *attrs);
  if (after) x = after(ctx, x);
  ctx.Set(0, !attrs && !before && !after ? ctx.Call("Identity", {x}) : x);
}

Value Square(NodeContext& ctx, const Value& x) { return ctx.Call("Mul", {x, x}); }
Value Absolute(NodeContext& ctx, const Value& x) { return ctx.Call("Abs", {x}); }
Value Root(NodeContext& ctx, const Value& x) {
  if (x.tensor().dtype.is_float()) return ctx.Call("Sqrt", {x});
  DataType t = x.tensor().dtype;
  return ctx.Cast(ctx.Call("Sqrt", {ctx.Cast(x, kF64)}), t);
}
Value Logarithm(NodeContext& ctx, const Value& x) {
  if (x.tensor().dtype.is_float()) return ctx.Call("Log", {x});
  DataType t = x.tensor().dtype;
  return ctx.Cast(ctx.Call("Log", {ctx.Cast(x, kF64)}), t);
}

void ReduceSum(NodeContext& ctx) { Reduce(ctx, "ReduceSum", 13); }
void ReduceMean(NodeContext& ctx) { Reduce(ctx, "ReduceMean", 18); }
void ReduceMax(NodeContext& ctx) { Reduce(ctx, "ReduceMax", 18); }
void ReduceMin(NodeContext& ctx) { Reduce(ctx, "ReduceMin", 18); }
void ReduceProd(NodeContext& ctx) { Reduce(ctx, "ReduceProd", 18); }
void ReduceSumSquare(NodeContext& ctx) { Reduce(ctx, "ReduceSum", 18, Square); }
void ReduceL1(NodeContext& ctx) { Reduce(ctx, "ReduceSum", 18, Absolute); }
void ReduceL2(NodeContext& ctx) { Reduce(ctx, "ReduceSum", 18, Square, Root); }
void ReduceLogSum(NodeContext& ctx) { Reduce(ctx, "ReduceSum", 18, nullptr, Logarithm); }

/// max + log(sum(exp(x - max))), with an infinite max left out of the difference.
void ReduceLogSumExp(NodeContext& ctx) {
  auto attrs = ReduceAttrs(ctx, 18);
  Value x = ctx.Arg(0);
  if (!attrs) return ctx.Set(0, ctx.Call("Identity", {x}));
  const DataType t = x.tensor().dtype;
  if (!t.is_float()) x = ctx.Cast(x, kF64);
  Annotations kept = *attrs;
  kept["keepdims"] = true;
  Value max = ctx.Call("ReduceMax", {x}, kept);
  Value infinite = ctx.Call("IsInf", {max});
  Value shift = ctx.Call("Where", {infinite, ctx.Scalar(x.tensor().dtype, 0), max});
  Value sum = ctx.Call("ReduceSum", {ctx.Call("Exp", {ctx.Call("Sub", {x, shift})})}, kept);
  Value y = ctx.Call("Add", {ctx.Call("Log", {sum}), shift});
  if (!std::get<bool>(attrs->at("keepdims"))) {
    std::vector<int64_t> axes = std::get<std::vector<int64_t>>(attrs->at("axes"));
    std::vector<Expr> shape;
    for (int d = 0; d < y.tensor().rank(); ++d) {
      bool reduced = axes.empty();
      for (int64_t a : axes) reduced = reduced || (a < 0 ? a + y.tensor().rank() : a) == d;
      if (!reduced) shape.push_back(y.tensor().shape[size_t(d)]);
    }
    y = ctx.Reshape(y, shape);
  }
  ctx.Set(0, ctx.Cast(y, t));
}

void ArgReduce(NodeContext& ctx) {
  ctx.Set(0, ctx.Call(ctx.node().op_type(), {ctx.Arg(0)},
                      {{"axis", ctx.Int("axis", 0)},
                       {"keepdims", ctx.Int("keepdims", 1) != 0},
                       {"last", ctx.Int("select_last_index", 0) != 0}}));
}

void Scan(NodeContext& ctx) {
  int64_t axis = int64_t(ctx.RequireNumber(1, "the axis of " + ctx.node().op_type()));
  ctx.Set(0, ctx.Call(ctx.node().op_type(), {ctx.Arg(0)},
                      {{"axis", axis},
                       {"exclusive", ctx.Int("exclusive", 0) != 0},
                       {"reverse", ctx.Int("reverse", 0) != 0}}));
}

void TopK(NodeContext& ctx) {
  Expr k;
  if (ctx.opset() < 10) {
    k = Expr(ctx.Int("k"));
  } else {
    std::vector<Expr> given = ctx.RequireExprs(1, "k of TopK");
    if (given.size() != 1) ctx.Fail("TW2017", fmt::format("k has {} elements, expected 1", given.size()));
    k = given[0];
  }
  ctx.Ignore({"sorted"});
  std::vector<Value> results =
      ctx.CallMulti("TopK", {ctx.Arg(0)},
                    {{"axis", ctx.Int("axis", -1)}, {"k", k}, {"largest", ctx.Int("largest", 1) != 0}});
  ctx.Set(0, results[0]);
  ctx.Set(1, results[1]);
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"ReduceSum", 1, 0, ReduceSum},
    {"ReduceMean", 1, 0, ReduceMean},
    {"ReduceMax", 1, 0, ReduceMax},
    {"ReduceMin", 1, 0, ReduceMin},
    {"ReduceProd", 1, 0, ReduceProd},
    {"ReduceSumSquare", 1, 0, ReduceSumSquare},
    {"ReduceL1", 1, 0, ReduceL1},
    {"ReduceL2", 1, 0, ReduceL2},
    {"ReduceLogSum", 1, 0, ReduceLogSum},
    {"ReduceLogSumExp", 1, 0, ReduceLogSumExp},
    {"ArgMax", 1, 0, ArgReduce},
    {"ArgMin", 1, 0, ArgReduce},
    {"CumSum", 11, 0, Scan},
    {"CumProd", 26, 0, Scan},
    {"TopK", 1, 0, TopK},
});

}  // namespace
}  // namespace tilewright::onnx
