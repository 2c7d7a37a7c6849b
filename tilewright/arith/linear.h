// SPDX-License-Identifier: Apache-2.0
// Linear forms of integer expressions, and inequalities solved for one variable.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

/// coefficients[0] * vars[0] + ... + base; neither coefficients nor base mention the variables.
struct LinearForm {
  std::vector<Expr> coefficients;  ///< one per variable, of the expression's dtype; may be symbolic
  Expr base;
};

/// The linear form of an integer scalar in `vars`; no value where it is not linear in them. Types that wrap
/// around do so in the form too.
std::optional<LinearForm> DetectLinear(const Expr& e, std::span<const Var> vars, Analyzer& analyzer);

/// lower <= var <= upper; null where there is no such bound.
struct VarBounds {
  Expr lower = nullptr;
  Expr upper = nullptr;
};

/// The values of an index variable for which `condition` holds: exactly those within the bounds, whatever
/// values the other variables have. No value where the condition is not of that kind: comparisons (but for
/// !=) linear in `var` and conjunctions of them are. Conjuncts without `var` are not solved either.
std::optional<VarBounds> SolveForBound(const Expr& condition, const Var& var, Analyzer& analyzer);

}  // namespace tilewright
