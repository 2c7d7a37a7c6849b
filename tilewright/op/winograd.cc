// SPDX-License-Identifier: Apache-2.0
#include "tilewright/op/winograd.h"

#include <cmath>

#include "tilewright/op/window.h"
#include "tilewright/schedule/rules/winograd_plan.h"

namespace tilewright {
namespace {

// Measured over 16 to 1024 channels, normal inputs and filters, and doubled.
constexpr ConvAccuracy kAccuracies[] = {
    {"direct", 1, 0, 7e-7},
    {"winograd 2x2", 2, 3, 7e-7},
    {"winograd 4x4", 4, 3, 1.7e-6},
    {"winograd 3x3 by 2x2", 3, 2, 7e-7},
    {"winograd 5x5 by 2x2", 5, 2, 3.2e-6},
    {"winograd 3x3 by 4x4", 3, 4, 1.7e-6},
    {"winograd 2x2 by 5x5", 2, 5, 1.7e-6},
};

/// The points besides 0 and infinity come in pairs x, -x, whose evaluations share their work. Of six
/// they are not 1 and 2 as in the paper: near to each other around 1 they make errors four times smaller, and
/// they and their powers in the transforms are exact in single precision.
std::vector<double> Pairs(int64_t points) {
  TW_CHECK(points == 4 || points == 6, "no values for {} points", points);
  return points == 4 ? std::vector<double>{1} : std::vector<double>{0.625, 1.5};
}

/// All finite points, in the order of the transforms' results: 0, then x and -x of each pair.
std::vector<double> FinitePoints(int64_t points) {
  std::vector<double> values = {0};
  for (double x : Pairs(points)) values.insert(values.end(), {x, -x});
  return values;
}

Expr Scaled(double factor, const Expr& e) {
  if (factor == 1) return e;
  return factor == -1 ? -e : e * ConstLike(e, factor);
}

/// The sum of terms of factors that are not 0, products last, so that each becomes a multiply-add.
Expr SumOf(const std::vector<std::pair<double, Expr>>& terms) {
  Expr sum;
  for (bool plain : {true, false}) {
    for (const auto& [factor, e] : terms) {
      if (factor == 0 || (factor == 1) != plain) continue;
      sum = sum ? (factor == -1 ? sum - e : sum + Scaled(factor, e)) : Scaled(factor, e);
    }
  }
  TW_CHECK(sum, "a sum of nothing");
  return sum;
}

/// Coefficients, by power of x squared, of the product of (x^2 - p^2) over the pairs but one.
std::vector<double> EvenPolynomial(const std::vector<double>& pairs, size_t without) {
  std::vector<double> result = {1};
  for (size_t i = 0; i < pairs.size(); ++i) {
    if (i == without) continue;
    std::vector<double> next(result.size() + 1, 0);
    for (size_t k = 0; k < result.size(); ++k) {
      next[k] -= result[k] * pairs[i] * pairs[i];
      next[k + 1] += result[k];
    }
    result = std::move(next);
  }
  return result;
}

/// The polynomial in x squared applied to every second input from `first` on.
Expr Apply(const std::vector<double>& polynomial, const std::vector<Expr>& inputs, size_t first) {
  std::vector<std::pair<double, Expr>> terms;
  for (size_t k = 0; k < polynomial.size(); ++k) terms.emplace_back(polynomial[k], inputs[first + 2 * k]);
  return SumOf(terms);
}

/// The value at a position that schedules make constant.
Expr Choose(const Expr& index, const std::vector<Expr>& values) {
  Expr result = values.back();
  for (size_t i = values.size() - 1; i-- > 0;)
    result = MakeSelect(Eq(index, Expr(int64_t(i))), values[i], result);
  return result;
}

}  // namespace

std::span<const ConvAccuracy> ConvAccuracies() { return kAccuracies; }

double WinogradError(int64_t tile, int64_t taps, int64_t channels) {
  for (const ConvAccuracy& a : kAccuracies) {
    if (a.tile == tile && a.taps == taps) return a.error_per_root * std::sqrt(double(channels));
  }
  TW_CHECK(false, "no accuracy of tiles of {} with {} taps", tile, taps);
}

std::vector<Expr> WinogradFilter(int64_t count, const std::vector<Expr>& taps) {
  const std::vector<double> points = FinitePoints(count);
  std::vector<Expr> values;
  for (size_t i = 0; i < points.size(); ++i) {
    double scale = 1;
    for (size_t k = 0; k < points.size(); ++k) scale *= k == i ? 1 : points[i] - points[k];
    std::vector<std::pair<double, Expr>> terms;
    for (size_t k = 0; k < taps.size(); ++k)
      terms.emplace_back(std::pow(points[i], double(k)) / scale, taps[k]);
    values.push_back(SumOf(terms));
  }
  values.push_back(taps.back());
  return values;
}

std::vector<Expr> WinogradInput(const std::vector<Expr>& inputs) {
  const std::vector<double> pairs = Pairs(int64_t(inputs.size()));
  const std::vector<double> all = EvenPolynomial(pairs, pairs.size());
  std::vector<Expr> values = {Apply(all, inputs, 0)};
  for (size_t i = 0; i < pairs.size(); ++i) {
    const std::vector<double> rest = EvenPolynomial(pairs, i);
    const Expr even = Apply(rest, inputs, 2), odd = Apply(rest, inputs, 1);
    values.push_back(SumOf({{1, even}, {pairs[i], odd}}));
    values.push_back(SumOf({{1, even}, {-pairs[i], odd}}));
  }
  values.push_back(Apply(all, inputs, 1));
  return values;
}

std::vector<Expr> WinogradOutput(int64_t tile, const std::vector<Expr>& products) {
  const std::vector<double> pairs = Pairs(int64_t(products.size()));
  std::vector<Expr> sums, differences, results;
  for (size_t i = 0; i < pairs.size(); ++i) {
    sums.push_back(products[1 + 2 * i] + products[2 + 2 * i]);
    differences.push_back(products[1 + 2 * i] - products[2 + 2 * i]);
  }
  for (int64_t k = 0; k < tile; ++k) {
    std::vector<std::pair<double, Expr>> terms;
    if (k == 0) terms.emplace_back(1, products.front());
    if (k == tile - 1) terms.emplace_back(1, products.back());
    for (size_t i = 0; i < pairs.size(); ++i)
      terms.emplace_back(std::pow(pairs[i], double(k)), k % 2 ? differences[i] : sums[i]);
    results.push_back(SumOf(terms));
  }
  return results;
}

namespace {

struct ConvWinogradAttrs {
  int64_t tile = 0, stride = 1, block = 1;
  std::vector<int64_t> pads, outputs;
  static constexpr auto Fields() {
    using S = ConvWinogradAttrs;
    return std::tuple(
        AttrField("tile", &S::tile, "results of a tile along each axis"),
        AttrField("stride", &S::stride, "step along each spatial axis"),
        AttrField(
            "block", &S::block,
            "channels, those of phases included, of the vectors that an x in natural order is gathered to"),
        AttrField("pads", &S::pads, "zeros before each spatial axis; behind, as many as needed"),
        AttrField("outputs", &S::outputs, "extent of the result along each spatial axis"));
  }
  int64_t Tiles(size_t d) const { return (outputs[d] + tile - 1) / tile; }
  /// Of a phase of a square filter, along an axis.
  int64_t Taps(int64_t kernel) const { return (kernel + stride - 1) / stride; }
  int64_t Points(int64_t kernel) const { return tile + Taps(kernel) - 1; }
};

std::vector<Type> InferConvWinograd(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<ConvWinogradAttrs>();
  RequireRank(ctx, 0, 4, 4);
  RequireRank(ctx, 1, 4, 4);
  for (size_t i : {0, 1}) RequireDType(ctx, i, kF32);
  const TensorType &x = ctx.Input(0), &w = ctx.Input(1);
  ctx.SameDim(w.shape[2], w.shape[3], "lines and columns of the filters");
  ctx.SameDim(x.shape[1], w.shape[1], "channels of x and of the weight");
  if (attrs.pads.size() != 2 || attrs.outputs.size() != 2)
    ctx.Fail("TW2110", "pads and outputs must have 2 entries");
  const auto kernel = AsInt(w.shape[2]);
  for (size_t d : {0, 1}) {
    if (attrs.pads[d] < 0 || attrs.outputs[d] < 0) ctx.Fail("TW2110", "pads or outputs are negative");
  }
  if (!kernel || attrs.stride < 1 || attrs.stride > *kernel)
    ctx.Fail("TW2110", fmt::format("stride is {}, expected 1 to the extent of the filters", attrs.stride));
  if (attrs.block < 1) ctx.Fail("TW2110", fmt::format("block is {}, expected 1 or more", attrs.block));
  const int64_t taps = attrs.Taps(*kernel);
  const bool known = std::any_of(std::begin(kAccuracies), std::end(kAccuracies), [&](const ConvAccuracy& a) {
    return a.taps == taps && a.tile == attrs.tile;
  });
  if (!known)
    ctx.Fail("TW2110", fmt::format("tile is {}, which has no points for {} taps", attrs.tile, taps));
  if (ctx.Has(2)) {
    RequireRank(ctx, 2, 1, 1);
    RequireDType(ctx, 2, kF32);
    ctx.SameDim(ctx.Input(2).shape[0], w.shape[0], "bias and output channels");
  }
  return OneResult(kF32, {x.shape[0], w.shape[0], Expr(attrs.outputs[0]), Expr(attrs.outputs[1])});
}

/// What the tiles read, as windows that move by a tile.
Window TileWindow(const ConvWinogradAttrs& attrs, int64_t kernel) {
  const int64_t step = attrs.tile * attrs.stride;
  const Expr reach(attrs.Points(kernel) * attrs.stride);
  return {.kernel = {reach, reach},
          .strides = {step, step},
          .dilations = {1, 1},
          .pads = {attrs.pads[0], attrs.pads[1], 0, 0}};
}

/// The stages of one convolution. Tiles of an image are numbered row by row; a and b are the numbers of the
/// points along the two axes, p and q the places in a tile of results. Channels are the argument's, a block
/// at a time in each of its phases: phases of single channels are next to each other, as columns are in
/// memory.
class WinogradLowering {
 public:
  explicit WinogradLowering(const LowerContext& ctx)
      : ctx_(ctx),
        attrs_(ctx.Attr<ConvWinogradAttrs>()),
        tile_(attrs_.tile),
        kernel_(*AsInt(ctx.InputType(1).shape[2])),
        points_(attrs_.Points(kernel_)),
        columns_(attrs_.Tiles(1)),
        channels_(ctx.InputType(0).shape[1] * Expr(attrs_.stride * attrs_.stride)),
        in_block_(Gathers() ? attrs_.block : ctx.InputType(0).layout.BlockOf(1)),
        out_block_(ctx.OutputType().layout.BlockOf(1)) {}

