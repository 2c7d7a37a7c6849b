// SPDX-License-Identifier: Apache-2.0
// Fourier transforms, windows and mel filters. A transform is a product with a matrix of cosines and sines,
// which is made when the model is imported.
#include <cmath>
#include <numbers>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

constexpr double kPi = std::numbers::pi;
/// Matrices beyond this would dwarf the model.
constexpr int64_t kMostMatrixElements = int64_t{1} << 26;

struct Transform {
  int64_t rows = 0;     ///< samples that are there; those up to `length` are 0
  int64_t length = 0;   ///< of the transform
  int64_t columns = 0;  ///< frequencies, or samples, that are wanted
  bool inverse = false;
  int64_t in_parts = 1, out_parts = 2;  ///< 1: real numbers, 2: real and imaginary part
};

/// The matrix that takes [rows * in_parts] to [columns * out_parts].
NDArray MatrixOf(NodeContext& ctx, const Transform& t, DataType dtype) {
  const int64_t height = t.rows * t.in_parts, width = t.columns * t.out_parts;
  if (height > 0 && width > kMostMatrixElements / height)
    ctx.Unsupported(fmt::format("a transform of {} by {} elements", t.rows, t.columns));
  NDArray matrix = NDArray::Empty(dtype, {height, width});
  const double sign = t.inverse ? 1 : -1, factor = t.inverse ? 1 / double(t.length) : 1;
  for (int64_t n = 0; n < t.rows; ++n) {
    for (int64_t k = 0; k < t.columns; ++k) {
      const double angle = sign * 2 * kPi * double(n * k % t.length) / double(t.length);
      const double cos = factor * std::cos(angle), sin = factor * std::sin(angle);
      // (a + bi)(cos + i sin): a row for a and one for b, a column for each part of the product.
      auto set = [&](int64_t in, int64_t out, double v) {
        if (in < t.in_parts && out < t.out_parts)
          matrix.SetDouble((n * t.in_parts + in) * width + k * t.out_parts + out, v);
      };
      set(0, 0, cos), set(0, 1, sin), set(1, 0, -sin), set(1, 1, cos);
    }
  }
  return matrix;
}

/// For one-sided input, the matrix from half a spectrum to the real signal: every frequency but the first,
/// and the middle one of an even length, stands for its mirror image too.
NDArray RealInverseOf(NodeContext& ctx, const Transform& t, DataType dtype) {
  NDArray matrix = MatrixOf(ctx, t, dtype);
  for (int64_t n = 1; n < t.rows; ++n) {
    if (2 * n == t.length) continue;
    for (int64_t i = 0; i < 2 * t.columns; ++i) {
      const int64_t at = 2 * n * t.columns + i;
      matrix.SetDouble(at, 2 * matrix.AsDouble(at));
    }
  }
  return matrix;
}

/// x with its axis of samples moved beside the last one, [rest..., samples * parts], times the matrix, and
/// back.
Value ApplyAlong(NodeContext& ctx, Value x, int64_t axis, const Transform& t, NDArray matrix) {
  std::vector<int64_t> to_back;
  const int64_t rank = x.tensor().rank();
  for (int64_t d = 0; d < rank; ++d) {
    if (d != axis && d != rank - 1) to_back.push_back(d);
  }
  to_back.push_back(axis);
  to_back.push_back(rank - 1);
  x = ctx.Call("Transpose", {x}, {{"perm", to_back}});
  std::vector<Expr> shape = x.tensor().shape;
  Expr rest(1);
  for (size_t d = 0; d + 2 < shape.size(); ++d) rest = rest * shape[d];
  Value y = ctx.Call("MatMul",
                     {ctx.Reshape(x, {rest, Expr(t.rows * t.in_parts)}), ctx.Constant(std::move(matrix))});
  shape[shape.size() - 2] = Expr(t.columns);
  shape.back() = Expr(t.out_parts);
  y = ctx.Reshape(y, shape);
  std::vector<int64_t> from_back(static_cast<size_t>(rank));
  for (size_t d = 0; d < to_back.size(); ++d) from_back[size_t(to_back[d])] = int64_t(d);
  return ctx.Call("Transpose", {y}, {{"perm", from_back}});
}

Value FirstAlong(NodeContext& ctx, const Value& x, int64_t axis, int64_t count) {
  std::vector<Expr> shape = x.tensor().shape;
  shape[size_t(axis)] = Expr(count);
  return ctx.Call("Slice", {x},
                  {{"begin", std::vector<Expr>(shape.size(), Expr(0))},
                   {"stride", std::vector<int64_t>(shape.size(), 1)},
                   {"shape", shape}});
}

