// SPDX-License-Identifier: Apache-2.0
// Injective work that reads memory along another axis than it writes: box by box, so that each line that is
// read or written is in the cache until all of it has been.
#include <algorithm>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// Cache lines of what is read that a box has side by side.
constexpr int64_t kLines = 2;

class TransposeKernel {
 public:
  TransposeKernel(Schedule& s, const BlockRef& block, const RuleContext& context)
      : s_(s), block_(block), target_(context.target), loops_(s.GetLoops(block)) {}

  /// Whether memory is written along the innermost loop and read along another.
  bool Match() {
    const BlockNode& node = s_.Get(block_);
    if (loops_.size() < 2 || node.writes.size() != 1 || loops_.size() != node.iter_vars.size() ||
        node.writes[0].region.empty())
      return false;
    for (size_t i = 0; i < loops_.size(); ++i) {
      if (node.bindings[i].get() != loops_[i].var.get() || ConstExtent(s_, loops_[i]) < 1) return false;
    }
    const Var line = node.iter_vars.back().var;
    if (node.writes[0].region.back().min.get() != line.get()) return false;
    for (const BufferRegion& read : node.reads) {
      for (size_t i = 0; i + 1 < loops_.size(); ++i) {
        const Var across = node.iter_vars[i].var;
        const bool uses_line = std::any_of(read.region.begin(), read.region.end(),
                                           [&](const Range& r) { return UsesVar(r.min, line); });
        if (uses_line && !UsesVar(read.region.back().min, line) &&
            read.region.back().min.get() == across.get() && IsInt(read.region.back().extent, 1))
          across_ = i;
      }
    }
    return across_ < loops_.size() && Plan(node);
  }

  void Run() {
    // [others, boxes across, line, across]: parts of the line get loops of their own below the others.
    std::vector<LoopRef> outer = loops_, order;
    const LoopRef line = outer.back();
    outer.pop_back();
    const std::vector<LoopRef> across = s_.Split(outer[across_], {Expr(nullptr), Expr(box_)});
    outer.erase(outer.begin() + std::ptrdiff_t(across_));
    outer.push_back(across[0]);
    const bool few = !FillsCores(units_, target_);
    order = outer;
    order.insert(few ? order.begin() : order.end(), line);
    order.push_back(across[1]);
    s_.Reorder(order);
    const int64_t extent = ConstExtent(s_, line), width = lanes_ * vectors_;
    std::vector<Expr> cuts;
    for (int64_t at : {extent / width * width, extent / lanes_ * lanes_}) {
      if (at > 0 && at < extent && (cuts.empty() || *AsInt(cuts.back()) < at)) cuts.push_back(Expr(at));
    }
    if (cuts.empty()) Part(block_, extent, few);
    if (!cuts.empty()) s_.LoopPartition(line, cuts);
    for (size_t i = 0; !cuts.empty() && i <= cuts.size(); ++i) {
      const int64_t begin = i ? *AsInt(cuts[i - 1]) : 0, end = i < cuts.size() ? *AsInt(cuts[i]) : extent;
      Part({fmt::format("{}_p{}", block_.name, i)}, end - begin, few);
    }
    if (few || units_ * extent * box_ < ParallelThreshold(target_)) return;
    Parallelise(outer);
  }

 private:
  bool Plan(const BlockNode& node) {
    const int64_t bytes = node.writes[0].buffer.dtype().element_bytes();
    lanes_ = target_.VectorLanes(int(bytes));
    const int64_t across = ConstExtent(s_, loops_[across_]), line = ConstExtent(s_, loops_.back());
    if (across < 2 || line < 2 || lanes_ < 2 || target_.caches.empty()) return false;
    box_ = std::min(across, kLines * target_.caches[0].line_bytes / bytes);
    if (across > box_) {
      if (const int64_t whole = LargestDivisor(across, box_); 2 * whole > box_) box_ = whole;
    }
    lanes_ = std::min(lanes_, line);
    // What is read and what is written take a quarter of the first level each.
    vectors_ = std::clamp<int64_t>(target_.CacheBytes(1) / 4 / (box_ * lanes_ * bytes), 1, line / lanes_);
    units_ = (across + box_ - 1) / box_;
    for (size_t i = 0; i + 1 < loops_.size(); ++i) {
      if (i != across_) units_ *= ConstExtent(s_, loops_[i]);
    }
    // Else the loops are in that order already.
    return across_ + 2 < loops_.size() || line > vectors_ * lanes_;
  }

  /// Schedules a part of the line, of so many elements: [boxes of the line,] across, vectors. Where others
  /// are below the line its boxes go outside of them.
  void Part(const BlockRef& part, int64_t extent, bool few) {
    std::vector<LoopRef> loops = s_.GetLoops(part);
    const LoopRef across = loops.back();
    const LoopRef line = few ? loops.front() : loops[loops.size() - 2];
    // The others may hold further parts.
    std::vector<LoopRef> outer, order;
    if (few) outer.assign(loops.begin() + 1, loops.end() - 1);
    std::vector<LoopRef> vectors = {line};
    if (extent > lanes_) {
      vectors = s_.Split(line, {Expr(nullptr), Expr(std::min(vectors_, extent / lanes_)), Expr(lanes_)});
      outer.insert(outer.begin(), vectors[0]);
      vectors.erase(vectors.begin());
    }
    order = outer;
    order.push_back(across);
    order.insert(order.end(), vectors.begin(), vectors.end());
    s_.Reorder(order);
    if (ConstExtent(s_, vectors.back()) > 1) s_.Vectorize(vectors.back());
    if (few && units_ * extent * box_ >= ParallelThreshold(target_)) Parallelise(outer);
  }

  void Parallelise(const std::vector<LoopRef>& loops) {
    if (loops.empty()) return;
    s_.Parallel(loops.size() > 1 ? s_.Fuse(loops) : loops.front());
  }

  Schedule& s_;
  const BlockRef block_;
  const Target& target_;
  const std::vector<LoopRef> loops_;
  size_t across_ = SIZE_MAX;         ///< the loop along which memory is read
  int64_t lanes_ = 1, vectors_ = 1;  ///< of the line, in a box
  int64_t box_ = 1;                  ///< elements across
  int64_t units_ = 1;                ///< boxes, of whole lines
};

}  // namespace

bool ScheduleTranspose(Schedule& s, const BlockRef& block, const RuleContext& context) {
  TransposeKernel kernel(s, block, context);
  if (!kernel.Match()) return false;
  kernel.Run();
  return true;
}

}  // namespace tilewright::cpu
