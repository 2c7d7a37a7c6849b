// SPDX-License-Identifier: Apache-2.0
// Reductions that are no products by register tiles: windows over maps in natural order, sums along outer
// axes.
#include <algorithm>
#include <numeric>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// A reduction with the loops that it had before it was scheduled.
struct Reduction {
  BlockRef block;
  std::vector<LoopRef> kept, reduced;
};

Reduction LoopsOf(Schedule& s, const BlockRef& block) {
  Reduction r{block, {}, {}};
  const std::vector<LoopRef> loops = s.GetLoops(block);
  const BlockNode& node = s.Get(block);
  TW_CHECK(loops.size() == node.iter_vars.size(), "reduction {} is scheduled already", block.name);
  for (size_t i = 0; i < loops.size(); ++i) {
    (node.iter_vars[i].kind == IterKind::kReduce ? r.reduced : r.kept).push_back(loops[i]);
  }
  return r;
}

int64_t LanesOf(const BlockNode& node, const Target& target) {
  return target.VectorLanes(int(node.writes.front().buffer.dtype().element_bytes()));
}

/// How many neighbours along a kept axis, from a multiple of that on, meet the same vectors: what is read
/// along the axis `line` does not depend on the axis but by a quotient, or not at all (`extent` then).
int64_t SharedRun(const BlockNode& node, const Var& axis, const Var& line, int64_t extent) {
  int64_t run = extent;
  for (const BufferRegion& read : node.reads) {
    const bool vectors = std::any_of(read.region.begin(), read.region.end(),
                                     [&](const Range& r) { return UsesVar(r.min, line); });
    if (!vectors) continue;
    for (const Range& r : read.region) {
      PreOrder(r.min, [&](const Expr& e) {
        auto* quotient = e.As<BinaryNode>();
        if (quotient && quotient->op == BinaryOp::kFloorDiv && quotient->a.get() == axis.get() &&
            AsInt(quotient->b)) {
          run = std::gcd(run, *AsInt(quotient->b));
          return false;
        }
        if (e.get() == axis.get()) run = 1;
        return true;
      });
    }
  }
  return run;
}

/// Schedules a reduction by a tile of accumulators in registers: vectors along the innermost kept axis, lines
/// of them along the next, as many as keep the pipes busy while each waits for itself. Where results along
/// another axis meet the same vectors (filters of a group over one image), the tile has as many of these as
/// registers hold. The last vector of a line may hold fewer results.
class TiledReduction {
 public:
  TiledReduction(Schedule& s, const Reduction& r, const RuleContext& context)
      : s_(s), block_(r.block), target_(context.target), reduced_(r.reduced.size()) {
    const BlockNode& node = s.Get(block_);
    for (const LoopRef& l : r.kept) extents_.push_back(ConstExtent(s, l));
    work_ = 1;
    for (const LoopRef& l : s.GetLoops(block_)) work_ *= ConstExtent(s, l);
    lanes_ = std::min(LanesOf(node, target_), extents_.back());
    const int64_t accumulators = LeastRows(1, target_), line = (extents_.back() + lanes_ - 1) / lanes_;
    vectors_ = LargestDivisor(line, accumulators);
    if (extents_.size() == 1) return;
    const int64_t room = (target_.vector_registers - vectors_ - 1) / vectors_;
    std::vector<Var> axes;
    for (const IterVar& iv : node.iter_vars) {
      if (iv.kind == IterKind::kSpatial) axes.push_back(iv.var);
    }
    int64_t shared = 1;
    for (size_t i = 0; i + 1 < axes.size(); ++i) {
      const int64_t run = LargestDivisor(SharedRun(node, axes[i], axes.back(), extents_[i]), room);
      if (run > shared) shared = run, lines_ = {{i, run}};
    }
    const size_t next = extents_.size() - 2;
    if (!lines_.empty() && lines_[0].axis == next) return;
    if (const int64_t more = MoreLines(extents_[next], vectors_ * shared); more > 1)
      lines_.push_back({next, more});
  }

  void Run() {
    tail_ = Tail();
    const int64_t width = vectors_ * lanes_;
    const bool ragged = extents_.back() % width != 0;
    if (ragged) s_.PadAxis(block_, s_.GetLoops(block_)[extents_.size() - 1], width);
    std::vector<LoopRef> loops = s_.GetLoops(tail_), tile;
    const std::vector<LoopRef> line = s_.Split(loops.back(), {Expr(nullptr), Expr(vectors_), Expr(lanes_)});
    loops.pop_back();
    for (const Lines& lines : lines_) {
      const std::vector<LoopRef> parts = s_.Split(loops[lines.axis], {Expr(nullptr), Expr(lines.count)});
      loops[lines.axis] = parts[0];
      tile.push_back(parts[1]);
    }
    tile.insert(tile.end(), {line[1], line[2]});
    std::vector<LoopRef> order = loops;
    order.push_back(line[0]);
    order.insert(order.end(), tile.begin(), tile.end());
    s_.Reorder(order);
    Unroll(tile);
    s_.ComputeAt(block_, line[0]);
    ScheduleTile();
    const LoopRef whole = SeparateLastTile(s_, line[0], Expr(extents_.back()), width).front();
    if (work_ < ParallelThreshold(target_)) return;
    if (loops.empty()) loops.push_back(whole);
    s_.Parallel(loops.size() > 1 ? s_.Fuse(loops) : loops.front());
  }

