// SPDX-License-Identifier: Apache-2.0
// Internal to arith: the engine behind Analyzer. Functions marked "canonical" take and return interned
// expressions in canonical form.
#pragma once

#include "tilewright/arith/index_sum.h"
#include "tilewright/arith/interval.h"
#include "tilewright/ir/expr.h"

namespace tilewright {

class AnalyzerImpl {
 public:
  // ---- Facts (facts.cc).
  void BindRange(const Var& var, const Range& range);
  void BindValue(const Var& var, const Expr& value);
  void BindInterval(const Var& var, Interval interval);
  /// Starts a scope in which the canonical `condition` has the given value; EndScope ends the latest.
  void BeginScope(const Expr& condition, bool value);
  void EndScope();

  // ---- Simplification (simplify.cc and simplify_*.cc).
  /// The canonical form of any expression.
  Expr Visit(const Expr& e);
  /// The canonical form of an operation on canonical operands.
  Expr Binary(BinaryOp op, const Expr& a, const Expr& b);
  Expr Not(const Expr& value);

  // ---- Sums (simplify_sum.cc).
  /// A canonical index expression as a sum; the reference lives as long as the interner.
  const IndexSum& ToSum(const Expr& canonical);
  /// The canonical expression of a sum, after the terms that combine have been combined.
  Expr FromSum(IndexSum sum);
  Expr Constant(int64_t value) { return interner_.Intern(Expr(value)); }

  // ---- Bounds and proofs (bounds.cc). All operands canonical.
  /// Of an integer or bool scalar, from the bounds of its parts.
  Interval Bound(const Expr& e);
  Interval Bound(const IndexSum& s);
  /// As Bound, and by the facts that relate variables.
  Interval BoundByFacts(const IndexSum& s);
  /// s <= 0 follows from bounds and facts.
  bool ProveLeZero(const IndexSum& s);
  Modular ModularOf(const Expr& e);
  Modular ModularOf(const IndexSum& s);

  ExprInterner& interner() { return interner_; }

 private:
  /// Conditions within one expression are assumed up to this nesting.
  static constexpr int kMaxAssumptions = 2;

  struct Memo {
    std::unordered_map<const ExprNode*, std::pair<Expr, Expr>> simplified;  ///< node -> {node, result}
    std::unordered_map<const ExprNode*, Interval> bounds;
    std::unordered_map<const ExprNode*, Modular> residues;
  };
  struct Fact {
    IndexSum sum;          ///< <= 0
    const VarNode* owner;  ///< the variable whose range states it; null for an assumption

    /// Whether it may be used for this sum. The range of a variable implies that it is not empty, which is so
    /// where the variable is in scope; a sum in which it occurs stands nowhere else.
    bool IsAbout(const IndexSum& s) const { return !owner || s.CoefOf(owner) != 0; }
  };
  /// What EndScope restores.
  struct Scope {
    size_t facts;
    std::vector<std::pair<const ExprNode*, std::optional<Interval>>> bounds;
    std::vector<std::pair<const ExprNode*, std::optional<Modular>>> residues;
    std::vector<std::pair<const ExprNode*, std::optional<bool>>> truths;
  };

  // facts.cc
  void Forget(const Var& var);
  void ClearMemos();
  void Learn(const Expr& condition, bool value);
  void LearnComparison(BinaryOp op, const Expr& a, const Expr& b);
  void LearnLeZero(IndexSum sum, const VarNode* owner);
  void LearnNotZero(const IndexSum& sum);
  void LearnBound(const ExprNode* atom, Interval interval);
  void LearnResidue(const ExprNode* atom, Modular residue);
  void LearnTruth(const Expr& condition, bool value);

  // simplify.cc
  Expr VisitUncached(const Expr& e);
  Expr VisitVar(const Expr& e);
  Expr VisitBinary(const Expr& e, const BinaryNode& n);
  Expr VisitChoice(const Expr& e, const Expr& condition, const Expr& t, const Expr& f);
  Expr VisitCast(const CastNode& n);
  Expr VisitCall(const Expr& call);
  Expr VisitLet(const LetNode& n);
  Expr BuildChoice(ExprKind kind, const Expr& c, const Expr& t, const Expr& f);
  Expr VisitUnder(const Expr& condition, bool value, const Expr& e);
  Expr VisitStrictlyUnder(const Expr& condition, bool value, const Expr& e);
  bool NeverTraps(const Expr& canonical);
  Expr Atom(BinaryOp op, const Expr& a, const Expr& b);
  Expr IndexBinary(BinaryOp op, const Expr& a, const Expr& b);

