// SPDX-License-Identifier: Apache-2.0
// Normalisation over axes. 16-bit floats are accumulated in f32.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct AxisAttrs {
  int64_t axis = -1;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &AxisAttrs::axis, "axis to normalise over"));
  }
};
struct NormAttrs {
  std::vector<int64_t> axes = {-1};
  double epsilon = 1e-5;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axes", &NormAttrs::axes, "axes to normalise over"),
                      AttrField("epsilon", &NormAttrs::epsilon, "added under the square root"));
  }
};

std::vector<Type> InferAxis(const InferContext& ctx) {
  RequireFloat(ctx, 0);
  CheckedAxis(ctx, ctx.Attr<AxisAttrs>().axis, ctx.Input(0).rank());
  return OneResult(ctx.Input(0).dtype, ctx.Input(0).shape);
}

/// Statistics over `axes` of the argument: a tensor with those axes dropped.
class Statistics {
 public:
  Statistics(const LowerContext& ctx, const std::vector<int64_t>& axes)
      : ctx_(ctx), shape_(ctx.InputType(0).shape), mask_(AxisMask(axes, int(shape_.size()), false)) {
    for (size_t i = 0; i < shape_.size(); ++i) (mask_[i] ? extents_ : kept_).push_back(shape_[i]);
  }
  Indices Kept(const Indices& full) const {
    Indices kept;
    for (size_t i = 0; i < full.size(); ++i) {
      if (!mask_[i]) kept.push_back(full[i]);
    }
    return kept;
  }
  Expr Count() const { return Product(extents_); }
  /// A reduction of f(x at the full index) over the axes.
  te::Tensor Reduce(const std::string& suffix, te::Combiner combiner,
                    const std::function<Expr(const Indices&)>& f) const {
    return ctx_.Intermediate(suffix, kept_, [&](const Indices& out) -> te::Body {
      std::vector<IterVar> axes = ReduceAxes(extents_);
      Indices full;
      size_t o = 0, r = 0;
      for (bool reduced : mask_) full.push_back(reduced ? Expr(axes[r++].var) : out[o++]);
      return te::Body({f(full)}, axes, combiner);
    });
  }

  /// f(kept index).
  te::Tensor Each(const std::string& suffix, const std::function<te::Body(const Indices&)>& f) const {
    return ctx_.Intermediate(suffix, kept_, f);
  }

 private:
  const LowerContext& ctx_;
  std::vector<Expr> shape_, kept_, extents_;
  std::vector<bool> mask_;
};

Expr ReadWide(const LowerContext& ctx, const Indices& i) { return ToCompute(ctx.Read(0, i)); }

/// e^x for x <= 0, with 0 for what is no normal number: beside the largest addend of the sum, 1, that is
/// nothing, and arithmetic on subnormal numbers takes a hundred cycles where masked elements are many. The
/// bounds save what exp does for arguments beyond.
Expr ExpOrZero(const Expr& x) {
  const Expr least = MakeConst(x.dtype(), x.dtype().bits == 64 ? -708.0 : -87.0);
  const Expr zero = MakeConst(x.dtype(), 0.0);
  return MakeSelect(x < least, zero, MakeCall(Intrinsic::k_exp, {Min(Max(x, least), zero)}));
}

/// e^(x - max), and its sum, as stages.
std::vector<te::Tensor> LowerSoftmax(const LowerContext& ctx, bool logarithm) {
  Statistics over(ctx, {ctx.Attr<AxisAttrs>().axis});
  te::Tensor max = over.Reduce("max", te::Combiner::kMax, [&](const Indices& i) { return ReadWide(ctx, i); });
  auto shifted = [&](const Indices& i) { return ReadWide(ctx, i) - max(over.Kept(i)); };
  auto exp = [&](const Indices& i) { return ExpOrZero(shifted(i)); };
  const DataType result = ctx.OutputType().dtype;
  if (logarithm) {
    te::Tensor sum = over.Reduce("sum", te::Combiner::kSum, exp);
    return {ctx.Compute([&](const Indices& i) {
      return MakeCast(result, shifted(i) - MakeCall(Intrinsic::k_log, {sum(over.Kept(i))}));
    })};
  }
  te::Tensor e = ctx.Intermediate("exp", ctx.InputType(0).shape, exp);
  te::Tensor sum = over.Reduce("sum", te::Combiner::kSum, [&](const Indices& i) { return e(i); });
  te::Tensor scale = over.Each("scale", [&](const Indices& i) { return MakeConst(e.dtype(), 1.0) / sum(i); });
  return {ctx.Compute([&](const Indices& i) { return MakeCast(result, e(i) * scale(over.Kept(i))); })};
}

/// The sum along the axis, which stays with extent 1.
Value SumAlongAxis(const GradientContext& ctx, const Value& v) {
  return ctx.Sum(v, {ctx.Attr<AxisAttrs>().axis}, true);
}

