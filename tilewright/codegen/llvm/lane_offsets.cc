// SPDX-License-Identifier: Apache-2.0
// Loads of elements whose distances are known: vectors of memory and shuffles, and not an address per lane.
#include <algorithm>
#include <array>
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

/// Elements of groups of four lanes of two vectors in turn: the first two of each (`half` 0), or the last.
Value* Interleave(llvm::IRBuilder<>& b, Value* x, Value* y, int half, int width) {
  llvm::SmallVector<int, 64> pick;
  for (int group = 0; group < width; group += 4) {
    for (int i : {0, 1}) pick.insert(pick.end(), {group + 2 * half + i, width + group + 2 * half + i});
  }
  return b.CreateShuffleVector(x, y, pick);
}

/// The first two of each group of four of x, then of y (`half` 0), or the last.
Value* JoinHalves(llvm::IRBuilder<>& b, Value* x, Value* y, int half, int width) {
  llvm::SmallVector<int, 64> pick;
  for (int group = 0; group < width; group += 4) {
    for (int side : {0, width}) {
      const int first = side + group + 2 * half;
      pick.insert(pick.end(), {first, first + 1});
    }
  }
  return b.CreateShuffleVector(x, y, pick);
}

/// All lanes of the vectors, whose number is a power of two, one behind the other.
Value* Concatenated(llvm::IRBuilder<>& b, llvm::SmallVector<Value*, 16> parts) {
  while (parts.size() > 1) {
    llvm::SmallVector<Value*, 16> pairs;
    for (size_t i = 0; i < parts.size(); i += 2) {
      const int width = int(llvm::cast<llvm::FixedVectorType>(parts[i]->getType())->getNumElements());
      llvm::SmallVector<int, 64> all(size_t(width) * 2);
      std::iota(all.begin(), all.end(), 0);
      pairs.push_back(b.CreateShuffleVector(parts[i], parts[i + 1], all));
    }
    parts = pairs;
  }
  return parts.front();
}

}  // namespace

std::optional<ExprEmitter::OffsetForm> ExprEmitter::AsOffsets(const Expr& index) const {
  const size_t lanes = size_t(index.dtype().lanes);
  if (auto let = vector_lets_.find(index.As<VarNode>()); let != vector_lets_.end())
    return AsOffsets(let->second);
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

// Lanes i, i + n, i + 2n and i + 3n of 4n are side by side in memory, for each of n: four vectors of a matrix
// that lies the other way. Rows of four are loaded and transposed four by four within the vectors.
Value* ExprEmitter::LoadFours(const BufferNode& buffer, const Expr& index) {
  const int lanes = index.dtype().lanes, n = lanes / 4;
  if (buffer.dtype.bytes() != 4 || lanes % 16 || !std::has_single_bit(unsigned(lanes))) return nullptr;
  const std::optional<OffsetForm> form = AsOffsets(index);
  if (!form) return nullptr;
  const std::vector<int64_t>& at = form->offsets;
  for (int i = 0; i < lanes; ++i) {
    if (at[size_t(i)] != at[size_t(i % n)] + i / n) return nullptr;
  }
  llvm::Type* four = llvm::FixedVectorType::get(num_.MemoryType(buffer.dtype), 4);
  // Of every four rows the first is in the first vector, so that the transposed ones are in order.
  std::array<Value*, 4> rows;
  for (int r = 0; r < 4; ++r) {
    llvm::SmallVector<Value*, 16> parts;
    for (int i = r; i < n; i += 4) {
      auto [pointer, align] = Address(buffer, form->base + Expr(at[size_t(i)]));
      parts.push_back(b_.CreateAlignedLoad(four, pointer, align));
    }
    rows[size_t(r)] = Concatenated(b_, parts);
  }
  llvm::SmallVector<Value*, 16> columns;
  for (int pair : {0, 1}) {
    Value* first = Interleave(b_, rows[0], rows[1], pair, n);
    Value* second = Interleave(b_, rows[2], rows[3], pair, n);
    for (int half : {0, 1}) columns.push_back(JoinHalves(b_, first, second, half, n));
  }
  return Concatenated(b_, columns);
}

// Runs of the same length, each side by side in memory.
bool ExprEmitter::StoreRuns(const BufferNode& buffer, const Expr& index, Value* value) {
  const std::optional<OffsetForm> form = AsOffsets(index);
  if (!form) return false;
  const std::vector<int64_t>& at = form->offsets;
  size_t run = 1;
  while (run < at.size() && at[run] == at[0] + int64_t(run)) ++run;
  if (run < 4 || at.size() % run) return false;
  for (size_t i = 0; i < at.size(); ++i) {
    if (at[i] != at[i - i % run] + int64_t(i % run)) return false;
  }
  for (size_t i = 0; i < at.size(); i += run) {
    auto [pointer, align] = Address(buffer, form->base + Expr(at[i]));
    llvm::SmallVector<int, 64> lanes(run);
    std::iota(lanes.begin(), lanes.end(), int(i));
    b_.CreateAlignedStore(b_.CreateShuffleVector(value, lanes), pointer, align);
  }
  return true;
}

}  // namespace tilewright::llvm_codegen
