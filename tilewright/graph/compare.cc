// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/compare.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/tir/compare.h"

namespace tilewright {

namespace {

/// Compares functions side by side; values and symbols correspond by where they first stand.
class GraphComparer {
 public:
  bool Same(const GraphFunctionNode& a, const GraphFunctionNode& b) {
    if (a.name != b.name || a.result_names != b.result_names || a.params.size() != b.params.size())
      return false;
    for (size_t i = 0; i < a.params.size(); ++i) {
      if (OuterName(a.params[i]) != OuterName(b.params[i])) return false;
    }
    return Declare(a.params, b.params) && Same(a.attrs, b.attrs) && Same(a.body, b.body);
  }

 private:
  static const std::string& OuterName(const Value& v) { return v->origin.empty() ? v.name() : v->origin; }

  bool SameSymbol(const Var& a, const Var& b) {
    auto [left, fresh_left] = symbols_.try_emplace(a, b);
    auto [right, fresh_right] = backward_.try_emplace(b.get(), a.get());
    if (fresh_left != fresh_right) return false;
    if (!fresh_left) return left->second.get() == b.get() && right->second == a.get();
    return a.dtype() == b.dtype() && a->min == b->min && a->max == b->max && a->multiple == b->multiple;
  }

  bool Same(const Expr& a, const Expr& b) {
    if (!a || !b) return !a && !b;
    const std::vector<Var> left = FreeVars(a), right = FreeVars(b);
    if (left.size() != right.size()) return false;
    for (size_t i = 0; i < left.size(); ++i) {
      if (!SameSymbol(left[i], right[i])) return false;
    }
    return StructuralEqual(Substitute(a, symbols_), b);
  }

  bool Same(const std::vector<Expr>& a, const std::vector<Expr>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](const Expr& x, const Expr& y) { return Same(x, y); });
  }

  bool Same(const Annotations& a, const Annotations& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](auto& x, auto& y) {
      if (x.first != y.first || x.second.index() != y.second.index()) return false;
      if (auto* e = std::get_if<Expr>(&x.second)) return Same(*e, std::get<Expr>(y.second));
      if (auto* list = std::get_if<std::vector<Expr>>(&x.second))
        return Same(*list, std::get<std::vector<Expr>>(y.second));
      return AttrEqual(x.second, y.second);
    });
  }

  bool Same(const Type& a, const Type& b) {
    if (a.index() != b.index()) return false;
    if (auto* x = a.tensor()) {
      auto* y = b.tensor();
      return x->dtype == y->dtype && x->layout == y->layout && x->device == y->device &&
             x->scope == y->scope && Same(x->shape, y->shape);
    }
    if (auto* x = std::get_if<SequenceType>(&a)) return Same(*x->element, *std::get<SequenceType>(b).element);
    if (auto* x = std::get_if<OptionalType>(&a)) return Same(*x->element, *std::get<OptionalType>(b).element);
    const auto &x = std::get<TupleType>(a).fields, &y = std::get<TupleType>(b).fields;
    return std::equal(x.begin(), x.end(), y.begin(), y.end(),
                      [&](const Type& p, const Type& q) { return Same(p, q); });
  }

  bool Declare(const std::vector<Value>& a, const std::vector<Value>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](const Value& x, const Value& y) {
      values_[x.get()] = y.get();
      return Same(x->type, y->type);
    });
  }

  bool Same(const Value& a, const Value& b) {
    if (!a || !b) return !a && !b;
    auto it = values_.find(a.get());
    return it != values_.end() && it->second == b.get();
  }

  bool Same(const std::vector<Value>& a, const std::vector<Value>& b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](const Value& x, const Value& y) { return Same(x, y); });
  }

  bool Same(const GraphBlock& a, const GraphBlock& b) {
    if (!Declare(a.params, b.params)) return false;
    const bool same_bindings =
        std::equal(a.bindings.begin(), a.bindings.end(), b.bindings.begin(), b.bindings.end(),
                   [&](const Binding& x, const Binding& y) {
                     return Same(x.operation, y.operation) && Declare(x.results, y.results);
                   });
    return same_bindings && Same(a.results, b.results);
  }

  bool Same(const Operation& a, const Operation& b) {
    if (a.kind() != b.kind()) return false;
    return Dispatch(a, [&]<class Node>(const Node& n) { return SameNode(n, *b.As<Node>()); });
  }

  bool SameNode(const OpCallNode& a, const OpCallNode& b) {
    return a.op == b.op && Same(a.args, b.args) && Same(a.attrs.ToMap(), b.attrs.ToMap());
  }
  bool SameNode(const FunctionCallNode& a, const FunctionCallNode& b) {
    return a.callee == b.callee && Same(a.args, b.args);
  }
  bool SameNode(const HostCallNode& a, const HostCallNode& b) {
    return a.routine == b.routine && Same(a.args, b.args) && Same(a.attrs.ToMap(), b.attrs.ToMap());
  }
  bool SameNode(const ConstantNode& a, const ConstantNode& b) { return a.data == b.data; }
  bool SameNode(const GraphIfNode& a, const GraphIfNode& b) {
    return Same(a.condition, b.condition) && Same(a.then_block, b.then_block) &&
           Same(a.else_block, b.else_block);
  }
  bool SameNode(const GraphLoopNode& a, const GraphLoopNode& b) {
    return Same(a.trip_count, b.trip_count) && Same(a.condition, b.condition) && Same(a.carried, b.carried) &&
           Same(a.body, b.body);
  }

  std::unordered_map<const ValueNode*, const ValueNode*> values_;
  VarMap symbols_;
  std::unordered_map<const Object*, const Object*> backward_;
};

}  // namespace

bool StructuralEqual(const GraphFunction& a, const GraphFunction& b) { return GraphComparer().Same(*a, *b); }

bool StructuralEqual(const IRModule& a, const IRModule& b) {
  GraphComparer graphs;
  return std::equal(a.functions().begin(), a.functions().end(), b.functions().begin(), b.functions().end(),
                    [&](auto& x, auto& y) {
                      const Function &f = x.second, &g = y.second;
                      if (f->kind != g->kind || f->name != g->name) return false;
                      if (f->kind == FunctionKind::kPrim) {
                        return StructuralEqual(PrimFunc(static_cast<const PrimFuncNode*>(f.get())),
                                               PrimFunc(static_cast<const PrimFuncNode*>(g.get())));
                      }
                      return graphs.Same(static_cast<const GraphFunctionNode&>(*f),
                                         static_cast<const GraphFunctionNode&>(*g));
                    });
}

}  // namespace tilewright
