// SPDX-License-Identifier: Apache-2.0
// Prefetch: asks for memory ahead of its use. Always legal, as it changes no value; iterations past the end
// ask for nothing.
#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// One request per line; the same on all processors that Tilewright generates code for.
constexpr int64_t kCacheLineBytes = 64;

}  // namespace

void Schedule::Prefetch(const BlockRef& ref, const Buffer& buffer, const LoopRef& loop, int64_t distance,
                        int locality) {
  Rewriter rw(*this, "prefetch");
  const Path path = rw.Find(ref);
  const Path loop_path = rw.Find(loop);
  const ForNode& around = loop_path.loop();
  const BlockNode& block = path.block();
  if (!ReadsBuffer(block, buffer)) {
    rw.Fail("TW1413", fmt::format("block '{}' does not read {}", ref.name, buffer ? buffer.name() : "null"),
            {&block});
  }
  const size_t at = path.Find(loop.var);
  if (at == Path::npos || at < path.scope()) {
    rw.Fail("TW1412", fmt::format("loop '{}' is not around block '{}'", loop.var.name(), ref.name),
            {&around, &block});
  }
  if (distance < 1 || locality < 0 || locality > 3) {
    rw.Fail("TW1422", fmt::format("distance {} and locality {} are out of range", distance, locality),
            {&around}, {"distance is at least 1 iteration, locality 0 (no reuse) to 3 (the nearest cache)"});
  }
  Bounds bounds = Rewriter::BoundsAt(path, false);
  BlockSite site{&block, {}};
  for (const ForNode* l : path.Loops()) {
    if (!site.loops.empty() || path.Find(l->var) > at) site.loops.push_back(l);
  }
  const Box box = TouchedBox(site, buffer, Access::kRead, bounds);

  const VarMap ahead{{loop.var, loop.var + Expr(distance)}};
  BlockNode fetch;
  fetch.name = rw.FreshBlockName(buffer.name() + "_prefetch");
  std::vector<std::pair<Var, Expr>> loops;
  std::vector<Expr> indices, guards{loop.var + Expr(distance) < around.min + around.extent};
  BufferRegion read{buffer, {}};
  for (size_t d = 0; d < box.size(); ++d) {
    const bool innermost = d + 1 == box.size();
    const Expr step(innermost ? std::max<int64_t>(1, kCacheLineBytes / buffer.dtype().bytes()) : 1);
    Expr extent = bounds.Simplify(CeilDiv(box[d].hi - box[d].lo + Expr(1), step));
    Var var(fmt::format("p{}", d)), iter(fmt::format("a{}", d));
    bounds.Bind(var, {Expr(0), extent});
    loops.emplace_back(var, extent);
    Expr position = bounds.Simplify(Substitute(box[d].lo, ahead) + var * step);
    fetch.iter_vars.push_back({iter, {Expr(0), buffer.shape()[d]}, IterKind::kSpatial});
    fetch.bindings.push_back(position);
    guards.push_back(position >= Expr(0));
    guards.push_back(position < buffer.shape()[d]);
    indices.push_back(iter);
    read.region.push_back({iter, Expr(1)});
  }
  fetch.predicate = Conjunction(guards, bounds);
  fetch.reads = {read};
  fetch.body =
      MakeEvaluate(MakeCall(kI32, Intrinsic::k_prefetch, {buffer(indices), Expr(int64_t(locality))}));
  Stmt nest = MakeNest(loops, MakeBlock(std::move(fetch)));
  Stmt body = loop_path.Replace(WithBody(around, MakeSeq({nest, around.body})));
  rw.Commit(body, {ref, loop}, {buffer.name(), distance, int64_t(locality)});
}

}  // namespace tilewright
