// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// Loops of a convolution's output block in its physical order: batch, channel blocks, spatial axes, channel
/// lanes.
struct OutputLoops {
  LoopRef batch, blocks;
  std::vector<LoopRef> spatial;
  LoopRef lanes;
};

OutputLoops LoopsOf(Schedule& s, const BlockRef& block) {
  std::vector<LoopRef> all = s.GetLoops(block);
  return {all[0], all[1], {all.begin() + 2, all.end() - 1}, all.back()};
}

/// Channels of the input that are blocked together; 1 when its layout is natural.
int64_t InputBlock(const BlockNode& conv) {
  auto it = conv.annotations.find("input_block");
  return it == conv.annotations.end() ? 1 : std::get<int64_t>(it->second);
}

/// Packs the weight [O, C, kernel...] (of a transposed convolution [C, O, kernel...]) to [O / width][C /
/// block][kernel...][block][width], when it is a constant: the order in which the tile walks it.
void PackWeight(Schedule& s, const BlockRef& conv, int64_t width, int64_t block, const RuleContext& context) {
  for (const BufferRegion& r : s.Get(conv).reads) {
    const int index = ParameterIndex(s, r.buffer);
    if (index < 0 || size_t(index) >= context.constant_args.size() || !context.constant_args[size_t(index)])
      continue;
    std::vector<Var> old;
    for (size_t d = 0; d < r.buffer.shape().size(); ++d) old.push_back(Var(fmt::format("d{}", d)));
    const size_t filters = s.Get(conv).annotations.contains("transposed") ? 1 : 0;
    std::vector<Expr> packed = {FloorDiv(old[filters], width), FloorDiv(old[1 - filters], block)};
    packed.insert(packed.end(), old.begin() + 2, old.end());
    packed.push_back(FloorMod(old[1 - filters], block));
    packed.push_back(FloorMod(old[filters], width));
    s.TransformLayout(r.buffer, old, packed);
    return;
  }
}

}  // namespace

// Direct convolution into NCHW[b]c. A register tile is a run of output columns by some channel blocks; for
// each input channel and window position it takes one vector of weights per block and one broadcast of input
// per column. Depthwise convolutions take the same shape with vectors of input instead of broadcasts.
bool ScheduleConv(Schedule& s, const BlockRef& conv, const RuleContext& context) {
  const BlockNode& node = s.Get(conv);
  size_t spatial_vars = 0;
  for (const IterVar& iv : node.iter_vars) spatial_vars += iv.kind == IterKind::kSpatial;
  const Buffer out = node.writes.front().buffer;
  // Natural layout has no vector of channels to work on.
  if (spatial_vars < 4 || !AsInt(node.iter_vars[spatial_vars - 1].dom.extent)) return false;
  auto depthwise = node.annotations.find("depthwise");
  const bool is_depthwise = depthwise != node.annotations.end() && std::get<bool>(depthwise->second);
  auto blocked = node.annotations.find("channel_block");
  if (blocked == node.annotations.end() || std::get<int64_t>(blocked->second) <= 1) return false;

  const int64_t lanes = *AsInt(node.iter_vars[spatial_vars - 1].dom.extent);
  const auto columns = AsInt(node.iter_vars[spatial_vars - 2].dom.extent);
  const auto blocks = AsInt(node.iter_vars[1].dom.extent);
  if (!columns || !blocks) return false;
  const RegisterTile tile = ChooseTile(*columns, is_depthwise ? 1 : *blocks, context.target);
  const int64_t block = is_depthwise ? 1 : InputBlock(node);
  PackWeight(s, conv, tile.vectors * lanes, block, context);

  const BlockRef tail = IsolateProduct(s, conv);
  OutputLoops out_loops = LoopsOf(s, tail);
  std::vector<LoopRef> b = s.Split(out_loops.blocks, {Expr(nullptr), Expr(tile.vectors)});
  std::vector<LoopRef> w = s.Split(out_loops.spatial.back(), {Expr(nullptr), Expr(tile.rows)});
  std::vector<LoopRef> order = {out_loops.batch, b[0]};
  order.insert(order.end(), out_loops.spatial.begin(), out_loops.spatial.end() - 1);
  const size_t parallel_count = order.size();
  order.insert(order.end(), {w[0], b[1], w[1], out_loops.lanes});
  s.Reorder(order);
  s.Vectorize(out_loops.lanes);
  s.Unroll(w[1]);
  s.Unroll(b[1]);

  s.ComputeAt(conv, w[0]);
  // Below the tile: one loop per output axis, then the reduction: channels (unless depthwise) and window
  // axes.
  std::vector<LoopRef> inner = s.GetLoops(conv);
  inner.erase(inner.begin(), inner.begin() + std::ptrdiff_t(parallel_count) + 1);
  const size_t reductions = s.Get(conv).iter_vars.size() - spatial_vars;
  std::vector<LoopRef> reduce(inner.end() - std::ptrdiff_t(reductions), inner.end());
  const LoopRef tile_blocks = inner[1], tile_columns = inner[spatial_vars - 2],
                tile_lanes = inner[spatial_vars - 1];
  std::vector<LoopRef> depth = reduce;
  if (!is_depthwise) {
    // Channels in blocks of the input's layout: whole blocks outside the window, lanes of a block inside.
    std::vector<LoopRef> c = s.Split(reduce[0], {Expr(nullptr), Expr(block)});
    depth.assign(reduce.begin() + 1, reduce.end());
    depth.insert(depth.begin(), c[0]);
    depth.push_back(c[1]);
  }
  std::vector<LoopRef> nest = depth;
  // Blocks inside columns: the few vectors of weights stay in registers while each broadcast serves all of
  // them and dies; the other way round, a tile's worth of broadcasts would have to stay.
  nest.insert(nest.end(), {tile_columns, tile_blocks, tile_lanes});
  s.Reorder(nest);
  s.Vectorize(tile_lanes);
  s.Unroll(tile_columns);
  s.Unroll(tile_blocks);
  s.DecomposeReduction(conv, depth.front());

  order.resize(parallel_count);
  s.Parallel(s.Fuse(order));
  return true;
}

}  // namespace tilewright::cpu
