// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/interval_set.h"

#include <gtest/gtest.h>

#include "tilewright/arith/test_random_expr.h"

namespace tilewright {
namespace {

using testing::ForEachAssignment;
using testing::FuzzCases;
using testing::FuzzSeed;
using testing::RandomExpr;

std::string Text(const IndexInterval& i) {
  return "[" + (i.min ? ToString(i.min) : "-inf") + ", " + (i.max ? ToString(i.max) : "inf") + "]";
}

TEST(EvalRange, StridedConvolutionReadsAWindow) {
  Analyzer analyzer;
  const Var h0("h0"), h("h"), kh("kh");
  const VarRanges ranges{{h, {h0 * 8, 8}}, {kh, {0, 3}}};
  const IndexInterval r = EvalRange(h * 2 + kh - 1, ranges, analyzer);
  EXPECT_EQ(Text(r), "[h0 * 16 - 1, h0 * 16 + 15]");
  EXPECT_EQ(ToString(ToRange(r, analyzer)->extent), "17");
}

TEST(EvalRange, TilesSplitExactly) {
  Analyzer analyzer;
  const Var io("io"), ii("ii"), i("i");
  EXPECT_EQ(Text(EvalRange(FloorDiv(io * 8 + ii, 8), {{ii, {0, 8}}}, analyzer)), "[io, io]");
  EXPECT_EQ(Text(EvalRange(FloorMod(io * 8 + ii, 8), {{ii, {0, 8}}}, analyzer)), "[0, 7]");
  EXPECT_EQ(Text(EvalRange(FloorDiv(i, 4), {{i, {io * 8, 8}}}, analyzer)), "[io * 2, io * 2 + 1]");
  EXPECT_EQ(Text(EvalRange(FloorMod(i, 16), {{i, {io * 8, 8}}}, analyzer)), "[io % 2 * 8, io % 2 * 8 + 7]");
}

TEST(EvalRange, FusedIndices) {
  Analyzer analyzer;
  const Var f0("f0"), f("f");
  const VarRanges row{{f, {f0 * 49, 49}}};
  EXPECT_EQ(Text(EvalRange(FloorDiv(f, 49), row, analyzer)), "[f0, f0]");
  EXPECT_EQ(Text(EvalRange(FloorMod(FloorDiv(f, 7), 7), row, analyzer)), "[0, 6]");
  EXPECT_EQ(Text(EvalRange(FloorDiv(f, 49) * 49 + FloorMod(f, 49), row, analyzer)),
            "[f0 * 49, f0 * 49 + 48]");
}

TEST(EvalRange, SymbolicExtents) {
  Analyzer analyzer;
  const Var n = Var::Symbol("n", 1), i("i"), io("io");
  EXPECT_EQ(Text(EvalRange(i * 2, {{i, {0, n}}}, analyzer)), "[0, n * 2 - 2]");
  EXPECT_EQ(Text(EvalRange(0 - i, {{i, {0, n}}}, analyzer)), "[1 - n, 0]");
  EXPECT_EQ(Text(EvalRange(i, {{i, {io * 8, Min(8, n - io * 8)}}}, analyzer)),
            "[io * 8, min(n - 1, io * 8 + 7)]");
}

TEST(EvalRange, ClampedAndChosenIndices) {
  Analyzer analyzer;
  const Var i("i"), n("n");
  EXPECT_EQ(Text(EvalRange(Max(Min(i - 1, 6), 0), {{i, {0, 20}}}, analyzer)), "[0, 6]");
  EXPECT_EQ(Text(EvalRange(MakeSelect(i < 4, i + 3, i - 4), {{i, {0, 8}}}, analyzer)), "[0, 6]");
  EXPECT_EQ(Text(EvalRange(Min(i, n), {{i, {0, 8}}}, analyzer)), "[min(n, 0), min(n, 7)]");
}

TEST(EvalRange, LoadedIndicesAreUnbounded) {
  Analyzer analyzer;
  const Var i("i");
  const Buffer table("table", kI64, {16});
  EXPECT_EQ(Text(EvalRange(table({i}) + 1, {{i, {0, 16}}}, analyzer)), "[-inf, inf]");
}

TEST(EvalRange, ContainmentAndUnion) {
  Analyzer analyzer;
  const Var i("i");
  const IndexInterval a{i, i + 7}, b{i + 2, i + 9};
  EXPECT_EQ(Text(Union(a, b, analyzer)), "[i, i + 9]");
  EXPECT_TRUE(CanProveContains(Union(a, b, analyzer), b, analyzer));
  EXPECT_FALSE(CanProveContains(a, b, analyzer));
}

TEST(EvalRange, FuzzContainsEveryValue) {
  const uint64_t seed = FuzzSeed();
  for (int c = 0; c < FuzzCases(4000); ++c) {
    const Var o("o"), i("i"), j("j");
    RandomExpr random(seed + uint64_t(c), {o, i, j});
    const Expr e = random.Index(3);
    const int64_t step = random.Int(1, 4), extent = random.Int(1, 5), jmin = random.Int(-3, 3);
    Analyzer analyzer;
    const IndexInterval r = EvalRange(e, {{i, {o * step, extent}}, {j, {jmin, 3}}}, analyzer);
    for (const Expr& end : {r.min, r.max}) {
      if (end) ASSERT_FALSE(UsesVar(end, i) || UsesVar(end, j)) << Text(r) << " of " << ToString(e);
    }
    ForEachAssignment({o, i, j}, {{-2, 4}, {-12, 24}, {jmin, jmin + 2}}, [&](const VarValues& values) {
      if (values.at(i) < values.at(o) * step || values.at(i) >= values.at(o) * step + extent) return;
      const auto v = EvalInt(e, values);
      if (!v) return;
      const auto lo = r.min ? EvalInt(r.min, values) : std::nullopt,
                 hi = r.max ? EvalInt(r.max, values) : std::nullopt;
      ASSERT_TRUE((!r.min || (lo && *lo <= *v)) && (!r.max || (hi && *v <= *hi)))
          << *v << " outside " << Text(r) << " of " << ToString(e)
          << "\n  TILEWRIGHT_FUZZ_SEED=" << seed + uint64_t(c);
    });
  }
}

}  // namespace
}  // namespace tilewright
