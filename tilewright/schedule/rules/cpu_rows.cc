// SPDX-License-Identifier: Apache-2.0
// Kernels that reduce along rows and use the results within the rows: soft maximum, normalisation, and what
// is fused with them. A row goes through all stages while it is in the cache.
#include <algorithm>
#include <bit>

#include "tilewright/schedule/bounds.h"
#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// A block over rows of elements: of its axes the first count the rows, and the others are those of a row, or
/// 1, or left out.
struct RowBlock {
  BlockRef ref;
  bool reduces = false;
  bool whole_rows = false;  ///< not reducing, and with the axes of a row
};

class RowKernel {
 public:
  RowKernel(Schedule& s, const RuleContext& context) : s_(s), context_(context) {}

  /// Whether all blocks are of that kind; fills in what they have in common.
  bool Match() {
    const std::vector<BlockRef> blocks = s_.Blocks();
    for (const BlockRef& b : blocks) {
      const BlockNode& node = s_.Get(b);
      if (!IsReduction(node) || !row_.empty()) continue;
      for (const IterVar& iv : node.iter_vars) {
        if (iv.kind == IterKind::kReduce) row_.push_back(iv.dom.extent);
      }
    }
    // Rows of one element are no rows: vectors run across them.
    if (row_.empty() || RowIsOne()) return false;
    const BlockNode& last = s_.Get(blocks.back());
    std::vector<Expr> axes;
    for (const IterVar& iv : last.iter_vars) {
      if (iv.kind == IterKind::kSpatial) axes.push_back(iv.dom.extent);
    }
    if (!FindRows(blocks, axes)) return false;
    if (!std::all_of(blocks.begin(), blocks.end(), [&](const BlockRef& b) { return Add(b); })) return false;
    // A result before the last could not be computed where the last is.
    return std::none_of(blocks_.begin(), blocks_.end() - 1,
                        [&](const RowBlock& b) { return IsParameterOf(b.ref); });
  }

  void Apply() {
    const BlockRef last = blocks_.back().ref;
    for (const RowBlock& b : blocks_) {
      if (b.reduces) FactorLanes(b.ref);
    }
    const std::vector<BlockRef> order = s_.Blocks();
    const LoopRef row = RowLoop(last);
    for (size_t i = order.size(); i-- > 0;) {
      // What was factored out of the last block is below its loops already.
      if (!IsBelow(row, order[i])) s_.ComputeAt(order[i], row);
    }
    for (const Lanes& lanes : lanes_) ScheduleLanes(lanes, row);
    for (const RowBlock& b : blocks_) {
      if (b.whole_rows) {
        const std::optional<LoopRef> vectors = VectorizeRow(b.ref);
        if (vectors && !(b.ref.name == last.name)) FetchNextRow(b.ref, row, *vectors);
      } else if (!b.reduces && !IsParameterOf(b.ref)) {
        s_.SetScope(b.ref, 0, "register");
      }
    }
  }

 private:
  /// The axes that count rows: those of the last block without the axes of a row.
  bool FindRows(const std::vector<BlockRef>& blocks, const std::vector<Expr>& axes) {
    // A result has the axes of a row whole, as ones, or not at all.
    for (size_t tail : {row_.size(), size_t(0)}) {
      if (axes.size() <= tail) continue;
      rows_.assign(axes.begin(), axes.end() - std::ptrdiff_t(tail));
      if (std::all_of(blocks.begin(), blocks.end(), [&](const BlockRef& b) { return FitsRows(s_.Get(b)); })) {
        return true;
      }
    }
    return false;
  }

  bool FitsRows(const BlockNode& node) const {
    std::vector<Expr> spatial, reduced;
    for (const IterVar& iv : node.iter_vars) {
      if (iv.kind == IterKind::kOpaque || !IsInt(iv.dom.min, 0)) return false;
      (iv.kind == IterKind::kReduce ? reduced : spatial).push_back(iv.dom.extent);
    }
    if (spatial.size() < rows_.size() || !SameExtents(rows_, spatial.data())) return false;
    const std::vector<Expr> rest(spatial.begin() + std::ptrdiff_t(rows_.size()), spatial.end());
    const bool ones = std::all_of(rest.begin(), rest.end(), [](const Expr& e) { return IsInt(e, 1); });
    if (!reduced.empty()) return ones && reduced.size() == row_.size() && SameExtents(row_, reduced.data());
    return ones || (rest.size() == row_.size() && SameExtents(row_, rest.data()));
  }

  static bool SameExtents(const std::vector<Expr>& expected, const Expr* found) {
    for (const Expr& e : expected) {
      if (!StructuralEqual(e, *found++)) return false;
    }
    return true;
  }

