// SPDX-License-Identifier: Apache-2.0
// Copies from one layout to another: right at every extent, and without loads of elements that lie apart.
#include "tilewright/schedule/rules/cpu.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright::cpu {
namespace {

using Indices = std::vector<Expr>;

PrimFunc Copy(const Indices& from, const Indices& to, const std::function<Indices(const Indices&)>& read) {
  te::Tensor x = te::Placeholder("X", kF32, from);
  return te::CreatePrimFunc("copy", {x}, {te::Compute("Y", to, [&](auto& i) { return x(read(i)); })});
}

/// Schedules it; the number of vectors whose elements lie apart once it is lowered.
int Scattered(const PrimFunc& f, const Target& target) {
  Schedule s(f);
  EXPECT_TRUE(ScheduleExchange(s, s.Blocks().front(), {target, {}})) << ToString(f);
  ExpectSameResult(f, s);
  int scattered = 0;
  for (const KernelLaunch& launch : LowerPrimFunc(s.func(), target).launches) {
    PreOrderExprs(launch.kernel->body, [&](const Expr& e) {
      auto* ramp = e.As<RampNode>();
      scattered += ramp && !IsInt(ramp->stride, 1);
    });
  }
  return scattered;
}

PrimFunc FromBlocks(int64_t channels, int64_t places) {
  return Copy({(channels + 15) / 16, places, 16}, {channels, places}, [](const Indices& i) {
    return Indices{FloorDiv(i[0], Expr(16)), i[1], FloorMod(i[0], Expr(16))};
  });
}

PrimFunc ToBlocks(int64_t blocks, int64_t lines, int64_t columns) {
  return Copy({blocks * 16, lines, columns}, {blocks, lines, columns, 16},
              [](const Indices& i) { return Indices{i[0] * Expr(16) + i[3], i[1], i[2]}; });
}

TEST(ScheduleExchange, WholeSquares) {
  const Target target = Target::Parse("x86-64-v4");
  EXPECT_EQ(Scattered(FromBlocks(64, 96), target), 0);
  EXPECT_EQ(Scattered(ToBlocks(3, 5, 32), target), 0);
  EXPECT_EQ(Scattered(FromBlocks(48, 12), target), 0);
  EXPECT_EQ(Scattered(ToBlocks(2, 3, 14), target), 0);
}

TEST(ScheduleExchange, OtherExtents) {
  for (const char* name : {"x86-64-v3", "x86-64-v4"}) {
    const Target target = Target::Parse(name);
    for (int64_t channels : {16, 21, 79}) {
      for (int64_t places : {9, 17, 31, 50}) Scattered(FromBlocks(channels, places), target);
    }
  }
}

TEST(ScheduleExchange, OtherLines) {
  for (int64_t columns : {9, 18, 31}) Scattered(ToBlocks(2, 3, columns), Target::Parse("x86-64-v4"));
}

TEST(ScheduleExchange, OtherOrders) {
  const Target target = Target::Parse("x86-64-v4");
  const PrimFunc f =
      Copy({37, 3, 45}, {45, 3, 37}, [](const Indices& i) { return Indices{i[2], i[1], i[0]}; });
  Scattered(f, target);
}

TEST(ScheduleExchange, LeavesOthers) {
  const Target target = Target::Parse("x86-64-v4");
  const PrimFunc same = Copy({20, 40}, {20, 40}, [](const Indices& i) { return Indices{i[0], i[1]}; });
  const PrimFunc few = Copy({40, 5}, {5, 40}, [](const Indices& i) { return Indices{i[1], i[0]}; });
  for (const PrimFunc& f : {same, few}) {
    Schedule s(f);
    EXPECT_FALSE(ScheduleExchange(s, s.Blocks().front(), {target, {}}));
  }
}

}  // namespace
}  // namespace tilewright::cpu
