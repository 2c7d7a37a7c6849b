// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

int64_t ConstExtent(const Schedule& s, const LoopRef& loop) { return AsInt(s.Get(loop).extent).value_or(0); }

int64_t LargestDivisor(int64_t n, int64_t limit) {
  for (int64_t d = std::min(n, limit); d > 1; --d) {
    if (n % d == 0) return d;
  }
  return 1;
}

RegisterTile ChooseTile(int64_t rows, int64_t vectors, const Target& target) {
  // Per step of the reduction a tile of r x v needs r*v FMAs, v vector loads and r broadcasts. With p FMA
  // pipes and as many load ports, the step takes max(FMAs, loads) / p cycles, and no less than the latency
  // (4 cycles on current cores) when there are too few accumulators to fill the pipes. Among equals the tile
  // that loads least per FMA.
  const double pipes = std::max(1, target.fma_per_cycle), latency = 4;
  const int64_t registers = target.vector_registers;
  RegisterTile best;
  double best_share = 0, best_intensity = 0;
  for (int64_t r = 1; r <= std::min(rows, registers); ++r) {
    if (rows % r) continue;
    for (int64_t v = 1; v <= std::min(vectors, registers); ++v) {
      if (vectors % v || r * v + v + 1 > registers) continue;
      const double fmas = double(r * v), loads = double(v + r);
      const double cycles = std::max({fmas / pipes, loads / pipes, latency});
      const double share = fmas / pipes / cycles;
      const double intensity = fmas / loads;
      if (share < best_share || (share == best_share && intensity <= best_intensity)) continue;
      best = {r, v}, best_share = share, best_intensity = intensity;
    }
  }
  return best;
}

int ParameterIndex(const Schedule& s, const Buffer& buffer) {
  const auto& buffers = s.func()->buffers;
  auto it = std::find(buffers.begin(), buffers.end(), buffer);
  return it == buffers.end() ? -1 : int(it - buffers.begin());
}

namespace {

/// The one consumer of a block if it is element-wise work that a tile can do; nothing otherwise.
std::optional<BlockRef> PointwiseConsumer(Schedule& s, const BlockRef& block) {
  const std::vector<BlockRef> consumers = s.Consumers(block);
  if (consumers.size() != 1) return std::nullopt;
  for (const IterVar& iv : s.Get(consumers.front()).iter_vars) {
    if (iv.kind != IterKind::kSpatial) return std::nullopt;
  }
  return consumers.front();
}

}  // namespace

BlockRef IsolateProduct(Schedule& s, const BlockRef& block) {
  std::optional<BlockRef> last = PointwiseConsumer(s, block);
  if (!last) return s.CacheWrite(block, s.Get(block).writes.front().buffer, "register");
  while (std::optional<BlockRef> next = PointwiseConsumer(s, *last)) {
    s.ComputeInline(*last);
    last = next;
  }
  s.SetScope(block, 0, "register");
  return *last;
}

}  // namespace tilewright::cpu
