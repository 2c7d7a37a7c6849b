// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/numeric.h"

#include <numeric>

namespace tilewright::llvm_codegen {

using llvm::Value;

TargetFacts::TargetFacts(const Target& target) {
  const std::string& t = target.triple;
  x86 = t.starts_with("x86_64");
  aarch64 = t.starts_with("aarch64");
  riscv = t.starts_with("riscv64");
  auto has = [&](const std::string& feature) {
    return ("," + target.features + ",").find(",+" + feature + ",") != std::string::npos;
  };
  f16_conversion = aarch64 || (x86 && has("f16c"));
  fma = target.has_fma;
  dot_u8s8 = target.has_dot_u8s8 && x86;
  dot_bf16 = target.has_dot_bf16 && x86;
  vector_bits = target.vector_bytes * 8;
}

namespace {

llvm::Type* WithLanes(llvm::Type* element, DataType t) {
  TW_CHECK(!t.scalable, "scalable vector type {} at code generation", t.ToString());
  return t.lanes == 1 ? element : llvm::FixedVectorType::get(element, t.lanes);
}

}  // namespace

llvm::Type* Numeric::ValueType(DataType t) const {
  llvm::LLVMContext& c = b_.getContext();
  switch (t.code) {
    case TypeCode::kInt:
    case TypeCode::kUInt:
      return WithLanes(llvm::Type::getIntNTy(c, t.bits), t);
    case TypeCode::kBFloat:
      return WithLanes(llvm::Type::getInt16Ty(c), t);
    case TypeCode::kBool:
      return WithLanes(llvm::Type::getInt1Ty(c), t);
    case TypeCode::kHandle:
      return llvm::PointerType::get(c, 0);
    case TypeCode::kFloat:
      if (t.bits == 16) return WithLanes(llvm::Type::getInt16Ty(c), t);
      if (t.bits == 32) return WithLanes(llvm::Type::getFloatTy(c), t);
      if (t.bits == 64) return WithLanes(llvm::Type::getDoubleTy(c), t);
      break;
    default:
      break;
  }
  TW_CHECK(false, "no machine type for {}", t.ToString());
  return nullptr;
}

llvm::Type* Numeric::MemoryType(DataType t) const {
  if (t.is_float() || t.code == TypeCode::kHandle) return ValueType(t);
  return WithLanes(llvm::Type::getIntNTy(b_.getContext(), unsigned(t.element_bytes() * 8)), t);
}

Value* Numeric::ToMemory(DataType t, Value* v) {
  llvm::Type* memory = MemoryType(t);
  if (v->getType() == memory) return v;
  return t.is_int() ? b_.CreateSExt(v, memory) : b_.CreateZExt(v, memory);
}

Value* Numeric::FromMemory(DataType t, Value* v) {
  if (v->getType() == ValueType(t)) return v;
  if (t.is_bool()) return b_.CreateICmpNE(v, llvm::Constant::getNullValue(v->getType()));
  return b_.CreateTrunc(v, ValueType(t));
}

llvm::Constant* Numeric::Float(DataType t, double value) const {
  if (t.bits != 16) return llvm::ConstantFP::get(ValueType(t), value);
  llvm::APFloat f(value);
  bool loses;
  f.convert(t.code == TypeCode::kBFloat ? llvm::APFloat::BFloat() : llvm::APFloat::IEEEhalf(),
            llvm::APFloat::rmNearestTiesToEven, &loses);
  return llvm::ConstantInt::get(ValueType(t), f.bitcastToAPInt().getZExtValue());
}

llvm::Constant* Numeric::Int(DataType t, int64_t value) const {
  return llvm::ConstantInt::get(ValueType(t), uint64_t(value), t.is_int());
}

llvm::Constant* Numeric::Zero(DataType t) const { return llvm::Constant::getNullValue(ValueType(t)); }

Value* Numeric::Splat(Value* scalar, int lanes) {
  return lanes == 1 ? scalar : b_.CreateVectorSplat(lanes, scalar);
}

Value* Numeric::Binary(BinaryOp op, DataType t, Value* a, Value* b, bool nonnegative) {
  if (!t.is_float()) return IntBinary(op, t, a, b, nonnegative);
  if (t.bits != 16) return FloatBinary(op, t, a, b);
  Value* r = FloatBinary(op, DataType::Float(32, t.lanes), Widen(t, a), Widen(t, b));
  return IsComparison(op) ? r : Narrow(t, r);
}

Value* Numeric::ConstantLike(Value* v, double value) { return llvm::ConstantFP::get(v->getType(), value); }
Value* Numeric::IntLike(Value* v, uint64_t value) { return llvm::ConstantInt::get(v->getType(), value); }

llvm::Type* Numeric::LikeType(Value* v, llvm::Type* element) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  return vector ? llvm::FixedVectorType::get(element, vector->getNumElements()) : element;
}

Value* Numeric::Strided(Value* v, int begin, int stride, int lanes) {
  llvm::SmallVector<int, 64> mask(lanes);
  for (int i = 0; i < lanes; ++i) mask[i] = begin + i * stride;
  return b_.CreateShuffleVector(v, mask);
}

Value* Numeric::Slice(Value* v, int begin, int lanes) {
  auto* vector = llvm::dyn_cast<llvm::FixedVectorType>(v->getType());
  if (lanes == 1) return vector ? b_.CreateExtractElement(v, uint64_t(begin)) : v;
  if (begin == 0 && int(vector->getNumElements()) == lanes) return v;
  return Strided(v, begin, 1, lanes);
}

Value* Numeric::Concat(std::span<Value* const> parts) {
  llvm::SmallVector<Value*, 8> list(parts.begin(), parts.end());
  TW_CHECK(!list.empty(), "nothing to concatenate");
  while (list.size() > 1) {
    // Pairs of equal width; an odd one out is widened with poison lanes that no index names.
    llvm::SmallVector<Value*, 8> next;
    for (size_t i = 0; i + 1 < list.size(); i += 2) {
      const int x = int(llvm::cast<llvm::FixedVectorType>(list[i]->getType())->getNumElements());
      const int y = int(llvm::cast<llvm::FixedVectorType>(list[i + 1]->getType())->getNumElements());
      Value* second = list[i + 1];
      if (y < x) {
        llvm::SmallVector<int, 64> pad(x, llvm::PoisonMaskElem);
        std::iota(pad.begin(), pad.begin() + y, 0);
        second = b_.CreateShuffleVector(second, pad);
      }
      llvm::SmallVector<int, 64> mask(x + y);
      std::iota(mask.begin(), mask.end(), 0);
      next.push_back(b_.CreateShuffleVector(list[i], second, mask));
    }
    if (list.size() % 2) next.push_back(list.back());
    list = std::move(next);
  }
  return list.front();
}

}  // namespace tilewright::llvm_codegen
