// SPDX-License-Identifier: Apache-2.0
// Products whose depth is cut into runs, against the interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"

namespace tilewright {
namespace {

using testing::ContainsRegex;
using testing::Not;

/// D = A B + 1, summed in runs, as the operator's lowering states it.
PrimFunc ProductOfRuns(int64_t m, int64_t n, int64_t runs, int64_t run) {
  te::Tensor a = te::Placeholder("A", kF32, {m, runs * run}), b = te::Placeholder("B", kF32, {runs * run, n});
  IterVar k = te::ReduceAxis(run, "k"), r = te::ReduceAxis(runs, "run");
  te::Tensor parts = te::Compute("parts", {runs, m, n},
                                 [&](auto& i) {
                                   const Expr depth = i[0] * Expr(run) + k.var;
                                   return te::Sum(a({i[1], depth}) * b({depth, i[2]}), {k});
                                 },
                                 {{"rule", std::string("matmul")}, {"runs", true}});
  te::Tensor c = te::Compute("C", {m, n}, [&](auto& i) { return te::Sum(parts({r.var, i[0], i[1]}), {r}); });
  te::Tensor d = te::Compute("D", {m, n}, [&](auto& i) { return c(i) + MakeConst(kF32, 1); });
  return te::CreatePrimFunc("product", {a, b}, {d});
}

/// The scheduled function where the second level of cache has so many bytes.
std::string Scheduled(const PrimFunc& f, int64_t cache) {
  Target target = Target::Parse("x86-64-v4,cores=2");
  target.caches = {{2048, 64, 1}, {cache, 64, 1}};
  Schedule s(f);
  ApplyRules(s, {target, {false, true, false}});
  ExpectSameResult(f, s);
  return ToString(s.func());
}

TEST(MatMulRule, RowsPassByRunAfterRunWhereTheirDepthExceedsTheCache) {
  // Within the runs a unit's panels, within these the tiles of rows.
  const auto by_runs = ContainsRegex("for run in 0\\.\\.24 \\{\n *for [a-z0-9_]+ in 0\\.\\.2 \\{\n *for ");
  for (int64_t rows : {22, 29}) {
    SCOPED_TRACE(rows);
    const PrimFunc f = ProductOfRuns(rows, 256, 24, 4);
    EXPECT_THAT(Scheduled(f, 40 << 10), by_runs);
    EXPECT_THAT(Scheduled(f, 1 << 20), Not(by_runs));
  }
  EXPECT_THAT(Scheduled(ProductOfRuns(4, 256, 24, 4), 4 << 10), Not(by_runs)) << "one tile of rows";
}

}  // namespace
}  // namespace tilewright
