// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tilewright/schedule/bounds.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

int64_t ConstExtent(const Schedule& s, const LoopRef& loop) { return AsInt(s.Get(loop).extent).value_or(0); }

bool FillsCores(int64_t units, const Target& target) {
  const int64_t cores = std::max(1, target.cores), rounds = (units + cores - 1) / cores;
  return units > 0 && rounds * cores - units <= units / 8;
}

std::vector<LoopRef> SeparateLastTile(Schedule& s, const LoopRef& tiles, const Expr& extent, int64_t tile) {
  const auto known = AsInt(extent);
  // An extent that might be negative cannot be cut; its tiles keep their conditions.
  const bool cut = known ? *known % tile && *known > tile : Bounds().Prove(extent >= Expr(0));
  if (!cut) return {tiles};
  return s.LoopPartition(tiles, {FloorDiv(extent, Expr(tile))});
}

bool HasOpenExtent(const Schedule& s, const std::vector<LoopRef>& loops) {
  return std::any_of(loops.begin(), loops.end(), [&](const LoopRef& l) { return !AsInt(s.Get(l).extent); });
}

int64_t ParallelThreshold(const Target& target) {
  // As many vectors as a launch takes cycles: half of them, at two cycles or more each, are what it saves.
  return int64_t(target.launch_cycles) * target.VectorLanes(4);
}

bool WorthThreads(double cycles, const Target& target) {
  const double saved = cycles * (1 - 1 / double(std::max(1, target.cores)));
  return saved > double(target.launch_cycles);
}

double CachedCycles(int64_t bytes, const Target& target) {
  if (target.caches.size() < 2) return 0;
  const CacheLevel& second = target.caches[1];
  return double(bytes) / second.line_bytes * second.line_cycles;
}

std::optional<LoopRef> VectorizeLine(Schedule& s, const LoopRef& line, int64_t lanes, const Target& target) {
  const Expr extent = s.Get(line).extent;
  const auto known = AsInt(extent);
  if (known && *known <= lanes) {
    if (*known > 1) s.Vectorize(line);
    return std::nullopt;
  }
  if (known) {
    LoopRef whole = line;
    if (*known % lanes) {
      const std::vector<LoopRef> parts = s.LoopPartition(line, {Expr(*known / lanes * lanes)});
      whole = parts[0];
      s.Vectorize(parts[1]);
    }
    const std::vector<LoopRef> vectors = s.Split(whole, {Expr(nullptr), Expr(lanes)});
    s.Vectorize(vectors[1]);
    return vectors[0];
  }
  const std::vector<LoopRef> vectors = s.Split(line, {Expr(nullptr), Expr(lanes)});
  const std::vector<LoopRef> parts = SeparateLastTile(s, vectors[0], extent, lanes);
  for (size_t i = 0; i < parts.size(); ++i) {
    if (i == 0 || target.has_masked_memory) s.Vectorize({s.Get(parts[i]).body.As<ForNode>()->var});
  }
  return parts[0];
}

bool LeavesCache(int64_t bytes, const Target& target) {
  // 1 x 1 convolutions from 1024 to 256 channels, half of the second level, take 0.93 of the time when they
  // ask ahead, EfficientNet-Lite0, most of whose constants are smaller, 0.95. Asking in vain costs little.
  constexpr int64_t kShare = 16;
  return bytes > target.CacheBytes(2) / kShare;
}

bool WantsPrefetch(const Buffer& constant, int64_t tiles_per_panel, const Target& target) {
  int64_t bytes = constant.dtype().bytes();
  for (const Expr& e : constant.shape()) bytes *= AsInt(e).value_or(0);
  return tiles_per_panel > 1 && LeavesCache(bytes, target);
}

int ParameterIndex(const Schedule& s, const Buffer& buffer) {
  const auto& buffers = s.func()->buffers;
  auto it = std::find(buffers.begin(), buffers.end(), buffer);
  return it == buffers.end() ? -1 : int(it - buffers.begin());
}

namespace {

bool IsPointwise(const BlockNode& block) {
  return std::all_of(block.iter_vars.begin(), block.iter_vars.end(),
                     [](const IterVar& iv) { return iv.kind == IterKind::kSpatial; });
}

/// The one consumer of a block if it is element-wise work that a tile can do; nothing otherwise. Consumers
/// that meet in one go into it.
std::optional<BlockRef> PointwiseConsumer(Schedule& s, const BlockRef& block) {
  std::vector<BlockRef> consumers = s.Consumers(block);
  while (consumers.size() > 1) {
    auto inner = std::find_if(consumers.begin(), consumers.end(), [&](const BlockRef& c) {
      const std::vector<BlockRef> own = s.Consumers(c);
      return IsPointwise(s.Get(c)) && own.size() == 1 && IsPointwise(s.Get(own.front()));
    });
    if (inner == consumers.end()) return std::nullopt;
    s.ComputeInline(*inner);
    consumers = s.Consumers(block);
  }
  if (consumers.size() != 1 || !IsPointwise(s.Get(consumers.front()))) return std::nullopt;
  return consumers.front();
}

}  // namespace

TileBlocks IsolateProduct(Schedule& s, const BlockRef& product) {
  TileBlocks blocks{.product = product};
  if (s.Get(product).annotations.contains("runs")) {
    blocks.total = s.Consumers(product).at(0);
    s.SetScope(product, 0, "register");
  }
  const BlockRef result = blocks.total.value_or(product);
  // The total of a tile is kept in memory: it is touched once per run, and registers are taken.
  const std::string scope = blocks.total ? "global" : "register";
  std::optional<BlockRef> last = PointwiseConsumer(s, result);
  if (!last) {
    blocks.tail = s.CacheWrite(result, s.Get(result).writes.front().buffer, scope);
    return blocks;
  }
  while (std::optional<BlockRef> next = PointwiseConsumer(s, *last)) {
    s.ComputeInline(*last);
    last = next;
  }
  if (!blocks.total) s.SetScope(product, 0, scope);
  blocks.tail = *last;
  return blocks;
}

void ComputeAtTile(Schedule& s, const TileBlocks& blocks, const LoopRef& tiles, int64_t lanes) {
  if (!blocks.total) {
    s.ComputeAt(blocks.product, tiles);
    return;
  }
  const BlockRef total = *blocks.total;
  s.ComputeAt(total, tiles);
  std::vector<LoopRef> loops = s.GetLoops(total);
  loops.erase(loops.begin(), loops.end() - std::ptrdiff_t(s.Get(total).iter_vars.size()));
  const LoopRef run = loops.back();
  loops.pop_back();
  std::vector<LoopRef> vectors = s.Split(loops.back(), {Expr(nullptr), Expr(lanes)});
  loops.back() = vectors[0];
  std::vector<LoopRef> order = {run};
  order.insert(order.end(), loops.begin(), loops.end());
  order.push_back(vectors[1]);
  s.Reorder(order);
  s.Vectorize(vectors[1]);
  for (const LoopRef& l : loops) s.Unroll(l);
  s.ComputeAt(blocks.product, run);
  s.DecomposeReduction(total, run);
}

}  // namespace tilewright::cpu
