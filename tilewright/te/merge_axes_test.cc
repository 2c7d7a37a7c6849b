// SPDX-License-Identifier: Apache-2.0
#include "tilewright/te/merge_axes.h"

#include <gtest/gtest.h>

#include "tilewright/te/te.h"
#include "tilewright/tir/verify.h"

namespace tilewright::te {
namespace {

std::string ShapeOf(const Buffer& b) {
  std::string text;
  for (const Expr& e : b.shape()) text += (text.empty() ? "" : "x") + ToString(e);
  return text;
}

TEST(MergeAxes, PerChannel) {
  Tensor x = Placeholder("X", kF32, {2, 3, 4, 5}), c = Placeholder("C", kF32, {3, 1, 1});
  Tensor y =
      Compute("Y", {2, 3, 4, 5}, [&](auto& i) { return x({i[0], i[1], i[2], i[3]}) + c({i[1], 0, 0}); });
  const PrimFunc f = MergeAxes(CreatePrimFunc("f", {x, c}, {y}));
  EXPECT_EQ(ShapeOf(f->buffers[0]), "2x3x20");
  EXPECT_EQ(ShapeOf(f->buffers[1]), "3x1x1");
  EXPECT_EQ(ShapeOf(f->buffers[2]), "2x3x20");
}

TEST(MergeAxes, Reductions) {
  Tensor x = Placeholder("X", kF32, {2, 3, 4, 5, 6});
  IterVar r = ReduceAxis(4, "r"), q = ReduceAxis(5, "q");
  Tensor sum =
      Compute("S", {2, 3, 6}, [&](auto& i) { return Sum(x({i[0], i[1], r.var, q.var, i[2]}), {r, q}); });
  Tensor y = Compute("Y", {2, 3, 4, 5, 6},
                     [&](auto& i) { return x({i[0], i[1], i[2], i[3], i[4]}) - sum({i[0], i[1], i[4]}); });
  const PrimFunc f = MergeAxes(CreatePrimFunc("f", {x}, {y}));
  EXPECT_EQ(ShapeOf(f->buffers[0]), "6x20x6");
  EXPECT_EQ(ShapeOf(f->buffers[1]), "6x20x6");
  EXPECT_EQ(ShapeOf(f->body.As<BlockNode>()->allocs[0]), "6x6");
}

TEST(MergeAxes, Transposed) {
  Tensor x = Placeholder("X", kF32, {2, 3, 4, 5});
  Tensor y = Compute("Y", {4, 5, 2, 3}, [&](auto& i) { return x({i[2], i[3], i[0], i[1]}); });
  EXPECT_EQ(ShapeOf(MergeAxes(CreatePrimFunc("f", {x}, {y}))->buffers[1]), "20x6");
  Tensor z = Compute("Z", {5, 4, 3, 2}, [&](auto& i) { return x({i[3], i[2], i[1], i[0]}); });
  const PrimFunc f = CreatePrimFunc("f", {x}, {z});
  EXPECT_EQ(MergeAxes(f).get(), f.get());
}

/// The element of one buffer is an index of another.
TEST(MergeAxes, Gathered) {
  Tensor x = Placeholder("X", kF32, {3, 5, 4}), at = Placeholder("I", kI64, {2, 3});
  Tensor y = Compute("Y", {3, 2, 3, 4}, [&](auto& i) { return x({i[0], at({i[1], i[2]}), i[3]}); });
  const PrimFunc f = MergeAxes(CreatePrimFunc("f", {x, at}, {y}));
  EXPECT_EQ(ShapeOf(f->buffers[1]), "6");
  EXPECT_EQ(ShapeOf(f->buffers[2]), "3x6x4");
  CheckPrimFunc(f);
}

/// An axis that is used by itself anywhere stays what it is: in an index, in a value, in one of two reads.
TEST(MergeAxes, WhatIsUsedAlone) {
  Tensor x = Placeholder("X", kF32, {4, 5});
  auto unchanged = [&](const std::function<Expr(const Axes&)>& body) {
    const PrimFunc f =
        CreatePrimFunc("f", {x}, {Compute("Y", {4, 5}, [&](auto& i) { return Body(body(i)); })});
    EXPECT_EQ(MergeAxes(f).get(), f.get());
  };
  unchanged([&](const Axes& i) { return x({i[0], Expr(4) - i[1]}); });
  unchanged([&](const Axes& i) { return x({i[0], i[1]}) + MakeCast(kF32, i[1]); });
  unchanged([&](const Axes& i) { return x({i[0], i[1]}) + x({i[0], 0}); });
  Tensor wide = Placeholder("X", kF32, {4, 6});
  const PrimFunc part =
      CreatePrimFunc("f", {wide}, {Compute("Y", {4, 5}, [&](auto& i) { return wide({i[0], i[1]}); })});
  EXPECT_EQ(MergeAxes(part).get(), part.get());
}

}  // namespace
}  // namespace tilewright::te
