// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/separate_borders.h"

#include <gtest/gtest.h>

#include "tilewright/target/target.h"
#include "tilewright/transform/choose_layout.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

/// With layouts chosen, as the pass wants it.
IRModule Separated(const IRModule& module) {
  const IRModule laid = ChooseLayout(module, Target::Parse("x86-64-v4"));
  return ApplyPass(laid, SeparateBorders);
}

Annotations Pool(int64_t pad, bool ceil, bool count) {
  return {{"kernel", std::vector<int64_t>{3, 3}},
          {"strides", std::vector<int64_t>{2, 2}},
          {"dilations", std::vector<int64_t>{1, 1}},
          {"pads", std::vector<int64_t>(4, pad)},
          {"ceil_mode", ceil},
          {"count_include_pad", count}};
}

/// relu(conv(x)), blocked.
Value Producer(TestModule& m) {
  return m.Call("Relu", {m.Conv(m.Input({1, 16, 7, 7}), m.RandomConstant({16, 16, 1, 1}, 1), nullptr, 1, 0)});
}

TEST(SeparateBorders, TheProducerWritesTheBorder) {
  TestModule m;
  EXPECT_EQ(
      CountCalls(Separated(m.Finish({m.Conv(Producer(m), m.RandomConstant({16, 16, 3, 3}, 2))})), "Border"),
      1);
}

TEST(SeparateBorders, PoolingsThatDoNotCountTheBorder) {
  TestModule a, b, c, d;
  EXPECT_EQ(
      CountCalls(Separated(a.Finish({a.Call("MaxPool", {Producer(a)}, Pool(1, false, false))})), "Border"),
      1);
  EXPECT_EQ(
      CountCalls(Separated(b.Finish({b.Call("AveragePool", {Producer(b)}, Pool(1, false, true))})), "Border"),
      1);
  EXPECT_EQ(CountCalls(Separated(c.Finish({c.Call("AveragePool", {Producer(c)}, Pool(1, false, false))})),
                       "Border"),
            0);
  EXPECT_EQ(
      CountCalls(Separated(d.Finish({d.Call("MaxPool", {Producer(d)}, Pool(1, true, false))})), "Border"), 0);
}

TEST(SeparateBorders, NotWithoutPadding) {
  TestModule m;
  Value y = m.Conv(Producer(m), m.RandomConstant({16, 16, 3, 3}, 2), nullptr, 1, 0);
  EXPECT_EQ(CountCalls(Separated(m.Finish({y})), "Border"), 0);
}

TEST(SeparateBorders, NotWhereOthersReadOrNothingMakesTheArgument) {
  TestModule m;
  Value x = Producer(m), y = m.Conv(x, m.RandomConstant({16, 16, 3, 3}, 2));
  EXPECT_EQ(CountCalls(Separated(m.Finish({m.Call("Add", {x, y})})), "Border"), 0);
  TestModule n;
  Value z = n.Conv(n.Input({1, 3, 7, 7}), n.RandomConstant({16, 3, 3, 3}, 2));
  EXPECT_EQ(CountCalls(Separated(n.Finish({z})), "Border"), 0) << "an image in natural order";
}

}  // namespace
}  // namespace tilewright