  /// Takes a block in, unless it reads other rows of what the kernel makes.
  bool Add(const BlockRef& ref) {
    const BlockNode& node = s_.Get(ref);
    if (node.writes.size() != 1 || !node.body.As<StoreNode>() || bool(node.predicate)) return false;
    for (const BufferRegion& read : node.reads) {
      if (ParameterIndex(s_, read.buffer) >= 0) continue;
      for (size_t d = 0; d < rows_.size(); ++d) {
        if (d >= read.region.size() || !IsInt(read.region[d].extent, 1)) return false;
        if (!(read.region[d].min == node.iter_vars[d].var) && !IsInt(rows_[d], 1)) return false;
      }
    }
    RowBlock block{ref, IsReduction(node)};
    // A reduction that may be over nothing has been given its first value by a block of its own.
    if (block.reduces && (!AlongTheRow(node) || !node.init)) return false;
    block.whole_rows = !block.reduces && node.iter_vars.size() == rows_.size() + row_.size();
    blocks_.push_back(block);
    return true;
  }

  bool IsParameterOf(const BlockRef& b) const {
    return ParameterIndex(s_, s_.Get(b).writes.front().buffer) >= 0;
  }
  bool RowIsOne() const {
    return std::all_of(row_.begin(), row_.end(), [](const Expr& e) { return IsInt(e, 1); });
  }
  int64_t LanesOf(const BlockRef& b) const {
    return context_.target.VectorLanes(int(s_.Get(b).writes.front().buffer.dtype().element_bytes()));
  }
  Expr RowLength() const {
    Expr n = 1;
    for (const Expr& e : row_) n = n * e;
    return n;
  }

  /// One loop over the rows of the last block: parallel over groups of rows that make a chunk worth a thread.
  LoopRef RowLoop(const BlockRef& last) {
    std::vector<LoopRef> loops = s_.GetLoops(last);
    loops.resize(rows_.size());
    LoopRef row = loops.size() > 1 ? s_.Fuse(loops) : loops.front();
    const int64_t rows = ConstExtent(s_, row), length = AsInt(RowLength()).value_or(0);
    if (rows == 0) {
      s_.Parallel(row);
      return row;
    }
    if (rows * length < ParallelThreshold(context_.target)) return row;
    const int64_t wanted =
        std::max<int64_t>(1, ParallelThreshold(context_.target) / std::max<int64_t>(1, length));
    const int64_t per_core = std::max<int64_t>(1, rows / std::max(1, context_.target.cores));
    const int64_t group = LargestDivisor(rows, std::min(wanted, per_core));
    const std::vector<LoopRef> parts = s_.Split(row, {Expr(nullptr), Expr(group)});
    s_.Parallel(parts[0]);
    return parts[1];
  }

  // ---- Reductions: vectors of accumulators, several where rows are long, then halved until one is left.

  struct Lanes {
    BlockRef total;
    std::optional<BlockRef> partial;
    int64_t width = 1;             ///< accumulators of the partial
    std::vector<BlockRef> halves;  ///< each half as wide as the one before
  };

  void FactorLanes(const BlockRef& b) {
    Lanes made{.total = b};
    std::vector<LoopRef> loops = s_.GetLoops(b);
    loops.erase(loops.begin(), loops.end() - std::ptrdiff_t(row_.size()));
    const LoopRef elements = loops.size() > 1 ? s_.Fuse(loops) : loops.front();
    const auto length = AsInt(RowLength());
    const int64_t lanes = LanesOf(b);
    // Additions take several cycles; so many chains of them hide that where a row is long enough.
    constexpr int64_t kChains = 4;
    int64_t width = lanes * (length && *length >= 2 * kChains * lanes ? kChains : 1);
    // Of a row shorter than two vectors, the first accumulators take what is left.
    if (length) width = std::min(width, int64_t(std::bit_floor(uint64_t(*length - 1))));
    if (!length || (2 * *length >= lanes && width > 1)) {
      made.width = width;
      made.partial = s_.RFactor(b, s_.Split(elements, {Expr(nullptr), Expr(made.width)})[1]);
      for (; width > 2; width /= 2) {
        const LoopRef lane = s_.GetLoops(b).back();
        made.halves.push_back(s_.RFactor(b, s_.Split(lane, {Expr(2), Expr(width / 2)})[1]));
      }
    }
    lanes_.push_back(std::move(made));
  }

  /// The loops that a block has below the loop over rows.
  std::vector<LoopRef> LoopsBelow(const LoopRef& row, const BlockRef& b) {
    std::vector<LoopRef> loops = s_.GetLoops(b);
    loops.erase(loops.begin(), std::find(loops.begin(), loops.end(), row) + 1);
    return loops;
  }

  bool IsBelow(const LoopRef& row, const BlockRef& b) {
    const std::vector<LoopRef> loops = s_.GetLoops(b);
    return std::find(loops.begin(), loops.end(), row) != loops.end();
  }

