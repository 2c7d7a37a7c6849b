// SPDX-License-Identifier: Apache-2.0
// Integer arithmetic: wraps around; division by zero yields 0 and never traps; shifts by the width or more
// yield 0 (or the sign).
#include "tilewright/codegen/llvm/numeric.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

namespace {

/// The divisor when it is one constant in all lanes.
const llvm::APInt* ConstantDivisor(Value* v) {
  auto* c = llvm::dyn_cast<llvm::Constant>(v);
  if (!c) return nullptr;
  if (c->getType()->isVectorTy()) c = c->getSplatValue();
  auto* i = llvm::dyn_cast_or_null<llvm::ConstantInt>(c);
  return i ? &i->getValue() : nullptr;
}

}  // namespace

Value* Numeric::IntBinary(BinaryOp op, DataType t, Value* a, Value* b, bool nonnegative) {
  const bool is_signed = t.is_int();
  switch (op) {
    case BinaryOp::kAdd:
      return b_.CreateAdd(a, b);
    case BinaryOp::kSub:
      return b_.CreateSub(a, b);
    case BinaryOp::kMul:
      return b_.CreateMul(a, b);
    case BinaryOp::kMin:
      if (t.is_bool()) return b_.CreateAnd(a, b);
      return b_.CreateBinaryIntrinsic(is_signed ? llvm::Intrinsic::smin : llvm::Intrinsic::umin, a, b);
    case BinaryOp::kMax:
      if (t.is_bool()) return b_.CreateOr(a, b);
      return b_.CreateBinaryIntrinsic(is_signed ? llvm::Intrinsic::smax : llvm::Intrinsic::umax, a, b);
    case BinaryOp::kEq:
      return b_.CreateICmpEQ(a, b);
    case BinaryOp::kNe:
      return b_.CreateICmpNE(a, b);
    case BinaryOp::kLt:
      return is_signed ? b_.CreateICmpSLT(a, b) : b_.CreateICmpULT(a, b);
    case BinaryOp::kLe:
      return is_signed ? b_.CreateICmpSLE(a, b) : b_.CreateICmpULE(a, b);
    case BinaryOp::kAnd:
      return b_.CreateAnd(a, b);
    case BinaryOp::kOr:
      return b_.CreateOr(a, b);
    case BinaryOp::kFloorDiv:
    case BinaryOp::kFloorMod:
    case BinaryOp::kTruncDiv:
    case BinaryOp::kTruncMod:
      return Divide(op, t, a, b, nonnegative);
    case BinaryOp::kDiv:
      break;
  }
  TW_CHECK(false, "operator {} on {}", BinaryOpText(op), t.ToString());
  return nullptr;
}

Value* Numeric::Divide(BinaryOp op, DataType t, Value* a, Value* b, bool nonnegative) {
  const bool quotient = op == BinaryOp::kFloorDiv || op == BinaryOp::kTruncDiv;
  const bool floor = op == BinaryOp::kFloorDiv || op == BinaryOp::kFloorMod;
  const bool is_unsigned = t.is_uint() || nonnegative;
  Value* zero = llvm::Constant::getNullValue(a->getType());
  const llvm::APInt* constant = ConstantDivisor(b);
  if (constant && constant->isZero()) return zero;
  if (constant && floor && !is_unsigned && constant->isStrictlyPositive() && constant->isPowerOf2()) {
    if (quotient) return b_.CreateAShr(a, constant->logBase2());
    return b_.CreateAnd(a, llvm::ConstantInt::get(a->getType(), *constant - 1));
  }
  // A divisor that could trap (zero; -1 under the smallest value) is replaced by 1; MIN / 1 is MIN / -1
  // wrapped.
  Value* is_zero = nullptr;
  if (!constant) {
    is_zero = b_.CreateICmpEQ(b, zero);
    Value* bad = is_zero;
    if (!is_unsigned) {
      llvm::Constant* min = llvm::ConstantInt::get(a->getType(), llvm::APInt::getSignedMinValue(t.bits));
      bad = b_.CreateOr(bad, b_.CreateAnd(b_.CreateICmpEQ(a, min),
                                          b_.CreateICmpEQ(b, llvm::Constant::getAllOnesValue(b->getType()))));
    }
    b = b_.CreateSelect(bad, IntLike(b, 1), b);
  } else if (constant->isAllOnes() && !is_unsigned) {
    return quotient ? b_.CreateNeg(a) : zero;
  }
  Value* result;
  if (is_unsigned) {
    result = quotient ? b_.CreateUDiv(a, b) : b_.CreateURem(a, b);
  } else if (!floor) {
    result = quotient ? b_.CreateSDiv(a, b) : b_.CreateSRem(a, b);
  } else {
    Value* q = b_.CreateSDiv(a, b);
    Value* r = b_.CreateSub(a, b_.CreateMul(q, b));
    Value* off = b_.CreateAnd(b_.CreateICmpNE(r, zero), b_.CreateICmpSLT(b_.CreateXor(r, b), zero));
    result = quotient ? b_.CreateAdd(q, b_.CreateSExt(off, q->getType()))
                      : b_.CreateAdd(r, b_.CreateSelect(off, b, zero));
  }
  return is_zero ? b_.CreateSelect(is_zero, zero, result) : result;
}

Value* Numeric::Shift(bool left, DataType t, Value* a, Value* amount) {
  const uint64_t bits = t.bits;
  Value* in_range = b_.CreateICmpULT(amount, IntLike(amount, bits));
  if (!left && t.is_int()) {
    // The sign fills: a shift by width - 1 gives it.
    return b_.CreateAShr(a, b_.CreateSelect(in_range, amount, IntLike(amount, bits - 1)));
  }
  Value* safe = b_.CreateSelect(in_range, amount, IntLike(amount, 0));
  Value* shifted = left ? b_.CreateShl(a, safe) : b_.CreateLShr(a, safe);
  return b_.CreateSelect(in_range, shifted, llvm::Constant::getNullValue(a->getType()));
}

}  // namespace tilewright::llvm_codegen
