// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/flush_tiny.h"

#include <gtest/gtest.h>

#include "tilewright/graph/rewrite.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

using testing::ElementsAre;

constexpr float kLeast = 0x1p-100f, kTiny = 0x1p-101f, kSubnormal = 0x1p-149f;

NDArray Weight() { return NDArray::FromVector<float>(kF32, {2, 2}, {kTiny, -kTiny, kLeast, kSubnormal}); }

/// The elements of the only constant of four.
std::vector<double> WeightOf(const IRModule& module) {
  const Binding* call = nullptr;
  for (const Binding& b : BindingsOf(module)) {
    if (b.operation.As<OpCallNode>()) call = &b;
  }
  const auto definitions = Definitions(GetGraphFunction(module)->body);
  return ConstantOf(call->operation.As<OpCallNode>()->args[1], definitions)->ToDoubles();
}

TEST(FlushTiny, OfProductsAreZerosOfTheSameSign) {
  TestModule m;
  const Value y = m.Call("MatMul", {m.Input({3, 2}), m.Constant(Weight())});
  const std::vector<double> after = WeightOf(ApplyPass(m.Finish({y}), FlushTiny, 1e-30));
  EXPECT_THAT(after, ElementsAre(0, 0, double(kLeast), 0));
  EXPECT_TRUE(std::signbit(after[1]));
}

TEST(FlushTiny, ElsewhereTheyStay) {
  TestModule m;
  const Value sum = m.Call("Add", {m.Input({2, 2}), m.Constant(Weight())});
  const IRModule module = m.Finish({sum});
  EXPECT_EQ(WeightOf(FlushTiny(module)), Weight().ToDoubles());
}

TEST(FlushTiny, WithoutAnyNothingChanges) {
  TestModule m;
  const IRModule module = m.Finish({m.Call("MatMul", {m.Input({3, 2}), m.RandomConstant({2, 2}, 1)})});
  EXPECT_EQ(GetGraphFunction(FlushTiny(module)).get(), GetGraphFunction(module).get());
}

}  // namespace
}  // namespace tilewright
