// SPDX-License-Identifier: Apache-2.0
// One lowered kernel as a function of C.
#pragma once

#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tilewright/codegen/c/codegen.h"
#include "tilewright/codegen/c/names.h"
#include "tilewright/codegen/c/support.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright::c_codegen {

/// Strength of C's operators; what binds less than its place needs is put into parentheses.
enum Strength { kConditional = 1, kOr, kAnd, kCompare, kSum, kProduct, kUnary, kPostfix };

struct Text {
  std::string s;
  int strength = kPostfix;
};

class KernelWriter {
 public:
  KernelWriter(const CKernel& kernel, Support& support) : kernel_(kernel), support_(support), memo_(1) {}
  /// The function's text; its name is `name`.
  std::string Write(const std::string& name);

 private:
  // kernel_writer.cc
  std::string Signature(const std::string& name);
  void CollectUses();
  void WriteStmt(const Stmt& s);
  void WriteFor(const ForNode& n);
  void WriteBody(const Stmt& body);
  void WriteYield(const YieldNode& n);
  void WriteIf(const IfNode& n);
  void WriteAllocate(const AllocateNode& n);
  void WriteEvaluate(const EvaluateNode& n);
  void Line(const std::string& text);
  /// Declares a variable with this value. What is never read is said not to be, which compilers warn of.
  void Define(const Var& var, const std::string& value, bool constant = true);
  /// Counts how often the statement uses each expression, so that what is used twice is computed once.
  void BeginStatement(std::initializer_list<Expr> exprs);

  // expr_writer.cc
  Text Emit(const Expr& e);
  std::string Emit(const Expr& e, int strength);  ///< in parentheses where weaker
  Text EmitNode(const Expr& e);
  Text EmitConstant(DataType t, const std::string& scalar);
  Text EmitBinary(const BinaryNode& n);
  Text EmitInteger(const BinaryNode& n);
  Text EmitIfThenElse(const IfThenElseNode& n);
  Text EmitLet(const LetNode& n);
  Text EmitCast(DataType from, DataType to, const Expr& value);
  Text EmitCall(const CallNode& n);
  Text EmitShift(const CallNode& n, int64_t amount);
  Text EmitBits(const CallNode& n);
  Text EmitShuffle(const ShuffleNode& n);
  Text EmitLoad(const LoadNode& n);
  void EmitStore(const StoreNode& n);
  /// A vector of bool as integers of `bits` bits.
  Text EmitMask(const Expr& e, int bits);
  Text EmitMaskNode(const Expr& e, int bits, bool& made);
  std::string Temporary(DataType t, const std::string& value);
  std::string IndexVector(const Expr& index);
  bool IsNonNegative(const Expr& e) const;
  const std::string& NameOf(const Buffer& buffer) const;

  const CKernel& kernel_;
  Support& support_;
  NameScopes names_;
  std::string out_;
  int depth_ = 1;
  std::unordered_map<const VarNode*, std::string> vars_;
  std::unordered_map<const BufferNode*, std::string> buffers_;
  std::unordered_set<const VarNode*> used_vars_;
  std::unordered_set<const BufferNode*> used_buffers_;
  std::unordered_set<const VarNode*> nonnegative_;
  std::vector<const ForNode*> carrying_;  ///< loops around, innermost last
  Expr workspace_used_ = Expr(0);         ///< bytes of the workspace that are taken
  bool can_fail_ = false;
  /// Names of what the present statement has computed; inner frames hold what only some paths compute.
  std::vector<std::unordered_map<const ExprNode*, std::string>> memo_;
  size_t barrier_ = 0;  ///< frames below it do not hold here
  std::unordered_map<const ExprNode*, int> uses_;
};

}  // namespace tilewright::c_codegen
