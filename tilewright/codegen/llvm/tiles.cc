// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/tiles.h"

#include <llvm/IR/IntrinsicsX86.h>

#include <algorithm>

#include "tilewright/codegen/llvm/llvm_headers.h"

namespace tilewright::llvm_codegen {

using llvm::Value;

namespace {

constexpr int64_t kColumns = 16;  ///< of a tile of sums
constexpr int64_t kPair = 2;      ///< products that are added up at once

[[noreturn]] void FailTile(const std::string& what) {
  throw Error("TW1706", "a loop with the annotation instruction = \"tile\" is no instruction: " + what, "",
              {"instructions clear, multiply or store one tile of a buffer of scope \"tile\""});
}

bool HasTiles(const Stmt& body) {
  bool found = false;
  PreOrder(body, [&](const Stmt& s) {
    auto* alloc = s.As<AllocateNode>();
    found |= alloc && alloc->buffer.scope() == "tile";
    return !found;
  });
  return found;
}

/// The operand of a widening from bf16, or null.
const LoadNode* Widened(const Expr& e) {
  auto* cast = e.As<CastNode>();
  if (!cast || cast->dtype != kF32 || cast->value.dtype() != kBF16) return nullptr;
  return cast->value.As<LoadNode>();
}

}  // namespace

bool TileEmitter::Takes(const ForNode& loop) const {
  if (unit_.registers == 0) return false;
  auto it = loop.annotations.find("instruction");
  auto* name = it == loop.annotations.end() ? nullptr : std::get_if<std::string>(&it->second);
  return name && *name == "tile";
}

// The configuration is written when all instructions are known: 64 bytes, of which byte 0 is the palette, 16
// to 47 are the bytes of a row, two each, and 48 to 63 the rows (SDM volume 2A, LDTILECFG).
void TileEmitter::Begin(const Stmt& body) {
  if (unit_.registers == 0 || !HasTiles(body)) return;
  llvm::Module& module = *b_.GetInsertBlock()->getModule();
  auto* type = llvm::ArrayType::get(b_.getInt8Ty(), 64);
  configuration_ = new llvm::GlobalVariable(module, type, true, llvm::GlobalValue::PrivateLinkage, nullptr,
                                            "tile_configuration");
  configuration_->setAlignment(llvm::Align(64));
  shapes_.assign(size_t(unit_.registers), {});
  b_.CreateIntrinsic(llvm::Intrinsic::x86_ldtilecfg, {}, {configuration_});
}

void TileEmitter::End() {
  if (!configuration_) return;
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tilerelease, {}, {});
  std::vector<uint8_t> bytes(64, 0);
  bytes[0] = 1;
  for (size_t i = 0; i < shapes_.size(); ++i) {
    bytes[16 + 2 * i] = uint8_t(shapes_[i].row_bytes);
    bytes[48 + i] = uint8_t(shapes_[i].rows);
  }
  configuration_->setInitializer(llvm::ConstantDataArray::get(b_.getContext(), bytes));
}

void TileEmitter::Allocate(const Buffer& buffer) {
  elements_ = 1;
  for (const Expr& extent : buffer.shape()) elements_ *= AsInt(extent).value_or(0);
  Forget();
}

TileEmitter::Nest TileEmitter::Open(const ForNode& loop) {
  Nest nest;
  VarMap lets;
  const ForNode* at = &loop;
  while (true) {
    const auto extent = AsInt(at->extent);
    if (!extent || !IsInt(at->min, 0) || !at->carried.empty()) FailTile("the extent of a loop is not known");
    nest.vars.push_back(at->var);
    nest.extents.push_back(*extent);
    Stmt body = at->body;
    while (auto* let = body.As<LetStmtNode>()) {
      lets[let->var] = Substitute(let->value, lets);
      body = let->body;
    }
    at = body.As<ForNode>();
    if (at) continue;
    if (!body.As<StoreNode>()) FailTile("it is more than one store");
    statement_ = Substitute(body, lets);
    nest.store = statement_.As<StoreNode>();
    break;
  }
  for (const Var& var : nest.vars) exprs_.BindInNewScope(var, b_.getInt64(0), true);
  return nest;
}

