// SPDX-License-Identifier: Apache-2.0
// Convolutions of bytes as products: what the windows see is gathered, [N, positions, taps * C], channels
// innermost, so that runs of bytes are copied.
#include <algorithm>
#include <numeric>

#include "tilewright/frontend/onnx/importer.h"
#include "tilewright/frontend/onnx/integer_product.h"

namespace tilewright::onnx {

namespace {

/// [N, C, ...] as [N, ..., C].
Value ChannelsLast(NodeContext& ctx, const Value& x) {
  std::vector<int64_t> perm(x.tensor().shape.size());
  std::iota(perm.begin() + 1, perm.end() - 1, 2);
  perm.back() = 1;
  return ctx.Call("Transpose", {x}, {{"perm", perm}});
}

/// The border of x, channels last, holds what stands for 0.
Value Padded(NodeContext& ctx, const Value& x, const Value& zero, const std::vector<int64_t>& pads) {
  if (std::all_of(pads.begin(), pads.end(), [](int64_t p) { return p == 0; })) return x;
  const size_t n = pads.size() / 2;
  std::vector<Expr> begin(n + 2, Expr(0)), end = begin;
  for (size_t d = 0; d < n; ++d) {
    begin[d + 1] = Expr(pads[d]);
    end[d + 1] = Expr(pads[d + n]);
  }
  Value fill = zero ? ctx.Reshape(zero, {}) : Value();
  return ctx.Call("Pad", {x, fill}, {{"begin", begin}, {"end", end}});
}

/// The windows of one image axis.
struct Axis {
  int64_t taps, stride, dilation;
  Expr positions;
};

/// [N, positions, taps * C]: for each tap the bytes that it meets, one behind the other.
Value Gathered(NodeContext& ctx, const Value& x, const std::vector<Axis>& axes) {
  const std::vector<Expr>& shape = x.tensor().shape;
  std::vector<int64_t> tap(axes.size(), 0), stride = {1};
  std::vector<Expr> taken = {shape.front()};
  int64_t taps = 1;
  Expr positions(1);
  for (const Axis& a : axes) {
    taken.push_back(a.positions);
    stride.push_back(a.stride);
    taps *= a.taps;
    positions = positions * a.positions;
  }
  taken.push_back(shape.back());
  stride.push_back(1);
  std::vector<Value> parts;
  for (int64_t t = 0; t < taps; ++t) {
    std::vector<Expr> begin = {Expr(0)};
    for (size_t d = 0; d < axes.size(); ++d) begin.emplace_back(tap[d] * axes[d].dilation);
    begin.emplace_back(0);
    parts.push_back(ctx.Call("Slice", {x}, {{"begin", begin}, {"stride", stride}, {"shape", taken}}));
    for (size_t d = axes.size(); d-- > 0;) {
      if (++tap[d] < axes[d].taps) break;
      tap[d] = 0;
    }
  }
  Value all = ctx.Join(std::move(parts), int64_t(shape.size()) - 1);
  return ctx.Reshape(all, {shape.front(), positions, shape.back() * Expr(taps)});
}

/// [O, C, ...] as [taps * C, O].
Value FilterMatrix(NodeContext& ctx, const Value& w) {
  const std::vector<Expr>& shape = w.tensor().shape;
  std::vector<int64_t> perm(shape.size());
  std::iota(perm.begin(), perm.end() - 2, 2);
  perm[shape.size() - 2] = 1;
  Expr depth(1);
  for (size_t d = 1; d < shape.size(); ++d) depth = depth * shape[d];
  return ctx.Reshape(ctx.Call("Transpose", {w}, {{"perm", perm}}), {depth, shape[0]});
}

}  // namespace

bool TakesIntegerConv(const ByteOperand& x, const ByteOperand& w, const ConvWindows& windows) {
  const auto is_byte = [](const Value& v) { return v.tensor().dtype == kU8 || v.tensor().dtype == kI8; };
  const std::vector<Expr>&image = x.data.tensor().shape, &filters = w.data.tensor().shape;
  if (!is_byte(x.data) || !is_byte(w.data) || filters.size() < 3 || image.size() != filters.size())
    return false;
  for (const Expr& e : filters) {
    if (AsInt(e).value_or(0) < 1) return false;
  }
  if (!IsInt(image[1], *AsInt(filters[1]))) return false;
  const size_t n = filters.size() - 2;
  for (size_t d = 0; d < n; ++d) {
    const int64_t before = windows.pads[d], behind = windows.pads[d + n];
    const int64_t reach = (*AsInt(filters[d + 2]) - 1) * windows.dilations[d] + 1;
    if (before < 0 || behind < 0) return false;
    if (const auto extent = AsInt(image[d + 2]); extent && *extent + before + behind < reach) return false;
  }
  return true;
}

Value IntegerConv(NodeContext& ctx, const ByteOperand& x, const ByteOperand& w, const ConvWindows& windows,
                  const std::function<Value(const Value&)>& finish) {
  const std::vector<Expr>& filters = w.data.tensor().shape;
  ByteOperand image = x, matrix = w;
  image.constant = false;
  image.data = Padded(ctx, ChannelsLast(ctx, x.data), x.zero, windows.pads);
  if (x.zero) image.zero = ctx.Reshape(x.zero, {});
  std::vector<Axis> axes;
  std::vector<Expr> shape = {image.data.tensor().shape.front(), filters.front()};
  for (size_t d = 0; d + 2 < filters.size(); ++d) {
    Axis a{*AsInt(filters[d + 2]), windows.strides[d], windows.dilations[d], nullptr};
    const Expr room = image.data.tensor().shape[d + 1] - Expr((a.taps - 1) * a.dilation + 1);
    a.positions = FloorDiv(room, Expr(a.stride)) + Expr(1);
    shape.push_back(a.positions);
    axes.push_back(std::move(a));
  }
  image.data = Gathered(ctx, image.data, axes);
  matrix.data = FilterMatrix(ctx, w.data);
  if (w.zero) {
    const bool one = IsInt(w.zero.tensor().NumElements(), 1);
    matrix.zero = ctx.Reshape(w.zero, one ? std::vector<Expr>{} : std::vector<Expr>{filters.front()});
  }
  Value rows = finish(IntegerProduct(ctx, image, matrix));
  return ctx.Reshape(ctx.Call("Transpose", {rows}, {{"perm", std::vector<int64_t>{0, 2, 1}}}), shape);
}

Value DequantisedConv(NodeContext& ctx, const Value& bias, const ConvWindows& windows) {
  const auto& known = ctx.importer().dequantised();
  auto a = known.find(ctx.Arg(0).get()), b = known.find(ctx.Arg(1).get());
  if (a == known.end() || b == known.end()) return nullptr;
  const Dequantised &x = a->second, &w = b->second;
  if (x.axis || w.axis.value_or(0) != 0 || !w.bytes.constant || !TakesIntegerConv(x.bytes, w.bytes, windows))
    return nullptr;
  return IntegerConv(ctx, x.bytes, w.bytes, windows, [&](const Value& sums) {
    // The scales broadcast against the weight, [O, 1, ..]; here the filters lie last.
    Value scales = w.axis ? ctx.Reshape(w.scale, {w.bytes.data.tensor().shape.front()}) : w.scale;
    Value y = ctx.Call("Mul", {ctx.Cast(sums, kF32), ctx.Call("Mul", {x.scale, scales})});
    return bias ? ctx.Call("Add", {y, bias}) : y;
  });
}

}  // namespace tilewright::onnx
