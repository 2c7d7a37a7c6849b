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

/// Lanes of the result's vectors. Vectors of two halves that lie apart in what is read would be put together
/// element by element, so that of 16-bit elements in blocks of half as many, a half is one.
int64_t InjectiveLanes(const BlockNode& node, bool line, const Target& target) {
  const int bytes = int(node.writes.front().buffer.dtype().element_bytes());
  const int64_t lanes = target.VectorLanes(bytes);
  if (line || bytes != 2) return lanes;
  const bool halves = std::any_of(node.reads.begin(), node.reads.end(), [&](const BufferRegion& r) {
    return r.buffer.shape().size() > 1 && IsInt(r.buffer.shape().back(), lanes / 2);
  });
  return halves ? lanes / 2 : lanes;
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
  if (ScheduleExchange(s, block, context)) return;
  if (ScheduleTranspose(s, block, context)) return;
  int64_t elements = 1;
  for (const LoopRef& l : loops) elements *= std::max<int64_t>(1, ConstExtent(s, l));
  const bool open = HasOpenExtent(s, loops);
  const bool line = IsPointwise(node);
  const int64_t lanes = InjectiveLanes(node, line, context.target);

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
    const std::vector<LoopRef> parts = s.LoopPartition(inner, {Expr(extent / lanes * lanes)});
    s.Vectorize(s.Split(parts[0], {Expr(nullptr), Expr(lanes)}).back());
    // Once behind all of the work, what is left over may run element by element; behind each line it is a
    // vector too.
    if (inner == loops.back() && !outer.empty() && extent % lanes > 1) s.Vectorize(parts[1]);
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

}  // namespace tilewright::cpu