  // simplify_sum.cc
  void Collect(const Expr& e, int64_t factor, IndexSum& into);
  bool CombineTerms(IndexSum& sum);
  bool CombineDivMod(IndexSum& sum, const IndexTerm& div);
  bool CombineModMod(IndexSum& sum, const IndexTerm& mod);
  bool CombineOpenDigits(IndexSum& sum, const IndexTerm& low);
  bool AbsorbIntoMinMax(IndexSum& sum);
  Expr BuildSum(const IndexSum& sum);
  Expr Mul(const Expr& a, const Expr& b);
  Expr MulAtoms(const ExprNode* a, const ExprNode* b);
  Expr MinMax(BinaryOp op, const Expr& a, const Expr& b);

  // simplify_div.cc
  Expr FloorDivide(const Expr& a, const Expr& b);
  Expr FloorModulo(const Expr& a, const Expr& b);
  Expr Truncated(BinaryOp op, const Expr& a, const Expr& b);
  Expr FloorDivConst(const IndexSum& a, int64_t c);
  Expr FloorModConst(const IndexSum& a, int64_t c);
  void SplitBy(const IndexSum& a, int64_t c, IndexSum& quotient, IndexSum& rest);
  bool IsMultiple(const IndexTerm& t, int64_t c);
  void AddQuotient(IndexSum& into, const IndexTerm& t, int64_t c);
  std::optional<int64_t> BlockOf(const IndexSum& s, int64_t c);
  std::vector<int64_t> CommonDivisors(const IndexSum& s, int64_t c);
  std::optional<IndexSum> DropLow(IndexSum& rest, int64_t c);
  void SplitSymbolic(const IndexSum& a, const Expr& b, IndexSum& quotient, IndexSum& rest);

  // simplify_logic.cc
  Expr Compare(BinaryOp op, const Expr& a, const Expr& b);
  Expr CompareLeZero(IndexSum d);
  Expr CompareEqZero(IndexSum d);
  Expr BuildComparison(BinaryOp op, const IndexSum& d);
  Expr KnownTruth(const Expr& comparison);
  Expr VisitJunction(BinaryOp op, const Expr& e);

  // simplify_vector.cc
  Expr OtherBinary(BinaryOp op, const Expr& a, const Expr& b);
  Expr FoldFloats(BinaryOp op, const Expr& a, const Expr& b);
  Expr VectorBinary(BinaryOp op, const Expr& a, const Expr& b);
  /// Interns an expression whose operands may not be.
  Expr InternTree(const Expr& e);

  // bounds.cc
  Interval BoundUncached(const Expr& e);
  Modular ModularOfUncached(const Expr& e);
  int64_t UpperBound(const IndexSum& s, int64_t target, int& budget, int depth);
  int64_t BoundByFact(const IndexSum& s, const IndexSum& fact, int64_t have, int64_t want, int64_t target,
                      int& budget, int depth);
  int64_t BoundByProducts(const IndexSum& s, const IndexTerm& t, int64_t target, int& budget, int depth);
  int64_t BoundByReplacing(const IndexSum& s, const IndexTerm& t, int64_t target, int& budget, int depth);

  ExprInterner interner_;
  std::unordered_map<const ExprNode*, IndexSum> sums_;
  std::unordered_map<const ExprNode*, bool> never_traps_;
  std::vector<Memo> memos_ = std::vector<Memo>(1);
  std::vector<Scope> scopes_;
  std::vector<Fact> facts_;
  std::unordered_map<const ExprNode*, Interval> known_bounds_;
  std::unordered_map<const ExprNode*, Modular> known_residues_;
  std::unordered_map<const ExprNode*, bool> known_truths_;
  std::unordered_map<const ExprNode*, Expr> values_;
  bool combining_ = false;  ///< within CombineOpenDigits
  int assumptions_ = 0;     ///< nesting of conditions met within one expression
};

}  // namespace tilewright
