// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/order_pooling.h"

#include <gtest/gtest.h>

#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

using testing::ElementsAre;

Value Pool(TestModule& m, const Value& x, int64_t stride, int64_t pad, bool count = true, bool ceil = false) {
  return m.Call("AveragePool", {x},
                {{"kernel", std::vector<int64_t>{3, 3}},
                 {"strides", std::vector<int64_t>{stride, stride}},
                 {"dilations", std::vector<int64_t>{1, 1}},
                 {"pads", std::vector<int64_t>(4, pad)},
                 {"ceil_mode", ceil},
                 {"count_include_pad", count}});
}
Value Pointwise(TestModule& m, const Value& x, int64_t filters, bool bias) {
  const int64_t channels = *AsInt(x.tensor().shape[1]);
  return m.Conv(x, m.RandomConstant({filters, channels, 1, 1}, 1),
                bias ? m.RandomConstant({filters}, 2) : nullptr, 1, 0);
}

/// The operators in their order, after the pass.
std::vector<std::string> Ordered(TestModule& m, const Value& result) {
  const IRModule module = ApplyPass(
      m.Finish({result}), [](const IRModule& x) { return EliminateDeadCode(OrderPooling(x)); }, 1e-5);
  std::vector<std::string> operators;
  for (const Binding& b : BindingsOf(module)) {
    if (auto* call = b.operation.As<OpCallNode>()) operators.push_back(call->op->name);
  }
  return operators;
}

TEST(OrderPooling, SmallerImagesFirst) {
  for (bool count : {true, false}) {
    for (bool bias : {true, false}) {
      TestModule m;
      EXPECT_THAT(Ordered(m, Pool(m, Pointwise(m, m.Input({1, 8, 9, 9}), 6, bias), 2, 0, count)),
                  ElementsAre("AveragePool", "Conv"));
    }
  }
  // Borders: where their zeros count, a bias would not.
  TestModule a, b, c;
  EXPECT_THAT(Ordered(a, Pool(a, Pointwise(a, a.Input({1, 8, 9, 9}), 6, true), 2, 1, true)),
              ElementsAre("Conv", "AveragePool"));
  EXPECT_THAT(Ordered(b, Pool(b, Pointwise(b, b.Input({1, 8, 9, 9}), 6, false), 2, 1, true)),
              ElementsAre("AveragePool", "Conv"));
  EXPECT_THAT(Ordered(c, Pool(c, Pointwise(c, c.Input({1, 8, 8, 8}), 6, true), 2, 1, false, true)),
              ElementsAre("AveragePool", "Conv"));
}

TEST(OrderPooling, FewerChannelsFirst) {
  for (bool count : {true, false}) {
    TestModule a, b;
    EXPECT_THAT(Ordered(a, Pointwise(a, Pool(a, a.Input({2, 8, 9, 9}), 1, 1, count), 4, false)),
                ElementsAre("Conv", "AveragePool"));
    EXPECT_THAT(Ordered(b, Pointwise(b, Pool(b, b.Input({2, 8, 9, 9}), 1, 1, count), 4, true)),
                ElementsAre("Conv", "AveragePool", "Reshape", "Add"));
  }
  TestModule more;
  EXPECT_THAT(Ordered(more, Pointwise(more, Pool(more, more.Input({1, 4, 9, 9}), 1, 1), 8, true)),
              ElementsAre("AveragePool", "Conv"));
}

TEST(OrderPooling, NotWhereOthersReadWhatLiesBetween) {
  TestModule m;
  Value between = Pointwise(m, m.Input({1, 8, 9, 9}), 6, false);
  Value pooled = Pool(m, between, 1, 1);
  EXPECT_THAT(Ordered(m, m.Call("Add", {between, pooled})), ElementsAre("Conv", "AveragePool", "Add"));
}

TEST(OrderPooling, OperatorsWithoutArguments) {
  TestModule m;
  Value full = m.Call("Full", {}, {{"dtype", kF32}, {"shape", std::vector<Expr>{2, 3}}, {"value", 1.0}});
  EXPECT_THAT(Ordered(m, m.Call("Add", {full, m.Input({2, 3})})), ElementsAre("Full", "Add"));
}

TEST(OrderPooling, NotForOtherConvolutions) {
  TestModule a, b;
  Value wide = a.Conv(a.Input({1, 8, 9, 9}), a.RandomConstant({6, 8, 3, 3}, 1));
  EXPECT_THAT(Ordered(a, Pool(a, wide, 2, 0)), ElementsAre("Conv", "AveragePool"));
  Value grouped = b.Conv(b.Input({1, 8, 9, 9}), b.RandomConstant({6, 4, 1, 1}, 1), nullptr, 2, 0);
  EXPECT_THAT(Ordered(b, Pool(b, grouped, 2, 0)), ElementsAre("Conv", "AveragePool"));
}

}  // namespace
}  // namespace tilewright
