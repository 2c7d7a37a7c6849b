// SPDX-License-Identifier: Apache-2.0
// Convolution and its transpose, over any number of spatial axes. x is [N, C, spatial...].
#include "tilewright/graph/reduced.h"
#include "tilewright/ir/int_arith.h"
#include "tilewright/op/chains.h"
#include "tilewright/op/common.h"
#include "tilewright/op/reduced.h"
#include "tilewright/op/window.h"
#include "tilewright/op/winograd.h"
#include "tilewright/schedule/rules/register_tile.h"

namespace tilewright {
namespace {

struct ConvAttrs {
  std::vector<int64_t> strides, dilations, pads;
  int64_t groups = 1;
  bool wide = false;
  static constexpr auto Fields() {
    return std::tuple(AttrField("strides", &ConvAttrs::strides, "step along each spatial axis"),
                      AttrField("dilations", &ConvAttrs::dilations, "distance of the window's elements"),
                      AttrField("pads", &ConvAttrs::pads, "zeros before each spatial axis, then behind each"),
                      AttrField("groups", &ConvAttrs::groups, "groups of channels that see one another"),
                      AttrField("wide", &ConvAttrs::wide,
                                "of 16-bit floats: the sums, in f32, and a bias of f32 are the result"));
  }
};

Window WindowOf(const ConvAttrs& attrs, const std::vector<Expr>& weight) {
  return {.kernel = {weight.begin() + 2, weight.end()},
          .strides = attrs.strides,
          .dilations = attrs.dilations,
          .pads = attrs.pads};
}

/// What both directions require: ranks, types, groups, window attributes.
void CheckConv(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<ConvAttrs>();
  RequireRank(ctx, 0, 3, 8);
  RequireRank(ctx, 1, ctx.Input(0).rank(), ctx.Input(0).rank());
  RequireSameDType(ctx, 0, 1);
  CheckWindow(ctx, WindowOf(attrs, ctx.Input(1).shape), size_t(ctx.Input(0).rank()) - 2);
  if (attrs.groups < 1) ctx.Fail("TW2110", fmt::format("groups is {}, expected 1 or more", attrs.groups));
  auto channels = AsInt(ctx.Input(0).shape[1]), filters = AsInt(ctx.Input(1).shape[0]);
  if ((channels && *channels % attrs.groups) || (filters && *filters % attrs.groups)) {
    ctx.Fail("TW2110", fmt::format("{} groups do not divide the channels", attrs.groups));
  }
}

void CheckBias(const InferContext& ctx, const Expr& channels, DataType result) {
  if (!ctx.Has(2)) return;
  RequireRank(ctx, 2, 1, 1);
  RequireDType(ctx, 2, result);
  ctx.SameDim(ctx.Input(2).shape[0], channels, "bias and output channels");
}

std::vector<Type> InferConv(const InferContext& ctx) {
  CheckConv(ctx);
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const TensorType &x = ctx.Input(0), &w = ctx.Input(1);
  ctx.SameDim(x.shape[1], w.shape[1] * Expr(attrs.groups), "channels of x and of the weight times groups");
  const DataType result = SumType(ctx, attrs.wide);
  CheckBias(ctx, w.shape[0], result);
  std::vector<Expr> shape = {x.shape[0], w.shape[0]};
  Window window = WindowOf(attrs, w.shape);
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    shape.push_back(OutputExtent(ctx, window, d, x.shape[d + 2], false));
  }
  return OneResult(result, shape);
}

/// What schedule rules read: the window, and the channel blocks of the layouts of result and argument.
Annotations ConvAnnotations(const LowerContext& ctx, const ConvAttrs& attrs, const std::string& rule,
                            bool depthwise) {
  return {{"rule", rule},
          {"channel_block", ctx.OutputType().layout.BlockOf(1)},
          {"input_block", ctx.InputType(0).layout.BlockOf(1)},
          {"strides", attrs.strides},
          {"dilations", attrs.dilations},
          {"groups", attrs.groups},
          {"depthwise", depthwise}};
}

/// Adds the bias and rounds to the result's type as a stage of its own, where either is there to do.
std::vector<te::Tensor> Epilogue(const LowerContext& ctx, const te::Tensor& main) {
  const DataType result = ctx.OutputType().dtype;
  if (!ctx.Has(2) && main.dtype() == result) return {main};
  return {ctx.Compute([&](const Indices& i) {
    Expr y = AtLogical(ctx, main, i);
    if (ctx.Has(2)) y = y + ToCompute(ctx.Read(2, {i[1]}));
    return MakeCast(result, y);
  })};
}

std::string MainSuffix(const LowerContext& ctx) {
  DataType t = ctx.OutputType().dtype;
  return ctx.Has(2) || ComputeType(t) != t ? ".conv" : "";
}

/// The sum at a logical index of the output over `channels` channels from `first` on (counted within the
/// group).
te::Body ConvSum(const LowerContext& ctx, const std::function<Expr(const Indices&)>& read, const Indices& o,
                 const Expr& first, const Expr& channels) {
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const auto& w = ctx.InputType(1).shape;
  const Window window = WindowOf(attrs, w);
  const Expr per_group = w[1], filters = FloorDiv(w[0], Expr(attrs.groups));
  const bool single = IsInt(per_group, 1);
  std::vector<IterVar> axes;
  if (!single) axes.push_back(te::ReduceAxis(channels, "c"));
  const Expr c = single ? Expr(0) : first + axes[0].var;
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    axes.push_back(te::ReduceAxis(window.kernel[d], fmt::format("k{}", d)));
  }
  Indices from = {o[0], attrs.groups == 1 ? c : FloorDiv(o[1], filters) * per_group + c};
  Indices weight = {o[1], c};
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    const Expr k = axes[d + !single].var;
    from.push_back(o[d + 2] * Expr(window.strides[d]) + k * Expr(window.dilations[d]));
    weight.push_back(k);
  }
  return te::Sum(ToCompute(read(from)) * ToCompute(ctx.Read(1, weight)), axes);
}

