// SPDX-License-Identifier: Apache-2.0
// Injective work that reads memory along another axis than it writes: box by box, so that each line that is
// read or written is in the cache until all of it has been.
#include <algorithm>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"
#include "tilewright/target/code_generator.h"

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
      if (!UsesVar(node.bindings[i], loops_[i].var) || ConstExtent(s_, loops_[i]) < 1) return false;
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

  /// Cuts off what is left across behind whole boxes, where fours would have conditions there; returns the
  /// blocks of both.
  std::vector<BlockRef> CutAcross() {
    const int64_t across = ConstExtent(s_, loops_[across_]);
    if (!fours_ || across % box_ == 0) return {};
    std::vector<LoopRef> order = {loops_[across_]};
    for (size_t i = 0; i < loops_.size(); ++i) {
      if (i != across_) order.push_back(loops_[i]);
    }
    if (across_ > 0) s_.Reorder(order);
    s_.LoopPartition(loops_[across_], {Expr(across / box_ * box_)});
    return {{block_.name + "_p0"}, {block_.name + "_p1"}};
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
    if (across % 4 == 0) {
      if (const int64_t whole = 4 * LargestDivisor(across / 4, box_ / 4); 2 * whole > box_) box_ = whole;
    } else if (across > box_) {
      if (const int64_t whole = LargestDivisor(across, box_); 2 * whole > box_ && !Fours(node)) box_ = whole;
    }
    lanes_ = std::min(lanes_, line);
    // What is read and what is written take a quarter of the first level each.
    vectors_ = std::clamp<int64_t>(target_.CacheBytes(1) / 4 / (box_ * lanes_ * bytes), 1, line / lanes_);
    units_ = (across + box_ - 1) / box_;
    for (size_t i = 0; i + 1 < loops_.size(); ++i) {
      if (i != across_) units_ *= ConstExtent(s_, loops_[i]);
    }
    fours_ = Fours(node);
    // Else the loops are in that order already.
    return across_ + 2 < loops_.size() || line > vectors_ * lanes_;
  }

  /// Whether four elements across are worth one load: not where the line's elements are so near to each other
  /// that vectors of memory hold several of them. Sources in C would compute an address for each element.
  bool Fours(const BlockNode& node) const {
    if (CodeGeneratorOf(target_) != CodeGenerator::kLlvm) return false;
    int loads = 0;
    PreOrderExprs(node.body, [&](const Expr& e) { loads += e.kind() == ExprKind::kLoad; });
    if (loads != 1 || node.reads.size() != 1 || bool(node.predicate)) return false;
    const Buffer &from = node.reads[0].buffer, &to = node.writes[0].buffer;
    const auto row = AsInt(from.shape().back());
    const int64_t lanes = target_.VectorLanes(4);
    return from.dtype().bytes() == 4 && to.dtype().bytes() == 4 && lanes % 4 == 0 && box_ >= 4 && row &&
           4 * *row > 3 * lanes && ConstExtent(s_, loops_.back()) >= lanes;
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
    if (fours_ && extent >= lanes_) {
      VectorizeFours(part, across, vectors);
    } else if (ConstExtent(s_, vectors.back()) > 1) {
      s_.Vectorize(vectors.back());
    }
    if (few && units_ * extent * box_ >= ParallelThreshold(target_)) Parallelise(outer);
  }

  /// Makes one vector of four elements across and as many of the line as a register has: four side by side
  /// are one load. What is left across is read element by element.
  void VectorizeFours(const BlockRef& part, LoopRef across, std::vector<LoopRef> line) {
    if (box_ % 4) {
      across = s_.LoopPartition(across, {Expr(box_ / 4 * 4)}).front();
      s_.Vectorize(s_.GetLoops({part.name + "_p1"}).back());
      const std::vector<LoopRef> loops = s_.GetLoops({part.name + "_p0"});
      std::copy(loops.end() - std::ptrdiff_t(line.size()), loops.end(), line.begin());
    }
    const std::vector<LoopRef> fours = s_.Split(across, {Expr(nullptr), Expr(4)});
    std::vector<LoopRef> order = {fours[0]};
    order.insert(order.end(), line.begin(), line.end());
    order.insert(order.end() - 1, fours[1]);
    s_.Reorder(order);
    s_.Vectorize(s_.Fuse({fours[1], line.back()}));
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
  bool fours_ = false;               ///< whether four elements across are read at once
  int64_t units_ = 1;                ///< boxes, of whole lines
};

}  // namespace

bool ScheduleTranspose(Schedule& s, const BlockRef& block, const RuleContext& context) {
  TransposeKernel kernel(s, block, context);
  if (!kernel.Match()) return false;
  const std::vector<BlockRef> parts = kernel.CutAcross();
  for (const BlockRef& part : parts) ScheduleInjective(s, part, context);
  if (parts.empty()) kernel.Run();
  return true;
}

}  // namespace tilewright::cpu