  std::vector<te::Tensor> Run() {
    const te::Tensor results = OutputTiles(Products(InputTiles(), Filters()));
    return {ctx_.Compute([&](const Indices& o) {
      const Expr tile(tile_), t = FloorDiv(o[2], tile) * columns_ + FloorDiv(o[3], tile);
      Expr y = results({FloorMod(o[2], tile), FloorMod(o[3], tile), o[0], FloorDiv(o[1], out_block_), t,
                        FloorMod(o[1], out_block_)});
      return ctx_.Has(2) ? y + ctx_.Read(2, {o[1]}) : y;
    })};
  }

 private:
  /// Whether vectors of channels are gathered from an argument that has none.
  bool Gathers() const { return attrs_.block > 1 && ctx_.InputType(0).layout.BlockOf(1) <= 1; }

  struct Phase {
    Expr channel, row, column;
  };
  Phase PhaseOf(const Expr& channel) const {
    if (attrs_.stride == 1) return {channel, Expr(0), Expr(0)};
    const Expr block(ctx_.InputType(0).layout.BlockOf(1)), stride(attrs_.stride);
    const Expr phase = FloorDiv(channel, block);
    return {FloorDiv(phase, stride * stride) * block + FloorMod(channel, block),
            FloorMod(FloorDiv(phase, stride), stride), FloorMod(phase, stride)};
  }

