// SPDX-License-Identifier: Apache-2.0
#include "tilewright/op/window.h"

namespace tilewright {

void CheckWindow(const InferContext& ctx, const Window& window, size_t spatial) {
  auto check = [&](const std::vector<int64_t>& list, const char* name, size_t count, int64_t least) {
    if (list.size() != count) {
      ctx.Fail("TW2110", fmt::format("{} has {} entries, expected {}", name, list.size(), count));
    }
    for (int64_t v : list) {
      if (v < least || v > INT32_MAX) {
        ctx.Fail("TW2110", fmt::format("{} has an entry {}, expected {} or more", name, v, least));
      }
    }
  };
  if (window.kernel.size() != spatial) {
    ctx.Fail("TW2110", fmt::format("the window has {} axes, expected {}", window.kernel.size(), spatial));
  }
  check(window.strides, "strides", spatial, 1);
  check(window.dilations, "dilations", spatial, 1);
  check(window.pads, "pads", 2 * spatial, 0);
  for (const Expr& k : window.kernel) {
    auto known = AsInt(k);
    if (known && *known < 1) ctx.Fail("TW2110", fmt::format("the window has an extent of {}", *known));
  }
}

Expr OutputExtent(const InferContext& ctx, const Window& window, size_t d, const Expr& extent,
                  bool ceil_mode) {
  const Expr before(window.pads[d]), behind(window.pads[d + window.kernel.size()]), stride(window.strides[d]);
  const Expr reach = (window.kernel[d] - Expr(1)) * Expr(window.dilations[d]) + Expr(1);
  const Expr room = extent + before + behind - reach;
  auto known = AsInt(room);
  if (known && *known < 0) {
    ctx.Fail("TW2110", fmt::format("the window does not fit spatial axis {}: it is {} too long", d, -*known));
  }
  if (!known) RequireAtMost(ctx, -room, Expr(0), fmt::format("the window and spatial axis {}", d));
  if (!ceil_mode) return FloorDiv(room, stride) + Expr(1);
  Expr count = CeilDiv(room, stride) + Expr(1);
  return MakeSelect((count - Expr(1)) * stride < extent + before, count, count - Expr(1));
}

Expr PaddedExtent(const Window& window, size_t d, const Expr& output_extent) {
  return (output_extent - Expr(1)) * Expr(window.strides[d]) +
         (window.kernel[d] - Expr(1)) * Expr(window.dilations[d]) + Expr(1);
}

std::optional<ArgumentBorder> BorderOf(const InferContext& ctx, const Window& window,
                                       const std::vector<Expr>& result, double value, Attrs attrs) {
  ArgumentBorder border{{0, 0}, {0, 0}, value, std::move(attrs)};
  bool reaches = false;
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    const auto extent = AsInt(ctx.Input(0).shape[d + 2]);
    const auto reached = AsInt(PaddedExtent(window, d, result[d + 2]));
    if (!extent || !reached) return std::nullopt;
    border.begin.push_back(window.pads[d]);
    border.end.push_back(std::max<int64_t>(0, *reached - window.pads[d] - *extent));
    reaches = reaches || border.begin.back() > 0 || border.end.back() > 0;
  }
  if (!reaches) return std::nullopt;
  return border;
}

namespace {

/// Whether every position that windows reach along axis `d` is an element of the argument.
bool StaysInside(const LowerContext& ctx, const Window& window, size_t d, const Expr& positions) {
  if (window.pads[d] != 0) return false;
  if (window.pads[d + window.kernel.size()] == 0) {
    auto reached = AsInt(PaddedExtent(window, d, positions));
    auto extent = AsInt(ctx.InputType(0).shape[d + 2]);
    return !reached || !extent || *reached <= *extent;
  }
  return false;
}

}  // namespace

std::function<Expr(const Indices&)> PaddedRead(const LowerContext& ctx, const Window& window,
                                               const Expr& fill, std::vector<Expr> positions,
                                               const std::string& rule) {
  if (positions.empty()) positions.assign(ctx.OutputType().shape.begin() + 2, ctx.OutputType().shape.end());
  const auto& x = ctx.InputType(0).shape;
  std::vector<bool> inside(window.kernel.size());
  bool all_inside = true;
  std::vector<Expr> shape = {x[0], x[1]};
  for (size_t d = 0; d < window.kernel.size(); ++d) {
    inside[d] = StaysInside(ctx, window, d, positions[d]);
    all_inside = all_inside && inside[d];
    shape.push_back(inside[d] ? x[d + 2] : PaddedExtent(window, d, positions[d]));
  }
  if (all_inside) return [&ctx](const Indices& i) { return ctx.Read(0, i); };
  // The border goes around the argument in its own layout, so that the stage copies whole blocks of channels.
  const Layout layout = ctx.InputType(0).layout;
  const int rank = int(shape.size());
  te::Tensor padded = ctx.Intermediate("pad", layout.PhysicalShape(shape),
                                       [&](const Indices& physical) {
                                         const Indices i = layout.ToLogical(physical, rank);
                                         Indices from = i;
                                         std::vector<Expr> conditions;
                                         for (size_t d = 0; d < window.kernel.size(); ++d) {
                                           if (inside[d]) continue;
                                           from[d + 2] = i[d + 2] - Expr(window.pads[d]);
                                           if (window.pads[d] > 0)
                                             conditions.push_back(from[d + 2] >= Expr(0));
                                           conditions.push_back(from[d + 2] < x[d + 2]);
                                         }
                                         return MakeIfThenElse(AllOf(conditions), ctx.Read(0, from), fill);
                                       },
                                       {{"rule", rule}});
  return [padded, layout](const Indices& i) { return padded(layout.ToPhysical(i)); };
}

}  // namespace tilewright
