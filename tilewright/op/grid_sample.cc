// SPDX-License-Identifier: Apache-2.0
// Sampling of an image at places that a grid gives (spatial transformer networks, Jaderberg and others 2015).
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct GridSampleAttrs {
  std::string mode = "linear";
  std::string padding = "zeros";
  bool align_corners = false;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("mode", &GridSampleAttrs::mode, "nearest, linear or cubic"),
        AttrField("padding", &GridSampleAttrs::padding, "what lies outside: zeros, border or reflection"),
        AttrField("align_corners", &GridSampleAttrs::align_corners,
                  "-1 and 1 are the centres of the outermost elements, else their outer edges"));
  }
};

bool OneOf(const std::string& s, std::initializer_list<const char*> names) {
  return std::any_of(names.begin(), names.end(), [&](const char* n) { return s == n; });
}

std::vector<Type> InferGridSample(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<GridSampleAttrs>();
  const TensorType &x = ctx.Input(0), &grid = ctx.Input(1);
  RequireRank(ctx, 0, 3, 8);
  RequireRank(ctx, 1, x.rank(), x.rank());
  RequireFloat(ctx, 1);
  if (x.dtype.is_bool()) ctx.Fail("TW2112", "argument 0 is bool, expected a number");
  if (!OneOf(attrs.mode, {"nearest", "linear", "cubic"}))
    ctx.Fail("TW2110", fmt::format("there is no sampling mode '{}'", attrs.mode));
  if (!OneOf(attrs.padding, {"zeros", "border", "reflection"}))
    ctx.Fail("TW2110", fmt::format("there is no padding mode '{}'", attrs.padding));
  ctx.SameDim(grid.shape[0], x.shape[0], "batch of x and of the grid");
  ctx.SameDim(grid.shape.back(), Expr(x.rank() - 2), "spatial axes and coordinates of the grid");
  std::vector<Expr> shape = {x.shape[0], x.shape[1]};
  shape.insert(shape.end(), grid.shape.begin() + 1, grid.shape.end() - 1);
  for (size_t d = 2; d < x.shape.size(); ++d) {
    if (IsInt(x.shape[d], 0) && !IsInt(Product(shape), 0)) ctx.Fail("TW2110", "there is nothing to sample");
  }
  return OneResult(x.dtype, shape);
}

/// Where one axis is read for a sample: positions, their weights, and whether they count at all.
struct Taps {
  std::vector<Expr> positions, weights, inside;
};

/// Positions along an axis of `extent` elements, in floating point.
class Axis {
 public:
  Axis(const GridSampleAttrs& attrs, const Expr& extent, DataType type)
      : attrs_(attrs), extent_(extent), size_(MakeCast(type, extent)), type_(type) {}

  /// The taps of grid coordinate g, which counts from -1 to 1.
  Taps At(const Expr& g) const {
    Expr x = attrs_.align_corners ? (g + Number(1)) / Number(2) * (size_ - Number(1))
                                  : ((g + Number(1)) * size_ - Number(1)) / Number(2);
    if (attrs_.mode == "nearest") x = MakeCall(Intrinsic::k_round, {x});
    x = Padded(x);
    Taps taps;
    if (attrs_.mode == "nearest") {
      Add(taps, attrs_.padding == "reflection" ? MakeCall(Intrinsic::k_trunc, {x}) : x, Number(1));
      return taps;
    }
    const Expr below = MakeCall(Intrinsic::k_floor, {x}), t = x - below;
    const std::vector<Expr> weights = attrs_.mode == "linear" ? std::vector{Number(1) - t, t} : Cubic(t);
    const int first = attrs_.mode == "linear" ? 0 : -1;
    for (size_t k = 0; k < weights.size(); ++k) Add(taps, below + Number(double(k) + first), weights[k]);
    return taps;
  }

 private:
  Expr Number(double v) const { return MakeConst(type_, v); }

  /// Weights of the elements -1, 0, 1 and 2 around t (Keys, "Cubic convolution interpolation", 1981, a =
  /// -3/4).
  std::vector<Expr> Cubic(const Expr& t) const {
    const double a = -0.75;
    auto near = [&](const Expr& d) { return ((Number(a + 2) * d - Number(a + 3)) * d) * d + Number(1); };
    auto far = [&](const Expr& d) {
      return ((Number(a) * d - Number(5 * a)) * d + Number(8 * a)) * d - Number(4 * a);
    };
    const Expr rest = Number(1) - t;
    return {far(t + Number(1)), near(t), near(rest), far(rest + Number(1))};
  }

