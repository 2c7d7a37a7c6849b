// SPDX-License-Identifier: Apache-2.0
// Pooling over spatial windows of x [N, C, spatial...].
#include "tilewright/op/pool_lines.h"
#include "tilewright/op/window.h"

namespace tilewright {
namespace {

struct PoolAttrs {
  std::vector<int64_t> kernel, strides, dilations, pads;
  bool ceil_mode = false;
  bool count_include_pad = false;
  double p = 2;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("kernel", &PoolAttrs::kernel, "the window's extents"),
        AttrField("strides", &PoolAttrs::strides, "step along each spatial axis"),
        AttrField("dilations", &PoolAttrs::dilations, "distance of the window's elements"),
        AttrField("pads", &PoolAttrs::pads, "border before each spatial axis, then behind each"),
        AttrField("ceil_mode", &PoolAttrs::ceil_mode, "keep windows that reach beyond the border"),
        AttrField("count_include_pad", &PoolAttrs::count_include_pad, "averages count the border's zeros"),
        AttrField("p", &PoolAttrs::p, "exponent of LpPool"));
  }
};

Window WindowOf(const PoolAttrs& attrs) {
  Window window{.strides = attrs.strides, .dilations = attrs.dilations, .pads = attrs.pads};
  for (int64_t k : attrs.kernel) window.kernel.push_back(Expr(k));
  return window;
}

std::vector<Expr> PooledShape(const InferContext& ctx, const PoolAttrs& attrs) {
  RequireRank(ctx, 0, 3, 8);
  const TensorType& x = ctx.Input(0);
  Window window = WindowOf(attrs);
  CheckWindow(ctx, window, size_t(x.rank()) - 2);
  std::vector<Expr> shape = {x.shape[0], x.shape[1]};
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    shape.push_back(OutputExtent(ctx, window, d, x.shape[d + 2], attrs.ceil_mode));
  }
  return shape;
}

std::vector<Type> InferPool(const InferContext& ctx) {
  return OneResult(ctx.Input(0).dtype, PooledShape(ctx, ctx.Attr<PoolAttrs>()));
}

Expr PoolFlops(const InferContext& ctx) {
  Expr flops = Product(PooledShape(ctx, ctx.Attr<PoolAttrs>()));
  for (int64_t k : ctx.Attr<PoolAttrs>().kernel) flops = flops * Expr(k);
  return flops;
}

/// The reduction over windows of f(element), `fill` standing outside of x.
te::Body WindowBody(const Window& window, const Indices& o, te::Combiner combiner,
                    const std::function<Expr(const Indices&)>& f) {
  std::vector<IterVar> axes;
  Indices from = {o[0], o[1]};
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    axes.push_back(te::ReduceAxis(window.kernel[d], fmt::format("k{}", d)));
    from.push_back(o[d + 2] * Expr(window.strides[d]) + axes.back().var * Expr(window.dilations[d]));
  }
  return te::Body({f(from)}, axes, combiner);
}

/// What schedule rules read: a pooling is a depthwise convolution that multiplies with nothing.
Annotations PoolRule(const LowerContext& ctx) {
  return {{"rule", std::string("pool")},
          {"channel_block", ctx.OutputType().layout.BlockOf(1)},
          {"depthwise", true}};
}

/// The border of a pooling whose windows all lie within the padding; `value` does not change a result.
std::optional<ArgumentBorder> PoolBorder(const InferContext& ctx, double value) {
  PoolAttrs attrs = ctx.Attr<PoolAttrs>();
  if (attrs.ceil_mode) return std::nullopt;
  const Window window = WindowOf(attrs);
  attrs.pads.assign(attrs.pads.size(), 0);
  return BorderOf(ctx, window, PooledShape(ctx, ctx.Attr<PoolAttrs>()), value, Attrs(attrs));
}

std::optional<ArgumentBorder> MaxPoolBorder(const InferContext& ctx) {
  return PoolBorder(ctx, *AsNumber(MinValue(ctx.Input(0).dtype)));
}

/// Only where zeros count; else the divisor depends on where the argument ends.
std::optional<ArgumentBorder> AveragePoolBorder(const InferContext& ctx) {
  if (!ctx.Attr<PoolAttrs>().count_include_pad) return std::nullopt;
  return PoolBorder(ctx, 0);
}

