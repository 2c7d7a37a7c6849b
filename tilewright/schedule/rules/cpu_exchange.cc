// SPDX-License-Identifier: Apache-2.0
// Copies from one order of axes, or layout, to another.
#include <algorithm>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// What an expression adds a constant to, or itself.
Expr WithoutOffset(const Expr& e) {
  auto* sum = e.As<BinaryNode>();
  const bool offset = sum && (sum->op == BinaryOp::kAdd || sum->op == BinaryOp::kSub) && AsInt(sum->b);
  return offset ? sum->a : e;
}

class Exchange {
 public:
  Exchange(Schedule& s, const BlockRef& block, const RuleContext& context)
      : s_(s), block_(block), context_(context), loops_(s.GetLoops(block)) {}

  /// Whether memory is written along the innermost loop and read along another, of which at least half a
  /// vector is side by side.
  bool Applies() {
    const BlockNode& node = s_.Get(block_);
    auto* store = node.body.As<StoreNode>();
    if (!store || store->value.kind() != ExprKind::kLoad || node.reads.size() != 1 || loops_.size() < 2 ||
        loops_.size() != node.iter_vars.size() || node.writes[0].region.empty() ||
        node.reads[0].region.empty())
      return false;
    for (size_t i = 0; i < loops_.size(); ++i) {
      if (WithoutOffset(node.bindings[i]).get() != loops_[i].var.get() || ConstExtent(s_, loops_[i]) < 1)
        return false;
    }
    const Expr &written = node.writes[0].region.back().min, &read = node.reads[0].region.back().min;
    const Var line = node.iter_vars.back().var;
    if (written.get() != line.get() || UsesVar(read, line)) return false;
    lanes_ = context_.target.VectorLanes(int(node.writes[0].buffer.dtype().element_bytes()));
    auto* rest = read.As<BinaryNode>();
    const bool blocks = rest && rest->op == BinaryOp::kFloorMod && AsInt(rest->b);
    for (size_t i = 0; i + 1 < loops_.size(); ++i) {
      if ((blocks ? rest->a : WithoutOffset(read)).get() == node.iter_vars[i].var.get()) across_ = i;
    }
    if (across_ == SIZE_MAX) return false;
    const int64_t extent = ConstExtent(s_, loops_[across_]);
    step_ = std::min({lanes_, extent, blocks ? *AsInt(rest->b) : lanes_});
    if (2 * step_ <= lanes_ || 2 * ConstExtent(s_, loops_.back()) <= lanes_ ||
        (step_ < lanes_ && !context_.target.has_masked_memory))
      return false;
    return blocks || ConstExtent(s_, loops_.back()) <= lanes_ || IsSmall(extent % step_);
  }

  void Run() {
    // Parts of what is read across are nests of their own.
    std::vector<LoopRef> order = loops_;
    std::rotate(order.begin(), order.begin() + std::ptrdiff_t(across_),
                order.begin() + std::ptrdiff_t(across_) + 1);
    s_.Reorder(order);
    const int64_t extent = ConstExtent(s_, order.front()), whole = extent / step_ * step_;
    if (whole == extent) return Nest(block_, step_);
    s_.LoopPartition(order.front(), {Expr(whole)});
    Nest({block_.name + "_p0"}, step_);
    const BlockRef rest{block_.name + "_p1"};
    if (2 * (extent - whole) > lanes_ && context_.target.has_masked_memory) {
      Nest(rest, extent - whole);
    } else {
      ScheduleInjective(s_, rest, context_);
    }
  }

 private:
  /// Whether what is copied stays in the second level of cache, and squares take all of it: from memory,
  /// boxes of longer lines are faster, and what squares leave would be read once more.
  bool IsSmall(int64_t left) const {
    int64_t bytes = 2 * s_.Get(block_).writes[0].buffer.dtype().bytes();
    for (const LoopRef& l : loops_) bytes *= ConstExtent(s_, l);
    return bytes <= context_.target.CacheBytes(2) && (left == 0 || 2 * left > lanes_);
  }

  /// Squares of so many elements across and a vector along the line: [across, others, line, across, lanes].
  void Nest(const BlockRef& part, int64_t step) {
    std::vector<LoopRef> outer = s_.GetLoops(part);
    int64_t elements = 1;
    for (const LoopRef& l : outer) elements *= ConstExtent(s_, l);
    const LoopRef line = outer.back();
    outer.pop_back();
    const std::vector<LoopRef> across = s_.Split(outer.front(), {Expr(nullptr), Expr(step)});
    outer.front() = across[0];
    const int64_t extent = ConstExtent(s_, line);
    int64_t units = 1;
    for (const LoopRef& l : outer) units *= ConstExtent(s_, l);
    const bool lines = extent % lanes_ == 0 || extent < lanes_;  // one loop
    std::vector<LoopRef> order = outer;
    order.insert(order.end(), {line, across[1]});
    s_.Reorder(order);
    if (lines) {
      const std::optional<LoopRef> vectors = Square(part);
      if (vectors && !FillsCores(units, context_.target)) outer.push_back(*vectors);
    } else {
      s_.LoopPartition(line, {Expr(extent / lanes_ * lanes_)});
      Square({part.name + "_p0"});
      Square({part.name + "_p1"});
    }
    if (elements >= ParallelThreshold(context_.target))
      s_.Parallel(outer.size() > 1 ? s_.Fuse(outer) : outer[0]);
  }

  /// Makes vectors of the line, of whose loops this is the last but one. Returns the loop over them, if any.
  std::optional<LoopRef> Square(const BlockRef& part) {
    const std::vector<LoopRef> loops = s_.GetLoops(part);
    const LoopRef line = loops[loops.size() - 2], across = loops.back();
    std::vector<LoopRef> vectors = {line};
    if (ConstExtent(s_, line) > lanes_) {
      vectors = s_.Split(line, {Expr(nullptr), Expr(lanes_)});
      s_.Reorder({vectors[0], across, vectors[1]});
    } else {
      s_.Reorder({across, line});
    }
    s_.Vectorize(vectors.back());
    s_.Unroll(across);
    return vectors.size() > 1 ? std::optional(vectors.front()) : std::nullopt;
  }

  Schedule& s_;
  const BlockRef block_;
  const RuleContext& context_;
  const std::vector<LoopRef> loops_;
  size_t across_ = SIZE_MAX;  ///< the loop along which memory is read
  int64_t lanes_ = 1, step_ = 1;
};

}  // namespace

bool ScheduleExchange(Schedule& s, const BlockRef& block, const RuleContext& context) {
  Exchange exchange(s, block, context);
  if (!exchange.Applies()) return false;
  exchange.Run();
  return true;
}

}  // namespace tilewright::cpu
