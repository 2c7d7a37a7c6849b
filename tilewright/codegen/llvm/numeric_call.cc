// SPDX-License-Identifier: Apache-2.0
// The pure intrinsics of ir/expr.h.
#include <llvm/IR/IntrinsicsX86.h>

#include <bit>

#include "tilewright/codegen/llvm/numeric.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

Value* Numeric::Call(Intrinsic op, DataType result, std::span<const DataType> types,
                     std::span<Value* const> args) {
  const DataType t = types.front();
  switch (op) {
    case Intrinsic::k_likely:
      return args[0];
    case Intrinsic::k_reinterpret:
      TW_CHECK(!t.is_bool() && !result.is_bool() && t.bits * t.lanes == result.bits * result.lanes,
               "reinterpret of {} as {}", t.ToString(), result.ToString());
      return b_.CreateBitCast(args[0], ValueType(result));
    case Intrinsic::k_vector_reduce_add:
    case Intrinsic::k_vector_reduce_max:
    case Intrinsic::k_vector_reduce_min:
      return Reduce(op, t, args[0]);
    case Intrinsic::k_dot_u8s8_i32:
      return DotU8S8(result.lanes, args[0], args[1], args[2]);
    case Intrinsic::k_dot_bf16_f32:
      return DotBf16(result.lanes, args[0], args[1], args[2]);
    default:
      break;
  }
  if (!t.is_float()) return IntCall(op, t, args);
  if (t.bits != 16) return FloatCall(op, t, args);
  llvm::SmallVector<Value*, 3> wide;
  for (Value* a : args) wide.push_back(Widen(t, a));
  Value* r = FloatCall(op, DataType::Float(32, t.lanes), {wide.data(), wide.size()});
  return result.is_bool() ? r : Narrow(t, r);
}

Value* Numeric::FloatCall(Intrinsic op, DataType t, std::span<Value* const> args) {
  Value* x = args[0];
  auto unary = [&](llvm::Intrinsic::ID id) { return b_.CreateUnaryIntrinsic(id, x); };
  switch (op) {
    case Intrinsic::k_sqrt:
      return unary(llvm::Intrinsic::sqrt);
    case Intrinsic::k_rsqrt:
      return b_.CreateFDiv(ConstantLike(x, 1.0), unary(llvm::Intrinsic::sqrt));
    case Intrinsic::k_abs:
      return unary(llvm::Intrinsic::fabs);
    case Intrinsic::k_floor:
      return unary(llvm::Intrinsic::floor);
    case Intrinsic::k_ceil:
      return unary(llvm::Intrinsic::ceil);
    case Intrinsic::k_trunc:
      return unary(llvm::Intrinsic::trunc);
    case Intrinsic::k_round:
      return unary(llvm::Intrinsic::roundeven);
    case Intrinsic::k_fma:
      return Fma(args[0], args[1], args[2]);
    case Intrinsic::k_isnan:
      return b_.CreateFCmpUNO(x, x);
    case Intrinsic::k_isinf:
      return b_.CreateFCmpOEQ(unary(llvm::Intrinsic::fabs), llvm::ConstantFP::getInfinity(x->getType()));
    default:
      break;
  }
  TW_CHECK(false, "{} of {} reached code generation; lowering expands it", GetIntrinsicInfo(op).name,
           t.ToString());
  return nullptr;
}

Value* Numeric::IntCall(Intrinsic op, DataType t, std::span<Value* const> args) {
  Value* x = args[0];
  switch (op) {
    case Intrinsic::k_abs:
      return t.is_int() ? b_.CreateBinaryIntrinsic(llvm::Intrinsic::abs, x, b_.getFalse()) : x;
    case Intrinsic::k_floor:
    case Intrinsic::k_ceil:
    case Intrinsic::k_trunc:
    case Intrinsic::k_round:
      return x;
    case Intrinsic::k_fma:
      return b_.CreateAdd(b_.CreateMul(x, args[1]), args[2]);
    case Intrinsic::k_isnan:
    case Intrinsic::k_isinf:
      return llvm::Constant::getNullValue(LikeType(x, b_.getInt1Ty()));
    case Intrinsic::k_bit_and:
      return b_.CreateAnd(x, args[1]);
    case Intrinsic::k_bit_or:
      return b_.CreateOr(x, args[1]);
    case Intrinsic::k_bit_xor:
      return b_.CreateXor(x, args[1]);
    case Intrinsic::k_bit_not:
      return b_.CreateNot(x);
    case Intrinsic::k_shift_left:
      return Shift(true, t, x, args[1]);
    case Intrinsic::k_shift_right:
      return Shift(false, t, x, args[1]);
    case Intrinsic::k_popcount:
      return b_.CreateUnaryIntrinsic(llvm::Intrinsic::ctpop, x);
    default:
      break;
  }
  TW_CHECK(false, "{} of {} reached code generation", GetIntrinsicInfo(op).name, t.ToString());
  return nullptr;
}

