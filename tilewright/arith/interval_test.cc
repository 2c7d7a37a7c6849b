// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/interval.h"

#include <gtest/gtest.h>

#include "tilewright/arith/eval.h"

namespace tilewright {
namespace {

constexpr int64_t kInf = INT64_MAX, kNegInf = INT64_MIN;

using IntervalOp = Interval (*)(const Interval&, const Interval&);

/// Every pair of values of every pair of small intervals lies in the result.
void ExpectSound(BinaryOp op, IntervalOp f) {
  constexpr int kLimit = 4;
  for (int a0 = -kLimit; a0 <= kLimit; ++a0) {
    for (int a1 = a0; a1 <= kLimit; ++a1) {
      for (int b0 = -kLimit; b0 <= kLimit; ++b0) {
        for (int b1 = b0; b1 <= kLimit; ++b1) {
          for (int x = a0; x <= a1; ++x) {
            for (int y = b0; y <= b1; ++y) {
              auto r = EvalIntBinary(op, kI64, x, y);
              if (!r) continue;
              for (const Interval& a : {Interval{a0, a1}, Interval{kNegInf, a1}, Interval{a0, kInf}}) {
                for (const Interval& b : {Interval{b0, b1}, Interval{kNegInf, b1}, Interval{b0, kInf}}) {
                  const Interval i = f(a, b);
                  ASSERT_TRUE(i.Contains(*r)) << x << ' ' << BinaryOpText(op) << ' ' << y << " = " << *r
                                              << " not in [" << i.min << ", " << i.max << "]";
                }
              }
            }
          }
        }
      }
    }
  }
}

TEST(Interval, ArithmeticIsSound) {
  ExpectSound(BinaryOp::kAdd, [](const Interval& a, const Interval& b) { return a + b; });
  ExpectSound(BinaryOp::kSub, [](const Interval& a, const Interval& b) { return a - b; });
  ExpectSound(BinaryOp::kMul, [](const Interval& a, const Interval& b) { return a * b; });
  ExpectSound(BinaryOp::kFloorDiv, [](const Interval& a, const Interval& b) { return FloorDiv(a, b); });
  ExpectSound(BinaryOp::kFloorMod, [](const Interval& a, const Interval& b) { return FloorMod(a, b); });
  ExpectSound(BinaryOp::kTruncDiv, [](const Interval& a, const Interval& b) { return TruncDiv(a, b); });
  ExpectSound(BinaryOp::kTruncMod, [](const Interval& a, const Interval& b) { return TruncMod(a, b); });
  ExpectSound(BinaryOp::kMin, [](const Interval& a, const Interval& b) { return Min(a, b); });
  ExpectSound(BinaryOp::kMax, [](const Interval& a, const Interval& b) { return Max(a, b); });
}

TEST(Interval, BoundsAreTight) {
  EXPECT_EQ(FloorDiv(Interval{0, 63}, Interval::Point(8)), (Interval{0, 7}));
  EXPECT_EQ(FloorMod(Interval{16, 19}, Interval::Point(8)), (Interval{0, 3}));
  EXPECT_EQ(FloorMod(Interval{-3, 100}, Interval::Point(8)), (Interval{0, 7}));
  EXPECT_EQ(TruncDiv(Interval{-7, 7}, Interval::Point(2)), (Interval{-3, 3}));
}

TEST(Interval, OverflowBecomesInfinite) {
  EXPECT_EQ((Interval{1, kInf - 1} + Interval{1, 5}), (Interval{2, kInf}));
  EXPECT_EQ((Interval{0, int64_t(1) << 40} * Interval{-1, int64_t(1) << 40}).max, kInf);
}

TEST(Modular, ArithmeticIsSound) {
  for (int ma = 0; ma <= 6; ++ma) {
    for (int ra = -3; ra <= 6; ++ra) {
      for (int mb = 0; mb <= 6; ++mb) {
        for (int rb = -3; rb <= 6; ++rb) {
          const Modular a = Modular::Of(ma, ra), b = Modular::Of(mb, rb);
          auto in = [](const Modular& m, int64_t v) {
            return m.multiple == 0 ? v == m.remainder : FloorModInt(v - m.remainder, m.multiple) == 0;
          };
          for (int k = -2; k <= 2; ++k) {
            for (int l = -2; l <= 2; ++l) {
              const int64_t x = ma * k + ra, y = mb * l + rb;
              ASSERT_TRUE(in(a + b, x + y));
              ASSERT_TRUE(in(a * b, x * y));
              ASSERT_TRUE(in(Union(a, b), x) && in(Union(a, b), y));
              for (int d = 1; d <= 4; ++d) {
                ASSERT_TRUE(in(FloorDiv(a, d), FloorDivInt(x, d)));
                ASSERT_TRUE(in(FloorMod(a, d), FloorModInt(x, d)));
              }
            }
          }
        }
      }
    }
  }
}

TEST(Eval, WrapsNarrowTypesAndRefusesUndefinedResults) {
  const Var i("i"), b("b", kU8), f("f", kF32);
  const VarValues values{{i, 7}, {b, 250}};
  EXPECT_EQ(EvalInt(FloorDiv(i - 10, 2), values), -2);
  EXPECT_EQ(EvalInt(FloorMod(i - 10, 4), values), 1);
  EXPECT_EQ(EvalInt(TruncDiv(i - 10, 2), values), -1);
  EXPECT_EQ(EvalInt(b + MakeConst(kU8, 10), values), 4);
  EXPECT_EQ(EvalInt(MakeCast(kI8, b), values), -6);
  EXPECT_EQ(EvalInt(FloorDiv(i, i - 7), values), std::nullopt);
  EXPECT_EQ(EvalInt(MakeIfThenElse(Eq(i, 7), i, FloorDiv(i, i - 7)), values), 7);
  EXPECT_EQ(EvalInt(MakeSelect(Eq(i, 7), i, FloorDiv(i, i - 7)), values), std::nullopt);
  EXPECT_EQ(EvalInt(i + INT64_MAX, values), std::nullopt);
  EXPECT_EQ(EvalInt(i + Var("free"), values), std::nullopt);
  EXPECT_EQ(EvalInt(MakeRamp(i, 3, 4) + MakeBroadcast(i, 4), values, 2), 20);
  EXPECT_EQ(std::get<double>(*EvalScalar(MakeConst(kF32, 0.1) + MakeConst(kF32, 0.2), values)),
            double(0.1f + 0.2f));
}

}  // namespace
}  // namespace tilewright
