// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tilewright/schedule/bounds.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// Whether all accesses of a block use the same indices, so that memory is walked as one line.
bool IsPointwise(const BlockNode& block) {
  if (block.writes.size() != 1 || block.iter_vars.empty()) return false;
  const BufferRegion& out = block.writes.front();
  for (const BufferRegion& in : block.reads) {
    if (in.region.size() != out.region.size()) return false;
    for (size_t d = 0; d < in.region.size(); ++d) {
      if (!StructuralEqual(in.region[d].min, out.region[d].min)) return false;
      if (!StructuralEqual(in.buffer.shape()[d], out.buffer.shape()[d])) return false;
    }
  }
  return true;
}

/// Whether each loop holds the next one and nothing else.
bool DirectlyNested(const Schedule& s, const std::vector<LoopRef>& loops) {
  for (size_t i = 0; i + 1 < loops.size(); ++i) {
    auto* inner = s.Get(loops[i]).body.As<ForNode>();
    if (!inner || inner != &s.Get(loops[i + 1])) return false;
  }
  return true;
}

/// Cuts the loops of a block that fills a border where the interior begins and ends, axis by axis, so that no
/// part tests its position; the part within all bounds never runs. Returns the blocks.
std::vector<BlockRef> CutBorder(Schedule& s, const BlockRef& fill, const BlockNode& whole,
                                const BlockNode& inside) {
  std::vector<BlockRef> parts;
  BlockRef rest = fill;
  for (size_t axis = 0; axis < whole.iter_vars.size(); ++axis) {
    const auto begin = AsInt(inside.iter_vars[axis].dom.min),
               extent = AsInt(inside.iter_vars[axis].dom.extent);
    const auto total = AsInt(whole.iter_vars[axis].dom.extent);
    if (!begin || !extent || !total || *extent == *total) continue;
    s.LoopPartition(s.GetLoops(rest)[axis], {Expr(*begin), Expr(*begin + *extent)});
    for (int part : {0, 2}) {
      const BlockRef border{fmt::format("{}_p{}", rest.name, part)};
      if (s.Exists(border)) parts.push_back(border);
    }
    rest = {rest.name + "_p1"};
    if (!s.Exists(rest)) return parts;
  }
  parts.push_back(rest);
  return parts;
}

/// Whether how much work the loops are is known only when the kernel runs.
bool HasOpenExtent(const Schedule& s, const std::vector<LoopRef>& loops) {
  return std::any_of(loops.begin(), loops.end(), [&](const LoopRef& l) { return !AsInt(s.Get(l).extent); });
}

/// Element-wise work whose innermost extent is not known before the kernel runs.
void ScheduleOpenLine(Schedule& s, const std::vector<LoopRef>& outer, LoopRef line, int64_t lanes,
                      const Target& target) {
  const std::optional<LoopRef> vectors = VectorizeLine(s, line, lanes, target);
  if (outer.empty()) {
    // Whole vectors in blocks that are worth a thread each.
    s.Parallel(s.Split(*vectors, {Expr(nullptr), Expr(ParallelThreshold(target) / lanes)})[0]);
  } else {
    s.Parallel(outer.size() > 1 ? s.Fuse(outer) : outer.front());
  }
}

}  // namespace

void ScheduleBorder(Schedule& s, const BlockRef& border) {
  const BlockNode& whole = s.Get(border);
  auto* store = whole.body.As<StoreNode>();
  std::vector<LoopRef> loops = s.GetLoops(border);
  if (!store || !store->value.As<IfThenElseNode>() || loops.size() != whole.iter_vars.size()) return;
  for (const LoopRef& l : loops) {
    if (ConstExtent(s, l) == 0) return;
  }
  const BlockRef fill = s.DecomposePadding(border, loops.front());
  const BlockNode& inside = s.Get(border);
  size_t common = 0;  // loops that run over the same elements with and without the border
  while (common < loops.size() &&
         StructuralEqual(whole.iter_vars[common].dom.extent, inside.iter_vars[common].dom.extent)) {
    ++common;
  }
  const std::vector<BlockRef> parts = CutBorder(s, fill, whole, inside);
  for (const BlockRef& part : parts) {
    const LoopRef innermost = s.GetLoops(part).back();
    if (common + 1 < loops.size() && ConstExtent(s, innermost) > 1) s.Vectorize(innermost);
  }
  if (common == 0) return;
  loops = s.GetLoops(parts.front());
  loops.resize(common);
  s.Parallel(common > 1 ? s.Fuse(loops) : loops.front());
}