 private:
  /// How many of `extent` lines, of so many chains of additions each, go into a tile: as many as keep the
  /// pipes busy, but rather few where tiles are few, since cores share tiles. Of equally good ones the least.
  int64_t MoreLines(int64_t extent, int64_t chains) const {
    const int64_t busy = LeastRows(1, target_),
                  cores = work_ < ParallelThreshold(target_) ? 1 : std::max(1, target_.cores);
    int64_t lines = 1, best = 1, least = 0;
    for (size_t i = 0; i + 1 < extents_.size(); ++i) lines *= extents_[i];
    for (const Lines& shared : lines_) lines /= shared.count;
    for (int64_t n = 1; n == 1 || (n <= extent && n * chains <= busy); ++n) {
      if (extent % n) continue;
      const int64_t rounds = (lines / n + cores - 1) / cores;
      const int64_t cost = rounds * std::max(busy, n * chains);
      if (n == 1 || cost < least) best = n, least = cost;
    }
    return best;
  }

  /// What stores the results: the one element-wise block that takes them, if it has the same axes, or a copy.
  BlockRef Tail() {
    const std::vector<BlockRef> consumers = s_.Consumers(block_);
    bool same = consumers.size() == 1 && s_.Get(consumers[0]).iter_vars.size() == extents_.size() &&
                s_.Consumers(consumers[0]).empty();
    for (size_t i = 0; same && i < extents_.size(); ++i) {
      const IterVar& iv = s_.Get(consumers[0]).iter_vars[i];
      same = iv.kind == IterKind::kSpatial && IsInt(iv.dom.extent, extents_[i]);
    }
    const Buffer result = s_.Get(block_).writes.front().buffer;
    if (!same) return s_.CacheWrite(block_, result, "register");
    s_.SetScope(block_, 0, "register");
    return consumers[0];
  }

  void Unroll(const std::vector<LoopRef>& tile) {
    for (auto it = tile.rbegin(); it != tile.rend(); ++it)
      it == tile.rbegin() ? s_.Vectorize(*it) : s_.Unroll(*it);
  }

  /// The reduction outside, the tile's vectors inside.
  void ScheduleTile() {
    std::vector<LoopRef> own = s_.GetLoops(block_);
    own.erase(own.begin(), own.end() - std::ptrdiff_t(extents_.size() + reduced_));
    std::vector<LoopRef> order(own.begin() + std::ptrdiff_t(extents_.size()), own.end()), tile;
    const LoopRef first = order.front();
    for (const Lines& lines : lines_) tile.push_back(own[lines.axis]);
    const std::vector<LoopRef> line = s_.Split(own[extents_.size() - 1], {Expr(nullptr), Expr(lanes_)});
    tile.insert(tile.end(), line.begin(), line.end());
    order.insert(order.end(), tile.begin(), tile.end());
    s_.Reorder(order);
    Unroll(tile);
    s_.DecomposeReduction(block_, first);
  }

  Schedule& s_;
  const BlockRef block_;
  const Target& target_;
  const size_t reduced_;          ///< how many axes are reduced
  std::vector<int64_t> extents_;  ///< of what is kept
  int64_t work_ = 1, lanes_ = 1, vectors_ = 1;
  /// How many results along an axis a tile has.
  struct Lines {
    size_t axis;
    int64_t count;
  };
  std::vector<Lines> lines_;
  BlockRef tail_;
};

/// Whether each variable alone is an index of what the block stores, in their order: a tile of it is a box.
bool StoresByAxis(const BlockNode& node, size_t kept) {
  auto* store = node.body.As<StoreNode>();
  if (!store || !node.init || node.writes.size() != 1 || store->indices.size() != kept) return false;
  size_t next = 0;
  for (const IterVar& iv : node.iter_vars) {
    if (iv.kind != IterKind::kSpatial) continue;
    if (next >= kept || store->indices[next++].get() != iv.var.get() || !IsInt(iv.dom.min, 0)) return false;
  }
  return true;
}

}  // namespace

void ScheduleReduction(Schedule& s, const BlockRef& block, const RuleContext& context) {
  Reduction r = LoopsOf(s, block);
  const BlockNode& node = s.Get(block);
  const std::vector<LoopRef> loops = s.GetLoops(block);
  const bool open = HasOpenExtent(s, loops);
  if (!open && !r.kept.empty() && ConstExtent(s, r.kept.back()) > 1 && StoresByAxis(node, r.kept.size()) &&
      r.kept.size() + r.reduced.size() == loops.size() && !node.predicate) {
    TiledReduction(s, r, context).Run();
    return;
  }
  const bool has_init = bool(node.init);
  int64_t work = 1;
  for (const LoopRef& l : loops) work *= std::max<int64_t>(1, ConstExtent(s, l));
  const int64_t lanes = LanesOf(node, context.target);
  // Vectors run along the innermost kept axis, each lane an accumulation of its own, when memory is read in
  // order.
  // Vectors are as wide as divides the axis: a predicate on lanes would cost more than narrow vectors do.
  int64_t width = lanes;
  while (r.kept.size() > 1 && ConstExtent(s, r.kept.back()) % width) width /= 2;
  if (r.kept.size() > 1 && ConstExtent(s, r.kept.back()) >= width && width > 1) {
    std::vector<LoopRef> parts = s.Split(r.kept.back(), {Expr(nullptr), Expr(width)});
    r.kept.back() = parts[0];
    std::vector<LoopRef> order = r.kept;
    order.insert(order.end(), r.reduced.begin(), r.reduced.end());
    order.push_back(parts[1]);
    s.Reorder(order);
    s.Vectorize(parts[1]);
    // A reduction that may be over nothing has been given its first value by a block of its own.
    if (has_init) s.DecomposeReduction(block, r.reduced.front());
  }
  if (!r.kept.empty() && (open || work >= ParallelThreshold(context.target))) {
    s.Parallel(r.kept.size() > 1 ? s.Fuse(r.kept) : r.kept.front());
  }
}

}  // namespace tilewright::cpu
