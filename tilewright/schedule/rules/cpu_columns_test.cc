// SPDX-License-Identifier: Apache-2.0
// Reductions along short axes and along axes with others behind: right at every extent.
#include "tilewright/schedule/rules/cpu.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright::cpu {
namespace {

/// Soft maximum without the exponential function, along `axis`.
PrimFunc SoftmaxAlong(const std::vector<int64_t>& extents, size_t axis) {
  const std::vector<Expr> shape(extents.begin(), extents.end());
  std::vector<Expr> kept = shape;
  kept.erase(kept.begin() + std::ptrdiff_t(axis));
  auto without = [&](std::vector<Expr> i) {
    i.erase(i.begin() + std::ptrdiff_t(axis));
    return i;
  };
  auto with = [&](std::vector<Expr> i, const Expr& r) {
    i.insert(i.begin() + std::ptrdiff_t(axis), r);
    return i;
  };
  te::Tensor x = te::Placeholder("X", kF32, shape);
  IterVar j = te::ReduceAxis(shape[axis], "j"), k = te::ReduceAxis(shape[axis], "k");
  te::Tensor top = te::Compute(
      "Max", kept, [&](auto& i) { return te::MaxOver(x(with({i.begin(), i.end()}, j.var)), {j}); });
  te::Tensor diff = te::Compute(
      "Diff", shape, [&](auto& i) { return top(without({i.begin(), i.end()})) - x({i.begin(), i.end()}); });
  te::Tensor sum = te::Compute(
      "Sum", kept, [&](auto& i) { return te::Sum(diff(with({i.begin(), i.end()}, k.var)), {k}); });
  te::Tensor twice =
      te::Compute("Twice", kept, [&](auto& i) { return sum({i.begin(), i.end()}) * MakeConst(kF32, 2.0); });
  te::Tensor ratio = te::Compute("Ratio", shape, [&](auto& i) {
    const std::vector<Expr> at(i.begin(), i.end());
    return diff(at) + twice(without(at));
  });
  return te::CreatePrimFunc("softmax_along", {x}, {ratio});
}

void ExpectColumns(const std::vector<int64_t>& shape, size_t axis, const Target& target) {
  SCOPED_TRACE(fmt::format("{} axis {} {}", fmt::join(shape, "x"), axis, target.ToString()));
  const PrimFunc f = SoftmaxAlong(shape, axis);
  Schedule s(f);
  ASSERT_TRUE(ScheduleColumns(s, {target, {}})) << ToString(f);
  ExpectSameResult(f, s);
  LowerPrimFunc(s.func(), target);
}

TEST(ScheduleColumns, ShortRows) {
  for (const char* name : {"x86-64-v3", "x86-64-v4"}) {
    const Target target = Target::Parse(name);
    for (int64_t rows : {3, 16, 37}) {
      for (int64_t n : {2, 3, 5}) ExpectColumns({rows, n}, 1, target);
    }
  }
}

TEST(ScheduleColumns, AxesInside) {
  for (const char* name : {"x86-64-v2", "x86-64-v4"}) {
    const Target target = Target::Parse(name);
    for (const auto& shape : std::vector<std::vector<int64_t>>{{3, 5, 2},
                                                               {17, 3, 3},
                                                               {2, 4, 15},
                                                               {5, 3, 16},
                                                               {3, 40, 5},
                                                               {1, 7, 150},
                                                               {2, 3, 64},
                                                               {9, 2, 67}}) {
      ExpectColumns(shape, 1, target);
    }
    for (int64_t inner : {2, 15, 16, 33, 200}) ExpectColumns({6, inner}, 0, target);
  }
}

TEST(ScheduleColumns, LeavesLongRows) {
  const Target target = Target::Parse("x86-64-v4");
  Schedule s(SoftmaxAlong({40, 64}, 1));
  EXPECT_FALSE(ScheduleColumns(s, {target, {}}));
  EXPECT_TRUE(s.trace().steps.empty());
}

/// What a tile of short rows reads and writes is vectors: no lane has an address of its own.
TEST(ScheduleColumns, TilesAreLines) {
  const Target target = Target::Parse("x86-64-v4");
  Schedule s(SoftmaxAlong({32, 5}, 1));
  ASSERT_TRUE(ScheduleColumns(s, {target, {}}));
  const LoweredKernels lowered = LowerPrimFunc(s.func(), target);
  ASSERT_EQ(lowered.launches.size(), 1u);
  int stores = 0;
  PreOrder(lowered.launches[0].kernel->body, [&](const Stmt& x) {
    auto* store = x.As<StoreNode>();
    if (!store) return true;
    ++stores;
    auto* ramp = store->indices[0].As<RampNode>();
    EXPECT_TRUE(ramp && IsInt(ramp->stride, 1) && ramp->dtype.lanes == 16) << ToString(x);
    return true;
  });
  EXPECT_EQ(stores, 10);  // five vectors of differences, five of results
}

}  // namespace
}  // namespace tilewright::cpu
