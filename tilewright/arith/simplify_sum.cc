// SPDX-License-Identifier: Apache-2.0
// Sums, products, minima and maxima of index expressions.
#include <algorithm>

#include "tilewright/arith/analyzer_impl.h"

namespace tilewright {

namespace {

/// Products of sums are expanded up to this many terms and factors; beyond, they stay opaque.
constexpr size_t kMaxExpandedTerms = 16;
constexpr size_t kMaxFactors = 6;
/// Operands of a chain of min or max that are compared with each other.
constexpr size_t kMaxComparedOperands = 8;

/// The operands of a chain of one associative operation.
void Flatten(BinaryOp op, const Expr& e, std::vector<Expr>& out) {
  auto* n = e.As<BinaryNode>();
  if (!n || n->op != op) {
    out.push_back(e);
    return;
  }
  Flatten(op, n->a, out);
  Flatten(op, n->b, out);
}

}  // namespace

const IndexSum& AnalyzerImpl::ToSum(const Expr& e) {
  auto it = sums_.find(e.get());
  if (it != sums_.end()) return it->second;
  IndexSum sum;
  if (auto i = AsInt(e)) {
    // INT64_MIN has no negation, which IndexSum relies on.
    if (*i == INT64_MIN) throw SumOverflow();
    sum.constant = *i;
  } else if (auto* n = e.As<BinaryNode>(); n && (n->op == BinaryOp::kAdd || n->op == BinaryOp::kSub)) {
    sum = ToSum(n->a);
    AddScaled(sum, ToSum(n->b), n->op == BinaryOp::kAdd ? 1 : -1, interner_);
  } else if (n && n->op == BinaryOp::kMul && AsInt(n->b)) {
    sum = ToSum(n->a);
    Scale(sum, *AsInt(n->b));
  } else {
    sum.terms.push_back({e.get(), 1});
  }
  return sums_.emplace(interner_.Intern(e).get(), std::move(sum)).first->second;
}

void AnalyzerImpl::Collect(const Expr& e, int64_t factor, IndexSum& into) {
  auto* n = e.As<BinaryNode>();
  if (n && (n->op == BinaryOp::kAdd || n->op == BinaryOp::kSub)) {
    // Only the left spine is walked; the right operand goes through the memo, so that shared operands are
    // not visited exponentially often.
    Collect(n->a, factor, into);
    AddScaled(into, ToSum(Visit(n->b)), n->op == BinaryOp::kAdd ? factor : -factor, interner_);
    return;
  }
  AddScaled(into, ToSum(Visit(e)), factor, interner_);
}

Expr AnalyzerImpl::FromSum(IndexSum sum) {
  while (CombineTerms(sum)) {
  }
  return BuildSum(sum);
}

bool AnalyzerImpl::CombineTerms(IndexSum& sum) {
  if (sum.terms.empty()) return false;
  if (sum.terms.size() == 1 && sum.terms[0].coef == 1 && sum.constant == 0) return false;
  for (const IndexTerm& t : sum.terms) {
    auto* n = Expr(t.atom).As<BinaryNode>();
    if (!n) continue;
    const IndexTerm copy = t;
    if (n->op == BinaryOp::kFloorDiv && CombineDivMod(sum, copy)) return true;
    if (n->op == BinaryOp::kFloorMod && CombineModMod(sum, copy)) return true;
    if ((n->op == BinaryOp::kFloorMod || n->op == BinaryOp::kMul) && CombineOpenDigits(sum, copy))
      return true;
  }
  return AbsorbIntoMinMax(sum);
}

namespace {

/// `sum` contains `factor` times every term of `part`.
bool ContainsTerms(const IndexSum& sum, const IndexSum& part, int64_t factor) {
  return !part.terms.empty() && std::all_of(part.terms.begin(), part.terms.end(), [&](const IndexTerm& t) {
    int64_t product;
    return !__builtin_mul_overflow(t.coef, factor, &product) && sum.CoefOf(t.atom) == product;
  });
}

}  // namespace

bool AnalyzerImpl::CombineDivMod(IndexSum& sum, const IndexTerm& div) {
  auto* n = Expr(div.atom).As<BinaryNode>();
  // By a symbolic divisor only the exact product could combine, which Mul has already distributed.
  const auto c = AsInt(n->b);
  if (!c || *c <= 0 || div.coef % *c != 0) return false;
  const IndexSum x = ToSum(n->a);
  const int64_t k = div.coef / *c;
  const IndexSum mod = ToSum(FloorModConst(x, *c));
  const bool to_whole = mod.is_constant() || ContainsTerms(sum, mod, k);  // k*c*(x//c) + k*(x%c) = k*x
  const bool to_mod = !to_whole && ContainsTerms(sum, x, -k);             // -k*x + k*c*(x//c) = -k*(x%c)
  if (!to_whole && !to_mod) return false;
  AddTerm(sum, div.atom, -div.coef, interner_);
  AddScaled(sum, x, k, interner_);
  AddScaled(sum, mod, -k, interner_);
  return true;
}

bool AnalyzerImpl::CombineModMod(IndexSum& sum, const IndexTerm& mod) {
  // k*(x%c) + k*c*((x//c)%d) = k*(x%(c*d))
  auto* high = Expr(mod.atom).As<BinaryNode>();
  const auto d = AsInt(high->b);
  if (!d || *d <= 0) return false;
  for (const IndexTerm& t : sum.terms) {
    auto* low = Expr(t.atom).As<BinaryNode>();
    if (!low || low->op != BinaryOp::kFloorMod || t.atom == mod.atom || mod.coef % t.coef != 0) continue;
    const auto c = AsInt(low->b);
    int64_t product;
    if (!c || *c <= 1 || mod.coef / t.coef != *c || __builtin_mul_overflow(*c, *d, &product)) continue;
    if (FloorDivConst(ToSum(low->a), *c) != high->a) continue;
    const IndexTerm low_term = t;
    const IndexSum whole = ToSum(FloorModConst(ToSum(low->a), product));
    AddTerm(sum, mod.atom, -mod.coef, interner_);
    AddTerm(sum, low_term.atom, -low_term.coef, interner_);
    AddScaled(sum, whole, low_term.coef, interner_);
    return true;
  }
  return false;
}

namespace {

/// A flag that is set as long as this lives.
struct Within {
  explicit Within(bool& f) : flag(f) { flag = true; }
  ~Within() { flag = false; }
  bool& flag;
};

}  // namespace

// m*(x%d) + m*d*(x//d) = m*x, where m or d is not constant: the digits of what was one loop over open
// extents.
bool AnalyzerImpl::CombineOpenDigits(IndexSum& sum, const IndexTerm& low) {
  std::vector<Expr> factors;
  Flatten(BinaryOp::kMul, Expr(low.atom), factors);
  // What is asked for below are sums too, whose digits stay as they are: quotients may hold remainders again.
  if (combining_ || sum.terms.size() < 2 || factors.size() > kMaxFactors) return false;
  const Within within(combining_);
  for (size_t i = 0; i < factors.size(); ++i) {
    auto* mod = factors[i].As<BinaryNode>();
    if (!mod || mod->op != BinaryOp::kFloorMod || (factors.size() == 1 && AsInt(mod->b))) continue;
    Expr others = Constant(1);
    for (size_t j = 0; j < factors.size(); ++j) {
      if (j != i) others = Mul(others, factors[j]);
    }
    // (x // k) // d is x // (k * d), as which it is written where loops are cut.
    auto* inner = mod->a.As<BinaryNode>();
    const bool nested = inner && inner->op == BinaryOp::kFloorDiv && Bound(mod->b).min > 0;
    const Expr quotient = nested ? FloorDivide(inner->a, Mul(inner->b, mod->b)) : FloorDivide(mod->a, mod->b);
    const IndexSum high = ToSum(Mul(Mul(quotient, mod->b), others));
    if (!ContainsTerms(sum, high, low.coef)) continue;
    const IndexSum whole = ToSum(Mul(mod->a, others));
    AddTerm(sum, low.atom, -low.coef, interner_);
    AddScaled(sum, high, -low.coef, interner_);
    AddScaled(sum, whole, low.coef, interner_);
    return true;
  }
  return false;
}

bool AnalyzerImpl::AbsorbIntoMinMax(IndexSum& sum) {
  if (sum.terms.size() < 2) return false;
  for (const IndexTerm& t : sum.terms) {
    auto* n = Expr(t.atom).As<BinaryNode>();
    if (!n || (n->op != BinaryOp::kMin && n->op != BinaryOp::kMax) || (t.coef != 1 && t.coef != -1)) continue;
    IndexSum a = sum, b;
    AddTerm(a, t.atom, -t.coef, interner_);
    b = a;
    const IndexSum &x = ToSum(n->a), &y = ToSum(n->b);
    AddScaled(a, x, t.coef, interner_);
    AddScaled(b, y, t.coef, interner_);
    // min(8*i + 8, n) - 8*i = min(8, n - 8*i), where that leaves less to compute.
    if (a.terms.size() + b.terms.size() >= x.terms.size() + y.terms.size() + sum.terms.size() - 1) continue;
    const bool min = (n->op == BinaryOp::kMin) == (t.coef > 0);
    sum = ToSum(MinMax(min ? BinaryOp::kMin : BinaryOp::kMax, FromSum(a), FromSum(b)));
    return true;
  }
  return false;
}

Expr AnalyzerImpl::BuildSum(const IndexSum& sum) {
  if (sum.terms.empty()) return Constant(sum.constant);
  if (sum.terms.size() == 1 && sum.terms[0].coef == 1 && sum.constant == 0) return Expr(sum.terms[0].atom);
  auto scaled = [&](const IndexTerm& t, int64_t k) {
    return k == 1 ? Expr(t.atom) : interner_.Intern(MakeBinary(BinaryOp::kMul, Expr(t.atom), Constant(k)));
  };
  Expr r;
  auto append = [&](BinaryOp op, const Expr& x) { r = r ? interner_.Intern(MakeBinary(op, r, x)) : x; };
  for (const IndexTerm& t : sum.terms) {
    if (t.coef > 0) append(BinaryOp::kAdd, scaled(t, t.coef));
  }
  // 8 - i rather than i * -1 + 8.
  const bool constant_first = !r && sum.constant != 0;
  if (constant_first) r = Constant(sum.constant);
  for (const IndexTerm& t : sum.terms) {
    if (t.coef >= 0) continue;
    if (r) {
      append(BinaryOp::kSub, scaled(t, -t.coef));
    } else {
      r = scaled(t, t.coef);
    }
  }
  if (!constant_first && sum.constant > 0) append(BinaryOp::kAdd, Constant(sum.constant));
  if (!constant_first && sum.constant < 0) append(BinaryOp::kSub, Constant(-sum.constant));
  sums_.try_emplace(r.get(), sum);
  return r;
}

Expr AnalyzerImpl::MulAtoms(const ExprNode* a, const ExprNode* b) {
  std::vector<Expr> factors;
  Flatten(BinaryOp::kMul, Expr(a), factors);
  Flatten(BinaryOp::kMul, Expr(b), factors);
  if (factors.size() > kMaxFactors) return Atom(BinaryOp::kMul, Expr(a), Expr(b));
  std::sort(factors.begin(), factors.end(),
            [&](const Expr& x, const Expr& y) { return interner_.Less(x.get(), y.get()); });
  Expr r = factors[0];
  for (size_t i = 1; i < factors.size(); ++i) r = Atom(BinaryOp::kMul, r, factors[i]);
  return r;
}

Expr AnalyzerImpl::Mul(const Expr& a, const Expr& b) {
  const IndexSum &x = ToSum(a), &y = ToSum(b);
  if (x.is_constant() || y.is_constant()) {
    IndexSum r = x.is_constant() ? y : x;
    Scale(r, x.is_constant() ? x.constant : y.constant);
    return FromSum(std::move(r));
  }
  if ((x.terms.size() + 1) * (y.terms.size() + 1) > kMaxExpandedTerms + 9) return Atom(BinaryOp::kMul, a, b);
  IndexSum r;
  AddScaled(r, x, y.constant, interner_);
  AddScaled(r, IndexSum{y.terms, 0}, x.constant, interner_);
  for (const IndexTerm& s : x.terms) {
    for (const IndexTerm& t : y.terms) {
      int64_t coef;
      if (__builtin_mul_overflow(s.coef, t.coef, &coef)) throw SumOverflow();
      AddTerm(r, MulAtoms(s.atom, t.atom).get(), coef, interner_);
    }
  }
  return FromSum(std::move(r));
}

Expr AnalyzerImpl::MinMax(BinaryOp op, const Expr& a, const Expr& b) {
  std::vector<Expr> operands, kept;
  Flatten(op, a, operands);
  Flatten(op, b, operands);
  // True where x makes y superfluous.
  auto covers = [&](const Expr& x, const Expr& y) {
    IndexSum d = op == BinaryOp::kMin ? ToSum(x) : ToSum(y);
    AddScaled(d, op == BinaryOp::kMin ? ToSum(y) : ToSum(x), -1, interner_);
    return ProveLeZero(d);
  };
  for (const Expr& x : operands) {
    if (kept.size() < kMaxComparedOperands) {
      if (std::any_of(kept.begin(), kept.end(), [&](const Expr& y) { return covers(y, x); })) continue;
      std::erase_if(kept, [&](const Expr& y) { return covers(x, y); });
    }
    kept.push_back(x);
  }
  // Constants come last.
  std::sort(kept.begin(), kept.end(), [&](const Expr& x, const Expr& y) {
    const bool p = AsInt(x).has_value(), q = AsInt(y).has_value();
    return p != q ? q : interner_.Less(x.get(), y.get());
  });
  Expr r = kept[0];
  for (size_t i = 1; i < kept.size(); ++i) r = Atom(op, r, kept[i]);
  return r;
}

}  // namespace tilewright
