// SPDX-License-Identifier: Apache-2.0
// Floating-point arithmetic in binary32 and binary64.
#include "tilewright/codegen/llvm/numeric.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

Value* Numeric::FloatBinary(BinaryOp op, DataType t, Value* a, Value* b) {
  switch (op) {
    case BinaryOp::kAdd:
      return b_.CreateFAdd(a, b);
    case BinaryOp::kSub:
      return b_.CreateFSub(a, b);
    case BinaryOp::kMul:
      return b_.CreateFMul(a, b);
    case BinaryOp::kDiv:
      return b_.CreateFDiv(a, b);
    case BinaryOp::kTruncMod:
      return Fmod(a, b);
    case BinaryOp::kMin:
      return MinMax(false, a, b);
    case BinaryOp::kMax:
      return MinMax(true, a, b);
    case BinaryOp::kEq:
      return b_.CreateFCmpOEQ(a, b);
    case BinaryOp::kNe:
      return b_.CreateFCmpUNE(a, b);
    case BinaryOp::kLt:
      return b_.CreateFCmpOLT(a, b);
    case BinaryOp::kLe:
      return b_.CreateFCmpOLE(a, b);
    default:
      break;
  }
  TW_CHECK(false, "operator {} on {}", BinaryOpText(op), t.ToString());
  return nullptr;
}

// x86's maxps(x, y) is x > y ? x : y, so it returns y when either is NaN: with a constant in x one
// instruction propagates NaN. Two unknown operands take a comparison and a blend more.
Value* Numeric::MinMax(bool max, Value* a, Value* b) {
  if (facts_.aarch64) {
    return b_.CreateBinaryIntrinsic(max ? llvm::Intrinsic::maximum : llvm::Intrinsic::minimum, a, b);
  }
  auto choose = [&](Value* x, Value* y) {
    return b_.CreateSelect(max ? b_.CreateFCmpOGT(x, y) : b_.CreateFCmpOLT(x, y), x, y);
  };
  auto is_number = [](Value* v) {
    auto* c = llvm::dyn_cast<llvm::Constant>(v);
    if (c && c->getType()->isVectorTy()) c = c->getSplatValue();
    auto* f = llvm::dyn_cast_or_null<llvm::ConstantFP>(c);
    return f && !f->isNaN();
  };
  if (is_number(a)) return choose(a, b);
  if (is_number(b)) return choose(b, a);
  return b_.CreateSelect(b_.CreateFCmpUNO(a, a), a, choose(a, b));
}

Value* Numeric::Fmod(Value* a, Value* b) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(a->getType());
  llvm::Function* routine = FmodRoutine(a->getType()->getScalarType());
  if (!vector) return b_.CreateCall(routine, {a, b});
  Value* result = llvm::PoisonValue::get(vector);
  for (unsigned i = 0; i < vector->getNumElements(); ++i) {
    Value* lane = b_.CreateCall(routine, {b_.CreateExtractElement(a, i), b_.CreateExtractElement(b, i)});
    result = b_.CreateInsertElement(result, lane, i);
  }
  return result;
}

// C's fmod, exactly: r = |x|, t = |y| * 2^k with t <= r < 2t, then r -= t wherever it fits while t halves
// back to |y|. Every step is exact: r - t by Sterbenz's lemma, doubling and halving because t stays |y| *
// 2^j.
llvm::Function* Numeric::FmodRoutine(llvm::Type* type) {
  llvm::Module* module = b_.GetInsertBlock()->getModule();
  const std::string name = type->isDoubleTy() ? "tw.fmod.f64" : "tw.fmod.f32";
  if (llvm::Function* f = module->getFunction(name)) return f;
  auto* f = llvm::Function::Create(llvm::FunctionType::get(type, {type, type}, false),
                                   llvm::GlobalValue::InternalLinkage, name, module);
  f->addFnAttrs(
      llvm::AttrBuilder(f->getContext(), b_.GetInsertBlock()->getParent()->getAttributes().getFnAttrs()));
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  auto block = [&](const char* label) { return llvm::BasicBlock::Create(b_.getContext(), label, f); };
  auto *entry = block("entry"), *grow = block("grow"), *shrink = block("shrink"), *done = block("done"),
       *plain = block("plain");
  Value *x = f->getArg(0), *y = f->getArg(1);

  b_.SetInsertPoint(entry);
  Value* r0 = b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, x);
  Value* ay = b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, y);
  Value* inf = llvm::ConstantFP::getInfinity(type);
  Value* zero = llvm::ConstantFP::get(type, 0.0);
  Value* invalid =
      b_.CreateOr(b_.CreateOr(b_.CreateFCmpUNO(x, y), b_.CreateFCmpOEQ(r0, inf)), b_.CreateFCmpOEQ(ay, zero));
  Value* as_is = b_.CreateOr(invalid, b_.CreateFCmpOLT(r0, ay));
  b_.CreateCondBr(as_is, plain, grow);

  b_.SetInsertPoint(grow);
  auto* t = b_.CreatePHI(type, 2);
  t->addIncoming(ay, entry);
  Value* twice = b_.CreateFAdd(t, t);
  // 2t <= r without overflow of 2t: r - t >= t.
  Value* fits = b_.CreateFCmpOGE(b_.CreateFSub(r0, t), t);
  t->addIncoming(twice, grow);
  b_.CreateCondBr(fits, grow, shrink);

  b_.SetInsertPoint(shrink);
  auto *r = b_.CreatePHI(type, 2), *s = b_.CreatePHI(type, 2);
  r->addIncoming(r0, grow), s->addIncoming(t, grow);
  Value* rest = b_.CreateSelect(b_.CreateFCmpOGE(r, s), b_.CreateFSub(r, s), r);
  Value* half = b_.CreateFMul(s, llvm::ConstantFP::get(type, 0.5));
  r->addIncoming(rest, shrink), s->addIncoming(half, shrink);
  b_.CreateCondBr(b_.CreateFCmpOGT(s, ay), shrink, done);

  b_.SetInsertPoint(done);
  b_.CreateRet(b_.CreateBinaryIntrinsic(llvm::Intrinsic::copysign, rest, x));
  b_.SetInsertPoint(plain);
  b_.CreateRet(b_.CreateSelect(invalid, b_.CreateFAdd(llvm::ConstantFP::getNaN(type), x), x));
  return f;
}

