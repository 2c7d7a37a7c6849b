// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/expr_emitter.h"

#include <algorithm>

namespace tilewright::llvm_codegen {

using llvm::Value;

Value* ExprEmitter::Emit(const Expr& e) {
  if (e.kind() == ExprKind::kVar) return scopes_.Get(e.As<VarNode>()).value;
  for (size_t i = memo_.size(); i-- > barrier_;) {
    auto it = memo_[i].find(e);
    if (it != memo_[i].end()) return it->second;
  }
  Value* v = EmitNode(e);
  memo_.back().emplace(e, v);
  return v;
}

Value* ExprEmitter::EmitNode(const Expr& e) {
  return Dispatch(e,
                  Overloaded{
                      [&](const VarNode& n) { return scopes_.Get(&n).value; },
                      [&](const IntImmNode& n) -> Value* { return num_.Int(n.dtype, n.value); },
                      [&](const FloatImmNode& n) -> Value* { return num_.Float(n.dtype, n.value); },
                      [&](const StringImmNode& n) -> Value* {
                        TW_CHECK(false, "string \"{}\" used as a value", n.value);
                        return nullptr;
                      },
                      [&](const CastNode& n) { return num_.Cast(n.value.dtype(), n.dtype, Emit(n.value)); },
                      [&](const BinaryNode& n) { return EmitBinary(n); },
                      [&](const NotNode& n) { return b_.CreateNot(Emit(n.value)); },
                      [&](const SelectNode& n) {
                        Value* c = Emit(n.condition);
                        if (n.condition.dtype().is_scalar() && !n.dtype.is_scalar())
                          c = num_.Splat(c, n.dtype.lanes);
                        Value* t = Emit(n.true_value);
                        return b_.CreateSelect(c, t, Emit(n.false_value));
                      },
                      [&](const IfThenElseNode& n) { return EmitIfThenElse(n); },
                      [&](const LetNode& n) { return EmitLet(n); },
                      [&](const CallNode& n) { return EmitCall(n); },
                      [&](const LoadNode& n) { return EmitLoad(n); },
                      [&](const RampNode& n) { return EmitRamp(n); },
                      [&](const BroadcastNode& n) { return num_.Splat(Emit(n.value), n.dtype.lanes); },
                      [&](const ShuffleNode& n) { return EmitShuffle(n); },
                  });
}

Value* ExprEmitter::EmitBinary(const BinaryNode& n) {
  if (Value* mask = CompareRamps(n)) return mask;
  Value* a = Emit(n.a);
  Value* b = Emit(n.b);
  const bool nonnegative =
      n.dtype.is_int() && n.dtype.is_scalar() && scopes_.IsNonNegative(n.a) && scopes_.IsNonNegative(n.b);
  return num_.Binary(n.op, n.a.dtype(), a, b, nonnegative);
}

// Masks of tails, base + lane < bound, as a comparison of lane numbers with a small scalar: one register
// of 32-bit lanes instead of several of 64-bit indices.
Value* ExprEmitter::CompareRamps(const BinaryNode& n) {
  if ((n.op != BinaryOp::kLt && n.op != BinaryOp::kLe) || n.a.dtype().lanes == 1 ||
      n.a.dtype().element() != DataType::Index()) {
    return nullptr;
  }
  auto a = AsRamp(n.a), b = AsRamp(n.b);
  if (!a || !b || a->stride != 1 || b->stride != 0) return nullptr;
  const int lanes = n.a.dtype().lanes;
  Value* room = b_.CreateSub(Emit(b->base), Emit(a->base));
  if (n.op == BinaryOp::kLe) room = b_.CreateAdd(room, b_.getInt64(1));
  room = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smax, room, b_.getInt64(0));
  room = b_.CreateBinaryIntrinsic(llvm::Intrinsic::smin, room, b_.getInt64(lanes));
  llvm::SmallVector<llvm::Constant*, 64> numbers;
  for (int i = 0; i < lanes; ++i) numbers.push_back(b_.getInt32(i));
  return b_.CreateICmpULT(llvm::ConstantVector::get(numbers),
                          num_.Splat(b_.CreateTrunc(room, b_.getInt32Ty()), lanes));
}

Value* ExprEmitter::EmitIfThenElse(const IfThenElseNode& n) {
  Value* condition = Emit(n.condition);
  llvm::Function* f = b_.GetInsertBlock()->getParent();
  auto* then_block = llvm::BasicBlock::Create(b_.getContext(), "then", f);
  auto* else_block = llvm::BasicBlock::Create(b_.getContext(), "else", f);
  auto* join = llvm::BasicBlock::Create(b_.getContext(), "join", f);
  b_.CreateCondBr(condition, then_block, else_block);
  auto branch = [&](llvm::BasicBlock* block, const Expr& value) {
    b_.SetInsertPoint(block);
    memo_.emplace_back();
    ScopeMark mark(scopes_);
    Value* v = Emit(value);
    memo_.pop_back();
    llvm::BasicBlock* end = b_.GetInsertBlock();
    b_.CreateBr(join);
    return std::pair(v, end);
  };
  auto [t, t_end] = branch(then_block, n.true_value);
  auto [e, e_end] = branch(else_block, n.false_value);
  b_.SetInsertPoint(join);
  auto* phi = b_.CreatePHI(t->getType(), 2);
  phi->addIncoming(t, t_end);
  phi->addIncoming(e, e_end);
  return phi;
}