/// Channels per run when the rule for blocked results is to sum in runs; 0 when in one chain.
int64_t ChannelsPerRun(const LowerContext& ctx) {
  const auto& w = ctx.InputType(1).shape;
  const auto channels = AsInt(w[1]), taps = AsInt(Product({w.begin() + 2, w.end()}));
  const int64_t block = ctx.InputType(0).layout.BlockOf(1);
  if (!channels || !taps || ctx.OutputType().layout.natural() || *channels % block) return 0;
  const int64_t run = RunLength(*channels, *taps, block);
  return run < *channels ? run : 0;
}

std::vector<te::Tensor> LowerConv(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const auto& w = ctx.InputType(1).shape;
  auto read = PaddedRead(ctx, WindowOf(attrs, w), MakeConst(ctx.InputType(0).dtype, 0));
  Annotations annotations = ConvAnnotations(ctx, attrs, "conv", IsInt(w[1], 1) && attrs.groups > 1);
  // Arguments of 16 bits round more than long chains of f32 do.
  const int64_t run = attrs.wide ? 0 : ChannelsPerRun(ctx);
  if (run == 0) {
    te::Tensor main = ctx.Compute([&](const Indices& o) { return ConvSum(ctx, read, o, Expr(0), w[1]); }, 0,
                                  annotations, MainSuffix(ctx));
    return Epilogue(ctx, main);
  }
  const Layout& layout = ctx.OutputType().layout;
  const int rank = ctx.OutputType().rank();
  const Expr count(*AsInt(w[1]) / run);
  std::vector<Expr> shape = layout.PhysicalShape(ctx.OutputType().shape);
  shape.insert(shape.begin(), count);
  annotations["runs"] = true;
  te::Tensor runs = ctx.Intermediate(
      "runs", shape,
      [&](const Indices& i) {
        const Indices o = layout.ToLogical({i.begin() + 1, i.end()}, rank);
        return ConvSum(ctx, read, o, i[0] * Expr(run), Expr(run));
      },
      annotations);
  te::Tensor main = ctx.Compute(
      [&](const Indices& o) {
        IterVar r = te::ReduceAxis(count, "run");
        Indices at = layout.ToPhysical(o);
        at.insert(at.begin(), r.var);
        return te::Sum(runs(at), {r});
      },
      0, {}, MainSuffix(ctx));
  return Epilogue(ctx, main);
}

Expr ConvFlops(const InferContext& ctx) {
  const auto& w = ctx.Input(1).shape;
  Expr outputs = InferConv(ctx)[0].tensor()->NumElements();
  return Expr(2) * outputs * Product({w.begin() + 1, w.end()});
}

