// SPDX-License-Identifier: Apache-2.0
// Resize: positions and weights of every output element along each axis are computed here, in double
// precision, and become tables of Resample (or of Gather, for the nearest element). Formulas as ONNX's
// documentation of Resize gives them.
#include <cmath>
#include <functional>
#include <numeric>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

struct ResizeAttrs {
  std::string mode, coordinates, nearest;
  double cubic_a = -0.75, extrapolation = 0;
  bool exclude_outside = false, antialias = false;
};

/// One resized axis.
struct Axis {
  int64_t in = 0, out = 0;
  double scale = 1;
  double roi_begin = 0, roi_end = 1;
};

/// Where in the input the output's element `i` lies.
double InputPosition(const ResizeAttrs& a, const Axis& x, int64_t i) {
  const double o = double(i), in = double(x.in), out = double(x.out), resized = x.scale * in;
  if (a.coordinates == "asymmetric") return o / x.scale;
  if (a.coordinates == "align_corners") return resized == 1 ? 0 : o * (in - 1) / (resized - 1);
  if (a.coordinates == "pytorch_half_pixel") return resized > 1 ? (o + 0.5) / x.scale - 0.5 : 0;
  if (a.coordinates == "tf_half_pixel_for_nn") return (o + 0.5) / x.scale;
  if (a.coordinates == "tf_crop_and_resize") {
    if (out > 1) return x.roi_begin * (in - 1) + o * (x.roi_end - x.roi_begin) * (in - 1) / (out - 1);
    return 0.5 * (x.roi_begin + x.roi_end) * (in - 1);
  }
  if (a.coordinates == "half_pixel_symmetric") {
    // Keeps the picture's centre where extents were rounded.
    double centre = in / 2, offset = centre * (1 - out / resized);
    return offset + (o + 0.5) / x.scale - 0.5;
  }
  return (o + 0.5) / x.scale - 0.5;  // half_pixel
}

int64_t Nearest(const ResizeAttrs& a, double position) {
  double down = std::floor(position);
  bool half = position - down == 0.5;
  if (a.nearest == "floor") return int64_t(down);
  if (a.nearest == "ceil") return int64_t(std::ceil(position));
  if (a.nearest == "round_prefer_ceil") return int64_t(half ? down + 1 : std::nearbyint(position));
  return int64_t(half ? down : std::nearbyint(position));  // round_prefer_floor
}

double CubicWeight(double distance, double a) {
  double d = std::abs(distance);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return ((a * d - 5 * a) * d + 8 * a) * d - 4 * a;
  return 0;
}

/// Positions and weights that make up one output element.
struct Taps {
  std::vector<int64_t> positions;
  std::vector<double> weights;
};

Taps TapsAt(const ResizeAttrs& a, const Axis& x, double position) {
  const bool cubic = a.mode == "cubic";
  const double stretch = a.antialias && x.scale < 1 ? x.scale : 1;
  const double support = (cubic ? 2 : 1) / stretch;
  Taps taps;
  // Without stretching these are the two or four neighbours.
  auto first = int64_t(std::floor(position - support)) + 1, last = int64_t(std::ceil(position + support)) - 1;
  if (stretch == 1) {
    first = int64_t(std::floor(position)) - (cubic ? 1 : 0);
    last = first + (cubic ? 3 : 1);
  }
  for (int64_t p = first; p <= last; ++p) {
    double d = (double(p) - position) * stretch;
    double w = cubic ? CubicWeight(d, a.cubic_a) : std::max(0.0, 1 - std::abs(d));
    if (a.exclude_outside && (p < 0 || p >= x.in)) w = 0;
    taps.positions.push_back(std::min(std::max(p, int64_t{0}), x.in - 1));
    taps.weights.push_back(w);
  }
  if (a.exclude_outside || stretch != 1) {
    double sum = std::accumulate(taps.weights.begin(), taps.weights.end(), 0.0);
    for (double& w : taps.weights) w /= sum;
  }
  return taps;
}

Value ResampleAxis(NodeContext& ctx, const Value& x, const ResizeAttrs& a, const Axis& axis, int64_t index) {
  if (a.mode == "nearest") {
    std::vector<int64_t> positions;
    for (int64_t i = 0; i < axis.out; ++i) {
      positions.push_back(std::min(std::max(Nearest(a, InputPosition(a, axis, i)), int64_t{0}), axis.in - 1));
    }
    Value table = ctx.Constant(NDArray::FromInts(kI64, {axis.out}, positions));
    return ctx.Call("Gather", {x, table}, {{"axis", index}});
  }
  std::vector<Taps> rows;
  size_t width = 1;
  for (int64_t i = 0; i < axis.out; ++i) {
    rows.push_back(TapsAt(a, axis, InputPosition(a, axis, i)));
    width = std::max(width, rows.back().weights.size());
  }
  std::vector<int64_t> positions;
  std::vector<double> weights;
  for (Taps& row : rows) {
    row.positions.resize(width, 0);
    row.weights.resize(width, 0);
    positions.insert(positions.end(), row.positions.begin(), row.positions.end());
    weights.insert(weights.end(), row.weights.begin(), row.weights.end());
  }
  const DataType wide = x.tensor().dtype == kF64 ? kF64 : kF32;
  Value p = ctx.Constant(NDArray::FromInts(kI64, {axis.out, int64_t(width)}, positions));
  Value w = ctx.Constant(NDArray::FromDoubles(wide, {axis.out, int64_t(width)}, weights));
  return ctx.Call("Resample", {x, p, w}, {{"axis", index}});
}

