// SPDX-License-Identifier: Apache-2.0
// Traces print, read back, and replay to an equal function.
#include "tilewright/schedule/trace.h"

#include "tilewright/schedule/schedule.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/tir/compare.h"

namespace tilewright {
namespace {

Schedule Scheduled() {
  Schedule s(MatmulRelu(29, 40, 12));
  BlockRef c = s.GetBlock("C"), d = s.GetBlock("D");
  Var k("k"), n("n");
  s.TransformLayout(s.func()->buffers[1], {k, n}, {FloorDiv(n, 16), k, FloorMod(n, 16)}, true);
  s.SetScope(c, 0, "register");
  std::vector<LoopRef> loops = s.GetLoops(d);
  std::vector<LoopRef> i = s.SplitNearEqual(loops[0], 4), j = s.Split(loops[1], {nullptr, 16});
  s.ComputeAt(c, i[0]);
  s.Annotate(d, "tiles", std::vector<int64_t>{4, 16});
  s.LoopPartition(i[0], {1});
  BlockRef part = s.GetBlock("C_p1");
  s.DecomposeReduction(part, s.GetLoops(part)[2]);
  s.Unroll(s.GetLoops(part)[1]);
  return s;
}

TEST(Trace, PrintsAsCode) {
  const std::string text = Scheduled().trace().ToString();
  EXPECT_THAT(text, testing::HasSubstr("b0 = s.get_block(\"C\")\n"));
  EXPECT_THAT(text,
              testing::HasSubstr("s.transform_layout(\"B\", lambda k, n: [n // 16, k, n % 16], True)\n"));
  EXPECT_THAT(text, testing::HasSubstr("l0, l1 = s.get_loops(b1)\n"));
  EXPECT_THAT(text, testing::HasSubstr("l2, l3 = s.split_near_equal(l0, 4)\n"));
  EXPECT_THAT(text, testing::HasSubstr("l4, l5 = s.split(l1, [None, 16])\n"));
  EXPECT_THAT(text, testing::HasSubstr("s.annotate(b1, \"tiles\", ints[4, 16])\n"));
}

TEST(Trace, ReplaysAfterReading) {
  Schedule s = Scheduled();
  const std::string text = s.trace().ToString();
  Schedule copy(MatmulRelu(29, 40, 12));
  Trace::Parse(text).Replay(copy);
  EXPECT_EQ(ToString(copy.func()), ToString(s.func()));
  EXPECT_EQ(copy.trace().ToString(), text);
  EXPECT_EQ(copy.prepare().size(), 1u);
}

TEST(Trace, ErrorsNameTheStep) {
  Schedule s(MatmulRelu(8, 8, 8));
  ExpectError([&] { Trace::Parse("b0 = s.get_block(\"X\")").Replay(s); }, "TW1402", "get_block(\"X\")");
  ExpectError([&] { Trace::Parse("s.parallel(l7)").Replay(s); }, "TW1402", "no step before defines 'l7'");
  ExpectError([&] { Trace::Parse("s.frobnicate()").Replay(s); }, "TW1402", "no primitive 'frobnicate'");
  ExpectError([&] { Trace::Parse("l0 = s.split(l1, [None, 8)"); }, "TW1421", "");
  ExpectError([&] { Trace::Parse("t.split(l1)"); }, "TW1421", "");
}

}  // namespace
}  // namespace tilewright
