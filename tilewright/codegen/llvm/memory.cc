// SPDX-License-Identifier: Apache-2.0
// Loads, stores and their addresses.
#include <algorithm>
#include <bit>
#include <numeric>

#include "tilewright/codegen/llvm/expr_emitter.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

const ExprEmitter::BufferBase& ExprEmitter::Base(const BufferNode& buffer) const {
  auto it = bases_.find(&buffer);
  TW_CHECK(it != bases_.end(), "buffer {} is neither a parameter nor allocated here", buffer.buffer_name);
  return it->second;
}

std::optional<ExprEmitter::RampForm> ExprEmitter::AsRamp(const Expr& index) const {
  if (auto* n = index.As<BroadcastNode>()) return RampForm{n->value, 0};
  if (auto* n = index.As<RampNode>()) {
    if (auto stride = AsInt(n->stride)) return RampForm{n->base, *stride};
    return std::nullopt;
  }
  auto* n = index.As<BinaryNode>();
  if (!n || (n->op != BinaryOp::kAdd && n->op != BinaryOp::kSub && n->op != BinaryOp::kMul))
    return std::nullopt;
  auto a = AsRamp(n->a), b = AsRamp(n->b);
  if (!a || !b) return std::nullopt;
  if (n->op == BinaryOp::kMul) {
    auto scale_by = [](const RampForm& x, const RampForm& factor) -> std::optional<RampForm> {
      auto c = AsInt(factor.base);
      if (factor.stride != 0 || (!c && x.stride != 0)) return std::nullopt;
      return RampForm{x.base * factor.base, c ? x.stride * *c : 0};
    };
    if (auto r = scale_by(*a, *b)) return r;
    return scale_by(*b, *a);
  }
  const bool add = n->op == BinaryOp::kAdd;
  return RampForm{MakeBinary(n->op, a->base, b->base), add ? a->stride + b->stride : a->stride - b->stride};
}

// Buffers of the lowered stage are flat as a rule; a rank above one is row-major.
Expr ExprEmitter::FlatIndex(const BufferNode& buffer, const std::vector<Expr>& indices) const {
  int lanes = 1;
  for (const Expr& i : indices) lanes = std::max<int>(lanes, i.dtype().lanes);
  auto fit = [&](const Expr& e) { return e.dtype().lanes == lanes ? e : MakeBroadcast(e, lanes); };
  Expr flat = nullptr;
  for (size_t d = 0; d < indices.size(); ++d) {
    if (!buffer.strides.empty()) {
      Expr part = fit(indices[d]) * fit(buffer.strides[d]);
      flat = flat ? flat + part : part;
    } else {
      flat = flat ? flat * fit(buffer.shape[d]) + fit(indices[d]) : fit(indices[d]);
    }
  }
  if (!flat) flat = Expr(0);
  return buffer.offset ? flat + fit(buffer.offset) : flat;
}

namespace {

using Terms = std::vector<std::pair<Expr, int64_t>>;

int64_t ElementBytes(const BufferNode& buffer) { return buffer.dtype.bytes(); }

/// The alignment that every value of the form keeps, given that of element 0.
llvm::Align KnownAlignment(const BufferNode& buffer, const AddressForm& form) {
  uint64_t bits = uint64_t(buffer.alignment) | uint64_t(form.constant * ElementBytes(buffer));
  for (const auto& [term, c] : form.terms) bits |= uint64_t(c * ElementBytes(buffer));
  return llvm::Align(uint64_t(1) << std::countr_zero(bits));
}

}  // namespace