/// Elements outside of the input take the extrapolation value (tf_crop_and_resize).
Value Extrapolate(NodeContext& ctx, const Value& y, const ResizeAttrs& a, const Axis& axis, size_t index) {
  NDArray outside = NDArray::Empty(kBool, {axis.out});
  bool any = false;
  for (int64_t i = 0; i < axis.out; ++i) {
    double p = InputPosition(a, axis, i);
    bool out = p < 0 || p > double(axis.in - 1);
    outside.SetInt(i, out);
    any = any || out;
  }
  if (!any) return y;
  std::vector<Expr> shape(y.tensor().shape.size() - index, Expr(1));
  shape[0] = Expr(axis.out);
  Value mask = ctx.Reshape(ctx.Constant(outside), shape);
  return ctx.Call("Where", {mask, ctx.Scalar(y.tensor().dtype, a.extrapolation), y});
}

void CheckMode(const NodeContext& ctx, const ResizeAttrs& a) {
  static const std::set<std::string> kModes = {"nearest", "linear", "cubic"};
  static const std::set<std::string> kCoordinates = {
      "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel",  "align_corners",
      "asymmetric", "tf_crop_and_resize",   "tf_half_pixel_for_nn"};
  static const std::set<std::string> kNearest = {"round_prefer_floor", "round_prefer_ceil", "floor", "ceil"};
  if (!kModes.count(a.mode)) ctx.Fail("TW2015", fmt::format("there is no mode '{}'", a.mode));
  if (!kCoordinates.count(a.coordinates)) {
    ctx.Fail("TW2015", fmt::format("there is no coordinate_transformation_mode '{}'", a.coordinates));
  }
  if (!kNearest.count(a.nearest)) ctx.Fail("TW2015", fmt::format("there is no nearest_mode '{}'", a.nearest));
}

/// The extent that a product with a scale comes to, -1 where that is no number that an extent can be.
int64_t WholeExtent(double extent) { return extent >= 0 && extent < 9e15 ? int64_t(extent) : -1; }

/// Extents from sizes or scales, as the node gives them.
void ReadTarget(const NodeContext& ctx, std::vector<Axis>& axes, const std::vector<int64_t>& which) {
  const size_t scales_at = ctx.opset() < 11 ? 1 : 2;
  if (ctx.Has(3) && ctx.opset() >= 11) {
    std::vector<int64_t> sizes = ctx.RequireInts(3, "the sizes of Resize");
    if (!sizes.empty()) {
      if (sizes.size() != which.size())
        ctx.Fail("TW2017", fmt::format("{} sizes for {} axes", sizes.size(), which.size()));
      std::string policy = ctx.String("keep_aspect_ratio_policy", "stretch");
      std::vector<double> ratios;
      for (size_t i = 0; i < which.size(); ++i)
        ratios.push_back(double(sizes[i]) / double(axes[size_t(which[i])].in));
      double common = policy == "not_larger" ? *std::min_element(ratios.begin(), ratios.end())
                                             : *std::max_element(ratios.begin(), ratios.end());
      for (size_t i = 0; i < which.size(); ++i) {
        Axis& a = axes[size_t(which[i])];
        a.scale = policy == "stretch" ? ratios[i] : common;
        a.out = policy == "stretch" ? sizes[i] : WholeExtent(common * double(a.in) + 0.5);
      }
      return;
    }
  }
  std::vector<double> scales =
      ctx.opset() < 9 ? ctx.Floats("scales") : ctx.RequireNumbers(scales_at, "the scales of Resize");
  if (scales.size() != which.size())
    ctx.Fail("TW2017", fmt::format("{} scales for {} axes", scales.size(), which.size()));
  for (size_t i = 0; i < which.size(); ++i) {
    Axis& a = axes[size_t(which[i])];
    if (!(scales[i] > 0)) ctx.Fail("TW2017", fmt::format("a scale of {}", scales[i]));
    a.scale = scales[i];
    a.out = WholeExtent(double(a.in) * scales[i]);
  }
}

/// Whether output i takes input i / scale for whole scales: the positions of these modes, worked out.
bool RepeatsElements(const ResizeAttrs& a) {
  if (a.mode != "nearest") return false;
  return (a.coordinates == "asymmetric" && a.nearest == "floor") ||
         (a.coordinates == "half_pixel" && a.nearest == "round_prefer_floor");
}

