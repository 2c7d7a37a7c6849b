// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/winograd_plan.h"

#include <algorithm>

#include "tilewright/schedule/rules/register_tile.h"

namespace tilewright {

namespace {

/// What remains visible, in cycles, of a cache line from behind the second level that the processor guesses.
constexpr double kFarLineCycles = 10;
constexpr int64_t kLineBytes = 64;

/// Cycles per tile and block of channels: both passes of a transform of `in` x `in` to `out` x `out` values,
/// some two operations each per value and pair of points, loads beside them, and stores, which take two
/// cycles where vectors are as wide as a cache line.
double TransformCycles(int64_t in, int64_t out, int64_t operations, const Target& target) {
  const double pipes = std::max(1, target.fma_per_cycle);
  const double store = target.vector_bytes >= kLineBytes ? 2 : 1;
  return double((in + out) * operations) / pipes + double(in * in) / 2 + store * double(out * out);
}

class Planner {
 public:
  Planner(const WinogradShape& shape, const Target& target, std::vector<WinogradPlan>* weighed)
      : shape_(shape), target_(target), weighed_(weighed), cores_(std::max(1, target.cores)) {
    const int64_t n = shape.line(), pairs = (n - 2) / 2;
    // Points in pairs share their work: each is a sum and a difference of what they have in common.
    input_cycles_ = TransformCycles(n, n, 2 * pairs * (pairs + 1), target);
    output_cycles_ = TransformCycles(n, shape.tile, (2 + shape.tile) * pairs, target);
    filter_bytes_ = shape.points() * shape.channels * shape.filters * kElementBytes;
  }

  WinogradPlan Run() {
    for (int64_t rows = 1; rows <= shape_.tile_rows; ++rows) {
      if (shape_.tile_rows % rows == 0) Consider(rows, shape_.tile_columns);
    }
    for (int64_t columns = 1; columns < shape_.tile_columns; ++columns) {
      if (shape_.tile_columns % columns == 0) Consider(1, columns);
    }
    return best_;
  }

 private:
  static constexpr int64_t kElementBytes = 4;

  int64_t Strips(const WinogradPlan& p) const {
    return shape_.tile_rows / p.strip_rows * (shape_.tile_columns / p.strip_columns);
  }

  /// Cycles of a strip to copy its part of the input behind a border and then run by run into vectors.
  double GatherCycles(int64_t rows, int64_t columns) const {
    if (shape_.run == 0) return 0;
    auto reach = [&](int64_t tiles) { return tiles * shape_.tile + shape_.taps - 1; };
    const double elements = double(reach(rows) * reach(columns) * shape_.channels);
    return elements / double(shape_.run) + 2 * elements / double(target_.VectorLanes(kElementBytes));
  }

  /// Threads either take strips, or panels of filters.
  void Consider(int64_t rows, int64_t columns) {
    WinogradPlan plan;
    plan.strip_rows = rows, plan.strip_columns = columns;
    const int64_t blocks = shape_.filters / shape_.out_block, strips = Strips(plan);
    plan.strip_chunks = strips;
    for (int64_t chunks = 1; chunks < strips; ++chunks) {
      // Few chunks, for each has a buffer of its own in the memory plan.
      if (strips % chunks == 0 && shape_.images * chunks % (2 * cores_) == 0) {
        plan.strip_chunks = chunks;
        break;
      }
    }
    Finish(plan, blocks);
    if (cores_ == 1 || blocks % cores_) return;
    plan.strip_chunks = 1;
    plan.panel_chunks = cores_;
    Finish(plan, blocks / cores_);
  }

  /// Predicts a plan in which a thread goes over so many blocks of filters.
  void Finish(WinogradPlan plan, int64_t blocks) {
    const int64_t tiles = plan.strip_rows * plan.strip_columns;
    // Strips go to threads only with whole register tiles: that loops over strips do not need each other is
    // not proved through a last tile that is smaller.
    const bool shares_strips = plan.strip_chunks > 1;
    const cpu::TileSpace space{
        .rows = tiles, .vectors = blocks, .depth = shape_.channels, .ragged_rows = !shares_strips};
    const cpu::RegisterTile tile = cpu::ChooseTile(space, target_);
    plan.rows = tile.rows, plan.vectors = plan.panel = tile.vectors;

    const double in_blocks = double(shape_.channels / shape_.in_block);
    // A last register tile that reaches beyond its strip reads from the next one, so that a line more is
    // transformed.
    const bool beyond = tiles % plan.rows != 0 && Strips(plan) > 1;
    const int64_t rows = plan.strip_rows + (beyond && plan.strip_columns == shape_.tile_columns),
                  columns = plan.strip_columns == shape_.tile_columns
                                ? plan.strip_columns
                                : tiles + beyond * (plan.rows - tiles % plan.rows);
    double strip = double(shape_.points()) * cpu::TileCycles(space, tile, target_) +
                   double(rows * columns) * in_blocks * input_cycles_ +
                   double(tiles * blocks) * output_cycles_ + GatherCycles(rows, columns);
    // Inputs that do not stay in the second level beside the products are read once for each panel, so that
    // panels are then as wide as leaves room for the products.
    const int64_t inputs = shape_.points() * tiles * shape_.channels * kElementBytes;
    const int64_t products = shape_.points() * tiles * shape_.out_block * kElementBytes;
    if (inputs + products * plan.panel > target_.CacheBytes(2)) {
      for (int64_t panel = plan.vectors; panel <= blocks; panel += plan.vectors) {
        if (blocks % panel == 0 && products * panel <= target_.CacheBytes(2) / 2) plan.panel = panel;
      }
      strip += double(inputs) / kLineBytes * kFarLineCycles * double(blocks / plan.panel);
    }

    strip = cpu::CyclesWithStream(strip, filter_bytes_ / plan.panel_chunks, target_);
    const int64_t units = shape_.images * (plan.panel_chunks > 1 ? plan.panel_chunks : plan.strip_chunks);
    const double per_unit = strip * double(Strips(plan) / plan.strip_chunks);
    plan.cycles = per_unit * double((units + cores_ - 1) / cores_);
    if (weighed_) weighed_->push_back(plan);
    if (best_.cycles == 0 || plan.cycles < best_.cycles) best_ = plan;
  }

  const WinogradShape& shape_;
  const Target& target_;
  std::vector<WinogradPlan>* const weighed_;
  const int64_t cores_;
  double input_cycles_ = 0, output_cycles_ = 0;
  int64_t filter_bytes_ = 0;
  WinogradPlan best_;
};

}  // namespace

WinogradPlan PlanWinograd(const WinogradShape& shape, const Target& target,
                          std::vector<WinogradPlan>* weighed) {
  return Planner(shape, target, weighed).Run();
}

}  // namespace tilewright
