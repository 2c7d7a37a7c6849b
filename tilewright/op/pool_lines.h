// SPDX-License-Identifier: Apache-2.0
// Pooling in natural order, one axis after the other: what windows gather across lines first, then along
// them.
#pragma once

#include <optional>

#include "tilewright/op/window.h"

namespace tilewright {

/// What a pooling makes of a window's elements: `join` of two, in any order; `element` of one of the
/// argument; `fill` is what joins without effect.
struct PoolFold {
  std::function<Expr(const Expr&, const Expr&)> join;
  std::function<Expr(const Expr&)> element;
  Expr fill;
};

/// The fold over each window, as a stage over the result's axes, of which `suffix` is part of the name; with
/// a stage "line" for the rule `pool_line` in front of it, which folds along all spatial axes but the
/// innermost one that is longer than 1. Nothing where layouts are not natural, spatial extents are not known,
/// or windows have more elements than an expression should.
std::optional<te::Tensor> PoolByLines(const LowerContext& ctx, const Window& window, const PoolFold& fold,
                                      const std::string& suffix);

}  // namespace tilewright
