// SPDX-License-Identifier: Apache-2.0
// Sampling grids, and images from windows.
#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

void GridSample(NodeContext& ctx) {
  // Up to operator set 19 the modes are named for two dimensions.
  std::string mode = ctx.String("mode", ctx.opset() < 20 ? "bilinear" : "linear");
  if (ctx.opset() < 20 && mode == "bilinear") mode = "linear";
  if (ctx.opset() < 20 && mode == "bicubic") mode = "cubic";
  ctx.Set(0, ctx.Call("GridSample", {ctx.Arg(0), ctx.Arg(1)},
                      {{"mode", mode},
                       {"padding", ctx.String("padding_mode", "zeros")},
                       {"align_corners", ctx.Int("align_corners", 0) != 0}}));
}

/// Places of an image's elements, from -1 to 1 along each axis, moved by an affine map: a product with a
/// matrix of homogeneous coordinates that the size gives.
void AffineGrid(NodeContext& ctx) {
  constexpr int64_t kMost = int64_t{1} << 24;
  Value theta = ctx.Arg(0);
  const std::vector<int64_t> size = ctx.RequireInts(1, "the size of AffineGrid");
  const size_t axes = size.size() < 2 ? 0 : size.size() - 2;
  if (axes != 2 && axes != 3)
    ctx.Fail("TW2017", fmt::format("the size has {} entries, expected 4 or 5", size.size()));
  const auto& shape = theta.tensor().shape;
  if (shape.size() != 3 || !IsInt(shape[1], int64_t(axes)) || !IsInt(shape[2], int64_t(axes) + 1))
    ctx.Fail("TW2017",
             fmt::format("theta is {}, expected [N, {}, {}]", theta->type.ToString(), axes, axes + 1));
  int64_t points = 1;
  for (size_t d = 2; d < size.size(); ++d) {
    if (size[d] < 1 || size[d] > kMost / points)
      ctx.Fail("TW2017", fmt::format("the size has an entry of {}", size[d]));
    points *= size[d];
  }
  const bool corners = ctx.Int("align_corners", 0) != 0;
  std::vector<double> homogeneous;
  for (int64_t p = 0; p < points; ++p) {
    // The innermost axis comes first, a 1 last.
    int64_t rest = p;
    for (size_t d = size.size(); d-- > 2;) {
      const double i = double(rest % size[d]), n = double(size[d]);
      rest /= size[d];
      homogeneous.push_back(corners ? (size[d] == 1 ? -1 : 2 * i / (n - 1) - 1) : (2 * i + 1) / n - 1);
    }
    homogeneous.push_back(1);
  }
  Value base =
      ctx.Constant(NDArray::FromDoubles(theta.tensor().dtype, {1, points, int64_t(axes) + 1}, homogeneous));
  std::vector<Expr> result = {shape[0]};
  for (size_t d = 2; d < size.size(); ++d) result.push_back(Expr(size[d]));
  result.push_back(Expr(int64_t(axes)));
  ctx.Set(0, ctx.Reshape(ctx.Call("MatMul", {base, theta}, {{"transpose_b", true}}), result));
}