/// Channels in blocks of a vector, NCHW[b]c, or the natural layout. Blocks divide the channels of a group, so
/// that a vector of results never spans two groups. An argument of few channels (an image) stays natural.
std::vector<Candidate> BlockedCandidates(const TensorType& x, const Expr& num_filters, int64_t groups,
                                         const Target& target, DataType result) {
  const auto channels = AsInt(x.shape[1]), filters = AsInt(num_filters);
  const Candidate natural{"natural", {}, Layout(), 1.0};
  if (!channels || !filters) return {natural};
  const int64_t lanes = target.VectorLanes(int(result.element_bytes()));
  auto block_of = [&](int64_t n) { return LargestDivisor(n, lanes); };
  const bool depthwise = groups > 1 && groups == *channels;
  if (depthwise && *filters != *channels) return {natural};
  const int64_t out = block_of(depthwise ? *filters : *filters / groups);
  if (out == 1) return {natural};
  // What is blocked already stays so; what is not is worth a pass over it when a block fills with one group's
  // channels.
  int64_t in = depthwise ? out : x.layout.BlockOf(1);
  if (in <= 1) in = *channels / groups < lanes ? 1 : block_of(*channels / groups);
  if ((*channels / groups) % in && !depthwise) in = block_of(*channels / groups);
  return {
      natural,
      {"blocked", {Layout::Blocked(x.rank(), 1, in)}, Layout::Blocked(x.rank(), 1, out), 1.0 / double(out)}};
}

/// Predicted cycles of the direct algorithm in blocks, on all cores; 0 when extents are not known.
double DirectCycles(const TensorType& x, const TensorType& w, const std::vector<Expr>& result, int64_t block,
                    const Target& target) {
  const auto images = AsInt(x.shape[0]), filters = AsInt(w.shape[0]);
  const auto depth = AsInt(Product({w.shape.begin() + 1, w.shape.end()}));
  const auto lines = AsInt(result[2]), columns = AsInt(result[3]);
  if (!images || !filters || !depth || !lines || !columns) return 0;
  const cpu::TileSpace space{.lines = *lines, .rows = *columns, .vectors = *filters / block, .depth = *depth};
  const double all = double(*images) * cpu::TileCycles(space, cpu::ChooseTile(space, target), target);
  const int64_t cores = std::max(1, target.cores);
  return cpu::CyclesWithStream(all / double(cores), *filters * *depth * w.dtype.element_bytes() / cores,
                               target);
}

/// Puts cycles for what costs are in proportion to, where the model knows the shape.
void PredictDirect(const InferContext& ctx, const Target& target, std::vector<Candidate>& candidates) {
  Candidate& blocked = candidates.back();
  if (ctx.Attr<ConvAttrs>().groups != 1 || ctx.Input(0).rank() != 4 || blocked.result_layout.natural())
    return;
  const int64_t block = blocked.result_layout.BlockOf(1);
  const double cycles =
      DirectCycles(ctx.Input(0), ctx.Input(1), InferConv(ctx)[0].tensor()->shape, block, target);
  if (cycles <= 1) return;
  candidates.front().cost *= cycles * double(block);
  blocked.cost = cycles;
}

/// Winograd's algorithm beside the direct one, where it applies; costs by the same model.
void AddWinograd(const InferContext& ctx, const ChoiceContext& choice, std::vector<Candidate>& candidates) {
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const TensorType &x = ctx.Input(0), &w = ctx.Input(1);
  auto all = [](const std::vector<int64_t>& list, int64_t value) {
    return std::all_of(list.begin(), list.end(), [&](int64_t v) { return v == value; });
  };
  if (x.rank() != 4 || x.dtype != kF32 || !StructuralEqual(w.shape[2], w.shape[3])) return;
  const int64_t stride = attrs.strides[0];
  if (attrs.groups != 1 || !all(attrs.strides, stride) || !all(attrs.dilations, 1)) return;
  Candidate& direct = candidates.back();
  const auto channels = AsInt(x.shape[1]);
  if (direct.result_layout.natural() || !choice.IsConstant(1) || !channels || direct.cost <= 1) return;
  // Of an argument of few channels, the vectors are of all its phases.
  int64_t in = direct.arg_layouts[0].BlockOf(1);
  const bool gathers = in <= 1;
  if (gathers) in = LargestDivisor(*channels * stride * stride, choice.target.VectorLanes(4));
  if (in <= 1) return;
  const int64_t out = direct.result_layout.BlockOf(1);
  const std::vector<Expr> result = InferConv(ctx)[0].tensor()->shape;
  for (Candidate& c : WinogradCandidates({x, w, attrs.pads, stride, result, gathers, in, out}, choice))
    candidates.push_back(std::move(c));
}

