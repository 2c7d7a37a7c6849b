// SPDX-License-Identifier: Apache-2.0
// Conversions. Those of 16-bit floats are integer code where the processor has no instruction, so that no
// library is called; rounding is to nearest, ties to even, and NaN stays NaN.
#include "tilewright/codegen/llvm/numeric.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

Value* Numeric::Widen(DataType t, Value* v) {
  if (t.code == TypeCode::kFloat) return HalfToFloat(v);
  Value* wide = b_.CreateZExt(v, LikeType(v, b_.getInt32Ty()));
  return b_.CreateBitCast(b_.CreateShl(wide, 16), LikeType(v, b_.getFloatTy()));
}

Value* Numeric::Narrow(DataType t, Value* v) {
  return t.code == TypeCode::kFloat ? FloatToHalf(v) : FloatToBfloat(v);
}

Value* Numeric::HalfToFloat(Value* bits) {
  llvm::Type* f32 = LikeType(bits, b_.getFloatTy());
  if (facts_.f16_conversion)
    return b_.CreateFPExt(b_.CreateBitCast(bits, LikeType(bits, b_.getHalfTy())), f32);
  Value* wide = b_.CreateZExt(bits, LikeType(bits, b_.getInt32Ty()));
  Value* magnitude = b_.CreateAnd(wide, 0x7fff);
  Value* sign = b_.CreateShl(b_.CreateAnd(wide, 0x8000), 16);
  Value* shifted = b_.CreateShl(magnitude, 13);
  // Normal numbers move their exponent's bias from 15 to 127, infinity and NaN to the largest exponent.
  Value* special = b_.CreateICmpUGE(magnitude, IntLike(magnitude, 0x7c00));
  Value* rebias = b_.CreateSelect(special, IntLike(wide, uint64_t(255 - 31) << 23),
                                  IntLike(wide, uint64_t(127 - 15) << 23));
  Value* normal = b_.CreateAdd(shifted, rebias);
  // A subnormal is its significand in units of 2^-24, exact in binary32.
  Value* scaled = b_.CreateFMul(b_.CreateUIToFP(magnitude, f32), llvm::ConstantFP::get(f32, 0x1p-24));
  Value* small = b_.CreateICmpULT(magnitude, IntLike(magnitude, 0x400));
  Value* r = b_.CreateSelect(small, b_.CreateBitCast(scaled, wide->getType()), normal);
  // A signalling NaN becomes a quiet one, as the instruction makes it.
  Value* nan = b_.CreateICmpUGT(magnitude, IntLike(magnitude, 0x7c00));
  r = b_.CreateSelect(nan, b_.CreateOr(r, 0x400000), r);
  return b_.CreateBitCast(b_.CreateOr(r, sign), f32);
}

Value* Numeric::FloatToHalf(Value* value) {
  llvm::Type* i16 = LikeType(value, b_.getInt16Ty());
  if (facts_.f16_conversion)
    return b_.CreateBitCast(b_.CreateFPTrunc(value, LikeType(value, b_.getHalfTy())), i16);
  llvm::IRBuilder<>::FastMathFlagGuard guard(b_);
  b_.setFastMathFlags({});
  Value* bits = b_.CreateBitCast(value, LikeType(value, b_.getInt32Ty()));
  Value* magnitude = b_.CreateAnd(bits, 0x7fffffff);
  Value* sign = b_.CreateAnd(b_.CreateLShr(bits, 16), 0x8000);
  // Normal results: subtract the difference of the biases and round off 13 bits.
  Value* odd = b_.CreateAnd(b_.CreateLShr(magnitude, 13), 1);
  Value* rounded =
      b_.CreateAdd(b_.CreateAdd(magnitude, IntLike(bits, 0xfff - (uint64_t(127 - 15) << 23))), odd);
  Value* normal = b_.CreateLShr(rounded, 13);
  // Subnormal results: adding 0.5 lets the adder round to units of 2^-24, which end up in the low bits.
  Value* absolute = b_.CreateBitCast(magnitude, value->getType());
  Value* sum = b_.CreateBitCast(b_.CreateFAdd(absolute, ConstantLike(value, 0.5)), bits->getType());
  Value* subnormal = b_.CreateSub(sum, IntLike(bits, 0x3f000000));
  Value* r = b_.CreateSelect(b_.CreateICmpULT(magnitude, IntLike(bits, 0x38800000)), subnormal, normal);
  // From 65520 upwards the nearest is infinity.
  r = b_.CreateSelect(b_.CreateICmpUGE(magnitude, IntLike(bits, 0x477ff000)), IntLike(bits, 0x7c00), r);
  Value* payload = b_.CreateOr(b_.CreateAnd(b_.CreateLShr(magnitude, 13), 0x3ff), 0x7e00);
  r = b_.CreateSelect(b_.CreateICmpUGT(magnitude, IntLike(bits, 0x7f800000)), payload, r);
  return b_.CreateTrunc(b_.CreateOr(r, sign), i16);
}

