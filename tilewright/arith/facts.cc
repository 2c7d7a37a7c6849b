// SPDX-License-Identifier: Apache-2.0
// What the simplifier knows of variables: bounds, residues, aliases, inequalities, truths of conditions.
#include "tilewright/arith/analyzer_impl.h"
#include "tilewright/arith/eval.h"

namespace tilewright {

void AnalyzerImpl::ClearMemos() {
  for (Memo& memo : memos_) memo = Memo();
}

void AnalyzerImpl::Forget(const Var& var) {
  // Nothing known can depend on a variable that has not occurred yet.
  if (!interner_.Contains(var)) {
    interner_.Intern(var);
    return;
  }
  known_bounds_.erase(var.get());
  known_residues_.erase(var.get());
  values_.erase(var.get());
  // Scopes count the facts before them, so a fact is emptied (0 <= 0) rather than removed.
  for (Fact& fact : facts_) {
    if (fact.owner == var.get()) fact = {IndexSum(), nullptr};
  }
  ClearMemos();
}

void AnalyzerImpl::BindInterval(const Var& var, Interval interval) {
  TW_CHECK(var.dtype().is_integer(), "{} of type {} has no interval", var.name(), var.dtype().ToString());
  Forget(var);
  // An empty interval belongs to code that never runs; any value serves there.
  if (interval.empty()) interval = Interval::Point(interval.min);
  known_bounds_[var.get()] = interval;
}

void AnalyzerImpl::BindValue(const Var& var, const Expr& value) {
  TW_CHECK(var.dtype() == value.dtype(), "{}: {} = {}", var.name(), var.dtype().ToString(),
           value.dtype().ToString());
  TW_CHECK(!UsesVar(value, var), "{} is bound to an expression of itself", var.name());
  const Expr canonical = Visit(value);
  Forget(var);
  values_[var.get()] = canonical;
}

void AnalyzerImpl::BindRange(const Var& var, const Range& range) {
  TW_CHECK(range.min.dtype() == var.dtype() && range.extent.dtype() == var.dtype(), "range of {}",
           var.name());
  const Expr min = Visit(range.min), extent = Visit(range.extent);
  if (IsInt(extent, 1)) return BindValue(var, min);
  const Expr end = Binary(BinaryOp::kAdd, min, extent);
  if (var.dtype() != DataType::Index()) {
    return BindInterval(var, {Bound(min).min, SaturatingAdd(Bound(end).max, -1)});
  }
  try {
    const IndexSum first = ToSum(min), last = ToSum(Binary(BinaryOp::kSub, end, Constant(1)));
    BindInterval(var, {BoundByFacts(first).min, BoundByFacts(last).max});
    IndexSum below = first, above;
    AddTerm(below, var.get(), -1, interner_);
    AddTerm(above, var.get(), 1, interner_);
    AddScaled(above, last, -1, interner_);
    if (!first.is_constant()) LearnLeZero(below, var.operator->());
    if (!last.is_constant()) LearnLeZero(above, var.operator->());
  } catch (const SumOverflow&) {
    BindInterval(var, {Bound(min).min, SaturatingAdd(Bound(end).max, -1)});
  }
}

void AnalyzerImpl::BeginScope(const Expr& condition, bool value) {
  scopes_.push_back({facts_.size(), {}, {}, {}});
  memos_.emplace_back();
  Learn(condition, value);
  // Bounds asked for while learning may predate a fact learnt after them.
  memos_.back() = Memo();
}

namespace {

template <class Map, class Log>
void Restore(Map& map, Log& log) {
  for (auto it = log.rbegin(); it != log.rend(); ++it) {
    if (it->second) {
      map[it->first] = *it->second;
    } else {
      map.erase(it->first);
    }
  }
}

/// Sets an entry and logs what was there.
template <class Map, class Log, class Value>
void Overwrite(Map& map, Log* log, const ExprNode* key, const Value& value) {
  auto it = map.find(key);
  if (log)
    log->emplace_back(key, it == map.end() ? std::optional<Value>() : std::optional<Value>(it->second));
  map.insert_or_assign(key, value);
}

}  // namespace

void AnalyzerImpl::EndScope() {
  TW_CHECK(!scopes_.empty(), "no scope to end");
  Scope& scope = scopes_.back();
  facts_.resize(scope.facts);
  Restore(known_bounds_, scope.bounds);
  Restore(known_residues_, scope.residues);
  Restore(known_truths_, scope.truths);
  scopes_.pop_back();
  memos_.pop_back();
}

void AnalyzerImpl::Learn(const Expr& condition, bool value) {
  if (!condition.dtype().is_scalar() || condition.As<IntImmNode>()) return;
  if (auto* n = condition.As<NotNode>()) return Learn(n->value, !value);
  if (auto* n = condition.As<CallNode>(); n && n->op == Intrinsic::k_likely) return Learn(n->args[0], value);
  LearnTruth(condition, value);
  auto* n = condition.As<BinaryNode>();
  if (!n) return;
  if (n->op == (value ? BinaryOp::kAnd : BinaryOp::kOr)) {
    Learn(n->a, value);
    Learn(n->b, value);
    return;
  }
  if (!IsComparison(n->op) || n->a.dtype() != DataType::Index()) return;
  try {
    switch (n->op) {
      case BinaryOp::kLt:
        return value ? LearnComparison(BinaryOp::kLt, n->a, n->b)
                     : LearnComparison(BinaryOp::kLe, n->b, n->a);
      case BinaryOp::kLe:
        return value ? LearnComparison(BinaryOp::kLe, n->a, n->b)
                     : LearnComparison(BinaryOp::kLt, n->b, n->a);
      case BinaryOp::kEq:
        return LearnComparison(value ? BinaryOp::kEq : BinaryOp::kNe, n->a, n->b);
      default:
        return LearnComparison(value ? BinaryOp::kNe : BinaryOp::kEq, n->a, n->b);
    }
  } catch (const SumOverflow&) {
    // A fact that cannot be stated is not used.
  }
}

void AnalyzerImpl::LearnTruth(const Expr& condition, bool value) {
  auto* log = scopes_.empty() ? nullptr : &scopes_.back().truths;
  Overwrite(known_truths_, log, condition.get(), value);
  Overwrite(known_truths_, log, Not(condition).get(), !value);
}

void AnalyzerImpl::LearnBound(const ExprNode* atom, Interval interval) {
  const Interval narrowed = Intersect(interval, Bound(Expr(atom)));
  // A contradiction: the scope is dead code, and keeping what was known is sound.
  if (narrowed.empty()) return;
  Overwrite(known_bounds_, scopes_.empty() ? nullptr : &scopes_.back().bounds, atom, narrowed);
  memos_.back().bounds.clear();
}

void AnalyzerImpl::LearnResidue(const ExprNode* atom, Modular residue) {
  const Modular before = ModularOf(Expr(atom));
  if (before.multiple != 1 && (before.multiple == 0 || residue.multiple % before.multiple != 0)) return;
  Overwrite(known_residues_, scopes_.empty() ? nullptr : &scopes_.back().residues, atom, residue);
  memos_.back().residues.clear();
}

void AnalyzerImpl::LearnLeZero(IndexSum sum, const VarNode* owner) {
  if (sum.is_constant()) return;
  facts_.push_back({sum, owner});
  if (sum.terms.size() > 1) return;
  const auto [atom, k] = sum.terms.front();
  if (k > 0) LearnBound(atom, {INT64_MIN, FloorDivInt(-sum.constant, k)});
  if (k < 0) LearnBound(atom, {-FloorDivInt(-sum.constant, -k), INT64_MAX});
}

void AnalyzerImpl::LearnNotZero(const IndexSum& sum) {
  const Interval bound = BoundByFacts(sum);
  IndexSum strict = sum;
  if (bound.min == 0) {  // sum >= 1
    Scale(strict, -1);
    strict.constant += 1;
  } else if (bound.max == 0) {  // sum <= -1
    strict.constant += 1;
  } else {
    return;
  }
  LearnLeZero(strict, nullptr);
}

void AnalyzerImpl::LearnComparison(BinaryOp op, const Expr& a, const Expr& b) {
  IndexSum d = ToSum(a);
  AddScaled(d, ToSum(b), -1, interner_);
  if (op == BinaryOp::kNe) return LearnNotZero(d);
  if (op == BinaryOp::kLt) AddScaled(d, IndexSum{{}, 1}, 1, interner_);
  LearnLeZero(d, nullptr);
  if (op != BinaryOp::kEq) return;
  Scale(d, -1);
  LearnLeZero(d, nullptr);
  // x % c == r is a residue of x, where x is an atom.
  if (d.terms.size() != 1 || (d.terms[0].coef != 1 && d.terms[0].coef != -1)) return;
  const Expr atom(d.terms[0].atom);
  auto* mod = atom.As<BinaryNode>();
  auto c = mod && mod->op == BinaryOp::kFloorMod ? AsInt(mod->b) : std::nullopt;
  if (!c || *c <= 1) return;
  const IndexSum& x = ToSum(mod->a);
  if (x.terms.size() != 1 || x.terms[0].coef != 1) return;
  const int64_t remainder = d.terms[0].coef > 0 ? -d.constant : d.constant;
  LearnResidue(x.terms[0].atom, Modular::Of(*c, FloorModInt(remainder, *c) - FloorModInt(x.constant, *c)));
}

}  // namespace tilewright
