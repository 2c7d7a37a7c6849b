// SPDX-License-Identifier: Apache-2.0
// Arithmetic on values of Tilewright's element types as LLVM instructions; knows neither variables nor
// memory.
//
// How types are held in values: bool as i1; f16 and bf16 as the i16 of their bits, because LLVM would
// call a library for conversions that the processor lacks; all else as LLVM's type of that name.
#pragma once

#include <llvm/IR/IRBuilder.h>

#include <span>

#include "tilewright/ir/expr.h"
#include "tilewright/target/target.h"

namespace tilewright::llvm_codegen {

/// What instruction choice depends on, read once from the target's description.
struct TargetFacts {
  explicit TargetFacts(const Target& target);
  bool x86 = false, aarch64 = false, riscv = false;
  bool f16_conversion = false;  ///< instructions between binary16 and binary32
  bool fma = false;
  bool dot_u8s8 = false, dot_bf16 = false;
  int vector_bits = 128;
};

class Numeric {
 public:
  Numeric(llvm::IRBuilder<>& builder, const TargetFacts& facts) : b_(builder), facts_(facts) {}

  llvm::Type* ValueType(DataType t) const;
  /// The type in memory: bool and integers narrower than a byte take whole bytes.
  llvm::Type* MemoryType(DataType t) const;
  llvm::Value* ToMemory(DataType t, llvm::Value* v);
  llvm::Value* FromMemory(DataType t, llvm::Value* v);

  llvm::Constant* Float(DataType t, double value) const;
  llvm::Constant* Int(DataType t, int64_t value) const;
  llvm::Constant* Zero(DataType t) const;
  llvm::Value* Splat(llvm::Value* scalar, int lanes);

  /// `a op b`. With `nonnegative`, integer operands are known not to be negative (index arithmetic).
  llvm::Value* Binary(BinaryOp op, DataType operands, llvm::Value* a, llvm::Value* b,
                      bool nonnegative = false);
  llvm::Value* Cast(DataType from, DataType to, llvm::Value* v);
  /// A pure intrinsic of `args`, whose types are `types`.
  llvm::Value* Call(Intrinsic op, DataType result, std::span<const DataType> types,
                    std::span<llvm::Value* const> args);

  const TargetFacts& facts() const { return facts_; }

 private:
  // numeric_int.cc
  llvm::Value* IntBinary(BinaryOp op, DataType t, llvm::Value* a, llvm::Value* b, bool nonnegative);
  llvm::Value* Divide(BinaryOp op, DataType t, llvm::Value* a, llvm::Value* b, bool nonnegative);
  llvm::Value* Shift(bool left, DataType t, llvm::Value* a, llvm::Value* amount);
  // numeric_float.cc
  llvm::Value* FloatBinary(BinaryOp op, DataType t, llvm::Value* a, llvm::Value* b);
  llvm::Value* MinMax(bool max, llvm::Value* a, llvm::Value* b);
  llvm::Value* Fmod(llvm::Value* a, llvm::Value* b);
  llvm::Function* FmodRoutine(llvm::Type* type);
  llvm::Value* Fma(llvm::Value* a, llvm::Value* b, llvm::Value* c);
  llvm::Value* FmaByDoubles(llvm::Value* a, llvm::Value* b, llvm::Value* c);
  llvm::Value* FmaByPairs(llvm::Value* a, llvm::Value* b, llvm::Value* c);
  // numeric_convert.cc
  llvm::Value* Widen(DataType t, llvm::Value* v);
  llvm::Value* Narrow(DataType t, llvm::Value* v);
  llvm::Value* HalfToFloat(llvm::Value* bits);
  llvm::Value* FloatToHalf(llvm::Value* value);
  llvm::Value* FloatToBfloat(llvm::Value* value);
  llvm::Value* DoubleToFloatOdd(llvm::Value* value);
  llvm::Value* CastFromFloat(DataType from, DataType to, llvm::Value* v);
  llvm::Value* CastToFloat(DataType from, DataType to, llvm::Value* v);
  // numeric_call.cc
  llvm::Value* FloatCall(Intrinsic op, DataType t, std::span<llvm::Value* const> args);
  llvm::Value* IntCall(Intrinsic op, DataType t, std::span<llvm::Value* const> args);
  llvm::Value* Reduce(Intrinsic op, DataType vector, llvm::Value* v);
  llvm::Value* DotU8S8(int lanes, llvm::Value* acc, llvm::Value* a, llvm::Value* b);
  llvm::Value* DotBf16(int lanes, llvm::Value* acc, llvm::Value* a, llvm::Value* b);
  // shared
  llvm::Value* ConstantLike(llvm::Value* v, double value);    ///< a float constant of v's type
  llvm::Value* IntLike(llvm::Value* v, uint64_t value);       ///< an integer constant of v's type
  llvm::Type* LikeType(llvm::Value* v, llvm::Type* element);  ///< `element` with v's lanes
  llvm::Value* Slice(llvm::Value* v, int begin, int lanes);   ///< lanes [begin, begin + lanes)
  llvm::Value* Strided(llvm::Value* v, int begin, int stride, int lanes);
  llvm::Value* Concat(std::span<llvm::Value* const> parts);  ///< vectors of equal type

  llvm::IRBuilder<>& b_;
  const TargetFacts& facts_;
};

}  // namespace tilewright::llvm_codegen