  /// A tap of a filter's phase, zero where it has none there.
  Expr Tap(const Expr& filter, const Phase& phase, int64_t row, int64_t column) {
    const Expr r = Expr(row * attrs_.stride) + phase.row, c = Expr(column * attrs_.stride) + phase.column;
    const Expr tap = MakeCast(kF64, ctx_.Read(1, {filter, phase.channel, r, c}));
    if (kernel_ % attrs_.stride == 0) return tap;
    return MakeIfThenElse(r < Expr(kernel_) && c < Expr(kernel_), tap, MakeConst(kF64, 0));
  }

  /// [a, b, channel, filter]. In double precision: this is done once, and its error would be in all results.
  te::Tensor Filters() {
    const int64_t taps = attrs_.Taps(kernel_), points = *AsInt(points_);
    return ctx_.Intermediate("filters", {points_, points_, channels_, ctx_.InputType(1).shape[0]},
                             [&](const Indices& i) {
                               const Phase phase = PhaseOf(i[2]);
                               std::vector<Expr> rows;
                               for (int64_t r = 0; r < taps; ++r) {
                                 std::vector<Expr> row;
                                 for (int64_t c = 0; c < taps; ++c) row.push_back(Tap(i[3], phase, r, c));
                                 rows.push_back(Choose(i[1], WinogradFilter(points, row)));
                               }
                               return te::Body(MakeCast(kF32, Choose(i[0], WinogradFilter(points, rows))));
                             },
                             {{"rule", std::string("winograd_filters")}});
  }

