// SPDX-License-Identifier: Apache-2.0
// Bounds, residues and proofs of inequalities.
#include <numeric>

#include "tilewright/arith/analyzer_impl.h"
#include "tilewright/arith/eval.h"

namespace tilewright {

namespace {

/// How far the search for an upper bound goes: replacements in a row, and steps in all.
constexpr int kMaxDepth = 5;
constexpr int kMaxSteps = 48;

}  // namespace

Interval AnalyzerImpl::Bound(const IndexSum& s) {
  Interval r = Interval::Point(s.constant);
  for (const IndexTerm& t : s.terms) r = r + Bound(Expr(t.atom)) * Interval::Point(t.coef);
  return r;
}

Interval AnalyzerImpl::Bound(const Expr& e) {
  if (auto i = AsInt(e)) return e.dtype() == kU64 && *i < 0 ? Interval::Everything() : Interval::Point(*i);
  auto& memo = memos_.back().bounds;
  if (auto it = memo.find(e.get()); it != memo.end()) return it->second;
  Interval r = BoundUncached(e);
  if (auto it = known_bounds_.find(e.get()); it != known_bounds_.end()) {
    const Interval both = Intersect(r, it->second);
    if (!both.empty()) r = both;
  }
  memos_.back().bounds[e.get()] = r;
  return r;
}

Interval AnalyzerImpl::BoundUncached(const Expr& e) {
  const Interval type = Interval::OfType(e.dtype());
  // A narrow type wraps around: bounds that leave it say nothing. u64 has no usable order here.
  auto in_type = [&](const Interval& i) {
    return e.dtype() == kU64 ? Interval::Everything() : type.Contains(i) ? i : type;
  };
  if (!e.dtype().is_scalar() || e.dtype().is_bool()) return type;
  if (auto* v = e.As<VarNode>()) return in_type(Intersect({v->min, v->max}, type));
  if (auto* n = e.As<CastNode>()) {
    return n->value.dtype().is_integer() || n->value.dtype().is_bool()
               ? n->value.dtype() == kU64 ? type : in_type(Bound(n->value))
               : type;
  }
  if (auto* n = e.As<SelectNode>()) return Union(Bound(n->true_value), Bound(n->false_value));
  if (auto* n = e.As<IfThenElseNode>()) return Union(Bound(n->true_value), Bound(n->false_value));
  if (auto* n = e.As<LetNode>()) return Bound(n->body);
  if (auto* n = e.As<CallNode>(); n && n->op == Intrinsic::k_abs && n->args[0].dtype() == e.dtype()) {
    const Interval x = Bound(n->args[0]);
    return in_type(Intersect(Union(x, Interval::Point(0) - x), {0, INT64_MAX}));
  }
  auto* n = e.As<BinaryNode>();
  if (!n || n->a.dtype() != e.dtype()) return type;
  if (e.dtype() == DataType::Index() && (n->op == BinaryOp::kAdd || n->op == BinaryOp::kSub)) {
    try {
      return Bound(ToSum(e));
    } catch (const SumOverflow&) {
      // The operands' own bounds remain.
    }
  }
  const Interval a = Bound(n->a), b = Bound(n->b);
  switch (n->op) {
    case BinaryOp::kAdd:
      return in_type(a + b);
    case BinaryOp::kSub:
      return in_type(a - b);
    case BinaryOp::kMul:
      return in_type(a * b);
    case BinaryOp::kFloorDiv:
      return in_type(FloorDiv(a, b));
    case BinaryOp::kFloorMod:
      return in_type(FloorMod(a, b));
    case BinaryOp::kTruncDiv:
      return in_type(TruncDiv(a, b));
    case BinaryOp::kTruncMod:
      return in_type(TruncMod(a, b));
    case BinaryOp::kMin:
      return in_type(Min(a, b));
    case BinaryOp::kMax:
      return in_type(Max(a, b));
    default:
      return type;
  }
}

Modular AnalyzerImpl::ModularOf(const IndexSum& s) {
  Modular r{0, s.constant};
  for (const IndexTerm& t : s.terms) r = r + ModularOf(Expr(t.atom)) * Modular{0, t.coef};
  return r;
}

Modular AnalyzerImpl::ModularOf(const Expr& e) {
  if (auto i = AsInt(e)) return {0, *i};
  auto& memo = memos_.back().residues;
  if (auto it = memo.find(e.get()); it != memo.end()) return it->second;
  auto known = known_residues_.find(e.get());
  const Modular r = known != known_residues_.end() ? known->second : ModularOfUncached(e);
  return memos_.back().residues[e.get()] = r;
}

Modular AnalyzerImpl::ModularOfUncached(const Expr& e) {
  if (e.dtype() != DataType::Index()) return {};
  if (auto* v = e.As<VarNode>()) return Modular::Of(v->multiple, 0);
  if (auto* n = e.As<SelectNode>()) return Union(ModularOf(n->true_value), ModularOf(n->false_value));
  if (auto* n = e.As<IfThenElseNode>()) return Union(ModularOf(n->true_value), ModularOf(n->false_value));
  auto* n = e.As<BinaryNode>();
  if (!n) return {};
  auto c = AsInt(n->b);
  switch (n->op) {
    case BinaryOp::kAdd:
    case BinaryOp::kSub:
      try {
        return ModularOf(ToSum(e));
      } catch (const SumOverflow&) {
        return {};
      }
    case BinaryOp::kMul:
      return ModularOf(n->a) * ModularOf(n->b);
    case BinaryOp::kFloorDiv:
      return c && *c > 0 ? FloorDiv(ModularOf(n->a), *c) : Modular();
    case BinaryOp::kFloorMod:
      return c && *c > 0 ? FloorMod(ModularOf(n->a), *c) : Modular();
    case BinaryOp::kMin:
    case BinaryOp::kMax:
      return Union(ModularOf(n->a), ModularOf(n->b));
    default:
      return {};
  }
}

Interval AnalyzerImpl::BoundByFacts(const IndexSum& s) {
  Interval r = Bound(s);
  if (s.is_constant()) return r;
  try {
    int budget = kMaxSteps;
    r.max = std::min(r.max, UpperBound(s, INT64_MIN, budget, kMaxDepth));
    IndexSum negated = s;
    Scale(negated, -1);
    budget = kMaxSteps;
    r.min = std::max(r.min, SaturatingNeg(UpperBound(negated, INT64_MIN, budget, kMaxDepth)));
  } catch (const SumOverflow&) {
    return Bound(s);
  }
  return r;
}

bool AnalyzerImpl::ProveLeZero(const IndexSum& s) {
  try {
    int budget = kMaxSteps;
    return UpperBound(s, 0, budget, kMaxDepth) <= 0;
  } catch (const SumOverflow&) {
    return Bound(s).max <= 0;
  }
}

namespace {

/// The upper bound of s that follows from one of `factor` * s.
int64_t Unscale(int64_t bound, int64_t factor) {
  return bound == INT64_MAX || bound == INT64_MIN ? bound : FloorDivInt(bound, factor);
}

/// Targets beyond are no questions about extents.
constexpr int64_t kSmall = int64_t(1) << 32;

int64_t ScaledTarget(int64_t target, int64_t factor) {
  return SaturatingAdd(SaturatingMul(SaturatingAdd(target, 1), factor), -1);
}

}  // namespace

// An upper bound of s, from bounds of its terms, and from sums that are known not to be smaller: s with a
// multiple of a fact (<= 0) taken away, or with a term replaced by something not smaller. Stops early at a
// bound of at most `target`.
int64_t AnalyzerImpl::UpperBound(const IndexSum& s, int64_t target, int& budget, int depth) {
  int64_t best = Bound(s).max;
  if (best <= target || depth == 0) return best;
  // Inner variables come last, and their bounds name outer ones.
  for (auto t = s.terms.rbegin(); t != s.terms.rend(); ++t) {
    for (const Fact& fact : facts_) {
      const int64_t f = fact.sum.CoefOf(t->atom);
      if (f == 0 || (f < 0) != (t->coef < 0) || !fact.IsAbout(s)) continue;
      best = std::min(best, BoundByFact(s, fact.sum, f, t->coef, target, budget, depth));
      if (best <= target || budget <= 0) return best;
    }
    best = std::min(best, BoundByProducts(s, *t, target, budget, depth));
    if (best <= target || budget <= 0) return best;
    best = std::min(best, BoundByReplacing(s, *t, target, budget, depth));
    if (best <= target || budget <= 0) return best;
  }
  return best;
}

// By s minus the multiple of a fact that removes a term: `have` is the term's coefficient in the fact, `want`
// in s, of the same sign.
int64_t AnalyzerImpl::BoundByFact(const IndexSum& s, const IndexSum& fact, int64_t have, int64_t want,
                                  int64_t target, int& budget, int depth) {
  if (budget-- <= 0) return INT64_MAX;
  const int64_t g = std::gcd(have, want), scale = std::abs(have) / g;
  IndexSum larger = s;
  Scale(larger, scale);
  AddScaled(larger, fact, -(std::abs(want) / g), interner_);
  return Unscale(UpperBound(larger, ScaledTarget(target, scale), budget, depth - 1), scale);
}

// As BoundByFact, for a term that is a product: a fact about one factor, times the others, which must not be
// negative. i <= m - 1 gives i*n <= m*n - n.
int64_t AnalyzerImpl::BoundByProducts(const IndexSum& s, const IndexTerm& t, int64_t target, int& budget,
                                      int depth) {
  auto* product = Expr(t.atom).As<BinaryNode>();
  if (!product || product->op != BinaryOp::kMul || facts_.empty()) return INT64_MAX;
  int64_t best = INT64_MAX;
  auto by_factor = [&](const Expr& factor, const Expr& others) {
    if (Bound(others).min < 0) return;
    for (size_t i = 0; i < facts_.size(); ++i) {
      const int64_t f = facts_[i].sum.CoefOf(factor.get());
      if (f == 0 || (f < 0) != (t.coef < 0)) continue;
      if (facts_[i].owner != factor.get() && !facts_[i].IsAbout(s)) continue;
      const IndexSum times = ToSum(Mul(FromSum(facts_[i].sum), others));
      best = std::min(best, BoundByFact(s, times, f, t.coef, target, budget, depth));
      if (best <= target || budget <= 0) return;
    }
  };
  // a*b*c is (a*b)*c: peel one factor after the other.
  Expr left = product->a, others = product->b;
  by_factor(product->b, product->a);
  for (;;) {
    if (best <= target || budget <= 0) return best;
    auto* n = left.As<BinaryNode>();
    if (!n || n->op != BinaryOp::kMul) {
      by_factor(left, others);
      return best;
    }
    by_factor(n->b, Mul(n->a, others));
    others = Mul(n->b, others);
    left = n->a;
  }
}

int64_t AnalyzerImpl::BoundByReplacing(const IndexSum& s, const IndexTerm& t, int64_t target, int& budget,
                                       int depth) {
  const Expr atom(t.atom);
  IndexSum rest = s;
  AddTerm(rest, t.atom, -t.coef, interner_);
  // factor * s <= factor * rest + coef * replacement
  auto with = [&](const Expr& replacement, int64_t coef, int64_t factor, int64_t offset) {
    if (budget-- <= 0) return INT64_MAX;
    IndexSum larger = rest;
    Scale(larger, factor);
    AddScaled(larger, ToSum(replacement), coef, interner_);
    AddScaled(larger, IndexSum{{}, offset}, 1, interner_);
    return Unscale(UpperBound(larger, ScaledTarget(target, factor), budget, depth - 1), factor);
  };
  if (auto* n = atom.As<SelectNode>()) {
    return std::max(with(n->true_value, t.coef, 1, 0), with(n->false_value, t.coef, 1, 0));
  }
  auto* n = atom.As<BinaryNode>();
  if (!n) return INT64_MAX;
  const auto c = AsInt(n->b);
  // By what is not constant, but positive.
  const bool open = !c && n->dtype == DataType::Index() &&
                    (n->op == BinaryOp::kFloorDiv || n->op == BinaryOp::kFloorMod) && Bound(n->b).min > 0;
  switch (n->op) {
    case BinaryOp::kMin:
    case BinaryOp::kMax: {
      const int64_t a = with(n->a, t.coef, 1, 0);
      // One operand suffices where the choice is towards smaller values of the term.
      const bool either = (n->op == BinaryOp::kMin) == (t.coef > 0);
      if (either && a <= target) return a;
      const int64_t b = with(n->b, t.coef, 1, 0);
      return either ? std::min(a, b) : std::max(a, b);
    }
    case BinaryOp::kFloorDiv: {
      if (open && t.coef == 1) {
        // x // m + r = (x + r * m) // m, which is at most the target where x + r * m < (target + 1) * m.
        if (budget-- <= 0 || target < -kSmall || target > kSmall) return INT64_MAX;
        AddScaled(rest, IndexSum{{}, -(target + 1)}, 1, interner_);
        IndexSum times = ToSum(Mul(FromSum(rest), n->b));
        AddScaled(times, ToSum(n->a), 1, interner_);
        return UpperBound(times, -1, budget, depth - 1) < 0 ? target : INT64_MAX;
      }
      // x - c + 1 <= c * (x // c) <= x
      if (!c || *c <= 0) return INT64_MAX;
      const int64_t g = std::gcd(*c, t.coef), k = t.coef / g;
      return with(n->a, k, *c / g, k > 0 ? 0 : SaturatingMul(k, 1 - *c));
    }
    case BinaryOp::kFloorMod:
      if (open && t.coef > 0) return with(n->b, t.coef, 1, -t.coef);
      // x % c <= x for x >= 0
      if (!c || *c <= 0 || t.coef < 0 || Bound(n->a).min < 0) return INT64_MAX;
      return with(n->a, t.coef, 1, 0);
    default:
      return INT64_MAX;
  }
}

}  // namespace tilewright
