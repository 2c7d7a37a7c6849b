// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/register_tile.h"

#include <algorithm>
#include <numeric>

namespace tilewright::cpu {

namespace {

/// Cycles that pass before a tile's first step and behind its last: the pipes drain, results are stored.
constexpr double kTileOverhead = 16;
/// What a broadcast takes where there are no fused multiply-adds, as a part of the product and the sum that
/// take the place of one: vectors that old are filled from one number by a shuffle, on a pipe of the
/// arithmetic.
constexpr double kShuffle = 0.5;
/// What remains visible, in cycles, of a cache line that the second level must bring: prefetchers hide the
/// rest. Fitted to tiles of 4x6, 6x4 and 14x2 vectors, which reach 91, 93 and 99 % of peak.
constexpr double kLineCycles = 0.2;
/// The same of a line of the operand that is broadcast, whose rows lie apart, for which prefetchers do less.
/// Fitted to 1 x 1 convolutions of 240 channels, where tiles of 9x3 take 0.68 of the time of 27x1, and to
/// products of 128 x 768 x 768, where 8x3 take 0.91 of the time of 13x2.
constexpr double kRowLineCycles = 1;
/// Steps behind one test of the loop: four tiles of multiply-adds still fit where decoded instructions are
/// kept.
constexpr int64_t kStepsAtOnce = 4;
/// Neighbouring loads that LLVM's scheduler moves together, across steps: their vectors live side by side.
constexpr int64_t kClusteredLoads = 4;
/// Cycles that a test of the loop and the addresses cost where they are paid once a step.
constexpr double kLoopCycles = 2;
/// What remains visible, in cycles, of a line from memory that was asked for in time.
constexpr double kFetchedLineCycles = 2;
/// The first level of cache finds a line by its address within a page, so that lines a page apart share a
/// set.
constexpr int64_t kPageBytes = 4096;

/// The vectors of all steps are walked once per tile: beyond half of the first level they come from the
/// second.
bool Streams(int64_t depth, int64_t vectors, const Target& target) {
  return depth * vectors * target.vector_bytes > target.CacheBytes(1) / 2;
}

/// Lines that a step of the depth brings to the first level once more, as the rows of a tile push each other
/// out: rows that lie whole pages apart have one set of the cache between them, whose ways the vectors pass
/// through too.
int64_t ConflictingLines(int64_t rows, int64_t row_bytes, const Target& target) {
  if (row_bytes == 0 || row_bytes % target.vector_bytes) return 0;
  const int64_t sets = kPageBytes / std::gcd(row_bytes, kPageBytes), ways = target.CacheBytes(1) / kPageBytes;
  return (rows + sets - 1) / sets < ways ? 0 : rows;
}

/// Lines that a step of one row takes from the second level: all of them where the operand does not stay in
/// the first from one panel of vectors to the next.
double RowLines(const TileSpace& space, const Target& target) {
  const double all = space.row_step_bytes * double(space.lines * space.rows) * double(space.depth);
  return all > double(target.CacheBytes(1)) / 2 ? space.row_step_bytes / 64 : 0;
}

/// Visits the sizes of the parts that `step` cuts `extent` into: (size, count).
template <typename Visit>
void ForParts(int64_t extent, int64_t step, Visit visit) {
  if (extent / step) visit(step, extent / step);
  if (extent % step) visit(extent % step, 1);
}

}  // namespace

double CyclesPerStep(int64_t rows, int64_t vectors, int64_t depth, const Target& target) {
  // A step needs rows * vectors FMAs, a load per vector and a broadcast per row, on as many load ports as
  // there are FMA pipes.
  const double pipes = std::max(1, target.fma_per_cycle);
  const double loads = double(rows + vectors);
  const double fmas = double(rows * vectors) + (target.has_fma ? 0 : kShuffle * double(rows));
  const double compute = std::max({fmas / pipes, loads / pipes, double(target.fma_latency)});
  const double lines = double(vectors * target.vector_bytes) / 64;
  return compute + (Streams(depth, vectors, target) ? lines * kLineCycles : 0);
}

int64_t LeastRows(int64_t vectors, const Target& target) {
  const int64_t accumulators = int64_t(target.fma_latency) * std::max(1, target.fma_per_cycle);
  return std::max<int64_t>(1, (accumulators + vectors - 1) / vectors);
}

int64_t StepsAtOnce(int64_t rows, int64_t vectors, const Target& target) {
  // Without fused multiply-adds a product needs a register for a moment, and steps get into each other's way.
  if (!target.has_fma) return 1;
  const int64_t free = target.vector_registers - rows * vectors - 1;
  return free >= kClusteredLoads ? kStepsAtOnce : std::max<int64_t>(1, free / vectors);
}

double TileCycles(const TileSpace& space, const RegisterTile& tile, const Target& target) {
  double total = 0;
  ForParts(space.lines, tile.lines, [&](int64_t lines, int64_t line_parts) {
    ForParts(space.rows, tile.rows, [&](int64_t rows, int64_t row_parts) {
      const double step =
          CyclesPerStep(lines * rows, tile.vectors, space.depth, target) +
          kLineCycles * double(ConflictingLines(rows, space.row_bytes, target)) +
          (space.unrolled ? kLoopCycles / double(StepsAtOnce(lines * rows, tile.vectors, target)) : 0) +
          kRowLineCycles * double(lines * rows) * RowLines(space, target) +
          (Streams(space.depth, tile.vectors, target) ? space.more_line_cycles : 0);
      total += double(line_parts * row_parts) * (step * double(space.depth) + kTileOverhead);
    });
  });
  return total * double((space.vectors + tile.vectors - 1) / tile.vectors);
}

double CyclesWithStream(double compute, int64_t bytes, const Target& target) {
  if (bytes <= target.CacheBytes(2) / 2) return compute;
  const double lines = double(bytes) / 64;
  return std::max(compute, lines * target.memory_line_cycles) + lines * kFetchedLineCycles;
}

void ForEachTile(const TileSpace& space, const Target& target,
                 const std::function<void(const RegisterTile&)>& visit) {
  // One for the broadcast, and where there are no fused multiply-adds one for the product.
  const int64_t registers = target.vector_registers - (target.has_fma ? 1 : 2);
  auto consider = [&](const RegisterTile& tile) {
    if (tile.lines * tile.rows * tile.vectors + tile.vectors <= registers) visit(tile);
  };
  for (int64_t vectors = 1; vectors <= std::min(space.vectors, registers); ++vectors) {
    if (!space.ragged_vectors && space.vectors % vectors) continue;
    for (int64_t rows = 1; rows <= std::min(space.rows, registers); ++rows) {
      if (!space.ragged_rows && space.rows % rows) continue;
      consider({1, rows, vectors});
    }
    for (int64_t lines = 2; lines <= space.lines && lines * space.rows <= registers; ++lines) {
      if (space.ragged_lines || space.lines % lines == 0) consider({lines, space.rows, vectors});
    }
  }
}

RegisterTile ChooseTile(const TileSpace& space, const Target& target) {
  RegisterTile best;
  double best_cycles = TileCycles(space, best, target);
  ForEachTile(space, target, [&](const RegisterTile& tile) {
    const double cycles = TileCycles(space, tile, target);
    if (cycles < best_cycles) best = tile, best_cycles = cycles;
  });
  return best;
}

}  // namespace tilewright::cpu