std::vector<te::Tensor> LowerMaxPool(const LowerContext& ctx) {
  Window window = WindowOf(ctx.Attr<PoolAttrs>());
  const PoolFold largest{[](const Expr& a, const Expr& b) { return Max(a, b); },
                         [](const Expr& x) { return x; }, MinValue(ctx.InputType(0).dtype)};
  if (auto result = PoolByLines(ctx, window, largest, "")) return {*result};
  auto read = PaddedRead(ctx, window, MinValue(ctx.InputType(0).dtype));
  return {ctx.Compute([&](const Indices& o) { return WindowBody(window, o, te::Combiner::kMax, read); }, 0,
                      PoolRule(ctx))};
}

/// Elements of the window at output position `o` along axis `d` that count for the average.
Expr CountAlong(const PoolAttrs& attrs, const Window& window, size_t d, const Expr& o, const Expr& extent) {
  Expr low(0), high = extent, dilation(window.dilations[d]);
  if (attrs.count_include_pad) {
    low = Expr(-window.pads[d]);
    high = extent + Expr(window.pads[d + window.kernel.size()]);
  }
  Expr start = o * Expr(window.strides[d]) - Expr(window.pads[d]);
  Expr first = Max(CeilDiv(low - start, dilation), Expr(0));
  Expr last = Min(CeilDiv(high - start, dilation), window.kernel[d]);
  return last - first;
}

/// Whether each window lies inside of what counts, so that all averages divide by the same number.
bool CountsAll(const LowerContext& ctx, const PoolAttrs& attrs, const Window& window) {
  const size_t spatial = window.kernel.size();
  for (size_t d = 0; d < spatial; ++d) {
    int64_t pads = window.pads[d] + window.pads[d + spatial];
    if (pads && !attrs.count_include_pad) return false;
    if (!attrs.ceil_mode) continue;
    auto reached = AsInt(PaddedExtent(window, d, ctx.OutputType().shape[d + 2]));
    auto extent = AsInt(ctx.InputType(0).shape[d + 2]);
    if (!reached || !extent || *reached > *extent + pads) return false;
  }
  return true;
}

/// The sum of f(element) over each window, as a stage.
te::Tensor SumOfWindow(const LowerContext& ctx, const Window& window,
                       const std::function<Expr(const Expr&)>& f) {
  const DataType t = ctx.InputType(0).dtype;
  const PoolFold sum{[](const Expr& a, const Expr& b) { return a + b; }, f, MakeConst(ComputeType(t), 0)};
  if (auto result = PoolByLines(ctx, window, sum, ".sum")) return *result;
  auto read = PaddedRead(ctx, window, MakeConst(t, 0));
  return ctx.Compute(
      [&](const Indices& o) {
        return WindowBody(window, o, te::Combiner::kSum, [&](const Indices& i) { return f(read(i)); });
      },
      0, PoolRule(ctx), ".sum");
}

std::vector<te::Tensor> LowerAveragePool(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<PoolAttrs>();
  const auto& x = ctx.InputType(0);
  Window window = WindowOf(attrs);
  te::Tensor total = SumOfWindow(ctx, window, [](const Expr& v) { return ToCompute(v); });
  const bool counts_all = CountsAll(ctx, attrs, window);
  return {ctx.Compute([&](const Indices& o) {
    Expr sum = AtLogical(ctx, total, o), count(1);
    for (size_t d = 0; d < window.kernel.size(); ++d) {
      count =
          count * (counts_all ? window.kernel[d] : CountAlong(attrs, window, d, o[d + 2], x.shape[d + 2]));
    }
    return MakeCast(x.dtype, sum / MakeCast(sum.dtype(), count));
  })};
}

std::vector<te::Tensor> LowerLpPool(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<PoolAttrs>();
  const auto& x = ctx.InputType(0);
  Window window = WindowOf(attrs);
  te::Tensor total = SumOfWindow(ctx, window, [&](const Expr& element) {
    Expr v = ToCompute(element);
    if (attrs.p == 2) return v * v;
    Expr magnitude = MakeCall(Intrinsic::k_abs, {v});
    return attrs.p == 1 ? magnitude : MakeCall(Intrinsic::k_pow, {magnitude, ConstLike(v, attrs.p)});
  });
  return {ctx.Compute([&](const Indices& o) {
    Expr sum = AtLogical(ctx, total, o);
    if (attrs.p == 2) {
      sum = MakeCall(Intrinsic::k_sqrt, {sum});
    } else if (attrs.p != 1) {
      sum = MakeCall(Intrinsic::k_pow, {sum, ConstLike(sum, 1 / attrs.p)});
    }
    return MakeCast(x.dtype, sum);
  })};
}

