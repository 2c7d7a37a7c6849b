// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/digits.h"

#include <gtest/gtest.h>

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

TEST(Determined, SumsOfDigits) {
  Pair p;
  EXPECT_EQ(p.Told({p.i * Expr(16) + p.j}), (std::vector<bool>{true, true}));
  EXPECT_EQ(p.Told({p.i * Expr(15) + p.j}), (std::vector<bool>{false, false})) << "15 is reached twice";
  EXPECT_EQ(p.Told({FloorDiv(p.j, Expr(4)), FloorMod(p.j, Expr(4))}), (std::vector<bool>{false, true}));
  EXPECT_EQ(p.Told({FloorDiv(p.j, Expr(4)), FloorMod(p.j, Expr(2))}), (std::vector<bool>{false, false}));
}

}  // namespace
}  // namespace tilewright
