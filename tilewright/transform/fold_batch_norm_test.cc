// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/fold_batch_norm.h"

#include <gtest/gtest.h>

#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

constexpr double kTolerance = 1e-5;  // of f32 arithmetic in another order

Value BatchNorm(TestModule& m, const Value& x, int64_t channels, DataType statistics = kF32) {
  std::vector<Value> args = {x};
  for (uint64_t k = 1; k <= 4; ++k) args.push_back(m.RandomConstant({channels}, k, statistics));
  return m.Call("BatchNormalization", args, {{"epsilon", 0.01}});
}

void ExpectOperators(const IRModule& module, int convs, int batch_norms, const std::string& conv = "Conv") {
  EXPECT_EQ(CountCalls(module, conv), convs);
  EXPECT_EQ(CountCalls(module, "BatchNormalization"), batch_norms);
}

/// The operators on the way from the inputs to the results; what only reads constants is left out.
std::vector<std::string> OnInput(const IRModule& folded) {
  const IRModule module = EliminateDeadCode(folded);
  std::set<const ValueNode*> variable;
  for (const Value& p : GetGraphFunction(module)->params) variable.insert(p.get());
  std::vector<std::string> names;
  for (const Binding& b : BindingsOf(module)) {
    const std::vector<Value> used = UsedValues(b.operation);
    if (std::none_of(used.begin(), used.end(), [&](const Value& v) { return variable.contains(v.get()); }))
      continue;
    variable.insert(b.results[0].get());
    names.push_back(b.operation.As<OpCallNode>()->op->name);
  }
  return names;
}

using testing::ElementsAre;

TEST(FoldBatchNorm, GoesIntoTheConvolution) {
  for (bool bias : {false, true}) {
    TestModule m;
    Value x = m.Input({1, 3, 5, 5});
    Value y = m.Conv(x, m.RandomConstant({4, 3, 3, 3}, 9), bias ? m.RandomConstant({4}, 8) : nullptr);
    const IRModule after = ApplyPass(m.Finish({BatchNorm(m, y, 4)}), FoldBatchNorm, kTolerance);
    EXPECT_THAT(OnInput(after), ElementsAre("Conv"));
  }
}

TEST(FoldBatchNorm, GoesIntoGroups) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 4, 5, 5}), m.RandomConstant({6, 2, 3, 3}, 9), nullptr, 2);
  EXPECT_THAT(OnInput(ApplyPass(m.Finish({BatchNorm(m, y, 6)}), FoldBatchNorm, kTolerance)),
              ElementsAre("Conv"));
}

TEST(FoldBatchNorm, GoesIntoTransposedConvolutionsOfOneGroup) {
  for (int64_t groups : {1, 2}) {
    TestModule m;
    const std::vector<int64_t> ones = {1, 1}, zeros = {0, 0, 0, 0};
    Value y =
        m.Call("ConvTranspose", {m.Input({1, 4, 3, 3}), m.RandomConstant({4, 6 / groups, 2, 2}, 9), nullptr},
               {{"strides", ones},
                {"dilations", ones},
                {"pads", zeros},
                {"groups", groups},
                {"output_padding", std::vector<int64_t>{0, 0}}});
    const std::vector<std::string> left =
        OnInput(ApplyPass(m.Finish({BatchNorm(m, y, 6)}), FoldBatchNorm, kTolerance));
    if (groups == 1) {
      EXPECT_THAT(left, ElementsAre("ConvTranspose"));
    } else {
      EXPECT_THAT(left, ElementsAre("ConvTranspose", "Mul", "Add"));
    }
  }
}

TEST(FoldBatchNorm, LeavesAConvolutionThatOthersRead) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 3, 4, 4}), m.RandomConstant({4, 3, 3, 3}, 9));
  const IRModule after =
      ApplyPass(m.Finish({BatchNorm(m, y, 4), m.Call("Relu", {y})}), FoldBatchNorm, kTolerance);
  EXPECT_THAT(OnInput(after), ElementsAre("Conv", "Mul", "Add", "Relu"));
}

TEST(FoldBatchNorm, LeavesAWeightThatIsAnInput) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 3, 4, 4}), m.Input({4, 3, 3, 3}));
  EXPECT_THAT(OnInput(ApplyPass(m.Finish({BatchNorm(m, y, 4)}), FoldBatchNorm, kTolerance)),
              ElementsAre("Conv", "Mul", "Add"));
}

TEST(FoldBatchNorm, BecomesMultiplyAndAddElsewhere) {
  TestModule m;
  const IRModule after = ApplyPass(m.Finish({BatchNorm(m, m.Input({3, 5}), 5)}), FoldBatchNorm, kTolerance);
  EXPECT_THAT(OnInput(after), ElementsAre("Mul", "Add"));
}

TEST(FoldBatchNorm, ChainsComeOneByOne) {
  TestModule m;
  Value y = m.Conv(m.Input({1, 3, 4, 4}), m.RandomConstant({4, 3, 3, 3}, 9));
  const IRModule after =
      ApplyPass(m.Finish({BatchNorm(m, BatchNorm(m, y, 4), 4)}), FoldBatchNorm, kTolerance);
  EXPECT_THAT(OnInput(after), ElementsAre("Conv", "Mul", "Add"));
}

TEST(FoldBatchNorm, LeavesStatisticsThatAreNotConstantAndNarrowFloats) {
  TestModule m;
  Value x = m.Input({1, 2, 3, 3}), c = m.RandomConstant({2}, 1);
  Value a = m.Call("BatchNormalization", {x, m.Input({2}), c, c, c}, {{"epsilon", 0.01}});
  Value b = BatchNorm(m, m.Input({1, 2, 3, 3}, kF16), 2, kF32),
        d = BatchNorm(m, m.Input({4, 2}, kF16), 2, kF16);
  const IRModule module = m.Finish({a, b, d});
  const IRModule after = ApplyPass(module, FoldBatchNorm);
  ExpectOperators(after, 0, 3);
}

}  // namespace
}  // namespace tilewright
