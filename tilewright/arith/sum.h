// SPDX-License-Identifier: Apache-2.0
// Internal to arith: sums of integer multiples of atoms (canonical index expressions that are not sums).
#pragma once

#include <cstdint>
#include <vector>

#include "tilewright/arith/intern.h"
#include "tilewright/ir/expr.h"

namespace tilewright {

struct Term {
  const ExprNode* atom;  ///< kept alive by the interner
  int64_t coef;          ///< not 0
  friend bool operator==(const Term&, const Term&) = default;
};

/// constant + the sum of coef * atom, atoms ascending in the interner's order and distinct.
struct Sum {
  std::vector<Term> terms;
  int64_t constant = 0;

  bool is_constant() const { return terms.empty(); }
  /// The coefficient of an atom; 0 where it does not occur.
  int64_t CoefOf(const ExprNode* atom) const;
  /// The gcd of all coefficients; 0 for a constant.
  int64_t Gcd() const;
  friend bool operator==(const Sum&, const Sum&) = default;
};

/// Thrown where a coefficient would overflow; what was attempted is then left undone. Never leaves arith.
struct SumOverflow {};

/// into += other * factor.
void AddScaled(Sum& into, const Sum& other, int64_t factor, Interner& interner);
/// into += atom * coef.
void AddTerm(Sum& into, const ExprNode* atom, int64_t coef, Interner& interner);
/// into *= factor.
void Scale(Sum& into, int64_t factor);

}  // namespace tilewright
