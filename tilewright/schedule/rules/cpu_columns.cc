// SPDX-License-Identifier: Apache-2.0
// Kernels that reduce along an axis on which no vector can lie, since elements along it are apart or few: the
// lanes of a vector are results side by side. Where the axes behind the reduced one are shorter than a
// vector, a tile is a box of whole rows, which is one run of memory: reductions read it across rows (loads
// and shuffles), everything else reads and writes it as a line.
#include <algorithm>
#include <bit>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

class ColumnKernel {
 public:
  ColumnKernel(Schedule& s, const RuleContext& context) : s_(s), target_(context.target) {}

  /// Whether all blocks run over [outer][row][inner], of which outer or inner may be missing, or reduce or
  /// leave out the axis in the middle, and whether lanes along that axis are the worse choice.
  bool Match() {
    blocks_ = s_.Blocks();
    if (!FindRow()) return false;
    for (const BlockRef& b : blocks_) {
      if (!Fits(s_.Get(b))) return false;
    }
    const BlockNode& last = s_.Get(blocks_.back());
    if (IsReduction(last) || last.iter_vars.size() != kept_.size() + 1) return false;
    for (size_t i = 0; i + 1 < blocks_.size(); ++i) {
      if (ParameterIndex(s_, s_.Get(blocks_[i]).writes.front().buffer) >= 0) return false;
    }
    return PlanTile();
  }

  void Apply() {
    const BlockRef last = blocks_.back();
    std::vector<LoopRef> loops = s_.GetLoops(last);
    const size_t cut = units_ > 0 ? 0 : kept_.size();  // the last axis, or the outer one
    const std::vector<LoopRef> parts = s_.Split(loops[cut], {Expr(nullptr), Expr(tile_)});
    const LoopRef tiles = parts[0];
    const bool outer_first = cut == 0 || row_ == 0 || FillsCores(kept_.front(), target_);
    std::vector<LoopRef> order;
    if (cut > 0 && row_ > 0) order = {loops[0], tiles};
    if (!outer_first) std::swap(order[0], order[1]);
    if (order.empty()) order = {tiles};
    const LoopRef innermost = order.back(), outermost = order.front();
    if (cut > 0) {
      order.insert(order.end(), {loops[row_], parts[1]});
      s_.Reorder(order);
    }
    for (size_t i = blocks_.size() - 1; i-- > 0;) s_.ComputeAt(blocks_[i], innermost);
    const std::vector<LoopRef> pieces =
        SeparateLastTile(s_, tiles, Expr(cut == 0 ? kept_.front() : kept_.back()), tile_);
    for (const BlockRef& b : s_.Blocks()) ScheduleBlock(b);
    if (Elements() < ParallelThreshold(target_)) return;
    // Where tiles are outermost their parts are loops of their own.
    s_.Parallel(outermost == tiles ? pieces.front() : outermost);
  }

 private:
  static bool IsFull(const BlockNode& node, size_t kept) { return node.iter_vars.size() == kept + 1; }

  int64_t Elements() const {
    int64_t n = length_;
    for (int64_t extent : kept_) n *= extent;
    return n;
  }

  /// The reduced axis, from the first block that reduces: its place in what that block reads.
  bool FindRow() {
    for (const BlockRef& b : blocks_) {
      const BlockNode& node = s_.Get(b);
      if (!IsReduction(node)) continue;
      const Var reduced = node.iter_vars.back().var;
      for (const BufferRegion& read : node.reads) {
        if (read.region.size() != node.iter_vars.size()) continue;
        for (row_ = 0; row_ < read.region.size() && read.region[row_].min.get() != reduced.get();) ++row_;
        if (row_ == read.region.size()) continue;
        for (const IterVar& iv : node.iter_vars) {
          if (iv.kind == IterKind::kSpatial) kept_.push_back(AsInt(iv.dom.extent).value_or(0));
        }
        length_ = AsInt(node.iter_vars.back().dom.extent).value_or(0);
        // At most one axis on each side.
        return length_ > 1 && !kept_.empty() && row_ <= 1 && kept_.size() - row_ <= 1 &&
               std::find(kept_.begin(), kept_.end(), 0) == kept_.end();
      }
    }
    return false;
  }

  /// Whether a block has these axes and reads its arguments along them.
  bool Fits(const BlockNode& node) const {
    const bool reduces = IsReduction(node), full = IsFull(node, kept_.size());
    if (node.writes.size() != 1 || !node.body.As<StoreNode>() || bool(node.predicate)) return false;
    if (node.iter_vars.size() != kept_.size() && !full) return false;
    if (reduces && (!full || !node.init)) return false;
    for (size_t i = 0; i < node.iter_vars.size(); ++i) {
      const IterVar& iv = node.iter_vars[i];
      const bool last = i + 1 == node.iter_vars.size();
      if (iv.kind != (reduces && last ? IterKind::kReduce : IterKind::kSpatial)) return false;
      if (!IsInt(iv.dom.min, 0) || !IsInt(iv.dom.extent, ExtentOf(i, full, reduces))) return false;
    }
    for (const BufferRegion& read : node.reads) {
      if (!ReadsAlongAxes(node, read)) return false;
    }
    return true;
  }

