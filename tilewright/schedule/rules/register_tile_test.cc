// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rules/register_tile.h"

#include <gtest/gtest.h>

namespace tilewright::cpu {
namespace {

Target Wide() { return Target::Parse("x86-64-v4"); }

int64_t Registers(const RegisterTile& t) { return t.lines * t.rows * t.vectors + t.vectors + 1; }

TEST(RegisterTile, FitsTheRegistersAndDividesTheVectors) {
  for (const char* name : {"x86-64-v2", "x86-64-v3", "x86-64-v4", "aarch64-linux-gnu"}) {
    const Target target = Target::Parse(name);
    for (int64_t rows : {1, 2, 7, 14, 49, 56, 128, 149, 1000}) {
      for (int64_t vectors : {1, 2, 3, 5, 12, 48, 63}) {
        const TileSpace space{.lines = rows, .rows = rows, .vectors = vectors, .depth = 576};
        const RegisterTile tile = ChooseTile(space, target);
        EXPECT_LE(Registers(tile), target.vector_registers) << name << " " << rows << " " << vectors;
        EXPECT_EQ(vectors % tile.vectors, 0);
        EXPECT_TRUE(tile.lines == 1 || tile.rows == rows) << "lines join only when whole";
      }
    }
  }
}

TEST(RegisterTile, JoinsShortLines) {
  // A map of 7 x 7: one line is too little to hide the latency of loads of weights.
  const RegisterTile tile = ChooseTile({.lines = 7, .rows = 7, .vectors = 32, .depth = 4608}, Wide());
  EXPECT_GT(tile.lines, 1);
  EXPECT_EQ(tile.rows, 7);
}

TEST(RegisterTile, HonoursWholeTiles) {
  const TileSpace rows{.rows = 149, .vectors = 2, .depth = 288, .ragged_rows = false};
  EXPECT_EQ(149 % ChooseTile(rows, Wide()).rows, 0);
  const TileSpace lines{.lines = 7, .rows = 7, .vectors = 32, .depth = 4608, .ragged_lines = false};
  EXPECT_EQ(7 % ChooseTile(lines, Wide()).lines, 0);
}

TEST(RegisterTile, PrefersTilesWithoutARest) {
  const RegisterTile tile = ChooseTile({.rows = 56, .vectors = 4, .depth = 64}, Wide());
  EXPECT_EQ(56 % tile.rows, 0);
  EXPECT_GE(tile.rows * tile.vectors, 20) << "enough accumulators to keep the pipes busy";
}

TEST(RegisterTile, RowsWholePagesApartDoNotPushEachOtherOut) {
  Target target = Wide();
  target.caches = {{8 * 4096, 64, 1}, {1 << 20, 64, 1}};
  const TileSpace apart{.rows = 128, .vectors = 48, .depth = 3072};
  TileSpace pages = apart;
  pages.row_bytes = 3 * 4096;
  EXPECT_GE(ChooseTile(apart, target).rows, 8);
  EXPECT_LT(ChooseTile(pages, target).rows, 8) << "a set has 8 ways";
  pages.row_bytes = 3 * 1024;
  EXPECT_EQ(ChooseTile(pages, target).rows, ChooseTile(apart, target).rows) << "the rows have four sets";
}

TEST(RegisterTile, RowsThatEveryPanelReadsAgainMakeTilesWider) {
  TileSpace far{.lines = 12, .rows = 80, .vectors = 15, .depth = 240, .row_step_bytes = 4};
  EXPECT_LT(TileCycles(far, {1, 9, 3}, Wide()), 0.95 * TileCycles(far, {1, 27, 1}, Wide()));
  EXPECT_EQ(ChooseTile(far, Wide()).vectors, 3);
  far.lines = 1, far.rows = 20, far.depth = 16;
  EXPECT_EQ(TileCycles(far, {1, 20, 1}, Wide()),
            TileCycles({.rows = 20, .vectors = 15, .depth = 16}, {1, 20, 1}, Wide()))
      << "they stay in the first level";
}

TEST(RegisterTile, FewRowsStillKeepThePipesBusy) {
  const Target target = Wide();
  EXPECT_EQ(LeastRows(100, target), 1);
  for (int64_t vectors = 1; vectors < 8; ++vectors) {
    const int64_t rows = LeastRows(vectors, target);
    EXPECT_GE(rows * vectors, 4 * target.fma_per_cycle);
    EXPECT_LT((rows - 1) * vectors, 4 * target.fma_per_cycle);
  }
}

TEST(RegisterTile, BroadcastsThatAreShufflesMakeTilesWider) {
  const Target old = Target::Parse("x86-64-v2");
  const RegisterTile tile =
      ChooseTile({.rows = 128, .vectors = 192, .depth = 768, .row_step_bytes = 4, .unrolled = true}, old);
  EXPECT_LT(tile.rows, tile.vectors);
  EXPECT_LE(Registers(tile) + 1, old.vector_registers) << "and a register for the product";
  EXPECT_GT(CyclesPerStep(6, 2, 64, old), 6 * 2.0 / old.fma_per_cycle);
}

TEST(RegisterTile, StepsCostNoLessThanTheirMultiplications) {
  const Target target = Wide();
  for (int64_t rows = 1; rows < 31; ++rows) {
    EXPECT_GE(CyclesPerStep(rows, 1, 64, target), double(rows) / target.fma_per_cycle);
    // A panel beyond the first level of cache costs more than one within it.
    EXPECT_GT(CyclesPerStep(rows, 1, 1 << 20, target), CyclesPerStep(rows, 1, 1, target));
  }
}

}  // namespace
}  // namespace tilewright::cpu
