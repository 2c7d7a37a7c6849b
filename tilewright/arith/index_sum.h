// SPDX-License-Identifier: Apache-2.0
// Internal to arith: sums of integer multiples of atoms (canonical index expressions that are not sums).
#pragma once

#include <cstdint>
#include <vector>

#include "tilewright/arith/intern.h"
#include "tilewright/ir/expr.h"

namespace tilewright {

struct IndexTerm {
  const ExprNode* atom;  ///< kept alive by the interner
  int64_t coef;          ///< not 0
  friend bool operator==(const IndexTerm&, const IndexTerm&) = default;
};

/// constant + the sum of coef * atom, atoms ascending in the interner's order and distinct.
struct IndexSum {
  std::vector<IndexTerm> terms;
  int64_t constant = 0;

  bool is_constant() const { return terms.empty(); }
  /// The coefficient of an atom; 0 where it does not occur.
  int64_t CoefOf(const ExprNode* atom) const;
  /// The gcd of all coefficients; 0 for a constant.
  int64_t Gcd() const;
  friend bool operator==(const IndexSum&, const IndexSum&) = default;
};

/// Thrown where a coefficient would overflow; what was attempted is then left undone. Never leaves arith.
struct SumOverflow {};

/// into += other * factor.
void AddScaled(IndexSum& into, const IndexSum& other, int64_t factor, ExprInterner& interner);
/// into += atom * coef.
void AddTerm(IndexSum& into, const ExprNode* atom, int64_t coef, ExprInterner& interner);
/// into *= factor.
void Scale(IndexSum& into, int64_t factor);

}  // namespace tilewright