/// The natural order in terms of BlockedCandidates, where vectors lie along the result's lines: some lanes of
/// the last one are idle, and as results meet no panels of weights, more is loaded for each multiply-add.
double NaturalCost(const InferContext& ctx, const Target& target) {
  constexpr double kLoads = 3;
  const auto columns = AsInt(InferConv(ctx)[0].tensor()->shape.back());
  if (!columns || *columns < 1) return 1;
  const int64_t lanes = target.VectorLanes(int(ctx.Input(0).dtype.element_bytes()));
  const int64_t vectors = (*columns + lanes - 1) / lanes;
  return std::min(1.0, kLoads * double(vectors) / double(*columns));
}

/// What the target's matrix unit or its dot product would compute, if it can: the layers that
/// ScheduleConvOnUnit and ScheduleConv take in the layouts that are then chosen.
std::optional<ReducedProduct> ProductOfReduced(const InferContext& ctx, const Target& target) {
  const TensorType &x = ctx.Input(0), &w = ctx.Input(1);
  const bool unit = TileUnitOf(target).registers > 0;
  if (x.rank() != 4 || ctx.Attr<ConvAttrs>().groups != 1 || !(unit || target.has_dot_bf16))
    return std::nullopt;
  const std::vector<Expr> result = InferConv(ctx)[0].tensor()->shape;
  const auto images = AsInt(x.shape[0]), channels = AsInt(w.shape[1]), filters = AsInt(w.shape[0]);
  const auto taps = AsInt(w.shape[2] * w.shape[3]), lines = AsInt(result[2]), columns = AsInt(result[3]);
  const auto elements = AsInt(x.NumElements());
  if (!images || !channels || !filters || !taps || !lines || !columns || !elements) return std::nullopt;
  const int64_t lanes = target.VectorLanes(4);
  if (*channels < lanes || *filters % lanes) return std::nullopt;
  ReducedProduct product{.rows = *columns,
                         .lines = *images * *lines,
                         .columns = *filters,
                         .depth = *channels * *taps,
                         .arguments = *elements};
  product.chunk = unit ? ChunkForUnit(product, *channels, target) : LargestDivisor(*channels, lanes);
  return product;
}

std::vector<Candidate> ConvCandidates(const InferContext& ctx, const ChoiceContext& choice) {
  // A factor per channel is not worth another order of the image.
  const std::vector<Expr>& w = ctx.Input(1).shape;
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const bool factors = std::all_of(w.begin() + 1, w.end(), [](const Expr& e) { return IsInt(e, 1); });
  if (factors && attrs.groups > 1 && ctx.Input(0).layout.natural()) return {{"natural", {}, Layout(), 1.0}};
  std::vector<Candidate> candidates = BlockedCandidates(ctx.Input(0), ctx.Input(1).shape[0], attrs.groups,
                                                        choice.target, SumType(ctx, attrs.wide));
  if (!attrs.wide) {
    candidates.front().cost = NaturalCost(ctx, choice.target);
    PredictDirect(ctx, choice.target, candidates);
  }
  const auto on_unit = attrs.wide ? ProductOfReduced(ctx, choice.target) : std::nullopt;
  if (on_unit && on_unit->chunk > choice.target.VectorLanes(4))
    candidates.back().arg_layouts = {Layout::Blocked(4, 1, on_unit->chunk)};
  AddWinograd(ctx, choice, candidates);
  return candidates;
}

std::optional<Attrs> ReducedConv(const InferContext& ctx, const ChoiceContext& choice) {
  const std::optional<ReducedProduct> product = ProductOfReduced(ctx, choice.target);
  if (!product) return std::nullopt;
  const std::vector<Candidate> in_f32 = ConvCandidates(ctx, choice);
  const double best =
      std::min_element(in_f32.begin(), in_f32.end(), [](const Candidate& a, const Candidate& b) {
        return a.cost < b.cost;
      })->cost;
  // Costs of at most 1 compare layouts and are no cycles.
  if (!ReducedPays(*product, choice.target, best > 1 ? best : 0)) return std::nullopt;
  ConvAttrs attrs = ctx.Attr<ConvAttrs>();
  attrs.wide = true;
  return Attrs(attrs);
}

