// SPDX-License-Identifier: Apache-2.0
// Reductions over extents that are 0, or may turn out to be: the result is the identity.
#include <gtest/gtest.h>

#include <limits>

#include "tilewright/te/te.h"
#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/lower/lower.h"
#include "tilewright/tir/verify.h"

namespace tilewright {
namespace {

using Reduction = te::Body (*)(Expr, std::vector<IterVar>);

/// out[i] = the reduction of x[i, k] over k < `extent`.
PrimFunc RowReduction(Reduction reduction, const Expr& extent) {
  te::Tensor x = te::Placeholder("x", kF32, {3, extent});
  IterVar k = te::ReduceAxis(extent, "k");
  te::Tensor out = te::Compute("out", {3}, [&](auto& i) { return reduction(x({i[0], k.var}), {k}); });
  return te::CreatePrimFunc("row_reduction", {x}, {out});
}

/// out of `kernel`, whose arguments are `args` of the function's buffers.
void ExpectRows(const PrimFunc& f, const PrimFunc& kernel, const std::vector<Buffer>& args,
                const std::vector<float>& row, double expected) {
  const int64_t n = int64_t(row.size());
  NDArray x = NDArray::Empty(kF32, {3, n}), out = NDArray::Zeros(kF32, {3});
  for (int64_t i = 0; i < 3 * n; ++i) x.mutable_as<float>()[size_t(i)] = row[size_t(i % n)];
  std::vector<NDArray> arrays;
  for (const Buffer& b : args) arrays.push_back(b == f->buffers[0] ? x : out);
  Interpret(kernel, arrays, std::vector<int64_t>(kernel->dims.size(), n));
  for (int64_t i = 0; i < 3; ++i) EXPECT_EQ(out.AsDouble(i), expected) << ToString(kernel);
}

/// The result for a matrix of equal rows, run as it is and lowered.
void ExpectRows(const PrimFunc& f, const std::vector<float>& row, double expected) {
  for (const Diagnostic& d : VerifyScheduled(f)) ADD_FAILURE() << d.ToString() << ToString(f);
  ExpectRows(f, f, f->buffers, row, expected);
  const LoweredKernels lowered = LowerPrimFunc(f, Target());
  ASSERT_EQ(lowered.launches.size(), 1u);
  ExpectRows(f, lowered.launches[0].kernel, lowered.launches[0].args, row, expected);
}

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Reduction, OverNothingIsTheIdentity) {
  ExpectRows(RowReduction(te::Sum, 0), {}, 0);
  ExpectRows(RowReduction(te::Prod, 0), {}, 1);
  ExpectRows(RowReduction(te::MaxOver, 0), {}, -kInfinity);
  ExpectRows(RowReduction(te::MinOver, 0), {}, kInfinity);
}

TEST(Reduction, OverWhatMayBeNothing) {
  const Expr n = Var::Symbol("n");
  ExpectRows(RowReduction(te::Sum, n), {}, 0);
  ExpectRows(RowReduction(te::MaxOver, n), {}, -kInfinity);
  ExpectRows(RowReduction(te::Sum, n), {1, 5, -2}, 4);
  ExpectRows(RowReduction(te::MaxOver, n), {1, 5, -2}, 5);
}

TEST(Reduction, OneBlockWhereThereIsSomething) {
  auto blocks = [](const PrimFunc& f) {
    int count = 0;
    PreOrder(f->body, [&](const Stmt& s) { return count += s.kind() == StmtKind::kBlock, true; });
    return count;
  };
  EXPECT_EQ(blocks(RowReduction(te::Sum, 4)), 2) << "the root and the reduction";
  EXPECT_EQ(blocks(RowReduction(te::Sum, Var::Symbol("n", 1))), 2);
  EXPECT_EQ(blocks(RowReduction(te::Sum, Var::Symbol("n"))), 3);
}

TEST(Reduction, SeveralResultsOverNothing) {
  te::Tensor x = te::Placeholder("x", kF32, {2, 0});
  IterVar k = te::ReduceAxis(0, "k");
  std::vector<te::Tensor> results = te::ComputeMulti("arg", {2}, [&](auto& i) {
    return te::ArgReduce(te::Combiner::kArgMax, x({i[0], k.var}), k.var, {k});
  });
  PrimFunc f = te::CreatePrimFunc("arg", {x}, results);
  std::vector<NDArray> arrays{NDArray::Empty(kF32, {2, 0}), NDArray::Zeros(kF32, {2}),
                              NDArray::Zeros(kI64, {2})};
  Interpret(f, arrays);
  EXPECT_EQ(arrays[1].AsDouble(0), -kInfinity);
}

}  // namespace
}  // namespace tilewright
