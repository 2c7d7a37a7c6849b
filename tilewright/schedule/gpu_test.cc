// SPDX-License-Identifier: Apache-2.0
// A matrix product in the shape that graphics processors want, by the schedule API alone: blocks and threads
// are loops that are bound, the threads of a block load the tiles that they all read together, each computes
// a tile of its own in registers, and lowering finds where barriers must stand. docs/devices.md goes through
// it. The interpreter runs what comes out of every pass from the one that divides host and device.
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using testing::Not;

/// The tiles: of a block, of a thread, and the depth that is loaded at once.
struct GpuTiles {
  int64_t threads = 8, rows = 2, columns = 4, depth = 8;
};

/// C = A B, block C.
PrimFunc PlainMatmul(int64_t m, int64_t n, int64_t k) {
  te::Tensor a = te::Placeholder("A", kF32, {m, k}), b = te::Placeholder("B", kF32, {k, n});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c =
      te::Compute("C", {m, n}, [&](auto& i) { return te::Sum(a({i[0], r.var}) * b({r.var, i[1]}), {r}); });
  return te::CreatePrimFunc("matmul", {a, b}, {c});
}

/// The tile of a buffer that all threads of a block read, loaded by all of them.
void LoadTogether(Schedule& s, const BlockRef& product, const std::string& buffer, const LoopRef& at,
                  const GpuTiles& tiles) {
  Buffer read;
  for (const BufferRegion& r : s.Get(product).reads) {
    if (r.buffer.name() == buffer) read = r.buffer;
  }
  const BlockRef load = s.CacheRead(product, read, "shared");
  s.ComputeAt(load, at);
  const std::vector<LoopRef> all = s.GetLoops(load);
  const LoopRef tile = s.Fuse({all[all.size() - 2], all.back()});
  const std::vector<LoopRef> parts = s.Split(tile, {nullptr, tiles.threads, tiles.threads});
  s.Bind(parts[1], "threadIdx.y");
  s.Bind(parts[2], "threadIdx.x");
}

void ScheduleForGpu(Schedule& s, const GpuTiles& tiles) {
  const BlockRef product = s.GetBlock("C");
  const BlockRef result = s.CacheWrite(product, s.Get(product).writes[0].buffer, "register");
  const std::vector<LoopRef> l = s.GetLoops(product);
  const std::vector<LoopRef> i = s.Split(l[0], {nullptr, tiles.threads, tiles.rows});
  const std::vector<LoopRef> j = s.Split(l[1], {nullptr, tiles.threads, tiles.columns});
  const std::vector<LoopRef> k = s.Split(l[2], {nullptr, tiles.depth});
  s.Reorder({i[0], j[0], i[1], j[1], k[0], k[1], i[2], j[2]});
  s.Bind(i[0], "blockIdx.y");
  s.Bind(j[0], "blockIdx.x");
  s.Bind(i[1], "threadIdx.y");
  s.Bind(j[1], "threadIdx.x");
  s.ReverseComputeAt(result, j[1]);
  LoadTogether(s, product, "A", k[0], tiles);
  LoadTogether(s, product, "B", k[0], tiles);
  const BlockRef init = s.DecomposeReduction(product, k[0]);
  for (const BlockRef& block : {init, product, result}) {
    const std::vector<LoopRef> around = s.GetLoops(block);
    s.Unroll(around[around.size() - 2]);
    s.Unroll(around.back());
  }
}

/// What a pass left of the one kernel that the schedule becomes.
PrimFunc LoweredUpTo(const PrimFunc& f, const std::string& pass) {
  LowerOptions options;
  options.stop_after = pass;
  const LoweredKernels lowered = LowerPrimFunc(f, Target::Parse("model-gpu"), options);
  EXPECT_EQ(lowered.launches.size(), 1u);
  return lowered.launches[0].kernel;
}

PrimFunc Scheduled(int64_t m, int64_t n, int64_t k, const GpuTiles& tiles = {}) {
  Schedule s(PlainMatmul(m, n, k));
  ScheduleForGpu(s, tiles);
  ExpectSameResult(PlainMatmul(m, n, k), s);
  return s.func();
}

void ExpectAgrees(const PrimFunc& original, const PrimFunc& kernel) {
  const std::vector<NDArray> expected = RunSeeded(original, original, {}, 7);
  using Order = InterpretOptions::Order;
  for (Order order : {Order::kAscending, Order::kDescending, Order::kShuffled}) {
    InterpretOptions options;
    options.independent_order = order;
    EXPECT_TRUE(RunSeeded(original, kernel, {}, 7, options) == expected) << ToString(kernel);
  }
}

