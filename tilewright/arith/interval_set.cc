// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/interval_set.h"

#include <algorithm>

namespace tilewright {

namespace {

bool DividesByUnknown(const Expr& e) {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    auto* n = x.As<BinaryNode>();
    const bool divides = n && (n->op == BinaryOp::kFloorDiv || n->op == BinaryOp::kFloorMod ||
                               n->op == BinaryOp::kTruncDiv || n->op == BinaryOp::kTruncMod);
    found |= divides && (!AsInt(n->b) || IsInt(n->b, 0));
    return !found;
  });
  return found;
}

/// Bounds an expression over `offsets`: variables that stand for var - min and run over [0, extent).
class RangeEvaluator {
 public:
  RangeEvaluator(const VarRanges& ranges, Analyzer& analyzer) : ranges_(ranges), analyzer_(analyzer) {}

  IndexInterval Eval(const Expr& e) {
    // In the order of occurrence, so that the result does not depend on the order of addresses.
    for (const Var& var : FreeVars(e)) {
      if (auto it = ranges_.find(var); it != ranges_.end() && !shift_.contains(var)) AddVar(var, it->second);
    }
    const Expr shifted = analyzer_.Simplify(Substitute(e, shift_));
    return WithConstants(shifted, Bound(shifted));
  }

 private:
  // var = min + offset: the symbolic part of a range's start then takes part in simplification, so that
  // (8*io + offset) // 8 becomes io.
  void AddVar(const Var& var, const Range& range) {
    const Expr extent = analyzer_.Simplify(range.extent);
    const Interval bound = analyzer_.ConstBound(extent);
    if (bound.max <= 1) {
      shift_[var] = range.min;
      return;
    }
    const int64_t max = bound.max == INT64_MAX ? INT64_MAX : bound.max - 1;
    const Var offset = Var::Symbol(var.name(), 0, max);
    if (!AsInt(extent)) analyzer_.Bind(offset, Range{0, extent});
    offsets_[offset.get()] = analyzer_.Simplify(extent - 1);
    shift_[var] = range.min + offset;
  }

  bool Moves(const Expr& e) {
    bool found = false;
    PreOrder(e, [&](const Expr& x) {
      found |= offsets_.contains(x.get());
      return !found;
    });
    return found;
  }

  /// A constant bound against a symbolic one: the constant where it is provably at least as tight.
  Expr Tighter(const Expr& symbolic, int64_t constant, bool lower) {
    if (!symbolic) return constant;
    return analyzer_.CanProve(lower ? symbolic <= constant : symbolic >= constant) ? Expr(constant)
                                                                                   : symbolic;
  }

  IndexInterval WithConstants(const Expr& e, IndexInterval r) {
    const Interval constant = analyzer_.ConstBound(e);
    if (constant.min != INT64_MIN) r.min = Tighter(r.min, constant.min, true);
    if (constant.max != INT64_MAX) r.max = Tighter(r.max, constant.max, false);
    return r;
  }

  IndexInterval Choice(const Expr& e, const Expr& condition, const Expr& t, const Expr& f) {
    // The bound is evaluated whichever side is chosen, so it must not divide by what only that side knows.
    auto under = [&](const Expr& c, const Expr& side) {
      if (DividesByUnknown(side)) return Constant(e);
      const Constraint scope = analyzer_.Assume(c);
      return WithConstants(side, Bound(side));
    };
    if (!condition.dtype().is_scalar()) return Union(Bound(t), Bound(f), analyzer_);
    return Union(under(condition, t), under(MakeNot(condition), f), analyzer_);
  }

  IndexInterval Constant(const Expr& e) {
    const Interval i = analyzer_.ConstBound(e);
    IndexInterval r;
    if (i.min != INT64_MIN) r.min = i.min;
    if (i.max != INT64_MAX) r.max = i.max;
    return r;
  }

  Expr Simple(const Expr& e) { return e ? analyzer_.Simplify(e) : e; }

  /// f applied to both ends, for f that is monotone.
  template <class F>
  IndexInterval Ends(const IndexInterval& x, F f) {
    IndexInterval r;
    if (x.min) r.min = Simple(f(x.min));
    if (x.max) r.max = Simple(f(x.max));
    return r;
  }

  IndexInterval Negate(const IndexInterval& x) {
    const IndexInterval r = Ends(x, [](const Expr& end) { return 0 - end; });
    return {r.max, r.min};
  }

  IndexInterval Add(const IndexInterval& a, const IndexInterval& b) {
    IndexInterval r;
    if (a.min.get() && b.min.get()) r.min = Simple(a.min + b.min);
    if (a.max.get() && b.max.get()) r.max = Simple(a.max + b.max);
    return r;
  }

