// SPDX-License-Identifier: Apache-2.0
// Reductions that are no products: accumulators in registers whatever the extents.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using testing::Not;

/// Sums of windows of 3 x 2 over maps in natural order, halved by a block behind if `tail`.
PrimFunc Windows(int64_t channels, int64_t height, int64_t width, int64_t stride, bool tail) {
  te::Tensor x = te::Placeholder("x", kF32, {1, channels, height * stride + 2, width * stride + 1});
  const IterVar k0 = te::ReduceAxis(3, "k0"), k1 = te::ReduceAxis(2, "k1");
  te::Tensor sum = te::Compute("sum", {1, channels, height, width}, [&](auto& i) {
    return te::Sum(x({i[0], i[1], i[2] * Expr(stride) + k0.var, i[3] * Expr(stride) + k1.var}), {k0, k1});
  });
  te::Tensor half = te::Compute("half", {1, channels, height, width},
                                [&](auto& i) { return sum(i) * MakeConst(kF32, 0.5); });
  return te::CreatePrimFunc("windows", {x}, {tail ? half : sum});
}

/// Sums over the first axis.
PrimFunc Columns(int64_t rows, int64_t columns) {
  te::Tensor x = te::Placeholder("x", kF32, {rows, columns});
  const IterVar r = te::ReduceAxis(rows, "r");
  te::Tensor sum = te::Compute("sum", {columns}, [&](auto& i) { return te::Sum(x({r.var, i[0]}), {r}); });
  return te::CreatePrimFunc("columns", {x}, {sum});
}

std::string Scheduled(const PrimFunc& f, const std::string& target) {
  Schedule s(f);
  ApplyRules(s, {Target::Parse(target + ",cores=2"), {}});
  ExpectSameResult(f, s);
  return ToString(s.func());
}

TEST(ScheduleReduction, AccumulatesInRegisters) {
  for (const char* target : {"x86-64-v2", "x86-64-v4"}) {
    for (int64_t width : {2, 13, 16, 17, 35, 48, 74}) {
      SCOPED_TRACE(fmt::format("{} {}", target, width));
      for (int64_t stride : {1, 2}) {
        EXPECT_THAT(Scheduled(Windows(3, 4, width, stride, false), target), HasSubstr("scope \"register\""));
        EXPECT_THAT(Scheduled(Windows(2, 5, width, stride, true), target), HasSubstr("scope \"register\""));
      }
      EXPECT_THAT(Scheduled(Columns(9, width), target), HasSubstr("scope \"register\""));
    }
  }
}

TEST(ScheduleReduction, OfOneElementEach) {
  te::Tensor x = te::Placeholder("x", kF32, {3, 5, 40});
  const IterVar k = te::ReduceAxis(1, "k");
  te::Tensor sum =
      te::Compute("sum", {3, 5, 40}, [&](auto& i) { return te::Sum(x({i[0], i[1], i[2] + k.var}), {k}); });
  EXPECT_THAT(Scheduled(te::CreatePrimFunc("ones", {x}, {sum}), "x86-64-v4"), HasSubstr("vectorized"));
}

/// Sums over the places of maps whose channels lie in blocks of 16.
PrimFunc Places(int64_t blocks, int64_t places) {
  te::Tensor x = te::Placeholder("x", kF32, {blocks, places, 16});
  const IterVar r = te::ReduceAxis(places, "r");
  te::Tensor sum =
      te::Compute("sum", {blocks, 16}, [&](auto& i) { return te::Sum(x({i[0], r.var, i[1]}), {r}); });
  return te::CreatePrimFunc("places", {x}, {sum});
}

TEST(ScheduleReduction, FewLinesAreSharedByCores) {
  // Six lines fill a core's pipes as well as three do, and two cores have three each.
  EXPECT_THAT(Scheduled(Places(6, 200), "x86-64-v4"), HasSubstr("in 0..2 parallel"));
  EXPECT_THAT(Scheduled(Places(2, 1000), "x86-64-v4"), HasSubstr("in 0..2 parallel"));
  EXPECT_THAT(Scheduled(Places(6, 4), "x86-64-v4"), Not(HasSubstr("parallel")));
}

TEST(ScheduleReduction, TakesInWhatItReadsOnce) {
  te::Tensor x = te::Placeholder("x", kF32, {1000});
  te::Tensor square = te::Compute("square", {1000}, [&](auto& i) { return x(i) * x(i); });
  const IterVar k = te::ReduceAxis(1000, "k");
  te::Tensor sum = te::Compute("sum", {1}, [&](auto&) { return te::Sum(square({k.var}), {k}); });
  te::Tensor root = te::Compute("root", {1}, [&](auto& i) { return MakeCall(Intrinsic::k_sqrt, {sum(i)}); });
  const std::string text = Scheduled(te::CreatePrimFunc("norm", {x}, {root}), "x86-64-v4");
  EXPECT_THAT(text, Not(HasSubstr("alloc square")));
  EXPECT_THAT(text, HasSubstr("vectorized"));
}

TEST(ScheduleReduction, LargeOnesAreParallel) {
  EXPECT_THAT(Scheduled(Windows(16, 32, 35, 1, false), "x86-64-v4"), HasSubstr("parallel"));
  EXPECT_THAT(Scheduled(Columns(64, 1000), "x86-64-v4"), HasSubstr("parallel"));
  EXPECT_THAT(Scheduled(Columns(64, 20), "x86-64-v4"), Not(HasSubstr("parallel")));
}

}  // namespace
}  // namespace tilewright