/// The sum of windows laid out as columns: a transposed convolution whose filters each hold one 1.
void Col2Im(NodeContext& ctx) {
  const std::vector<int64_t> image = ctx.RequireInts(1, "the image shape of Col2Im"),
                             block = ctx.RequireInts(2, "the block shape of Col2Im");
  const size_t axes = image.size();
  const std::vector<int64_t> ones(axes, 1), zeros(2 * axes, 0);
  const std::vector<int64_t> strides = ctx.Ints("strides", ones), dilations = ctx.Ints("dilations", ones),
                             pads = ctx.Ints("pads", zeros);
  if (axes < 1) ctx.Fail("TW2017", "the image has no axes");
  RequireEntries(ctx, image, axes, "the image shape");
  RequireEntries(ctx, block, axes, "the block shape");
  RequireEntries(ctx, strides, axes, "strides");
  RequireEntries(ctx, dilations, axes, "dilations");
  RequireEntries(ctx, pads, 2 * axes, "pads");
  const std::vector<int64_t> x = ctx.StaticShape(0);
  int64_t taps = 1, blocks = 1;
  std::vector<int64_t> counts, padding;
  for (size_t d = 0; d < axes; ++d) {
    const int64_t reach = (block[d] - 1) * dilations[d] + 1,
                  room = image[d] + pads[d] + pads[d + axes] - reach;
    if (block[d] < 1 || strides[d] < 1 || dilations[d] < 1 || room < 0)
      ctx.Fail("TW2017", fmt::format("no block fits axis {} of the image", d));
    counts.push_back(room / strides[d] + 1);
    padding.push_back(room % strides[d]);
    taps *= block[d];
    blocks *= counts.back();
  }
  if (x.size() != 3 || x[1] % taps || x[2] != blocks)
    ctx.Fail("TW2017", fmt::format("the argument is {}, expected [N, C * {}, {}]",
                                   ctx.Arg(0)->type.ToString(), taps, blocks));
  const int64_t channels = x[1] / taps;
  std::vector<Expr> columns = {Expr(x[0]), Expr(x[1])};
  std::vector<int64_t> filters = {x[1], 1};
  for (size_t d = 0; d < axes; ++d) {
    columns.push_back(Expr(counts[d]));
    filters.push_back(block[d]);
  }
  NDArray weight = NDArray::Zeros(ctx.DType(0), filters);
  for (int64_t c = 0; c < x[1]; ++c) weight.SetDouble(c * taps + c % taps, 1);
  ctx.Set(0, ctx.Call("ConvTranspose",
                      {ctx.Reshape(ctx.Arg(0), columns), ctx.Constant(std::move(weight)), nullptr},
                      {{"strides", strides},
                       {"dilations", dilations},
                       {"pads", pads},
                       {"groups", channels},
                       {"output_padding", padding}}));
}

/// Elements of x at the places that MaxPool reported, zeros elsewhere.
void MaxUnpool(NodeContext& ctx) {
  const std::vector<int64_t> shape = ctx.StaticShape(0), kernel = ctx.Ints("kernel_shape");
  const size_t axes = kernel.size();
  const std::vector<int64_t> strides = ctx.Ints("strides", std::vector<int64_t>(axes, 1)),
                             pads = ctx.Ints("pads", std::vector<int64_t>(2 * axes, 0));
  if (shape.size() != axes + 2)
    ctx.Fail("TW2017", fmt::format("a window of {} axes for an argument of rank {}", axes, shape.size()));
  RequireEntries(ctx, kernel, axes, "kernel_shape");
  RequireEntries(ctx, strides, axes, "strides");
  RequireEntries(ctx, pads, 2 * axes, "pads");
  std::vector<int64_t> pooled = {shape[0], shape[1]};
  for (size_t d = 0; d < axes; ++d) {
    pooled.push_back((shape[d + 2] - 1) * strides[d] - pads[d] - pads[d + axes] + kernel[d]);
    if (pooled.back() < 0)
      ctx.Fail("TW2017", fmt::format("axis {} would have {} elements", d, pooled.back()));
  }
  const Expr count = ctx.Arg(0).tensor().NumElements();
  Value zeros = ctx.Call(
      "Full", {},
      {{"dtype", ctx.DType(0)}, {"shape", std::vector<Expr>{Expr(CheckedSize(pooled))}}, {"value", 0.0}});
  Value y =
      ctx.Call("ScatterElements", {zeros, ctx.Reshape(ctx.Arg(1), {count}), ctx.Reshape(ctx.Arg(0), {count})},
               {{"axis", int64_t(0)}});
  y = ctx.Reshape(y, ToExprs(pooled));
  if (ctx.Has(2)) {
    const std::vector<int64_t> wanted = ctx.RequireInts(2, "the output shape of MaxUnpool");
    if (wanted.size() != pooled.size())
      ctx.Fail("TW2017", fmt::format("the output shape has {} entries", wanted.size()));
    std::vector<Expr> begin, end;
    for (size_t d = 0; d < wanted.size(); ++d) {
      if (wanted[d] < pooled[d])
        ctx.Fail("TW2017", fmt::format("the output shape cuts axis {} to {}", d, wanted[d]));
      begin.push_back(Expr(0));
      end.push_back(Expr(wanted[d] - pooled[d]));
    }
    y = ctx.Call("Pad", {y, nullptr}, {{"begin", begin}, {"end", end}});
  }
  ctx.Set(0, y);
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"GridSample", 16, 0, GridSample},
    {"AffineGrid", 20, 0, AffineGrid},
    {"Col2Im", 18, 0, Col2Im},
    {"MaxUnpool", 9, 0, MaxUnpool},
});

}  // namespace
}  // namespace tilewright::onnx
