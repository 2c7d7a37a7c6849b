// SPDX-License-Identifier: Apache-2.0
// InterleavePhases: the result of a transposed convolution from those of its phases.
#include "tilewright/op/window.h"

namespace tilewright {
namespace {

/// Index h of the result counts as u = h + pad, of phase r = u % stride; phases below kernel % stride meet a
/// tap more than the others. Arguments are [N, phases and filters, places...], one for each choice, axis by
/// axis, between the phases with a tap more, where there are any, and the others; the last axis's choice
/// changes first.
struct PhasesAttrs {
  int64_t filters = 1;
  std::vector<int64_t> result, kernel, strides, pads;
  static constexpr auto Fields() {
    using S = PhasesAttrs;
    using L = std::vector<int64_t>;
    return std::tuple(AttrField("filters", &S::filters, "channels of the result"),
                      AttrField<S, L>("result", &S::result, "spatial extents of the result"),
                      AttrField<S, L>("kernel", &S::kernel, "the window's extents, strides or more"),
                      AttrField<S, L>("strides", &S::strides, "number of phases along each spatial axis"),
                      AttrField<S, L>("pads", &S::pads, "cut off before each spatial axis"));
  }
  /// How many phases have a tap more along an axis.
  int64_t Longer(size_t axis) const { return kernel[axis] % strides[axis]; }
  size_t Parts() const {
    size_t parts = 1;
    for (size_t d = 0; d < kernel.size(); ++d) parts *= Longer(d) > 0 ? 2 : 1;
    return parts;
  }
  /// Which of the arguments along an axis holds its phases with fewer taps, and how many phases that is.
  bool IsShorter(size_t axis, size_t choice) const { return choice > 0 || Longer(axis) == 0; }
  int64_t PhasesOf(size_t axis, size_t choice) const {
    return IsShorter(axis, choice) ? strides[axis] - Longer(axis) : Longer(axis);
  }
  /// The choices of an argument, axis by axis.
  std::vector<size_t> Choices(size_t part) const {
    std::vector<size_t> choices(kernel.size(), 0);
    for (size_t d = kernel.size(); d-- > 0;) {
      if (Longer(d) == 0) continue;
      choices[d] = part % 2;
      part /= 2;
    }
    return choices;
  }
};

std::vector<Type> InferPhases(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<PhasesAttrs>();
  const size_t spatial = attrs.kernel.size();
  for (const auto* list : {&attrs.result, &attrs.kernel, &attrs.strides, &attrs.pads}) {
    if (list->size() != spatial || spatial == 0)
      ctx.Fail("TW2110", "extents, kernel, strides and pads must have an entry for each spatial axis");
    for (int64_t v : *list) {
      if (v < (list == &attrs.pads ? 0 : 1)) ctx.Fail("TW2110", fmt::format("there is an entry {}", v));
    }
  }
  if (attrs.filters < 1) ctx.Fail("TW2110", fmt::format("{} filters, expected 1 or more", attrs.filters));
  if (ctx.size() != attrs.Parts())
    ctx.Fail("TW2110", fmt::format("there are {} arguments, expected {}", ctx.size(), attrs.Parts()));
  for (size_t part = 0; part < ctx.size(); ++part) {
    RequireRank(ctx, part, int(spatial) + 2, int(spatial) + 2);
    RequireSameDType(ctx, 0, part);
    const std::vector<Expr>& x = ctx.Input(part).shape;
    ctx.SameDim(x[0], ctx.Input(0).shape[0], "images of all phases");
    const std::vector<size_t> choices = attrs.Choices(part);
    int64_t channels = attrs.filters;
    for (size_t d = 0; d < spatial; ++d) {
      const int64_t s = attrs.strides[d], first = attrs.pads[d] / s;
      const int64_t places = (attrs.pads[d] + attrs.result[d] - 1) / s - first + 1;
      channels *= attrs.PhasesOf(d, choices[d]);
      ctx.SameDim(x[d + 2], Expr(places), "places of a phase");
    }
    ctx.SameDim(x[1], Expr(channels), "channels, phases and filters");
  }
  std::vector<Expr> shape = {ctx.Input(0).shape[0], Expr(attrs.filters)};
  for (int64_t extent : attrs.result) shape.push_back(Expr(extent));
  return OneResult(ctx.Input(0).dtype, shape);
}

std::vector<te::Tensor> LowerPhases(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<PhasesAttrs>();
  const size_t spatial = attrs.kernel.size();
  return {ctx.Compute([&](const Indices& o) {
    std::vector<Expr> phases;
    Indices from = {o[0], o[1]};
    for (size_t d = 0; d < spatial; ++d) {
      const Expr s(attrs.strides[d]), at = o[d + 2] + Expr(attrs.pads[d]);
      phases.push_back(FloorMod(at, s));
      from.push_back(FloorDiv(at, s) - Expr(attrs.pads[d] / attrs.strides[d]));
    }
    auto part = [&](size_t index) {
      const std::vector<size_t> choices = attrs.Choices(index);
      Expr phase = 0;
      for (size_t d = 0; d < spatial; ++d) {
        Expr own = phases[d];
        if (attrs.Longer(d) > 0 && attrs.IsShorter(d, choices[d])) own = own - Expr(attrs.Longer(d));
        phase = phase * Expr(attrs.PhasesOf(d, choices[d])) + own;
      }
      Indices at = from;
      at[1] = phase * Expr(attrs.filters) + o[1];
      return ctx.Read(index, at);
    };
    Expr value = part(ctx.size() - 1);
    for (size_t index = ctx.size() - 1; index-- > 0;) {
      const std::vector<size_t> choices = attrs.Choices(index);
      std::vector<Expr> here;
      for (size_t d = 0; d < spatial; ++d) {
        if (attrs.Longer(d) > 0 && !attrs.IsShorter(d, choices[d]))
          here.push_back(phases[d] < Expr(attrs.Longer(d)));
      }
      value = MakeIfThenElse(AllOf(here), part(index), value);
    }
    return te::Body(value);
  })};
}

TW_OP(InterleavePhases) = OpDef{
    .name = "InterleavePhases",
    .doc = "result of a transposed convolution from convolutions that each compute some of its phases",
    .inputs = {{.name = "phases", .variadic = true}},
    .attrs = DescribeAttrs<PhasesAttrs>(),
    .infer = InferPhases,
    .lower = LowerPhases,
    .pattern = FusePattern::kOpaque,
    .follows_input_layout = true,
};

}  // namespace
}  // namespace tilewright
