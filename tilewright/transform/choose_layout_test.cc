// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/choose_layout.h"

#include <gtest/gtest.h>

#include "tilewright/target/target.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

constexpr double kTolerance = 1e-5;  // sums of f32 in another order

Target TestTarget() { return Target::Parse("x86-64-v4"); }

IRModule Laid(const IRModule& module) {
  return ApplyPass(module, [](const IRModule& m) { return ChooseLayout(m, TestTarget()); }, kTolerance);
}

/// The layout of the result of the only call of an operator.
std::string LayoutOf(const IRModule& module, const std::string& op) {
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<OpCallNode>();
    if (call && call->op->name == op) return b.results[0].tensor().layout.ToString();
  }
  return "there is none";
}

Annotations Pooling() {
  const std::vector<int64_t> twos = {2, 2}, ones = {1, 1};
  return {{"kernel", twos}, {"strides", twos}, {"dilations", ones}, {"pads", std::vector<int64_t>(4, 0)}};
}

TEST(ChooseLayout, ChannelsAreBlockedFromTheFirstToTheLastConvolution) {
  TestModule m;
  Value x = m.Input({1, 16, 4, 4});
  Value y = m.Call("Relu", {m.Conv(x, m.RandomConstant({32, 16, 3, 3}, 1))});
  y = m.Call("MaxPool", {m.Call("Add", {y, m.RandomConstant({32, 1, 1}, 2)})}, Pooling());
  y = m.Conv(y, m.RandomConstant({16, 32, 1, 1}, 3), nullptr, 1, 0);
  const IRModule after = Laid(m.Finish({y}));
  for (const char* op : {"Relu", "Add", "MaxPool"}) EXPECT_EQ(LayoutOf(after, op), "0 1 2 3 1:16") << op;
  EXPECT_EQ(CountCalls(after, "Relayout"), 2) << "one on the way in, one on the way out";
  const GraphFunction f = GetGraphFunction(after);
  EXPECT_TRUE(f->params[0].tensor().layout.natural());
  EXPECT_TRUE(f->body.results[0].tensor().layout.natural());
}

TEST(ChooseLayout, FewChannelsStayNatural) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 3, 4, 4}), m.RandomConstant({16, 3, 3, 3}, 1));
  EXPECT_EQ(CountCalls(Laid(m.Finish({y})), "Relayout"), 1);
}

TEST(ChooseLayout, WhatNeedsNaturalOrderGetsIt) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 16, 4, 4}), m.RandomConstant({16, 16, 1, 1}, 1), nullptr, 1, 0);
  Value flat = m.Call("Reshape", {y}, {{"shape", std::vector<Expr>{1, 256}}});
  Value swapped = m.Call("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}});
  const IRModule after = Laid(m.Finish({flat, swapped, y}));
  EXPECT_EQ(CountCalls(after, "Relayout"), 2) << "readers and results share one conversion";
}

TEST(ChooseLayout, ReductionsOverPlacesKeepBlocksOfChannels) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 16, 8, 8}), m.RandomConstant({32, 16, 3, 3}, 1));
  auto reduce = [&](std::vector<int64_t> axes, bool keepdims) {
    return m.Call("ReduceMean", {y}, {{"axes", std::move(axes)}, {"keepdims", keepdims}});
  };
  const IRModule places = Laid(m.Finish({m.Call("Relu", {reduce({2, 3}, true)})}));
  EXPECT_EQ(LayoutOf(places, "ReduceMean"), "0 1 2 3 1:16");
  EXPECT_EQ(LayoutOf(places, "Relu"), "0 1 2 3 1:16");
}

TEST(ChooseLayout, ReductionsOverChannelsHaveNoBlocks) {
  for (const bool keepdims : {false, true}) {
    TestModule m;
    Value y = m.Conv(m.Input({1, 16, 8, 8}), m.RandomConstant({32, 16, 3, 3}, 1));
    y = m.Call("ReduceMax", {y}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", keepdims}});
    EXPECT_EQ(LayoutOf(Laid(m.Finish({y})), "ReduceMax"), "");
  }
}

TEST(ChooseLayout, ConcatenationTakesTheCommonBlock) {
  TestModule m;
  Value x = m.Input({1, 16, 4, 4});
  Value a = m.Conv(x, m.RandomConstant({16, 16, 1, 1}, 1), nullptr, 1, 0);
  Value b = m.Conv(x, m.RandomConstant({8, 16, 1, 1}, 2), nullptr, 1, 0);
  const IRModule after = Laid(m.Finish({m.Call("Concat", {a, b}, {{"axis", int64_t(1)}})}));
  EXPECT_EQ(LayoutOf(after, "Concat"), "0 1 2 3 1:8");
}

TEST(ChooseLayout, OddChannelsAndUnevenResidualsAgree) {
  TestModule m;
  Value x = m.Input({1, 6, 5, 5});
  Value a = m.Conv(x, m.RandomConstant({6, 6, 3, 3}, 1)), b = m.Conv(x, m.RandomConstant({7, 6, 3, 3}, 2));
  Value sum = m.Call("Add", {a, x});
  Laid(m.Finish({sum, b, m.Call("Softmax", {a}, {{"axis", int64_t(1)}})}));
}

TEST(ChooseLayout, NothingHeavyNothingChanges) {
  TestModule m;
  Value x = m.Input({1, 16, 4, 4});
  const IRModule module = m.Finish({m.Call("MaxPool", {m.Call("Relu", {x})}, Pooling())});
  EXPECT_TRUE(GetGraphFunction(Laid(module)) == GetGraphFunction(module));
}

}  // namespace
}  // namespace tilewright