OpDef PoolOp(std::string name, std::string doc, bool floats,
             std::function<std::vector<te::Tensor>(const LowerContext&)> lower,
             std::function<std::optional<ArgumentBorder>(const InferContext&)> border = nullptr) {
  OpDef def;
  def.name = std::move(name);
  def.follows_input_layout = true;
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.attrs = DescribeAttrs<PoolAttrs>();
  def.infer = [floats](const InferContext& ctx) {
    if (floats) RequireFloat(ctx, 0);
    return InferPool(ctx);
  };
  def.lower = std::move(lower);
  def.pattern = FusePattern::kHeavy;
  def.flops = PoolFlops;
  def.border = std::move(border);
  return def;
}

TW_OP(MaxPool) = PoolOp("MaxPool", "the largest element of each window", false, LowerMaxPool, MaxPoolBorder);
TW_OP(AveragePool) = PoolOp("AveragePool", "the mean of each window", true, LowerAveragePool,
                            AveragePoolBorder);
TW_OP(LpPool) = PoolOp("LpPool", "the p-norm of each window", true, LowerLpPool);

struct IndexedPoolAttrs : PoolAttrs {
  bool column_major = false;
  static constexpr auto Fields() {
    using S = IndexedPoolAttrs;
    using L = std::vector<int64_t>;
    return std::tuple(
        AttrField<S, L>("kernel", &S::kernel, "the window's extents"),
        AttrField<S, L>("strides", &S::strides, "step along each spatial axis"),
        AttrField<S, L>("dilations", &S::dilations, "distance of the window's elements"),
        AttrField<S, L>("pads", &S::pads, "border before each spatial axis, then behind each"),
        AttrField<S, bool>("ceil_mode", &S::ceil_mode, "keep windows that reach beyond the border"),
        AttrField<S, bool>("column_major", &S::column_major, "indices count the first spatial axis fastest"));
  }
};

/// Position in the whole tensor x of the element at `at` (without padding).
Expr FlatIndex(const std::vector<Expr>& shape, const Indices& at, bool column_major) {
  Expr flat = at[0] * shape[1] + at[1];
  if (!column_major) {
    for (size_t d = 2; d < at.size(); ++d) flat = flat * shape[d] + at[d];
    return flat;
  }
  Expr inner(0), size(1);
  for (size_t d = at.size(); d-- > 2;) inner = inner * shape[d] + at[d];
  for (size_t d = 2; d < at.size(); ++d) size = size * shape[d];
  return flat * size + inner;
}

TW_OP(MaxPoolWithIndices) = OpDef{
    .name = "MaxPoolWithIndices",
    .doc = "MaxPool, and the position in x of each result",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<IndexedPoolAttrs>(),
    .infer = [](const InferContext& ctx) -> std::vector<Type> {
      std::vector<Expr> shape = PooledShape(ctx, ctx.Attr<IndexedPoolAttrs>());
      return {OneResult(ctx.Input(0).dtype, shape)[0], OneResult(kI64, shape)[0]};
    },
    .lower =
        [](const LowerContext& ctx) {
          const auto& attrs = ctx.Attr<IndexedPoolAttrs>();
          const auto& x = ctx.InputType(0);
          Window window = WindowOf(attrs);
          auto read = PaddedRead(ctx, window, MinValue(x.dtype));
          return te::ComputeMulti(ctx.name(), ctx.OutputType().shape, [&](const te::Axes& o) {
            Expr index;
            te::Body body = WindowBody(window, o, te::Combiner::kArgMax, [&](const Indices& i) {
              Indices at = i;
              std::vector<Expr> inside;
              for (size_t d = 2; d < at.size(); ++d) {
                at[d] = at[d] - Expr(window.pads[d - 2]);
                inside.push_back(at[d] >= Expr(0));
                inside.push_back(at[d] < x.shape[d]);
              }
              // The border is as small as an element may be: its index must lose against that of an equal.
              index = MakeSelect(AllOf(inside), FlatIndex(x.shape, at, attrs.column_major), MaxValue(kI64));
              return read(i);
            });
            body.sources.push_back(index);
            return body;
          });
        },
    .pattern = FusePattern::kOpaque,
};

}  // namespace
}  // namespace tilewright
