// SPDX-License-Identifier: Apache-2.0
// Operations outside scalar index arithmetic: the rule table, and vectors that are ramps or broadcasts.
#include "tilewright/arith/analyzer_impl.h"
#include "tilewright/arith/eval.h"
#include "tilewright/arith/rules.h"

namespace tilewright {

namespace {

/// The rules by the operation at their root.
const std::vector<const RewriteRule*>& RulesOf(BinaryOp op) {
  static const auto table = [] {
    std::array<std::vector<const RewriteRule*>, size_t(BinaryOp::kOr) + 1> t;
    for (const RewriteRule& rule : RewriteRules()) t[size_t(rule.from.As<BinaryNode>()->op)].push_back(&rule);
    return t;
  }();
  return table[size_t(op)];
}

/// A vector as first + lane * step; a broadcast has step 0.
struct Lanes {
  Expr first, step;
};

std::optional<Lanes> AsLanes(const Expr& e) {
  if (auto* r = e.As<RampNode>()) return Lanes{r->base, r->stride};
  if (auto* b = e.As<BroadcastNode>()) return Lanes{b->value, MakeConst(b->value.dtype(), 0)};
  return std::nullopt;
}

}  // namespace

Expr AnalyzerImpl::FoldFloats(BinaryOp op, const Expr& a, const Expr& b) {
  if (!a.As<FloatImmNode>() || !b.As<FloatImmNode>() || a.dtype().bits < 32) return nullptr;
  const auto value = EvalScalar(MakeBinary(op, a, b), {});
  if (!value) return nullptr;
  if (auto* i = std::get_if<int64_t>(&*value)) return interner_.Intern(MakeBool(*i));
  return interner_.Intern(MakeConst(a.dtype(), std::get<double>(*value)));
}

Expr AnalyzerImpl::OtherBinary(BinaryOp op, const Expr& a, const Expr& b) {
  if (a.dtype().is_float()) {
    if (Expr folded = FoldFloats(op, a, b)) return folded;
  }
  const Expr e = Atom(op, a, b);
  if (!e.As<BinaryNode>()) return e;
  if (!a.dtype().is_scalar()) {
    if (Expr vector = VectorBinary(op, a, b)) return vector;
  }
  for (const RewriteRule* rule : RulesOf(op)) {
    Match match;
    if (!RuleHolds(*rule, a.dtype()) || !MatchPattern(rule->from, e, match)) continue;
    if (rule->condition && !rule->condition(match)) continue;
    // Constants of a comparison's result are bools.
    const DataType t = AsInt(rule->to) ? e.dtype() : a.dtype();
    return interner_.Intern(BuildPattern(rule->to, match, t, [&](BinaryOp o, const Expr& x, const Expr& y) {
      return Binary(o, InternTree(x), InternTree(y));
    }));
  }
  return e;
}

// Operations on ramps and broadcasts as operations on their scalars; null where they are none.
Expr AnalyzerImpl::VectorBinary(BinaryOp op, const Expr& a, const Expr& b) {
  const DataType t = a.dtype();
  const auto x = AsLanes(a), y = AsLanes(b);
  if (!x || !y || t.scalable) return nullptr;
  const int lanes = t.lanes;
  auto broadcast = [&](const Expr& value) { return interner_.Intern(MakeBroadcast(value, lanes)); };
  if (a.As<BroadcastNode>() && b.As<BroadcastNode>()) return broadcast(Binary(op, x->first, y->first));
  auto ramp = [&](const Expr& first, const Expr& step) {
    return IsInt(step, 0) ? broadcast(first) : interner_.Intern(MakeRamp(first, step, lanes));
  };
  const Expr x_step = interner_.Intern(x->step), y_step = interner_.Intern(y->step);
  if (op == BinaryOp::kAdd || op == BinaryOp::kSub) {
    return ramp(Binary(op, x->first, y->first), Binary(op, x_step, y_step));
  }
  if (op == BinaryOp::kMul && IsInt(y_step, 0)) {
    return ramp(Binary(op, x->first, y->first), Binary(op, x_step, y->first));
  }
  if (op == BinaryOp::kMul && IsInt(x_step, 0)) {
    return ramp(Binary(op, y->first, x->first), Binary(op, y_step, x->first));
  }
  if (t.element() != DataType::Index()) return nullptr;
  const Expr last = Constant(lanes - 1);
  auto end_of = [&](const Lanes& v, const Expr& step) {
    return Binary(BinaryOp::kAdd, v.first, Binary(BinaryOp::kMul, step, last));
  };
  if (IsComparison(op) && op != BinaryOp::kEq && op != BinaryOp::kNe) {
    // Linear in the lane, so decided by the outer lanes where these agree.
    const Expr first = Binary(op, x->first, y->first),
               end = Binary(op, end_of(*x, x_step), end_of(*y, y_step));
    return AsInt(first) && first == end ? broadcast(first) : Expr(nullptr);
  }
  const auto step = AsInt(x_step), c = AsInt(y->first);
  if ((op != BinaryOp::kFloorDiv && op != BinaryOp::kFloorMod) || !step || !c || *c <= 0 ||
      !IsInt(y_step, 0)) {
    return nullptr;
  }
  const bool div = op == BinaryOp::kFloorDiv;
  if (*step % *c == 0) {
    return div ? ramp(Binary(op, x->first, y->first), Constant(*step / *c))
               : broadcast(Binary(op, x->first, y->first));
  }
  // All lanes within one multiple of c.
  const Expr first = Binary(BinaryOp::kFloorDiv, x->first, y->first);
  if (first != Binary(BinaryOp::kFloorDiv, end_of(*x, x_step), y->first)) return nullptr;
  return div ? broadcast(first) : ramp(Binary(op, x->first, y->first), x_step);
}

}  // namespace tilewright