Value* ExprEmitter::IndexTerm(const Expr& term, int level) {
  auto widen = [&](Value* v) {
    TW_CHECK(term.dtype().is_integer() && term.dtype().is_scalar(), "index of type {}",
             term.dtype().ToString());
    return b_.CreateIntCast(v, b_.getInt64Ty(), term.dtype().is_int());
  };
  if (term.kind() == ExprKind::kVar || level < 0) return widen(Emit(term));
  // Computed once at its level's anchor; what the present statement has computed may not be known there.
  Scope& scope = scopes_.scope(level);
  const Terms key{{term, 1}};
  const uint64_t hash = HashTerms(nullptr, key);
  for (auto [it, end] = scope.cache.equal_range(hash); it != end; ++it) {
    if (!it->second.buffer && SameTerms(it->second.terms, key)) return it->second.value;
  }
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  b_.SetInsertPoint(scope.anchor);
  memo_.emplace_back();
  const size_t barrier = std::exchange(barrier_, memo_.size() - 1);
  Value* v = widen(EmitNode(term));
  barrier_ = barrier;
  memo_.pop_back();
  scope.cache.emplace(hash, Scope::Cached{nullptr, key, v});
  return v;
}

Value* ExprEmitter::AddTerms(Value* pointer, std::span<const std::pair<Expr, int64_t>> terms, int level) {
  Value* sum = nullptr;
  for (const auto& [term, bytes] : terms) {
    Value* v = IndexTerm(term, level);
    if (bytes != 1) v = b_.CreateMul(v, b_.getInt64(bytes));
    sum = sum ? b_.CreateAdd(sum, v) : v;
  }
  return sum ? b_.CreatePtrAdd(pointer, sum) : pointer;
}

Value* ExprEmitter::HoistedPart(const BufferNode& buffer, int level, const Terms& prefix, size_t first,
                                Value* pointer) {
  Scope& scope = scopes_.scope(level);
  const uint64_t hash = HashTerms(&buffer, prefix);
  for (auto [it, end] = scope.cache.equal_range(hash); it != end; ++it) {
    if (it->second.buffer == &buffer && SameTerms(it->second.terms, prefix)) return it->second.value;
  }
  llvm::IRBuilder<>::InsertPointGuard guard(b_);
  b_.SetInsertPoint(scope.anchor);
  Value* v = AddTerms(pointer, std::span(prefix).subspan(first), level);
  scopes_.scope(level).cache.emplace(hash, Scope::Cached{&buffer, prefix, v});
  return v;
}

std::pair<Value*, llvm::Align> ExprEmitter::Address(const BufferNode& buffer, const Expr& index) {
  AddressForm form = scopes_.Linearize(index);
  const llvm::Align align = KnownAlignment(buffer, form);
  // Terms by level, outermost first but not outside of where the base is known; those that must stay here
  // (-1) last.
  struct Leveled {
    unsigned level;
    size_t order;
  };
  std::vector<Leveled> levels;
  const BufferBase& base = Base(buffer);
  for (const auto& [term, c] : form.terms) {
    const int level = scopes_.LevelOf(term);
    levels.push_back({unsigned(level < 0 ? level : std::max(level, base.scope)), levels.size()});
  }
  std::sort(levels.begin(), levels.end(), [](const Leveled& x, const Leveled& y) {
    return std::pair(x.level, x.order) < std::pair(y.level, y.order);
  });
  Value* pointer = base.value;
  Terms prefix;
  for (size_t i = 0; i < levels.size();) {
    const int level = int(levels[i].level);
    const size_t first = prefix.size();
    for (; i < levels.size() && int(levels[i].level) == level; ++i) {
      const auto& [term, c] = form.terms[levels[i].order];
      prefix.emplace_back(term, c * ElementBytes(buffer));
    }
    pointer = level < 0 ? AddTerms(pointer, std::span(prefix).subspan(first), level)
                        : HoistedPart(buffer, level, prefix, first, pointer);
  }
  if (form.constant) pointer = b_.CreatePtrAdd(pointer, b_.getInt64(form.constant * ElementBytes(buffer)));
  return {pointer, align};
}