int64_t PartsOf(NodeContext& ctx, const Value& x) {
  auto parts = AsInt(x.tensor().shape.back());
  if (!parts || (*parts != 1 && *parts != 2))
    ctx.Fail("TW2017", "the last dimension must be 1 (real numbers) or 2 (complex ones)");
  return *parts;
}

/// An integer argument that decides about shapes.
int64_t IntArgument(NodeContext& ctx, size_t i, const char* what, int64_t otherwise) {
  if (!ctx.Has(i)) return otherwise;
  std::vector<int64_t> v = ctx.RequireInts(i, what);
  if (v.size() != 1) ctx.Fail("TW2017", fmt::format("{} has {} elements, expected 1", what, v.size()));
  return v[0];
}

void Dft(NodeContext& ctx) {
  Value x = ctx.Arg(0);
  const int rank = x.tensor().rank();
  if (rank < 2) ctx.Fail("TW2017", fmt::format("the signal has rank {}, expected 2 or more", rank));
  const int64_t axis = AxisFromFront(
      ctx, ctx.opset() < 20 ? ctx.Int("axis", 1) : IntArgument(ctx, 2, "the axis of DFT", -2), rank);
  if (axis == rank - 1) ctx.Fail("TW2015", "the axis of DFT is that of real and imaginary parts");
  const int64_t extent = ctx.StaticShape(0)[size_t(axis)];
  const bool onesided = ctx.Int("onesided", 0) != 0, inverse = ctx.Int("inverse", 0) != 0;
  const bool to_real = onesided && inverse;
  const int64_t length = IntArgument(ctx, 1, "the length of DFT", to_real ? 2 * (extent - 1) : extent);
  if (length < 1 || extent < 1)
    ctx.Fail("TW2017", fmt::format("a transform of {} samples to {}", extent, length));
  Transform t{.rows = std::min(extent, to_real ? length / 2 + 1 : length),
              .length = length,
              .columns = onesided && !inverse ? length / 2 + 1 : length,
              .inverse = inverse,
              .in_parts = PartsOf(ctx, x),
              .out_parts = to_real ? 1 : 2};
  if (onesided && !inverse && t.in_parts == 2) ctx.Fail("TW2017", "onesided needs a real signal");
  if (to_real && t.in_parts == 1) ctx.Fail("TW2017", "half a spectrum must be complex");
  if (t.rows < extent) x = FirstAlong(ctx, x, axis, t.rows);
  const DataType dtype = x.tensor().dtype;
  ctx.Set(0, ApplyAlong(ctx, x, axis, t, to_real ? RealInverseOf(ctx, t, dtype) : MatrixOf(ctx, t, dtype)));
}

void Stft(NodeContext& ctx) {
  Value signal = ctx.Arg(0), window = ctx.OptionalArg(2);
  if (signal.tensor().rank() != 3)
    ctx.Fail("TW2017", fmt::format("the signal has rank {}, expected 3", signal.tensor().rank()));
  const std::vector<int64_t> shape = ctx.StaticShape(0);
  const int64_t step = IntArgument(ctx, 1, "the step of STFT", 1);
  int64_t length = shape[1];
  if (window) {
    if (window.tensor().rank() != 1) ctx.Fail("TW2017", "the window must have rank 1");
    length = ctx.StaticShape(2)[0];
  }
  const int64_t asked = IntArgument(ctx, 3, "the frame length of STFT", length);
  if (window && asked != length)
    ctx.Fail("TW2017", fmt::format("a window of {} for frames of {}", length, asked));
  length = asked;
  if (step < 1 || length < 1 || length > shape[1])
    ctx.Fail("TW2017", fmt::format("frames of {} every {} in a signal of {}", length, step, shape[1]));
  const int64_t frames = (shape[1] - length) / step + 1;
  const bool onesided = ctx.Int("onesided", 1) != 0;
  Transform t{.rows = length,
              .length = length,
              .columns = onesided ? length / 2 + 1 : length,
              .in_parts = PartsOf(ctx, signal)};
  if (onesided && t.in_parts == 2) ctx.Fail("TW2017", "onesided needs a real signal");
  std::vector<int64_t> places;
  for (int64_t f = 0; f < frames; ++f) {
    for (int64_t i = 0; i < length; ++i) places.push_back(f * step + i);
  }
  Value at = ctx.Constant(NDArray::FromInts(kI64, {frames, length}, places));
  Value x = ctx.Call("Gather", {signal, at}, {{"axis", int64_t(1)}});
  if (window)
    x = ctx.Call("Mul", {x, ctx.Reshape(ctx.Cast(window, x.tensor().dtype), {Expr(length), Expr(1)})});
  ctx.Set(0, ApplyAlong(ctx, x, 2, t, MatrixOf(ctx, t, x.tensor().dtype)));
}

