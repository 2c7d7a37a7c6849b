// SPDX-License-Identifier: Apache-2.0
// Integer reasoning: simplification, bounds, residues and proofs under what is known of variables.
#pragma once

#include <memory>

#include "tilewright/arith/interval.h"
#include "tilewright/ir/expr.h"

namespace tilewright {

class AnalyzerImpl;

/// A scope in which a condition holds; ends with the object. Scopes end in the reverse order of their start.
class [[nodiscard]] Constraint {
 public:
  explicit Constraint(AnalyzerImpl* impl) : impl_(impl) {}
  Constraint(Constraint&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  Constraint& operator=(Constraint&&) = delete;
  ~Constraint();

 private:
  AnalyzerImpl* impl_;
};

/// Holds facts about variables and answers questions under them. Every answer is sound under the facts and
/// under the semantics of docs/ir.md: arithmetic on i64 does not overflow, other integer types wrap around,
/// floats follow IEEE 754, and what the expression divides by is not zero.
///
/// One Analyzer serves one walk over a function; it is not shared between threads. Answers are memoised, so
/// asking again is cheap; memory grows with the number of distinct expressions seen.
class Analyzer {
 public:
  Analyzer();
  ~Analyzer();
  Analyzer(const Analyzer&) = delete;
  Analyzer& operator=(const Analyzer&) = delete;

  /// `var` lies in [range.min, range.min + range.extent); both may be symbolic. A variable may be bound
  /// again: what was known of it before is dropped.
  void Bind(const Var& var, Range range);
  /// `var` equals `value` and is replaced by it.
  void Bind(const Var& var, Expr value);
  void Bind(const Var& var, Interval interval);
  /// Until the result goes out of scope, `condition` holds. Conditions on loaded values are left out,
  /// since a store may change them within the scope.
  Constraint Assume(const Expr& condition);

  /// An equal expression in canonical form: index sums are ordered, merged and free of divisions that the
  /// bounds decide; conditions that are decided are constants. Simplifying twice changes nothing.
  Expr Simplify(const Expr& e);
  /// True only if `condition` holds whenever the facts do; false means "not proved".
  bool CanProve(const Expr& condition);
  /// True only if both are always equal; false means "not proved". Floats: equal bit for bit.
  bool CanProveEqual(const Expr& a, const Expr& b);
  /// Bounds of an integer or bool scalar; not always the tightest.
  Interval ConstBound(const Expr& e);
  /// A residue class that contains every value of an integer scalar.
  Modular ModularOf(const Expr& e);

 private:
  std::unique_ptr<AnalyzerImpl> impl_;
};

}  // namespace tilewright
