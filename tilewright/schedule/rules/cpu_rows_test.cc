// SPDX-License-Identifier: Apache-2.0
// Kernels over rows: right at every length, all stages of a row below one loop.
#include "tilewright/schedule/rules/cpu.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright::cpu {
namespace {

/// (x - mean) * scale over the last `axes` axes, with a factor per element: as normalisation has it.
PrimFunc NormLike(const std::vector<int64_t>& shape, size_t axes) {
  std::vector<Expr> full(shape.begin(), shape.end());
  const std::vector<Expr> rows(full.begin(), full.end() - std::ptrdiff_t(axes)),
      row(full.end() - std::ptrdiff_t(axes), full.end());
  te::Tensor x = te::Placeholder("X", kF32, full), w = te::Placeholder("W", kF32, row);
  auto reduce = [&](const std::string& name, const std::function<Expr(const std::vector<Expr>&)>& f) {
    return te::Compute(name, rows, [&](auto& i) {
      std::vector<IterVar> k;
      std::vector<Expr> at(i.begin(), i.end());
      for (const Expr& e : row) {
        k.push_back(te::ReduceAxis(e, "k"));
        at.push_back(k.back().var);
      }
      return te::Sum(f(at), k);
    });
  };
  auto of_row = [&](const std::vector<Expr>& i) {
    return std::vector<Expr>(i.begin(), i.begin() + std::ptrdiff_t(rows.size()));
  };
  te::Tensor sum = reduce("Sum", [&](const std::vector<Expr>& i) { return x(i); });
  te::Tensor square = reduce("Square", [&](const std::vector<Expr>& i) {
    const Expr d = x(i) - sum(of_row(i));
    return d * d;
  });
  te::Tensor y = te::Compute("Y", full, [&](auto& i) {
    const std::vector<Expr> at(i.begin(), i.end());
    return (x(at) - sum(of_row(at))) * w(std::vector<Expr>(at.end() - std::ptrdiff_t(axes), at.end())) +
           square(of_row(at));
  });
  return te::CreatePrimFunc("norm_like", {x, w}, {y});
}

/// Applies the rules; all of the kernel is then one nest.
void ExpectOneNest(const PrimFunc& f, const Target& target) {
  Schedule s(f);
  ASSERT_TRUE(ScheduleRows(s, {target, {}})) << ToString(f);
  const Stmt& body = s.func()->body.As<BlockNode>()->body;
  EXPECT_EQ(body.kind(), StmtKind::kFor) << ToString(s.func());
  ExpectSameResult(f, s);
  EXPECT_EQ(LowerPrimFunc(s.func(), target).launches.size(), 1u);
}

TEST(ScheduleRows, EveryLength) {
  for (const char* name : {"x86-64-v2", "x86-64-v4"}) {
    const Target target = Target::Parse(name);
    for (int64_t n : {2, 7, 16, 31, 32, 37, 48, 100, 256, 259}) {
      SCOPED_TRACE(fmt::format("{} {}", name, n));
      ExpectOneNest(SoftmaxLike(6, n), target);
      ExpectOneNest(NormLike({2, 3, n}, 1), target);
    }
  }
}

TEST(ScheduleRows, TheNextRowIsAskedForWhereRowsComeFromMemory) {
  Target target = Target::Parse("x86-64-v4");
  for (int64_t cache : {int64_t(4) << 10, int64_t(1) << 20}) {
    target.caches = {{2048, 64, 1}, {cache, 64, 1}};
    Schedule s(SoftmaxLike(64, 100));
    ASSERT_TRUE(ScheduleRows(s, {target, {}}));
    EXPECT_EQ(ToString(s.func()).find("prefetch") != std::string::npos, cache < 64 * 100 * 4) << cache;
    ExpectSameResult(SoftmaxLike(64, 100), s);
  }
}

TEST(ScheduleRows, RowsOfSeveralAxes) {
  const Target target = Target::Parse("x86-64-v4");
  ExpectOneNest(NormLike({2, 3, 5, 7}, 2), target);
  ExpectOneNest(NormLike({4, 3, 8, 16}, 3), target);
}

TEST(ScheduleRows, TheReductionMayBeTheResult) {
  for (int64_t n : {2, 3, 8, 9, 16, 32, 77, 300}) {
    te::Tensor x = te::Placeholder("X", kF32, {5, n});
    IterVar k = te::ReduceAxis(n, "k");
    te::Tensor sum = te::Compute("Sum", {5}, [&](auto& i) { return te::Sum(x({i[0], k.var}), {k}); });
    ExpectOneNest(te::CreatePrimFunc("sum", {x}, {sum}), Target::Parse("x86-64-v4"));
    // All of it, where the result keeps its rank.
    IterVar r = te::ReduceAxis(5, "r"), c = te::ReduceAxis(n, "c");
    te::Tensor all = te::Compute("All", {1, 1}, [&](auto&) { return te::Sum(x({r.var, c.var}), {r, c}); });
    ExpectOneNest(te::CreatePrimFunc("all", {x}, {all}), Target::Parse("x86-64-v4"));
  }
}

TEST(ScheduleRows, ManyRowsAreCutIntoChunks) {
  const Target target = Target::Parse("x86-64-v4");
  const PrimFunc f = SoftmaxLike(960, 48);
  Schedule s(f);
  ASSERT_TRUE(ScheduleRows(s, {target, {}}));
  const LoopRef chunks = s.GetLoops({"Ratio"}).front();
  EXPECT_EQ(s.Get(chunks).for_kind, ForKind::kParallel);
  EXPECT_GE(AsInt(s.Get(chunks).extent).value(), 2);
  EXPECT_LT(AsInt(s.Get(chunks).extent).value(), 960);
  ExpectSameResult(f, s);
}

TEST(ScheduleRows, LeavesKernelsOfSeveralResults) {
  te::Tensor x = te::Placeholder("X", kF32, {5, 40});
  IterVar k = te::ReduceAxis(40, "k");
  te::Tensor sum = te::Compute("Sum", {5}, [&](auto& i) { return te::Sum(x({i[0], k.var}), {k}); });
  te::Tensor y = te::Compute("Y", {5, 40}, [&](auto& i) { return x(i) - sum({i[0]}); });
  const PrimFunc f = te::CreatePrimFunc("two", {x}, {sum, y});
  Schedule s(f);
  EXPECT_FALSE(ScheduleRows(s, {Target::Parse("x86-64-v4"), {}}));
  EXPECT_EQ(s.func(), f);
}

TEST(ScheduleRows, LeavesOtherKernels) {
  const Target target = Target::Parse("x86-64-v4");
  for (const PrimFunc& f : {MatmulRelu(8, 8, 8), TransposeAdd(8, 8), PaddedConv(4, 4, 8, 1)}) {
    Schedule s(f);
    EXPECT_FALSE(ScheduleRows(s, {target, {}})) << f.name();
    EXPECT_EQ(s.func(), f);
  }
}

TEST(ScheduleRows, LeavesRowsThatMayBeEmpty) {
  const Target target = Target::Parse("x86-64-v4");
  for (const int64_t least : {0, 1}) {
    const Var n = Var::Symbol("n", least, 1000);
    te::Tensor x = te::Placeholder("X", kF32, {5, n});
    IterVar k = te::ReduceAxis(n, "k");
    te::Tensor top = te::Compute("Max", {5}, [&](auto& i) { return te::MaxOver(x({i[0], k.var}), {k}); });
    te::Tensor diff = te::Compute("Diff", {5, n}, [&](auto& i) { return top({i[0]}) - x(i); });
    Schedule s(te::CreatePrimFunc("rows", {x}, {diff}));
    EXPECT_EQ(ScheduleRows(s, {target, {}}), least == 1);
  }
}

}  // namespace
}  // namespace tilewright::cpu