  /// A function that reads a channel of phases at a row and column, counted from the first that tiles read:
  /// from the argument's blocks, or from vectors that are gathered from an argument in natural order.
  std::function<Expr(const Indices&)> PhaseRead() {
    const auto read = PaddedRead(ctx_, TileWindow(attrs_, kernel_), MakeConst(kF32, 0),
                                 {attrs_.Tiles(0), columns_}, "winograd_border");
    const Expr stride(attrs_.stride);
    auto direct = [=, this](const Indices& i) {
      const Phase phase = PhaseOf(i[1]);
      return read({i[0], phase.channel, i[2] * stride + phase.row, i[3] * stride + phase.column});
    };
    if (!Gathers()) return direct;
    auto extent = [&](size_t d) { return Expr((attrs_.Tiles(d) - 1) * tile_) + points_; };
    const te::Tensor gathered = ctx_.Intermediate(
        "phases",
        {ctx_.InputType(0).shape[0], FloorDiv(channels_, in_block_), extent(0), extent(1), in_block_},
        [&](const Indices& i) { return te::Body(direct({i[0], i[1] * in_block_ + i[4], i[2], i[3]})); },
        {{"run", attrs_.stride}});
    return [gathered, block = in_block_](const Indices& i) {
      return gathered({i[0], FloorDiv(i[1], block), i[2], i[3], FloorMod(i[1], block)});
    };
  }

  /// [a, b, image, channel block, tile, channel].
  te::Tensor InputTiles() {
    const auto read = PhaseRead();
    const std::vector<Expr> shape = {
        points_, points_, ctx_.InputType(0).shape[0], FloorDiv(channels_, in_block_), Tiles(), in_block_};
    const int64_t points = *AsInt(points_);
    const te::Tensor columns = ctx_.Intermediate("input_columns", shape, [&](const Indices& i) {
      std::vector<Expr> inputs;
      for (int64_t r = 0; r < points; ++r) {
        inputs.push_back(
            read({i[2], i[3] * in_block_ + i[5], FloorDiv(i[4], columns_) * Expr(tile_) + Expr(r),
                  FloorMod(i[4], columns_) * Expr(tile_) + i[1]}));
      }
      return te::Body(Choose(i[0], WinogradInput(inputs)));
    });
    return ctx_.Intermediate("input_tiles", shape, [&](const Indices& i) {
      std::vector<Expr> inputs;
      for (int64_t c = 0; c < points; ++c) inputs.push_back(columns({i[0], Expr(c), i[2], i[3], i[4], i[5]}));
      return te::Body(Choose(i[1], WinogradInput(inputs)));
    });
  }

  /// [a, b, image, filter block, tile, filter].
  te::Tensor Products(const te::Tensor& tiles, const te::Tensor& filters) {
    const auto &x = ctx_.InputType(0).shape, &w = ctx_.InputType(1).shape;
    return ctx_.Intermediate(
        "products", {points_, points_, x[0], FloorDiv(w[0], out_block_), Tiles(), out_block_},
        [&](const Indices& i) {
          const IterVar c = te::ReduceAxis(channels_, "c");
          return te::Sum(
              tiles({i[0], i[1], i[2], FloorDiv(c.var, in_block_), i[4], FloorMod(c.var, in_block_)}) *
                  filters({i[0], i[1], c.var, i[3] * out_block_ + i[5]}),
              {c});
        },
        {{"rule", std::string("winograd")},
         {"tile", tile_},
         {"tiles", std::vector<int64_t>{attrs_.Tiles(0), attrs_.Tiles(1)}}});
  }

