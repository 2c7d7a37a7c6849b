// SPDX-License-Identifier: Apache-2.0
// Traversal, rewriting and structural comparison of expressions.
#include <bit>

#include "tilewright/ir/expr.h"

namespace tilewright {

void ForEachChild(const Expr& e, const std::function<void(const Expr&)>& f) {
  auto all = [&](const std::vector<Expr>& list) {
    for (const Expr& x : list) f(x);
  };
  Dispatch(e, Overloaded{
                  [&](const VarNode&) {},
                  [&](const IntImmNode&) {},
                  [&](const FloatImmNode&) {},
                  [&](const StringImmNode&) {},
                  [&](const CastNode& n) { f(n.value); },
                  [&](const BinaryNode& n) { f(n.a), f(n.b); },
                  [&](const NotNode& n) { f(n.value); },
                  [&](const SelectNode& n) { f(n.condition), f(n.true_value), f(n.false_value); },
                  [&](const IfThenElseNode& n) { f(n.condition), f(n.true_value), f(n.false_value); },
                  [&](const LetNode& n) { f(n.value), f(n.body); },
                  [&](const CallNode& n) { all(n.args); },
                  [&](const LoadNode& n) {
                    all(n.indices);
                    if (n.predicate) f(n.predicate);
                  },
                  [&](const RampNode& n) { f(n.base), f(n.stride); },
                  [&](const BroadcastNode& n) { f(n.value); },
                  [&](const ShuffleNode& n) { all(n.vectors); },
              });
}

namespace {

/// Maps a list; true when an element changed.
bool MapList(const std::vector<Expr>& in, const std::function<Expr(const Expr&)>& f, std::vector<Expr>& out) {
  bool changed = false;
  out.reserve(in.size());
  for (const Expr& x : in) {
    out.push_back(f(x));
    changed |= !(out.back().get() == x.get());
  }
  return changed;
}

bool Same(const Expr& a, const Expr& b) { return a.get() == b.get(); }

template <class Node>
Expr MapChoice(const Expr& e, const Node& n, const std::function<Expr(const Expr&)>& f,
               Expr (*make)(Expr, Expr, Expr)) {
  Expr c = f(n.condition), t = f(n.true_value), u = f(n.false_value);
  return Same(c, n.condition) && Same(t, n.true_value) && Same(u, n.false_value) ? e : make(c, t, u);
}

}  // namespace

Expr MapChildren(const Expr& e, const std::function<Expr(const Expr&)>& f) {
  return Dispatch(e, Overloaded{
                         [&](const VarNode&) { return e; },
                         [&](const IntImmNode&) { return e; },
                         [&](const FloatImmNode&) { return e; },
                         [&](const StringImmNode&) { return e; },
                         [&](const CastNode& n) {
                           Expr v = f(n.value);
                           return Same(v, n.value) ? e : MakeCast(n.dtype.WithLanes(v.dtype().lanes), v);
                         },
                         [&](const BinaryNode& n) {
                           Expr a = f(n.a), b = f(n.b);
                           return Same(a, n.a) && Same(b, n.b) ? e : MakeBinary(n.op, a, b);
                         },
                         [&](const NotNode& n) {
                           Expr v = f(n.value);
                           return Same(v, n.value) ? e : MakeNot(v);
                         },
                         [&](const SelectNode& n) { return MapChoice(e, n, f, &MakeSelect); },
                         [&](const IfThenElseNode& n) { return MapChoice(e, n, f, &MakeIfThenElse); },
                         [&](const LetNode& n) {
                           Expr v = f(n.value), b = f(n.body);
                           return Same(v, n.value) && Same(b, n.body) ? e : MakeLet(n.var, v, b);
                         },
                         [&](const CallNode& n) {
                           std::vector<Expr> args;
                           return MapList(n.args, f, args) ? MakeCall(n.dtype, n.op, std::move(args)) : e;
                         },
                         [&](const LoadNode& n) {
                           std::vector<Expr> indices;
                           bool changed = MapList(n.indices, f, indices);
                           Expr p = n.predicate ? f(n.predicate) : nullptr;
                           changed |= !Same(p, n.predicate);
                           return changed ? MakeLoad(n.buffer, std::move(indices), p) : e;
                         },
                         [&](const RampNode& n) {
                           Expr b = f(n.base), s = f(n.stride);
                           return Same(b, n.base) && Same(s, n.stride) ? e : MakeRamp(b, s, n.dtype.lanes);
                         },
                         [&](const BroadcastNode& n) {
                           Expr v = f(n.value);
                           return Same(v, n.value) ? e : MakeBroadcast(v, n.dtype.lanes);
                         },
                         [&](const ShuffleNode& n) {
                           std::vector<Expr> vectors;
                           return MapList(n.vectors, f, vectors) ? MakeShuffle(std::move(vectors), n.lanes)
                                                                 : e;
                         },
                     });
}

void PreOrder(const Expr& e, const std::function<bool(const Expr&)>& f) {
  if (!f(e)) return;
  ForEachChild(e, [&](const Expr& child) { PreOrder(child, f); });
}

Expr PostOrderRewrite(const Expr& e, const std::function<Expr(const Expr&)>& f) {
  return f(MapChildren(e, [&](const Expr& child) { return PostOrderRewrite(child, f); }));
}

Expr Substitute(const Expr& e, const VarMap& map) {
  if (map.empty()) return e;
  if (e.kind() == ExprKind::kVar) {
    auto it = map.find(Var(static_cast<const VarNode*>(e.get())));
    return it == map.end() ? e : it->second;
  }
  return MapChildren(e, [&](const Expr& child) { return Substitute(child, map); });
}

bool UsesVar(const Expr& e, const Var& var) {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    found |= x.get() == var.get();
    return !found;
  });
  return found;
}

