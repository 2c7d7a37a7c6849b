// SPDX-License-Identifier: Apache-2.0
// The walk over an expression, and operations outside index arithmetic.
#include "tilewright/arith/analyzer_impl.h"
#include "tilewright/arith/eval.h"
#include "tilewright/ir/float16.h"

namespace tilewright {

Expr AnalyzerImpl::Visit(const Expr& e) {
  if (e.kind() == ExprKind::kIntImm) return interner_.Intern(e);
  auto& memo = memos_.back().simplified;
  if (auto it = memo.find(e.get()); it != memo.end()) return it->second.second;
  const Expr r = VisitUncached(e);
  memos_.back().simplified.try_emplace(e.get(), e, r);
  memos_.back().simplified.try_emplace(r.get(), r, r);
  return r;
}

Expr AnalyzerImpl::VisitUncached(const Expr& e) {
  auto rebuild = [&] { return interner_.Intern(MapChildren(e, [&](const Expr& x) { return Visit(x); })); };
  return Dispatch(
      e,
      Overloaded{
          [&](const VarNode&) { return VisitVar(e); },
          [&](const IntImmNode&) { return interner_.Intern(e); },
          [&](const FloatImmNode&) { return interner_.Intern(e); },
          [&](const StringImmNode&) { return interner_.Intern(e); },
          [&](const CastNode& n) { return VisitCast(n); },
          [&](const BinaryNode& n) { return VisitBinary(e, n); },
          [&](const NotNode& n) { return Not(Visit(n.value)); },
          [&](const SelectNode& n) { return VisitChoice(e, n.condition, n.true_value, n.false_value); },
          [&](const IfThenElseNode& n) { return VisitChoice(e, n.condition, n.true_value, n.false_value); },
          [&](const LetNode& n) { return VisitLet(n); },
          [&](const CallNode&) { return VisitCall(rebuild()); },
          [&](const LoadNode&) { return rebuild(); },
          [&](const RampNode&) { return rebuild(); },
          [&](const BroadcastNode&) { return rebuild(); },
          [&](const ShuffleNode&) { return rebuild(); },
      });
}

Expr AnalyzerImpl::VisitVar(const Expr& e) {
  if (auto it = values_.find(e.get()); it != values_.end()) return it->second;
  const Expr var = interner_.Intern(e);
  if (!e.dtype().is_integer() || !e.dtype().is_scalar()) return var;
  const Interval bound = Bound(var);
  return bound.is_point() ? interner_.Intern(MakeConst(e.dtype(), bound.min)) : var;
}

Expr AnalyzerImpl::VisitCast(const CastNode& n) {
  const Expr value = Visit(n.value);
  const DataType from = value.dtype(), to = n.dtype;
  const bool integers = (from.is_integer() || from.is_bool()) && (to.is_integer() || to.is_bool());
  if (auto i = AsInt(value); i && integers) return interner_.Intern(MakeConst(to, WrapToType(*i, to)));
  auto* inner = value.As<CastNode>();
  if (inner && integers && to.is_scalar() && inner->value.dtype() == to && !to.is_bool()) {
    // There and back again, where the way there lost nothing.
    if (from.is_integer() && Interval::OfType(from).Contains(Bound(inner->value)) && from != kU64)
      return inner->value;
  }
  return interner_.Intern(MakeCast(to, value));
}

Expr AnalyzerImpl::VisitCall(const Expr& call) {
  const auto& n = *call.As<CallNode>();
  if (!GetIntrinsicInfo(n.op).pure || !call.dtype().is_scalar()) return call;
  if (n.op == Intrinsic::k_likely && AsInt(n.args[0])) return n.args[0];
  if (!call.dtype().is_integer()) return call;
  for (const Expr& arg : n.args) {
    if (!AsInt(arg)) return call;
  }
  const auto value = EvalInt(call, {});
  return value ? interner_.Intern(MakeConst(call.dtype(), *value)) : call;
}

Expr AnalyzerImpl::VisitLet(const LetNode& n) {
  const Expr value = Visit(n.value);
  if (value.kind() == ExprKind::kVar || value.kind() == ExprKind::kIntImm ||
      value.kind() == ExprKind::kFloatImm) {
    return Visit(Substitute(n.body, {{n.var, value}}));
  }
  if (n.var.dtype().is_integer() && n.var.dtype().is_scalar()) {
    known_bounds_[interner_.Intern(n.var).get()] = Bound(value);
    memos_.back().bounds.erase(n.var.get());
  }
  const Expr body = Visit(n.body);
  return interner_.Intern(MakeLet(n.var, value, body));
}

Expr AnalyzerImpl::VisitUnder(const Expr& condition, bool value, const Expr& e) {
  // Each nesting of conditions starts with an empty memo, so an unlimited one could visit shared operands
  // exponentially often.
  if (assumptions_ >= kMaxAssumptions || !condition.dtype().is_scalar()) return Visit(e);
  ++assumptions_;
  BeginScope(condition, value);
  const Expr r = Visit(e);
  EndScope();
  --assumptions_;
  return r;
}

// Whether evaluation is safe wherever it is asked for: nothing divides by what a fact could turn into 0.
bool AnalyzerImpl::NeverTraps(const Expr& canonical) {
  if (auto it = never_traps_.find(canonical.get()); it != never_traps_.end()) return it->second;
  bool safe = true;
  if (auto* n = canonical.As<BinaryNode>()) {
    const bool divides = n->op == BinaryOp::kFloorDiv || n->op == BinaryOp::kFloorMod ||
                         n->op == BinaryOp::kTruncDiv || n->op == BinaryOp::kTruncMod;
    const auto divisor = AsInt(n->b);
    safe = !divides || n->a.dtype().is_float() || (divisor && *divisor != 0);
  }
  ForEachChild(canonical, [&](const Expr& x) { safe = safe && NeverTraps(x); });
  return never_traps_[canonical.get()] = safe;
}

// As VisitUnder, for an operand that is evaluated even where the condition does not hold: a divisor must
// not be simplified under it, since x // max(i, 1) under 1 <= i is x // i, which traps elsewhere.
Expr AnalyzerImpl::VisitStrictlyUnder(const Expr& condition, bool value, const Expr& e) {
  const Expr plain = Visit(e);
  return NeverTraps(plain) ? VisitUnder(condition, value, plain) : plain;
}

Expr AnalyzerImpl::VisitChoice(const Expr& e, const Expr& condition, const Expr& t, const Expr& f) {
  const Expr c = Visit(condition);
  if (auto i = AsInt(c)) return Visit(*i ? t : f);
  auto under = [&](bool value, const Expr& x) {
    return e.kind() == ExprKind::kSelect ? VisitStrictlyUnder(c, value, x) : VisitUnder(c, value, x);
  };
  const Expr x = under(true, t), y = under(false, f);
  if (auto* n = c.As<NotNode>()) return BuildChoice(e.kind(), n->value, y, x);
  return BuildChoice(e.kind(), c, x, y);
}

Expr AnalyzerImpl::BuildChoice(ExprKind kind, const Expr& c, const Expr& t, const Expr& f) {
  if (t == f) return t;
  if (t.dtype() == kBool && c.dtype() == kBool && AsInt(t) && AsInt(f)) return *AsInt(t) ? c : Not(c);
  return interner_.Intern(kind == ExprKind::kSelect ? MakeSelect(c, t, f) : MakeIfThenElse(c, t, f));
}

Expr AnalyzerImpl::Not(const Expr& value) {
  if (auto* n = value.As<NotNode>()) return n->value;
  auto* n = value.As<BinaryNode>();
  auto make = [&](BinaryOp op, const Expr& a, const Expr& b) {
    return interner_.Intern(MakeBinary(op, a, b));
  };
  if (n && n->op == BinaryOp::kEq) return make(BinaryOp::kNe, n->a, n->b);
  if (n && n->op == BinaryOp::kNe) return make(BinaryOp::kEq, n->a, n->b);
  // A comparison with NaN is false either way round.
  if (n && IsComparison(n->op) && n->a.dtype() == DataType::Index()) {
    const BinaryOp op = n->op == BinaryOp::kLt ? BinaryOp::kLe : BinaryOp::kLt;
    try {
      return Compare(op, n->b, n->a);
    } catch (const SumOverflow&) {
      return make(op, n->b, n->a);
    }
  }
  if (n && IsComparison(n->op) && !n->a.dtype().is_float()) {
    return make(n->op == BinaryOp::kLt ? BinaryOp::kLe : BinaryOp::kLt, n->b, n->a);
  }
  if (n && n->op == BinaryOp::kAnd) return make(BinaryOp::kOr, Not(n->a), Not(n->b));
  if (n && n->op == BinaryOp::kOr) return make(BinaryOp::kAnd, Not(n->a), Not(n->b));
  return interner_.Intern(MakeNot(value));
}

Expr AnalyzerImpl::VisitBinary(const Expr& e, const BinaryNode& n) {
  if (e.dtype() == kBool && (n.op == BinaryOp::kAnd || n.op == BinaryOp::kOr)) return VisitJunction(n.op, e);
  if (e.dtype() == DataType::Index() && (n.op == BinaryOp::kAdd || n.op == BinaryOp::kSub)) {
    try {
      IndexSum sum;
      Collect(e, 1, sum);
      return FromSum(std::move(sum));
    } catch (const SumOverflow&) {
      return Atom(n.op, Visit(n.a), Visit(n.b));
    }
  }
  return Binary(n.op, Visit(n.a), Visit(n.b));
}

Expr AnalyzerImpl::InternTree(const Expr& e) {
  return interner_.Intern(MapChildren(e, [&](const Expr& x) { return InternTree(x); }));
}

Expr AnalyzerImpl::Atom(BinaryOp op, const Expr& a, const Expr& b) {
  return interner_.Intern(MakeBinary(op, a, b));
}

Expr AnalyzerImpl::IndexBinary(BinaryOp op, const Expr& a, const Expr& b) {
  switch (op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub: {
      IndexSum r = ToSum(a);
      AddScaled(r, ToSum(b), op == BinaryOp::kAdd ? 1 : -1, interner_);
      return FromSum(std::move(r));
    }
    case BinaryOp::kMul:
      return Mul(a, b);
    case BinaryOp::kFloorDiv:
      return FloorDivide(a, b);
    case BinaryOp::kFloorMod:
      return FloorModulo(a, b);
    case BinaryOp::kTruncDiv:
    case BinaryOp::kTruncMod:
      return Truncated(op, a, b);
    case BinaryOp::kMin:
    case BinaryOp::kMax:
      return MinMax(op, a, b);
    case BinaryOp::kEq:
    case BinaryOp::kNe:
    case BinaryOp::kLt:
    case BinaryOp::kLe:
      return Compare(op, a, b);
    default:
      return Atom(op, a, b);
  }
}

Expr AnalyzerImpl::Binary(BinaryOp op, const Expr& a, const Expr& b) {
  const auto x = AsInt(a), y = AsInt(b);
  if (x && y) {
    if (auto r = EvalIntBinary(op, a.dtype(), *x, *y)) {
      return interner_.Intern(MakeConst(IsComparison(op) ? kBool : a.dtype(), *r));
    }
    return Atom(op, a, b);
  }
  if (a.dtype() == DataType::Index()) {
    try {
      return IndexBinary(op, a, b);
    } catch (const SumOverflow&) {
      return Atom(op, a, b);
    }
  }
  return OtherBinary(op, a, b);
}

}  // namespace tilewright
