// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/flatten_rows.h"

#include <gtest/gtest.h>

#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/merge_views.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

Value Product(TestModule& m, const Value& x, int64_t columns, uint64_t seed) {
  const int64_t depth = *AsInt(x.tensor().shape.back());
  return m.Call("MatMul", {x, m.RandomConstant({depth, columns}, seed)},
                {{"transpose_a", false}, {"transpose_b", false}});
}

IRModule Flattened(const IRModule& module) {
  return EliminateDeadCode(MergeViews(ApplyPass(module, FlattenRows, 1e-6)));
}

/// Ranks of the results of an operator's calls.
std::vector<int> RanksOf(const IRModule& module, const std::string& op) {
  std::vector<int> ranks;
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<OpCallNode>();
    if (call && call->op->name == op) ranks.push_back(b.results[0].tensor().rank());
  }
  return ranks;
}

using testing::ElementsAre;
using testing::IsEmpty;

TEST(FlattenRows, ElementwiseWorkStaysWithItsProduct) {
  TestModule m;
  Value x = m.Input({1, 3, 5, 8});
  Value y = m.Call("Add", {m.RandomConstant({6}, 1), Product(m, x, 6, 2)});
  y = m.Call("Mul", {m.Call("Relu", {y}), m.RandomConstant({}, 3)});
  y = m.Call("Mul", {y, m.RandomConstant({1, 1, 1, 6}, 4)});
  y = m.Call("Add", {Product(m, y, 8, 5), x});
  const IRModule after =
      Flattened(m.Finish({m.Call("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 3, 1, 2}}})}));
  EXPECT_THAT(RanksOf(after, "MatMul"), ElementsAre(2, 2));
  EXPECT_THAT(RanksOf(after, "Add"), ElementsAre(2, 2));
  EXPECT_THAT(RanksOf(after, "Mul"), ElementsAre(2, 2));
  EXPECT_THAT(RanksOf(after, "Relu"), ElementsAre(2));
  // The input, the scale of one row, and the result.
  EXPECT_EQ(CountCalls(after, "Reshape"), 3);
}

TEST(FlattenRows, WhatKnowsChannelsByTheirPlaceReadsTheFormerShape) {
  TestModule m;
  Value y = Product(m, m.Input({1, 6, 5, 8}), 6, 2);
  std::vector<Value> args = {y};
  for (uint64_t seed : {1, 2, 3, 4}) args.push_back(m.RandomConstant({6}, seed));
  y = m.Call("BatchNormalization", args, {{"epsilon", 1e-5}});
  const IRModule after = Flattened(m.Finish({y}));
  EXPECT_THAT(RanksOf(after, "MatMul"), ElementsAre(2));
  EXPECT_THAT(RanksOf(after, "BatchNormalization"), ElementsAre(4));
}

TEST(FlattenRows, AResultHasItsShape) {
  TestModule m;
  Value y = Product(m, m.Input({2, 1, 5, 8}), 6, 2);
  EXPECT_THAT(RanksOf(Flattened(m.Finish({y})), "MatMul"), ElementsAre(2));
}

TEST(FlattenRows, RowsOfOneAxisStay) {
  TestModule m;
  Value one = Product(m, m.Input({1, 1, 5, 8}), 6, 2), three = Product(m, m.Input({4, 5, 8}), 6, 3);
  EXPECT_THAT(RanksOf(Flattened(m.Finish({one, three})), "MatMul"), ElementsAre(4, 3));
}

TEST(FlattenRows, MatricesOfTheirOwnStay) {
  TestModule m;
  Value x = m.Input({2, 3, 5, 8}), w = m.Input({2, 3, 8, 4});
  Value y = m.Call("MatMul", {x, w}, {{"transpose_a", false}, {"transpose_b", false}});
  EXPECT_THAT(RanksOf(Flattened(m.Finish({y})), "MatMul"), ElementsAre(4));
}

TEST(FlattenRows, WorkThatTellsRowsApartStaysFused) {
  // A term per column of the image is neither one for all rows nor one for each.
  TestModule m;
  Value y = m.Call("Add", {Product(m, m.Input({2, 3, 5, 8}), 6, 2), m.RandomConstant({5, 6}, 3)});
  const IRModule after = Flattened(m.Finish({y}));
  EXPECT_THAT(RanksOf(after, "MatMul"), ElementsAre(4));
  EXPECT_THAT(RanksOf(after, "Reshape"), IsEmpty());
}

}  // namespace
}  // namespace tilewright