TileEmitter::Place TileEmitter::PlaceOf(const Buffer& buffer, const std::vector<Expr>& indices,
                                        const Nest& nest) {
  if (indices.size() != 1 || indices[0].dtype().lanes != 1) FailTile("an access is not of one element");
  Place place{buffer, indices[0], scopes_.Linearize(indices[0]), std::vector<int64_t>(nest.vars.size(), 0)};
  std::erase_if(place.form.terms, [&](const auto& term) {
    for (size_t i = 0; i < nest.vars.size(); ++i) {
      if (term.first.get() != nest.vars[i].get()) continue;
      place.steps[i] = term.second;
      return true;
    }
    for (const Var& var : nest.vars) {
      if (UsesVar(term.first, var)) FailTile("an index is not linear");
    }
    return false;
  });
  return place;
}

int TileEmitter::AccumulatorOf(const Place& place, int64_t rows) {
  const int64_t size = rows * kColumns;
  if (!place.form.terms.empty() || place.form.constant % size || place.form.constant >= elements_)
    FailTile("which tile it is depends on variables");
  const int tile = int(place.form.constant / size);
  if (tile >= unit_.registers - 2) FailTile("there are more tiles than registers");
  Use(tile, {rows, kColumns * 4});
  return tile;
}

void TileEmitter::Use(int tile, Shape shape) {
  if (shape.rows > unit_.rows || shape.row_bytes > unit_.row_bytes) FailTile("a tile is too large");
  Shape& known = shapes_[size_t(tile)];
  if (known.rows && known != shape) FailTile("a register has two shapes");
  known = shape;
}

void TileEmitter::Emit(const ForNode& loop) {
  if (!configuration_) FailTile("no buffer is of scope \"tile\"");
  ScopeMark mark(scopes_);
  const Nest nest = Open(loop);
  const StoreNode& store = *nest.store;
  if (auto* from = store.value.As<LoadNode>(); from && from->buffer.scope() == "tile") {
    return Store(nest, *from);
  }
  if (store.buffer.scope() != "tile") FailTile("it stores to memory what is in no tile");
  if (AsNumber(store.value) == 0.0) return Clear(nest);
  auto same = [&](const Expr& e) {
    auto* load = e.As<LoadNode>();
    return load && load->buffer == store.buffer && StructuralEqual(load->indices[0], store.indices[0]);
  };
  if (auto* sum = store.value.As<BinaryNode>(); sum && sum->op == BinaryOp::kAdd && same(sum->a)) {
    if (auto* product = sum->b.As<BinaryNode>(); product && product->op == BinaryOp::kMul)
      return Multiply(nest, product->a, product->b);
  }
  if (auto* call = store.value.As<CallNode>(); call && call->op == Intrinsic::k_fma && same(call->args[2]))
    return Multiply(nest, call->args[0], call->args[1]);
  FailTile("it does something else");
}

namespace {

/// The loop with such a step, or -1.
int LoopWith(const std::vector<int64_t>& steps, const std::function<bool(size_t)>& is) {
  for (size_t i = 0; i < steps.size(); ++i) {
    if (is(i)) return int(i);
  }
  return -1;
}

}  // namespace

void TileEmitter::Clear(const Nest& nest) {
  const Place tile = PlaceOf(nest.store->buffer, nest.store->indices, nest);
  const int row = LoopWith(tile.steps, [&](size_t i) { return tile.steps[i] == kColumns; });
  const int column = LoopWith(tile.steps, [&](size_t i) { return tile.steps[i] == 1; });
  const size_t loops = row < 0 ? 1 : 2;
  if (column < 0 || nest.extents[size_t(column)] != kColumns || nest.vars.size() != loops)
    FailTile("it does not clear a tile");
  const int to = AccumulatorOf(tile, row < 0 ? 1 : nest.extents[size_t(row)]);
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tilezero, {}, {Number(to)});
}