  /// Of a block's variable i; those of reductions stand last.
  int64_t ExtentOf(size_t i, bool full, bool reduces) const {
    if (!full) return kept_[i];
    const size_t row = reduces ? kept_.size() : row_;
    return i == row ? length_ : kept_[i - (i > row)];
  }

  static bool ReadsAlongAxes(const BlockNode& node, const BufferRegion& read) {
    return std::all_of(read.region.begin(), read.region.end(), [&](const Range& r) {
      return IsInt(r.min, 0) || std::any_of(node.iter_vars.begin(), node.iter_vars.end(),
                                            [&](const IterVar& iv) { return iv.var.get() == r.min.get(); });
    });
  }

  /// Vectors of the inner axis where one fits, else whole rows side by side, as many as make a vector.
  bool PlanTile() {
    for (const BlockRef& b : blocks_)
      lanes_ = std::min<int64_t>(
          lanes_, target_.VectorLanes(int(s_.Get(b).writes.front().buffer.dtype().element_bytes())));
    if (lanes_ <= 1) return false;
    const int64_t inner = row_ < kept_.size() ? kept_.back() : 1, outer = row_ > 0 ? kept_.front() : 1;
    if (inner < lanes_ && outer > 1 && length_ * length_ <= ShuffleLimit()) {
      units_ = std::min(outer, lanes_ / inner);
      tile_ = units_;
      return true;
    }
    // Several vectors of a line: what is read together lies together, and sums do not wait for themselves.
    constexpr int64_t kChains = 4;
    tile_ = inner < lanes_ ? inner : lanes_ * std::min(kChains, inner / lanes_);
    return inner > 1;
  }

  /// Reading a tile across its rows takes as many shuffles as a row has elements, for each of these; to add
  /// up a row within vectors takes a shuffle and an operation for each halving, for each of as many rows as
  /// there are lanes.
  int64_t ShuffleLimit() const { return 2 * lanes_ * std::bit_width(uint64_t(lanes_ - 1)); }

  /// Loops of a block below those over tiles.
  std::vector<LoopRef> OwnLoops(const BlockRef& b) {
    std::vector<LoopRef> loops = s_.GetLoops(b);
    const size_t own = s_.Get(b).iter_vars.size();
    loops.erase(loops.begin(), loops.end() - std::ptrdiff_t(OwnCount(b, own)));
    return loops;
  }
  /// Below the tiles, the last block kept its loops over what a tile holds.
  size_t OwnCount(const BlockRef& b, size_t axes) const {
    const bool is_last = s_.Get(b).writes.front().buffer == s_.func()->buffers.back();
    return is_last && units_ == 0 ? 2 : axes;
  }

  void ScheduleBlock(const BlockRef& b) {
    const BlockNode& node = s_.Get(b);
    if (IsReduction(node)) return Accumulate(b);
    std::vector<LoopRef> loops = OwnLoops(b);
    const bool full = IsFull(node, kept_.size());
    if (!full) s_.SetScope(b, 0, "register");
    // A tile of whole rows is one line, else each of its rows is.
    const LoopRef line =
        !full || units_ > 0 ? (loops.size() > 1 ? s_.Fuse(loops) : loops.front()) : loops.back();
    const int64_t extent = ConstExtent(s_, line);
    // A tile of rows is as many vectors as a row has elements, each of as many lanes as reductions have.
    const int64_t lanes = full && units_ > 0 ? extent / length_ : lanes_;
    LoopRef whole = line;
    if (extent > lanes && extent % lanes) {
      const std::vector<LoopRef> parts = s_.LoopPartition(line, {Expr(extent / lanes * lanes)});
      whole = parts[0];
      s_.Vectorize(parts[1]);
    }
    if (extent > lanes) {
      const std::vector<LoopRef> vectors = s_.Split(whole, {Expr(nullptr), Expr(lanes)});
      s_.Unroll(vectors[0]);
      whole = vectors[1];
    }
    if (ConstExtent(s_, whole) > 1) s_.Vectorize(whole);
  }

  void Accumulate(const BlockRef& b) {
    std::vector<LoopRef> loops = OwnLoops(b);
    const LoopRef reduced = loops.back();
    loops.pop_back();
    const LoopRef lane = loops.size() > 1 ? s_.Fuse(loops) : loops.front();
    s_.SetScope(b, 0, "register");
    s_.Reorder({reduced, lane});
    const BlockRef init = s_.DecomposeReduction(b, reduced);
    if (ConstExtent(s_, lane) == 1) return;
    s_.Vectorize(lane);
    s_.Vectorize(s_.GetLoops(init).back());
  }

  Schedule& s_;
  const Target& target_;
  std::vector<BlockRef> blocks_;
  size_t row_ = 0;             ///< place of the reduced axis
  int64_t length_ = 0;         ///< its extent
  std::vector<int64_t> kept_;  ///< extents of the others
  int64_t lanes_ = INT64_MAX, tile_ = 1;
  int64_t units_ = 0;  ///< rows of a tile, which are whole; 0: a tile is part of the inner axis
};

}  // namespace

bool ScheduleColumns(Schedule& s, const RuleContext& context) {
  ColumnKernel kernel(s, context);
  if (!kernel.Match()) return false;
  kernel.Apply();
  return true;
}

}  // namespace tilewright::cpu