Value* Numeric::Fma(Value* a, Value* b, Value* c) {
  if (facts_.fma) return b_.CreateIntrinsic(a->getType(), llvm::Intrinsic::fma, {a, b, c});
  llvm::IRBuilder<>::FastMathFlagGuard guard(b_);
  b_.setFastMathFlags({});
  return a->getType()->getScalarType()->isFloatTy() ? FmaByDoubles(a, b, c) : FmaByPairs(a, b, c);
}

namespace {

/// s + e = a + b exactly, s the rounded sum (Knuth's two-sum).
std::pair<Value*, Value*> TwoSum(llvm::IRBuilder<>& b, Value* x, Value* y) {
  Value* s = b.CreateFAdd(x, y);
  Value* yy = b.CreateFSub(s, x);
  Value* e = b.CreateFAdd(b.CreateFSub(x, b.CreateFSub(s, yy)), b.CreateFSub(y, yy));
  return {s, e};
}

/// x + y rounded to odd: the last bit is set when the sum is inexact (Boldo and Melquiond, "Emulation of FMA
/// and correctly rounded sums", 2008).
Value* AddOdd(llvm::IRBuilder<>& b, Value* x, Value* y) {
  auto [s, e] = TwoSum(b, x, y);
  llvm::Type* bits_type = s->getType()->getWithNewType(llvm::Type::getInt64Ty(b.getContext()));
  Value* bits = b.CreateBitCast(s, bits_type);
  Value* zero = llvm::Constant::getNullValue(s->getType());
  Value* one = llvm::ConstantInt::get(bits_type, 1);
  // NaN and infinite sums have a NaN error and stay as they are.
  Value* inexact = b.CreateFCmpONE(e, zero);
  Value* even = b.CreateICmpEQ(b.CreateAnd(bits, one), llvm::Constant::getNullValue(bits_type));
  Value* away = b.CreateICmpEQ(b.CreateFCmpOGT(e, zero), b.CreateFCmpOGT(s, zero));
  Value* odd = b.CreateSelect(away, b.CreateAdd(bits, one), b.CreateSub(bits, one));
  Value* r = b.CreateSelect(b.CreateAnd(inexact, even), odd, bits);
  return b.CreateBitCast(r, s->getType());
}

/// p + e = x * y exactly, by Veltkamp's splitting and Dekker's product.
std::pair<Value*, Value*> TwoProduct(llvm::IRBuilder<>& b, Value* x, Value* y) {
  auto split = [&](Value* v) {
    Value* c = b.CreateFMul(v, llvm::ConstantFP::get(v->getType(), 134217729.0));  // 2^27 + 1
    Value* high = b.CreateFSub(c, b.CreateFSub(c, v));
    return std::pair(high, b.CreateFSub(v, high));
  };
  auto [xh, xl] = split(x);
  auto [yh, yl] = split(y);
  Value* p = b.CreateFMul(x, y);
  Value* e = b.CreateFSub(b.CreateFMul(xh, yh), p);
  e = b.CreateFAdd(e, b.CreateFMul(xh, yl));
  e = b.CreateFAdd(e, b.CreateFMul(xl, yh));
  return {p, b.CreateFAdd(e, b.CreateFMul(xl, yl))};
}

}  // namespace

// binary32 without FMA instructions: the product is exact in binary64, the sum is rounded to odd there, so
// that the second rounding is the only one.
Value* Numeric::FmaByDoubles(Value* a, Value* b, Value* c) {
  llvm::Type* wide = LikeType(a, b_.getDoubleTy());
  Value* product = b_.CreateFMul(b_.CreateFPExt(a, wide), b_.CreateFPExt(b, wide));
  return b_.CreateFPTrunc(AddOdd(b_, product, b_.CreateFPExt(c, wide)), a->getType());
}

// binary64 without FMA instructions, by the algorithm of the same paper. Products beyond 2^996 fall back to
// two roundings, as the splitting overflows there.
Value* Numeric::FmaByPairs(Value* a, Value* b, Value* c) {
  auto [uh, ul] = TwoProduct(b_, a, b);
  auto [th, tl] = TwoSum(b_, c, ul);
  auto [vh, vl] = TwoSum(b_, uh, th);
  Value* exact = b_.CreateFAdd(vh, AddOdd(b_, tl, vl));
  Value* plain = b_.CreateFAdd(b_.CreateFMul(a, b), c);
  Value* finite = b_.CreateFCmpORD(exact, exact);
  return b_.CreateSelect(finite, exact, plain);
}

}  // namespace tilewright::llvm_codegen
