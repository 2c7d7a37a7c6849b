// SPDX-License-Identifier: Apache-2.0
// LoopPartition: a loop becomes loops over consecutive ranges; always legal, as the order stays. Parts in
// which no block runs are left out. Buffers that only one iteration of the loop sees get a copy per part, so
// that each can be placed and sized by its own part.
#include <algorithm>

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// Cut points with the two ends, checked to ascend.
std::vector<Expr> Ends(const Rewriter& rw, const ForNode& loop, const std::vector<Expr>& points,
                       const Bounds& bounds) {
  std::vector<Expr> ends{Expr(0)};
  for (const Expr& point : points) {
    if (!point || point.dtype() != DataType::Index())
      rw.Fail("TW1404", "a cut point is not an index", {&loop});
    ends.push_back(bounds.Simplify(point));
  }
  ends.push_back(loop.extent);
  for (size_t i = 0; i + 1 < ends.size(); ++i) {
    if (bounds.Prove(ends[i] <= ends[i + 1])) continue;
    rw.Fail("TW1404",
            fmt::format("the points that cut loop '{}' are not known to ascend from 0 to its extent",
                        loop.var.name()),
            {&loop},
            {fmt::format("{} is not known to be at most {}", ToString(ends[i]), ToString(ends[i + 1]))});
  }
  return ends;
}

/// Buffers of the scope that nothing outside the loop touches.
std::vector<Buffer> LocalBuffers(const Path& path) {
  std::unordered_set<const BlockNode*> inside;
  for (const BlockSite& site : BlocksBelow(path.loop().body)) inside.insert(site.block);
  std::vector<Buffer> local = path.ScopeBlock().allocs;
  for (const BlockSite& site : BlocksBelow(path.ScopeBlock().body)) {
    if (inside.contains(site.block)) continue;
    std::erase_if(
        local, [&](const Buffer& b) { return ReadsBuffer(*site.block, b) || WritesBuffer(*site.block, b); });
  }
  std::erase_if(local, [&](const Buffer& b) {
    return std::none_of(inside.begin(), inside.end(),
                        [&](const BlockNode* n) { return WritesBuffer(*n, b); });
  });
  return local;
}

/// A part that begins after the start of a reduction never initialises.
Stmt DropDeadInits(const Stmt& s, Bounds& bounds) {
  if (auto* loop = s.As<ForNode>()) bounds.Bind(loop->var, {loop->min, loop->extent});
  auto* block = s.As<BlockNode>();
  if (!block) return MapChildren(s, [&](const Stmt& child) { return DropDeadInits(child, bounds); }, nullptr);
  if (!block->init) return s;
  for (size_t i = 0; i < block->iter_vars.size(); ++i) {
    const IterVar& iv = block->iter_vars[i];
    if (iv.kind != IterKind::kReduce || !bounds.Prove(block->bindings[i] > iv.dom.min)) continue;
    BlockNode copy = *block;
    copy.init = nullptr;
    RecomputeRegions(copy);
    return MakeBlock(std::move(copy));
  }
  return s;
}

/// Whether the block never runs: its condition, which keeps it within its domain, holds nowhere.
bool NeverRuns(const BlockSite& site, const Path& around) {
  const BlockNode& block = *site.block;
  if (!block.predicate) return false;
  Bounds bounds = Rewriter::BoundsAt(around, false);
  for (const ForNode* loop : site.loops) bounds.Bind(loop->var, {loop->min, loop->extent});
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const Range& dom = block.iter_vars[i].dom;
    if (bounds.Prove(block.bindings[i] >= dom.min + dom.extent)) return true;
  }
  const std::vector<Expr> terms = Conjuncts(block.predicate);
  return std::any_of(terms.begin(), terms.end(), [&](const Expr& t) { return bounds.Prove(MakeNot(t)); });
}

bool NeverRuns(const Stmt& part, const Path& around) {
  const std::vector<BlockSite> sites = BlocksBelow(part);
  return !sites.empty() && std::all_of(sites.begin(), sites.end(),
                                       [&](const BlockSite& site) { return NeverRuns(site, around); });
}

}  // namespace

std::vector<LoopRef> Schedule::LoopPartition(const LoopRef& loop, const std::vector<Expr>& points) {
  Rewriter rw(*this, "loop_partition");
  const Path path = rw.Find(loop);
  const ForNode& old = path.loop();
  rw.RequireSerial(old);
  if (points.empty()) rw.Fail("TW1404", "no cut points are given", {&old});
  const std::vector<Expr> ends = Ends(rw, old, points, Rewriter::BoundsAt(path, false));
  const std::vector<Buffer> local = LocalBuffers(path);

  std::vector<LoopRef> loops;
  std::vector<Stmt> parts;
  std::vector<Buffer> copies;
  for (size_t i = 0; i + 1 < ends.size(); ++i) {
    Bounds bounds = Rewriter::BoundsAt(path, false);
    Var var(fmt::format("{}_p{}", old.var.name(), i));
    Expr extent = bounds.Simplify(ends[i + 1] - ends[i]);
    bounds.Bind(var, {Expr(0), extent});
    Stmt part = SubstituteLoops(old.body, {{old.var, old.min + ends[i] + var}}, nullptr, bounds);
    part = MakeFor(var, Expr(0), extent, old.for_kind, DropDeadInits(part, bounds), old.annotations);
    const bool only = parts.empty() && i + 2 == ends.size();
    if (!only && (IsInt(extent, 0) || NeverRuns(part, path))) continue;
    part = FreshCopy(
        part, {}, [&](const std::string& name) { return rw.FreshBlockName(fmt::format("{}_p{}", name, i)); });
    if (i > 0) {
      BufferMap own;
      for (const Buffer& b : local) {
        own[b] = WithScope(b, rw.FreshBufferName(fmt::format("{}_p{}", b.name(), i)), b.scope());
        copies.push_back(own[b]);
      }
      if (!own.empty()) part = ReplaceBuffers(part, own);
    }
    parts.push_back(part);
    loops.push_back({part.As<ForNode>()->var});
  }
  Stmt body = path.Replace(MakeSeq(std::move(parts)));
  for (const Buffer& b : copies) body = AddAlloc(body, path.ScopeBlock().name, b);
  rw.Commit(body, {loop}, {points}, {loops.begin(), loops.end()});
  return loops;
}

}  // namespace tilewright