const RegisterReduced kReducedConv("Conv", ReducedConv);

std::optional<ArgumentBorder> ConvBorder(const InferContext& ctx) {
  ConvAttrs attrs = ctx.Attr<ConvAttrs>();
  const Window window = WindowOf(attrs, ctx.Input(1).shape);
  attrs.pads.assign(attrs.pads.size(), 0);
  return BorderOf(ctx, window, InferConv(ctx)[0].tensor()->shape, 0, Attrs(attrs));
}

// ---- Gradient of Conv

/// The cotangent of x: the transposed convolution of g, which ends where windows end, and zeros behind it.
Value ConvGradientOfInput(const GradientContext& ctx) {
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const std::vector<Expr>& x = ctx.Shape(0);
  const size_t spatial = attrs.strides.size();
  Value spread = ctx.Call("ConvTranspose", {ctx.Cotangent(), ctx.Arg(1)},
                          {{"strides", attrs.strides},
                           {"dilations", attrs.dilations},
                           {"pads", std::vector<int64_t>(2 * spatial, 0)},
                           {"groups", attrs.groups},
                           {"output_padding", std::vector<int64_t>(spatial, 0)}});
  std::vector<Expr> begin = {Expr(0), Expr(0)}, end = begin;
  bool fits = true;
  for (size_t d = 0; d < spatial; ++d) {
    begin.push_back(Expr(-attrs.pads[d]));
    end.push_back(x[d + 2] + Expr(attrs.pads[d]) - spread.tensor().shape[d + 2]);
    fits = fits && IsInt(begin.back(), 0) && IsInt(end.back(), 0);
  }
  return fits ? spread : ctx.Call("Pad", {spread}, {{"begin", begin}, {"end", end}});
}

/// The cotangent of w: a convolution of x with g in place of the filters, batch and channels exchanged,
/// stride and dilation too; positions beyond the kernel, which the strides leave over, are cut off.
Value ConvGradientOfWeight(const GradientContext& ctx) {
  const auto& attrs = ctx.Attr<ConvAttrs>();
  const std::vector<Expr>&x = ctx.Shape(0), &w = ctx.Shape(1);
  const size_t spatial = attrs.strides.size();
  const Expr groups(attrs.groups), per_group = w[1];
  // [N, G C, ...] to [C, G N, ...]: what was a group's channels is now summed over as its batch.
  std::vector<Expr> split = {x[0], groups, per_group}, joined = {per_group, groups * x[0]};
  std::vector<int64_t> turned = {2, 1, 0}, exchanged = {1, 0};
  for (size_t d = 0; d < spatial; ++d) {
    split.push_back(x[d + 2]);
    joined.push_back(x[d + 2]);
    turned.push_back(int64_t(d) + 3);
    exchanged.push_back(int64_t(d) + 2);
  }
  Value images = ctx.Reshape(ctx.Transpose(ctx.Reshape(ctx.Arg(0), split), turned), joined);
  Value filters = ctx.Transpose(ctx.Cotangent(), exchanged);
  Value all = ctx.CallSame({images, filters, nullptr}, ConvAttrs{.strides = attrs.dilations,
                                                                 .dilations = attrs.strides,
                                                                 .pads = attrs.pads,
                                                                 .groups = attrs.groups});
  std::vector<Expr> shape = {per_group, w[0]};
  shape.insert(shape.end(), w.begin() + 2, w.end());
  if (!SameShape(all.tensor().shape, shape)) {
    all = ctx.Call("Slice", {all},
                   {{"begin", std::vector<Expr>(shape.size(), Expr(0))},
                    {"stride", std::vector<int64_t>(shape.size(), 1)},
                    {"shape", shape}});
  }
  return ctx.Transpose(all, exchanged);
}

std::vector<Value> ConvGradient(const GradientContext& ctx) {
  std::vector<Value> cotangents(ctx.size());
  if (ctx.Wanted(0)) cotangents[0] = ConvGradientOfInput(ctx);
  if (ctx.Wanted(1)) cotangents[1] = ConvGradientOfWeight(ctx);
  if (ctx.Wanted(2)) {
    std::vector<int64_t> axes = {0};
    for (int d = 2; d < ctx.Cotangent().tensor().rank(); ++d) axes.push_back(d);
    cotangents[2] = ctx.Sum(ctx.Cotangent(), axes, false);
  }
  return cotangents;
}

