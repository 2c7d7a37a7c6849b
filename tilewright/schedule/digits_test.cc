// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/digits.h"

#include <gtest/gtest.h>

#include <map>
#include <random>

#include "tilewright/arith/eval.h"

namespace tilewright {
namespace {

/// i in 0..3, j in 0..16: the numbers i * 16 + j of 0..48.
struct Pair {
  Var i{"i"}, j{"j"};
  Bounds bounds;
  Pair() {
    bounds.Bind(i, {Expr(0), Expr(3)});
    bounds.Bind(j, {Expr(0), Expr(16)});
  }
  std::vector<bool> Told(std::vector<Expr> exprs) {
    for (Expr& e : exprs) e = bounds.Simplify(e);
    return Determined(exprs, {i, j}, bounds);
  }
};

TEST(Determined, DigitsOfAFusedLoopThatWasSplitAcrossThem) {
  // The axes 2 x 3 x 8 of 48 elements, 16 to a vector: the second axis ends within a vector.
  Pair p;
  const Expr flat = p.i * Expr(16) + p.j;
  const Expr outer = FloorDiv(flat, Expr(24)), middle = FloorMod(FloorDiv(flat, Expr(8)), Expr(3)),
             inner = FloorMod(flat, Expr(8));
  EXPECT_EQ(p.Told({outer, middle, inner}), (std::vector<bool>{true, true}));
  EXPECT_EQ(p.Told({outer, middle}), (std::vector<bool>{true, false})) << "8 numbers share these";
  // One of the two loops alone, at any place of the other.
  std::vector<Expr> all = {outer, middle, inner};
  for (Expr& e : all) e = p.bounds.Simplify(e);
  EXPECT_EQ(Determined(all, {p.j}, p.bounds), (std::vector<bool>{true}));
  EXPECT_EQ(Determined({all[0], all[1]}, {p.j}, p.bounds), (std::vector<bool>{false}));
  EXPECT_EQ(p.Told({outer, inner}), (std::vector<bool>{false, false}));
  EXPECT_EQ(p.Told({middle, inner}), (std::vector<bool>{false, false}));
}

TEST(Determined, DigitsOfOneNumberThatShareNothing) {
  // The axes 2 x 4 x 5: none of the divisions is shortened.
  Pair p;
  p.bounds.Bind(p.i, {Expr(0), Expr(2)});
  const Expr flat = p.i * Expr(16) + p.j;
  std::vector<Expr> all = {FloorDiv(flat, Expr(20)), FloorMod(FloorDiv(flat, Expr(5)), Expr(4)),
                           FloorMod(flat, Expr(5))};
  EXPECT_EQ(p.Told(all), (std::vector<bool>{true, true}));
  EXPECT_EQ(Determined(all, {p.j}, p.bounds), (std::vector<bool>{true}));
}

TEST(Determined, DigitsOfPartsOfANumber) {
  // The axes 2 x 4 x 4 x 6 of 192: the first ends with a vector, so that its digit is one of the loop over
  // vectors.
  Pair p;
  p.bounds.Bind(p.i, {Expr(0), Expr(12)});
  const Expr flat = p.i * Expr(16) + p.j;
  std::vector<Expr> all = {FloorDiv(flat, Expr(96)), FloorMod(FloorDiv(flat, Expr(24)), Expr(4)),
                           FloorMod(FloorDiv(flat, Expr(6)), Expr(4)), FloorMod(flat, Expr(6))};
  EXPECT_EQ(p.Told(all), (std::vector<bool>{true, true}));
  for (Expr& e : all) e = p.bounds.Simplify(e);
  EXPECT_EQ(Determined(all, {p.j}, p.bounds), (std::vector<bool>{true}));
  EXPECT_EQ(p.Told({all[1], all[2], all[3]}), (std::vector<bool>{false, true})) << "twice 96";
  EXPECT_EQ(p.Told({all[0], all[1], all[3]}), (std::vector<bool>{false, false}));
}

TEST(Determined, DigitsThatShareDifferentDivisors) {
  // The axes 2 x 3 x 6 x 8 in vectors of 32: the quotients are shortened by 16 and by 8.
  Pair p;
  p.bounds.Bind(p.i, {Expr(0), Expr(9)});
  p.bounds.Bind(p.j, {Expr(0), Expr(32)});
  const Expr flat = p.i * Expr(32) + p.j;
  std::vector<Expr> all = {FloorDiv(flat, Expr(144)), FloorMod(FloorDiv(flat, Expr(48)), Expr(3)),
                           FloorMod(FloorDiv(flat, Expr(8)), Expr(6)), FloorMod(flat, Expr(8))};
  EXPECT_EQ(p.Told(all), (std::vector<bool>{true, true}));
  for (Expr& e : all) e = p.bounds.Simplify(e);
  EXPECT_EQ(Determined(all, {p.j}, p.bounds), (std::vector<bool>{true}));
}

TEST(Determined, DigitsOfALoopThatWasFusedWithAnother) {
  // Rows 64 x 49 in tiles of 14, fused with a loop over 3 panels: the last digit ends below the rows, so that
  // it does not show which loop the rows are.
  Pair p;
  p.bounds.Bind(p.i, {Expr(0), Expr(672)});
  p.bounds.Bind(p.j, {Expr(0), Expr(14)});
  const Expr row = FloorMod(p.i, Expr(224)) * Expr(14) + p.j, panel = FloorDiv(p.i, Expr(224));
  std::vector<Expr> all = {FloorDiv(row, Expr(49)), FloorMod(row, Expr(49)), panel};
  EXPECT_EQ(p.Told(all), (std::vector<bool>{true, true}));
  for (Expr& e : all) e = p.bounds.Simplify(e);
  EXPECT_EQ(p.Told(all), (std::vector<bool>{true, true}));
  EXPECT_EQ(p.Told({all[0], all[1]}), (std::vector<bool>{false, true})) << "3 panels have these";
  EXPECT_EQ(p.Told({all[1], all[2]}), (std::vector<bool>{false, false}));
  EXPECT_EQ(p.Told({all[0], all[2]}), (std::vector<bool>{false, false}));
}

/// Against enumeration: what is said to be told is told.
TEST(Determined, NeverClaimsTooMuch) {
  std::mt19937 random(1);
  int claims = 0;
  for (int round = 0; round < 400; ++round) {
    auto draw = [&](int64_t low, int64_t high) { return low + int64_t(random() % uint64_t(high - low + 1)); };
    Pair p;
    const int64_t outer = draw(1, 6), inner = draw(1, 16);
    p.bounds.Bind(p.i, {Expr(0), Expr(outer)});
    p.bounds.Bind(p.j, {Expr(0), Expr(inner)});
    const Expr flat = p.i * Expr(draw(0, 2) ? inner : draw(1, 20)) + p.j;
    std::vector<Expr> exprs;
    for (int64_t lower = 1, k = draw(1, 4); k > 0; --k) {
      const int64_t upper = lower * draw(2, 6);
      Expr e = FloorDiv(k == 1 && draw(0, 1) ? flat : FloorMod(flat, Expr(upper)), Expr(lower));
      if (draw(0, 5)) exprs.push_back(p.bounds.Simplify(e));
      lower = upper;
    }
    const std::vector<bool> told = Determined(exprs, {p.i, p.j}, p.bounds);
    std::map<std::vector<int64_t>, std::pair<int64_t, int64_t>> seen;
    for (int64_t a = 0; a < outer; ++a) {
      for (int64_t b = 0; b < inner; ++b) {
        std::vector<int64_t> values;
        for (const Expr& e : exprs) values.push_back(EvalInt(e, {{p.i, a}, {p.j, b}}).value());
        auto [it, fresh] = seen.emplace(values, std::pair(a, b));
        if (fresh) continue;
        EXPECT_FALSE(told[0] && it->second.first != a) << "round " << round;
        EXPECT_FALSE(told[1] && it->second.second != b) << "round " << round;
      }
    }
    claims += told[0] && told[1];
  }
  EXPECT_GT(claims, 50);
}

TEST(Determined, SumsOfDigits) {
  Pair p;
  EXPECT_EQ(p.Told({p.i * Expr(16) + p.j}), (std::vector<bool>{true, true}));
  EXPECT_EQ(p.Told({p.i * Expr(15) + p.j}), (std::vector<bool>{false, false})) << "15 is reached twice";
  EXPECT_EQ(p.Told({FloorDiv(p.j, Expr(4)), FloorMod(p.j, Expr(4))}), (std::vector<bool>{false, true}));
  EXPECT_EQ(p.Told({FloorDiv(p.j, Expr(4)), FloorMod(p.j, Expr(2))}), (std::vector<bool>{false, false}));
}

}  // namespace
}  // namespace tilewright