void ScheduleInjective(Schedule& s, const BlockRef& block, const RuleContext& context) {
  std::vector<LoopRef> loops = s.GetLoops(block);
  if (loops.empty() || !DirectlyNested(s, loops)) return;
  const BlockNode& node = s.Get(block);
  for (const IterVar& iv : node.iter_vars) {
    if (iv.kind != IterKind::kSpatial) return;
  }
  int64_t elements = 1;
  for (const LoopRef& l : loops) elements *= std::max<int64_t>(1, ConstExtent(s, l));
  const bool open = HasOpenExtent(s, loops);
  const int64_t lanes = context.target.VectorLanes(int(node.writes.front().buffer.dtype().element_bytes()));
  const bool line = IsPointwise(node);

  LoopRef inner = loops.back();
  std::vector<LoopRef> outer(loops.begin(), loops.end() - 1);
  if (line && loops.size() > 1) {
    // An extent that is not known may only be the outermost of a line: quotients by it prove nothing.
    auto first = loops.end() - 1;
    while (first != loops.begin() && AsInt(s.Get(*first).extent)) --first;
    outer.assign(loops.begin(), first);
    inner = first + 1 == loops.end() ? *first : s.Fuse({first, loops.end()});
  }
  if (!AsInt(s.Get(inner).extent)) return ScheduleOpenLine(s, outer, inner, lanes, context.target);
  const int64_t extent = ConstExtent(s, inner);
  if (extent > lanes && extent % lanes) {
    // Whole vectors first; what is left over runs element by element in a copy of its own.
    inner = s.LoopPartition(inner, {Expr(extent / lanes * lanes)}).front();
    s.Vectorize(s.Split(inner, {Expr(nullptr), Expr(lanes)}).back());
  } else if (extent >= lanes) {
    std::vector<LoopRef> parts = s.Split(inner, {Expr(nullptr), Expr(lanes)});
    outer.push_back(parts[0]);
    s.Vectorize(parts[1]);
  } else if (extent > 1) {
    s.Vectorize(inner);
  } else {
    outer.push_back(inner);
  }
  if (outer.empty() || (!open && elements < ParallelThreshold(context.target))) return;
  s.Parallel(outer.size() > 1 ? s.Fuse(outer) : outer.front());
}

void ScheduleReduction(Schedule& s, const BlockRef& block, const RuleContext& context) {
  std::vector<LoopRef> loops = s.GetLoops(block);
  const BlockNode& node = s.Get(block);
  TW_CHECK(loops.size() == node.iter_vars.size(), "reduction {} is scheduled already", block.name);
  std::vector<LoopRef> kept, reduced;
  for (size_t i = 0; i < loops.size(); ++i) {
    (node.iter_vars[i].kind == IterKind::kReduce ? reduced : kept).push_back(loops[i]);
  }
  const bool open = HasOpenExtent(s, loops);
  int64_t work = 1;
  for (const LoopRef& l : loops) work *= std::max<int64_t>(1, ConstExtent(s, l));
  const int64_t lanes = context.target.VectorLanes(int(node.writes.front().buffer.dtype().element_bytes()));
  // Vectors run along the innermost kept axis, each lane an accumulation of its own, when memory is read in
  // order.
  // Vectors are as wide as divides the axis: a predicate on lanes would cost more than narrow vectors do.
  int64_t width = lanes;
  while (kept.size() > 1 && ConstExtent(s, kept.back()) % width) width /= 2;
  if (kept.size() > 1 && ConstExtent(s, kept.back()) >= width && width > 1) {
    std::vector<LoopRef> parts = s.Split(kept.back(), {Expr(nullptr), Expr(width)});
    kept.back() = parts[0];
    std::vector<LoopRef> order = kept;
    order.insert(order.end(), reduced.begin(), reduced.end());
    order.push_back(parts[1]);
    s.Reorder(order);
    s.Vectorize(parts[1]);
    s.DecomposeReduction(block, reduced.front());
  }
  if (!kept.empty() && (open || work >= ParallelThreshold(context.target))) {
    s.Parallel(kept.size() > 1 ? s.Fuse(kept) : kept.front());
  }
}

}  // namespace tilewright::cpu
