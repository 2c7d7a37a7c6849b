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

TEST(PadFilters, ArgumentsOfOddChannelsGetZeros) {
  TestModule m;
  const Value x = m.Input({1, 19, 9, 9});
  const Value a = m.Conv(x, m.RandomConstant({64, 19, 3, 3}, 1)),
              b = m.Conv(x, m.RandomConstant({32, 19, 3, 3}, 2));
  const IRModule padded = Padded(m.Finish({a, b}));  // which compares the results, too
  EXPECT_EQ(CountCalls(padded, "Pad"), 1) << "once for both";
  for (const Binding& binding : BindingsOf(padded)) {
    auto* call = binding.operation.As<OpCallNode>();
    if (call && call->op->name == "Conv") {
      EXPECT_EQ(AsInt(call->args[0].tensor().shape[1]), 32);
    }
  }
}

TEST(PadFilters, ArgumentsThatFillBlocksStay) {
  // Few channels stay in natural order, 24 are three halves of a vector.
  for (int64_t channels : {3, 7, 16, 24}) {
    TestModule m;
    const Value y = m.Conv(m.Input({1, channels, 9, 9}), m.RandomConstant({64, channels, 3, 3}, 1));
    EXPECT_EQ(CountCalls(Padded(m.Finish({y})), "Pad"), 0) << channels;
  }
}

TEST(PadFilters, NoCopyForOneFilter) {
  TestModule m;
  const Value y = m.Conv(m.Input({1, 19, 9, 9}), m.RandomConstant({1, 19, 1, 1}, 1));
  EXPECT_EQ(CountCalls(Padded(m.Finish({y})), "Pad"), 0);
}

TEST(PadFilters, NotWhereNothingIsSaved) {
  for (int64_t filters : {1, 2, 8, 16, 24 + 8}) {
    TestModule m;
    EXPECT_THAT(Filters(Padded(m.Finish({Head(m, filters)}))), ElementsAre(filters));
  }
}

/// Channels of all results of an operator.
std::vector<int64_t> ChannelsOf(const IRModule& module, const std::string& op) {
  std::vector<int64_t> channels;
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<OpCallNode>();
    if (call && call->op->name == op) channels.push_back(*AsInt(b.results[0].tensor().shape[1]));
  }
  return channels;
}

TEST(PadFilters, BlocksThatMoveInPiecesCostMore) {
  // Eight blocks of 15 are no more vectors than eight of 16, but none moves as a whole.
  TestModule m;
  Value x = m.Call("Relu", {Head(m, 120)});
  x = m.Call("Relu", {m.Conv(x, m.RandomConstant({120, 1, 3, 3}, 3), m.RandomConstant({120}, 4), 120)});
  const Value mean = m.Call("ReduceMean", {x}, {{"axes", std::vector<int64_t>{2, 3}}, {"keepdims", true}});
  const Value gate = m.Call("Sigmoid", {m.Conv(mean, m.RandomConstant({120, 120, 1, 1}, 5), nullptr, 1, 0)});
  const Value y = m.Conv(m.Call("Mul", {x, gate}), m.RandomConstant({16, 120, 1, 1}, 6), nullptr, 1, 0);
  EXPECT_THAT(Filters(Padded(m.Finish({y}))), ElementsAre(128, 128, 128, 16));
}

TEST(PadFilters, NotWhereReadersTakeLonger) {
  // Eight more channels make the second product a third deeper.
  TestModule m;
  const Value x = m.Conv(m.Input({1, 16, 3, 4}), m.RandomConstant({24, 16, 1, 1}, 1), nullptr, 1, 0);
  const Value y = m.Conv(x, m.RandomConstant({96, 24, 3, 3}, 2), nullptr);
  EXPECT_THAT(Filters(Padded(m.Finish({y}))), ElementsAre(24, 96));
}

