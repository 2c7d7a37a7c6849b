// SPDX-License-Identifier: Apache-2.0
// What variables and buffers are while a kernel is emitted, and where in the code each becomes known.
//
// Scopes nest as loops and lets do. Each has an anchor: a place that follows the definition of its variables
// and dominates everything emitted inside it. Address arithmetic goes to the anchor of the outermost scope
// that knows its operands, once per distinct linear form, and so leaves the inner loops.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <optional>
#include <unordered_map>
#include <utility>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright::llvm_codegen {

/// sum(coefficient * term) + constant over index expressions; terms are distinct.
struct AddressForm {
  std::vector<std::pair<Expr, int64_t>> terms;
  int64_t constant = 0;
};

struct ScopedValue {
  llvm::Value* value = nullptr;
  int scope = 0;  ///< index of the scope that defines it
  bool nonnegative = false;
  std::optional<AddressForm> linear;  ///< what it stands for, when that is cheaper to see through
};

struct Scope {
  /// A value computed at the anchor: the part of an address of `buffer` (null: of a plain number) over
  /// `terms`.
  struct Cached {
    const BufferNode* buffer;
    std::vector<std::pair<Expr, int64_t>> terms;
    llvm::Value* value;
  };
  llvm::Instruction* anchor;  ///< code is inserted before it
  std::unordered_multimap<uint64_t, Cached> cache;
  std::vector<std::pair<const VarNode*, std::optional<ScopedValue>>> shadowed;  ///< to restore on leaving
};

class ScopeStack {
 public:
  explicit ScopeStack(llvm::IRBuilder<>& builder) : b_(builder) {}

  /// Opens a scope whose anchor is the builder's present position.
  void Push();
  void PopTo(size_t depth);
  size_t depth() const { return scopes_.size(); }
  /// Defines a variable in the innermost scope.
  void Bind(const Var& var, ScopedValue binding);
  const ScopedValue* Find(const VarNode* var) const;
  const ScopedValue& Get(const VarNode* var) const;

  Scope& scope(int index) { return scopes_[index]; }
  int current() const { return int(scopes_.size()) - 1; }

  /// The index expression as a linear form over what cannot be split further.
  AddressForm Linearize(const Expr& index) const;
  /// The outermost scope in which the expression may be computed ahead of its use; the innermost one when it
  /// reads memory, branches or could trap, so that it must stay where it stands.
  int LevelOf(const Expr& e) const;
  bool IsHoistable(const Expr& e) const;
  /// Whether an integer expression is known never to be negative.
  bool IsNonNegative(const Expr& e) const;

  /// Removes the anchors once the function is complete.
  void EraseAnchors();

 private:
  void AddLinear(const Expr& e, int64_t scale, AddressForm& out) const;
  int MaxLevel(const Expr& e) const;

  llvm::IRBuilder<>& b_;
  std::vector<Scope> scopes_;
  std::vector<llvm::Instruction*> anchors_;
  std::unordered_map<const VarNode*, ScopedValue> bindings_;
};

/// Leaves the scopes that were opened since its construction.
class ScopeMark {
 public:
  explicit ScopeMark(ScopeStack& stack) : stack_(stack), depth_(stack.depth()) {}
  ~ScopeMark() { stack_.PopTo(depth_); }
  ScopeMark(const ScopeMark&) = delete;
  ScopeMark& operator=(const ScopeMark&) = delete;

 private:
  ScopeStack& stack_;
  size_t depth_;
};

uint64_t HashTerms(const BufferNode* buffer, const std::vector<std::pair<Expr, int64_t>>& terms);
bool SameTerms(const std::vector<std::pair<Expr, int64_t>>& a,
               const std::vector<std::pair<Expr, int64_t>>& b);

}  // namespace tilewright::llvm_codegen
