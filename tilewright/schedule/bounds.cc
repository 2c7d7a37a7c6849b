// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/bounds.h"

#include "tilewright/arith/analyzer.h"

namespace tilewright {

struct Bounds::Impl {
  Analyzer analyzer;
};

Bounds::Bounds() : impl_(std::make_unique<Impl>()) {}
Bounds::~Bounds() = default;
Bounds::Bounds(Bounds&&) noexcept = default;

void Bounds::Bind(const Var& var, const Range& range) { impl_->analyzer.Bind(var, range); }
Expr Bounds::Simplify(const Expr& e) const { return impl_->analyzer.Simplify(e); }
bool Bounds::Prove(const Expr& condition) const { return impl_->analyzer.CanProve(condition); }
bool Bounds::ProveEqual(const Expr& a, const Expr& b) const { return impl_->analyzer.CanProveEqual(a, b); }

std::optional<int64_t> Bounds::ConstExtent(const Expr& e) const {
  const Interval bound = impl_->analyzer.ConstBound(e);
  if (bound.min == INT64_MIN || bound.max == INT64_MAX || bound.empty()) return std::nullopt;
  int64_t extent;
  if (__builtin_sub_overflow(bound.max, bound.min, &extent)) return std::nullopt;
  return extent + 1;
}

}  // namespace tilewright
