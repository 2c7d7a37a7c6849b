// SPDX-License-Identifier: Apache-2.0
// Integer facts at a place of a function: ranges of the loops around, for simplification and proofs.
#pragma once

#include <memory>
#include <optional>

#include "tilewright/ir/expr.h"

namespace tilewright {

class Bounds {
 public:
  Bounds();
  ~Bounds();
  Bounds(Bounds&&) noexcept;

  /// `var` lies in `range`. Symbolic dimensions declare their own range.
  void Bind(const Var& var, const Range& range);
  /// The condition holds, from now on.
  void Assume(const Expr& condition);
  /// The loop over `range` runs: it is not empty.
  void Enter(const Range& range);
  /// An equal expression, simpler where the ranges allow it.
  Expr Simplify(const Expr& e) const;
  /// True only if the condition holds for all values in range.
  bool Prove(const Expr& condition) const;
  bool ProveEqual(const Expr& a, const Expr& b) const;
  /// How many values the expression can take at most, where that is bounded by a constant.
  std::optional<int64_t> ConstExtent(const Expr& e) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace tilewright
