// SPDX-License-Identifier: Apache-2.0
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using testing::Not;

using Elementwise = std::function<Expr(const Expr&)>;

/// A 1x1 convolution of NCHW16c images, as the operator's lowering states it, and what follows it, if
/// anything.
PrimFunc Pointwise(int64_t channels, int64_t filters, const Expr& height, int64_t width,
                   const Elementwise& follows = nullptr) {
  te::Tensor x = te::Placeholder("x", kF32, {1, channels / 16, height, width, 16});
  te::Tensor w = te::Placeholder("w", kF32, {filters, channels, 1, 1});
  const IterVar c = te::ReduceAxis(channels, "c"), k0 = te::ReduceAxis(1, "k0"), k1 = te::ReduceAxis(1, "k1");
  te::Tensor y = te::Compute(
      "conv", {1, filters / 16, height, width, 16},
      [&](auto& i) {
        return te::Sum(x({i[0], FloorDiv(c.var, 16), i[2] + k0.var, i[3] + k1.var, FloorMod(c.var, 16)}) *
                           w({i[1] * Expr(16) + i[4], c.var, k0.var, k1.var}),
                       {c, k0, k1});
      },
      {{"rule", std::string("conv")},
       {"channel_block", int64_t(16)},
       {"input_block", int64_t(16)},
       {"depthwise", false}});
  if (!follows) return te::CreatePrimFunc("pointwise", {x, w}, {y});
  te::Tensor z = te::Compute("follows", y.shape(), [&](auto& i) { return te::Body(follows(y(i))); });
  return te::CreatePrimFunc("pointwise", {x, w}, {z});
}

std::string Scheduled(const PrimFunc& f, int64_t second_level, bool compare = true) {
  Target target = Target::Parse("x86-64-v4,cores=2");
  target.caches = {{2048, 64, 1}, {second_level, 64, 1}};
  Schedule s(f);
  ApplyRules(s, {target, {false, true, false}});
  if (compare) ExpectSameResult(f, s);
  return ToString(s.func());
}

TEST(CpuConv, PanelsShareLinesOfImagesThatDoNotStayInCache) {
  // The image has 3 KiB, the weights 2 KiB.
  const PrimFunc f = Pointwise(16, 32, Expr(4), 12);
  EXPECT_THAT(Scheduled(f, 4 << 10), HasSubstr("c0_c2_c1_0_f")) << "lines outside of panels";
  EXPECT_THAT(Scheduled(f, 8 << 10), HasSubstr("c0_c1_0_c2_f")) << "both stay";
  EXPECT_THAT(Scheduled(f, 2 << 10), HasSubstr("c0_c1_0_c2_f")) << "neither stays";
}

TEST(CpuConv, PanelsOfKnownLengthAreAskedForAhead) {
  const int64_t weights = 64 * 64 * 4;
  const PrimFunc f = Pointwise(64, 64, Expr(4), 12);
  EXPECT_THAT(Scheduled(f, 8 * weights), HasSubstr("prefetch")) << "others' constants pass through, too";
  EXPECT_THAT(Scheduled(f, 16 * weights), Not(HasSubstr("prefetch")));
  const PrimFunc open = Pointwise(64, 64, Var::Symbol("n", 1, 1000), 12);
  EXPECT_THAT(Scheduled(open, 8 * weights, false), Not(HasSubstr("prefetch")));
}

TEST(CpuConv, FunctionsOfSumsAreALoopOverATileInMemory) {
  const std::string loop = "for i3_1 in 0..12 {", unrolled = "for i3_1 in 0..12 unrolled {";
  const Elementwise sigmoid = [](const Expr& e) { return e * MakeCall(Intrinsic::k_sigmoid, {e}); };
  const std::string functions = Scheduled(Pointwise(16, 32, Expr(4), 12, sigmoid), 8 << 10);
  EXPECT_THAT(functions, HasSubstr(loop));
  EXPECT_THAT(functions, HasSubstr("conv_copy"));
  const Elementwise relu = [](const Expr& e) { return Max(e, MakeConst(e->dtype, 0.0)); };
  const std::string simple = Scheduled(Pointwise(16, 32, Expr(4), 12, relu), 8 << 10);
  EXPECT_THAT(simple, HasSubstr(unrolled));
  EXPECT_THAT(simple, Not(HasSubstr("conv_copy")));
  // With a smaller last tile.
  Scheduled(Pointwise(16, 32, Expr(4), 37, sigmoid), 8 << 10);
}

}  // namespace
}  // namespace tilewright
