// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/kernel_emitter.h"

#include <algorithm>

namespace tilewright::llvm_codegen {

using llvm::Value;

namespace {

/// Arguments of the kernel ABI, in order (runtime/kernel_abi.h).
enum Argument { kBuffers, kDims, kChunkBegin, kChunkEnd, kRuntimeTable };

/// Offset of `report_error` in tw_runtime_table: after two 32-bit fields.
constexpr uint64_t kReportErrorOffset = 8;

/// The largest array that a kernel may keep in its frame: worker threads have ordinary stacks.
constexpr int64_t kMaxFrameArray = 1 << 20;

void CollectTopLevelParallel(const Stmt& s, std::vector<const ForNode*>& out) {
  if (auto* loop = s.As<ForNode>()) {
    if (loop->for_kind == ForKind::kParallel) out.push_back(loop);
  } else if (s.kind() == StmtKind::kSeq || s.kind() == StmtKind::kLetStmt ||
             s.kind() == StmtKind::kAllocate) {
    ForEachChild(s, [&](const Stmt& child) { CollectTopLevelParallel(child, out); });
  }
}

}  // namespace

const ForNode* FindChunkLoop(const Stmt& body) {
  std::vector<const ForNode*> loops;
  CollectTopLevelParallel(body, loops);
  return loops.size() == 1 ? loops.front() : nullptr;
}

KernelEmitter::KernelEmitter(llvm::Function* function, const TargetFacts& facts, const TileUnit& tiles)
    : function_(function),
      b_(llvm::BasicBlock::Create(function->getContext(), "entry", function)),
      num_(b_, facts),
      scopes_(b_),
      exprs_(b_, num_, scopes_),
      tiles_(b_, exprs_, scopes_, tiles) {
  llvm::FastMathFlags flags;
  flags.setAllowContract();
  b_.setFastMathFlags(flags);
}

llvm::BasicBlock* KernelEmitter::NewBlock(const char* name) {
  return llvm::BasicBlock::Create(b_.getContext(), name, function_);
}

void KernelEmitter::BindArguments(const PrimFunc& kernel) {
  auto element = [&](Argument array, llvm::Type* type, size_t i) {
    return b_.CreateLoad(type, b_.CreatePtrAdd(function_->getArg(array), b_.getInt64(i * 8)));
  };
  for (size_t i = 0; i < kernel->buffers.size(); ++i) {
    Value* base = element(kBuffers, b_.getPtrTy(), i);
    base->setName(kernel->buffers[i].name());
    exprs_.DefineBuffer(kernel->buffers[i], base, 0);
  }
  scopes_.Push();
  for (size_t i = 0; i < kernel->dims.size(); ++i) {
    const Var& dim = kernel->dims[i];
    Value* value =
        b_.CreateIntCast(element(kDims, b_.getInt64Ty(), i), num_.ValueType(dim.dtype()), true, dim.name());
    exprs_.BindInNewScope(dim, value, dim->min >= 0);
  }
  BindWorkspace(kernel);
  scopes_.Push();
  entry_scope_ = scopes_.current();
}

// The call's private memory: one pointer after the buffers, to workspace_bytes for each chunk
// (tir/lower/lower.h).
void KernelEmitter::BindWorkspace(const PrimFunc& kernel) {
  auto it = kernel->attrs.find("workspace_bytes");
  if (it == kernel->attrs.end()) return;
  const Expr* symbolic = std::get_if<Expr>(&it->second);
  const int64_t* constant = std::get_if<int64_t>(&it->second);
  TW_CHECK(symbolic || constant, "workspace_bytes of {} is not a number of bytes", kernel.name());
  Value* bytes = exprs_.Emit(symbolic ? *symbolic : Expr(*constant));
  Value* memory = b_.CreateLoad(
      b_.getPtrTy(), b_.CreatePtrAdd(function_->getArg(kBuffers), b_.getInt64(kernel->buffers.size() * 8)));
  workspace_ = b_.CreatePtrAdd(memory, b_.CreateMul(function_->getArg(kChunkBegin), bytes));
}

void KernelEmitter::Run(const PrimFunc& kernel) {
  BindArguments(kernel);
  chunk_loop_ = FindChunkLoop(kernel->body);
  Value* runs = b_.CreateICmpSLT(function_->getArg(kChunkBegin), function_->getArg(kChunkEnd));
  if (!chunk_loop_) {
    runs = b_.CreateAnd(runs, b_.CreateICmpEQ(function_->getArg(kChunkBegin), b_.getInt64(0)));
  }
  auto *body = NewBlock("body"), *exit = NewBlock("exit");
  b_.CreateCondBr(runs, body, exit);
  b_.SetInsertPoint(body);
  {
    ScopeMark mark(scopes_);
    scopes_.Push();
    tiles_.Begin(kernel->body);
    EmitStmt(kernel->body);
    tiles_.End();
  }
  b_.CreateBr(exit);
  b_.SetInsertPoint(exit);
  b_.CreateRetVoid();
  scopes_.EraseAnchors();
}

void KernelEmitter::EmitStmt(const Stmt& s) {
  if (s.kind() == StmtKind::kLetStmt) return EmitLets(s);
  exprs_.BeginStatement();
  Dispatch(s, Overloaded{
                  [&](const StoreNode& n) {
                    tiles_.Forget();
                    exprs_.EmitStore(n);
                  },
                  [&](const ForNode& n) { EmitFor(n); },
                  [&](const BlockNode& n) { TW_CHECK(false, "block {} at code generation", n.name); },
                  [&](const SeqNode& n) {
                    ScopeMark mark(scopes_);
                    for (const Stmt& child : n.stmts) EmitStmt(child);
                  },
                  [&](const IfNode& n) { EmitIf(n); },
                  [&](const LetStmtNode&) {},  // above
                  [&](const AllocateNode& n) { EmitAllocate(n); },
                  [&](const EvaluateNode& n) { EmitEvaluate(n); },
                  [&](const YieldNode& n) {
                    TW_CHECK(!yields_.empty(), "yield outside a loop that carries values");
                    for (const Expr& e : n.values) yields_.back()->push_back(exprs_.Emit(e));
                  },
              });
}

// Lowering makes chains of thousands of lets, too long for recursion.
void KernelEmitter::EmitLets(const Stmt& first) {
  ScopeMark mark(scopes_);
  Stmt s = first;
  while (auto* let = s.As<LetStmtNode>()) {
    exprs_.BeginStatement();
    exprs_.BindLet(let->var, let->value);
    s = let->body;
  }
  EmitStmt(s);
}

std::vector<Value*> KernelEmitter::EmitBody(const ForNode& n) {
  std::vector<Value*> values;
  ScopeMark mark(scopes_);
  yields_.push_back(&values);
  tiles_.Forget();
  EmitStmt(n.body);
  tiles_.Forget();
  yields_.pop_back();
  TW_CHECK(values.size() == n.carried.size(), "loop {} carries {} values and yields {}", n.var.name(),
           n.carried.size(), values.size());
  return values;
}

void KernelEmitter::EmitFor(const ForNode& n) {
  if (tiles_.Takes(n)) return tiles_.Emit(n);
  TW_CHECK(n.for_kind != ForKind::kVectorized && n.for_kind != ForKind::kThreadBound,
           "{} loop {} at code generation", ForKindName(n.for_kind), n.var.name());
  if (n.for_kind == ForKind::kUnrolled || IsInt(n.extent, 1)) {
    if (&n != chunk_loop_) return EmitUnrolled(n);
  }
  Value* min = exprs_.Emit(n.min);
  if (&n == chunk_loop_) {
    TW_CHECK(n.carried.empty(), "parallel loop {} carries values", n.var.name());
    // Run has made sure that there is a chunk.
    auto bound = [&](Argument a) {
      return b_.CreateAdd(min, b_.CreateIntCast(function_->getArg(a), min->getType(), true));
    };
    return EmitLoop(n, bound(kChunkBegin), bound(kChunkEnd), true);
  }
  const auto extent = AsInt(n.extent);
  EmitLoop(n, min, b_.CreateAdd(min, exprs_.Emit(n.extent)), extent && *extent > 0);
}

void KernelEmitter::EmitUnrolled(const ForNode& n) {
  const auto extent = AsInt(n.extent);
  TW_CHECK(extent, "unrolled loop {} of unknown extent", n.var.name());
  Value* min = exprs_.Emit(n.min);
  std::optional<AddressForm> start;
  if (n.var.dtype() == DataType::Index() && scopes_.IsHoistable(n.min)) start = scopes_.Linearize(n.min);
  const bool nonnegative = scopes_.IsNonNegative(n.min);
  std::vector<Value*> values;
  for (const CarriedValue& c : n.carried) values.push_back(exprs_.Emit(c.init));
  for (int64_t i = 0; i < *extent; ++i) {
    ScopeMark mark(scopes_);
    auto linear = start;
    if (linear) linear->constant += i;
    Value* at = b_.CreateAdd(min, llvm::ConstantInt::get(min->getType(), uint64_t(i)));
    exprs_.BindInNewScope(n.var, at, nonnegative, std::move(linear));
    for (size_t k = 0; k < values.size(); ++k) scopes_.Bind(n.carried[k].var, {values[k], 0, false, {}});
    values = EmitBody(n);
  }
  if (values.empty()) return;
  scopes_.Push();
  for (size_t k = 0; k < values.size(); ++k) scopes_.Bind(n.carried[k].result, {values[k], 0, false, {}});
}

void KernelEmitter::EmitLoop(const ForNode& n, Value* begin, Value* end, bool runs) {
  std::vector<Value*> inits;
  for (const CarriedValue& c : n.carried) inits.push_back(exprs_.Emit(c.init));
  const bool nonnegative = scopes_.IsNonNegative(n.min);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  auto *loop = NewBlock("loop"), *exit = NewBlock("exit");
  if (runs) {
    b_.CreateBr(loop);
  } else {
    b_.CreateCondBr(b_.CreateICmpSLT(begin, end), loop, exit);
  }
  b_.SetInsertPoint(loop);
  auto* index = b_.CreatePHI(begin->getType(), 2, n.var.name());
  index->addIncoming(begin, before);
  std::vector<llvm::PHINode*> phis;
  for (size_t k = 0; k < inits.size(); ++k) {
    phis.push_back(b_.CreatePHI(inits[k]->getType(), 2, n.carried[k].var.name()));
    phis.back()->addIncoming(inits[k], before);
  }
  std::vector<Value*> next;
  {
    ScopeMark mark(scopes_);
    exprs_.BindInNewScope(n.var, index, nonnegative);
    for (size_t k = 0; k < phis.size(); ++k) scopes_.Bind(n.carried[k].var, {phis[k], 0, false, {}});
    next = EmitBody(n);
  }
  // No signed wrap: `end` is reached by steps of one.
  Value* following = b_.CreateAdd(index, llvm::ConstantInt::get(index->getType(), 1), "", false, true);
  llvm::BasicBlock* latch = b_.GetInsertBlock();
  index->addIncoming(following, latch);
  for (size_t k = 0; k < phis.size(); ++k) phis[k]->addIncoming(next[k], latch);
  b_.CreateCondBr(b_.CreateICmpSLT(following, end), loop, exit);

  b_.SetInsertPoint(exit);
  std::vector<Value*> results;
  for (size_t k = 0; k < phis.size(); ++k) {
    auto* result = b_.CreatePHI(phis[k]->getType(), 2, n.carried[k].result.name());
    if (!runs) result->addIncoming(inits[k], before);
    result->addIncoming(next[k], latch);
    results.push_back(result);
  }
  if (results.empty()) return;
  scopes_.Push();
  for (size_t k = 0; k < results.size(); ++k) scopes_.Bind(n.carried[k].result, {results[k], 0, false, {}});
}

void KernelEmitter::EmitIf(const IfNode& n) {
  Value* condition = exprs_.Emit(n.condition);
  auto *then_block = NewBlock("then"), *join = NewBlock("join");
  llvm::BasicBlock* else_block = n.else_case ? NewBlock("else") : join;
  b_.CreateCondBr(condition, then_block, else_block);
  auto branch = [&](llvm::BasicBlock* block, const Stmt& s) {
    b_.SetInsertPoint(block);
    ScopeMark mark(scopes_);
    tiles_.Forget();
    EmitStmt(s);
    tiles_.Forget();
    b_.CreateBr(join);
  };
  branch(then_block, n.then_case);
  if (n.else_case) branch(else_block, n.else_case);
  b_.SetInsertPoint(join);
}

void KernelEmitter::EmitAllocate(const AllocateNode& n) {
  Value* workspace = workspace_;
  if (tiles_.Holds(n.buffer)) {
    tiles_.Allocate(n.buffer);
  } else if (n.buffer.scope() == "workspace") {
    AllocateInWorkspace(n.buffer);
  } else {
    AllocateOnStack(n.buffer);
  }
  EmitStmt(n.body);
  workspace_ = workspace;
}

void KernelEmitter::AllocateOnStack(const Buffer& buffer) {
  int64_t bytes = buffer.dtype().bytes();
  for (const Expr& dim : buffer.shape()) {
    const auto size = AsInt(dim);
    TW_CHECK(size && *size >= 0, "{} is allocated with an unknown size", buffer.name());
    TW_CHECK(!__builtin_mul_overflow(bytes, *size, &bytes) && bytes <= kMaxFrameArray,
             "{} needs more than {} bytes of stack", buffer.name(), kMaxFrameArray);
  }
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  llvm::BasicBlock& entry = function_->getEntryBlock();
  b_.SetInsertPoint(&entry, entry.begin());
  auto* memory = b_.CreateAlloca(llvm::ArrayType::get(b_.getInt8Ty(), uint64_t(std::max<int64_t>(bytes, 1))),
                                 nullptr, buffer.name());
  memory->setAlignment(llvm::Align(uint64_t(std::max<int64_t>(buffer->alignment, 64))));
  exprs_.DefineBuffer(buffer, memory, 0);
}

void KernelEmitter::AllocateInWorkspace(const Buffer& buffer) {
  TW_CHECK(workspace_, "{} is in a workspace that the kernel does not have", buffer.name());
  Expr bytes(buffer.dtype().bytes());
  for (const Expr& dim : buffer.shape()) bytes = bytes * dim;
  bytes = FloorDiv(bytes + Expr(63), 64) * Expr(64);
  const int level = scopes_.LevelOf(bytes);
  TW_CHECK(level >= 0 && level <= entry_scope_, "the size of {} is known only inside the kernel",
           buffer.name());
  // At the function's entry, where all sizes are known, so that addresses of inner loops start from it.
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  b_.SetInsertPoint(scopes_.scope(entry_scope_).anchor);
  exprs_.BeginStatement();
  exprs_.DefineBuffer(buffer, workspace_, entry_scope_);
  workspace_ = b_.CreatePtrAdd(workspace_, exprs_.Emit(bytes));
  exprs_.BeginStatement();
}

void KernelEmitter::EmitEvaluate(const EvaluateNode& n) {
  auto* call = n.value.As<CallNode>();
  if (call && call->op == Intrinsic::k_prefetch) return exprs_.EmitPrefetch(*call);
  if (call && call->op == Intrinsic::k_extern_call) return EmitReportError(*call);
  exprs_.Emit(n.value);
}

// extern_call("report_error", message, value): the one routine that kernels may call, through the runtime's
// table. The kernel returns after it.
void KernelEmitter::EmitReportError(const CallNode& n) {
  auto* name = n.args.empty() ? nullptr : n.args[0].As<StringImmNode>();
  TW_CHECK(name && name->value == "report_error", "kernels can call no routine but report_error");
  auto* message = n.args.size() == 3 ? n.args[1].As<StringImmNode>() : nullptr;
  TW_CHECK(message && n.args[2].dtype() == DataType::Index(),
           "report_error takes a message and an index value");
  Value* table = function_->getArg(kRuntimeTable);
  Value* routine = b_.CreateLoad(b_.getPtrTy(), b_.CreatePtrAdd(table, b_.getInt64(kReportErrorOffset)));
  auto* type =
      llvm::FunctionType::get(b_.getVoidTy(), {b_.getPtrTy(), b_.getPtrTy(), b_.getInt64Ty()}, false);
  b_.CreateCall(type, routine, {table, b_.CreateGlobalStringPtr(message->value), exprs_.Emit(n.args[2])});
  b_.CreateRetVoid();
  b_.SetInsertPoint(NewBlock("after_error"));
}

void EmitKernel(const PrimFunc& kernel, const Target& target, llvm::Module& module) {
  TW_CHECK(kernel->stage == TirStage::kLowered, "{} is not lowered", kernel.name());
  TW_CHECK(!module.getFunction(kernel.name()), "two kernels are named {}", kernel.name());
  llvm::LLVMContext& context = module.getContext();
  llvm::Type *pointer = llvm::PointerType::get(context, 0), *i64 = llvm::Type::getInt64Ty(context);
  auto* type =
      llvm::FunctionType::get(llvm::Type::getVoidTy(context), {pointer, pointer, i64, i64, pointer}, false);
  auto* function = llvm::Function::Create(type, llvm::GlobalValue::ExternalLinkage, kernel.name(), module);
  function->setDSOLocal(true);
  function->addFnAttr(llvm::Attribute::NoUnwind);
  function->addFnAttr("no-builtins");
  function->addFnAttr("no-trapping-math", "true");
  const TargetFacts facts(target);
  if (facts.x86) {
    const std::string bits = std::to_string(facts.vector_bits);
    function->addFnAttr("prefer-vector-width", bits);
    function->addFnAttr("min-legal-vector-width", bits);
  }
  if (target.sanitize_address) function->addFnAttr(llvm::Attribute::SanitizeAddress);
  KernelEmitter(function, facts, facts.x86 ? TileUnitOf(target) : TileUnit()).Run(kernel);
}

}  // namespace tilewright::llvm_codegen
