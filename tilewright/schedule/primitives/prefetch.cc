// SPDX-License-Identifier: Apache-2.0
// Prefetch and PrefetchSpread: ask for memory ahead of its use. Always legal, as they change no value.
#include <algorithm>
#include <ranges>

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// One request per line; the same on all processors that Tilewright generates code for.
constexpr int64_t kCacheLineBytes = 64;

/// A block that reads a buffer, and a loop around it.
struct FetchPlace {
  Path path;  ///< of the block
  Path loop_path;
  size_t at;  ///< of the loop in the block's path
  const BlockNode& block() const { return path.block(); }
  const ForNode& loop() const { return loop_path.loop(); }
  /// The block with the loops inside of the loop: what one of its iterations does.
  BlockSite Iteration() const {
    BlockSite site{&block(), {}};
    for (const ForNode* l : path.Loops()) {
      if (!site.loops.empty() || path.Find(l->var) > at) site.loops.push_back(l);
    }
    return site;
  }
};

FetchPlace FindPlace(const Rewriter& rw, const BlockRef& ref, const Buffer& buffer, const LoopRef& loop) {
  FetchPlace place{rw.Find(ref), rw.Find(loop), 0};
  if (!ReadsBuffer(place.block(), buffer)) {
    rw.Fail("TW1413", fmt::format("block '{}' does not read {}", ref.name, buffer ? buffer.name() : "null"),
            {&place.block()});
  }
  place.at = place.path.Find(loop.var);
  if (place.at == Path::npos || place.at < place.path.scope()) {
    rw.Fail("TW1412", fmt::format("loop '{}' is not around block '{}'", loop.var.name(), ref.name),
            {&place.loop(), &place.block()});
  }
  return place;
}

/// The block that asks for the element at a position; loops of its own are around it elsewhere.
/// `number` tells it from others of one step.
BlockNode FetchBlock(Rewriter& rw, const Buffer& buffer, const std::vector<Expr>& position, int locality,
                     int64_t number = 0) {
  BlockNode fetch;
  const std::string suffix = number == 0 ? "" : fmt::format("_line{}", number);
  fetch.name = rw.FreshBlockName(buffer.name() + "_prefetch" + suffix);
  std::vector<Expr> indices;
  BufferRegion read{buffer, {}};
  for (size_t d = 0; d < position.size(); ++d) {
    Var iter(fmt::format("a{}", d));
    fetch.iter_vars.push_back({iter, {Expr(0), buffer.shape()[d]}, IterKind::kSpatial});
    fetch.bindings.push_back(position[d]);
    indices.push_back(iter);
    read.region.push_back({iter, Expr(1)});
  }
  fetch.reads = {read};
  fetch.body =
      MakeEvaluate(MakeCall(kI32, Intrinsic::k_prefetch, {buffer(indices), Expr(int64_t(locality))}));
  return fetch;
}

int64_t LineElements(const Buffer& buffer) {
  return std::max<int64_t>(1, kCacheLineBytes / buffer.dtype().bytes());
}

/// Constant extents of a box that is one run of memory; empty where it is not.
std::vector<int64_t> RunExtents(const Box& box, const Buffer& buffer, const Bounds& bounds) {
  std::vector<int64_t> extents;
  bool began = false;
  for (size_t d = 0; d < box.size(); ++d) {
    const auto extent = AsInt(bounds.Simplify(box[d].hi - box[d].lo + Expr(1)));
    if (!extent || (began && !bounds.ProveEqual(Expr(*extent), buffer.shape()[d]))) return {};
    began = began || *extent > 1;
    extents.push_back(*extent);
  }
  return extents;
}

}  // namespace