std::vector<Value> SoftmaxGradient(const GradientContext& ctx) {
  const Value &g = ctx.Cotangent(), &y = ctx.Result();
  return {ctx.Mul(y, ctx.Sub(g, SumAlongAxis(ctx, ctx.Mul(g, y))))};
}

std::vector<Value> LogSoftmaxGradient(const GradientContext& ctx) {
  const Value& g = ctx.Cotangent();
  return {ctx.Sub(g, ctx.Mul(ctx.Call("Exp", {ctx.Result()}), SumAlongAxis(ctx, g)))};
}

TW_OP(Softmax) = OpDef{
    .name = "Softmax",
    .doc = "e^x over its sum along an axis",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<AxisAttrs>(),
    .infer = InferAxis,
    .lower = [](const LowerContext& ctx) { return LowerSoftmax(ctx, false); },
    .pattern = FusePattern::kReduction,
    .gradient = SoftmaxGradient,
};

TW_OP(LogSoftmax) = OpDef{
    .name = "LogSoftmax",
    .doc = "logarithm of Softmax",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<AxisAttrs>(),
    .infer = InferAxis,
    .lower = [](const LowerContext& ctx) { return LowerSoftmax(ctx, true); },
    .pattern = FusePattern::kReduction,
    .gradient = LogSoftmaxGradient,
};

std::vector<Type> InferNorm(const InferContext& ctx) {
  RequireFloat(ctx, 0);
  CheckedAxes(ctx, ctx.Attr<NormAttrs>().axes, ctx.Input(0).rank());
  return OneResult(ctx.Input(0).dtype, ctx.Input(0).shape);
}

/// (x - centre) / sqrt(mean of (x - centre)^2 + epsilon); the centre is the mean, or 0 for RMS.
std::vector<te::Tensor> LowerNorm(const LowerContext& ctx, bool centred) {
  const auto& attrs = ctx.Attr<NormAttrs>();
  Statistics over(ctx, attrs.axes);
  const DataType wide = ComputeType(ctx.InputType(0).dtype);
  const Expr count = MakeCast(wide, over.Count());
  te::Tensor sum;
  if (centred)
    sum = over.Reduce("sum", te::Combiner::kSum, [&](const Indices& i) { return ReadWide(ctx, i); });
  auto offset = [&](const Indices& i) {
    return centred ? ReadWide(ctx, i) - sum(over.Kept(i)) / count : ReadWide(ctx, i);
  };
  te::Tensor square = over.Reduce("square", te::Combiner::kSum, [&](const Indices& i) {
    Expr d = offset(i);
    return d * d;
  });
  te::Tensor scale = over.Each("scale", [&](const Indices& i) {
    Expr variance = square(i) / count + MakeConst(wide, attrs.epsilon);
    return MakeConst(wide, 1.0) / MakeCall(Intrinsic::k_sqrt, {variance});
  });
  return {ctx.Compute(
      [&](const Indices& i) { return MakeCast(ctx.OutputType().dtype, offset(i) * scale(over.Kept(i))); })};
}

/// (g - mean g - y * mean(g * y)) / deviation; without a centre the mean of g stays.
std::vector<Value> NormGradient(const GradientContext& ctx, bool centred) {
  const auto& attrs = ctx.Attr<NormAttrs>();
  const Value &g = ctx.Cotangent(), &x = ctx.Arg(0), &y = ctx.Result();
  if (attrs.axes.empty()) return {ctx.Zeros(x)};
  auto mean = [&](const Value& v) {
    return ctx.Call("ReduceMean", {v}, {{"axes", attrs.axes}, {"keepdims", true}});
  };
  Value offset = centred ? ctx.Sub(x, mean(x)) : x;
  Value variance = ctx.Add(mean(ctx.Mul(offset, offset)), ctx.Scalar(attrs.epsilon, x));
  Value rest = ctx.Sub(centred ? ctx.Sub(g, mean(g)) : g, ctx.Mul(y, mean(ctx.Mul(g, y))));
  return {ctx.Div(rest, ctx.Call("Sqrt", {variance}))};
}

TW_OP(MeanVarianceNormalization) = OpDef{
    .name = "MeanVarianceNormalization",
    .doc = "(x - mean) / sqrt(variance + epsilon) over axes",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<NormAttrs>(),
    .infer = InferNorm,
    .lower = [](const LowerContext& ctx) { return LowerNorm(ctx, true); },
    .pattern = FusePattern::kReduction,
    .gradient = [](const GradientContext& ctx) { return NormGradient(ctx, true); },
};

TW_OP(RMSNormalization) = OpDef{
    .name = "RMSNormalization",
    .doc = "x / sqrt(mean of x^2 + epsilon) over axes",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<NormAttrs>(),
    .infer = InferNorm,
    .lower = [](const LowerContext& ctx) { return LowerNorm(ctx, false); },
    .pattern = FusePattern::kReduction,
    .gradient = [](const GradientContext& ctx) { return NormGradient(ctx, false); },
};

struct EpsilonAttrs {
  double epsilon = 1e-5;
  static constexpr auto Fields() {
    return std::tuple(AttrField("epsilon", &EpsilonAttrs::epsilon, "added to the variance"));
  }
};

