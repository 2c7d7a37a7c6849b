// SPDX-License-Identifier: Apache-2.0
// CacheRead, CacheWrite, SetScope: copies of buffers in other memory scopes.
#include <algorithm>

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// A block that copies the box `domain` of `from` to the same place of `to`, below one loop per dimension.
Stmt CopyNest(const std::string& name, const Buffer& from, const Buffer& to, const Box& domain,
              const Bounds& bounds) {
  BlockNode block;
  block.name = name;
  std::vector<std::pair<Var, Expr>> loops;
  std::vector<Expr> indices;
  std::vector<Range> point;
  for (size_t d = 0; d < domain.size(); ++d) {
    Expr extent = bounds.Simplify(domain[d].hi - domain[d].lo + Expr(1));
    Var loop(fmt::format("c{}", d)), var(fmt::format("a{}", d));
    block.iter_vars.push_back({var, {domain[d].lo, extent}, IterKind::kSpatial});
    block.bindings.push_back(domain[d].lo + loop);
    loops.emplace_back(loop, extent);
    indices.push_back(var);
    point.push_back({var, Expr(1)});
  }
  block.reads = {{from, point}};
  block.writes = {{to, point}};
  block.body = MakeStore(to, from(indices), indices);
  return MakeNest(loops, MakeBlock(std::move(block)));
}

/// The box cut to the buffer.
Box InShape(Box box, const Buffer& buffer, const Bounds& bounds) {
  for (size_t d = 0; d < box.size(); ++d) {
    box[d] = {bounds.Simplify(Max(box[d].lo, Expr(0))),
              bounds.Simplify(Min(box[d].hi, buffer.shape()[d] - Expr(1)))};
  }
  return box;
}

[[noreturn]] void FailAccess(const Rewriter& rw, const BlockNode& block, const Buffer& buffer,
                             const char* how) {
  rw.Fail("TW1413",
          fmt::format("block '{}' does not {} {}", block.name, how, buffer ? buffer.name() : "null"),
          {&block}, {"give a buffer from the block's reads or writes as they are now"});
}

/// Facts for the loops below a statement, beside those of the scope.
Bounds BoundsBelow(const Path& path) {
  Bounds bounds = Rewriter::BoundsAt(path, false);
  PreOrder(path.nodes[path.top()], [&](const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) bounds.Bind(loop->var, {loop->min, loop->extent});
    return s.kind() != StmtKind::kBlock;
  });
  return bounds;
}

}  // namespace

BlockRef Schedule::CacheRead(const BlockRef& ref, const Buffer& buffer, const std::string& scope) {
  Rewriter rw(*this, "cache_read");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  if (!ReadsBuffer(block, buffer)) FailAccess(rw, block, buffer, "read");
  const size_t top = path.top();
  for (const BlockSite& site : BlocksBelow(path.nodes[top])) {
    if (!WritesBuffer(*site.block, buffer)) continue;
    rw.Fail("TW1412",
            fmt::format(
                "block '{}' writes {} within the loops around block '{}': a copy made before would be stale",
                site.block->name, buffer.name(), block.name),
            {site.block, &block});
  }
  const Bounds bounds = BoundsBelow(path);
  const BlockSite site{&block, path.Loops()};
  const Box domain = InShape(TouchedBox(site, buffer, Access::kRead, bounds), buffer, bounds);
  const Buffer cache = WithScope(buffer, rw.FreshBufferName(buffer.name() + "_" + scope), scope);
  const BlockRef copy{rw.FreshBlockName(cache.name())};

  Stmt reader = ReplaceBuffers(path.stmt(), {{buffer, cache}});
  Stmt body = path.Replace(reader);
  Path changed = FindBlock(body, block.name);
  body = changed.ReplaceAt(top,
                           MakeSeq({CopyNest(copy.name, buffer, cache, domain, bounds), changed.nodes[top]}));
  rw.Commit(AddAlloc(body, path.ScopeBlock().name, cache), {ref}, {buffer.name(), scope}, {copy});
  return copy;
}

BlockRef Schedule::CacheWrite(const BlockRef& ref, const Buffer& buffer, const std::string& scope) {
  Rewriter rw(*this, "cache_write");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  if (!WritesBuffer(block, buffer)) FailAccess(rw, block, buffer, "write");
  const size_t top = path.top();
  const Bounds bounds = BoundsBelow(path);

  // All within the loops works on the copy, so that what they exchange stays in one place.
  std::optional<Box> written;
  std::unordered_set<const BlockNode*> inside;
  for (BlockSite site : BlocksBelow(path.nodes[top])) {
    inside.insert(site.block);
    if (!WritesBuffer(*site.block, buffer)) continue;
    Box box = TouchedBox(site, buffer, Access::kWrite, bounds);
    written = written ? Hull(*written, box, bounds) : std::move(box);
  }
  const Box domain = InShape(std::move(*written), buffer, bounds);
  for (const BlockSite& site : BlocksBelow(path.ScopeBlock().body)) {
    if (inside.contains(site.block) || !WritesBuffer(*site.block, buffer)) continue;
    if (Disjoint(domain, TouchedBox(site, buffer, Access::kWrite, bounds), bounds)) continue;
    rw.Fail("TW1412",
            fmt::format("block '{}' writes {} too, outside the loops around block '{}'", site.block->name,
                        buffer.name(), block.name),
            {site.block, &block}, {"cache the buffer before its initialisation is decomposed"});
  }
  const Buffer cache = WithScope(buffer, rw.FreshBufferName(buffer.name() + "_" + scope), scope);
  const BlockRef copy{rw.FreshBlockName(buffer.name() + "_copy")};
  Stmt nest = ReplaceBuffers(path.nodes[top], {{buffer, cache}});
  Stmt body = path.ReplaceAt(top, MakeSeq({nest, CopyNest(copy.name, cache, buffer, domain, bounds)}));
  rw.Commit(AddAlloc(body, path.ScopeBlock().name, cache), {ref}, {buffer.name(), scope}, {copy});
  return copy;
}

void Schedule::SetScope(const BlockRef& ref, int write_index, const std::string& scope) {
  Rewriter rw(*this, "set_scope");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  if (write_index < 0 || size_t(write_index) >= block.writes.size()) {
    rw.Fail("TW1413",
            fmt::format("block '{}' writes {} buffers; number {} is asked for", block.name,
                        block.writes.size(), write_index),
            {&block});
  }
  const Buffer buffer = block.writes[size_t(write_index)].buffer;
  if (rw.IsParameter(buffer)) {
    rw.Fail("TW1414",
            fmt::format("{} is a parameter of the function: the caller chooses its memory", buffer.name()),
            {&block}, {"use cache_write for a copy in another scope"});
  }
  const Buffer moved = WithScope(buffer, buffer.name(), scope);
  rw.Commit(ReplaceBuffers(rw.body(), {{buffer, moved}}), {ref}, {int64_t(write_index), scope});
}

}  // namespace tilewright
