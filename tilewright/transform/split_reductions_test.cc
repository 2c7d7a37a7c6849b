// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/split_reductions.h"

#include <gtest/gtest.h>

#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using Integers = std::vector<int64_t>;

/// The axes that each reduction has after the pass.
std::vector<Integers> Split(const std::string& op, const Integers& shape, const Integers& axes,
                            bool keep = true) {
  TestModule m;
  const IRModule module = ApplyPass(
      m.Finish({m.Call(op, {m.Input(shape)}, {{"axes", axes}, {"keepdims", keep}})}),
      [](const IRModule& x) { return EliminateDeadCode(SplitReductions(x)); }, 1e-5);
  std::vector<Integers> found;
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<OpCallNode>();
    if (call && call->op->name == op) found.push_back(std::get<Integers>(call->attrs.ToMap().at("axes")));
  }
  return found;
}

TEST(SplitReductions, TheLargerPartFirst) {
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"}) {
    for (bool keep : {true, false}) {
      SCOPED_TRACE(op);
      EXPECT_THAT(Split(op, {2, 20, 3, 4}, {1, 3}, keep), ElementsAre(Integers{1}, Integers{2}));
      EXPECT_THAT(Split(op, {2, 3, 4, 20}, {-1, 1}, keep), ElementsAre(Integers{3}, Integers{1}));
      EXPECT_THAT(Split(op, {3, 2, 4, 5, 2}, {0, 3, 4, 2}, keep),
                  ElementsAre(Integers{2, 3, 4}, Integers{0}));
      EXPECT_THAT(Split(op, {3, 2, 4, 1}, {0, 2}, keep), ElementsAre(Integers{2}, Integers{0}));
    }
  }
}

TEST(SplitReductions, AxesSideBySideStay) {
  EXPECT_THAT(Split("ReduceSum", {2, 3, 4, 5}, {2, 3}), ElementsAre(Integers{2, 3}));
  EXPECT_THAT(Split("ReduceSum", {2, 3, 1, 5}, {1, 3}), ElementsAre(Integers{1, 3}));
  EXPECT_THAT(Split("ReduceSum", {2, 3, 4, 5}, {}), ElementsAre(IsEmpty()));
  // Vectors lie along what is kept.
  EXPECT_THAT(Split("ReduceSum", {2, 3, 4, 5}, {0, 2}), ElementsAre(Integers{0, 2}));
}

}  // namespace
}  // namespace tilewright