std::vector<Var> FreeVars(const Expr& e) {
  std::vector<Var> result;
  std::unordered_set<const ExprNode*> seen, bound;
  // Let-bound variables are unique nodes, so an order-insensitive set of them is enough.
  PreOrder(e, [&](const Expr& x) {
    if (auto* let = x.As<LetNode>()) bound.insert(let->var.get());
    return true;
  });
  PreOrder(e, [&](const Expr& x) {
    if (auto* var = x.As<VarNode>(); var && !bound.contains(var) && seen.insert(var).second) {
      result.push_back(Var(var));
    }
    return true;
  });
  return result;
}

namespace {

using Bound = std::unordered_map<const ExprNode*, const ExprNode*>;

bool EqualRec(const Expr& a, const Expr& b, Bound& bound);

bool EqualList(const std::vector<Expr>& a, const std::vector<Expr>& b, Bound& bound) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!EqualRec(a[i], b[i], bound)) return false;
  }
  return true;
}

template <class Node>
bool EqualChoice(const Node& x, const Node& y, Bound& bound) {
  return EqualRec(x.condition, y.condition, bound) && EqualRec(x.true_value, y.true_value, bound) &&
         EqualRec(x.false_value, y.false_value, bound);
}

bool EqualRec(const Expr& a, const Expr& b, Bound& bound) {
  if (!a || !b) return !a && !b;
  if (a.get() == b.get() && bound.empty()) return true;
  if (a.kind() != b.kind() || a.dtype() != b.dtype()) return false;
  return Dispatch(
      a, Overloaded{
             [&](const VarNode& x) {
               auto it = bound.find(&x);
               return it == bound.end() ? &x == b.get() : it->second == b.get();
             },
             [&](const IntImmNode& x) { return x.value == b.As<IntImmNode>()->value; },
             // By bit pattern: -0.0 differs from 0.0, and a NaN equals itself.
             [&](const FloatImmNode& x) {
               return std::bit_cast<uint64_t>(x.value) ==
                      std::bit_cast<uint64_t>(b.As<FloatImmNode>()->value);
             },
             [&](const StringImmNode& x) { return x.value == b.As<StringImmNode>()->value; },
             [&](const CastNode& x) { return EqualRec(x.value, b.As<CastNode>()->value, bound); },
             [&](const BinaryNode& x) {
               auto& y = *b.As<BinaryNode>();
               return x.op == y.op && EqualRec(x.a, y.a, bound) && EqualRec(x.b, y.b, bound);
             },
             [&](const NotNode& x) { return EqualRec(x.value, b.As<NotNode>()->value, bound); },
             [&](const SelectNode& x) { return EqualChoice(x, *b.As<SelectNode>(), bound); },
             [&](const IfThenElseNode& x) { return EqualChoice(x, *b.As<IfThenElseNode>(), bound); },
             [&](const LetNode& x) {
               auto& y = *b.As<LetNode>();
               if (!EqualRec(x.value, y.value, bound)) return false;
               bound[x.var.get()] = y.var.get();
               bool equal = EqualRec(x.body, y.body, bound);
               bound.erase(x.var.get());
               return equal;
             },
             [&](const CallNode& x) {
               auto& y = *b.As<CallNode>();
               return x.op == y.op && EqualList(x.args, y.args, bound);
             },
             [&](const LoadNode& x) {
               auto& y = *b.As<LoadNode>();
               return x.buffer == y.buffer && EqualList(x.indices, y.indices, bound) &&
                      EqualRec(x.predicate, y.predicate, bound);
             },
             [&](const RampNode& x) {
               auto& y = *b.As<RampNode>();
               return EqualRec(x.base, y.base, bound) && EqualRec(x.stride, y.stride, bound);
             },
             [&](const BroadcastNode& x) { return EqualRec(x.value, b.As<BroadcastNode>()->value, bound); },
             [&](const ShuffleNode& x) {
               auto& y = *b.As<ShuffleNode>();
               return x.lanes == y.lanes && EqualList(x.vectors, y.vectors, bound);
             },
         });
}

uint64_t Mix(uint64_t h, uint64_t v) { return (h ^ v) * 0x9E3779B97F4A7C15ull + (h >> 29); }

}  // namespace

bool StructuralEqual(const Expr& a, const Expr& b) {
  Bound bound;
  return EqualRec(a, b, bound);
}

uint64_t StructuralHash(const Expr& e) {
  if (!e) return 0;
  uint64_t h =
      Mix(uint64_t(e.kind()) + 1, uint64_t(e.dtype().code) << 32 | e.dtype().bits << 16 | e.dtype().lanes);
  if (auto* n = e.As<IntImmNode>()) h = Mix(h, uint64_t(n->value));
  if (auto* n = e.As<FloatImmNode>()) h = Mix(h, std::bit_cast<uint64_t>(n->value));
  if (auto* n = e.As<StringImmNode>()) h = Mix(h, std::hash<std::string>()(n->value));
  if (auto* n = e.As<BinaryNode>()) h = Mix(h, uint64_t(n->op));
  if (auto* n = e.As<CallNode>()) h = Mix(h, uint64_t(n->op));
  if (auto* n = e.As<LoadNode>()) h = Mix(h, reinterpret_cast<uintptr_t>(n->buffer.get()));
  // Variables hash alike: a let-bound one has no identity.
  ForEachChild(e, [&](const Expr& child) { h = Mix(h, StructuralHash(child)); });
  return h;
}

}  // namespace tilewright
