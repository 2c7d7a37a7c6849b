// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/index_sum.h"

#include <algorithm>
#include <numeric>

namespace tilewright {

int64_t IndexSum::CoefOf(const ExprNode* atom) const {
  for (const IndexTerm& t : terms) {
    if (t.atom == atom) return t.coef;
  }
  return 0;
}

int64_t IndexSum::Gcd() const {
  int64_t g = 0;
  for (const IndexTerm& t : terms) g = std::gcd(g, t.coef);
  return g;
}

namespace {

/// into += value * factor. INT64_MIN is refused, so that negation stays exact.
void Accumulate(int64_t& into, int64_t value, int64_t factor) {
  int64_t product;
  if (__builtin_mul_overflow(value, factor, &product) || __builtin_add_overflow(into, product, &into) ||
      into == INT64_MIN) {
    throw SumOverflow();
  }
}

}  // namespace

void AddScaled(IndexSum& into, const IndexSum& other, int64_t factor, ExprInterner& interner) {
  if (factor == 0) return;
  Accumulate(into.constant, other.constant, factor);
  if (other.terms.empty()) return;
  std::vector<IndexTerm> merged;
  merged.reserve(into.terms.size() + other.terms.size());
  auto a = into.terms.begin(), a_end = into.terms.end();
  for (const IndexTerm& b : other.terms) {
    while (a != a_end && a->atom != b.atom && interner.Less(a->atom, b.atom)) merged.push_back(*a++);
    IndexTerm t{b.atom, 0};
    if (a != a_end && a->atom == b.atom) t.coef = a++->coef;
    Accumulate(t.coef, b.coef, factor);
    if (t.coef != 0) merged.push_back(t);
  }
  merged.insert(merged.end(), a, a_end);
  into.terms = std::move(merged);
}

void AddTerm(IndexSum& into, const ExprNode* atom, int64_t coef, ExprInterner& interner) {
  if (coef == 0) return;
  auto at = into.terms.begin();
  while (at != into.terms.end() && at->atom != atom && interner.Less(at->atom, atom)) ++at;
  if (at == into.terms.end() || at->atom != atom) {
    if (coef == INT64_MIN) throw SumOverflow();
    into.terms.insert(at, {atom, coef});
    return;
  }
  Accumulate(at->coef, coef, 1);
  if (at->coef == 0) into.terms.erase(at);
}

void Scale(IndexSum& into, int64_t factor) {
  if (factor == 0) {
    into = IndexSum();
    return;
  }
  int64_t c = 0;
  Accumulate(c, into.constant, factor);
  into.constant = c;
  for (IndexTerm& t : into.terms) {
    int64_t k = 0;
    Accumulate(k, t.coef, factor);
    t.coef = k;
  }
}

}  // namespace tilewright