TW_OP(Conv) = OpDef{
    .name = "Conv",
    .doc = "convolution of x [N, C, spatial...] with w [O, C / groups, kernel...], plus bias [O]",
    .inputs = {{"x"}, {"w"}, {.name = "bias", .optional = true}},
    .attrs = DescribeAttrs<ConvAttrs>(),
    .infer = InferConv,
    .lower = LowerConv,
    .pattern = FusePattern::kHeavy,
    .filter_axis = [](const Attrs&) -> std::optional<int> { return 0; },
    .candidates = ConvCandidates,
    .border = ConvBorder,
    .gradient = ConvGradient,
    .flops = ConvFlops,
};

// ---- ConvTranspose

struct ConvTransposeAttrs : ConvAttrs {
  std::vector<int64_t> output_padding;
  static constexpr auto Fields() {
    using S = ConvTransposeAttrs;
    return std::tuple(
        AttrField<S, std::vector<int64_t>>("strides", &S::strides, "step along each spatial axis"),
        AttrField<S, std::vector<int64_t>>("dilations", &S::dilations, "distance of the window's elements"),
        AttrField<S, std::vector<int64_t>>("pads", &S::pads, "cut off before each spatial axis, then behind"),
        AttrField<S, int64_t>("groups", &S::groups, "groups of channels that see one another"),
        AttrField<S, std::vector<int64_t>>("output_padding", &S::output_padding, "added behind each axis"));
  }
};

std::vector<Type> InferConvTranspose(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<ConvTransposeAttrs>();
  const TensorType &x = ctx.Input(0), &w = ctx.Input(1);
  RequireRank(ctx, 0, 3, 8);
  RequireRank(ctx, 1, x.rank(), x.rank());
  RequireSameDType(ctx, 0, 1);
  Window window = WindowOf(attrs, w.shape);
  CheckWindow(ctx, window, size_t(x.rank()) - 2);
  if (attrs.output_padding.size() != window.kernel.size()) {
    ctx.Fail("TW2110", fmt::format("output_padding must have {} entries", window.kernel.size()));
  }
  auto channels = AsInt(x.shape[1]);
  if (attrs.groups < 1 || (channels && *channels % attrs.groups)) {
    ctx.Fail("TW2110", fmt::format("{} groups do not divide the channels", attrs.groups));
  }
  ctx.SameDim(x.shape[1], w.shape[0], "channels of x and of the weight");
  std::vector<Expr> shape = {x.shape[0], w.shape[1] * Expr(attrs.groups)};
  CheckBias(ctx, shape[1], x.dtype);
  const size_t spatial = window.kernel.size();
  for (size_t d = 0; d < spatial; ++d) {
    Expr extent = (x.shape[d + 2] - Expr(1)) * Expr(attrs.strides[d]) +
                  (window.kernel[d] - Expr(1)) * Expr(attrs.dilations[d]) +
                  Expr(1 + attrs.output_padding[d] - attrs.pads[d] - attrs.pads[d + spatial]);
    auto known = AsInt(extent);
    if (known && *known < 0) ctx.Fail("TW2110", fmt::format("pads leave no output along spatial axis {}", d));
    shape.push_back(extent);
  }
  return OneResult(x.dtype, shape);
}

/// x with strides - 1 zeros between its elements and a border, so that a plain convolution with the window
/// mirrored gives the result.
te::Tensor Spread(const LowerContext& ctx, const Window& window) {
  const auto& x = ctx.InputType(0).shape;
  std::vector<Expr> shape = {x[0], x[1]}, before;
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    Expr reach = (window.kernel[d] - Expr(1)) * Expr(window.dilations[d]);
    before.push_back(reach - Expr(window.pads[d]));
    shape.push_back(ctx.OutputType().shape[d + 2] + reach);
  }
  const Layout& layout = ctx.InputType(0).layout;
  const int rank = ctx.InputType(0).rank();
  return ctx.Intermediate("pad", layout.PhysicalShape(shape), [&](const Indices& physical) {
    const Indices i = layout.ToLogical(physical, rank);
    Indices from = {i[0], i[1]};
    std::vector<Expr> inside;
    for (size_t d = 0; d < before.size(); ++d) {
      Expr at = i[d + 2] - before[d], stride(window.strides[d]);
      inside.push_back(at >= Expr(0));
      from.push_back(FloorDiv(at, stride));
      inside.push_back(from.back() < x[d + 2]);
      if (window.strides[d] > 1) inside.push_back(Eq(FloorMod(at, stride), Expr(0)));
    }
    Expr value = ctx.Read(0, from);
    return MakeIfThenElse(AllOf(inside), value, MakeConst(value.dtype(), 0));
  });
}