Value* ExprEmitter::LanePointers(const BufferNode& buffer, const Expr& index, int lanes) {
  llvm::Type* element = num_.MemoryType(buffer.dtype);
  if (auto ramp = AsRamp(index); ramp && std::abs(ramp->stride) < (int64_t(1) << 24)) {
    llvm::SmallVector<llvm::Constant*, 64> steps;
    for (int i = 0; i < lanes; ++i) steps.push_back(b_.getInt32(uint32_t(int32_t(i * ramp->stride))));
    return b_.CreateGEP(element, Address(buffer, ramp->base).first, llvm::ConstantVector::get(steps));
  }
  TW_CHECK(index.dtype().is_int(), "vector index of type {}", index.dtype().ToString());
  return b_.CreateGEP(element, Base(buffer).value, Emit(index));
}

template <class F>
Value* ExprEmitter::EmitGuarded(Value* condition, Value* otherwise, F&& make) {
  llvm::Function* f = b_.GetInsertBlock()->getParent();
  auto* then_block = llvm::BasicBlock::Create(b_.getContext(), "guarded", f);
  auto* join = llvm::BasicBlock::Create(b_.getContext(), "join", f);
  llvm::BasicBlock* before = b_.GetInsertBlock();
  b_.CreateCondBr(condition, then_block, join);
  b_.SetInsertPoint(then_block);
  memo_.emplace_back();
  Value* v = make();
  memo_.pop_back();
  llvm::BasicBlock* end = b_.GetInsertBlock();
  b_.CreateBr(join);
  b_.SetInsertPoint(join);
  if (!otherwise) return nullptr;
  auto* phi = b_.CreatePHI(otherwise->getType(), 2);
  phi->addIncoming(otherwise, before);
  phi->addIncoming(v, end);
  return phi;
}

Value* ExprEmitter::EmitLoad(const LoadNode& n) {
  const BufferNode& buffer = *n.buffer;
  const Expr index = FlatIndex(buffer, n.indices);
  if (!index.dtype().is_scalar()) return LoadVector(n, index);
  auto load = [&]() -> Value* {
    auto [pointer, align] = Address(buffer, index);
    return num_.FromMemory(n.dtype, b_.CreateAlignedLoad(num_.MemoryType(n.dtype), pointer, align));
  };
  if (!n.predicate) return load();
  TW_CHECK(n.predicate.dtype().is_scalar(), "predicate of {} for a load of one element",
           n.predicate.dtype().ToString());
  return EmitGuarded(Emit(n.predicate), num_.Zero(n.dtype), load);
}

Value* ExprEmitter::LoadVector(const LoadNode& n, const Expr& index) {
  const BufferNode& buffer = *n.buffer;
  TW_CHECK(buffer.dtype.is_scalar(), "vector index into {} of vectors", buffer.buffer_name);
  const int lanes = index.dtype().lanes;
  llvm::Type* type = num_.MemoryType(n.dtype);
  Value* mask = n.predicate ? Emit(n.predicate) : nullptr;
  if (mask && n.predicate.dtype().is_scalar()) mask = num_.Splat(mask, lanes);
  auto ramp = AsRamp(index);
  Value* v;
  if (ramp && ramp->stride == 1) {
    auto [pointer, align] = Address(buffer, ramp->base);
    v = mask ? b_.CreateMaskedLoad(type, pointer, align, mask, llvm::Constant::getNullValue(type))
             : static_cast<Value*>(b_.CreateAlignedLoad(type, pointer, align));
  } else if (ramp && ramp->stride == 0 && !mask) {
    auto [pointer, align] = Address(buffer, ramp->base);
    v = num_.Splat(b_.CreateAlignedLoad(type->getScalarType(), pointer, align), lanes);
  } else if (ramp && ramp->stride == -1 && !mask) {
    auto [pointer, align] = Address(buffer, ramp->base - Expr(lanes - 1));
    v = b_.CreateVectorReverse(b_.CreateAlignedLoad(type, pointer, align));
  } else if (Value* fours = mask ? nullptr : LoadFours(buffer, index)) {
    v = fours;
  } else if (Value* elements = mask ? nullptr : LoadSpan(buffer, index)) {
    v = elements;
  } else {
    Value* pointers = LanePointers(buffer, index, lanes);
    if (!mask)
      mask = llvm::Constant::getAllOnesValue(llvm::FixedVectorType::get(b_.getInt1Ty(), unsigned(lanes)));
    v = b_.CreateMaskedGather(type, pointers, llvm::Align(uint64_t(ElementBytes(buffer))), mask,
                              llvm::Constant::getNullValue(type));
  }
  return num_.FromMemory(n.dtype, v);
}