void TileEmitter::Store(const Nest& nest, const LoadNode& from) {
  const Place tile = PlaceOf(from.buffer, from.indices, nest);
  const Place memory = PlaceOf(nest.store->buffer, nest.store->indices, nest);
  const int row = LoopWith(tile.steps, [&](size_t i) { return tile.steps[i] == kColumns; });
  const int column = LoopWith(tile.steps, [&](size_t i) { return tile.steps[i] == 1; });
  const size_t loops = row < 0 ? 1 : 2;
  if (column < 0 || nest.extents[size_t(column)] != kColumns || memory.steps[size_t(column)] != 1 ||
      nest.vars.size() != loops || memory.buffer.dtype() != kF32)
    FailTile("it does not store a tile");
  const int which = AccumulatorOf(tile, row < 0 ? 1 : nest.extents[size_t(row)]);
  const int64_t stride = row < 0 ? kColumns : memory.steps[size_t(row)];
  b_.CreateIntrinsic(
      llvm::Intrinsic::x86_tilestored64, {},
      {Number(which), exprs_.ElementAddress(memory.buffer, memory.index), b_.getInt64(stride * 4)});
}

void TileEmitter::Multiply(const Nest& nest, const Expr& left, const Expr& right) {
  const LoadNode *a = Widened(left), *b = Widened(right);
  if (!a || !b) FailTile("it does not multiply bf16");
  const Place t = PlaceOf(nest.store->buffer, nest.store->indices, nest);
  Place x = PlaceOf(a->buffer, a->indices, nest), y = PlaceOf(b->buffer, b->indices, nest);
  const int column = LoopWith(t.steps, [&](size_t i) { return t.steps[i] == 1; });
  if (column < 0) FailTile("the product has no columns");
  if (x.steps[size_t(column)] != 0) std::swap(x, y);
  const int row = LoopWith(t.steps, [&](size_t i) { return t.steps[i] == kColumns; });
  const int pair = LoopWith(t.steps, [&](size_t i) { return t.steps[i] == 0 && x.steps[i] == kPair; });
  const int within = LoopWith(t.steps, [&](size_t i) { return t.steps[i] == 0 && x.steps[i] == 1; });
  const size_t loops = 2 + (row >= 0) + (pair >= 0);
  const bool right_order = within >= 0 && nest.extents[size_t(within)] == kPair &&
                           y.steps[size_t(within)] == 1 && nest.extents[size_t(column)] == kColumns &&
                           x.steps[size_t(column)] == 0 && y.steps[size_t(column)] == kPair &&
                           (row < 0 || y.steps[size_t(row)] == 0);
  if (!right_order || nest.vars.size() != loops) FailTile("the product's operands lie otherwise");
  const int64_t rows = row < 0 ? 1 : nest.extents[size_t(row)];
  const int64_t pairs = pair < 0 ? 1 : nest.extents[size_t(pair)];
  const int sums = AccumulatorOf(t, rows);
  const int64_t x_stride = row < 0 ? pairs * kPair : x.steps[size_t(row)];
  const int64_t y_stride = pair < 0 ? kColumns * kPair : y.steps[size_t(pair)];
  const int first = int(elements_ / (rows * kColumns)), free = unit_.registers - first;
  const int lefts = std::max(1, free / 2);
  const int x_tile = LoadTile(x, first, lefts, next_left_, {rows, pairs * kPair * 2}, x_stride * 2);
  const int y_tile =
      LoadTile(y, first + lefts, free - lefts, next_right_, {pairs, kColumns * kPair * 2}, y_stride * 2);
  b_.CreateIntrinsic(llvm::Intrinsic::x86_tdpbf16ps, {}, {Number(sums), Number(x_tile), Number(y_tile)});
}

int TileEmitter::LoadTile(const Place& place, int first, int count, int& next, Shape shape,
                          int64_t stride_bytes) {
  for (const Loaded& l : loaded_) {
    if (l.tile >= first && l.tile < first + count && l.buffer == place.buffer &&
        l.form.constant == place.form.constant && SameTerms(l.form.terms, place.form.terms))
      return l.tile;
  }
  const int tile = first + next++ % count;
  std::erase_if(loaded_, [&](const Loaded& l) { return l.tile == tile; });
  loaded_.push_back({tile, place.buffer, place.form});
  Use(tile, shape);
  b_.CreateIntrinsic(
      llvm::Intrinsic::x86_tileloadd64, {},
      {Number(tile), exprs_.ElementAddress(place.buffer, place.index), b_.getInt64(stride_bytes)});
  return tile;
}

}  // namespace tilewright::llvm_codegen
