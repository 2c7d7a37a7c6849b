// SPDX-License-Identifier: Apache-2.0
// Pooling in natural order (op/pool_lines.cc): a line with what windows gather across lines, then the result
// of that line.
#include <algorithm>

#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

class PoolRule {
 public:
  PoolRule(Schedule& s, const BlockRef& line, const RuleContext& context)
      : s_(s), line_(line), context_(context) {}

  void Run() {
    const BlockNode& node = s_.Get(line_);
    const size_t line_axis = size_t(std::get<int64_t>(node.annotations.at("line_axis")));
    const size_t across_axis = size_t(std::get<int64_t>(node.annotations.at("across_axis")));
    inside_ = std::get<std::vector<int64_t>>(node.annotations.at("line_inside"));
    const auto across = std::get<std::vector<int64_t>>(node.annotations.at("across_inside"));
    const BlockRef out = Tail(s_.Consumers(line_).at(0));
    std::vector<LoopRef> loops = s_.GetLoops(out);
    int64_t work = 1;
    for (const LoopRef& l : loops) work *= std::max<int64_t>(1, ConstExtent(s_, l));
    const bool open = HasOpenExtent(s_, loops);
    const LoopRef along = loops[line_axis], edges = loops[across_axis];
    if (along != loops.back()) {
      std::vector<LoopRef> order = loops;
      std::erase(order, along);
      order.push_back(along);
      s_.Reorder(order);
      loops = order;
    }
    s_.ComputeAt(line_, *(loops.end() - 2));
    std::vector<LoopRef> outer = {loops[0], loops[1]};
    const int64_t lines = across_axis == line_axis ? 0 : ConstExtent(s_, edges);
    // Lines at the edges have conditions, which unrolled loops decide.
    const bool cut = across[1] > across[0] && across[1] - across[0] < lines;
    if (cut) {
      CutEdges(edges, across, lines);
    } else if (!FillsCores(ConstExtent(s_, loops[0]) * ConstExtent(s_, loops[1]), context_.target)) {
      outer.assign(loops.begin(), loops.end() - 1);
    }
    for (const BlockRef& b : s_.Blocks()) {
      if (IsPart(b, line_.name)) ScheduleLine(b);
      if (IsPart(b, out.name)) VectorizeLast(b);
    }
    if (open || work >= ParallelThreshold(context_.target)) s_.Parallel(s_.Fuse(outer));
  }

 private:
  static bool IsPart(const BlockRef& b, const std::string& name) {
    return b.name == name || b.name.starts_with(name + "_p");
  }

  /// The last of the element-wise blocks behind that have the same axes; those before go into it.
  BlockRef Tail(BlockRef out) {
    for (;;) {
      const std::vector<BlockRef> next = s_.Consumers(out);
      if (next.size() != 1 || ParameterIndex(s_, s_.Get(out).writes.front().buffer) >= 0) return out;
      const std::vector<IterVar>&a = s_.Get(out).iter_vars, &b = s_.Get(next[0]).iter_vars;
      const bool same =
          std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const IterVar& x, const IterVar& y) {
            return y.kind == IterKind::kSpatial && StructuralEqual(x.dom.extent, y.dom.extent);
          });
      if (!same || !s_.Get(next[0]).body.As<StoreNode>()) return out;
      s_.ComputeInline(out);
      out = next[0];
    }
  }

  void CutEdges(const LoopRef& edges, const std::vector<int64_t>& inside, int64_t lines) {
    std::vector<Expr> cuts;
    for (int64_t at : inside) {
      if (at > 0 && at < lines) cuts.push_back(Expr(at));
    }
    const std::vector<LoopRef> parts = s_.LoopPartition(edges, cuts);
    if (inside[0] > 0) s_.Unroll(parts.front());
    if (inside[1] < lines) s_.Unroll(parts.back());
  }

  int64_t LanesOf(const BlockRef& b) const {
    return context_.target.VectorLanes(int(s_.Get(b).writes.front().buffer.dtype().element_bytes()));
  }

  void VectorizeLast(const BlockRef& b) {
    const LoopRef loop = s_.GetLoops(b).back();
    if (ConstExtent(s_, loop) > 1) VectorizeLine(s_, loop, LanesOf(b), context_.target);
  }

  /// The line's border and its interior apart.
  void ScheduleLine(const BlockRef& b) {
    const LoopRef loop = s_.GetLoops(b).back();
    const int64_t reach = ConstExtent(s_, loop);
    std::vector<Expr> cuts;
    for (int64_t at : inside_) {
      if (at > 0 && at < reach) cuts.push_back(Expr(at));
    }
    if (cuts.empty()) return VectorizeLast(b);
    const std::string name = b.name;
    s_.LoopPartition(loop, cuts);
    for (const char* part : {"_p0", "_p1", "_p2"}) {
      if (s_.Exists({name + part})) VectorizeLast({name + part});
    }
  }

  Schedule& s_;
  const BlockRef line_;
  const RuleContext& context_;
  std::vector<int64_t> inside_;  ///< where the line's interior begins and ends
};

}  // namespace

void SchedulePoolLine(Schedule& s, const BlockRef& line, const RuleContext& context) {
  PoolRule(s, line, context).Run();
}

}  // namespace tilewright::cpu
