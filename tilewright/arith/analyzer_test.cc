// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/analyzer.h"

#include <gtest/gtest.h>

namespace tilewright {
namespace {

/// Loop variables with constant extents, and what simplification makes of expressions over them.
class AnalyzerTest : public ::testing::Test {
 protected:
  Var Loop(const char* name, const Expr& extent) {
    Var v(name);
    analyzer.Bind(v, Range{0, extent});
    return v;
  }
  std::string S(const Expr& e) { return ToString(analyzer.Simplify(e)); }

  Analyzer analyzer;
};

TEST_F(AnalyzerTest, SumsAreMergedAndOrdered) {
  const Var i = Loop("i", 10), j = Loop("j", 10);
  EXPECT_EQ(S(j + i), "i + j");
  EXPECT_EQ(S((i + 3) * 2 - i - (6 - j * 4)), "i + j * 4");
  EXPECT_EQ(S(i - i), "0");
  EXPECT_EQ(S(8 - i), "8 - i");
  EXPECT_EQ(S((i + 1) * j - j), "i * j");
  EXPECT_EQ(S(j * i - i * j), "0");
}

TEST_F(AnalyzerTest, SplitsUndoDivisionAndModulus) {
  const Var io = Loop("io", 4), ii = Loop("ii", 8);
  EXPECT_EQ(S(FloorDiv(io * 8 + ii, 8)), "io");
  EXPECT_EQ(S(FloorMod(io * 8 + ii, 8)), "ii");
  EXPECT_EQ(S(FloorDiv(io * 8 + ii, 32)), "0");
  EXPECT_EQ(S(FloorMod(io * 8 + ii, 32)), "io * 8 + ii");
  EXPECT_EQ(S(FloorDiv(io * 8 + ii, 16)), "io // 2");
  EXPECT_EQ(S(FloorMod(io * 8 + ii, 16)), "io % 2 * 8 + ii");
  EXPECT_EQ(S(FloorDiv(io * 8 + ii, 4)), "io * 2 + ii // 4");
  const Var i0 = Loop("i0", 14), i1 = Loop("i1", 14);
  EXPECT_EQ(S(FloorMod(i0 * 14 + i1, 14)), "i1");
  EXPECT_EQ(S(FloorDiv(i0 * 14 + i1, 14)), "i0");
}

TEST_F(AnalyzerTest, FusedLoopsCombineAgain) {
  const Var f = Loop("f", 7 * 7 * 32);
  EXPECT_EQ(S(FloorDiv(f, 49) * 49 + FloorMod(f, 49)), "f");
  EXPECT_EQ(S(FloorDiv(f, 49) * 49 + FloorMod(FloorDiv(f, 7), 7) * 7 + FloorMod(f, 7)), "f");
  EXPECT_EQ(S(FloorDiv(FloorDiv(f, 7), 7)), "f // 49");
  EXPECT_EQ(S(FloorDiv(FloorMod(f, 49), 7)), "f // 7 % 7");
  EXPECT_EQ(S(FloorMod(FloorMod(f, 49), 7)), "f % 7");
  EXPECT_EQ(S(f - FloorDiv(f, 49) * 49), "f % 49");
  const Var outer = Loop("outer", 16), inner = Loop("inner", 98);
  EXPECT_EQ(S(FloorMod(outer * 98 + inner, 49)), "inner % 49");
}

TEST_F(AnalyzerTest, NegativeDivisorsAndNumerators) {
  const Var i = Loop("i", 8);
  EXPECT_EQ(S(FloorDiv(i, -8)), "i * -1 // 8");
  EXPECT_EQ(S(FloorMod(i - 16, 8)), "i");
  EXPECT_EQ(S(FloorDiv(i - 16, 8)), "-2");
  EXPECT_EQ(S(TruncDiv(i, 8)), "0");
  EXPECT_EQ(S(TruncMod(i, 3)), "i % 3");
}

TEST_F(AnalyzerTest, WhatOverflowsIsLeftAsItIs) {
  const int64_t huge = int64_t{1} << 62;
  const Var n = Loop("n", 8), i = Loop("i", n * huge * 4), j = Loop("j", Expr(INT64_MAX) + n);
  const std::string text = S(i * huge + i * huge);
  EXPECT_EQ(S(i * huge + i * huge), text);
  EXPECT_FALSE(analyzer.CanProve(i * huge * huge < j));
  EXPECT_FALSE(analyzer.CanProve(MakeNot(i * huge * huge < j)));
  EXPECT_EQ(analyzer.ConstBound(MakeConst(kI64, INT64_MIN)).max, INT64_MIN);
}

TEST_F(AnalyzerTest, PaddingPredicates) {
  const Var h = Loop("h", 112), kh = Loop("kh", 3);
  const Expr y = h * 2 + kh - 1;
  EXPECT_EQ(S(0 <= y && y < 224), "0 < h * 2 + kh");
  EXPECT_EQ(S(0 <= y && y < 225), "0 < h * 2 + kh");
  EXPECT_EQ(S(0 <= y && y < 223), "0 < h * 2 + kh && h * 2 + kh < 224");
  EXPECT_EQ(S(y < 300), "true");
  EXPECT_EQ(S(y < -1), "false");
  {
    auto scope = analyzer.Assume(0 < h);
    EXPECT_EQ(S(0 <= y && y < 224), "true");
  }
  EXPECT_EQ(S(0 <= y), "0 < h * 2 + kh");
}

TEST_F(AnalyzerTest, SplitPredicatesLoseTheInnerLoop) {
  const Var io = Loop("io", 16), ii = Loop("ii", 8);
  EXPECT_EQ(S(io * 8 + ii < 64), "io < 8");
  EXPECT_EQ(S(io * 8 + ii < 60), "io * 8 + ii < 60");
  EXPECT_EQ(S(io * 8 + ii < 128), "true");
  EXPECT_EQ(S(FloorDiv(io * 8 + ii, 4) < 3), "io * 8 + ii < 12");
}

TEST_F(AnalyzerTest, TailsOfSplits) {
  const Var n = Var::Symbol("n", 1), i = Loop("i", FloorDiv(n + 7, 8));
  const Expr extent = Min(n - i * 8, 8);
  EXPECT_TRUE(analyzer.CanProve(extent > 0));
  EXPECT_TRUE(analyzer.CanProve(extent <= 8));
  const Var ii = Loop("ii", extent);
  EXPECT_TRUE(analyzer.CanProve(i * 8 + ii < n));
  EXPECT_EQ(S(i * 8 + ii < n), "true");
  EXPECT_FALSE(analyzer.CanProve(i * 8 + 8 <= n));
  EXPECT_EQ(S(Min(i * 8 + 8, n) - i * 8), "min(n - i * 8, 8)");
}

TEST_F(AnalyzerTest, NearEqualSplits) {
  // Part p of 10 in 4 parts is [10p//4, 10(p+1)//4).
  const Var p = Loop("p", 4);
  const Expr begin = FloorDiv(p * 10, 4), end = FloorDiv((p + 1) * 10, 4);
  EXPECT_TRUE(analyzer.CanProve(end - begin <= 3));
  EXPECT_TRUE(analyzer.CanProve(end - begin >= 2));
  EXPECT_TRUE(analyzer.CanProve(end <= 10));
}

TEST_F(AnalyzerTest, SymbolicDimensions) {
  const Var n = Var::Symbol("n", 8, 1 << 20, 8), m = Var::Symbol("m", 1);
  EXPECT_EQ(S(FloorMod(n, 4)), "0");
  EXPECT_EQ(S(FloorDiv(n, 8) * 8), "n");
  const Var i = Loop("i", m), j = Loop("j", n);
  EXPECT_EQ(S(FloorDiv(i * n + j, n)), "i");
  EXPECT_EQ(S(FloorMod(i * n + j, n)), "j");
  EXPECT_TRUE(analyzer.CanProve(j < n));
  EXPECT_TRUE(analyzer.CanProve(i + j < m + n));
  EXPECT_EQ(S(Max(n, 4)), "n");
  const Var jj = Loop("jj", 8), jo = Loop("jo", FloorDiv(n, 8));
  EXPECT_TRUE(analyzer.CanProve(jo * 8 + jj < n));
}

TEST_F(AnalyzerTest, SymbolicFlattenedIndexStaysInBounds) {
  const Var m = Var::Symbol("m", 1), n = Var::Symbol("n", 1);
  const Var i = Loop("i", m), j = Loop("j", n);
  EXPECT_TRUE(analyzer.CanProve(i * n + j < m * n));
}

TEST_F(AnalyzerTest, MinMax) {
  const Var i = Loop("i", 10), n("n");
  EXPECT_EQ(S(Min(i, 20)), "i");
  EXPECT_EQ(S(Max(i + 1, i)), "i + 1");
  EXPECT_EQ(S(Min(Min(n, 8), n + 1)), "min(n, 8)");
  EXPECT_EQ(S(Max(Min(n, 8), n)), "n");
  EXPECT_EQ(S(Min(8, Min(4, n))), "min(n, 4)");
}

TEST_F(AnalyzerTest, Conditions) {
  const Var i = Loop("i", 10), j = Loop("j", 10);
  EXPECT_EQ(S(i < 5 && i < 3), "i < 3");
  EXPECT_EQ(S(i < 5 || i < 3), "i < 5");
  EXPECT_EQ(S(i < 3 && 5 < i), "false");
  EXPECT_EQ(S(i < 5 || 3 <= i), "true");
  EXPECT_EQ(S(MakeNot(i < 5)), "5 <= i");
  EXPECT_EQ(S(MakeSelect(i < 5, MakeSelect(i < 7, j, i), i)), "select(i < 5, j, i)");
  EXPECT_EQ(S(Eq(i * 2, 7)), "false");
  EXPECT_EQ(S(Eq(i * 2, 6)), "i == 3");
  EXPECT_EQ(S(Ne(i, 10)), "true");
}

TEST_F(AnalyzerTest, AssumptionsEnd) {
  const Var i = Loop("i", 10), x("x");
  {
    auto outer = analyzer.Assume(Eq(FloorMod(x, 8), 0));
    EXPECT_EQ(S(FloorMod(x, 4)), "0");
    auto inner = analyzer.Assume(i < 3);
    EXPECT_EQ(S(i < 4), "true");
    EXPECT_EQ(analyzer.ConstBound(i * 2), (Interval{0, 4}));
  }
  EXPECT_EQ(S(FloorMod(x, 4)), "x % 4");
  EXPECT_EQ(analyzer.ConstBound(i * 2), (Interval{0, 18}));
}

TEST_F(AnalyzerTest, ConditionsOnLoadedValuesAreNotAssumed) {
  const Buffer b("b", kI64, {16});
  auto scope = analyzer.Assume(b({0}) < 3);
  EXPECT_NE(S(b({0}) < 3), "true");
}

TEST_F(AnalyzerTest, RebindingDropsWhatWasKnown) {
  const Var n = Var::Symbol("n"), i = Loop("i", n);
  EXPECT_TRUE(analyzer.CanProve(i < n));
  analyzer.Bind(i, Range{0, n * 2});
  EXPECT_FALSE(analyzer.CanProve(i < n));
  analyzer.Bind(i, n + 1);
  EXPECT_EQ(S(i - n), "1");
}

TEST_F(AnalyzerTest, SingleIterationLoopsAreReplaced) {
  const Var n = Var::Symbol("n"), i("i");
  analyzer.Bind(i, Range{n, 1});
  EXPECT_EQ(S(i * 2), "n * 2");
}

TEST_F(AnalyzerTest, NarrowTypesWrapAround) {
  const Var a("a", kI32), u("u", kU8);
  const Expr one = MakeConst(kI32, 1);
  EXPECT_FALSE(analyzer.CanProve(a < a + one));
  EXPECT_EQ(analyzer.ConstBound(MakeCast(kI64, u)), (Interval{0, 255}));
  EXPECT_EQ(analyzer.ConstBound(u + MakeConst(kU8, 1)), (Interval{0, 255}));
  analyzer.Bind(a, Interval{0, 10});
  EXPECT_EQ(analyzer.ConstBound(a + one), (Interval{1, 11}));
}

TEST_F(AnalyzerTest, OverflowingCoefficientsAreLeftAlone) {
  const Var i("i");
  const Expr big = i * INT64_MAX;
  EXPECT_EQ(S(big * 4 + big), S(big * 4 + big));
  EXPECT_EQ(S(Min(i, INT64_MIN)), "min(i, -9223372036854775808)");
  EXPECT_FALSE(analyzer.CanProve(i * INT64_MAX < INT64_MIN + i));
}

TEST_F(AnalyzerTest, SharedOperandsTakeLinearTime) {
  Expr sum = Loop("i", 10), choice = sum;
  for (int n = 0; n < 60; ++n) {
    sum = FloorDiv(sum + sum, 3) + Min(sum, 7);
    choice = MakeSelect(choice < n, choice, choice + 1);
  }
  // Walking shared operands again and again would take 2^60 steps: the test would run into its time limit.
  EXPECT_TRUE(bool(analyzer.Simplify(sum)));
  EXPECT_TRUE(bool(analyzer.Simplify(choice)));
}

TEST(Analyzer, ARangeSaysNothingWhereItsVariableIsNot) {
  // Two loops one behind the other, of which never more than one runs.
  const Var n = Var::Symbol("n", 1), first("first"), second("second"), row("row");
  const Expr low = FloorDiv(n, Expr(8)), middle = FloorDiv(n + Expr(4), Expr(8)),
             high = FloorDiv(n + Expr(7), Expr(8));
  Analyzer analyzer;
  analyzer.Bind(first, Range{Expr(0), middle - low});
  analyzer.Bind(second, Range{Expr(0), high - middle});
  const auto runs = analyzer.Assume(Expr(0) < high - middle);
  analyzer.Bind(row, Range{Expr(0), Expr(3)});
  const Expr clamped = Min(middle * Expr(8) + row, n - Expr(1));
  EXPECT_TRUE(StructuralEqual(analyzer.Simplify(clamped), clamped)) << ToString(analyzer.Simplify(clamped));
  EXPECT_FALSE(analyzer.CanProve(low < middle));
  EXPECT_TRUE(analyzer.CanProve(middle < high));
}

TEST(Analyzer, DigitsOfALoopOverOpenExtents) {
  const Var batch = Var::Symbol("batch", 1), rows = Var::Symbol("rows", 1), f("f");
  for (const Expr& extent : {Expr(rows), Min(rows, Expr(512))}) {
    Analyzer analyzer;
    analyzer.Bind(f, Range{Expr(0), batch * extent * Expr(12)});
    EXPECT_TRUE(analyzer.CanProve(FloorDiv(f, extent * Expr(12)) < batch));
    EXPECT_TRUE(analyzer.CanProve(FloorDiv(f, extent) < batch * Expr(12)));
    EXPECT_TRUE(analyzer.CanProve(FloorMod(f, extent) < extent));
    EXPECT_TRUE(analyzer.CanProve(FloorMod(f, extent) < rows));
    EXPECT_FALSE(analyzer.CanProve(FloorDiv(f, extent * Expr(12)) < batch - Expr(1)));
    EXPECT_FALSE(analyzer.CanProve(FloorDiv(f, extent * Expr(11)) < batch));
    EXPECT_FALSE(analyzer.CanProve(FloorMod(f, extent) < extent - Expr(1)));
  }
  const Expr inner = FloorDiv(f, Expr(96));
  Analyzer sums;
  auto expect = [&](const Expr& digits, const Expr& whole) {
    EXPECT_TRUE(StructuralEqual(sums.Simplify(digits), sums.Simplify(whole)))
        << ToString(sums.Simplify(digits));
  };
  expect(FloorDiv(f, rows * Expr(96)) * rows * Expr(1536) + FloorMod(inner, rows) * Expr(1536) +
             FloorMod(f, Expr(96)) * Expr(16),
         f * Expr(16));
  expect(batch * FloorMod(f, rows) + batch * rows * FloorMod(FloorDiv(f, rows), Expr(12)) +
             batch * rows * Expr(12) * FloorDiv(f, rows * Expr(12)),
         batch * f);
  // What is divided by may not be positive.
  const Var any = Var::Symbol("any", -3);
  Analyzer analyzer;
  analyzer.Bind(f, Range{Expr(0), Expr(9)});
  EXPECT_FALSE(analyzer.CanProve(FloorMod(f, any) < any));
}

}  // namespace
}  // namespace tilewright