void ExprEmitter::EmitStore(const StoreNode& n) {
  const BufferNode& buffer = *n.buffer;
  const Expr index = FlatIndex(buffer, n.indices);
  Value* value = num_.ToMemory(n.value.dtype(), Emit(n.value));
  if (!index.dtype().is_scalar()) return StoreVector(n, index, value);
  TW_CHECK(n.value.dtype().lanes == buffer.dtype.lanes, "store of {} into one element of {}",
           n.value.dtype().ToString(), buffer.buffer_name);
  auto store = [&]() -> Value* {
    auto [pointer, align] = Address(buffer, index);
    b_.CreateAlignedStore(value, pointer, align);
    return nullptr;
  };
  if (!n.predicate) {
    store();
    return;
  }
  TW_CHECK(n.predicate.dtype().is_scalar(), "predicate of {} for a store of one element",
           n.predicate.dtype().ToString());
  EmitGuarded(Emit(n.predicate), nullptr, store);
}

void ExprEmitter::StoreVector(const StoreNode& n, const Expr& index, Value* value) {
  const BufferNode& buffer = *n.buffer;
  const int lanes = index.dtype().lanes;
  TW_CHECK(buffer.dtype.is_scalar() && n.value.dtype().lanes == lanes, "store of {} at {} into {}",
           n.value.dtype().ToString(), index.dtype().ToString(), buffer.buffer_name);
  Value* mask = n.predicate ? Emit(n.predicate) : nullptr;
  if (mask && n.predicate.dtype().is_scalar()) mask = num_.Splat(mask, lanes);
  auto ramp = AsRamp(index);
  if (ramp && ramp->stride == 1) {
    auto [pointer, align] = Address(buffer, ramp->base);
    if (mask) {
      b_.CreateMaskedStore(value, pointer, align, mask);
    } else {
      b_.CreateAlignedStore(value, pointer, align);
    }
    return;
  }
  if (ramp && ramp->stride == -1 && !mask) {
    auto [pointer, align] = Address(buffer, ramp->base - Expr(lanes - 1));
    b_.CreateAlignedStore(b_.CreateVectorReverse(value), pointer, align);
    return;
  }
  if (!mask && StoreRuns(buffer, index, value)) return;
  Value* pointers = LanePointers(buffer, index, lanes);
  if (!mask)
    mask = llvm::Constant::getAllOnesValue(llvm::FixedVectorType::get(b_.getInt1Ty(), unsigned(lanes)));
  b_.CreateMaskedScatter(value, pointers, llvm::Align(uint64_t(ElementBytes(buffer))), mask);
}

void ExprEmitter::EmitPrefetch(const CallNode& n) {
  auto* load = n.args[0].As<LoadNode>();
  auto locality = AsInt(n.args[1]);
  TW_CHECK(load && locality && *locality >= 0 && *locality <= 3,
           "prefetch takes a load and a locality of 0 to 3");
  Expr index = FlatIndex(*load->buffer, load->indices);
  if (auto ramp = AsRamp(index)) index = ramp->base;
  TW_CHECK(index.dtype().is_scalar(), "prefetch of scattered elements");
  Value* pointer = Address(*load->buffer, index).first;
  b_.CreateIntrinsic(llvm::Intrinsic::prefetch, {pointer->getType()},
                     {pointer, b_.getInt32(0), b_.getInt32(uint32_t(*locality)), b_.getInt32(1)});
}

}  // namespace tilewright::llvm_codegen