Value* ExprEmitter::EmitLet(const LetNode& n) {
  const bool shadows = scopes_.Find(n.var.operator->()) != nullptr;
  ScopeMark mark(scopes_);
  BindLet(n.var, n.value);
  memo_.emplace_back();
  const size_t barrier = barrier_;
  if (shadows) barrier_ = memo_.size() - 1;
  Value* v = Emit(n.body);
  barrier_ = barrier;
  memo_.pop_back();
  return v;
}

void ExprEmitter::BindInNewScope(const Var& var, Value* value, bool nonnegative,
                                 std::optional<AddressForm> linear) {
  scopes_.Push();
  scopes_.Bind(var, {value, 0, nonnegative, std::move(linear)});
}

void ExprEmitter::BindLet(const Var& var, const Expr& value) {
  if (!var.dtype().is_scalar() && var.dtype().is_integer())
    vector_lets_.insert_or_assign(var.operator->(), value);
  Value* v = Emit(value);
  if (!var.dtype().is_integer() && !var.dtype().is_bool()) {
    scopes_.Bind(var, {v, 0, false, {}});
    return;
  }
  std::optional<AddressForm> linear;
  if (var.dtype() == DataType::Index() && scopes_.IsHoistable(value)) {
    linear = scopes_.Linearize(value);
    // A quotient or product of variables is computed once, at the let.
    const bool cheap = std::all_of(linear->terms.begin(), linear->terms.end(),
                                   [](const auto& t) { return t.first.kind() == ExprKind::kVar; });
    if (!cheap) linear.reset();
  }
  BindInNewScope(var, v, var.dtype().is_integer() && var.dtype().is_scalar() && scopes_.IsNonNegative(value),
                 std::move(linear));
}

Value* ExprEmitter::EmitCall(const CallNode& n) {
  TW_CHECK(GetIntrinsicInfo(n.op).pure, "{} inside an expression", GetIntrinsicInfo(n.op).name);
  llvm::SmallVector<DataType, 4> types;
  llvm::SmallVector<Value*, 4> values;
  for (const Expr& arg : n.args) {
    types.push_back(arg.dtype());
    values.push_back(Emit(arg));
  }
  return num_.Call(n.op, n.dtype, {types.data(), types.size()}, {values.data(), values.size()});
}

Value* ExprEmitter::EmitRamp(const RampNode& n) {
  const int lanes = n.dtype.lanes;
  const DataType element = n.dtype.element();
  llvm::SmallVector<llvm::Constant*, 64> numbers;
  for (int i = 0; i < lanes; ++i) {
    numbers.push_back(element.is_float() ? num_.Float(element, i) : num_.Int(element, i));
  }
  Value* steps = llvm::ConstantVector::get(numbers);
  if (!IsInt(n.stride, 1))
    steps = num_.Binary(BinaryOp::kMul, n.dtype, steps, num_.Splat(Emit(n.stride), lanes));
  return num_.Binary(BinaryOp::kAdd, n.dtype, num_.Splat(Emit(n.base), lanes), steps);
}

Value* ExprEmitter::EmitShuffle(const ShuffleNode& n) {
  llvm::SmallVector<Value*, 8> parts;
  int total = 0;
  const DataType first = n.vectors.front().dtype();
  for (const Expr& v : n.vectors) {
    TW_CHECK(v.dtype() == first, "shuffle of {} and {}", first.ToString(), v.dtype().ToString());
    parts.push_back(Emit(v));
    total += v.dtype().lanes;
  }
  for (int lane : n.lanes) TW_CHECK(lane >= 0 && lane < total, "lane {} of {}", lane, total);
  if (first.is_scalar()) {
    if (n.lanes.size() == 1) return parts[n.lanes[0]];
    Value* v = llvm::PoisonValue::get(num_.ValueType(n.dtype));
    for (size_t i = 0; i < n.lanes.size(); ++i) v = b_.CreateInsertElement(v, parts[n.lanes[i]], i);
    return v;
  }
  // Of two vectors an instruction may pick as they are; through one of both LLVM would not find it.
  if (parts.size() == 2 && n.lanes.size() > 1) return b_.CreateShuffleVector(parts[0], parts[1], n.lanes);
  Value* all = parts.front();
  // Concatenation in rounds, widths equal in each, keeps lane numbers: part i begins at i * lanes.
  while (parts.size() > 1) {
    llvm::SmallVector<Value*, 8> next;
    for (size_t i = 0; i < parts.size(); i += 2) {
      auto* type = llvm::cast<llvm::FixedVectorType>(parts[i]->getType());
      llvm::SmallVector<int, 64> mask(2 * type->getNumElements());
      for (size_t k = 0; k < mask.size(); ++k) mask[k] = int(k);
      Value* second = i + 1 < parts.size() ? parts[i + 1] : llvm::PoisonValue::get(type);
      next.push_back(b_.CreateShuffleVector(parts[i], second, mask));
    }
    parts = std::move(next);
    all = parts.front();
  }
  if (n.lanes.size() == 1) return b_.CreateExtractElement(all, uint64_t(n.lanes[0]));
  return b_.CreateShuffleVector(all, n.lanes);
}

}  // namespace tilewright::llvm_codegen
