// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/iter_map.h"

#include <gtest/gtest.h>

#include <set>

#include "tilewright/arith/test_random_expr.h"

namespace tilewright {
namespace {

using testing::ForEachAssignment;
using testing::FuzzCases;
using testing::FuzzSeed;
using testing::RandomExpr;

class IterMapTest : public ::testing::Test {
 protected:
  Var Loop(const char* name, const Expr& extent, const Expr& min = 0) {
    Var v(name);
    ranges[v] = {min, extent};
    return v;
  }
  std::optional<IterMap> Detect(const std::vector<Expr>& indices, IterMapLevel level,
                                const Expr& predicate = nullptr) {
    return DetectIterMap(indices, ranges, predicate, level, analyzer);
  }
  bool Is(const std::vector<Expr>& indices, IterMapLevel level, const Expr& predicate = nullptr) {
    return Detect(indices, level, predicate).has_value();
  }

  Analyzer analyzer;
  VarRanges ranges;
};

TEST_F(IterMapTest, SplitsAndFusionsAreBijective) {
  const Var i0 = Loop("i0", 16), i1 = Loop("i1", 8), f = Loop("f", 49);
  const auto map = Detect({i0 * 8 + i1, FloorDiv(f, 7), FloorMod(f, 7)}, IterMapLevel::kBijective);
  ASSERT_TRUE(map);
  EXPECT_EQ(ToString(map->extents[0]), "128");
  EXPECT_EQ(ToString(map->extents[1]), "7");
  EXPECT_TRUE(Is({i1 + 3, i0, f}, IterMapLevel::kBijective));
}

TEST_F(IterMapTest, SplitsOfAFusedSpace) {
  const Var o = Loop("o", 49), l = Loop("l", 64);
  const Expr fused = o * 64 + l;
  EXPECT_TRUE(Is({FloorDiv(fused, 56), FloorMod(fused, 56)}, IterMapLevel::kBijective));
  EXPECT_TRUE(Is({FloorDiv(fused, 56 * 7), FloorMod(FloorDiv(fused, 56), 7), FloorMod(fused, 56)},
                 IterMapLevel::kBijective));
  EXPECT_FALSE(Is({FloorDiv(fused, 56)}, IterMapLevel::kBijective));
  EXPECT_TRUE(Is({FloorDiv(fused, 56)}, IterMapLevel::kSurjective));
  EXPECT_FALSE(Is({FloorDiv(fused, 50), FloorMod(fused, 50)}, IterMapLevel::kBijective));
  EXPECT_TRUE(Is({FloorDiv(fused, 50), FloorMod(fused, 50)}, IterMapLevel::kInjective));
}

TEST_F(IterMapTest, PredicatesOfSplits) {
  const Var i0 = Loop("i0", 8), i1 = Loop("i1", 8), j = Loop("j", 4);
  const auto map = Detect({i0 * 8 + i1, j}, IterMapLevel::kBijective, i0 * 8 + i1 < 60);
  ASSERT_TRUE(map);
  EXPECT_EQ(ToString(map->extents[0]), "60");
  EXPECT_FALSE(Is({i0, i1, j}, IterMapLevel::kBijective, i0 * 8 + i1 < 60));
  EXPECT_TRUE(Is({i0, i1, j}, IterMapLevel::kInjective, i0 * 8 + i1 < 60));
  EXPECT_EQ(ToString(Detect({i0, i1, j}, IterMapLevel::kBijective, i0 < 5)->extents[0]), "5");
  EXPECT_FALSE(Is({i0, i1, j}, IterMapLevel::kBijective, Eq(FloorMod(i0, 2), 0)));
}

TEST_F(IterMapTest, UnusedAndRepeatedIterators) {
  const Var i = Loop("i", 8), j = Loop("j", 4), one = Loop("one", 1);
  EXPECT_TRUE(Is({i}, IterMapLevel::kSurjective));
  EXPECT_FALSE(Is({i}, IterMapLevel::kInjective));
  EXPECT_FALSE(Is({i, i, j}, IterMapLevel::kIndependent));
  EXPECT_FALSE(Is({i + j}, IterMapLevel::kIndependent));
  EXPECT_FALSE(Is({i * j}, IterMapLevel::kIndependent));
  EXPECT_TRUE(Is({i, j}, IterMapLevel::kBijective));
  EXPECT_TRUE(Is({i * 4 + j + one}, IterMapLevel::kBijective));
  EXPECT_TRUE(Is({i * 5 + j}, IterMapLevel::kInjective));
  EXPECT_FALSE(Is({i * 5 + j}, IterMapLevel::kBijective));
}

TEST_F(IterMapTest, SymbolicExtents) {
  const Var n = Var::Symbol("n", 1), m = Var::Symbol("m", 1);
  const Var i = Loop("i", n), j = Loop("j", m), f = Loop("f", FloorDiv(n + 7, 8)), l = Loop("l", 8);
  EXPECT_TRUE(Is({i * m + j, f * 8 + l}, IterMapLevel::kBijective));
  const auto map = Detect({f * 8 + l, i, j}, IterMapLevel::kBijective, f * 8 + l < n);
  ASSERT_TRUE(map);
  EXPECT_EQ(ToString(map->extents[0]), "n");
}

TEST_F(IterMapTest, InverseOfAPackedLayout) {
  const Var n = Loop("n", 64), k = Loop("k", 32);
  const std::vector<Expr> indices{FloorDiv(n, 16), k, FloorMod(n, 16)};
  const auto map = Detect(indices, IterMapLevel::kBijective);
  ASSERT_TRUE(map);
  const Var a("a"), b("b"), c("c");
  const VarMap inverse = InverseAffineMap(*map, std::vector<Expr>{a, b, c}, analyzer);
  EXPECT_EQ(ToString(inverse.at(n)), "a * 16 + c");
  EXPECT_EQ(ToString(inverse.at(k)), "b");
}

/// One random iteration space, cut and fused at random (and sometimes wrongly), against enumeration.
void CheckAgainstEnumeration(uint64_t seed) {
  const Var i("i"), j("j"), k("k");
  RandomExpr random(seed, {i, j, k});
  const std::vector<Var> vars{i, j, k};
  std::vector<std::pair<int64_t, int64_t>> bounds;
  VarRanges ranges;
  for (const Var& v : vars) {
    const int64_t min = random.Chance(80) ? 0 : random.Int(-3, 3), extent = random.Int(1, 6);
    bounds.emplace_back(min, min + extent - 1);
    ranges[v] = {min, extent};
  }
  auto extent_of = [&](size_t v) { return bounds[v].second - bounds[v].first + 1; };
  const Expr fused = i * extent_of(1) + j;
  std::vector<Expr> indices;
  const int64_t cut = random.Int(1, 6);
  switch (random.Int(0, 4)) {
    case 0:
      indices = {FloorDiv(fused, cut), k, FloorMod(fused, cut)};
      break;
    case 1:
      indices = {FloorDiv(fused, cut) * extent_of(2) + k, FloorMod(fused, cut)};
      break;
    case 2:
      indices = {k * random.Int(1, 7) + i, j + 2};
      break;
    case 3:
      indices = {FloorDiv(k, cut), FloorMod(k, cut), i, random.Chance(50) ? Expr(j) : FloorDiv(j, 2)};
      break;
    default:
      indices = {random.Index(2), random.Index(2)};
      break;
  }
  const Expr predicate =
      random.Chance(40) ? (random.Chance(50) ? fused : Expr(k)) < random.Int(1, 20) : nullptr;

  std::set<std::vector<int64_t>> images;
  bool repeated = false, defined = true;
  ForEachAssignment(vars, bounds, [&](const VarValues& values) {
    if (predicate.get() && !*EvalInt(predicate, values)) return;
    std::vector<int64_t> image;
    for (const Expr& index : indices) {
      const auto v = EvalInt(index, values);
      defined = defined && v.has_value();
      image.push_back(v.value_or(0));
    }
    repeated |= !images.insert(image).second;
  });
  if (!defined) return;
  auto describe = [&] {
    std::string s = "seed " + std::to_string(seed) + ":";
    for (const Expr& index : indices) s += " " + ToString(index) + ";";
    for (size_t v = 0; v < 3; ++v)
      s += " " + vars[v].name() + " in " + std::to_string(bounds[v].first) + ".." +
           std::to_string(bounds[v].second);
    return s + (predicate ? " if " + ToString(predicate) : "");
  };
  Analyzer analyzer;
  const auto injective = DetectIterMap(indices, ranges, predicate, IterMapLevel::kInjective, analyzer);
  if (injective) ASSERT_FALSE(repeated) << describe();
  if (const auto map = DetectIterMap(indices, ranges, predicate, IterMapLevel::kSurjective, analyzer)) {
    size_t product = 1;
    for (const Expr& extent : map->extents) product *= size_t(std::max<int64_t>(0, *AsInt(extent)));
    ASSERT_EQ(product, images.size()) << describe();
  }
  if (!injective) return;
  std::vector<Expr> outputs;
  for (size_t o = 0; o < indices.size(); ++o) outputs.push_back(Var("o" + std::to_string(o)));
  const VarMap inverse = InverseAffineMap(*injective, outputs, analyzer);
  ForEachAssignment(vars, bounds, [&](const VarValues& values) {
    if (predicate.get() && !*EvalInt(predicate, values)) return;
    VarValues at;
    for (size_t o = 0; o < indices.size(); ++o) {
      at[Var(static_cast<const VarNode*>(outputs[o].get()))] = *EvalInt(indices[o], values);
    }
    for (const Var& v : vars)
      ASSERT_EQ(EvalInt(inverse.at(v), at), values.at(v)) << describe() << " inverse of " << v.name();
  });
}

TEST_F(IterMapTest, FuzzAgainstEnumeration) {
  const uint64_t seed = FuzzSeed();
  for (int c = 0; c < FuzzCases(4000) && !HasFatalFailure(); ++c) CheckAgainstEnumeration(seed + uint64_t(c));
}

}  // namespace
}  // namespace tilewright
