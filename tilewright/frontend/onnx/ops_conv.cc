// SPDX-License-Identifier: Apache-2.0
// Convolution and pooling: windows, automatic padding, bias.
#include "tilewright/frontend/onnx/integer_product.h"

namespace tilewright::onnx {
namespace {

/// The window attributes that convolution and pooling share, made explicit.
struct WindowAttrs {
  std::vector<int64_t> strides, dilations, pads;
};

void RequirePositive(const NodeContext& ctx, const std::vector<int64_t>& list, const char* name) {
  for (int64_t v : list) {
    if (v < 1) ctx.Fail("TW2015", fmt::format("{} has an entry of {}, expected 1 or more", name, v));
  }
}

/// Padding so that the output has ceil(input / stride) positions; the odd element goes behind (SAME_UPPER) or
/// before (SAME_LOWER).
std::vector<int64_t> SamePads(const NodeContext& ctx, const std::vector<int64_t>& kernel,
                              const WindowAttrs& w, bool upper) {
  const size_t n = kernel.size();
  std::vector<int64_t> pads(2 * n);
  const std::vector<Expr> shape = ctx.Shape(0);
  for (size_t d = 0; d < n; ++d) {
    auto extent = AsInt(shape[d + 2]);
    if (!extent && upper && w.strides[d] == 2 && kernel[d] == 2) {
      // One element behind at most: where the extent is even, no window reaches it.
      pads[d + n] = 1;
      continue;
    }
    if (!extent && w.strides[d] != 1) ctx.Unsupported("auto_pad over a symbolic dimension with strides");
    // With stride 1 the padding does not depend on the extent.
    int64_t in = extent.value_or(1), out = (in + w.strides[d] - 1) / w.strides[d];
    int64_t total =
        std::max<int64_t>(0, (out - 1) * w.strides[d] + (kernel[d] - 1) * w.dilations[d] + 1 - in);
    int64_t small = total / 2;
    pads[d] = upper ? small : total - small;
    pads[d + n] = total - pads[d];
  }
  return pads;
}

WindowAttrs ReadWindow(const NodeContext& ctx, const std::vector<int64_t>& kernel) {
  const size_t n = kernel.size();
  WindowAttrs w;
  w.strides = ctx.Ints("strides", std::vector<int64_t>(n, 1));
  w.dilations = ctx.Ints("dilations", std::vector<int64_t>(n, 1));
  RequireEntries(ctx, kernel, n, "kernel_shape");
  RequireEntries(ctx, w.strides, n, "strides");
  RequireEntries(ctx, w.dilations, n, "dilations");
  RequirePositive(ctx, kernel, "kernel_shape");
  RequirePositive(ctx, w.strides, "strides");
  RequirePositive(ctx, w.dilations, "dilations");
  std::string auto_pad = ctx.String("auto_pad", "NOTSET");
  std::vector<int64_t> given = ctx.Ints("pads", std::vector<int64_t>(2 * n, 0));
  if (auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER") {
    w.pads = SamePads(ctx, kernel, w, auto_pad == "SAME_UPPER");
  } else if (auto_pad == "VALID") {
    w.pads.assign(2 * n, 0);
  } else if (auto_pad == "NOTSET" || auto_pad.empty()) {
    w.pads = given;
  } else {
    ctx.Fail("TW2015",
             fmt::format("auto_pad is '{}', expected NOTSET, SAME_UPPER, SAME_LOWER or VALID", auto_pad));
  }
  RequireEntries(ctx, w.pads, 2 * n, "pads");
  return w;
}

size_t SpatialRank(const NodeContext& ctx) {
  if (ctx.Rank(0) < 3) {
    ctx.Fail("TW2017",
             fmt::format("argument 0 has rank {}, expected batch, channels and spatial axes", ctx.Rank(0)));
  }
  return size_t(ctx.Rank(0)) - 2;
}

/// The window of a convolution: the weight's spatial extents, with which kernel_shape must agree.
std::vector<int64_t> ConvKernel(const NodeContext& ctx, size_t weight) {
  const size_t n = SpatialRank(ctx);
  const std::vector<Expr> w = ctx.Shape(weight);
  if (w.size() != n + 2) {
    ctx.Fail("TW2017", fmt::format("the weight has rank {}, expected {}", w.size(), n + 2));
  }
  std::vector<int64_t> kernel;
  for (size_t d = 0; d < n; ++d) {
    auto k = AsInt(w[d + 2]);
    if (!k) ctx.Unsupported("a weight with symbolic dimensions");
    kernel.push_back(*k);
  }
  if (ctx.HasAttr("kernel_shape") && ctx.Ints("kernel_shape") != kernel) {
    ctx.Fail("TW2015", fmt::format("kernel_shape is [{}], the weight has [{}]",
                                   fmt::join(ctx.Ints("kernel_shape"), ", "), fmt::join(kernel, ", ")));
  }
  return kernel;
}

Annotations ToAttrs(const WindowAttrs& w) {
  return {{"strides", w.strides}, {"dilations", w.dilations}, {"pads", w.pads}};
}

/// Arguments without a bias that was left out.
std::vector<Value> WithBias(NodeContext& ctx) {
  std::vector<Value> args = {ctx.Arg(0), ctx.Arg(1)};
  if (ctx.Has(2)) args.push_back(ctx.Arg(2));
  return args;
}

/// Cuts off what negative pads take away, so that the window's own pads are none of them.
Value Crop(NodeContext& ctx, const Value& x, WindowAttrs& w) {
  const size_t n = w.strides.size();
  std::vector<Expr> begin(n + 2, Expr(0)), end(n + 2, Expr(0));
  bool cuts = false;
  for (size_t i = 0; i < 2 * n; ++i) {
    if (w.pads[i] >= 0) continue;
    (i < n ? begin[i + 2] : end[i - n + 2]) = Expr(w.pads[i]);
    w.pads[i] = 0;
    cuts = true;
  }
  return cuts ? ctx.Call("Pad", {x}, {{"begin", begin}, {"end", end}}) : x;
}

/// The weight without taps that no position of the window has over the map, which pads keep away from it;
/// `w` without what they reached of the pads. A map of 1 x 1 needs one tap of 7 x 7.
Value TrimTaps(NodeContext& ctx, const Value& x, const Value& weight, WindowAttrs& w) {
  const size_t n = w.strides.size();
  std::vector<Expr> begin(n + 2, Expr(0)), shape = weight.tensor().shape;
  bool cuts = false;
  for (size_t d = 0; d < n; ++d) {
    const auto extent = AsInt(x.tensor().shape[d + 2]), kernel = AsInt(shape[d + 2]);
    if (!extent || !kernel || *kernel < 1) continue;
    const int64_t stride = w.strides[d], dilation = w.dilations[d], pads = w.pads[d] + w.pads[d + n];
    const int64_t last = (*extent + pads - (*kernel - 1) * dilation - 1) / stride * stride;
    auto meets = [&](int64_t tap) {
      const int64_t first_at = tap * dilation - w.pads[d];
      return first_at < *extent && first_at + last >= 0;
    };
    int64_t before = 0, behind = 0;
    while (before + 1 < *kernel && (before + 1) * dilation <= w.pads[d] && !meets(before)) ++before;
    while (before + behind + 1 < *kernel && (behind + 1) * dilation <= w.pads[d + n] &&
           !meets(*kernel - 1 - behind))
      ++behind;
    if (before + behind == 0) continue;
    w.pads[d] -= before * dilation;
    w.pads[d + n] -= behind * dilation;
    begin[d + 2] = Expr(before);
    shape[d + 2] = Expr(*kernel - before - behind);
    cuts = true;
  }
  if (!cuts) return weight;
  return ctx.Call("Slice", {weight},
                  {{"begin", begin}, {"stride", std::vector<int64_t>(n + 2, 1)}, {"shape", shape}});
}

void Conv(NodeContext& ctx) {
  WindowAttrs w = ReadWindow(ctx, ConvKernel(ctx, 1));
  std::vector<Value> args = WithBias(ctx);
  const int64_t groups = ctx.Int("group", 1);
  if (groups == 1) {
    Value integers =
        DequantisedConv(ctx, args.size() > 2 ? args[2] : Value(), {w.strides, w.dilations, w.pads});
    if (integers) return ctx.Set(0, integers);
  }
  args[0] = Crop(ctx, args[0], w);
  args[1] = TrimTaps(ctx, args[0], args[1], w);
  Annotations attrs = ToAttrs(w);
  attrs["groups"] = groups;
  ctx.Set(0, ctx.Call("Conv", args, attrs));
}

/// ONNX's rule: pads follow from output_shape or auto_pad where these are given.
void TransposePads(const NodeContext& ctx, const std::vector<int64_t>& kernel, WindowAttrs& w,
                   std::vector<int64_t>& output_padding) {
  const size_t n = kernel.size();
  std::string auto_pad = ctx.String("auto_pad", "NOTSET");
  const bool same = auto_pad == "SAME_UPPER" || auto_pad == "SAME_LOWER";
  if (!same && !ctx.HasAttr("output_shape")) return;
  std::vector<int64_t> target = ctx.Ints("output_shape", std::vector<int64_t>{});
  if (target.size() == n + 2) target.erase(target.begin(), target.begin() + 2);
  if (ctx.HasAttr("output_shape")) RequireEntries(ctx, target, n, "output_shape");
  std::vector<int64_t> x = ctx.StaticShape(0);
  for (size_t d = 0; d < n; ++d) {
    int64_t out = target.empty() ? x[d + 2] * w.strides[d] : target[d];
    int64_t total =
        w.strides[d] * (x[d + 2] - 1) + output_padding[d] + (kernel[d] - 1) * w.dilations[d] + 1 - out;
    if (total < 0) {
      output_padding[d] -= total;
      total = 0;
    }
    int64_t small = total / 2;
    bool before = auto_pad == "SAME_UPPER" || (same ? false : auto_pad != "NOTSET" && auto_pad != "");
    // SAME_UPPER puts the larger half behind; all else puts it before.
    w.pads[d] = before ? small : total - small;
    w.pads[d + n] = total - w.pads[d];
  }
}

void ConvTranspose(NodeContext& ctx) {
  std::vector<int64_t> kernel = ConvKernel(ctx, 1);
  const size_t n = kernel.size();
  WindowAttrs w;
  w.strides = ctx.Ints("strides", std::vector<int64_t>(n, 1));
  w.dilations = ctx.Ints("dilations", std::vector<int64_t>(n, 1));
  w.pads = ctx.Ints("pads", std::vector<int64_t>(2 * n, 0));
  std::vector<int64_t> output_padding = ctx.Ints("output_padding", std::vector<int64_t>(n, 0));
  RequireEntries(ctx, w.strides, n, "strides");
  RequireEntries(ctx, w.dilations, n, "dilations");
  RequireEntries(ctx, w.pads, 2 * n, "pads");
  RequireEntries(ctx, output_padding, n, "output_padding");
  RequirePositive(ctx, w.strides, "strides");
  RequirePositive(ctx, w.dilations, "dilations");
  for (size_t d = 0; d < n; ++d) {
    const int64_t less_than = std::max(w.strides[d], w.dilations[d]);
    if (output_padding[d] < 0 || output_padding[d] >= less_than) {
      ctx.Fail("TW2015",
               fmt::format("output_padding has an entry of {}, expected 0 to {}, less than stride or "
                           "dilation",
                           output_padding[d], less_than - 1));
    }
  }
  TransposePads(ctx, kernel, w, output_padding);
  Annotations attrs = ToAttrs(w);
  attrs["groups"] = ctx.Int("group", 1);
  attrs["output_padding"] = output_padding;
  ctx.Set(0, ctx.Call("ConvTranspose", WithBias(ctx), attrs));
}

// ---- Pooling

Annotations PoolAttrs(const NodeContext& ctx) {
  const size_t n = SpatialRank(ctx);
  std::vector<int64_t> kernel = ctx.Ints("kernel_shape");
  RequireEntries(ctx, kernel, n, "kernel_shape");
  WindowAttrs w = ReadWindow(ctx, kernel);
  Annotations attrs = ToAttrs(w);
  attrs["kernel"] = kernel;
  attrs["ceil_mode"] = ctx.Int("ceil_mode", 0) != 0;
  return attrs;
}

void MaxPool(NodeContext& ctx) {
  Annotations attrs = PoolAttrs(ctx);
  const bool column_major = ctx.Int("storage_order", 0) != 0;
  if (!ctx.Wants(1)) return ctx.Set(0, ctx.Call("MaxPool", {ctx.Arg(0)}, attrs));
  attrs["column_major"] = column_major;
  std::vector<Value> results = ctx.CallMulti("MaxPoolWithIndices", {ctx.Arg(0)}, attrs);
  ctx.Set(0, results[0]);
  ctx.Set(1, results[1]);
}

void AveragePool(NodeContext& ctx) {
  Annotations attrs = PoolAttrs(ctx);
  attrs["count_include_pad"] = ctx.Int("count_include_pad", 0) != 0;
  ctx.Set(0, ctx.Call("AveragePool", {ctx.Arg(0)}, attrs));
}

void LpPool(NodeContext& ctx) {
  Annotations attrs = PoolAttrs(ctx);
  attrs["p"] = ctx.opset() < 2 ? ctx.Float("p", 2) : double(ctx.Int("p", 2));
  ctx.Set(0, ctx.Call("LpPool", {ctx.Arg(0)}, attrs));
}

Annotations SpatialAxes(const NodeContext& ctx) {
  std::vector<int64_t> axes;
  for (size_t d = 0; d < SpatialRank(ctx); ++d) axes.push_back(int64_t(d) + 2);
  return {{"axes", axes}};
}
void GlobalAveragePool(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("ReduceMean", {ctx.Arg(0)}, SpatialAxes(ctx)));
}
void GlobalMaxPool(NodeContext& ctx) { ctx.Set(0, ctx.Call("ReduceMax", {ctx.Arg(0)}, SpatialAxes(ctx))); }
void GlobalLpPool(NodeContext& ctx) {
  double p = ctx.opset() < 2 ? ctx.Float("p", 2) : double(ctx.Int("p", 2));
  DataType t = ctx.DType(0);
  Value powers = ctx.Call("Pow", {ctx.Call("Abs", {ctx.Arg(0)}), ctx.Scalar(t, p)});
  Value sum = ctx.Call("ReduceSum", {powers}, SpatialAxes(ctx));
  ctx.Set(0, ctx.Call("Pow", {sum, ctx.Scalar(t, 1 / p)}));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Conv", 1, 0, Conv},
    {"ConvTranspose", 1, 0, ConvTranspose},
    {"MaxPool", 1, 0, MaxPool},
    {"AveragePool", 1, 0, AveragePool},
    {"LpPool", 1, 0, LpPool},
    {"GlobalAveragePool", 1, 0, GlobalAveragePool},
    {"GlobalMaxPool", 1, 0, GlobalMaxPool},
    {"GlobalLpPool", 1, 0, GlobalLpPool},
});

}  // namespace
}  // namespace tilewright::onnx
