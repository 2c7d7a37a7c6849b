// SPDX-License-Identifier: Apache-2.0
// Each row of the rule table against evaluation, in every type that it names.
#include "tilewright/arith/rules.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <limits>
#include <random>

#include "tilewright/arith/analyzer.h"
#include "tilewright/arith/eval.h"
#include "tilewright/ir/float16.h"

namespace tilewright {
namespace {

const DataType kTypes[] = {kI8, kU8, kI16, kI32, kU32, kU64, kF32, kF64, kBool};

/// A random constant, often a special one.
Expr RandomConst(DataType t, std::mt19937_64& rng) {
  auto pick = [&](int64_t n) { return std::uniform_int_distribution<int64_t>(0, n - 1)(rng); };
  if (t.is_bool()) return MakeConst(t, pick(2));
  if (!t.is_float()) {
    const int64_t special[] = {0, 1, -1, 2, 7, *AsInt(MaxValue(t)), *AsInt(MinValue(t)), int64_t(rng())};
    return MakeConst(t, WrapToType(special[pick(8)], t));
  }
  const double inf = std::numeric_limits<double>::infinity();
  const double special[] = {0.0, -0.0, 1, -1, 0.5, -8, 3, 0.1, 1e-40, 3e38, inf, -inf, std::nan("")};
  const double v = special[pick(13)];
  return MakeConst(t, t.bits == 32 ? double(float(v)) : v);
}

bool Same(const ScalarValue& a, const ScalarValue& b) {
  if (a.index() != b.index()) return false;
  if (std::holds_alternative<int64_t>(a)) return std::get<int64_t>(a) == std::get<int64_t>(b);
  const double x = std::get<double>(a), y = std::get<double>(b);
  return std::isnan(x) ? std::isnan(y) : std::bit_cast<uint64_t>(x) == std::bit_cast<uint64_t>(y);
}

TEST(Rules, EachHoldsForAllValuesOfItsTypes) {
  std::mt19937_64 rng(20260701);
  for (size_t r = 0; r < RewriteRules().size(); ++r) {
    const RewriteRule& rule = RewriteRules()[r];
    int checked = 0;
    for (const DataType t : kTypes) {
      if (!RuleHolds(rule, t)) continue;
      for (int n = 0; n < 2000; ++n) {
        Match values;
        for (Expr& v : values) v = RandomConst(t, rng);
        // The condition sees x, y and z as what they stand for: anything but constants.
        Match seen = values;
        for (size_t w = 0; w < 3; ++w) seen[w] = Var("v", t);
        if (rule.condition && !rule.condition(seen)) continue;
        auto make = [](BinaryOp op, const Expr& a, const Expr& b) { return MakeBinary(op, a, b); };
        const auto before = EvalScalar(BuildPattern(rule.from, values, t, make), {});
        if (!before) continue;
        const DataType result =
            AsInt(rule.to) && std::holds_alternative<int64_t>(*before) && t.is_float() ? kBool : t;
        const auto after = EvalScalar(BuildPattern(rule.to, values, result, make), {});
        ASSERT_TRUE(after && Same(*before, *after))
            << "rule " << r << ": " << ToString(rule.from) << " -> " << ToString(rule.to) << " in "
            << t.ToString() << " with x=" << ToString(values[0]) << " y=" << ToString(values[1])
            << " c=" << ToString(values[3]) << " d=" << ToString(values[4]);
        ++checked;
      }
    }
    EXPECT_GT(checked, 0) << "rule " << r << ": " << ToString(rule.from);
  }
}

class OtherTypesTest : public ::testing::Test {
 protected:
  std::string S(const Expr& e) { return ToString(analyzer.Simplify(e)); }
  Analyzer analyzer;
  Var x{"x", kF32}, y{"y", kF32}, a{"a", kI32}, b{"b", kI32}, i{"i"};
};

TEST_F(OtherTypesTest, FloatsKeepNanInfinityAndTheSignOfZero) {
  auto c = [](double v) { return MakeConst(kF32, v); };
  EXPECT_EQ(analyzer.Simplify(x * c(1.0)), x);
  EXPECT_EQ(analyzer.Simplify(x - c(0.0)), x);
  EXPECT_NE(analyzer.Simplify(x + c(0.0)), x);
  EXPECT_NE(S(x * c(0.0)), S(c(0.0)));
  EXPECT_NE(S(x - x), S(c(0.0)));
  EXPECT_NE(S(Eq(x, x)), "true");
  EXPECT_EQ(S(MakeNot(x < y)), S(MakeNot(x < y)));
  EXPECT_NE(S(MakeNot(x < y)), S(y <= x));
  EXPECT_EQ(S(x / c(4.0)), S(x * c(0.25)));
  EXPECT_EQ(S(x / c(3.0)), ToString(x / c(3.0)));
  EXPECT_EQ(S(c(0.1) + c(0.2)), ToString(c(double(0.1f + 0.2f))));
}

TEST_F(OtherTypesTest, NarrowIntegers) {
  auto c = [](int v) { return MakeConst(kI32, v); };
  EXPECT_EQ(analyzer.Simplify((a + c(3)) - a), analyzer.Simplify(c(3)));
  EXPECT_EQ(S((a + c(3)) + c(4)), S(a + c(7)));
  EXPECT_EQ(S((a + c(3)) + b), S((a + b) + c(3)));
  EXPECT_EQ(S(Min(Max(a, b), b)), "b");
  EXPECT_EQ(S(FloorDiv(a * c(2), c(2))), ToString(FloorDiv(a * c(2), c(2))));
}

TEST_F(OtherTypesTest, RampsAndBroadcasts) {
  const Expr ramp = MakeRamp(i * 8, 1, 8);
  auto splat = [](const Expr& e) { return MakeBroadcast(e, 8); };
  EXPECT_EQ(S(ramp + splat(4)), S(MakeRamp(i * 8 + 4, 1, 8)));
  EXPECT_EQ(S(ramp * splat(3)), S(MakeRamp(i * 24, 3, 8)));
  EXPECT_EQ(S(FloorDiv(ramp, splat(8))), S(splat(i)));
  EXPECT_EQ(S(FloorMod(ramp, splat(8))), S(MakeRamp(0, 1, 8)));
  EXPECT_EQ(S(FloorDiv(ramp * splat(8), splat(8))), S(ramp));
  EXPECT_EQ(S(ramp - ramp), S(splat(0)));
  analyzer.Bind(i, Range{0, 4});
  EXPECT_TRUE(analyzer.CanProve(ramp < splat(32)));
  EXPECT_FALSE(analyzer.CanProve(ramp < splat(31)));
  EXPECT_EQ(S(FloorMod(ramp, splat(12))), ToString(FloorMod(ramp, splat(12))));
}

}  // namespace
}  // namespace tilewright
