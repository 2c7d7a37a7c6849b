// SPDX-License-Identifier: Apache-2.0
// Random expressions against evaluation under every assignment of their variables.
// TILEWRIGHT_FUZZ_CASES and TILEWRIGHT_FUZZ_SEED choose how many (of 100000) and which.
#include <gtest/gtest.h>

#include <bit>
#include <cmath>

#include "tilewright/arith/analyzer.h"
#include "tilewright/arith/test_random_expr.h"

namespace tilewright {
namespace {

using testing::ForEachAssignment;
using testing::FuzzCases;
using testing::FuzzSeed;
using testing::RandomExpr;

/// Variables, what an Analyzer is told of them, and the same as explicit values.
struct Scene {
  Var i{"i"}, j{"j"}, k{"k"}, n = Var::Symbol("n", 2, 6, 2);
  std::vector<Var> vars{i, j, k, n};
  std::vector<std::pair<int64_t, int64_t>> ranges;
  Expr j_extent = nullptr;  ///< symbolic

  void Choose(RandomExpr& random) {
    ranges.clear();
    for (int v = 0; v < 3; ++v) {
      const int64_t lo = random.Chance(60) ? 0 : random.Int(-5, 5);
      ranges.emplace_back(lo, lo + random.Int(0, 5));
    }
    ranges.emplace_back(2, 6);
    j_extent = random.Chance(40) ? (random.Chance(50) ? Expr(n) : n * 2 - i) : nullptr;
    if (j_extent) ranges[1] = {0, 12};
  }

  void Tell(Analyzer& analyzer) const {
    analyzer.Bind(i, Interval{ranges[0].first, ranges[0].second});
    analyzer.Bind(k, Range{ranges[2].first, ranges[2].second - ranges[2].first + 1});
    if (j_extent) {
      analyzer.Bind(j, Range{0, j_extent});
    } else {
      analyzer.Bind(j, Range{ranges[1].first, ranges[1].second - ranges[1].first + 1});
    }
  }

  bool Possible(const VarValues& values) const {
    return values.at(n) % 2 == 0 && (!j_extent || values.at(j) < *EvalInt(j_extent, values));
  }
};

class Checker {
 public:
  Checker(const Scene& scene, const Expr& assumed) : scene_(scene), assumed_(assumed) {}

  /// The first disagreement between what the analyzer says of `e` and its values; empty if there is none.
  std::string Check(const Expr& e, Analyzer& analyzer) const {
    const Expr simple = analyzer.Simplify(e);
    const bool numeric = e.dtype() == kI64;
    const Interval bound = analyzer.ConstBound(e);
    const Modular residue = numeric ? analyzer.ModularOf(e) : Modular();
    std::string problem;
    ForEachAssignment(scene_.vars, scene_.ranges, [&](const VarValues& values) {
      if (!problem.empty() || !scene_.Possible(values)) return;
      if (assumed_.get() && EvalInt(assumed_, values) != 1) return;
      const auto expected = EvalInt(e, values);
      if (!expected) return;
      const auto actual = EvalInt(simple, values);
      if (actual != expected) {
        problem = "simplified to " + ToString(simple) + " = " +
                  (actual ? std::to_string(*actual) : "undefined") + ", but is " + std::to_string(*expected);
      } else if (!bound.Contains(*expected)) {
        problem = std::to_string(*expected) + " is not in [" + std::to_string(bound.min) + ", " +
                  std::to_string(bound.max) + "]";
      } else if (residue.multiple == 0 ? *expected != residue.remainder
                                       : FloorModInt(*expected, residue.multiple) != residue.remainder) {
        problem = std::to_string(*expected) + " is not " + std::to_string(residue.multiple) + "k + " +
                  std::to_string(residue.remainder);
      }
      if (problem.empty()) return;
      problem += " at";
      for (const auto& [var, value] : values) problem += " " + var.name() + "=" + std::to_string(value);
    });
    return problem;
  }

