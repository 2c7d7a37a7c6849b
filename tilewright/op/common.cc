// SPDX-License-Identifier: Apache-2.0
#include "tilewright/op/common.h"

#include <algorithm>

namespace tilewright {

std::vector<Type> OneResult(DataType dtype, std::vector<Expr> shape) {
  TensorType t;
  t.dtype = dtype;
  t.shape = std::move(shape);
  return {Type(std::move(t))};
}

std::vector<Type> InferSame(const InferContext& ctx) { return {Type(ctx.Input(0))}; }

std::vector<Expr> BroadcastShape(const InferContext& ctx, const std::vector<Expr>& a,
                                 const std::vector<Expr>& b) {
  std::vector<Expr> shape(std::max(a.size(), b.size()), Expr(1));
  for (size_t i = 0; i < shape.size(); ++i) {
    const Expr x = i + a.size() < shape.size() ? Expr(1) : a[i + a.size() - shape.size()];
    const Expr y = i + b.size() < shape.size() ? Expr(1) : b[i + b.size() - shape.size()];
    if (IsInt(x, 1)) {
      shape[i] = y;
    } else if (IsInt(y, 1)) {
      shape[i] = x;
    } else {
      shape[i] = ctx.SameDim(x, y, fmt::format("dimension {} of the broadcast operands", i));
    }
  }
  return shape;
}

std::vector<Type> InferBroadcast(const InferContext& ctx, DataType result) {
  std::vector<Expr> shape;
  for (size_t i = 0; i < ctx.size(); ++i) {
    if (ctx.Has(i)) shape = BroadcastShape(ctx, shape, ctx.Input(i).shape);
  }
  TensorType t;
  t.dtype = result;
  t.shape = shape;
  for (size_t i = 0; i < ctx.size(); ++i) {
    if (!ctx.Has(i) || ctx.Input(i).layout.natural()) continue;
    if (SameShape(ctx.Input(i).shape, shape)) t.layout = ctx.Input(i).layout;
  }
  return {Type(std::move(t))};
}

int FromFront(int64_t axis, int rank) { return int(axis < 0 ? axis + rank : axis); }

int CheckedAxis(const InferContext& ctx, int64_t axis, int rank) {
  if (axis < -rank || axis >= rank) {
    ctx.Fail("TW2110", fmt::format("axis {} is outside of [{}, {})", axis, -rank, rank));
  }
  return FromFront(axis, rank);
}

std::vector<int> CheckedAxes(const InferContext& ctx, const std::vector<int64_t>& axes, int rank) {
  std::vector<int> result;
  for (int64_t axis : axes) result.push_back(CheckedAxis(ctx, axis, rank));
  std::sort(result.begin(), result.end());
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) {
    ctx.Fail("TW2110", "an axis is given twice");
  }
  return result;
}

std::vector<bool> AxisMask(const std::vector<int64_t>& axes, int rank, bool empty_means_all) {
  std::vector<bool> mask(size_t(rank), axes.empty() && empty_means_all);
  for (int64_t axis : axes) mask[size_t(FromFront(axis, rank))] = true;
  return mask;
}

void RequireRank(const InferContext& ctx, size_t i, int lo, int hi) {
  int rank = ctx.Input(i).rank();
  if (rank >= lo && rank <= hi) return;
  std::string expected = lo == hi ? fmt::format("{}", lo) : fmt::format("{} to {}", lo, hi);
  ctx.Fail("TW2111", fmt::format("argument {} has rank {}, expected {}", i, rank, expected));
}

void RequireFloat(const InferContext& ctx, size_t i) {
  if (ctx.Input(i).dtype.is_float()) return;
  ctx.Fail("TW2112", fmt::format("argument {} has element type {}, expected a floating-point type", i,
                                 ctx.Input(i).dtype.ToString()));
}

void RequireDType(const InferContext& ctx, size_t i, DataType dtype) {
  if (ctx.Input(i).dtype == dtype) return;
  ctx.Fail("TW2112", fmt::format("argument {} has element type {}, expected {}", i,
                                 ctx.Input(i).dtype.ToString(), dtype.ToString()));
}

void RequireIndex(const InferContext& ctx, size_t i) {
  if (ctx.Input(i).dtype == kI32 || ctx.Input(i).dtype == kI64) return;
  ctx.Fail("TW2112", fmt::format("argument {} has element type {}, expected i32 or i64", i,
                                 ctx.Input(i).dtype.ToString()));
}

void RequireSameDType(const InferContext& ctx, size_t a, size_t b) {
  RequireDType(ctx, b, ctx.Input(a).dtype);
}

void RequireAtMost(const InferContext& ctx, const Expr& value, const Expr& limit, const std::string& what) {
  auto v = AsInt(value), most = AsInt(limit);
  if (v && most && *v > *most) ctx.Fail("TW2110", fmt::format("{}: {} > {}", what, *v, *most));
  if (!v || !most) ctx.SameDim(Max(value, limit), limit, what);
}

Expr Product(const std::vector<Expr>& shape) {
  Expr product(1);
  for (const Expr& d : shape) product = product * d;
  return product;
}

Expr ConstLike(const Expr& like, double value) { return MakeConst(like.dtype(), value); }

DataType ComputeType(DataType dtype) { return dtype.is_float() && dtype.bits < 32 ? kF32 : dtype; }

Expr ToCompute(const Expr& x) { return MakeCast(ComputeType(x.dtype()), x); }

Expr InComputeType(DataType dtype, const std::vector<Expr>& x,
                   const std::function<Expr(const std::vector<Expr>&)>& f) {
  std::vector<Expr> wide;
  for (const Expr& e : x) wide.push_back(ToCompute(e));
  return MakeCast(dtype, f(wide));
}

OpDef ElementwiseOp(std::string name, std::string doc,
                    std::function<Expr(const Expr& x, const LowerContext& ctx)> f) {
  OpDef def;
  def.name = std::move(name);
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.infer = InferSame;
  def.lower = [f = std::move(f)](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) {
      return InComputeType(ctx.OutputType().dtype, {ctx.Read(0, i)},
                           [&](const std::vector<Expr>& x) { return f(x[0], ctx); });
    })};
  };
  def.pattern = FusePattern::kElementwise;
  def.layout_agnostic = true;
  return def;
}

Expr AtLogical(const LowerContext& ctx, const te::Tensor& t, const Indices& logical, size_t out) {
  return t(ctx.OutputType(out).layout.ToPhysical(logical));
}

std::vector<IterVar> ReduceAxes(const std::vector<Expr>& extents) {
  std::vector<IterVar> axes;
  for (size_t i = 0; i < extents.size(); ++i) {
    axes.push_back(te::ReduceAxis(extents[i], fmt::format("r{}", i)));
  }
  return axes;
}

Expr AllOf(const std::vector<Expr>& conditions) {
  Expr all = nullptr;
  for (const Expr& c : conditions) all = all ? MakeBinary(BinaryOp::kAnd, all, c) : c;
  return all;
}

}  // namespace tilewright
