// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/transposed_convolutions.h"

#include <gtest/gtest.h>

#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

struct Calls {
  int convolutions, interleavings;
  bool operator==(const Calls&) const = default;
};

/// What the pass makes of a transposed convolution; it compares the results, too.
Calls CallsOf(const std::vector<int64_t>& image, const std::vector<int64_t>& weight,
              const std::vector<int64_t>& strides, const std::vector<int64_t>& pads,
              const std::vector<int64_t>& padding, int64_t dilation = 1) {
  TestModule m;
  const Value y =
      m.Call("ConvTranspose", {m.Input(image), m.RandomConstant(weight, 1), m.RandomConstant({weight[1]}, 2)},
             {{"strides", strides},
              {"dilations", std::vector<int64_t>(strides.size(), dilation)},
              {"pads", pads},
              {"groups", int64_t(1)},
              {"output_padding", padding}});
  const IRModule after = ApplyPass(
      m.Finish({y}), [](const IRModule& x) { return TransposedConvolutions(x, Target::Parse("x86-64-v4")); },
      1e-5);
  return {CountCalls(after, "Conv"), CountCalls(after, "InterleavePhases")};
}

TEST(TransposedConvolutions, ByStridesOfOneAreConvolutions) {
  EXPECT_EQ(CallsOf({2, 5, 4, 6}, {5, 7, 3, 4}, {1, 1}, {0, 1, 2, 0}, {0, 0}), (Calls{1, 0}));
  EXPECT_EQ(CallsOf({1, 3, 5}, {3, 2, 5}, {1}, {2, 2}, {0}), (Calls{1, 0}));
}

TEST(TransposedConvolutions, OfPhasesWithUnequalTaps) {
  EXPECT_EQ(CallsOf({2, 9, 4, 6}, {9, 18, 5, 3}, {2, 2}, {0, 0, 0, 0}, {0, 0}), (Calls{4, 1}));
  EXPECT_EQ(CallsOf({1, 40, 4, 3}, {40, 3, 5, 4}, {3, 2}, {1, 1, 0, 2}, {1, 0}), (Calls{2, 1}));
  EXPECT_EQ(CallsOf({1, 40, 7}, {40, 20, 7}, {4}, {1, 2}, {3}), (Calls{2, 1}));
}

TEST(TransposedConvolutions, OfPhasesThatEndEarly) {
  EXPECT_EQ(CallsOf({1, 40, 5, 4}, {40, 17, 4, 2}, {2, 2}, {1, 0, 2, 1}, {0, 0}), (Calls{1, 1}));
}

TEST(TransposedConvolutions, OfFewFilters) {
  EXPECT_EQ(CallsOf({1, 64, 6, 6}, {64, 3, 4, 4}, {2, 2}, {1, 1, 1, 1}, {0, 0}), (Calls{1, 1}));
}

TEST(TransposedConvolutions, OfWeightsThatAreNoConstants) {
  TestModule m;
  const Value y = m.Call("ConvTranspose", {m.Input({1, 4, 5, 6}), m.Input({4, 3, 3, 4})},
                         {{"strides", std::vector<int64_t>{2, 3}},
                          {"dilations", std::vector<int64_t>{1, 1}},
                          {"pads", std::vector<int64_t>{1, 0, 0, 2}},
                          {"groups", int64_t(1)},
                          {"output_padding", std::vector<int64_t>{1, 0}}});
  const IRModule after = ApplyPass(
      m.Finish({y}), [](const IRModule& x) { return TransposedConvolutions(x, Target::Parse("x86-64-v4")); },
      1e-5);
  EXPECT_EQ(CountCalls(after, "ConvTranspose"), 1);
  EXPECT_EQ(CountCalls(after, "Pad"), 1);
  EXPECT_EQ(CountCalls(after, "Slice"), 1);
}

TEST(TransposedConvolutions, NotWhereNothingIsSaved) {
  EXPECT_EQ(CallsOf({1, 4, 6, 6}, {4, 16, 4, 4}, {2, 2}, {1, 1, 1, 1}, {0, 0}), (Calls{0, 0}));
  EXPECT_EQ(CallsOf({1, 4, 6, 6}, {4, 16, 3, 3}, {1, 1}, {1, 1, 1, 1}, {0, 0}, 2), (Calls{0, 0}));
  // Windows that do not reach from one element to the next, and ends that are cut off beyond the first tap.
  EXPECT_EQ(CallsOf({1, 4, 6, 6}, {4, 16, 1, 1}, {2, 2}, {0, 0, 0, 0}, {0, 0}), (Calls{0, 0}));
  EXPECT_EQ(CallsOf({1, 4, 6, 6}, {4, 16, 3, 3}, {1, 1}, {3, 3, 0, 0}, {0, 0}), (Calls{0, 0}));
}

}  // namespace
}  // namespace tilewright
