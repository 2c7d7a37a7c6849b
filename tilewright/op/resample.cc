// SPDX-License-Identifier: Apache-2.0
// Resampling of one axis by tables of positions and weights: what every interpolating resize comes down to.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct AxisAttrs {
  int64_t axis = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &AxisAttrs::axis, "the resampled axis"));
  }
};

std::vector<Type> InferResample(const InferContext& ctx) {
  const TensorType& x = ctx.Input(0);
  RequireRank(ctx, 1, 2, 2);
  RequireRank(ctx, 2, 2, 2);
  RequireDType(ctx, 1, kI64);
  RequireDType(ctx, 2, ComputeType(x.dtype).is_float() ? ComputeType(x.dtype) : kF32);
  for (size_t d = 0; d < 2; ++d) {
    ctx.SameDim(ctx.Input(1).shape[d], ctx.Input(2).shape[d], "positions and weights");
  }
  std::vector<Expr> shape = x.shape;
  shape[size_t(CheckedAxis(ctx, ctx.Attr<AxisAttrs>().axis, x.rank()))] = ctx.Input(1).shape[0];
  return OneResult(x.dtype, shape);
}

std::vector<te::Tensor> LowerResample(const LowerContext& ctx) {
  const TensorType& x = ctx.InputType(0);
  const size_t axis = size_t(FromFront(ctx.Attr<AxisAttrs>().axis, x.rank()));
  const Expr taps = ctx.InputType(1).shape[1], last = x.shape[axis] - Expr(1);
  const DataType wide = ctx.InputType(2).dtype;
  auto term = [&](const Indices& o, const Expr& tap) {
    Indices from = o;
    from[axis] = Max(Min(ctx.Read(1, {o[axis], tap}), last), Expr(0));
    return ctx.Read(2, {o[axis], tap}) * MakeCast(wide, ctx.Read(0, from));
  };
  constexpr int64_t kUnrolled = 4;  // linear and cubic interpolation have two and four taps
  if (auto n = AsInt(taps); n && *n <= kUnrolled) {
    return {ctx.Compute([&](const Indices& o) {
      Expr sum = term(o, Expr(0));
      for (int64_t t = 1; t < *n; ++t) sum = sum + term(o, Expr(t));
      return MakeCast(x.dtype, sum);
    })};
  }
  te::Tensor total = ctx.Compute(
      [&](const Indices& o) {
        IterVar r = te::ReduceAxis(taps, "tap");
        return te::Sum(term(o, r.var), {r});
      },
      0, {}, ".sum");
  return {ctx.Compute([&](const Indices& o) { return MakeCast(x.dtype, AtLogical(ctx, total, o)); })};
}

TW_OP(Resample) = OpDef{
    .name = "Resample",
    .doc = "sum over t of weights[i, t] * x[positions[i, t]] along an axis",
    .inputs = {{"x"}, {"positions"}, {"weights"}},
    .attrs = DescribeAttrs<AxisAttrs>(),
    .infer = InferResample,
    .lower = LowerResample,
    .pattern = FusePattern::kReduction,
};

}  // namespace
}  // namespace tilewright
