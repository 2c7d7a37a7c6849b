// SPDX-License-Identifier: Apache-2.0
// Internal to arith: canonical expressions are interned, so that equality is identity, and ordered.
#pragma once

#include "tilewright/ir/expr.h"

namespace tilewright {

/// Keeps one node per expression. Operands of an interned node are interned.
class ExprInterner {
 public:
  /// The node equal to `e`, whose operands must be interned.
  Expr Intern(const Expr& e);
  bool Contains(const Expr& e) const { return nodes_.contains(e); }
  /// Gives `var` its place in the order of terms, if it has none yet.
  void Touch(const VarNode* var) { RankOf(var); }
  /// A total order of interned nodes: by the leftmost variable, in the order in which variables were met;
  /// then by structure. It does not depend on names or addresses.
  int Compare(const ExprNode* a, const ExprNode* b);
  bool Less(const ExprNode* a, const ExprNode* b) { return Compare(a, b) < 0; }

 private:
  size_t RankOf(const ExprNode* var);

  struct Hash {
    size_t operator()(const Expr& e) const;
  };
  struct Equal {
    bool operator()(const Expr& a, const Expr& b) const;
  };
  std::unordered_map<Expr, uint32_t, Hash, Equal> nodes_;  ///< with the order of insertion
  std::unordered_map<const ExprNode*, size_t> var_rank_;
};

}  // namespace tilewright
