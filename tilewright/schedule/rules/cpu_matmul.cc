// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// The operand whose innermost access runs along the columns: its buffer, or null.
Buffer ColumnOperand(const BlockNode& block, const Var& column, const Var& depth) {
  for (const BufferRegion& r : block.reads) {
    bool has_column = false, has_depth = false;
    for (const Range& range : r.region) {
      has_column |= UsesVar(range.min, column);
      has_depth |= UsesVar(range.min, depth);
    }
    if (has_column && has_depth) return r.buffer;
  }
  return nullptr;
}

}  // namespace

// C[m, n] += A[m, k] * B[k, n]. Columns go to vectors, rows to registers. B is packed to panels of the tile's
// width, [n / NR][k][NR], so that a step of k reads one line of the panel; panels stay in L2 while all rows
// pass by.
bool ScheduleMatMul(Schedule& s, const BlockRef& product, const RuleContext& context) {
  const BlockNode& node = s.Get(product);
  const size_t rank = node.iter_vars.size();
  if (rank < 3 || node.iter_vars[rank - 1].kind != IterKind::kReduce) return false;
  for (size_t i = 0; i + 1 < rank; ++i) {
    if (node.iter_vars[i].kind != IterKind::kSpatial) return false;
  }
  const IterVar row = node.iter_vars[rank - 3], column = node.iter_vars[rank - 2],
                depth = node.iter_vars[rank - 1];
  const auto m = AsInt(row.dom.extent), n = AsInt(column.dom.extent);
  if (!m || !n) return false;
  const int64_t wide = context.target.VectorLanes(int(node.writes.front().buffer.dtype().element_bytes()));
  // Registers hold powers of two; other counts leave lanes empty, which only pays where nothing else divides.
  int64_t lanes = wide;
  while (lanes > 1 && *n % lanes) lanes /= 2;
  if (lanes * 4 < wide) lanes = std::max(lanes, LargestDivisor(*n, wide));
  if (lanes == 1) return false;
  // Tiles of rows are parallel work where the columns do not fill the cores; then all must be whole.
  int64_t batch = 1;
  for (size_t i = node.annotations.contains("runs"); i + 3 < rank; ++i)
    batch *= AsInt(node.iter_vars[i].dom.extent).value_or(1);
  TileSpace space{.rows = *m, .vectors = *n / lanes, .depth = AsInt(depth.dom.extent).value_or(1)};
  RegisterTile tile = ChooseTile(space, context.target);
  const bool split_rows = !FillsCores(batch * (space.vectors / tile.vectors), context.target);
  if (split_rows && *m % tile.rows) {
    space.ragged_rows = false;
    tile = ChooseTile(space, context.target);
  }
  const int64_t width = tile.vectors * lanes;

  const Buffer b = ColumnOperand(node, column.var, depth.var);
  const int b_index = b ? ParameterIndex(s, b) : -1;
  const bool pack = b_index >= 0 && size_t(b_index) < context.constant_args.size() &&
                    context.constant_args[size_t(b_index)] && b.shape().size() == 2;
  if (pack) {
    // Which of B's axes are the columns follows from how the block reads it.
    int column_axis = 1;
    for (const BufferRegion& r : node.reads) {
      if (r.buffer == b && UsesVar(r.region[0].min, column.var)) column_axis = 0;
    }
    std::vector<Var> old = {Var("d0"), Var("d1")};
    const Expr col = old[size_t(column_axis)], dep = old[size_t(1 - column_axis)];
    s.TransformLayout(b, old, {FloorDiv(col, width), dep, FloorMod(col, width)});
  }

  const TileBlocks blocks = IsolateProduct(s, product);
  std::vector<LoopRef> loops = s.GetLoops(blocks.tail);
  const size_t outer_count = loops.size() - 2;
  std::vector<LoopRef> i = s.Split(loops[outer_count], {Expr(nullptr), Expr(tile.rows)});
  std::vector<LoopRef> j = s.Split(loops[outer_count + 1], {Expr(nullptr), Expr(tile.vectors), Expr(lanes)});
  std::vector<LoopRef> order(loops.begin(), loops.begin() + std::ptrdiff_t(outer_count));
  order.insert(order.end(), {j[0], i[0], i[1], j[1], j[2]});
  s.Reorder(order);
  s.Vectorize(j[2]);
  s.Unroll(j[1]);
  s.Unroll(i[1]);

  ComputeAtTile(s, blocks, i[0], lanes);
  std::vector<LoopRef> inner = s.GetLoops(product);
  const LoopRef k = inner.back();
  std::vector<LoopRef> vec = s.Split(inner[inner.size() - 2], {Expr(nullptr), Expr(lanes)});
  const LoopRef r = inner[inner.size() - 3];
  s.Reorder({k, r, vec[0], vec[1]});
  s.Vectorize(vec[1]);
  s.Unroll(vec[0]);
  s.Unroll(r);
  s.DecomposeReduction(product, k);
  if (pack) {
    const Buffer packed = s.func()->buffers[size_t(b_index)];
    if (WantsPrefetch(packed, (*m + tile.rows - 1) / tile.rows, context.target))
      s.PrefetchSpread(product, packed, j[0], k, 2);
  }

  if (!split_rows) SeparateLastTile(s, i[0], *m, tile.rows);
  std::vector<LoopRef> parallel(order.begin(),
                                order.begin() + std::ptrdiff_t(outer_count) + (split_rows ? 2 : 1));
  s.Parallel(parallel.size() > 1 ? s.Fuse(parallel) : parallel.front());
  return true;
}

}  // namespace tilewright::cpu
