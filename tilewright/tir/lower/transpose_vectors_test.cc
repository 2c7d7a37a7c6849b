// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/transpose_vectors.h"

#include <gtest/gtest.h>

#include "tilewright/tir/interpreter.h"

namespace tilewright {
namespace {

/// Copies a rectangle of `rows` by `count` to its transpose, a column at once.
PrimFunc Copy(DataType type, int rows, int64_t count, int64_t stride) {
  Buffer in("in", type, {rows * stride + 5}), out("out", type, {count * 40 + 3});
  Var i("i");
  PrimFuncNode f;
  f.name = "copy";
  f.buffers = {in, out};
  f.stage = TirStage::kLowered;
  const Expr value = MakeLoad(in, {MakeRamp(i + Expr(3), Expr(stride), rows)});
  f.body = MakeFor(i, 2, count, ForKind::kUnrolled,
                   MakeStore(out, value, {MakeRamp(i * Expr(40) - Expr(80), Expr(1), rows)}));
  return PrimFunc(std::move(f));
}

/// Whether the pass makes whole vectors of it; in any case the result must be the same.
bool IsTransposed(DataType type, int rows, int64_t count, const char* target, int64_t stride = 33) {
  const PrimFunc before = Copy(type, rows, count, stride);
  const PrimFunc after = TransposeVectors(before, Target::Parse(target));
  std::vector<NDArray> results;
  for (const PrimFunc& f : {before, after}) {
    std::vector<NDArray> arrays{NDArray::Zeros(type, {rows * stride + 5}),
                                NDArray::Zeros(type, {count * 40 + 3})};
    for (int64_t at = 0; at < arrays[0].size(); ++at) arrays[0].SetDouble(at, double(at % 1000));
    Interpret(f, arrays);
    results.push_back(arrays[1]);
  }
  for (int64_t at = 0; at < results[0].size(); ++at)
    EXPECT_EQ(results[0].AsDouble(at), results[1].AsDouble(at)) << rows << " x " << count << " at " << at;
  bool apart = false;
  PreOrderExprs(after->body, [&](const Expr& e) {
    auto* ramp = e.As<RampNode>();
    apart |= ramp && !IsInt(ramp->stride, 1);
  });
  return !apart;
}

TEST(TransposeVectors, SquaresOfAllWidths) {
  EXPECT_TRUE(IsTransposed(kF32, 4, 4, "x86-64-v2"));
  EXPECT_TRUE(IsTransposed(kF32, 8, 8, "x86-64-v3"));
  EXPECT_TRUE(IsTransposed(kF32, 16, 16, "x86-64-v4"));
  EXPECT_TRUE(IsTransposed(kF64, 8, 8, "x86-64-v4"));
  EXPECT_TRUE(IsTransposed(kF16, 16, 16, "x86-64-v3"));
  EXPECT_TRUE(IsTransposed(kF32, 4, 4, "aarch64-linux-gnu"));
}

TEST(TransposeVectors, PartsOfSquares) {
  EXPECT_TRUE(IsTransposed(kF32, 9, 16, "x86-64-v4"));
  EXPECT_TRUE(IsTransposed(kF32, 16, 11, "x86-64-v4"));
  EXPECT_TRUE(IsTransposed(kF32, 10, 13, "x86-64-v4"));
  EXPECT_FALSE(IsTransposed(kF32, 4, 16, "x86-64-v4"));
  EXPECT_FALSE(IsTransposed(kF32, 16, 7, "x86-64-v4"));
  EXPECT_FALSE(IsTransposed(kF32, 4, 3, "aarch64-linux-gnu")) << "masks";
}

TEST(TransposeVectors, NotElsewhere) {
  EXPECT_FALSE(IsTransposed(kF32, 16, 16, "x86-64-v3")) << "wider than a vector";
  // Elements that lie side by side already.
  const PrimFunc line = Copy(kF32, 8, 8, 1);
  EXPECT_EQ(ToString(TransposeVectors(line, Target::Parse("x86-64-v3"))), ToString(line));
}

}  // namespace
}  // namespace tilewright