 private:
  const Scene& scene_;
  Expr assumed_;
};

/// Runs one case; true when it agreed.
bool RunCase(uint64_t seed, int depth) {
  Scene scene;
  RandomExpr random(seed, scene.vars);
  scene.Choose(random);
  const Expr assumed = random.Chance(30) ? random.Condition(1) : nullptr;
  const Expr e = random.Chance(75) ? random.Index(depth) : random.Condition(depth - 1);
  Analyzer analyzer;
  scene.Tell(analyzer);
  std::optional<Constraint> scope;
  if (assumed) scope.emplace(analyzer.Assume(assumed));
  const std::string problem = Checker(scene, assumed).Check(e, analyzer);
  EXPECT_EQ(problem, "") << "of " << ToString(e) << (assumed ? "\n  assuming " + ToString(assumed) : "")
                         << (scene.j_extent ? "\n  j in [0, " + ToString(scene.j_extent) + ")" : "")
                         << "\n  with TILEWRIGHT_FUZZ_SEED=" << seed;
  return problem.empty();
}

/// Bit for bit, but for the bits of a NaN.
bool SameValue(const ScalarValue& a, const ScalarValue& b) {
  auto *x = std::get_if<double>(&a), *y = std::get_if<double>(&b);
  if (!x || !y) return a == b;
  return std::isnan(*x) ? std::isnan(*y) : std::bit_cast<uint64_t>(*x) == std::bit_cast<uint64_t>(*y);
}

std::string ToText(const std::optional<ScalarValue>& v) {
  if (!v) return "undefined";
  return std::visit([](auto x) { return std::to_string(x); }, *v);
}

/// Floats, narrow integers and vectors, lane by lane, outside what bounds are known of.
bool RunOtherTypes(uint64_t seed, int depth) {
  Scene scene;
  RandomExpr random(seed, scene.vars);
  scene.Choose(random);
  scene.j_extent = nullptr;
  const int lanes = int(random.Int(2, 8));
  Expr e = random.Chance(40)   ? random.Float(random.Chance(50) ? kF32 : kF64, depth)
           : random.Chance(60) ? random.Vector(lanes, depth)
                               : random.Narrow(depth);
  if (random.Chance(15)) e = random.Comparison(e, e.dtype().is_float() ? random.Float(e.dtype(), 1) : e);
  Analyzer analyzer;
  scene.Tell(analyzer);
  const Expr simple = analyzer.Simplify(e);
  bool agreed = simple.dtype() == e.dtype();
  EXPECT_TRUE(agreed) << simple.dtype().ToString() << " of " << ToString(e);
  ForEachAssignment(scene.vars, scene.ranges, [&](const VarValues& values) {
    for (int lane = 0; lane < e.dtype().lanes && agreed && scene.Possible(values); ++lane) {
      const auto expected = EvalScalar(e, values, lane), actual = EvalScalar(simple, values, lane);
      agreed = !expected || (actual && SameValue(*expected, *actual));
      EXPECT_TRUE(agreed) << ToString(e) << "\n  became " << ToString(simple) << "\n  which is "
                          << ToText(actual) << " and not " << ToText(expected) << " in lane " << lane
                          << "\n  with TILEWRIGHT_FUZZ_SEED=" << seed;
    }
  });
  return agreed;
}

TEST(Fuzz, FloatsNarrowIntegersAndVectorsAgreeWithEvaluation) {
  const uint64_t seed = FuzzSeed();
  const int cases = FuzzCases(4000);
  int failures = 0;
  for (int c = 0; c < cases && failures < 5; ++c) failures += !RunOtherTypes(seed + uint64_t(c), 2 + c % 3);
}

/// The expressions in parts, which may run at the same time.
class FuzzPart : public ::testing::TestWithParam<int> {};
constexpr int kParts = 10;

TEST_P(FuzzPart, SimplifyBoundsAndResiduesAgreeWithEvaluation) {
  const int cases = std::max(1, FuzzCases(100000) / kParts);
  const uint64_t seed = FuzzSeed() + uint64_t(GetParam() * cases);
  RecordProperty("seed", std::to_string(seed));
  int failures = 0;
  for (int c = 0; c < cases && failures < 5; ++c) failures += !RunCase(seed + uint64_t(c), 2 + c % 3);
}

INSTANTIATE_TEST_SUITE_P(Of10, FuzzPart, ::testing::Range(0, kParts));

}  // namespace
}  // namespace tilewright
