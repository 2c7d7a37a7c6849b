// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/intern.h"

#include <bit>

namespace tilewright {

namespace {

size_t Mix(size_t h, size_t v) { return (h ^ v) * 0x9E3779B97F4A7C15ull + (h >> 29); }

/// What a node holds beside its operands, as a number; 0 where that is nothing.
size_t Payload(const Expr& e) {
  switch (e.kind()) {
    case ExprKind::kVar:
      return reinterpret_cast<size_t>(e.get());
    case ExprKind::kIntImm:
      return size_t(e.As<IntImmNode>()->value);
    case ExprKind::kFloatImm:
      return std::bit_cast<size_t>(e.As<FloatImmNode>()->value);
    case ExprKind::kStringImm:
      return std::hash<std::string>()(e.As<StringImmNode>()->value);
    case ExprKind::kBinary:
      return size_t(e.As<BinaryNode>()->op);
    case ExprKind::kLet:
      return reinterpret_cast<size_t>(e.As<LetNode>()->var.get());
    case ExprKind::kCall: {
      // Two evaluations of an impure call may differ, so each node stands for itself.
      const auto* call = e.As<CallNode>();
      return GetIntrinsicInfo(call->op).pure ? size_t(call->op) : reinterpret_cast<size_t>(call);
    }
    case ExprKind::kLoad:
      return reinterpret_cast<size_t>(e.As<LoadNode>()->buffer.get());
    case ExprKind::kShuffle: {
      size_t h = 0;
      for (int lane : e.As<ShuffleNode>()->lanes) h = Mix(h, size_t(lane));
      return h;
    }
    default:
      return 0;
  }
}

/// Up to three operands without a heap allocation; the general case goes through ForEachChild.
void Children(const Expr& e, std::vector<const ExprNode*>& out) {
  out.clear();
  if (auto* n = e.As<BinaryNode>()) {
    out.assign({n->a.get(), n->b.get()});
  } else {
    ForEachChild(e, [&](const Expr& child) { out.push_back(child.get()); });
  }
}

/// The leftmost leaf.
const ExprNode* Leading(const ExprNode* e) {
  for (;;) {
    const ExprNode* first = nullptr;
    if (e->kind == ExprKind::kBinary) {
      first = static_cast<const BinaryNode*>(e)->a.get();
    } else if (e->kind != ExprKind::kVar && e->kind != ExprKind::kIntImm) {
      ForEachChild(Expr(e), [&](const Expr& child) { first = first ? first : child.get(); });
    }
    if (!first) return e;
    e = first;
  }
}

}  // namespace

size_t ExprInterner::Hash::operator()(const Expr& e) const {
  const DataType t = e.dtype();
  size_t h = Mix(size_t(e.kind()) + 1,
                 size_t(t.code) << 32 | size_t(t.bits) << 24 | size_t(t.scalable) << 16 | t.lanes);
  h = Mix(h, Payload(e));
  if (auto* n = e.As<BinaryNode>()) {
    return Mix(Mix(h, reinterpret_cast<size_t>(n->a.get())), reinterpret_cast<size_t>(n->b.get()));
  }
  if (e.kind() == ExprKind::kVar || e.kind() == ExprKind::kIntImm) return h;
  ForEachChild(e, [&](const Expr& child) { h = Mix(h, reinterpret_cast<size_t>(child.get())); });
  return h;
}

bool ExprInterner::Equal::operator()(const Expr& a, const Expr& b) const {
  if (a.get() == b.get()) return true;
  if (a.kind() != b.kind() || a.dtype() != b.dtype() || Payload(a) != Payload(b)) return false;
  switch (a.kind()) {
    case ExprKind::kVar:
      return false;
    case ExprKind::kIntImm:
    case ExprKind::kFloatImm:
      return true;
    case ExprKind::kBinary:
      return a.As<BinaryNode>()->a == b.As<BinaryNode>()->a && a.As<BinaryNode>()->b == b.As<BinaryNode>()->b;
    case ExprKind::kStringImm:
      return a.As<StringImmNode>()->value == b.As<StringImmNode>()->value;
    case ExprKind::kShuffle:
      if (a.As<ShuffleNode>()->lanes != b.As<ShuffleNode>()->lanes) return false;
      break;
    case ExprKind::kLoad:
      // A missing predicate is no operand; a load with one has one more.
      if (!a.As<LoadNode>()->predicate.get() != !b.As<LoadNode>()->predicate.get()) return false;
      break;
    default:
      break;
  }
  std::vector<const ExprNode*> x, y;
  Children(a, x);
  Children(b, y);
  return x == y;
}

Expr ExprInterner::Intern(const Expr& e) {
  if (auto* var = e.As<VarNode>()) Touch(var);
  return nodes_.try_emplace(e, uint32_t(nodes_.size())).first->first;
}

size_t ExprInterner::RankOf(const ExprNode* var) {
  return var_rank_.try_emplace(var, var_rank_.size()).first->second;
}

int ExprInterner::Compare(const ExprNode* a, const ExprNode* b) {
  auto order = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : 0; };
  if (a == b) return 0;
  const ExprNode *p = Leading(a), *q = Leading(b);
  if (p->kind != q->kind) return order(p->kind, q->kind);
  if (p != q && p->kind == ExprKind::kVar) return order(RankOf(p), RankOf(q));
  if (a->kind != b->kind) return order(a->kind, b->kind);
  const Expr x(a), y(b);
  if (a->kind == ExprKind::kIntImm || a->kind == ExprKind::kBinary) {
    const auto p = a->kind == ExprKind::kIntImm ? x.As<IntImmNode>()->value : int64_t(x.As<BinaryNode>()->op);
    const auto q = b->kind == ExprKind::kIntImm ? y.As<IntImmNode>()->value : int64_t(y.As<BinaryNode>()->op);
    if (p != q) return order(p, q);
  }
  std::vector<const ExprNode*> s, t;
  Children(x, s);
  Children(y, t);
  for (size_t i = 0; i < s.size() && i < t.size(); ++i) {
    if (int c = Compare(s[i], t[i])) return c;
  }
  if (s.size() != t.size()) return order(s.size(), t.size());
  return order(nodes_[x], nodes_[y]);
}

}  // namespace tilewright
