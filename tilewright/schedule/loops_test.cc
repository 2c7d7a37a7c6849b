// SPDX-License-Identifier: Apache-2.0
// Split, SplitNearEqual, Fuse, Reorder and the kinds of loops.
#include <gmock/gmock.h>

#include "tilewright/schedule/schedule.h"
#include "tilewright/schedule/test_workloads.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

TEST(Loops, SplitWithPredicateAndNested) {
  Schedule s(MatmulRelu(13, 8, 16));
  BlockRef c = s.GetBlock("C");
  std::vector<LoopRef> l = s.GetLoops(c);
  ASSERT_EQ(l.size(), 3u);
  std::vector<LoopRef> i = s.Split(l[0], {nullptr, 4});
  EXPECT_EQ(AsInt(s.Get(i[0]).extent), 4);
  EXPECT_EQ(AsInt(s.Get(i[1]).extent), 4);
  ASSERT_TRUE(s.Get(c).predicate);
  std::vector<LoopRef> k = s.Split(l[2], {2, nullptr, 4});
  EXPECT_EQ(AsInt(s.Get(k[1]).extent), 2);
  EXPECT_EQ(s.GetLoops(c).size(), 6u);
  s.Reorder({i[0], l[1], k[0], i[1]});
  std::vector<LoopRef> order = s.GetLoops(c);
  EXPECT_EQ(order[1], l[1]);
  EXPECT_EQ(order[3], i[1]);
}

TEST(Loops, IllegalKindsNameTheReduction) {
  Schedule s(MatmulRelu(13, 8, 16));
  std::vector<LoopRef> l = s.GetLoops(s.GetBlock("C"));
  const PrimFunc before = s.func();
  ExpectError([&] { s.Parallel(l[2]); }, "TW1407", "reduces");
  EXPECT_EQ(before, s.func());
  s.Parallel(l[0]);
  s.Vectorize(l[1]);
  ExpectError([&] { s.Split(l[0], {nullptr, 2}); }, "TW1405", "parallel already");
}

}  // namespace
}  // namespace tilewright
