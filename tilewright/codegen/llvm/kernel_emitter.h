// SPDX-License-Identifier: Apache-2.0
// Statements and whole kernels as LLVM functions.
#pragma once

#include "tilewright/codegen/llvm/expr_emitter.h"
#include "tilewright/codegen/llvm/tiles.h"
#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright::llvm_codegen {

/// Adds the kernel to the module as a function of the kernel ABI.
void EmitKernel(const PrimFunc& kernel, const Target& target, llvm::Module& module);

/// The loop whose iterations are the kernel's chunks, or null when the kernel runs as one chunk.
const ForNode* FindChunkLoop(const Stmt& body);

/// Emits one kernel's body.
class KernelEmitter {
 public:
  KernelEmitter(llvm::Function* function, const TargetFacts& facts, const TileUnit& tiles);
  void Run(const PrimFunc& kernel);

 private:
  void BindArguments(const PrimFunc& kernel);
  void BindWorkspace(const PrimFunc& kernel);
  void EmitStmt(const Stmt& s);
  void EmitLets(const Stmt& first);
  void EmitFor(const ForNode& n);
  void EmitUnrolled(const ForNode& n);
  void EmitLoop(const ForNode& n, llvm::Value* begin, llvm::Value* end, bool runs);
  void EmitIf(const IfNode& n);
  void EmitAllocate(const AllocateNode& n);
  void AllocateOnStack(const Buffer& buffer);
  void AllocateInWorkspace(const Buffer& buffer);
  void EmitEvaluate(const EvaluateNode& n);
  void EmitReportError(const CallNode& n);
  /// The loop's body in scopes of its own; returns what it yields.
  std::vector<llvm::Value*> EmitBody(const ForNode& n);
  llvm::BasicBlock* NewBlock(const char* name);

  llvm::Function* function_;
  llvm::IRBuilder<> b_;
  Numeric num_;
  ScopeStack scopes_;
  ExprEmitter exprs_;
  TileEmitter tiles_;
  const ForNode* chunk_loop_ = nullptr;
  int entry_scope_ = 0;  ///< the scope in which all arguments are known
  llvm::Value* workspace_ =
      nullptr;  ///< where the next allocation in the workspace begins; null: there is none
  std::vector<std::vector<llvm::Value*>*> yields_;  ///< where Yield puts its values, innermost last
};

}  // namespace tilewright::llvm_codegen