void Schedule::Prefetch(const BlockRef& ref, const Buffer& buffer, const LoopRef& loop, int64_t distance,
                        int locality) {
  Rewriter rw(*this, "prefetch");
  const FetchPlace place = FindPlace(rw, ref, buffer, loop);
  const ForNode& around = place.loop();
  if (distance < 1 || locality < 0 || locality > 3) {
    rw.Fail("TW1422", fmt::format("distance {} and locality {} are out of range", distance, locality),
            {&around}, {"distance is at least 1 iteration, locality 0 (no reuse) to 3 (the nearest cache)"});
  }
  Bounds bounds = Rewriter::BoundsAt(place.path, false);
  const Box box = TouchedBox(place.Iteration(), buffer, Access::kRead, bounds);

  // The last iterations ask for the last line again: that is cheaper than a condition in each.
  const VarMap ahead{{loop.var, Min(loop.var + Expr(distance), around.min + around.extent - Expr(1))}};
  std::vector<std::pair<Var, Expr>> loops;
  std::vector<Expr> position, guards;
  for (size_t d = 0; d < box.size(); ++d) {
    const Expr step(d + 1 == box.size() ? LineElements(buffer) : 1);
    Expr extent = bounds.Simplify(CeilDiv(box[d].hi - box[d].lo + Expr(1), step));
    Var var(fmt::format("p{}", d));
    bounds.Bind(var, {Expr(0), extent});
    loops.emplace_back(var, extent);
    position.push_back(bounds.Simplify(Substitute(box[d].lo, ahead) + var * step));
    guards.push_back(position[d] >= Expr(0));
    guards.push_back(position[d] < buffer.shape()[d]);
  }
  BlockNode fetch = FetchBlock(rw, buffer, position, locality);
  fetch.predicate = Conjunction(guards, bounds);
  Stmt nest = MakeBlock(std::move(fetch));
  for (const auto& [var, extent] : std::views::reverse(loops)) {
    nest = MakeFor(var, Expr(0), extent, AsInt(extent) ? ForKind::kUnrolled : ForKind::kSerial, nest);
  }
  Stmt body = place.loop_path.Replace(WithBody(around, MakeSeq({nest, around.body})));
  rw.Commit(body, {ref, loop}, {buffer.name(), distance, int64_t(locality)});
}

void Schedule::PrefetchSpread(const BlockRef& ref, const Buffer& buffer, const LoopRef& loop,
                              const LoopRef& over, int locality) {
  Rewriter rw(*this, "prefetch_spread");
  const FetchPlace place = FindPlace(rw, ref, buffer, loop), inner = FindPlace(rw, ref, buffer, over);
  const ForNode &around = place.loop(), &each = inner.loop();
  if (inner.at <= place.at || locality < 0 || locality > 3) {
    rw.Fail("TW1422",
            fmt::format("loop '{}' must be inside of '{}', locality {} one of 0 to 3", over.var.name(),
                        loop.var.name(), locality),
            {&around, &each});
  }
  Bounds bounds = Rewriter::BoundsAt(place.path, false);
  const Box box = TouchedBox(place.Iteration(), buffer, Access::kRead, bounds);
  const std::vector<int64_t> extents = RunExtents(box, buffer, bounds);
  // The number of the iteration of `over` within one of `loop`, and how many there are.
  Expr number(0);
  int64_t count = 1, elements = 1;
  for (const ForNode* l : place.Iteration().loops) {
    if (inner.path.Find(l->var) > inner.at) break;
    const auto extent = AsInt(l->extent);
    count = extent ? count * *extent : 0;
    number = number * l->extent + (l->var - l->min);
  }
  if (extents.empty() || count == 0) {
    rw.Fail("TW1422",
            fmt::format("what an iteration of '{}' reads of {} is not one run of known length, or the "
                        "loops inside have no constant extents",
                        loop.var.name(), buffer.name()),
            {&around, &each});
  }
  for (int64_t e : extents) elements *= e;

  // Each iteration asks for an equal share of the run, from its first element on, line by line; the last
  // iteration of `loop` asks for what it reads itself.
  const int64_t share = std::max<int64_t>(1, elements / count), line = LineElements(buffer);
  const Expr last = around.min + around.extent - Expr(1);
  const VarMap ahead{{loop.var, Min(loop.var + Expr(1), last)}};
  std::vector<Stmt> body;
  for (int64_t first = 0; first < share; first += line) {
    std::vector<Expr> position(extents.size());
    Expr rest = number * Expr(share) + Expr(first);
    for (size_t d = extents.size(); d-- > 0;) {
      position[d] = Substitute(box[d].lo, ahead);
      if (extents[d] == 1) continue;
      const bool outermost =
          std::all_of(extents.begin(), extents.begin() + std::ptrdiff_t(d), [](int64_t e) { return e == 1; });
      // Where iterations outnumber elements, the last ones ask for the last line again.
      if (outermost && count > elements) rest = Min(rest, Expr(extents[d] - 1));
      position[d] = position[d] + (outermost ? rest : FloorMod(rest, Expr(extents[d])));
      rest = FloorDiv(rest, Expr(extents[d]));
    }
    body.push_back(MakeBlock(FetchBlock(rw, buffer, position, locality, first / line)));
  }
  body.push_back(each.body);
  rw.Commit(inner.loop_path.Replace(WithBody(each, MakeSeq(std::move(body)))), {ref, loop, over},
            {buffer.name(), int64_t(locality)});
}

}  // namespace tilewright
