// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pointwise_products.h"

#include <gtest/gtest.h>

#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

/// How many products the pass makes; it compares the results, too.
int ProductsOf(TestModule& m, const Value& result) {
  const IRModule after = ApplyPass(
      m.Finish({result}), [](const IRModule& x) { return PointwiseProducts(x, Target::Parse("x86-64-v4")); },
      1e-5);
  return CountCalls(after, "MatMul");
}

Value Pointwise(TestModule& m, const Value& x, int64_t filters, bool bias = false) {
  return m.Conv(x, m.RandomConstant({filters, *AsInt(x.tensor().shape[1]), 1, 1}, 1),
                bias ? m.RandomConstant({filters}, 2) : nullptr, 1, 0);
}

TEST(PointwiseProducts, BetweenNaturalValues) {
  TestModule a, b, c;
  EXPECT_EQ(ProductsOf(a, Pointwise(a, a.Input({2, 5, 8, 9}), 7)), 1);
  EXPECT_EQ(ProductsOf(b, Pointwise(b, b.Input({1, 5, 16, 3}), 7, true)), 1);
  const Value y = Pointwise(c, c.Input({1, 5, 8, 8}), 6);
  EXPECT_EQ(ProductsOf(c, c.Call("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 3, 1}}})), 1);
}

Value Transposed(TestModule& m, const std::vector<int64_t>& image, const std::vector<int64_t>& weight,
                 int64_t stride, int64_t pad, int64_t padding) {
  return m.Call("ConvTranspose",
                {m.Input(image), m.RandomConstant(weight, 1), m.RandomConstant({weight[1]}, 2)},
                {{"strides", std::vector<int64_t>{stride, stride}},
                 {"dilations", std::vector<int64_t>{1, 1}},
                 {"pads", std::vector<int64_t>(4, pad)},
                 {"groups", int64_t(1)},
                 {"output_padding", std::vector<int64_t>{0, padding}}});
}

TEST(PointwiseProducts, OfTransposedConvolutions) {
  TestModule a, b, c, d;
  EXPECT_EQ(ProductsOf(a, Transposed(a, {2, 5, 8, 6}, {5, 17, 1, 1}, 1, 0, 0)), 1);
  EXPECT_EQ(ProductsOf(b, Transposed(b, {2, 64, 4, 8}, {64, 17, 3, 3}, 2, 1, 1)), 1);
  EXPECT_EQ(ProductsOf(c, Transposed(c, {1, 7, 1, 1}, {7, 5, 4, 4}, 1, 0, 0)), 1);
  EXPECT_EQ(ProductsOf(d, Transposed(d, {2, 300, 2, 3}, {300, 12, 4, 5}, 3, 1, 2)), 1);
}

TEST(PointwiseProducts, NotBesideBlocks) {
  TestModule a, b, c;
  EXPECT_EQ(ProductsOf(a, Pointwise(a, Pointwise(a, a.Input({1, 4, 8, 8}), 6), 6)), 0);
  EXPECT_EQ(ProductsOf(b, b.Call("Relu", {Pointwise(b, b.Input({1, 4, 8, 8}), 6)})), 0);
  EXPECT_EQ(ProductsOf(c, Pointwise(c, c.Call("Relu", {c.Input({1, 4, 8, 8})}), 6)), 0);
}

TEST(PointwiseProducts, NotWherePlacesFillNoVectors) {
  TestModule a, b;
  EXPECT_EQ(ProductsOf(a, Pointwise(a, a.Input({1, 256, 1, 1}), 64)), 0);
  EXPECT_EQ(ProductsOf(b, Pointwise(b, b.Input({1, 256, 2, 2}), 256)), 0);
}

TEST(PointwiseProducts, OfGroups) {
  for (bool bias : {false, true}) {
    TestModule m;
    const Value weight = m.RandomConstant({12, 5, 1, 1}, 1);
    EXPECT_EQ(ProductsOf(m, m.Conv(m.Input({2, 15, 8, 9}), weight, bias ? m.RandomConstant({12}, 2) : nullptr,
                                   3, 0)),
              1);
  }
  TestModule depthwise;
  EXPECT_EQ(ProductsOf(depthwise, depthwise.Conv(depthwise.Input({2, 4, 8, 9}),
                                                 depthwise.RandomConstant({4, 1, 1, 1}, 1), nullptr, 4, 0)),
            0);
}

TEST(PointwiseProducts, OfSingleElementsOnly) {
  TestModule a, b;
  EXPECT_EQ(ProductsOf(a, a.Conv(a.Input({1, 4, 8, 8}), a.RandomConstant({6, 4, 3, 3}, 1))), 0);
  EXPECT_EQ(ProductsOf(b, b.Conv(b.Input({1, 4, 8, 8}), b.RandomConstant({6, 4, 1, 1}, 1))), 0) << "padded";
}

}  // namespace
}  // namespace tilewright