TEST(PadFilters, TheSurplusGoesOnToConvolutions) {
  TestModule m;
  Value x = m.Call("Relu", {Head(m, 58)});
  x = m.Conv(x, m.RandomConstant({58, 1, 3, 3}, 3), m.RandomConstant({58}, 4), 58);
  x = m.Conv(m.Call("Sigmoid", {x}), m.RandomConstant({16, 58, 1, 1}, 5), nullptr, 1, 0);
  const IRModule padded = Padded(m.Finish({x}));
  EXPECT_THAT(Filters(padded), ElementsAre(64, 64, 16));
  EXPECT_EQ(CountCalls(padded, "Slice"), 0);
}

TEST(PadFilters, SumsAndPoolingShareTheSurplus) {
  TestModule m;
  Value x = m.Call("Relu", {Head(m, 40)});
  Value y = m.Call("Add", {x, m.Conv(x, m.RandomConstant({40, 40, 3, 3}, 3), m.RandomConstant({40}, 4))});
  Value mean = m.Call("ReduceMean", {y}, {{"axes", std::vector<int64_t>{2, 3}}, {"keepdims", true}});
  Value gate = m.Call("Sigmoid", {m.Conv(mean, m.RandomConstant({40, 40, 1, 1}, 5), nullptr, 1, 0)});
  Value z = m.Conv(m.Call("Mul", {y, gate}), m.RandomConstant({16, 40, 1, 1}, 6), nullptr, 1, 0);
  const IRModule padded = Padded(m.Finish({z}));
  EXPECT_THAT(Filters(padded), ElementsAre(48, 48, 48, 16));
  EXPECT_THAT(ChannelsOf(padded, "ReduceMean"), ElementsAre(48));
  EXPECT_EQ(CountCalls(padded, "Slice"), 0);
}

TEST(PadFilters, WorkThatMeetsAgainIsOneRegion) {
  TestModule m;
  Value x = Head(m, 40);
  x = m.Call("Mul", {x, m.Call("Sigmoid", {x})});
  Value y = m.Conv(m.Call("Add", {x, x}), m.RandomConstant({16, 40, 1, 1}, 6), nullptr, 1, 0);
  const IRModule padded = Padded(m.Finish({y}));
  EXPECT_THAT(Filters(padded), ElementsAre(48, 16));
  EXPECT_EQ(CountCalls(padded, "Slice"), 0);
}

TEST(PadFilters, OthersReadWhatIsCut) {
  TestModule m;
  Value x = m.Call("Relu", {Head(m, 58)});
  Value y = m.Conv(x, m.RandomConstant({16, 58, 1, 1}, 5), nullptr, 1, 0);
  Value z = m.Call("Add", {x, m.Input({1, 58, 3, 4})});
  const IRModule padded = Padded(m.Finish({y, z}));
  EXPECT_THAT(Filters(padded), ElementsAre(64, 16));
  EXPECT_THAT(ChannelsOf(padded, "Add"), ElementsAre(58));
  EXPECT_EQ(CountCalls(padded, "Slice"), 1);
}

TEST(PadFilters, NoSurplusThatIsNotFinite) {
  TestModule m;  // the logarithm of 0, which zeros would not make 0
  Value x = m.Call("Log", {m.Call("Abs", {Head(m, 58)})});
  Value y = m.Conv(x, m.RandomConstant({16, 58, 1, 1}, 5), nullptr, 1, 0);
  EXPECT_THAT(ChannelsOf(Padded(m.Finish({y})), "Log"), ElementsAre(58));
}

TEST(PadFilters, NotWhereTheCutCostsMore) {
  TestModule a, b;
  // One product per result saves less than a copy costs.
  const Value thin = a.Conv(a.Input({1, 1, 3, 4}), a.RandomConstant({40, 1, 1, 1}, 1), nullptr, 1, 0);
  EXPECT_THAT(Filters(Padded(a.Finish({a.Call("Add", {thin, a.Input({1, 40, 3, 4})})}))), ElementsAre(40));
  EXPECT_THAT(Filters(Padded(b.Finish({b.Call("Add", {Head(b, 40), b.Input({1, 40, 3, 4})})}))),
              ElementsAre(48));
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
