// SPDX-License-Identifier: Apache-2.0
// Loads of elements whose distances are known: vectors of memory and shuffles, and not an address per lane.
#include <algorithm>
#include <bit>
#include <numeric>

#include "tilewright/codegen/llvm/expr_emitter.h"
#include "tilewright/ir/int_arith.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

namespace {

bool AllEqual(const std::vector<int64_t>& offsets) {
  return std::all_of(offsets.begin(), offsets.end(), [&](int64_t o) { return o == offsets.front(); });
}

/// The first `count` lanes, in a vector of `width`.
Value* Lanes(llvm::IRBuilder<>& b, Value* v, int64_t count, int64_t width) {
  llvm::SmallVector<int, 64> pick(size_t(width), llvm::PoisonMaskElem);
  std::iota(pick.begin(), pick.begin() + count, 0);
  return b.CreateShuffleVector(v, pick);
}

}  // namespace

std::optional<ExprEmitter::OffsetForm> ExprEmitter::AsOffsets(const Expr& index) const {
  const size_t lanes = size_t(index.dtype().lanes);
  if (auto* n = index.As<BroadcastNode>()) return OffsetForm{n->value, std::vector<int64_t>(lanes, 0)};
  if (auto* n = index.As<RampNode>()) {
    const auto stride = AsInt(n->stride);
    if (!stride) return std::nullopt;
    OffsetForm form{n->base, std::vector<int64_t>(lanes)};
    for (size_t i = 0; i < lanes; ++i) form.offsets[i] = *stride * int64_t(i);
    return form;
  }
  auto* n = index.As<BinaryNode>();
  if (!n || !index.dtype().is_integer()) return std::nullopt;
  std::optional<OffsetForm> a = AsOffsets(n->a), b = AsOffsets(n->b);
  if (!a || !b) return std::nullopt;
  if (n->op == BinaryOp::kAdd || n->op == BinaryOp::kSub) {
    const int64_t sign = n->op == BinaryOp::kAdd ? 1 : -1;
    for (size_t i = 0; i < lanes; ++i) a->offsets[i] += sign * b->offsets[i];
    return OffsetForm{MakeBinary(n->op, a->base, b->base), std::move(a->offsets)};
  }
  if (n->op == BinaryOp::kMin || n->op == BinaryOp::kMax) {
    const auto x = AsInt(a->base), y = AsInt(b->base);
    if (!x || !y) return std::nullopt;
    for (size_t i = 0; i < lanes; ++i) {
      const int64_t p = *x + a->offsets[i], q = *y + b->offsets[i];
      a->offsets[i] = n->op == BinaryOp::kMin ? std::min(p, q) : std::max(p, q);
    }
    return OffsetForm{Expr(0), std::move(a->offsets)};
  }
  if (n->op == BinaryOp::kMul && AsInt(a->base) && AllEqual(a->offsets)) std::swap(a, b);
  const auto factor = AsInt(b->base);
  if (!factor || !AllEqual(b->offsets)) return std::nullopt;
  const int64_t c = *factor + b->offsets.front();
  if (n->op == BinaryOp::kMul) {
    for (int64_t& o : a->offsets) o *= c;
    return OffsetForm{a->base * Expr(c), std::move(a->offsets)};
  }
  if (c > 0 && (n->op == BinaryOp::kFloorDiv || n->op == BinaryOp::kFloorMod))
    return DivideOffsets(n->op, *a, c);
  return std::nullopt;
}

std::optional<ExprEmitter::OffsetForm> ExprEmitter::DivideOffsets(BinaryOp op, const OffsetForm& form,
                                                                  int64_t divisor) const {
  const AddressForm base = scopes_.Linearize(form.base);
  OffsetForm result{Expr(0), form.offsets};
  for (const auto& [term, c] : base.terms) {
    if (c % divisor) return std::nullopt;
    if (op == BinaryOp::kFloorDiv) result.base = result.base + term * Expr(c / divisor);
  }
  for (int64_t& o : result.offsets) {
    const int64_t at = base.constant + o;
    o = op == BinaryOp::kFloorDiv ? FloorDivInt(at, divisor) : FloorModInt(at, divisor);
  }
  return result;
}

// The elements lie in `span` consecutive ones, of which the first and the last are read: all of them are in
// the buffer. The last vector ends with the last element.
Value* ExprEmitter::LoadSpan(const BufferNode& buffer, const Expr& index) {
  const std::optional<OffsetForm> form = AsOffsets(index);
  if (!form) return nullptr;
  const int lanes = index.dtype().lanes;
  const auto [least, most] = std::minmax_element(form->offsets.begin(), form->offsets.end());
  const int64_t low = *least, span = *most - low + 1, width = int64_t(std::bit_ceil(unsigned(lanes)));
  const int64_t part = std::min(width, int64_t(std::bit_floor(uint64_t(span)))),
                parts = (span + part - 1) / part;
  // An address per lane costs a load and an insertion each, a part a load and a shuffle.
  if (4 * parts > 3 * int64_t(lanes)) return nullptr;
  llvm::Type* type = llvm::FixedVectorType::get(num_.MemoryType(buffer.dtype), unsigned(part));
  Value* result = nullptr;
  for (int64_t p = 0; p < parts; ++p) {
    const int64_t begin = std::min(p * part, span - part);
    auto [pointer, align] = Address(buffer, form->base + Expr(low + begin));
    Value* loaded = b_.CreateAlignedLoad(type, pointer, align);
    llvm::SmallVector<int, 64> pick(size_t(width), llvm::PoisonMaskElem);
    const int behind = result ? int(width) : 0;
    for (int i = 0; i < lanes; ++i) {
      const int64_t at = form->offsets[size_t(i)] - low;
      if (at >= p * part && at < (p + 1) * part) pick[size_t(i)] = behind + int(at - begin);
      if (result && at < p * part) pick[size_t(i)] = i;
    }
    if (result && part != width) loaded = Lanes(b_, loaded, part, width);
    result = result ? b_.CreateShuffleVector(result, loaded, pick) : b_.CreateShuffleVector(loaded, pick);
  }
  return width == lanes ? result : Lanes(b_, result, lanes, lanes);
}

}  // namespace tilewright::llvm_codegen
