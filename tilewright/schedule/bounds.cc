// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/bounds.h"

#include <map>

namespace tilewright {

struct Bounds::Impl {
  std::map<Var, int64_t, RefLess> extents;
};

Bounds::Bounds() : impl_(std::make_unique<Impl>()) {}
Bounds::~Bounds() = default;
Bounds::Bounds(Bounds&&) noexcept = default;

void Bounds::Bind(const Var& var, const Range& range) {
  if (auto extent = AsInt(range.extent)) impl_->extents[var] = *extent;
}
Expr Bounds::Simplify(const Expr& e) const { return e; }
bool Bounds::Prove(const Expr& condition) const { return IsInt(condition, 1); }
bool Bounds::ProveEqual(const Expr& a, const Expr& b) const { return StructuralEqual(a, b); }

std::optional<int64_t> Bounds::ConstExtent(const Expr& e) const {
  auto* var = e.As<VarNode>();
  auto it = var ? impl_->extents.find(Var(var)) : impl_->extents.end();
  return it == impl_->extents.end() ? std::nullopt : std::optional(it->second);
}

}  // namespace tilewright