/// Enlargement by whole scales, for any extents; null where it is something else.
Value RepeatWhole(NodeContext& ctx, const ResizeAttrs& a, const std::vector<int64_t>& which) {
  const size_t scales_at = ctx.opset() < 11 ? 1 : 2;
  const bool by_sizes = ctx.opset() >= 11 && ctx.Has(3);
  if (!RepeatsElements(a) || by_sizes) return nullptr;
  const std::vector<double> scales =
      ctx.opset() < 9 ? ctx.Floats("scales") : ctx.RequireNumbers(scales_at, "the scales of Resize");
  if (scales.size() != which.size())
    ctx.Fail("TW2017", fmt::format("{} scales for {} axes", scales.size(), which.size()));
  constexpr double kMostTimes = 1 << 16;
  for (double s : scales) {
    if (s < 1 || s > kMostTimes || s != std::floor(s)) return nullptr;
  }
  Value y = ctx.Call("Identity", {ctx.Arg(0)});
  for (size_t i = 0; i < which.size(); ++i) {
    if (scales[i] != 1)
      y = ctx.Call("RepeatElements", {y}, {{"axis", which[i]}, {"times", int64_t(scales[i])}});
  }
  return y;
}

Value ResizeOf(NodeContext& ctx, const ResizeAttrs& a, const std::vector<int64_t>& which) {
  if (Value y = RepeatWhole(ctx, a, which)) return y;
  const std::vector<int64_t> shape = ctx.StaticShape(0);
  std::vector<Axis> axes;
  for (int64_t n : shape) axes.push_back({n, n, 1, 0, 1});
  ReadTarget(ctx, axes, which);
  if (a.coordinates == "tf_crop_and_resize") {
    std::vector<double> roi = ctx.RequireNumbers(1, "the roi of Resize");
    if (roi.size() != 2 * which.size()) ctx.Fail("TW2017", fmt::format("roi has {} numbers", roi.size()));
    for (double edge : roi) {
      if (!(std::abs(edge) < 1e6)) ctx.Fail("TW2017", fmt::format("roi has an edge at {}", edge));
    }
    for (size_t i = 0; i < which.size(); ++i) {
      axes[size_t(which[i])].roi_begin = roi[i];
      axes[size_t(which[i])].roi_end = roi[i + which.size()];
    }
  }
  // The tables have a row of positions and weights for each element of the result.
  constexpr int64_t kMostElements = int64_t{1} << 20;
  Value y = ctx.Arg(0);
  bool changed = false;
  for (size_t d = 0; d < axes.size(); ++d) {
    const Axis& x = axes[d];
    if (x.out < 0)
      ctx.Fail("TW2017", fmt::format("axis {} would have {} times {} elements", d, x.scale, x.in));
    if (x.in == 0) ctx.Fail("TW2017", fmt::format("axis {} is empty", d));
    bool crops = a.coordinates == "tf_crop_and_resize" && (x.roi_begin != 0 || x.roi_end != 1);
    if (x.out == x.in && x.scale == 1 && !crops) continue;
    if (std::max(x.in, x.out) > kMostElements)
      ctx.Unsupported(fmt::format("an axis of {} elements, resized to {},", x.in, x.out));
    y = ResampleAxis(ctx, y, a, x, int64_t(d));
    if (a.coordinates == "tf_crop_and_resize") y = Extrapolate(ctx, y, a, x, d);
    changed = true;
  }
  return changed ? y : ctx.Call("Identity", {y});
}

void Resize(NodeContext& ctx) {
  ResizeAttrs a;
  a.mode = ctx.String("mode", "nearest");
  const bool first = ctx.opset() < 11;
  a.coordinates = ctx.String("coordinate_transformation_mode", first ? "asymmetric" : "half_pixel");
  a.nearest = ctx.String("nearest_mode", first ? "floor" : "round_prefer_floor");
  a.cubic_a = ctx.Float("cubic_coeff_a", -0.75);
  a.extrapolation = ctx.Float("extrapolation_value", 0);
  a.exclude_outside = ctx.Int("exclude_outside", 0) != 0;
  a.antialias = ctx.Int("antialias", 0) != 0;
  ctx.Ignore({"keep_aspect_ratio_policy", "axes"});
  if (a.mode == "bilinear") a.mode = "linear";
  CheckMode(ctx, a);
  std::vector<int64_t> which;
  if (ctx.HasAttr("axes")) {
    for (int64_t axis : ctx.Ints("axes")) which.push_back(AxisFromFront(ctx, axis, ctx.Rank(0)));
  } else {
    for (int64_t d = 0; d < ctx.Rank(0); ++d) which.push_back(d);
  }
  ctx.Set(0, ResizeOf(ctx, a, which));
}

/// Resize's forerunner, with scales as attributes at first.
void Upsample(NodeContext& ctx) {
  ResizeAttrs a;
  a.mode = ctx.String("mode", "nearest");
  if (a.mode == "bilinear") a.mode = "linear";
  a.coordinates = "asymmetric";
  a.nearest = "floor";
  CheckMode(ctx, a);
  std::vector<int64_t> which(size_t(ctx.Rank(0)));
  std::iota(which.begin(), which.end(), 0);
  ctx.Set(0, ResizeOf(ctx, a, which));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Resize", 10, 0, Resize},
    {"Upsample", 7, 9, Upsample},
});

}  // namespace
}  // namespace tilewright::onnx
