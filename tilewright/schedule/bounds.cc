// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/bounds.h"

#include <vector>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

struct Bounds::Impl {
  ~Impl() {
    while (!entered.empty()) entered.pop_back();  // the last first
  }
  Analyzer analyzer;
  std::vector<Constraint> entered;
};

Bounds::Bounds() : impl_(std::make_unique<Impl>()) {}
Bounds::~Bounds() = default;
Bounds::Bounds(Bounds&&) noexcept = default;

void Bounds::Bind(const Var& var, const Range& range) { impl_->analyzer.Bind(var, range); }
void Bounds::Assume(const Expr& condition) { impl_->entered.push_back(impl_->analyzer.Assume(condition)); }
void Bounds::Enter(const Range& range) {
  if (!AsInt(range.extent)) Assume(Expr(0) < range.extent);
}
Expr Bounds::Simplify(const Expr& e) const { return impl_->analyzer.Simplify(e); }
namespace {

/// A condition within the expression that decides a choice; null when there is none.
Expr FindChoice(const Expr& e) {
  Expr choice;
  PreOrder(e, [&](const Expr& x) {
    if (auto* select = x.As<SelectNode>(); select && !choice) choice = select->condition;
    return !choice;
  });
  return choice;
}

}  // namespace

bool Bounds::Prove(const Expr& condition) const {
  Analyzer& analyzer = impl_->analyzer;
  if (analyzer.CanProve(condition)) return true;
  // Parts of uneven size choose their extent; each case is simple.
  const Expr choice = FindChoice(condition);
  if (!choice) return false;
  for (const Expr& assumed : {choice, MakeNot(choice)}) {
    auto scope = analyzer.Assume(assumed);
    if (!analyzer.CanProve(condition)) return false;
  }
  return true;
}
bool Bounds::ProveEqual(const Expr& a, const Expr& b) const { return impl_->analyzer.CanProveEqual(a, b); }

std::optional<int64_t> Bounds::ConstExtent(const Expr& e) const {
  const Interval bound = impl_->analyzer.ConstBound(e);
  if (bound.min == INT64_MIN || bound.max == INT64_MAX || bound.empty()) return std::nullopt;
  int64_t extent;
  if (__builtin_sub_overflow(bound.max, bound.min, &extent)) return std::nullopt;
  return extent + 1;
}

}  // namespace tilewright
