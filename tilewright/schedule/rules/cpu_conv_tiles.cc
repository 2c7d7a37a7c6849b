// SPDX-License-Identifier: Apache-2.0
// Direct convolution of bf16 on a matrix unit: places along a line of the image are the rows of a tile, the
// channels of a block its columns, and the depth goes through the channels at each position of the window.
#include <algorithm>

#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// Position of the axes of the result, [image, channel block, line, column, channel].
enum Axis : size_t { kImage, kBlock, kLine, kColumn, kLane, kAxes };

class ConvUnitRule {
 public:
  ConvUnitRule(Schedule& s, const BlockRef& conv, const RuleContext& context)
      : s_(s), conv_(conv), node_(s.Get(conv)), context_(context) {}

  bool Applies() {
    const TileUnit unit = TileUnitOf(context_.target);
    if (unit.registers == 0 || !IsReducedProduct(node_) || !node_.init) return false;
    for (const char* other : {"runs", "phases", "transposed"}) {
      if (node_.annotations.contains(other)) return false;
    }
    if (node_.iter_vars.size() != kAxes + 3 || std::get<int64_t>(node_.annotations.at("groups")) != 1)
      return false;
    for (size_t i = 0; i < node_.iter_vars.size(); ++i) {
      const bool spatial = i < kAxes;
      if ((node_.iter_vars[i].kind == IterKind::kSpatial) != spatial || Extent(i) <= 0) return false;
    }
    const int64_t block = std::get<int64_t>(node_.annotations.at("input_block"));
    if (block < 2 || Extent(kLane) != unit.row_bytes / 4 || !FindWeight()) return false;
    tile_ = ChooseUnitTile(Extent(kColumn), Extent(kBlock) * Extent(kLane), block, unit);
    if (tile_.rows == 0) return false;
    // Where one tile is a line, two lines make a pair of tiles.
    if (tile_.row_tiles == 1 && Extent(kLine) % 2 == 0 && Extent(kColumn) == tile_.rows) lines_ = 2;
    blocks_of_lane_ = BlocksOfLane();
    if (blocks_of_lane_ == 0) return false;
    const int64_t most = (tile_.row_tiles * lines_ > 1 ? 2 : 4) / blocks_of_lane_;
    tile_.column_tiles = LargestDivisor(Extent(kBlock) / blocks_of_lane_, most) * blocks_of_lane_;
    return true;
  }

  void Run() {
    PackWeight();
    blocks_ = IsolateProduct(s_, conv_);
    const UnitBlocks unit = MoveToUnit(s_, blocks_);
    TileOutput();
    s_.ComputeAt(unit.store, column_tiles_);
    s_.ComputeAt(unit.product, column_tiles_);
    const LoopRef depth = CutToRegisters(unit.product, true);
    CutToRegisters(unit.store, false);
    s_.DecomposeReduction(unit.product, depth);
    const int64_t tiles = Extent(kLine) / lines_ * (Extent(kColumn) / (tile_.rows * tile_.row_tiles));
    if (!PanelsShareLines() && WantsPrefetch(weight_, tiles, context_.target))
      s_.PrefetchSpread(unit.product, weight_, panels_, depth, 2);
    s_.Parallel(s_.Fuse(parallel_));
  }

 private:
  int64_t Extent(size_t var) const { return AsInt(node_.iter_vars[var].dom.extent).value_or(0); }

  /// The constant that the place in the image does not choose.
  bool FindWeight() {
    for (const BufferRegion& r : node_.reads) {
      const int index = ParameterIndex(s_, r.buffer);
      if (!context_.IsConstant(index) || r.buffer.shape().size() != kAxes - 1) continue;
      const bool placed = std::any_of(r.region.begin(), r.region.end(), [&](const Range& range) {
        return UsesVar(range.min, node_.iter_vars[kLine].var) ||
               UsesVar(range.min, node_.iter_vars[kColumn].var);
      });
      if (!placed) weight_ = r.buffer;
    }
    return bool(weight_);
  }

  /// [O, C, h, w] to [O / width][C / step][h][w][tile][pair][16][2]: the order in which tiles are read.
  void PackWeight() {
    const int index = ParameterIndex(s_, weight_);
    const std::vector<Var> old = {Var("o"), Var("c"), Var("h"), Var("w")};
    const Expr o = old[0], c = old[1], width(tile_.column_tiles * tile_.columns);
    s_.TransformLayout(weight_, old,
                       {FloorDiv(o, width), FloorDiv(c, tile_.depth), old[2], old[3],
                        FloorDiv(FloorMod(o, width), tile_.columns), FloorDiv(FloorMod(c, tile_.depth), 2),
                        FloorMod(o, tile_.columns), FloorMod(c, 2)});
    weight_ = s_.func()->buffers[size_t(index)];
  }

