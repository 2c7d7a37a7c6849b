// SPDX-License-Identifier: Apache-2.0
// Index expressions as sums of digits of other expressions: what split, fuse and layout maps produce.
// A digit of x is (x % upper) // lower: x in a mixed radix system.
#pragma once

#include <optional>
#include <vector>

#include "tilewright/schedule/bounds.h"

namespace tilewright {

struct Digit {
  Expr source;
  Expr lower;  ///< positive
  Expr upper;  ///< a multiple of lower; null: no upper end
  Expr ToExpr() const;
};

struct DigitTerm {
  int64_t coefficient;
  Digit digit;
};

/// constant + sum of coefficient * digit. The constant may be symbolic, over variables not asked about.
struct DigitSum {
  Expr constant = Expr(0);
  std::vector<DigitTerm> terms;
};

/// The expression as a sum of digits over `vars`; none where it is no such sum.
std::optional<DigitSum> ParseDigits(const Expr& e, const std::vector<Var>& vars);

/// Per variable, true only if the values of `exprs` tell its value, whatever else they depend on being fixed.
/// `vars` must name all variables that vary; one with a single value is told by nothing.
std::vector<bool> Determined(const std::vector<Expr>& exprs, const std::vector<Var>& vars,
                             const Bounds& bounds);

}  // namespace tilewright
