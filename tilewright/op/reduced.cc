// SPDX-License-Identifier: Apache-2.0
#include "tilewright/op/reduced.h"

#include "tilewright/ir/int_arith.h"
#include "tilewright/schedule/rules/cpu.h"

namespace tilewright {

namespace {

/// Cycles of one product of tiles, however many rows they have (measured on the fourth generation of Xeon).
constexpr double kTileCycles = 16;
/// Cycles to read a vector, round it and write it.
constexpr double kRoundCycles = 4;
/// The share of its peak that a unit reaches in practice; a gain below the rest is none.
constexpr double kReached = 0.8;

/// Predicted cycles on the matrix unit; 0 where it cannot do the product.
double UnitCycles(const ReducedProduct& p, const Target& target) {
  const cpu::UnitTile tile = cpu::ChooseUnitTile(p.rows, p.columns, p.chunk, TileUnitOf(target));
  if (tile.rows == 0) return 0;
  const int64_t columns = (p.columns + tile.columns - 1) / tile.columns;
  return kTileCycles * double(p.lines * (p.rows / tile.rows) * columns) * double(p.depth / tile.depth);
}

/// The same by dot products of vectors.
double DotCycles(const ReducedProduct& p, const Target& target) {
  if (!target.has_dot_bf16 || p.chunk % 2) return 0;
  const int64_t lanes = target.VectorLanes(4);
  const double dots =
      double(p.lines * p.rows) * double((p.columns + lanes - 1) / lanes) * double(p.depth / 2);
  return dots * DotBf16Cost(target) / target.fma_per_cycle;
}

}  // namespace

DataType SumType(const InferContext& ctx, bool wide) {
  const DataType t = ctx.Input(0).dtype;
  if (!wide) return t;
  if (!t.is_float() || t.bits != 16)
    ctx.Fail("TW2112", fmt::format("argument 0 is {}, expected a float of 16 bits", t.ToString()));
  return kF32;
}

int64_t ChunkForUnit(ReducedProduct product, int64_t channels, const Target& target) {
  const TileUnit unit = TileUnitOf(target);
  const int64_t narrow = LargestDivisor(channels, unit.row_bytes / 4);
  product.chunk = narrow;
  const double before = UnitCycles(product, target);
  product.chunk = LargestDivisor(channels, unit.row_bytes / 2);
  const double pass = kRoundCycles * double(product.arguments) / double(target.VectorLanes(4));
  return before - UnitCycles(product, target) > pass ? product.chunk : narrow;
}

bool ReducedPays(const ReducedProduct& p, const Target& target, double f32_cycles) {
  const int64_t lanes = target.VectorLanes(4), cores = std::max(1, target.cores);
  const double fmas = double(p.lines * p.rows) * double((p.columns + lanes - 1) / lanes) * double(p.depth);
  double reduced = UnitCycles(p, target);
  if (reduced == 0) reduced = DotCycles(p, target);
  if (reduced == 0) return false;
  auto cycles = [&](double compute, int64_t element_bytes) {
    return cpu::CyclesWithStream(compute / double(cores), p.columns * p.depth * element_bytes / cores,
                                 target);
  };
  // Rounding is one more launch for those arguments whose producer does not round them.
  const double rounding = kRoundCycles * double(p.arguments) / double(lanes * cores) +
                          double(cpu::ParallelThreshold(target) / lanes);
  double others = cycles(fmas / target.fma_per_cycle, 4);
  if (f32_cycles > 0) others = std::min(others, f32_cycles);
  return cycles(reduced / kReached, 2) + rounding < others;
}

}  // namespace tilewright