// By halves: lane i with lane i + n/2, again and again, so that the order of a float sum is the same on every
// target. Lanes beyond the largest power of two are reduced apart and combined last.
Value* Numeric::Reduce(Intrinsic op, DataType vector, Value* v) {
  const BinaryOp combine = op == Intrinsic::k_vector_reduce_add   ? BinaryOp::kAdd
                           : op == Intrinsic::k_vector_reduce_max ? BinaryOp::kMax
                                                                  : BinaryOp::kMin;
  if (vector.lanes == 1) return v;
  int lanes = int(std::bit_floor(unsigned(vector.lanes)));
  if (lanes != vector.lanes) {
    const int rest = vector.lanes - lanes;
    Value* head = Reduce(op, vector.WithLanes(lanes), Slice(v, 0, lanes));
    return Binary(combine, vector.element(), head, Reduce(op, vector.WithLanes(rest), Slice(v, lanes, rest)));
  }
  for (; lanes > 1; lanes /= 2) {
    v = Binary(combine, vector.WithLanes(lanes / 2), Slice(v, 0, lanes / 2), Slice(v, lanes / 2, lanes / 2));
  }
  return v;
}

namespace {

/// The widest piece of 16, 8 or 4 results that divides `lanes` and fits the target's vectors of 32-bit
/// values.
int NativeLanes(int lanes, int vector_bits) {
  for (int n = vector_bits / 32; n >= 4; n /= 2) {
    if (lanes % n == 0) return n;
  }
  return 0;
}

}  // namespace

Value* Numeric::DotU8S8(int lanes, Value* acc, Value* a, Value* b) {
  const int piece = facts_.dot_u8s8 ? NativeLanes(lanes, facts_.vector_bits) : 0;
  if (piece) {
    const auto id = piece == 16  ? llvm::Intrinsic::x86_avx512_vpdpbusd_512
                    : piece == 8 ? llvm::Intrinsic::x86_avx512_vpdpbusd_256
                                 : llvm::Intrinsic::x86_avx512_vpdpbusd_128;
    llvm::Type* i32s = llvm::FixedVectorType::get(b_.getInt32Ty(), lanes);
    a = b_.CreateBitCast(a, i32s), b = b_.CreateBitCast(b, i32s);
    llvm::SmallVector<Value*, 8> parts;
    for (int i = 0; i < lanes; i += piece) {
      parts.push_back(
          b_.CreateIntrinsic(id, {}, {Slice(acc, i, piece), Slice(a, i, piece), Slice(b, i, piece)}));
    }
    return Concat({parts.data(), parts.size()});
  }
  // A product of u8 and s8 fits 16 bits, the sum of four does not.
  llvm::Type* i16 = LikeType(a, b_.getInt16Ty());
  llvm::Type* i32 = LikeType(a, b_.getInt32Ty());
  Value* product = b_.CreateSExt(b_.CreateMul(b_.CreateZExt(a, i16), b_.CreateSExt(b, i16)), i32);
  Value* sum = acc;
  for (int k = 0; k < 4; ++k)
    sum = b_.CreateAdd(sum, lanes == 1 ? Slice(product, k, 1) : Strided(product, k, 4, lanes));
  return sum;
}

Value* Numeric::DotBf16(int lanes, Value* acc, Value* a, Value* b) {
  const int piece = facts_.dot_bf16 ? NativeLanes(lanes, facts_.vector_bits) : 0;
  if (piece) {
    const auto id = piece == 16  ? llvm::Intrinsic::x86_avx512bf16_dpbf16ps_512
                    : piece == 8 ? llvm::Intrinsic::x86_avx512bf16_dpbf16ps_256
                                 : llvm::Intrinsic::x86_avx512bf16_dpbf16ps_128;
    llvm::Type* bf16s = llvm::FixedVectorType::get(b_.getBFloatTy(), unsigned(piece) * 2);
    llvm::SmallVector<Value*, 8> parts;
    for (int i = 0; i < lanes; i += piece) {
      parts.push_back(
          b_.CreateIntrinsic(id, {},
                             {Slice(acc, i, piece), b_.CreateBitCast(Slice(a, 2 * i, 2 * piece), bf16s),
                              b_.CreateBitCast(Slice(b, 2 * i, 2 * piece), bf16s)}));
    }
    return Concat({parts.data(), parts.size()});
  }
  const DataType pairs = DataType::BFloat16(2 * lanes);
  Value *x = Widen(pairs, a), *y = Widen(pairs, b);
  Value* sum = acc;
  for (int k = 0; k < 2; ++k) {
    auto take = [&](Value* v) { return lanes == 1 ? Slice(v, k, 1) : Strided(v, k, 2, lanes); };
    sum = b_.CreateFAdd(sum, b_.CreateFMul(take(x), take(y)));
  }
  return sum;
}

}  // namespace tilewright::llvm_codegen
