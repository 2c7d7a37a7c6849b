// SPDX-License-Identifier: Apache-2.0
// Sliding windows over the spatial axes of [N, C, spatial...]: what convolution and pooling share.
#pragma once

#include "tilewright/op/common.h"

namespace tilewright {

struct Window {
  std::vector<Expr> kernel;
  std::vector<int64_t> strides, dilations, pads;  ///< pads: before each axis, then behind each
};

/// TW2110 unless the lists fit `spatial` axes, strides and dilations are positive and pads are not negative.
void CheckWindow(const InferContext& ctx, const Window& window, size_t spatial);

/// Positions of the window along spatial axis `d`. With `ceil_mode` the last window may reach beyond the
/// padding behind, but starts inside the axis or the padding before it. TW2110 when the window does not fit.
Expr OutputExtent(const InferContext& ctx, const Window& window, size_t d, const Expr& extent,
                  bool ceil_mode);

/// A function that reads argument 0 at a position in padded coordinates, `fill` outside. With padding, or
/// where windows reach beyond the argument, this is a stage "<name>.pad" for the schedule rule `rule`.
/// `positions`: how many the window has along each spatial axis; empty: as many as the result has elements.
std::function<Expr(const Indices&)> PaddedRead(const LowerContext& ctx, const Window& window,
                                               const Expr& fill, std::vector<Expr> positions = {},
                                               const std::string& rule = "border");

/// The border of `value` that windows reach around argument 0 on the way to a result of this shape; `attrs`
/// of the operator without padding. Nothing where windows stay inside or extents are not known.
std::optional<ArgumentBorder> BorderOf(const InferContext& ctx, const Window& window,
                                       const std::vector<Expr>& result, double value, Attrs attrs);

/// The part of argument 0's padded spatial axis that output type and window reach.
Expr PaddedExtent(const Window& window, size_t d, const Expr& output_extent);

}  // namespace tilewright
