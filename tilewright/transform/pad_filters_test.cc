// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pad_filters.h"

#include <gtest/gtest.h>

#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

IRModule Padded(const IRModule& module) {
  return ApplyPass(module, [](const IRModule& m) { return PadFilters(m, Target::Parse("x86-64-v4")); });
}

/// Channels of the results of convolutions.
std::vector<int64_t> Filters(const IRModule& module) {
  std::vector<int64_t> filters;
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<OpCallNode>();
    if (call && call->op->name == "Conv") filters.push_back(*AsInt(b.results[0].tensor().shape[1]));
  }
  return filters;
}

using testing::ElementsAre;

/// A convolution with so many filters.
Value Head(TestModule& m, int64_t filters, bool bias = true) {
  return m.Conv(m.Input({1, 8, 3, 4}), m.RandomConstant({filters, 8, 3, 3}, 1),
                bias ? m.RandomConstant({filters}, 2) : nullptr);
}

Annotations Permutation() { return {{"perm", std::vector<int64_t>{0, 2, 3, 1}}}; }

TEST(PadFilters, ChannelsFillVectors) {
  TestModule a, b, c;
  EXPECT_THAT(Filters(Padded(a.Finish({a.Call("Transpose", {Head(a, 40)}, Permutation())}))),
              ElementsAre(48));
  EXPECT_THAT(Filters(Padded(b.Finish({Head(b, 17, false)}))), ElementsAre(32)) << "no divisor makes vectors";
  const IRModule cut = Padded(c.Finish({c.Call("Relu", {Head(c, 40)})}));
  EXPECT_THAT(Filters(cut), ElementsAre(48));
  EXPECT_EQ(CountCalls(cut, "Slice"), 1);
}

TEST(PadFilters, OfTransposedConvolutions) {
  TestModule m;
  const Value y = m.Call(
      "ConvTranspose", {m.Input({1, 5, 3, 4}), m.RandomConstant({5, 17, 2, 2}, 1), m.RandomConstant({17}, 2)},
      {{"strides", std::vector<int64_t>{2, 2}},
       {"dilations", std::vector<int64_t>{1, 1}},
       {"pads", std::vector<int64_t>(4, 0)},
       {"groups", int64_t(1)},
       {"output_padding", std::vector<int64_t>{0, 0}}});
  const IRModule padded = Padded(m.Finish({y}));  // which compares the results, too
  EXPECT_EQ(CountCalls(padded, "Slice"), 1);
}

TEST(PadFilters, NotWhereNothingIsSaved) {
  for (int64_t filters : {1, 2, 8, 12, 16, 24 + 8, 30}) {
    TestModule m;
    EXPECT_THAT(Filters(Padded(m.Finish({Head(m, filters)}))), ElementsAre(filters));
  }
}

TEST(PadFilters, NotWhereBlocksOfChannelsAreRead) {
  TestModule a, b;
  const Value head = Head(a, 40);
  EXPECT_THAT(Filters(Padded(a.Finish({a.Conv(head, a.RandomConstant({16, 40, 1, 1}, 3), nullptr, 1, 0)}))),
              ElementsAre(40, 16));
  EXPECT_THAT(Filters(Padded(b.Finish({b.Call("Add", {Head(b, 40), b.Input({1, 40, 3, 4})})}))),
              ElementsAre(40));
}

TEST(PadFilters, NotWithoutConstantWeightsOrInGroups) {
  TestModule a, b;
  EXPECT_THAT(Filters(Padded(a.Finish({a.Conv(a.Input({1, 8, 3, 4}), a.Input({40, 8, 3, 3}))}))),
              ElementsAre(40));
  EXPECT_THAT(Filters(Padded(
                  b.Finish({b.Conv(b.Input({1, 8, 3, 4}), b.RandomConstant({40, 4, 3, 3}, 1), nullptr, 2)}))),
              ElementsAre(40));
}

}  // namespace
}  // namespace tilewright