/// The sum over channels and taps, read from an argument that is spread with zeros: a plain convolution with
/// the window mirrored.
te::Tensor SumOverSpread(const LowerContext& ctx, const Annotations& annotations) {
  const auto& attrs = ctx.Attr<ConvTransposeAttrs>();
  const auto &x = ctx.InputType(0).shape, &w = ctx.InputType(1).shape;
  const Window window = WindowOf(attrs, w);
  const Expr per_group = FloorDiv(x[1], Expr(attrs.groups)), filters = w[1];
  te::Tensor spread = Spread(ctx, window);
  return ctx.Compute(
      [&](const Indices& o) {
        std::vector<IterVar> axes = {te::ReduceAxis(per_group, "c")};
        Expr c = axes[0].var, filter = o[1];
        if (attrs.groups > 1) {
          c = FloorDiv(o[1], filters) * per_group + c;
          filter = FloorMod(o[1], filters);
        }
        Indices from = {o[0], c}, weight = {c, filter};
        for (size_t d = 0; d < window.kernel.size(); ++d) {
          axes.push_back(te::ReduceAxis(window.kernel[d], fmt::format("k{}", d)));
          const Expr k = axes.back().var;
          from.push_back(o[d + 2] + k * Expr(window.dilations[d]));
          weight.push_back(window.kernel[d] - Expr(1) - k);
        }
        return te::Sum(
            ToCompute(spread(ctx.InputType(0).layout.ToPhysical(from))) * ToCompute(ctx.Read(1, weight)),
            axes);
      },
      0, annotations, MainSuffix(ctx));
}

/// Whether outputs fall into phases: the stride divides window and result along every axis, so that outputs
/// which are equal modulo the stride meet the same taps.
bool HasPhases(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<ConvTransposeAttrs>();
  if (attrs.groups != 1) return false;
  for (size_t d = 0; d < attrs.strides.size(); ++d) {
    const auto kernel = AsInt(ctx.InputType(1).shape[d + 2]), out = AsInt(ctx.OutputType().shape[d + 2]);
    if (!kernel || !out || !AsInt(ctx.InputType(0).shape[d + 2]) || *kernel % attrs.strides[d] ||
        *out % attrs.strides[d] || attrs.dilations[d] != 1)
      return false;
  }
  return true;
}

/// x with the border that phases reach beyond it, at logical indices that count from the border's start.
te::Tensor PhaseBorder(const LowerContext& ctx, const std::vector<int64_t>& before,
                       const std::vector<int64_t>& behind) {
  const TensorType& x = ctx.InputType(0);
  std::vector<Expr> shape = {x.shape[0], x.shape[1]};
  for (size_t d = 0; d < before.size(); ++d) shape.push_back(x.shape[d + 2] + Expr(before[d] + behind[d]));
  return ctx.Intermediate(
      "pad", x.layout.PhysicalShape(shape),
      [&](const Indices& physical) {
        Indices from = x.layout.ToLogical(physical, x.rank());
        std::vector<Expr> inside;
        for (size_t d = 0; d < before.size(); ++d) {
          Expr& at = from[d + 2];
          at = at - Expr(before[d]);
          if (before[d] > 0) inside.push_back(at >= Expr(0));
          if (behind[d] > 0) inside.push_back(at < x.shape[d + 2]);
        }
        Expr value = ctx.Read(0, from);
        return inside.empty() ? value : MakeIfThenElse(AllOf(inside), value, MakeConst(value.dtype(), 0));
      },
      {{"rule", std::string("border")}});
}

