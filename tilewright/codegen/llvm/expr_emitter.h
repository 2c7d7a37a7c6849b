// SPDX-License-Identifier: Apache-2.0
// Expressions, loads and stores as LLVM instructions: one value per expression node and statement.
#pragma once

#include <optional>
#include <unordered_map>
#include <vector>

#include "tilewright/codegen/llvm/numeric.h"
#include "tilewright/codegen/llvm/scope.h"
#include "tilewright/tir/stmt.h"

namespace tilewright::llvm_codegen {

class ExprEmitter {
 public:
  ExprEmitter(llvm::IRBuilder<>& builder, Numeric& numeric, ScopeStack& scopes)
      : b_(builder), num_(numeric), scopes_(scopes), memo_(1) {}

  /// Forgets the values of expressions: memory may have changed, or another block begins.
  void BeginStatement() { memo_.assign(1, {}), barrier_ = 0; }
  llvm::Value* Emit(const Expr& e);
  void EmitStore(const StoreNode& store);
  void EmitPrefetch(const CallNode& call);
  llvm::Value* ElementAddress(const Buffer& buffer, const Expr& index) {
    return Address(*buffer, index).first;
  }

  /// Binds the variable to a value, opening a scope that starts here.
  void BindInNewScope(const Var& var, llvm::Value* value, bool nonnegative,
                      std::optional<AddressForm> linear = {});
  /// Binds `var = value` of a let, in a scope of its own if addresses may depend on it.
  void BindLet(const Var& var, const Expr& value);
  /// Where the buffer's first element is: a value known at the anchor of `scope`.
  void DefineBuffer(const Buffer& buffer, llvm::Value* base, int scope) {
    bases_[buffer.get()] = {base, scope};
  }

 private:
  // expr_emitter.cc
  llvm::Value* EmitNode(const Expr& e);
  llvm::Value* EmitBinary(const BinaryNode& n);
  llvm::Value* EmitIfThenElse(const IfThenElseNode& n);
  llvm::Value* EmitLet(const LetNode& n);
  llvm::Value* EmitCall(const CallNode& n);
  llvm::Value* EmitRamp(const RampNode& n);
  llvm::Value* EmitShuffle(const ShuffleNode& n);
  llvm::Value* CompareRamps(const BinaryNode& n);
  /// A value on a path of its own: `make` runs in a block entered when `condition` holds; else `otherwise`.
  template <class F>
  llvm::Value* EmitGuarded(llvm::Value* condition, llvm::Value* otherwise, F&& make);

  // memory.cc
  /// base + i * stride for lane i.
  struct RampForm {
    Expr base;
    int64_t stride;
  };
  std::optional<RampForm> AsRamp(const Expr& index) const;
  Expr FlatIndex(const BufferNode& buffer, const std::vector<Expr>& indices) const;
  llvm::Value* EmitLoad(const LoadNode& n);
  llvm::Value* LoadVector(const LoadNode& n, const Expr& index);
  void StoreVector(const StoreNode& n, const Expr& index, llvm::Value* value);
  /// The address of element `index` and its known alignment.
  std::pair<llvm::Value*, llvm::Align> Address(const BufferNode& buffer, const Expr& index);
  llvm::Value* HoistedPart(const BufferNode& buffer, int level,
                           const std::vector<std::pair<Expr, int64_t>>& prefix, size_t first,
                           llvm::Value* pointer);
  llvm::Value* IndexTerm(const Expr& term, int level);
  llvm::Value* AddTerms(llvm::Value* pointer, std::span<const std::pair<Expr, int64_t>> terms, int level);
  // lane_offsets.cc
  /// base + offsets[i] for lane i.
  struct OffsetForm {
    Expr base;
    std::vector<int64_t> offsets;
  };
  std::optional<OffsetForm> AsOffsets(const Expr& index) const;
  /// What variables of vectors of integers stand for.
  std::unordered_map<const VarNode*, Expr> vector_lets_;
  /// The quotient or remainder, where lanes and base can be divided apart.
  std::optional<OffsetForm> DivideOffsets(BinaryOp op, const OffsetForm& form, int64_t divisor) const;
  /// The elements as they lie in memory, by loads of vectors and shuffles; null where the distances are not
  /// known or so large that a gather is cheaper.
  llvm::Value* LoadSpan(const BufferNode& buffer, const Expr& index);
  /// Four vectors of elements that lie in fours; null for others.
  llvm::Value* LoadFours(const BufferNode& buffer, const Expr& index);
  /// Stores lanes that lie in runs, and returns whether they do.
  bool StoreRuns(const BufferNode& buffer, const Expr& index, llvm::Value* value);
  // memory.cc
  /// One pointer per lane for a gather or scatter.
  llvm::Value* LanePointers(const BufferNode& buffer, const Expr& index, int lanes);
  struct BufferBase {
    llvm::Value* value;
    int scope;
  };
  const BufferBase& Base(const BufferNode& buffer) const;

  llvm::IRBuilder<>& b_;
  Numeric& num_;
  ScopeStack& scopes_;
  std::unordered_map<const BufferNode*, BufferBase> bases_;
  /// Values of the present statement by node, which is kept alive so that no other takes its address; inner
  /// frames hold what only some paths compute.
  std::vector<std::unordered_map<Ref<ExprNode>, llvm::Value*>> memo_;
  size_t barrier_ = 0;  ///< frames below it are not valid where code is being emitted
};

}  // namespace tilewright::llvm_codegen
