// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/winograd_plan.h"

#include <gtest/gtest.h>

namespace tilewright {
namespace {

Target Wide(int cores) {
  Target target = Target::Parse("x86-64-v4");
  target.cores = cores;
  return target;
}

WinogradShape Map(int64_t tile, int64_t size, int64_t channels) {
  const int64_t tiles = (size + tile - 1) / tile;
  return {.tile = tile,
          .tile_rows = tiles,
          .tile_columns = tiles,
          .channels = channels,
          .filters = channels,
          .in_block = 16,
          .out_block = 16};
}

TEST(WinogradPlan, StripsDivideTheMapAndTilesFitTheRegisters) {
  for (const char* name : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64-linux-gnu"}) {
    const Target target = Target::Parse(name);
    for (int64_t size : {1, 7, 13, 14, 28, 37, 56, 224}) {
      for (int64_t tile : {2, 4}) {
        WinogradShape shape = Map(tile, size, 64);
        shape.in_block = shape.out_block = target.VectorLanes(4);
        const WinogradPlan plan = PlanWinograd(shape, target);
        EXPECT_EQ(shape.tile_rows % plan.strip_rows, 0) << name << " " << size;
        EXPECT_EQ(shape.tile_columns % plan.strip_columns, 0) << name << " " << size;
        EXPECT_TRUE(plan.strip_rows == 1 || plan.strip_columns == shape.tile_columns);
        const int64_t strips = shape.tiles() / (plan.strip_rows * plan.strip_columns);
        EXPECT_EQ(strips % plan.strip_chunks, 0);
        EXPECT_EQ(64 / shape.out_block % (plan.panel * plan.panel_chunks), 0);
        EXPECT_EQ(plan.panel % plan.vectors, 0);
        EXPECT_LE(plan.rows * plan.vectors + plan.vectors + 1, target.vector_registers);
        EXPECT_GT(plan.cycles, 0);
      }
    }
  }
}

TEST(WinogradPlan, ThreadsTakeStripsOrPanels) {
  // Many tiles of few channels: all filters stay in the second level, and nothing is transformed twice.
  const WinogradPlan wide = PlanWinograd(Map(4, 224, 64), Wide(2));
  EXPECT_EQ(wide.panel_chunks, 1);
  EXPECT_EQ(wide.strip_chunks % 2, 0);
  // Few tiles of many channels: one strip, whose transform is little beside the products.
  const WinogradPlan deep = PlanWinograd(Map(4, 14, 512), Wide(2));
  EXPECT_EQ(deep.panel_chunks, 2);
  EXPECT_EQ(deep.strip_rows, 4);
}

TEST(WinogradPlan, LargeTilesPayWhereFiltersAreUsedOften) {
  auto cycles = [](int64_t tile, int64_t size, int64_t channels) {
    return PlanWinograd(Map(tile, size, channels), Wide(2)).cycles;
  };
  EXPECT_LT(cycles(4, 56, 64), cycles(2, 56, 64));
  EXPECT_LT(cycles(4, 28, 256), cycles(2, 28, 256));
  EXPECT_GT(cycles(4, 7, 512), cycles(2, 7, 512)) << "bound by reading the filters once";
}

TEST(WinogradPlan, WiderFiltersAndGatheredVectorsCost) {
  WinogradShape shape = Map(3, 112, 16);
  shape.taps = 4;
  const WinogradPlan blocks = PlanWinograd(shape, Wide(2));
  EXPECT_GT(blocks.cycles, 0);
  EXPECT_EQ(shape.points(), 36);
  shape.run = 2;
  EXPECT_GT(PlanWinograd(shape, Wide(2)).cycles, blocks.cycles);
  shape = Map(2, 112, 16), shape.taps = 5;
  EXPECT_GT(PlanWinograd(shape, Wide(2)).cycles, blocks.cycles) << "fewer results for as many points";
}

}  // namespace
}  // namespace tilewright