// ---- What is known when the model is imported

int64_t CountArgument(NodeContext& ctx, size_t i, const char* what) {
  constexpr int64_t kMost = int64_t{1} << 24;
  ctx.Input(i);
  const int64_t n = IntArgument(ctx, i, what, 0);
  if (n < 0 || n > kMost) ctx.Fail("TW2017", fmt::format("{} is {}, expected 0 to {}", what, n, kMost));
  return n;
}

DataType ResultType(NodeContext& ctx) {
  return ElementType(int32_t(ctx.Int("output_datatype", 1)), "output_datatype");
}

/// a0 - a1 cos(2 pi i / n) + a2 cos(4 pi i / n), n the size or, for a symmetric window, one less.
void CosineWindow(NodeContext& ctx, double a0, double a1, double a2) {
  const int64_t size = CountArgument(ctx, 0, "the size of the window");
  const double n = double(ctx.Int("periodic", 1) != 0 ? size : size - 1);
  std::vector<double> window;
  for (int64_t i = 0; i < size; ++i) {
    const double angle = n > 0 ? 2 * kPi * double(i) / n : 0;
    window.push_back(a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle));
  }
  ctx.Set(0, ctx.Constant(NDArray::FromDoubles(ResultType(ctx), {size}, window)));
}
void HannWindow(NodeContext& ctx) { CosineWindow(ctx, 0.5, 0.5, 0); }
void HammingWindow(NodeContext& ctx) { CosineWindow(ctx, 25.0 / 46, 21.0 / 46, 0); }
void BlackmanWindow(NodeContext& ctx) { CosineWindow(ctx, 0.42, 0.5, 0.08); }

/// Triangles over the bins of a spectrum whose corners are equally far apart on the mel scale.
void MelWeightMatrix(NodeContext& ctx) {
  const int64_t bands = CountArgument(ctx, 0, "the number of mel bins"),
                length = CountArgument(ctx, 1, "the DFT length"),
                rate = CountArgument(ctx, 2, "the sample rate");
  const double low = ctx.RequireNumber(3, "the lower edge"), high = ctx.RequireNumber(4, "the upper edge");
  if (rate < 1 || !(low >= 0) || !(high >= low) || !(high <= double(rate) / 2))
    ctx.Fail("TW2017", fmt::format("edges of {} and {} Hz at {} samples per second", low, high, rate));
  auto mel = [](double hertz) { return 2595 * std::log10(1 + hertz / 700); };
  const double step = (mel(high) - mel(low)) / double(bands + 2);
  std::vector<int64_t> corners;
  for (int64_t i = 0; i < bands + 2; ++i) {
    const double hertz = 700 * (std::pow(10, (mel(low) + double(i) * step) / 2595) - 1);
    corners.push_back(int64_t(std::floor((double(length) + 1) * hertz / double(rate))));
  }
  const int64_t bins = length / 2 + 1;
  if (bands > 0 && bins > kMostMatrixElements / bands)
    ctx.Unsupported(fmt::format("{} bands of {} bins", bands, bins));
  NDArray weights = NDArray::Zeros(ResultType(ctx), {bins, bands});
  for (int64_t b = 0; b < bands; ++b) {
    const int64_t left = corners[size_t(b)], top = corners[size_t(b) + 1], right = corners[size_t(b) + 2];
    for (int64_t i = left; i <= right && i < bins; ++i) {
      double w = i < top    ? double(i - left) / double(top - left)
                 : i == top ? 1
                            : double(right - i) / double(right - top);
      weights.SetDouble(i * bands + b, w);
    }
  }
  ctx.Set(0, ctx.Constant(std::move(weights)));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"DFT", 17, 0, Dft},
    {"STFT", 17, 0, Stft},
    {"HannWindow", 17, 0, HannWindow},
    {"HammingWindow", 17, 0, HammingWindow},
    {"BlackmanWindow", 17, 0, BlackmanWindow},
    {"MelWeightMatrix", 17, 0, MelWeightMatrix},
});

}  // namespace
}  // namespace tilewright::onnx