  /// A position outside moved to where the padding takes it from.
  Expr Padded(const Expr& x) const {
    if (attrs_.padding == "border") return Clamped(x);
    if (attrs_.padding == "zeros") return x;
    // Between the outermost centres or edges, forth and back.
    const Expr low = Number(attrs_.align_corners ? 0 : -0.5);
    const Expr range = attrs_.align_corners ? Max(size_ - Number(1), Number(1)) : size_;
    const Expr way = MakeCall(Intrinsic::k_abs, {x - low}), period = range * Number(2);
    const Expr phase = way - MakeCall(Intrinsic::k_floor, {way / period}) * period;
    return low + Min(phase, period - phase);
  }

  /// Comparisons with NaN are false, so that it becomes 0.
  Expr Clamped(const Expr& x) const {
    const Expr last = size_ - Number(1);
    return MakeSelect(x > Number(0), MakeSelect(x < last, x, last), Number(0));
  }

  void Add(Taps& taps, const Expr& at, Expr weight) const {
    const Expr place = attrs_.padding == "reflection" ? MakeCall(Intrinsic::k_floor, {Padded(at)}) : at;
    if (attrs_.padding == "zeros") taps.inside.push_back(AllOf({at >= Number(0), at < size_}));
    // Within the axis whatever rounding or the grid did, so that no data can make a kernel touch foreign
    // memory.
    taps.positions.push_back(
        Max(Min(MakeCast(DataType::Index(), Clamped(place)), extent_ - Expr(1)), Expr(0)));
    taps.weights.push_back(std::move(weight));
  }

  const GridSampleAttrs& attrs_;
  Expr extent_, size_;
  DataType type_;
};

std::vector<te::Tensor> LowerGridSample(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<GridSampleAttrs>();
  const TensorType& x = ctx.InputType(0);
  const DataType wide = x.dtype == kF64 ? kF64 : kF32;
  const size_t spatial = x.shape.size() - 2;
  return {ctx.Compute([&](const Indices& o) {
    std::vector<Taps> taps;
    for (size_t d = 0; d < spatial; ++d) {
      // The grid names the innermost axis first.
      Indices at = {o[0]};
      at.insert(at.end(), o.begin() + 2, o.end());
      at.push_back(Expr(int64_t(spatial - 1 - d)));
      taps.push_back(Axis(attrs, x.shape[d + 2], wide).At(MakeCast(wide, ctx.Read(1, at))));
    }
    Expr sum = nullptr;
    std::vector<size_t> chosen(spatial, 0);
    for (bool more = true; more;) {
      Indices at = {o[0], o[1]};
      std::vector<Expr> inside;
      Expr weight = nullptr;
      for (size_t d = 0; d < spatial; ++d) {
        const Taps& t = taps[d];
        at.push_back(t.positions[chosen[d]]);
        weight = weight ? weight * t.weights[chosen[d]] : t.weights[chosen[d]];
        if (!t.inside.empty()) inside.push_back(t.inside[chosen[d]]);
      }
      Expr value = MakeCast(wide, ctx.Read(0, at));
      if (!inside.empty()) value = MakeSelect(AllOf(inside), value, MakeConst(wide, 0));
      const Expr term = attrs.mode == "nearest" ? value : value * weight;
      sum = sum ? sum + term : term;
      more = false;
      for (size_t d = spatial; d-- > 0 && !more;) {
        more = ++chosen[d] < taps[d].positions.size();
        if (!more) chosen[d] = 0;
      }
    }
    return MakeCast(x.dtype, sum);
  })};
}

TW_OP(GridSample) = OpDef{
    .name = "GridSample",
    .doc = "x [N, C, spatial...] at the places of grid [N, results..., spatial axes], interpolated",
    .inputs = {{"x"}, {"grid"}},
    .attrs = DescribeAttrs<GridSampleAttrs>(),
    .infer = InferGridSample,
    .lower = LowerGridSample,
    .pattern = FusePattern::kInjective,
};

}  // namespace
}  // namespace tilewright
