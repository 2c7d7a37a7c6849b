// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/analyzer.h"

#include "tilewright/arith/analyzer_impl.h"

namespace tilewright {

namespace {

bool ReadsMemory(const Expr& e) {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    if (auto* call = x.As<CallNode>()) found |= !GetIntrinsicInfo(call->op).pure;
    found |= x.kind() == ExprKind::kLoad;
    return !found;
  });
  return found;
}

/// The conjuncts of a condition that hold until the end of its scope, whatever is stored meanwhile.
Expr StablePart(const Expr& condition) {
  if (auto* n = condition.As<BinaryNode>(); n && n->op == BinaryOp::kAnd) {
    return StablePart(n->a) && StablePart(n->b);
  }
  return ReadsMemory(condition) ? MakeBool(true) : condition;
}

}  // namespace

Constraint::~Constraint() {
  if (impl_) impl_->EndScope();
}

Analyzer::Analyzer() : impl_(std::make_unique<AnalyzerImpl>()) {}
Analyzer::~Analyzer() = default;

void Analyzer::Bind(const Var& var, Range range) { impl_->BindRange(var, range); }
void Analyzer::Bind(const Var& var, Expr value) { impl_->BindValue(var, value); }
void Analyzer::Bind(const Var& var, Interval interval) { impl_->BindInterval(var, interval); }

Constraint Analyzer::Assume(const Expr& condition) {
  TW_CHECK(condition.dtype() == kBool, "a condition of type {}", condition.dtype().ToString());
  impl_->BeginScope(impl_->Visit(StablePart(condition)), true);
  return Constraint(impl_.get());
}

Expr Analyzer::Simplify(const Expr& e) { return impl_->Visit(e); }

bool Analyzer::CanProve(const Expr& condition) {
  TW_CHECK(condition.dtype().is_bool(), "a condition of type {}", condition.dtype().ToString());
  const Expr c = impl_->Visit(condition);
  if (auto* vector = c.As<BroadcastNode>()) return IsInt(vector->value, 1);
  return IsInt(c, 1);
}

bool Analyzer::CanProveEqual(const Expr& a, const Expr& b) {
  if (a.dtype() != b.dtype()) return false;
  const Expr x = impl_->Visit(a), y = impl_->Visit(b);
  if (x == y) return true;
  return a.dtype() == DataType::Index() && IsInt(impl_->Binary(BinaryOp::kEq, x, y), 1);
}

Interval Analyzer::ConstBound(const Expr& e) {
  TW_CHECK(e.dtype().is_scalar() && (e.dtype().is_integer() || e.dtype().is_bool()), "bounds of type {}",
           e.dtype().ToString());
  const Expr c = impl_->Visit(e);
  if (c.dtype() != DataType::Index()) return impl_->Bound(c);
  try {
    return impl_->BoundByFacts(impl_->ToSum(c));
  } catch (const SumOverflow&) {
    return impl_->Bound(c);
  }
}

Modular Analyzer::ModularOf(const Expr& e) {
  TW_CHECK(e.dtype().is_scalar() && e.dtype().is_integer(), "residue of type {}", e.dtype().ToString());
  return impl_->ModularOf(impl_->Visit(e));
}

}  // namespace tilewright