Value* Numeric::FloatToBfloat(Value* value) {
  Value* bits = b_.CreateBitCast(value, LikeType(value, b_.getInt32Ty()));
  Value* odd = b_.CreateAnd(b_.CreateLShr(bits, 16), 1);
  Value* rounded = b_.CreateAdd(b_.CreateAdd(bits, odd), IntLike(bits, 0x7fff));
  Value* quiet = b_.CreateOr(bits, 0x400000);
  Value* r = b_.CreateSelect(b_.CreateFCmpUNO(value, value), quiet, rounded);
  return b_.CreateTrunc(b_.CreateLShr(r, 16), LikeType(value, b_.getInt16Ty()));
}

// binary64 to binary32 rounded to odd, so that a second rounding to 16 bits is the only one that shows.
Value* Numeric::DoubleToFloatOdd(Value* value) {
  llvm::Type* f32 = LikeType(value, b_.getFloatTy());
  Value* f = b_.CreateFPTrunc(value, f32);
  Value* back = b_.CreateFPExt(f, value->getType());
  Value* bits = b_.CreateBitCast(f, LikeType(value, b_.getInt32Ty()));
  Value* inexact = b_.CreateFCmpONE(back, value);
  Value* above = b_.CreateFCmpOGT(b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, back),
                                  b_.CreateUnaryIntrinsic(llvm::Intrinsic::fabs, value));
  Value* truncated = b_.CreateSub(bits, b_.CreateZExt(above, bits->getType()));
  Value* odd = b_.CreateOr(truncated, 1);
  return b_.CreateBitCast(b_.CreateSelect(inexact, odd, bits), f32);
}

Value* Numeric::Cast(DataType from, DataType to, Value* v) {
  if (from == to) return v;
  if (from.is_float()) return CastFromFloat(from, to, v);
  if (to.is_float()) return CastToFloat(from, to, v);
  if (to.is_bool()) return b_.CreateICmpNE(v, llvm::Constant::getNullValue(v->getType()));
  TW_CHECK((from.is_integer() || from.is_bool()) && to.is_integer(), "cast of {} to {}", from.ToString(),
           to.ToString());
  return from.is_int() ? b_.CreateSExtOrTrunc(v, ValueType(to)) : b_.CreateZExtOrTrunc(v, ValueType(to));
}

Value* Numeric::CastFromFloat(DataType from, DataType to, Value* v) {
  const DataType f32 = DataType::Float(32, from.lanes);
  if (from.bits == 16) return Cast(f32, to, Widen(from, v));
  if (to.is_float()) {
    if (to.bits == 64) return b_.CreateFPExt(v, ValueType(to));
    if (to.bits == 32) return b_.CreateFPTrunc(v, ValueType(to));
    return Narrow(to, from.bits == 64 ? DoubleToFloatOdd(v) : v);
  }
  if (to.is_bool()) return b_.CreateFCmpUNE(v, ConstantLike(v, 0.0));
  // LLVM's result is poison out of range; freezing it leaves what the instruction gives. Narrow integers go
  // through 32 bits, so that 300.0 to u8 wraps as C++ compilers make it.
  llvm::Type* type = ValueType(to);
  if (to.bits < 32) {
    Value* wide = b_.CreateFreeze(b_.CreateFPToSI(v, LikeType(v, b_.getInt32Ty())));
    return b_.CreateTrunc(wide, type);
  }
  return b_.CreateFreeze(to.is_int() ? b_.CreateFPToSI(v, type) : b_.CreateFPToUI(v, type));
}

Value* Numeric::CastToFloat(DataType from, DataType to, Value* v) {
  if (to.bits == 16) {
    // Integers of 32 bits are exact in binary64, whose rounding to 16 bits is then the only one.
    const DataType via = from.bits < 24 ? DataType::Float(32, to.lanes) : DataType::Float(64, to.lanes);
    return Cast(via, to, Cast(from, via, v));
  }
  return from.is_int() ? b_.CreateSIToFP(v, ValueType(to)) : b_.CreateUIToFP(v, ValueType(to));
}

}  // namespace tilewright::llvm_codegen
