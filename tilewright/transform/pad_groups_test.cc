// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pad_groups.h"

#include <gtest/gtest.h>

#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

/// Filters of the convolution after the pass, which must compute the same.
int64_t FiltersOf(const std::vector<int64_t>& image, const std::vector<int64_t>& weight, int64_t groups,
                  bool bias = false) {
  TestModule m;
  const Value y = m.Conv(m.Input(image), m.RandomConstant(weight, 1),
                         bias ? m.RandomConstant({weight[0]}, 2) : nullptr, groups);
  const IRModule after = ApplyPass(
      m.Finish({y}), [](const IRModule& x) { return PadGroups(x, Target::Parse("x86-64-v4")); }, 1e-5);
  for (const Binding& b : BindingsOf(after)) {
    auto* call = b.operation.As<OpCallNode>();
    if (call && call->op->name == "Conv") return *AsInt(b.results[0].tensor().shape[1]);
  }
  return 0;
}

TEST(PadGroups, WhereFiltersFillNoVectors) {
  EXPECT_EQ(FiltersOf({2, 15, 4, 3}, {51, 5, 3, 3}, 3), 96);
  EXPECT_EQ(FiltersOf({1, 10, 3, 3}, {74, 5, 3, 3}, 2, true), 96);
}

TEST(PadGroups, NotElsewhere) {
  EXPECT_EQ(FiltersOf({1, 10, 3, 3}, {64, 5, 3, 3}, 2), 64);
  EXPECT_EQ(FiltersOf({1, 10, 3, 3}, {22, 5, 3, 3}, 2), 22);
  EXPECT_EQ(FiltersOf({1, 4, 3, 3}, {68, 1, 3, 3}, 4), 68);
  EXPECT_EQ(FiltersOf({1, 10, 3, 3}, {17, 10, 3, 3}, 1), 17);
  // Lines fill vectors.
  EXPECT_EQ(FiltersOf({1, 4, 3, 64}, {34, 2, 3, 3}, 2), 34);
}

}  // namespace
}  // namespace tilewright