TEST(Gpu, MatmulAgreesAtSeveralSizes) {
  for (auto [m, n, k] : {std::array{32, 64, 24}, {16, 32, 8}, {16, 32, 40}}) {
    const PrimFunc original = PlainMatmul(m, n, k), scheduled = Scheduled(m, n, k);
    for (const char* pass : {"InsertBarriers", "SplitLaunches", "FlattenBuffers", "PromoteRegisters", ""}) {
      SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << " after " << pass);
      ExpectAgrees(original, LoweredUpTo(scheduled, pass));
    }
    for (const Diagnostic& d : VerifyLowered(LoweredUpTo(scheduled, ""))) ADD_FAILURE() << d.ToString();
  }
}

TEST(Gpu, MatmulWithGuardsAtTheEdges) {
  const PrimFunc original = PlainMatmul(27, 45, 19), scheduled = Scheduled(27, 45, 19);
  for (const char* pass : {"InsertBarriers", ""}) ExpectAgrees(original, LoweredUpTo(scheduled, pass));
}

TEST(Gpu, LaunchHasItsExtents) {
  const LoweredKernels lowered = LowerPrimFunc(Scheduled(48, 64, 24), Target::Parse("model-gpu"));
  ASSERT_EQ(lowered.launches.size(), 1u);
  std::string extents;
  for (const KernelLaunch::Threads& t : lowered.launches[0].threads)
    extents += fmt::format("{} {}, ", t.tag, ToString(t.extent));
  EXPECT_EQ(extents, "blockIdx.y 3, blockIdx.x 2, threadIdx.y 8, threadIdx.x 8, ");
  EXPECT_THAT(ToString(lowered.launches[0].kernel), HasSubstr("threadIdx.x"));
  EXPECT_THAT(ToString(LoweredUpTo(Scheduled(48, 64, 24), "")), HasSubstr("barrier(\"shared\")"));
}

TEST(Gpu, InterpreterMissesTheBarriers) {
  const PrimFunc original = PlainMatmul(32, 64, 24), scheduled = Scheduled(32, 64, 24);
  const PrimFunc bare = LoweredUpTo(scheduled, "BindThreads");
  EXPECT_THAT(ToString(bare), Not(HasSubstr("barrier")));
  // The first thread reads what the others would have loaded.
  ExpectError([&] { RunSeeded(original, bare, {}, 7); }, "TW1607", "never written");

  // One of the two alone: a tile is read before it is loaded, or loaded again while it is read.
  const PrimFunc kernel = LoweredUpTo(scheduled, "InsertBarriers");
  for (int left_out : {0, 1}) {
    int at = 0;
    const Stmt body = PostOrderRewrite(kernel->body, [&](const Stmt& s) -> Stmt {
      return s.kind() == StmtKind::kEvaluate && at++ == left_out ? nullptr : s;
    });
    EXPECT_EQ(at, 2);
    ExpectError([&] { RunSeeded(original, kernel.WithBody(body), {}, 7); }, "TW1608", "shared");
  }
}

TEST(Gpu, ThreadsShareWhatIsTheSameForAll) {
  Schedule s(PlainMatmul(32, 32, 8));
  const std::vector<LoopRef> l = s.GetLoops(s.GetBlock("C"));
  const std::vector<LoopRef> j = s.Split(l[1], {8, 4});
  s.Bind(j[0], "threadIdx.x");
  ExpectIllegal(s, [&] { s.Bind(j[1], "threadIdx.x"); }, "TW1405", "block 'C' depends on");
  ExpectIllegal(s, [&] { s.Bind(l[0], "threadIdx.x"); }, "TW1405", "whose threads cannot share");
}

TEST(Gpu, TargetsMustHaveTheThreadsAndTheMemory) {
  const PrimFunc scheduled = Scheduled(32, 64, 24);
  ExpectError([&] { LowerPrimFunc(scheduled, Target::Parse("x86-64-v3")); }, "TW1302", "blockIdx.y");
  ExpectError([&] { LowerPrimFunc(scheduled, Target::Parse("model-accelerator")); }, "TW1302", "core");
  const char* small = "model-gpu,scopes=global/0/64:shared/1024/16:local/0/16:register/1024/4";
  ExpectError([&] { LowerPrimFunc(scheduled, Target::Parse(small)); }, "TW1308",
              "1536 bytes in scope shared, of which the target model-gpu has 1024");
  const char* none = "model-gpu,scopes=global/0/64:register/1024/4";
  ExpectError([&] { LowerPrimFunc(scheduled, Target::Parse(none)); }, "TW1307", "scope shared");
}

}  // namespace
}  // namespace tilewright
