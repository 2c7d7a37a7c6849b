// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/scope.h"

#include <algorithm>

namespace tilewright::llvm_codegen {

void ScopeStack::Push() {
  // A freeze of a constant stands for nothing and is erased in the end; the builder would fold it away.
  auto* anchor = new llvm::FreezeInst(llvm::PoisonValue::get(b_.getInt1Ty()));
  b_.Insert(anchor, "anchor");
  anchors_.push_back(anchor);
  scopes_.push_back({anchor, {}, {}});
}

void ScopeStack::PopTo(size_t depth) {
  while (scopes_.size() > depth) {
    auto& shadowed = scopes_.back().shadowed;
    for (auto it = shadowed.rbegin(); it != shadowed.rend(); ++it) {
      if (it->second) {
        bindings_[it->first] = std::move(*it->second);
      } else {
        bindings_.erase(it->first);
      }
    }
    scopes_.pop_back();
  }
}

void ScopeStack::Bind(const Var& var, ScopedValue binding) {
  const VarNode* node = var.operator->();
  auto it = bindings_.find(node);
  scopes_.back().shadowed.emplace_back(node,
                                       it == bindings_.end() ? std::nullopt : std::optional(it->second));
  binding.scope = current();
  bindings_[node] = std::move(binding);
}

const ScopedValue* ScopeStack::Find(const VarNode* var) const {
  auto it = bindings_.find(var);
  return it == bindings_.end() ? nullptr : &it->second;
}

const ScopedValue& ScopeStack::Get(const VarNode* var) const {
  const ScopedValue* binding = Find(var);
  TW_CHECK(binding, "variable {} is used where it is not defined", var->name);
  return *binding;
}

namespace {

int64_t WrappingMul(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
int64_t WrappingAdd(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }

void AddTerm(AddressForm& form, const Expr& term, int64_t coefficient) {
  for (auto& [e, c] : form.terms) {
    if (e == term || (e.kind() != ExprKind::kVar && StructuralEqual(e, term))) {
      c = WrappingAdd(c, coefficient);
      return;
    }
  }
  form.terms.emplace_back(term, coefficient);
}

}  // namespace

void ScopeStack::AddLinear(const Expr& e, int64_t scale, AddressForm& out) const {
  if (auto value = AsInt(e)) {
    out.constant = WrappingAdd(out.constant, WrappingMul(*value, scale));
    return;
  }
  if (auto* var = e.As<VarNode>()) {
    const ScopedValue& binding = Get(var);
    if (!binding.linear) return AddTerm(out, e, scale);
    for (const auto& [term, c] : binding.linear->terms) AddTerm(out, term, WrappingMul(c, scale));
    out.constant = WrappingAdd(out.constant, WrappingMul(binding.linear->constant, scale));
    return;
  }
  if (auto* binary = e.As<BinaryNode>(); binary && e.dtype() == DataType::Index()) {
    if (binary->op == BinaryOp::kAdd || binary->op == BinaryOp::kSub) {
      AddLinear(binary->a, scale, out);
      return AddLinear(binary->b, binary->op == BinaryOp::kAdd ? scale : -scale, out);
    }
    if (binary->op == BinaryOp::kMul) {
      if (auto c = AsInt(binary->b)) return AddLinear(binary->a, WrappingMul(*c, scale), out);
      if (auto c = AsInt(binary->a)) return AddLinear(binary->b, WrappingMul(*c, scale), out);
    }
  }
  AddTerm(out, e, scale);
}

AddressForm ScopeStack::Linearize(const Expr& index) const {
  AddressForm form;
  AddLinear(index, 1, form);
  std::erase_if(form.terms, [](const auto& t) { return t.second == 0; });
  return form;
}

bool ScopeStack::IsHoistable(const Expr& e) const {
  switch (e.kind()) {
    case ExprKind::kVar:  // others may be bound after the scope's anchor
      return e.dtype().is_integer() || e.dtype().is_bool();
    case ExprKind::kIntImm:
      return true;
    case ExprKind::kBinary: {
      auto* n = e.As<BinaryNode>();
      return IsHoistable(n->a) && IsHoistable(n->b);
    }
    case ExprKind::kCast:
      return IsHoistable(e.As<CastNode>()->value);
    case ExprKind::kNot:
      return IsHoistable(e.As<NotNode>()->value);
    case ExprKind::kSelect: {
      auto* n = e.As<SelectNode>();
      return IsHoistable(n->condition) && IsHoistable(n->true_value) && IsHoistable(n->false_value);
    }
    default:
      return false;
  }
}

int ScopeStack::MaxLevel(const Expr& e) const {
  int level = 0;
  PreOrder(e, [&](const Expr& x) {
    if (auto* var = x.As<VarNode>()) level = std::max(level, Get(var).scope);
    return true;
  });
  return level;
}

int ScopeStack::LevelOf(const Expr& e) const { return IsHoistable(e) ? MaxLevel(e) : -1; }

bool ScopeStack::IsNonNegative(const Expr& e) const {
  if (e.dtype().is_uint()) return true;
  if (auto value = AsInt(e)) return *value >= 0;
  if (auto* var = e.As<VarNode>()) {
    const ScopedValue* binding = Find(var);
    return var->min >= 0 || (binding && binding->nonnegative);
  }
  if (auto* n = e.As<BinaryNode>()) {
    switch (n->op) {
      case BinaryOp::kAdd:
      case BinaryOp::kMul:
      case BinaryOp::kMin:
      case BinaryOp::kFloorDiv:
      case BinaryOp::kTruncDiv:
        return IsNonNegative(n->a) && IsNonNegative(n->b);
      case BinaryOp::kMax:
        return IsNonNegative(n->a) || IsNonNegative(n->b);
      case BinaryOp::kFloorMod:
        return IsNonNegative(n->b);
      case BinaryOp::kTruncMod:
        return IsNonNegative(n->a);
      default:
        return false;
    }
  }
  if (auto* n = e.As<SelectNode>()) return IsNonNegative(n->true_value) && IsNonNegative(n->false_value);
  if (auto* n = e.As<CastNode>()) {
    return e.dtype().bits > n->value.dtype().bits && n->value.dtype().is_integer() && IsNonNegative(n->value);
  }
  return false;
}

void ScopeStack::EraseAnchors() {
  for (llvm::Instruction* anchor : anchors_) anchor->eraseFromParent();
  anchors_.clear();
}

uint64_t HashTerms(const BufferNode* buffer, const std::vector<std::pair<Expr, int64_t>>& terms) {
  uint64_t hash = std::hash<const void*>()(buffer);
  for (const auto& [term, c] : terms) {
    const uint64_t t =
        term.kind() == ExprKind::kVar ? std::hash<const void*>()(term.get()) : StructuralHash(term);
    hash = (hash ^ (t + uint64_t(c) * 0x9e3779b97f4a7c15u)) * 0x100000001b3u;
  }
  return hash;
}

bool SameTerms(const std::vector<std::pair<Expr, int64_t>>& a,
               const std::vector<std::pair<Expr, int64_t>>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
    return x.second == y.second && (x.first == y.first || StructuralEqual(x.first, y.first));
  });
}

}  // namespace tilewright::llvm_codegen