  IndexInterval Product(const Expr& e, const Expr& moving, const Expr& fixed) {
    const IndexInterval x = Bound(moving);
    const bool up = analyzer_.CanProve(fixed >= 0);
    if (!up && !analyzer_.CanProve(fixed <= 0)) return Constant(e);
    const IndexInterval r = Ends(x, [&](const Expr& end) { return end * fixed; });
    return up ? r : IndexInterval{r.max, r.min};
  }

  IndexInterval Quotient(const BinaryNode& n, const Expr& e) {
    if (Moves(n.b) || !analyzer_.CanProve(n.b > 0)) return Constant(e);
    return Ends(Bound(n.a), [&](const Expr& end) { return FloorDiv(end, n.b); });
  }

  IndexInterval Remainder(const BinaryNode& n, const Expr& e) {
    if (Moves(n.b) || !analyzer_.CanProve(n.b > 0)) return Constant(e);
    const IndexInterval x = Bound(n.a);
    if (x.bounded() && analyzer_.CanProveEqual(FloorDiv(x.min, n.b), FloorDiv(x.max, n.b))) {
      return Ends(x, [&](const Expr& end) { return FloorMod(end, n.b); });
    }
    return {0, Simple(n.b - 1)};
  }

  IndexInterval Bound(const Expr& e) {
    if (!Moves(e)) return {e, e};
    if (auto it = offsets_.find(e.get()); it != offsets_.end()) return {0, it->second};
    if (auto* n = e.As<SelectNode>()) return Choice(e, n->condition, n->true_value, n->false_value);
    if (auto* n = e.As<IfThenElseNode>()) return Choice(e, n->condition, n->true_value, n->false_value);
    auto* n = e.As<BinaryNode>();
    if (!n || e.dtype() != DataType::Index()) return Constant(e);
    switch (n->op) {
      case BinaryOp::kAdd:
        return Add(Bound(n->a), Bound(n->b));
      case BinaryOp::kSub:
        return Add(Bound(n->a), Negate(Bound(n->b)));
      case BinaryOp::kMul:
        if (!Moves(n->b)) return Product(e, n->a, n->b);
        if (!Moves(n->a)) return Product(e, n->b, n->a);
        return Constant(e);
      case BinaryOp::kFloorDiv:
        return Quotient(*n, e);
      case BinaryOp::kFloorMod:
        return Remainder(*n, e);
      case BinaryOp::kMin:
      case BinaryOp::kMax: {
        const IndexInterval a = Bound(n->a), b = Bound(n->b);
        auto both = [&](const Expr& x, const Expr& y) {
          // One unbounded operand leaves the other as the bound only on the side towards it.
          return x.get() && y.get() ? Simple(MakeBinary(n->op, x, y)) : Expr(nullptr);
        };
        IndexInterval r{both(a.min, b.min), both(a.max, b.max)};
        if (n->op == BinaryOp::kMin && !r.max) r.max = a.max ? a.max : b.max;
        if (n->op == BinaryOp::kMax && !r.min) r.min = a.min ? a.min : b.min;
        return r;
      }
      default:
        return Constant(e);
    }
  }

  const VarRanges& ranges_;
  Analyzer& analyzer_;
  VarMap shift_;
  std::map<const ExprNode*, Expr> offsets_;  ///< with the largest value
};

}  // namespace

IndexInterval EvalRange(const Expr& e, const VarRanges& ranges, Analyzer& analyzer) {
  return RangeEvaluator(ranges, analyzer).Eval(e);
}

std::vector<IndexInterval> EvalRegion(std::span<const Expr> indices, const VarRanges& ranges,
                                      Analyzer& analyzer) {
  RangeEvaluator evaluator(ranges, analyzer);
  std::vector<IndexInterval> r;
  for (const Expr& index : indices) r.push_back(evaluator.Eval(index));
  return r;
}

IndexInterval Union(const IndexInterval& a, const IndexInterval& b, Analyzer& analyzer) {
  IndexInterval r;
  if (a.min.get() && b.min.get()) r.min = analyzer.Simplify(Min(a.min, b.min));
  if (a.max.get() && b.max.get()) r.max = analyzer.Simplify(Max(a.max, b.max));
  return r;
}

std::optional<Range> ToRange(const IndexInterval& interval, Analyzer& analyzer) {
  if (!interval.bounded()) return std::nullopt;
  return Range{interval.min, analyzer.Simplify(interval.max - interval.min + 1)};
}

IndexInterval FromRange(const Range& range, Analyzer& analyzer) {
  return {analyzer.Simplify(range.min), analyzer.Simplify(range.min + range.extent - 1)};
}

bool CanProveContains(const IndexInterval& outer, const IndexInterval& inner, Analyzer& analyzer) {
  const bool below = !outer.min || (inner.min.get() && analyzer.CanProve(outer.min <= inner.min));
  const bool above = !outer.max || (inner.max.get() && analyzer.CanProve(inner.max <= outer.max));
  return below && above;
}

}  // namespace tilewright
