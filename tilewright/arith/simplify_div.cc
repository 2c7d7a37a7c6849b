// SPDX-License-Identifier: Apache-2.0
// Division and modulus of index expressions. Both are taken apart the same way, so that x//c and x%c of one
// x keep matching numerators and combine again in sums.
#include <algorithm>
#include <numeric>

#include "tilewright/arith/analyzer_impl.h"
#include "tilewright/arith/eval.h"

namespace tilewright {

Expr AnalyzerImpl::FloorDivide(const Expr& a, const Expr& b) {
  if (auto c = AsInt(b)) {
    if (*c == 0 || *c == INT64_MIN) return Atom(BinaryOp::kFloorDiv, a, b);
    IndexSum x = ToSum(a);
    if (*c < 0) Scale(x, -1);
    return FloorDivConst(x, std::abs(*c));
  }
  IndexSum quotient, rest;
  SplitSymbolic(ToSum(a), b, quotient, rest);
  IndexSum above = rest, negated = rest;
  AddScaled(above, ToSum(b), -1, interner_);
  above.constant += 1;
  Scale(negated, -1);
  // The expression divides by b, so b is not 0, and a rest of 0 divides whatever its sign.
  if (rest == IndexSum() || (ProveLeZero(negated) && ProveLeZero(above))) return FromSum(quotient);
  const Interval bound = FloorDiv(Bound(rest), Bound(b));
  if (bound.is_point()) {
    AddScaled(quotient, IndexSum{{}, bound.min}, 1, interner_);
  } else {
    AddTerm(quotient, Atom(BinaryOp::kFloorDiv, FromSum(rest), b).get(), 1, interner_);
  }
  return FromSum(quotient);
}

Expr AnalyzerImpl::FloorModulo(const Expr& a, const Expr& b) {
  if (auto c = AsInt(b)) {
    if (*c == 0 || *c == INT64_MIN) return Atom(BinaryOp::kFloorMod, a, b);
    if (*c > 0) return FloorModConst(ToSum(a), *c);
    // a % -c = -(-a % c)
    IndexSum x = ToSum(a);
    Scale(x, -1);
    IndexSum r = ToSum(FloorModConst(x, -*c));
    Scale(r, -1);
    return FromSum(r);
  }
  IndexSum quotient, rest;
  SplitSymbolic(ToSum(a), b, quotient, rest);
  IndexSum above = rest, negated = rest;
  AddScaled(above, ToSum(b), -1, interner_);
  above.constant += 1;
  Scale(negated, -1);
  if (rest == IndexSum() || (ProveLeZero(negated) && ProveLeZero(above))) return FromSum(rest);
  return Atom(BinaryOp::kFloorMod, FromSum(rest), b);
}

Expr AnalyzerImpl::Truncated(BinaryOp op, const Expr& a, const Expr& b) {
  const Interval x = Bound(a), y = Bound(b);
  const bool div = op == BinaryOp::kTruncDiv;
  if ((x.min >= 0 && y.min > 0) || (x.max <= 0 && y.max < 0))
    return div ? FloorDivide(a, b) : FloorModulo(a, b);
  return Atom(op, a, b);
}

bool AnalyzerImpl::IsMultiple(const IndexTerm& t, int64_t c) {
  if (t.coef % c == 0) return true;
  const Modular m = ModularOf(Expr(t.atom));
  if (m.remainder != 0) return false;
  return __int128(t.coef % c) * (m.multiple % c) % c == 0;
}

void AnalyzerImpl::AddQuotient(IndexSum& into, const IndexTerm& t, int64_t c) {
  const int64_t g = std::gcd(t.coef, c), d = c / g;
  if (d == 1) return AddTerm(into, t.atom, t.coef / g, interner_);
  // The coefficient has no factor in common with d, so the atom itself is a multiple of d.
  const Expr atom(t.atom);
  auto* n = atom.As<BinaryNode>();
  int64_t product;
  if (n && n->op == BinaryOp::kFloorDiv && AsInt(n->b) && *AsInt(n->b) > 0 &&
      !__builtin_mul_overflow(*AsInt(n->b), d, &product)) {
    const Expr nested = FloorDivConst(ToSum(n->a), product);
    return AddScaled(into, ToSum(nested), t.coef / g, interner_);
  }
  AddTerm(into, Atom(BinaryOp::kFloorDiv, atom, Constant(d)).get(), t.coef / g, interner_);
}

// a = c * quotient + rest, where rest has no term that c divides and 0 <= constant < c. Larger coefficients
// stay whole: (o*64 + l) // 56 is a cut of a fused space, which o + (o*8 + l) // 56 would hide.
void AnalyzerImpl::SplitBy(const IndexSum& a, int64_t c, IndexSum& quotient, IndexSum& rest) {
  quotient.constant = FloorDivInt(a.constant, c);
  rest.constant = FloorModInt(a.constant, c);
  for (const IndexTerm& t : a.terms) {
    if (IsMultiple(t, c)) {
      AddQuotient(quotient, t, c);
    } else {
      rest.terms.push_back(t);
    }
  }
}

std::optional<int64_t> AnalyzerImpl::BlockOf(const IndexSum& s, int64_t c) {
  auto block = [&](const Interval& b) -> std::optional<int64_t> {
    if (b.min == INT64_MIN || b.max == INT64_MAX) return std::nullopt;
    const int64_t q = FloorDivInt(b.min, c);
    return q == FloorDivInt(b.max, c) ? std::optional(q) : std::nullopt;
  };
  if (auto q = block(Bound(s))) return q;
  return facts_.empty() ? std::nullopt : block(BoundByFacts(s));
}

std::vector<int64_t> AnalyzerImpl::CommonDivisors(const IndexSum& s, int64_t c) {
  std::vector<int64_t> r;
  for (const IndexTerm& t : s.terms) {
    const Modular m = ModularOf(Expr(t.atom));
    int64_t multiple = t.coef;
    if (m.remainder == 0 && m.multiple > 1 && __builtin_mul_overflow(t.coef, m.multiple, &multiple)) continue;
    const int64_t g = std::gcd(multiple, c);
    if (g > 1 && g < c && std::find(r.begin(), r.end(), g) == r.end()) r.push_back(g);
  }
  std::sort(r.rbegin(), r.rend());
  return r;
}

// Where rest = high + low, all of high is a multiple of a divisor g of c, and low stays within
// [g*b, g*b + g): neither rest // c nor rest % c - low depends on where. Leaves high + g*b in `rest` and
// returns low - g*b; no value where there is nothing to drop.
std::optional<IndexSum> AnalyzerImpl::DropLow(IndexSum& rest, int64_t c) {
  for (int64_t g : CommonDivisors(rest, c)) {
    IndexSum high, low;
    for (const IndexTerm& t : rest.terms) (IsMultiple(t, g) ? high : low).terms.push_back(t);
    low.constant = rest.constant;
    const auto block = BlockOf(low, g);
    if (!block) continue;
    high.constant = *block * g;
    low.constant -= high.constant;
    if (low == IndexSum()) continue;
    rest = std::move(high);
    return low;
  }
  return std::nullopt;
}

namespace {

void DivideExactly(IndexSum& s, int64_t g) {
  for (IndexTerm& t : s.terms) t.coef /= g;
  s.constant /= g;
}

}  // namespace

Expr AnalyzerImpl::FloorDivConst(const IndexSum& a, int64_t c) {
  if (c == 1) return FromSum(a);
  IndexSum quotient, rest;
  SplitBy(a, c, quotient, rest);
  auto add = [&](const IndexSum& s) {
    AddScaled(quotient, s, 1, interner_);
    return FromSum(quotient);
  };
  if (auto block = BlockOf(rest, c)) return add(IndexSum{{}, *block});
  if (DropLow(rest, c)) {
    const Expr high = FloorDivConst(rest, c);
    return add(ToSum(high));
  }
  if (const int64_t g = std::gcd(std::gcd(rest.Gcd(), rest.constant), c); g > 1) {
    DivideExactly(rest, g);
    const Expr reduced = FloorDivConst(rest, c / g);
    return add(ToSum(reduced));
  }
  if (rest.terms.size() == 1 && rest.terms[0].coef == 1) {
    auto* n = Expr(rest.terms[0].atom).As<BinaryNode>();
    const auto d = n ? AsInt(n->b) : std::nullopt;
    int64_t product, offset;
    // (x//d + k) // c = (x + k*d) // (c*d)
    if (d && *d > 0 && n->op == BinaryOp::kFloorDiv && !__builtin_mul_overflow(*d, c, &product) &&
        !__builtin_mul_overflow(*d, rest.constant, &offset)) {
      IndexSum x = ToSum(n->a);
      AddScaled(x, IndexSum{{}, offset}, 1, interner_);
      const Expr merged = FloorDivConst(x, product);
      return add(ToSum(merged));
    }
    // (x % d) // c = (x//c) % (d/c)
    if (d && *d > 0 && n->op == BinaryOp::kFloorMod && *d % c == 0 && rest.constant == 0) {
      const Expr high = FloorDivConst(ToSum(n->a), c);
      const Expr part = FloorModConst(ToSum(high), *d / c);
      return add(ToSum(part));
    }
  }
  AddTerm(quotient, Atom(BinaryOp::kFloorDiv, FromSum(rest), Constant(c)).get(), 1, interner_);
  return FromSum(quotient);
}

Expr AnalyzerImpl::FloorModConst(const IndexSum& a, int64_t c) {
  if (c == 1) return Constant(0);
  IndexSum quotient, rest;
  SplitBy(a, c, quotient, rest);
  if (auto block = BlockOf(rest, c)) {
    AddScaled(rest, IndexSum{{}, c}, -*block, interner_);
    return FromSum(rest);
  }
  if (auto low = DropLow(rest, c)) {
    const Expr high = FloorModConst(rest, c);
    AddScaled(*low, ToSum(high), 1, interner_);
    return FromSum(*low);
  }
  if (const int64_t g = std::gcd(std::gcd(rest.Gcd(), rest.constant), c); g > 1) {
    DivideExactly(rest, g);
    IndexSum r = ToSum(FloorModConst(rest, c / g));
    Scale(r, g);
    return FromSum(r);
  }
  for (const IndexTerm& t : rest.terms) {
    // k*(x % d) and k*x differ by a multiple of k*d, which c divides.
    auto* n = Expr(t.atom).As<BinaryNode>();
    const auto d = n && n->op == BinaryOp::kFloorMod ? AsInt(n->b) : std::nullopt;
    if (!d || *d <= 0 || __int128(t.coef) * *d % c != 0) continue;
    const IndexTerm mod = t;
    AddTerm(rest, mod.atom, -mod.coef, interner_);
    AddScaled(rest, ToSum(n->a), mod.coef, interner_);
    return FloorModConst(rest, c);
  }
  return Atom(BinaryOp::kFloorMod, FromSum(rest), Constant(c));
}

namespace {

/// The factors of `atom` without those of `by`, as a multiset; no value where one is missing.
std::optional<std::vector<Expr>> RemoveFactors(const Expr& atom, const Expr& by) {
  std::vector<Expr> factors;
  auto flatten = [](auto& self, const Expr& e, std::vector<Expr>& out) -> void {
    auto* n = e.As<BinaryNode>();
    if (!n || n->op != BinaryOp::kMul) return out.push_back(e);
    self(self, n->a, out);
    self(self, n->b, out);
  };
  std::vector<Expr> divisors;
  flatten(flatten, atom, factors);
  flatten(flatten, by, divisors);
  for (const Expr& d : divisors) {
    auto it = std::find(factors.begin(), factors.end(), d);
    if (it == factors.end()) return std::nullopt;
    factors.erase(it);
  }
  return factors;
}

}  // namespace

// a = b * quotient + rest, for a divisor that is not constant.
void AnalyzerImpl::SplitSymbolic(const IndexSum& a, const Expr& b, IndexSum& quotient, IndexSum& rest) {
  const IndexSum divisor = ToSum(b);
  rest = a;
  if (divisor.terms.size() > 1 || divisor.constant != 0) {
    // A divisor of several terms: take away as much of it as its first term allows.
    const auto [atom, k] = divisor.terms.front();
    const int64_t have = a.CoefOf(atom);
    if (have == 0 || have % k != 0) return;
    AddScaled(rest, divisor, -(have / k), interner_);
    if (rest.terms.size() >= a.terms.size()) {
      rest = a;
    } else {
      quotient.constant = have / k;
    }
    return;
  }
  const auto [atom, k] = divisor.terms.front();
  for (const IndexTerm& t : a.terms) {
    if (t.coef % k != 0) continue;
    auto left = RemoveFactors(Expr(t.atom), Expr(atom));
    if (!left) continue;
    AddTerm(rest, t.atom, -t.coef, interner_);
    Expr product = Constant(1);
    for (const Expr& factor : *left) product = Mul(product, factor);
    AddScaled(quotient, ToSum(product), t.coef / k, interner_);
  }
}

}  // namespace tilewright
