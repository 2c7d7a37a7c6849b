// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/slice_bounds.h"

namespace tilewright::onnx {

namespace {

Expr Clamp(const Expr& x, const Expr& low, const Expr& high) { return Max(Min(x, high), low); }

/// An index from the front. What lies beyond every axis is the axis' end, or -1: a bound that is not known to
/// be the axis' own would be that of the memory for the result.
Expr FromFront(const Expr& index, const Expr& extent) {
  constexpr int64_t kBeyond = int64_t{1} << 60;
  if (auto i = AsInt(index)) {
    if (*i >= kBeyond) return extent;
    if (*i <= -kBeyond) return Expr(-1);
    return *i < 0 ? extent + Expr(*i) : Expr(*i);
  }
  return MakeSelect(index < Expr(0), index + extent, index);
}

}  // namespace

SliceBounds SliceOf(const NodeContext& ctx) {
  const auto shape = ctx.Shape(0);
  const int64_t rank = int64_t(shape.size());
  std::vector<Expr> starts, ends;
  std::vector<int64_t> axes, steps;
  if (ctx.opset() < 10) {
    starts = ToExprs(ctx.Ints("starts"));
    ends = ToExprs(ctx.Ints("ends"));
    axes = ctx.Ints("axes", std::vector<int64_t>{});
  } else {
    starts = ctx.RequireExprs(1, "the starts of Slice");
    ends = ctx.RequireExprs(2, "the ends of Slice");
    if (ctx.Has(3)) axes = ctx.RequireInts(3, "the axes of Slice");
    if (ctx.Has(4)) steps = ctx.RequireInts(4, "the steps of Slice");
  }
  if (axes.empty() && !ctx.Has(3)) {
    for (size_t i = 0; i < starts.size(); ++i) axes.push_back(int64_t(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (starts.size() != ends.size() || starts.size() != axes.size() || starts.size() != steps.size()) {
    ctx.Fail("TW2017", "starts, ends, axes and steps have different lengths");
  }
  SliceBounds bounds{std::vector<Expr>(shape.size(), Expr(0)), std::vector<int64_t>(shape.size(), 1), shape};
  std::set<int64_t> seen;
  for (size_t i = 0; i < axes.size(); ++i) {
    const int64_t axis = AxisFromFront(ctx, axes[i], rank), step = steps[i];
    if (!seen.insert(axis).second) ctx.Fail("TW2015", fmt::format("axis {} is sliced twice", axis));
    if (step == 0) ctx.Fail("TW2015", "a step of 0");
    if (step == INT64_MIN) ctx.Fail("TW2015", fmt::format("a step of {}", step));
    const size_t a = size_t(axis);
    const Expr &extent = shape[a], first = FromFront(starts[i], extent), last = FromFront(ends[i], extent);
    const Expr zero(0), one(1);
    if (step > 0) {
      bounds.begin[a] = Clamp(first, zero, extent);
      bounds.count[a] = Max(CeilDiv(Clamp(last, zero, extent) - bounds.begin[a], Expr(step)), zero);
    } else {
      bounds.begin[a] = Clamp(first, zero, Max(extent - one, zero));
      bounds.count[a] =
          Max(CeilDiv(bounds.begin[a] - Clamp(last, Expr(-1), extent - one), Expr(-step)), zero);
    }
    bounds.step[a] = step;
  }
  return bounds;
}

SplitParts SplitOf(NodeContext& ctx) {
  const std::vector<Expr> shape = ctx.Shape(0);
  SplitParts result{size_t(AxisFromFront(ctx, ctx.Int("axis", 0), int64_t(shape.size()))), {}};
  const Expr extent = shape[result.axis];
  std::vector<Expr>& sizes = result.sizes;
  const size_t parts = ctx.outputs().size();
  const bool by_attribute = ctx.opset() >= 2 && ctx.opset() < 13;
  if (by_attribute ? ctx.HasAttr("split") : ctx.Has(1)) {
    sizes = by_attribute ? ToExprs(ctx.Ints("split")) : ctx.RequireExprs(1, "the sizes of Split");
  } else if (ctx.opset() < 2 && ctx.HasAttr("split")) {
    sizes = ToExprs(ctx.Ints("split"));
  } else {
    const int64_t n = ctx.Int("num_outputs", int64_t(parts));
    if (n != int64_t(parts))
      ctx.Fail("TW2015", fmt::format("num_outputs is {}, but there are {} results", n, parts));
    // Equal parts, the last one smaller where they do not divide the axis.
    Expr left = extent;
    for (size_t i = 0; i < parts; ++i) {
      const Expr part = CeilDiv(extent, Expr(n));
      sizes.push_back(i + 1 == parts ? left : part);
      left = left - part;
    }
  }
  if (sizes.size() != parts) ctx.Fail("TW2017", fmt::format("{} sizes for {} results", sizes.size(), parts));
  Expr whole(0);
  for (size_t i = 0; i < parts; ++i) {
    if (auto n = AsInt(sizes[i]); n && *n < 0) {
      ctx.Fail("TW2017", fmt::format("part {} has a size of {}", i, *n));
    }
    whole = whole + sizes[i];
  }
  auto total = AsInt(whole), known = AsInt(extent);
  if (total && known && *total != *known) {
    ctx.Fail("TW2017", fmt::format("the parts have {} elements together, the axis has {}", *total, *known));
  }
  return result;
}

}  // namespace tilewright::onnx