  /// The result may lie in blocks of more channels than a tile has columns: how many tiles make one of its
  /// blocks, 1 or 2, or 0 where it is otherwise.
  int64_t BlocksOfLane() const {
    const Buffer result = s_.func()->buffers[s_.func()->buffers.size() - 1];
    if (result.shape().size() != kAxes) return 1;
    const int64_t lane = AsInt(result.shape().back()).value_or(0);
    if (lane == tile_.columns) return 1;
    return lane == 2 * tile_.columns && Extent(kBlock) % 2 == 0 ? 2 : 0;
  }

  static int64_t BytesOf(const Buffer& buffer) {
    int64_t bytes = buffer.dtype().bytes();
    for (const Expr& e : buffer.shape()) bytes *= AsInt(e).value_or(0);
    return bytes;
  }

  /// Whether all panels of weights go over some lines before the next lines: the weights stay in the second
  /// level of cache, and the image does not.
  bool PanelsShareLines() const {
    int64_t image = 0;
    for (const BufferRegion& r : node_.reads) {
      if (r.buffer.shape().size() == kAxes) image = std::max(image, BytesOf(r.buffer));
    }
    const int64_t room = context_.target.CacheBytes(2) / 2;
    return image > room && BytesOf(weight_) <= room;
  }

  void TileOutput() {
    std::vector<LoopRef> all = s_.GetLoops(blocks_.tail);
    const std::vector<LoopRef> b =
        s_.Split(all[kBlock], {Expr(nullptr), Expr(tile_.column_tiles / blocks_of_lane_)});
    const std::vector<LoopRef> h = s_.Split(all[kLine], {Expr(nullptr), Expr(lines_)});
    const std::vector<LoopRef> w =
        s_.Split(all[kColumn], {Expr(nullptr), Expr(tile_.rows * tile_.row_tiles)});
    panels_ = b[0];
    column_tiles_ = w[0];
    parallel_ = {all[kImage], b[0], h[0]};
    if (PanelsShareLines()) std::swap(parallel_[1], parallel_[2]);
    std::vector<LoopRef> order = parallel_;
    LoopRef lane = all[kLane];
    order.insert(order.end(), {w[0], b[1]});
    if (blocks_of_lane_ > 1) {
      const std::vector<LoopRef> lanes = s_.Split(lane, {Expr(nullptr), Expr(tile_.columns)});
      order.push_back(lanes[0]);
      lane = lanes[1];
    }
    order.insert(order.end(), {h[1], w[1], lane});
    s_.Reorder(order);
    s_.Vectorize(lane);
  }

  /// Cuts the loops of the product, or of the store of its sums, to tiles of registers; steps of the depth
  /// are outside of these. Returns the outermost.
  LoopRef CutToRegisters(const BlockRef& block, bool product) {
    std::vector<LoopRef> own = s_.GetLoops(block);
    const size_t count = s_.Get(block).iter_vars.size();
    own.erase(own.begin(), own.end() - std::ptrdiff_t(count));
    const std::vector<LoopRef> w = s_.Split(own[kColumn], {Expr(nullptr), Expr(tile_.rows)});
    std::vector<LoopRef> order = {own[kLine], w[0], own[kBlock], w[1], own[kLane]};
    if (product) {
      const std::vector<LoopRef> depth = SplitDepth(s_, own[kAxes], tile_);
      order.insert(order.begin(), {depth[0], own[kAxes + 1], own[kAxes + 2]});
      order.insert(order.end(), {depth[1], depth[2]});
    }
    s_.Reorder(order);
    for (const LoopRef& l : {own[kLine], w[0], own[kBlock]}) s_.Unroll(l);
    AnnotateTile(s_, {w[1], own[kLane]});
    return order.front();
  }

  Schedule& s_;
  const BlockRef conv_;
  const BlockNode& node_;
  const RuleContext& context_;
  UnitTile tile_;
  int64_t lines_ = 1;  ///< of the image, in one block of sums
  int64_t blocks_of_lane_ = 1;
  Buffer weight_;
  TileBlocks blocks_;
  LoopRef panels_, column_tiles_;
  std::vector<LoopRef> parallel_;
};

}  // namespace

bool ScheduleConvOnUnit(Schedule& s, const BlockRef& conv, const RuleContext& context) {
  ConvUnitRule rule(s, conv, context);
  if (!rule.Applies()) return false;
  rule.Run();
  return true;
}

}  // namespace tilewright::cpu
