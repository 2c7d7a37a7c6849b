// SPDX-License-Identifier: Apache-2.0
// Quantisation as explicit arithmetic: integers are widened to i32, scales stay floats.
#include <algorithm>

#include "tilewright/frontend/onnx/importer.h"
#include "tilewright/frontend/onnx/integer_product.h"

namespace tilewright::onnx {
namespace {

/// Scale or zero point as it broadcasts against x: a scalar, one per element of `axis`, or one per block.
Value AlongAxis(NodeContext& ctx, const Value& v, const Value& x, int64_t axis, int64_t block) {
  const int64_t rank = x.tensor().rank();
  if (v.tensor().rank() == 0 || IsInt(v.tensor().NumElements(), 1)) return ctx.Reshape(v, {});
  const size_t at = size_t(AxisFromFront(ctx, axis, rank));
  if (v.tensor().rank() == 1) {
    std::vector<Expr> shape(size_t(rank) - at, Expr(1));
    shape[0] = v.tensor().shape[0];
    return ctx.Reshape(v, shape);
  }
  if (block < 1 || v.tensor().rank() != rank)
    ctx.Unsupported(fmt::format("a scale of rank {}", v.tensor().rank()));
  // Each value covers `block` elements: [.., n, ..] becomes [.., n, 1, ..], repeated, and one axis again.
  std::vector<Expr> split = v.tensor().shape, joined = split;
  split.insert(split.begin() + std::ptrdiff_t(at) + 1, Expr(1));
  std::vector<Expr> repeated = split;
  repeated[at + 1] = Expr(block);
  joined[at] = joined[at] * Expr(block);
  Value wide = ctx.Reshape(ctx.Call("Expand", {ctx.Reshape(v, split)}, {{"shape", repeated}}), joined);
  auto have = AsInt(joined[at]), want = AsInt(x.tensor().shape[at]);
  if (have && want && *have > *want) {
    std::vector<Expr> begin(joined.size(), Expr(0)), shape = joined;
    shape[at] = x.tensor().shape[at];
    wide = ctx.Call("Slice", {wide},
                    {{"begin", begin}, {"stride", std::vector<int64_t>(joined.size(), 1)}, {"shape", shape}});
  }
  return wide;
}

/// The range of an integer type, as f32 constants.
Value Saturate(NodeContext& ctx, const Value& x, DataType t) {
  double low = t.is_uint() ? 0 : -double(int64_t{1} << (t.bits - 1));
  double high = t.is_uint() ? double((int64_t{1} << t.bits) - 1) : double((int64_t{1} << (t.bits - 1)) - 1);
  DataType f = x.tensor().dtype;
  return ctx.Call("Minimum", {ctx.Call("Maximum", {x, ctx.Scalar(f, low)}), ctx.Scalar(f, high)});
}

void RequireSmall(const NodeContext& ctx, DataType t) {
  if (!t.is_integer() || t.bits > 16) ctx.Unsupported(fmt::format("quantisation to {}", t.ToString()));
}

/// saturate(round(x / scale) + zero point)
Value QuantizeTo(NodeContext& ctx, const Value& x, const Value& scale, const Value& zero, DataType t) {
  Value q = ctx.Call("Round", {ctx.Call("Div", {ctx.Cast(x, kF32), ctx.Cast(scale, kF32)})});
  if (zero) q = ctx.Call("Add", {q, ctx.Cast(zero, kF32)});
  return ctx.Cast(Saturate(ctx, q, t), t);
}

void QuantizeLinear(NodeContext& ctx) {
  ctx.Ignore({"saturate", "precision"});
  Value x = ctx.Arg(0);
  int64_t axis = ctx.Int("axis", 1), block = ctx.Int("block_size", 0), wanted = ctx.Int("output_dtype", 0);
  DataType t = ctx.Has(2) ? ctx.DType(2)
               : wanted   ? ElementType(int32_t(wanted), "the result of QuantizeLinear")
                          : kU8;
  RequireSmall(ctx, t);
  Value scale = AlongAxis(ctx, ctx.Arg(1), x, axis, block), zero;
  if (ctx.Has(2)) zero = AlongAxis(ctx, ctx.Arg(2), x, axis, block);
  ctx.Set(0, QuantizeTo(ctx, x, scale, zero, t));
}

/// x - zero point, in i32.
Value Centred(NodeContext& ctx, const Value& x, const Value& zero) {
  Value wide = ctx.Cast(x, kI32);
  return zero ? ctx.Call("Sub", {wide, ctx.Cast(zero, kI32)}) : wide;
}

void DequantizeLinear(NodeContext& ctx) {
  Value x = ctx.Arg(0);
  if (!x.tensor().dtype.is_integer())
    ctx.Fail("TW2016", fmt::format("what is to be dequantised is {}", x->type.ToString()));
  int64_t axis = ctx.Int("axis", 1), block = ctx.Int("block_size", 0);
  DataType t = ctx.DType(1);
  if (int64_t wanted = ctx.Int("output_dtype", 0))
    t = ElementType(int32_t(wanted), "the result of DequantizeLinear");
  Value scale = AlongAxis(ctx, ctx.Arg(1), x, axis, block), zero;
  if (ctx.Has(2)) zero = AlongAxis(ctx, ctx.Arg(2), x, axis, block);
  Value y = ctx.Cast(ctx.Call("Mul", {ctx.Cast(Centred(ctx, x, zero), kF32), ctx.Cast(scale, kF32)}), t);
  ctx.Set(0, y);
  const bool bytes = x.tensor().dtype == kU8 || x.tensor().dtype == kI8;
  const int rank = ctx.Rank(1);
  if (!bytes || t != kF32 || rank > 1) return;
  Dequantised& made = ctx.importer().dequantised()[y.get()];
  made = {{x, zero, {}, bool(ctx.Input(0).data)}, scale, {}, y};
  if (zero) made.bytes.known = ctx.Input(2).data;
  if (scale.tensor().rank() > 0) made.axis = int(AxisFromFront(ctx, axis, x.tensor().rank()));
}

void DynamicQuantizeLinear(NodeContext& ctx) {
  Value x = ctx.Arg(0), nought = ctx.Scalar(kF32, 0);
  Annotations all = {{"keepdims", false}};
  // First over all axes but the innermost, along which vectors run; extrema do not depend on the order.
  auto extremum = [&](const char* op) {
    std::vector<int64_t> leading;
    for (int i = 0; i + 1 < x.tensor().rank(); ++i) leading.push_back(i);
    Value rows = leading.empty() ? x : ctx.Call(op, {x}, {{"axes", leading}, {"keepdims", true}});
    return ctx.Call(op, {rows}, all);
  };
  Value low = ctx.Call("Minimum", {extremum("ReduceMin"), nought});
  Value high = ctx.Call("Maximum", {extremum("ReduceMax"), nought});
  Value scale = ctx.Call("Div", {ctx.Call("Sub", {high, low}), ctx.Scalar(kF32, 255)});
  Value offset = ctx.Call("Div", {ctx.Call("Neg", {low}), scale});
  Value zero = ctx.Cast(Saturate(ctx, ctx.Call("Round", {offset}), kU8), kU8);
  ctx.Set(0, QuantizeTo(ctx, x, scale, zero, kU8));
  ctx.Set(1, scale);
  ctx.Set(2, zero);
}

/// A zero point per row of a matrix [.., M, K] as [.., M, 1].
Value PerRow(NodeContext& ctx, const Value& zero) {
  if (!zero || zero.tensor().rank() != 1 || IsInt(zero.tensor().shape[0], 1)) return zero;
  return ctx.Reshape(zero, {zero.tensor().shape[0], Expr(1)});
}

void MatMulInteger(NodeContext& ctx) {
  ByteOperand a = ByteArgument(ctx, 0, 2);
  a.zero = PerRow(ctx, a.zero);
  ctx.Set(0, IntegerProduct(ctx, a, ByteArgument(ctx, 1, 3)));
}

void QLinearMatMul(NodeContext& ctx) {
  const DataType t = ctx.DType(7);
  RequireSmall(ctx, t);
  ByteOperand a = ByteArgument(ctx, 0, 2);
  a.zero = PerRow(ctx, a.zero);
  Value product = ctx.Cast(IntegerProduct(ctx, a, ByteArgument(ctx, 3, 5)), kF32);
  Value scale = ctx.Call("Mul", {ctx.Cast(PerRow(ctx, ctx.Arg(1)), kF32), ctx.Cast(ctx.Arg(4), kF32)});
  ctx.Set(0, QuantizeTo(ctx, ctx.Call("Mul", {product, scale}), ctx.Arg(6), ctx.Arg(7), t));
}

/// Windows of a convolution of integers, whose padding is explicit.
ConvWindows ReadWindows(const NodeContext& ctx) {
  const size_t n = size_t(std::max(ctx.Rank(0) - 2, 0));
  std::string auto_pad = ctx.String("auto_pad", "NOTSET");
  if (auto_pad != "NOTSET" && auto_pad != "VALID") ctx.Unsupported("auto_pad of a quantised convolution");
  ctx.Ignore({"kernel_shape"});
  ConvWindows w{.strides = ctx.Ints("strides", std::vector<int64_t>(n, 1)),
                .dilations = ctx.Ints("dilations", std::vector<int64_t>(n, 1)),
                .pads = ctx.Ints("pads", std::vector<int64_t>(2 * n, 0))};
  RequireEntries(ctx, w.strides, n, "strides");
  RequireEntries(ctx, w.dilations, n, "dilations");
  RequireEntries(ctx, w.pads, 2 * n, "pads");
  for (const auto* list : {&w.strides, &w.dilations}) {
    if (std::any_of(list->begin(), list->end(), [](int64_t v) { return v < 1; }))
      ctx.Fail("TW2015", "strides and dilations must be 1 or more");
  }
  return w;
}

/// A zero point per output channel as it broadcasts against the weight [O, C, ...].
Value PerFilter(NodeContext& ctx, const Value& v, int rank) {
  if (!v || v.tensor().rank() != 1 || IsInt(v.tensor().shape[0], 1)) return v ? ctx.Reshape(v, {}) : v;
  std::vector<Expr> shape(size_t(rank), Expr(1));
  shape[0] = v.tensor().shape[0];
  return ctx.Reshape(v, shape);
}

/// The sums of arguments x and w, zero points behind them, given to `finish` in i32: as [N, positions, O]
/// where they are products (channels_last), else as ONNX has them.
void ConvOfBytes(NodeContext& ctx, const ByteOperand& x, const ByteOperand& w, const Value& bias,
                 const std::function<Value(const Value& sums, bool channels_last)>& finish) {
  const ConvWindows windows = ReadWindows(ctx);
  const int64_t groups = ctx.Int("group", 1);
  if (groups == 1 && TakesIntegerConv(x, w, windows)) {
    auto with_bias = [&](const Value& sums) {
      return finish(bias ? ctx.Call("Add", {sums, bias}) : sums, true);
    };
    return ctx.Set(0, IntegerConv(ctx, x, w, windows, with_bias));
  }
  std::vector<Value> args = {Centred(ctx, x.data, x.zero),
                             Centred(ctx, w.data, PerFilter(ctx, w.zero, w.data.tensor().rank()))};
  if (bias) args.push_back(bias);
  Value sums = ctx.Call("Conv", args,
                        {{"strides", windows.strides},
                         {"dilations", windows.dilations},
                         {"pads", windows.pads},
                         {"groups", groups}});
  ctx.Set(0, finish(sums, false));
}

void ConvInteger(NodeContext& ctx) {
  ConvOfBytes(ctx, ByteArgument(ctx, 0, 2), ByteArgument(ctx, 1, 3), nullptr,
              [](const Value& sums, bool) { return sums; });
}

void QLinearConv(NodeContext& ctx) {
  const DataType t = ctx.DType(7);
  RequireSmall(ctx, t);
  ConvOfBytes(ctx, ByteArgument(ctx, 0, 2), ByteArgument(ctx, 3, 5), ctx.OptionalArg(8),
              [&](const Value& sums, bool channels_last) {
                // One scale per filter lies along the last axis there, along axis 1 here.
                Value scales = PerFilter(ctx, ctx.Arg(4), channels_last ? 1 : ctx.Rank(0) - 1);
                Value scale = ctx.Call("Mul", {ctx.Reshape(ctx.Arg(1), {}), scales});
                return QuantizeTo(ctx, ctx.Call("Mul", {ctx.Cast(sums, kF32), scale}),
                                  ctx.Reshape(ctx.Arg(6), {}), ctx.Reshape(ctx.Arg(7), {}), t);
              });
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"QuantizeLinear", 10, 0, QuantizeLinear},
    {"DequantizeLinear", 10, 0, DequantizeLinear},
    {"DynamicQuantizeLinear", 11, 0, DynamicQuantizeLinear},
    {"MatMulInteger", 10, 0, MatMulInteger},
    {"QLinearMatMul", 10, 0, QLinearMatMul},
    {"ConvInteger", 10, 0, ConvInteger},
    {"QLinearConv", 10, 0, QLinearConv},
});

}  // namespace
}  // namespace tilewright::onnx
