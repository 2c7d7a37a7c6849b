// SPDX-License-Identifier: Apache-2.0
// ColumnsToImage: what is left of a transposed convolution behind the product of its weight and the argument.
#include <algorithm>

#include "tilewright/op/window.h"

namespace tilewright {
namespace {

struct ColumnsAttrs {
  int64_t filters = 1;
  std::vector<int64_t> image, result, kernel, strides, pads;
  bool places_first = false;
  static constexpr auto Fields() {
    using S = ColumnsAttrs;
    using L = std::vector<int64_t>;
    return std::tuple(
        AttrField("filters", &S::filters, "channels of the result"),
        AttrField<S, L>("image", &S::image, "extents of the argument of the convolution"),
        AttrField<S, L>("result", &S::result, "spatial extents of the result"),
        AttrField<S, L>("kernel", &S::kernel, "the window's extents"),
        AttrField<S, L>("strides", &S::strides, "step along each spatial axis"),
        AttrField<S, L>("pads", &S::pads, "cut off before each spatial axis"),
        AttrField("places_first", &S::places_first, "columns are [N, places, filters and taps]"));
  }
};

int64_t CountOf(const std::vector<int64_t>& extents) {
  int64_t n = 1;
  for (int64_t e : extents) n *= e;
  return n;
}

std::vector<Type> InferColumns(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<ColumnsAttrs>();
  RequireRank(ctx, 0, 3, 3);
  RequireFloat(ctx, 0);
  const size_t spatial = attrs.kernel.size();
  for (const auto* list : {&attrs.image, &attrs.result, &attrs.kernel, &attrs.strides, &attrs.pads}) {
    if (list->size() != spatial || spatial == 0)
      ctx.Fail("TW2110", "extents, kernel, strides and pads must have an entry for each spatial axis");
    for (int64_t v : *list) {
      if (v < (list == &attrs.pads ? 0 : 1)) ctx.Fail("TW2110", fmt::format("there is an entry {}", v));
    }
  }
  if (attrs.filters < 1) ctx.Fail("TW2110", fmt::format("{} filters, expected 1 or more", attrs.filters));
  const TensorType& x = ctx.Input(0);
  const size_t places = attrs.places_first ? 1 : 2;
  ctx.SameDim(x.shape[places], Expr(CountOf(attrs.image)), "places of the columns and of the image");
  ctx.SameDim(x.shape[3 - places], Expr(attrs.filters * CountOf(attrs.kernel)), "columns, filters and taps");
  std::vector<Expr> shape = {x.shape[0], Expr(attrs.filters)};
  for (int64_t extent : attrs.result) shape.push_back(Expr(extent));
  return OneResult(x.dtype, shape);
}

/// Output h = s q + r sums the taps k = s j + (r + p) % s, at q + (r + p) / s - j. A stage [r..., n, c,
/// q...], and its interleaving.
std::vector<te::Tensor> LowerColumns(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<ColumnsAttrs>();
  const size_t spatial = attrs.kernel.size();
  const Expr images = ctx.OutputType().shape[0];
  std::vector<Expr> shape, counts;
  std::vector<int64_t> taps;
  for (size_t d = 0; d < spatial; ++d) {
    const int64_t s = attrs.strides[d];
    shape.push_back(Expr(s));
    counts.push_back(Expr((attrs.result[d] + s - 1) / s));
    taps.push_back((attrs.kernel[d] + s - 1) / s);
  }
  shape.insert(shape.end(), {images, Expr(attrs.filters)});
  shape.insert(shape.end(), counts.begin(), counts.end());
  te::Tensor phases = ctx.Intermediate("phases", shape, [&](const Indices& i) -> te::Body {
    std::vector<IterVar> axes;
    std::vector<Expr> inside;
    Expr place = 0, column = i[spatial + 1];
    for (size_t d = 0; d < spatial; ++d) {
      const Expr s(attrs.strides[d]), shifted = i[d] + Expr(attrs.pads[d]);
      const Expr sum = i[spatial + 2 + d] + FloorDiv(shifted, s);  // of place and tap
      const bool by_place = attrs.image[d] < taps[d];
      Expr term = 0;
      if (const int64_t terms = std::min(attrs.image[d], taps[d]); terms > 1) {
        axes.push_back(te::ReduceAxis(Expr(terms), fmt::format("k{}", d)));
        term = axes.back().var;
      }
      const Expr at = by_place ? term : sum - term, j = by_place ? sum - term : term;
      const Expr k = j * s + FloorMod(shifted, s);
      if (by_place) inside.push_back(j >= Expr(0));
      if (by_place || attrs.kernel[d] % attrs.strides[d]) inside.push_back(k < Expr(attrs.kernel[d]));
      if (!by_place) {
        inside.push_back(at >= Expr(0));
        inside.push_back(at < Expr(attrs.image[d]));
      }
      place = place * Expr(attrs.image[d]) + at;
      column = column * Expr(attrs.kernel[d]) + k;
    }
    Indices from = {i[spatial], column, place};
    if (attrs.places_first) std::swap(from[1], from[2]);
    Expr value = ToCompute(ctx.Read(0, from));
    value = MakeIfThenElse(AllOf(inside), value, MakeConst(value.dtype(), 0));
    return axes.empty() ? te::Body(value) : te::Sum(value, axes);
  });
  const DataType result = ctx.OutputType().dtype;
  return {ctx.Compute([&](const Indices& o) {
    Indices at, inner = {o[0], o[1]};
    for (size_t d = 0; d < spatial; ++d) {
      at.push_back(FloorMod(o[d + 2], Expr(attrs.strides[d])));
      inner.push_back(FloorDiv(o[d + 2], Expr(attrs.strides[d])));
    }
    at.insert(at.end(), inner.begin(), inner.end());
    Expr y = phases(at);
    if (ctx.Has(1)) y = y + ToCompute(ctx.Read(1, {o[1]}));
    return MakeCast(result, y);
  })};
}

TW_OP(ColumnsToImage) = OpDef{
    .name = "ColumnsToImage",
    .doc =
        "result of a transposed convolution from columns [N, filters and taps, places], plus bias [filters]",
    .inputs = {{"columns"}, {.name = "bias", .optional = true}},
    .attrs = DescribeAttrs<ColumnsAttrs>(),
    .infer = InferColumns,
    .lower = LowerColumns,
    .pattern = FusePattern::kOpaque,
};

}  // namespace
}  // namespace tilewright
