// SPDX-License-Identifier: Apache-2.0
// Comparisons of index expressions, conjunctions and disjunctions.
#include <algorithm>

#include "tilewright/arith/analyzer_impl.h"
#include "tilewright/arith/eval.h"

namespace tilewright {

namespace {

/// Conjuncts that are compared with each other; beyond, the later ones are only simplified under the earlier.
constexpr size_t kMaxComparedConjuncts = 8;

}  // namespace

Expr AnalyzerImpl::KnownTruth(const Expr& comparison) {
  auto it = known_truths_.find(comparison.get());
  return it == known_truths_.end() ? comparison : interner_.Intern(MakeBool(it->second));
}

Expr AnalyzerImpl::Compare(BinaryOp op, const Expr& a, const Expr& b) {
  IndexSum d = ToSum(a);
  AddScaled(d, ToSum(b), -1, interner_);
  if (op == BinaryOp::kEq) return CompareEqZero(std::move(d));
  if (op == BinaryOp::kNe) return Not(CompareEqZero(std::move(d)));
  if (op == BinaryOp::kLt) AddScaled(d, IndexSum{{}, 1}, 1, interner_);
  return CompareLeZero(std::move(d));
}

// d <= 0
Expr AnalyzerImpl::CompareLeZero(IndexSum d) {
  d = ToSum(FromSum(std::move(d)));
  auto truth = [&](bool value) { return interner_.Intern(MakeBool(value)); };
  if (d.is_constant()) return truth(d.constant <= 0);
  const int64_t gcd = d.Gcd();
  for (IndexTerm& t : d.terms) t.coef /= gcd;
  d.constant = -FloorDivInt(-d.constant, gcd);
  if (ProveLeZero(d)) return truth(true);
  IndexSum opposite = d;
  Scale(opposite, -1);
  AddScaled(opposite, IndexSum{{}, 1}, 1, interner_);
  if (ProveLeZero(opposite)) return truth(false);

  std::vector<int64_t> factors;
  for (const IndexTerm& t : d.terms) factors.push_back(std::abs(t.coef));
  std::sort(factors.rbegin(), factors.rend());
  factors.erase(std::unique(factors.begin(), factors.end()), factors.end());
  for (int64_t g : factors) {
    // g*high + low <= 0 where high <= -low/g, and the low terms decide nothing of the rounded quotient.
    IndexSum high, low{{}, d.constant};
    for (const IndexTerm& t : d.terms) {
      if (t.coef % g == 0) {
        high.terms.push_back({t.atom, t.coef / g});
      } else {
        low.terms.push_back(t);
      }
    }
    if (g == 1 || low.terms.empty()) continue;
    Scale(low, -1);
    if (auto limit = BlockOf(low, g)) {
      high.constant = -*limit;
      return CompareLeZero(std::move(high));
    }
  }
  for (const IndexTerm& t : d.terms) {
    auto* n = Expr(t.atom).As<BinaryNode>();
    if (!n || (t.coef != 1 && t.coef != -1)) continue;
    IndexSum rest = d;
    AddTerm(rest, t.atom, -t.coef, interner_);
    const auto c = AsInt(n->b);
    if (n->op == BinaryOp::kFloorDiv && c && *c > 0) {
      // x//c <= -rest where x <= c*-rest + c - 1, and rest <= x//c where c*rest <= x.
      const IndexSum x = ToSum(n->a);
      Scale(rest, *c);
      AddScaled(rest, x, t.coef, interner_);
      if (t.coef > 0) AddScaled(rest, IndexSum{{}, 1 - *c}, 1, interner_);
      return CompareLeZero(std::move(rest));
    }
    if (n->op == BinaryOp::kMin || n->op == BinaryOp::kMax) {
      // rest + max(x, y) <= 0 where both sums are, rest + min(x, y) <= 0 where one is.
      IndexSum a = rest, b = rest;
      AddScaled(a, ToSum(n->a), t.coef, interner_);
      AddScaled(b, ToSum(n->b), t.coef, interner_);
      const Expr x = CompareLeZero(std::move(a)), y = CompareLeZero(std::move(b));
      if (!AsInt(x) && !AsInt(y)) continue;
      const bool all = (n->op == BinaryOp::kMax) == (t.coef > 0);
      return interner_.Intern(MakeBinary(all ? BinaryOp::kAnd : BinaryOp::kOr, x, y));
    }
  }
  return KnownTruth(BuildComparison(BinaryOp::kLe, d));
}

// d == 0
Expr AnalyzerImpl::CompareEqZero(IndexSum d) {
  d = ToSum(FromSum(std::move(d)));
  auto truth = [&](bool value) { return interner_.Intern(MakeBool(value)); };
  if (d.is_constant()) return truth(d.constant == 0);
  const int64_t gcd = d.Gcd();
  if (d.constant % gcd != 0) return truth(false);
  const int64_t factor = d.terms.front().coef < 0 ? -gcd : gcd;
  for (IndexTerm& t : d.terms) t.coef /= factor;
  d.constant /= factor;
  const Interval bound = BoundByFacts(d);
  if (!bound.Contains(0)) return truth(false);
  if (bound.is_point()) return truth(true);
  const Modular m = ModularOf(d);
  if (m.remainder != 0) return truth(false);
  return KnownTruth(BuildComparison(BinaryOp::kEq, d));
}

// Terms go to the side where they are positive, and so does the constant unless it would stand alone there.
Expr AnalyzerImpl::BuildComparison(BinaryOp op, const IndexSum& d) {
  IndexSum left, right;
  for (const IndexTerm& t : d.terms) {
    if (t.coef > 0) {
      left.terms.push_back(t);
    } else {
      right.terms.push_back({t.atom, -t.coef});
    }
  }
  int64_t c = d.constant;
  // i <= 7 reads i < 8, and 1 <= i reads 0 < i.
  if (op == BinaryOp::kLe && c != 0 && (left.terms.empty() ? c == 1 : c < 0 || !right.terms.empty())) {
    op = BinaryOp::kLt;
    c -= 1;
  }
  if (left.terms.empty() || (c > 0 && !right.terms.empty())) {
    left.constant = c;
  } else {
    right.constant = -c;
  }
  return interner_.Intern(MakeBinary(op, BuildSum(left), BuildSum(right)));
}

// && and ||. Each operand is simplified under the outcome of those before it that leaves it to decide;
// then operands that the others imply are dropped.
Expr AnalyzerImpl::VisitJunction(BinaryOp op, const Expr& e) {
  const bool is_and = op == BinaryOp::kAnd;
  std::vector<Expr> operands;
  std::unordered_set<const ExprNode*> seen;
  auto flatten = [&](auto& self, const Expr& x) -> void {
    if (!seen.insert(x.get()).second) return;
    auto* n = x.As<BinaryNode>();
    if (!n || n->op != op) return operands.push_back(x);
    self(self, n->a);
    self(self, n->b);
  };
  flatten(flatten, e);

  std::vector<Expr> kept;
  auto begin_all_but = [&](size_t skip) {
    for (size_t j = 0; j < kept.size(); ++j) {
      if (j != skip) BeginScope(kept[j], is_and);
    }
  };
  auto end_scopes = [&](size_t count) {
    while (count-- > 0) EndScope();
  };
  ++assumptions_;
  for (const Expr& x : operands) {
    Expr simplified = Visit(x);
    if (kept.size() < kMaxComparedConjuncts && assumptions_ <= kMaxAssumptions && NeverTraps(simplified)) {
      begin_all_but(kept.size());
      simplified = Visit(simplified);
      end_scopes(kept.size());
    }
    const auto value = AsInt(simplified);
    if (value && (*value != 0) != is_and) {
      --assumptions_;
      return simplified;
    }
    if (!value && std::find(kept.begin(), kept.end(), simplified) == kept.end()) kept.push_back(simplified);
  }
  for (size_t i = 0;
       i + 1 < kept.size() && kept.size() <= kMaxComparedConjuncts && assumptions_ <= kMaxAssumptions;) {
    begin_all_but(i);
    const Expr simplified = Visit(kept[i]);
    end_scopes(kept.size() - 1);
    if (AsInt(simplified) == int64_t(is_and)) {
      kept.erase(kept.begin() + int64_t(i));
    } else {
      ++i;
    }
  }
  --assumptions_;
  Expr r = interner_.Intern(MakeBool(is_and));
  for (const Expr& x : kept) r = interner_.Intern(MakeBinary(op, r, x));
  return r;
}

}  // namespace tilewright