std::vector<te::Tensor> LowerBatchNorm(const LowerContext& ctx) {
  const DataType wide = ComputeType(ctx.OutputType().dtype);
  return {ctx.Compute([&](const Indices& i) {
    auto of_channel = [&](size_t k) { return MakeCast(wide, ctx.Read(k, {i[1]})); };
    Expr deviation =
        MakeCall(Intrinsic::k_sqrt, {of_channel(4) + MakeConst(wide, ctx.Attr<EpsilonAttrs>().epsilon)});
    Expr y = (MakeCast(wide, ctx.Read(0, i)) - of_channel(3)) / deviation * of_channel(1) + of_channel(2);
    return MakeCast(ctx.OutputType().dtype, y);
  })};
}

/// scale / sqrt(variance + epsilon), and bias - mean * that.
ChannelAffine BatchNormAffine(const OpCallNode& call, GraphBuilder& builder, const std::string& origin) {
  const Value &scale = call.args[1], &bias = call.args[2], &mean = call.args[3], &variance = call.args[4];
  const double epsilon = call.attrs.Get<EpsilonAttrs>().epsilon;
  NDArray eps = NDArray::FromDoubles(variance.tensor().dtype, {}, std::vector{epsilon});
  Value sum = builder.Call1("Add", {variance, builder.Constant(eps)}, {}, origin);
  Value factor = builder.Call1("Div", {scale, builder.Call1("Sqrt", {sum}, {}, origin)}, {}, origin);
  Value product = builder.Call1("Mul", {mean, factor}, {}, origin);
  return {factor, builder.Call1("Sub", {bias, product}, {}, origin)};
}

TW_OP(BatchNormalization) = OpDef{
    .name = "BatchNormalization",
    .doc = "(x - mean) / sqrt(variance + epsilon) * scale + bias, per channel (axis 1), given statistics",
    .inputs = {{"x"}, {"scale"}, {"bias"}, {"mean"}, {"variance"}},
    .attrs = DescribeAttrs<EpsilonAttrs>(),
    .infer = [](const InferContext& ctx) -> std::vector<Type> {
      RequireFloat(ctx, 0);
      RequireRank(ctx, 0, 2, 8);
      for (size_t k = 1; k < 5; ++k) {
        RequireRank(ctx, k, 1, 1);
        RequireFloat(ctx, k);
        ctx.SameDim(ctx.Input(k).shape[0], ctx.Input(0).shape[1], "channels of the statistics and of x");
      }
      return InferSame(ctx);
    },
    .lower = LowerBatchNorm,
    .pattern = FusePattern::kBroadcast,
    .layout_agnostic = true,
    .channel_affine = BatchNormAffine,
};

struct LrnAttrs {
  int64_t size = 1;
  double alpha = 1e-4, beta = 0.75, bias = 1;
  static constexpr auto Fields() {
    return std::tuple(AttrField("size", &LrnAttrs::size, "channels to sum over"),
                      AttrField("alpha", &LrnAttrs::alpha, "factor of the mean square"),
                      AttrField("beta", &LrnAttrs::beta, "exponent"),
                      AttrField("bias", &LrnAttrs::bias, "added to the mean square"));
  }
};

std::vector<te::Tensor> LowerLrn(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<LrnAttrs>();
  const Expr channels = ctx.InputType(0).shape[1];
  te::Tensor sum = ctx.Intermediate("sum", ctx.InputType(0).shape, [&](const Indices& i) {
    IterVar r = te::ReduceAxis(Expr(attrs.size), "r");
    Indices at = i;
    at[1] = i[1] + r.var - Expr((attrs.size - 1) / 2);
    Expr x = ReadWide(ctx, at);
    Expr inside = AllOf({at[1] >= Expr(0), at[1] < channels});
    return te::Sum(MakeIfThenElse(inside, x * x, ConstLike(x, 0)), {r});
  });
  return {ctx.Compute([&](const Indices& i) {
    Expr s = sum(i);
    Expr base = ConstLike(s, attrs.bias) + ConstLike(s, attrs.alpha / double(attrs.size)) * s;
    Expr scale = MakeCall(Intrinsic::k_pow, {base, ConstLike(s, attrs.beta)});
    return MakeCast(ctx.OutputType().dtype, ReadWide(ctx, i) / scale);
  })};
}

TW_OP(LRN) = OpDef{
    .name = "LRN",
    .doc = "x / (bias + alpha * mean square of neighbouring channels)^beta",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<LrnAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          RequireFloat(ctx, 0);
          RequireRank(ctx, 0, 2, 8);
          if (ctx.Attr<LrnAttrs>().size < 1) ctx.Fail("TW2110", "size must be at least 1");
          return OneResult(ctx.Input(0).dtype, ctx.Input(0).shape);
        },
    .lower = LowerLrn,
    .pattern = FusePattern::kReduction,
};

}  // namespace
}  // namespace tilewright
