// SPDX-License-Identifier: Apache-2.0
// Products for a matrix unit that multiplies tiles of bf16 (codegen/llvm/tiles.h). A tile of sums stays in
// one register while the depth passes by; it is stored to memory once, where the tail reads it.
#include <algorithm>

#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// Elements of bf16 that one product of the unit adds up.
constexpr int64_t kPairs = 2;

}  // namespace

bool IsReducedProduct(const BlockNode& block) {
  auto* store = block.body.As<StoreNode>();
  auto* sum = store ? store->value.As<BinaryNode>() : nullptr;
  auto* product = sum && sum->op == BinaryOp::kAdd ? sum->b.As<BinaryNode>() : nullptr;
  if (!product || product->op != BinaryOp::kMul || product->dtype != kF32) return false;
  auto is_widened = [](const Expr& e) {
    auto* cast = e.As<CastNode>();
    return cast && cast->value.dtype() == kBF16 && cast->value.kind() == ExprKind::kLoad;
  };
  return is_widened(product->a) && is_widened(product->b);
}

UnitTile ChooseUnitTile(int64_t rows, int64_t columns, int64_t depth, const TileUnit& unit) {
  UnitTile tile;
  tile.columns = unit.row_bytes / 4;
  if (unit.registers == 0 || rows < 1 || depth % kPairs) return tile;
  tile.rows = LargestDivisor(rows, unit.rows);
  tile.depth = LargestDivisor(depth / kPairs, unit.row_bytes / 4) * kPairs;
  // Arguments are read once for all tiles of the other side: two by two, or one by four.
  tile.row_tiles = rows / tile.rows % 2 == 0 ? 2 : 1;
  const int64_t most = tile.row_tiles == 2 ? 2 : 4, all = (columns + tile.columns - 1) / tile.columns;
  tile.column_tiles = std::min(most, all);
  if (const int64_t whole = LargestDivisor(all, most); whole > 1) tile.column_tiles = whole;
  return tile;
}

UnitBlocks MoveToUnit(Schedule& s, const TileBlocks& blocks) {
  const Buffer sums = s.Get(blocks.product).writes.front().buffer;
  const BlockRef store = s.CacheRead(blocks.tail, sums, "global");
  s.SetScope(blocks.product, 0, "tile");
  return {blocks.product, store};
}

void AnnotateTile(Schedule& s, const std::vector<LoopRef>& loops) {
  // A loop of one iteration will not be there.
  for (const LoopRef& l : loops) {
    if (ConstExtent(s, l) == 1) continue;
    s.Annotate(l, "instruction", std::string("tile"));
    return;
  }
}

std::vector<LoopRef> SplitDepth(Schedule& s, const LoopRef& depth, const UnitTile& tile) {
  return s.Split(depth, {Expr(nullptr), Expr(tile.depth / kPairs), Expr(kPairs)});
}

}  // namespace tilewright::cpu
