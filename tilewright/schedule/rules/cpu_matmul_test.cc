// SPDX-License-Identifier: Apache-2.0
// Products whose depth is cut into runs, and those whose extents no tile divides, against the interpreter.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright {
namespace {

using testing::ContainsRegex;
using testing::HasSubstr;
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

Schedule ForTwoCores(const PrimFunc& f, bool constant) {
  Schedule s(f);
  ApplyRules(s, {Target::Parse("x86-64-v4,cores=2"), {false, constant, false}});
  ExpectSameResult(f, s);
  return s;
}

TEST(MatMulRule, OddExtents) {
  for (auto [m, n, k] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {31, 21, 5}, {45, 17, 8}, {29, 244, 6}, {5, 283, 7}, {33, 1, 40}, {1, 37, 9}}) {
    for (bool constant : {false, true}) {
      SCOPED_TRACE(fmt::format("{} x {} x {}, constant {}", m, n, k, constant));
      ForTwoCores(ProductByRule(m, n, k), constant);
    }
  }
}

TEST(MatMulRule, PanelsOfConstantsAreWhole) {
  // 17 and a half vectors; a last panel of its own would follow the others on one core.
  const Schedule s = ForTwoCores(ProductByRule(35, 280, 64), true);
  const std::string text = ToString(s.func());
  EXPECT_THAT(text, ContainsRegex("for [a-z0-9_]+ in 0\\.\\.16 vectorized"));
  EXPECT_THAT(text, Not(ContainsRegex("in 0\\.\\.8 vectorized"))) << "half of a register";
  const auto launches = LowerPrimFunc(s.func(), Target::Parse("x86-64-v4")).launches;
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_THAT(ToString(launches[0].kernel), HasSubstr(" where ")) << "results beyond the columns are masked";
  // Without masks, as wide as divides the columns.
  Schedule old(ProductByRule(35, 280, 64));
  ApplyRules(old, {Target::Parse("x86-64-v2,cores=2"), {false, true, false}});
  EXPECT_EQ(LowerPrimFunc(old.func(), Target::Parse("x86-64-v2")).launches.size(), 1u);
}

TEST(MatMulRule, RowsAreTheParallelWorkWhereColumnsAreFew) {
  const std::string text = ToString(ForTwoCores(ProductByRule(127, 21, 64), true).func());
  EXPECT_THAT(text, HasSubstr("B: f32[1, 64, 32]")) << "panels are whole";
  EXPECT_THAT(text, ContainsRegex("for c0_0_p0 in 0..[0-9]+ parallel")) << "the last tile is behind";
}

TEST(MatMulRule, ColumnsBehindTheLastAreNoGather) {
  const Schedule s = ForTwoCores(ProductByRule(20, 41, 8), false);
  std::string text;
  for (const KernelLaunch& launch : LowerPrimFunc(s.func(), Target::Parse("x86-64-v4")).launches)
    text += ToString(launch.kernel);
  // Addresses lane by lane would be B[a vector that is no ramp].
  EXPECT_THAT(text, HasSubstr("B[ramp("));
  EXPECT_THAT(text, HasSubstr(" where "));
  EXPECT_THAT(text, Not(HasSubstr("min(ramp(")));
}

/// C[i] = A[i] B[i].
PrimFunc BatchOfProducts(int64_t batch, int64_t m, int64_t n, int64_t k) {
  te::Tensor a = te::Placeholder("A", kF32, {batch, m, k}), b = te::Placeholder("B", kF32, {batch, k, n});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c =
      te::Compute("C", {batch, m, n},
                  [&](auto& i) { return te::Sum(a({i[0], i[1], r.var}) * b({i[0], r.var, i[2]}), {r}); },
                  {{"rule", std::string("matmul")}});
  return te::CreatePrimFunc("products", {a, b}, {c});
}

TEST(MatMulRule, ColumnsThatDoNotBeginWithLinesAreCopiedWhereRowsPayForThat) {
  Target target = Target::Parse("x86-64-v4,cores=2");
  target.caches = {{2048, 64, 1}, {16 << 10, 64, 1}, {1 << 20, 64, 1}};
  for (auto [batch, rows, columns, copies] : std::vector<std::tuple<int64_t, int64_t, int64_t, bool>>{
           {4, 90, 45, true}, {2, 90, 70, true}, {4, 90, 40, true}, {4, 3, 45, false}, {4, 90, 48, false}}) {
    SCOPED_TRACE(fmt::format("{} of {} x {}", batch, rows, columns));
    const PrimFunc f = BatchOfProducts(batch, rows, columns, 24);
    Schedule s(f);
    ApplyRules(s, {target, {false, false, false}});
    ExpectSameResult(f, s);
    EXPECT_EQ(ToString(s.func()).find("alloc B_global") != std::string::npos, copies);
    // A panel belongs to a chunk.
    EXPECT_EQ(LowerPrimFunc(s.func(), target).launches.size(), 1u);
  }
}

TEST(MatMulRule, NextPanelIsAskedForALineAtATime) {
  // Tiles of rows that go over a panel have more steps than the next panel has lines.
  Target target = Target::Parse("x86-64-v4,cores=2");
  target.caches = {{2048, 64, 1}, {16 << 10, 64, 1}};
  const PrimFunc f = ProductByRule(96, 128, 64);
  Schedule s(f);
  ApplyRules(s, {target, {false, true, false}});
  ExpectSameResult(f, s);
  int64_t requests = 0;
  auto count = [&](auto& self, const Stmt& stmt, int64_t times) -> void {
    PreOrder(stmt, [&](const Stmt& inner) {
      if (auto* loop = inner.As<ForNode>()) {
        self(self, loop->body, times * AsInt(loop->extent).value_or(0));
        return false;
      }
      auto* block = inner.As<BlockNode>();
      if (block && block->name.find("prefetch") != std::string::npos) requests += times;
      return true;
    });
  };
  count(count, s.func()->body, 1);
  const int64_t lines = 64 * 128 * 4 / 64;
  EXPECT_GE(requests, lines);
  EXPECT_LE(requests, 2 * lines);
}

}  // namespace
}  // namespace tilewright
