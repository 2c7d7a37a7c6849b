// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/linear.h"

#include <gtest/gtest.h>

#include "tilewright/arith/eval.h"

namespace tilewright {
namespace {

TEST(DetectLinear, CoefficientsAndBase) {
  Analyzer analyzer;
  const Var i("i"), j("j"), n("n");
  const std::vector<Var> vars{i, j};
  const auto form = DetectLinear((i + 2) * n + j * 4 - 1, vars, analyzer);
  ASSERT_TRUE(form);
  EXPECT_EQ(ToString(form->coefficients[0]), "n");
  EXPECT_EQ(ToString(form->coefficients[1]), "4");
  EXPECT_EQ(ToString(form->base), "n * 2 - 1");
}

TEST(DetectLinear, FindsRampsThatSimplificationUncovers) {
  Analyzer analyzer;
  const Var i("i"), f("f");
  analyzer.Bind(i, Range{0, 4});
  const std::vector<Var> vars{i};
  const auto form = DetectLinear(FloorDiv(f * 4 + i, 4) * 8 + FloorMod(f * 4 + i, 4), vars, analyzer);
  ASSERT_TRUE(form);
  EXPECT_EQ(ToString(form->coefficients[0]), "1");
  EXPECT_EQ(ToString(form->base), "f * 8");
}

TEST(DetectLinear, RefusesWhatIsNotLinear) {
  Analyzer analyzer;
  const Var i("i"), j("j");
  const std::vector<Var> vars{i, j};
  EXPECT_FALSE(DetectLinear(i * j, vars, analyzer));
  EXPECT_FALSE(DetectLinear(FloorDiv(i, 4), vars, analyzer));
  EXPECT_FALSE(DetectLinear(Min(i, 4), vars, analyzer));
}

std::string Text(const std::optional<VarBounds>& b) {
  if (!b) return "none";
  return "[" + (b->lower ? ToString(b->lower) : "-inf") + ", " + (b->upper ? ToString(b->upper) : "inf") +
         "]";
}

TEST(SolveForBound, PaddingPredicates) {
  Analyzer analyzer;
  const Var w("w"), kw("kw"), n = Var::Symbol("n", 1);
  const Expr x = w * 2 + kw - 1;
  EXPECT_EQ(Text(SolveForBound(0 <= x && x < 224, w, analyzer)), "[kw * -1 // 2 + 1, kw * -1 // 2 + 112]");
  EXPECT_EQ(Text(SolveForBound(x < n, kw, analyzer)), "[-inf, n - w * 2]");
  EXPECT_EQ(Text(SolveForBound(MakeNot(w < 3), w, analyzer)), "[3, inf]");
  EXPECT_EQ(Text(SolveForBound(Eq(w, 3), w, analyzer)), "[3, 3]");
  EXPECT_EQ(Text(SolveForBound(w * n < n * 4, w, analyzer)), "[-inf, 3]");
  EXPECT_EQ(Text(SolveForBound(Ne(w, 3), w, analyzer)), "none");
  EXPECT_EQ(Text(SolveForBound(n < 3, w, analyzer)), "none");
  EXPECT_EQ(Text(SolveForBound(w * kw < 3, w, analyzer)), "none");
}

TEST(SolveForBound, IsExact) {
  const Var i("i"), b("b");
  for (int k : {-4, -3, -2, -1, 1, 2, 3, 4}) {
    for (int c = -3; c <= 3; ++c) {
      for (const Expr& condition :
           {i * k + b * 2 < c, i * k + b <= c, i * k - b >= c, c < i * k && i * 2 + b < 9}) {
        Analyzer analyzer;
        const auto bounds = SolveForBound(condition, i, analyzer);
        ASSERT_TRUE(bounds) << ToString(condition);
        for (int x = -20; x <= 20; ++x) {
          for (int y = -3; y <= 3; ++y) {
            const VarValues values{{i, x}, {b, y}};
            const bool inside = (!bounds->lower || *EvalInt(bounds->lower, values) <= x) &&
                                (!bounds->upper || x <= *EvalInt(bounds->upper, values));
            ASSERT_EQ(inside, *EvalInt(condition, values) != 0)
                << ToString(condition) << " at " << x << ", " << y;
          }
        }
      }
    }
  }
}

}  // namespace
}  // namespace tilewright
