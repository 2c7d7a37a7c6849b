// SPDX-License-Identifier: Apache-2.0
// Selection of the largest elements, by counting: an element's rank is the number of those before it.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct TopKAttrs {
  int64_t axis = -1;
  Expr k = Expr(1);
  bool largest = true;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &TopKAttrs::axis, "the axis to select along"),
                      AttrField("k", &TopKAttrs::k, "how many"),
                      AttrField("largest", &TopKAttrs::largest, "the largest first, else the smallest"));
  }
};

std::vector<Type> InferTopK(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<TopKAttrs>();
  const TensorType& x = ctx.Input(0);
  const size_t axis = size_t(CheckedAxis(ctx, attrs.axis, x.rank()));
  auto k = AsInt(attrs.k), extent = AsInt(x.shape[axis]);
  if (k && (*k < 0 || (extent && *k > *extent))) {
    ctx.Fail("TW2110", fmt::format("k is {}, the axis has {} elements", *k, extent ? *extent : -1));
  }
  if (!k || !extent) RequireAtMost(ctx, attrs.k, x.shape[axis], "k and the axis");
  std::vector<Expr> shape = x.shape;
  shape[axis] = attrs.k;
  return {OneResult(x.dtype, shape)[0], OneResult(kI64, shape)[0]};
}

/// Whether element `a` at position `i` comes before `b` at `j`. NaN counts as the largest value.
Expr ComesBefore(const Expr& a, const Expr& i, const Expr& b, const Expr& j, bool largest) {
  Expr first = largest ? a > b : a < b, tie = Eq(a, b);
  if (a.dtype().is_float()) {
    Expr nan_a = MakeCall(Intrinsic::k_isnan, {a}), nan_b = MakeCall(Intrinsic::k_isnan, {b});
    Expr only = largest ? MakeBinary(BinaryOp::kAnd, nan_a, MakeNot(nan_b))
                        : MakeBinary(BinaryOp::kAnd, MakeNot(nan_a), nan_b);
    first = MakeBinary(BinaryOp::kOr, first, only);
    tie = MakeBinary(BinaryOp::kOr, tie, MakeBinary(BinaryOp::kAnd, nan_a, nan_b));
  }
  return MakeBinary(BinaryOp::kOr, first, MakeBinary(BinaryOp::kAnd, tie, i < j));
}

std::vector<te::Tensor> LowerTopK(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<TopKAttrs>();
  const TensorType& x = ctx.InputType(0);
  const size_t axis = size_t(FromFront(attrs.axis, x.rank()));
  te::Tensor rank = ctx.Intermediate("rank", x.shape, [&](const Indices& i) {
    IterVar r = te::ReduceAxis(x.shape[axis], "r");
    Indices other = i;
    other[axis] = r.var;
    Expr before =
        ComesBefore(ToCompute(ctx.Read(0, other)), r.var, ToCompute(ctx.Read(0, i)), i[axis], attrs.largest);
    return te::Sum(MakeSelect(before, Expr(1), Expr(0)), {r});
  });
  auto pick = [&](size_t out, const std::function<Expr(const Indices&)>& f) {
    return ctx.Compute(
        [&](const Indices& o) {
          IterVar r = te::ReduceAxis(x.shape[axis], "r");
          Indices from = o;
          from[axis] = r.var;
          Expr value = f(from);
          return te::Sum(MakeSelect(Eq(rank(from), o[axis]), value, MakeConst(value.dtype(), 0)), {r});
        },
        out, {}, out ? ".indices" : "");
  };
  return {pick(0, [&](const Indices& i) { return ctx.Read(0, i); }),
          pick(1, [&](const Indices& i) { return i[axis]; })};
}

TW_OP(TopK) = OpDef{
    .name = "TopK",
    .doc =
        "the k largest (smallest) elements along an axis, in order, and their indices; of equal elements "
        "the first comes first",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<TopKAttrs>(),
    .infer = InferTopK,
    .lower = LowerTopK,
    .pattern = FusePattern::kOpaque,
};

}  // namespace
}  // namespace tilewright