  /// [p, q, image, filter block, tile, filter].
  te::Tensor OutputTiles(const te::Tensor& products) {
    std::vector<Expr> shape = products.shape();
    shape[0] = Expr(tile_);
    auto gather = [&](const te::Tensor& from, Indices at, size_t axis) {
      std::vector<Expr> values;
      for (int64_t k = 0; k < *AsInt(points_); ++k) {
        at[axis] = Expr(k);
        values.push_back(from(at));
      }
      return WinogradOutput(tile_, values);
    };
    const te::Tensor columns = ctx_.Intermediate("output_columns", shape, [&](const Indices& i) {
      return te::Body(Choose(i[0], gather(products, i, 0)));
    });
    shape[1] = Expr(tile_);
    return ctx_.Intermediate("output_tiles", shape,
                             [&](const Indices& i) { return te::Body(Choose(i[1], gather(columns, i, 1))); });
  }

  Expr Tiles() const { return Expr(attrs_.Tiles(0) * attrs_.Tiles(1)); }

  const LowerContext& ctx_;
  const ConvWinogradAttrs& attrs_;
  const int64_t tile_, kernel_;
  const Expr points_, columns_, channels_, in_block_, out_block_;
};

std::optional<ArgumentBorder> WinogradBorder(const InferContext& ctx) {
  ConvWinogradAttrs attrs = ctx.Attr<ConvWinogradAttrs>();
  const Window window = TileWindow(attrs, *AsInt(ctx.Input(1).shape[2]));
  const std::vector<Expr> positions = {Expr(1), Expr(1), Expr(attrs.Tiles(0)), Expr(attrs.Tiles(1))};
  attrs.pads = {0, 0};
  return BorderOf(ctx, window, positions, 0, Attrs(attrs));
}

TW_OP(ConvWinograd) = OpDef{
    .name = "ConvWinograd",
    .doc =
        "convolution of x [N, C, H, W], with zeros around it, with w [O, C, K, K], plus bias [O], by "
        "Winograd's algorithm",
    .inputs = {{"x"}, {"w"}, {.name = "bias", .optional = true}},
    .attrs = DescribeAttrs<ConvWinogradAttrs>(),
    .infer = InferConvWinograd,
    .lower = [](const LowerContext& ctx) { return WinogradLowering(ctx).Run(); },
    .pattern = FusePattern::kHeavy,
    .filter_axis = [](const Attrs&) -> std::optional<int> { return 0; },
    .border = WinogradBorder,
    .flops =
        [](const InferContext& ctx) {
          const auto& w = ctx.Input(1).shape;
          return Expr(2) * InferConvWinograd(ctx)[0].tensor()->NumElements() *
                 Product({w.begin() + 1, w.end()});
        },
};

}  // namespace

std::vector<Candidate> WinogradCandidates(const WinogradSite& site, const ChoiceContext& choice) {
  const TensorType& x = site.x;
  const auto batch = AsInt(x.shape[0]), channels = AsInt(x.shape[1]), filters = AsInt(site.weight.shape[0]);
  const auto height = AsInt(site.result[2]), width = AsInt(site.result[3]);
  const auto kernel = AsInt(site.weight.shape[2]);
  std::vector<Candidate> candidates;
  if (!batch || !channels || !filters || !height || !width || !kernel || *batch < 1 || *height < 1 ||
      *width < 1 || *kernel < site.stride)
    return candidates;
  for (const ConvAccuracy& way : ConvAccuracies()) {
    const ConvWinogradAttrs attrs{.tile = way.tile,
                                  .stride = site.stride,
                                  .block = site.gathers ? site.in_block : 1,
                                  .pads = {site.pads[0], site.pads[1]},
                                  .outputs = {*height, *width}};
    if (way.taps == 0 || attrs.Taps(*kernel) != way.taps) continue;
    const int64_t phases = *channels * site.stride * site.stride;
    if (WinogradError(way.tile, way.taps, phases) > choice.max_error) continue;
    const WinogradShape shape{.tile = way.tile,
                              .taps = way.taps,
                              .images = *batch,
                              .tile_rows = attrs.Tiles(0),
                              .tile_columns = attrs.Tiles(1),
                              .channels = phases,
                              .filters = *filters,
                              .in_block = site.in_block,
                              .out_block = site.out_block,
                              .run = site.gathers ? site.stride : 0};
    candidates.push_back({.algorithm = std::string(way.algorithm),
                          .arg_layouts = {site.gathers ? Layout() : Layout::Blocked(4, 1, site.in_block)},
                          .result_layout = Layout::Blocked(4, 1, site.out_block),
                          .cost = PlanWinograd(shape, choice.target).cycles,
                          .op = OpRegistry::Get("ConvWinograd"),
                          .attrs = Attrs(attrs)});
  }
  return candidates;
}

}  // namespace tilewright