  /// Accumulators in registers: the reduction outside, its lanes a vector. Returns the loop that reduces.
  LoopRef AccumulateVector(const BlockRef& b) {
    std::vector<LoopRef> loops = s_.GetLoops(b);
    const bool last_reduces = RoleOf(s_.Get(b), loops.back().var).reduce;
    const LoopRef lane = loops[loops.size() - (last_reduces ? 2 : 1)],
                  reduced = loops[loops.size() - (last_reduces ? 1 : 2)];
    s_.SetScope(b, 0, "register");
    s_.Reorder({reduced, lane});
    const BlockRef init = s_.DecomposeReduction(b, reduced);
    s_.Vectorize(s_.GetLoops(init).back());
    return reduced;
  }

  void ScheduleLanes(const Lanes& lanes, const LoopRef& row) {
    if (lanes.partial) {
      const LoopRef steps = AccumulateVector(*lanes.partial);
      const std::string name = lanes.partial->name;
      SeparateLastTile(s_, steps, RowLength(), lanes.width);
      for (const char* part : {"", "_p0", "_p1"}) {
        const BlockRef block{name + part};
        if (s_.Exists(block)) s_.Vectorize(s_.GetLoops(block).back());
      }
    }
    for (const BlockRef& half : lanes.halves) {
      s_.Unroll(AccumulateVector(half));
      s_.Vectorize(s_.GetLoops(half).back());
    }
    const std::vector<LoopRef> loops = LoopsBelow(row, lanes.total);
    const BlockNode& node = s_.Get(lanes.total);
    const auto reduced = std::find_if(loops.begin(), loops.end(),
                                      [&](const LoopRef& l) { return RoleOf(node, l.var).reduce; });
    if (!IsParameterOf(lanes.total)) s_.SetScope(lanes.total, 0, "register");
    s_.DecomposeReduction(lanes.total, reduced == loops.end() ? loops.front() : *reduced);
    if (lanes.partial) s_.Unroll(loops.back());
  }

  // ---- Element-wise work.

  /// Whether every read goes along the row as the write does, or is the same for all of the row. Axes of one
  /// element behind the row do not matter.
  bool AlongTheRow(const BlockNode& node) const {
    const size_t rank = node.iter_vars.size();
    for (const BufferRegion& read : node.reads) {
      size_t last = read.region.size();
      while (last > 0 && IsInt(read.buffer.shape()[last - 1], 1) && !IsInt(row_.back(), 1)) --last;
      size_t along = 0;
      bool uses = false;
      for (size_t i = rank - row_.size(); i < rank; ++i) {
        const size_t from_last = rank - i;
        if (from_last <= last) {
          const size_t d = last - from_last;
          along += read.region[d].min == node.iter_vars[i].var &&
                   StructuralEqual(read.buffer.shape()[d], node.iter_vars[i].dom.extent);
        }
        for (const Range& r : read.region) {
          for (const Var& v : FreeVars(r.min)) uses |= v == node.iter_vars[i].var;
        }
      }
      if (uses && along != row_.size()) return false;
    }
    return true;
  }

  /// Returns the loop over whole vectors, if there is one.
  std::optional<LoopRef> VectorizeRow(const BlockRef& b) {
    std::vector<LoopRef> loops = s_.GetLoops(b);
    loops.erase(loops.begin(), loops.end() - std::ptrdiff_t(row_.size()));
    const bool line = loops.size() > 1 && AlongTheRow(s_.Get(b));
    return VectorizeLine(s_, line ? s_.Fuse(loops) : loops.back(), LanesOf(b), context_.target);
  }

  /// A row is read from memory by its first reduction and computed with later: while one is, the next is
  /// asked for, where what is read does not stay in the second level of cache.
  void FetchNextRow(const BlockRef& b, const LoopRef& row, const LoopRef& vectors) {
    const BlockRef first{b.name + "_p0"}, whole = s_.Exists(first) ? first : b;
    const BlockNode& node = s_.Get(whole);
    for (const BufferRegion& read : node.reads) {
      if (ParameterIndex(s_, read.buffer) < 0 || read.region.size() != rows_.size() + row_.size()) continue;
      int64_t bytes = read.buffer.dtype().bytes();
      bool by_row = row_.size() == 1;
      for (size_t d = 0; d < read.region.size(); ++d) {
        bytes *= AsInt(read.buffer.shape()[d]).value_or(0);
        by_row &= read.region[d].min.get() == node.iter_vars[d].var.get();
      }
      if (by_row && bytes > context_.target.CacheBytes(2))
        s_.PrefetchSpread(whole, read.buffer, row, vectors, 2);
    }
  }

  Schedule& s_;
  const RuleContext& context_;
  std::vector<Expr> rows_, row_;
  std::vector<RowBlock> blocks_;
  std::vector<Lanes> lanes_;
};

}  // namespace

bool ScheduleRows(Schedule& s, const RuleContext& context) {
  RowKernel kernel(s, context);
  if (!kernel.Match()) return false;
  kernel.Apply();
  return true;
}

}  // namespace tilewright::cpu