/// The sum by phase: output h = s q + r takes the taps k = s j + (r + p) % s, at q + (r + p) / s - j; no
/// product with a zero between the elements is made. A stage [r..., n, c, q...] and its interleaving.
te::Tensor SumByPhase(const LowerContext& ctx, Annotations annotations) {
  const auto& attrs = ctx.Attr<ConvTransposeAttrs>();
  const TensorType &x = ctx.InputType(0), &out = ctx.OutputType();
  const auto& w = ctx.InputType(1).shape;
  const size_t spatial = attrs.strides.size();
  std::vector<int64_t> taps, before, behind;
  std::vector<Expr> shape = {out.shape[0], out.shape[1]}, phases;
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t s = attrs.strides[d], p = attrs.pads[d], count = *AsInt(out.shape[d + 2]) / s;
    taps.push_back(*AsInt(w[d + 2]) / s);
    // The first position is that of r = 0 and the last tap, the last that of r = s - 1 and the first tap.
    before.push_back(std::max<int64_t>(0, taps[d] - 1 - p / s));
    shape.push_back(Expr(count));
    phases.push_back(Expr(s));
    const auto extent = AsInt(x.shape[d + 2]);
    behind.push_back(std::max<int64_t>(0, count - 1 + (s - 1 + p) / s - (*extent - 1)));
  }
  te::Tensor border = PhaseBorder(ctx, before, behind);
  std::vector<Expr> all = out.layout.PhysicalShape(shape);
  all.insert(all.begin(), phases.begin(), phases.end());
  annotations["phases"] = int64_t(spatial);
  te::Tensor sums = ctx.Intermediate(
      "phases", all,
      [&](const Indices& i) {
        const Indices o = out.layout.ToLogical({i.begin() + std::ptrdiff_t(spatial), i.end()}, out.rank());
        std::vector<IterVar> axes = {te::ReduceAxis(x.shape[1], "c")};
        Indices from = {o[0], axes[0].var}, weight = {axes[0].var, o[1]};
        for (size_t d = 0; d < spatial; ++d) {
          axes.push_back(te::ReduceAxis(Expr(taps[d]), fmt::format("k{}", d)));
          const Expr s(attrs.strides[d]), shifted = i[d] + Expr(attrs.pads[d]), j = axes.back().var;
          from.push_back(o[d + 2] + FloorDiv(shifted, s) + (Expr(before[d]) - j));
          weight.push_back(j * s + FloorMod(shifted, s));
        }
        return te::Sum(ToCompute(border(x.layout.ToPhysical(from))) * ToCompute(ctx.Read(1, weight)), axes);
      },
      annotations);
  return ctx.Compute(
      [&](const Indices& o) {
        Indices at = {o[0], o[1]}, phase;
        for (size_t d = 0; d < spatial; ++d) {
          at.push_back(FloorDiv(o[d + 2], Expr(attrs.strides[d])));
          phase.push_back(FloorMod(o[d + 2], Expr(attrs.strides[d])));
        }
        at = out.layout.ToPhysical(at);
        at.insert(at.begin(), phase.begin(), phase.end());
        return sums(at);
      },
      0, {}, MainSuffix(ctx));
}

std::vector<te::Tensor> LowerConvTranspose(const LowerContext& ctx) {
  Annotations annotations = ConvAnnotations(ctx, ctx.Attr<ConvTransposeAttrs>(), "conv", false);
  annotations["transposed"] = true;
  return Epilogue(ctx, HasPhases(ctx) ? SumByPhase(ctx, annotations) : SumOverSpread(ctx, annotations));
}

TW_OP(ConvTranspose) = OpDef{
    .name = "ConvTranspose",
    .doc = "transposed convolution of x [N, C, spatial...] with w [C, O / groups, kernel...], plus bias [O]",
    .inputs = {{"x"}, {"w"}, {.name = "bias", .optional = true}},
    .attrs = DescribeAttrs<ConvTransposeAttrs>(),
    .infer = InferConvTranspose,
    .lower = LowerConvTranspose,
    .pattern = FusePattern::kHeavy,
    .filter_axis = [](const Attrs& attrs) -> std::optional<int> {
      // Output channels are on the second axis of the weight, those of one group after another on axis 0.
      return attrs.Get<ConvTransposeAttrs>().groups == 1 ? std::optional(1) : std::nullopt;
    },
    .candidates = [](const InferContext& ctx, const ChoiceContext& choice) -> std::vector<Candidate> {
      // Filters of a group are not neighbours in a weight of several groups.
      if (ctx.Attr<ConvTransposeAttrs>().groups != 1) return {{"natural", {}, Layout(), 1.0}};
      return BlockedCandidates(ctx.Input(0), ctx.Input(1).shape[1], 1, choice.target, ctx.Input(0).dtype);
    },
    .flops =
        [](const InferContext& ctx) {
          const auto& w = ctx.Input(1).shape;
          return Expr(2) * ctx.Input(0).NumElements() * Product({w.begin() + 1, w.end()});
        },
};

}  // namespace
}  // namespace tilewright
