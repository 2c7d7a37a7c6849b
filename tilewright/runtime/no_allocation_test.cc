// SPDX-License-Identifier: Apache-2.0
// A run of a module with fixed shapes allocates nothing and takes no lock.
#include <thread>

#include "tilewright/runtime/context.h"
#include "tilewright/runtime/device.h"
#include "tilewright/runtime/test_counting.h"
#include "tilewright/runtime/thread_pool.h"

namespace tilewright::runtime {
namespace {

void Copy(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table*) {
  for (int64_t i = begin * 4; i < end * 4; ++i) {
    static_cast<float*>(buffers[2])[i] = static_cast<const float*>(buffers[0])[i];
  }
}
void Nothing(void* const*, const int64_t*, int64_t, int64_t, const tw_runtime_table*) {}

void RunOften(Context& context, const std::vector<float>& x, const DLTensor& bound) {
  for (int run = 0; run < 20; ++run) {
    context.SetInput(0, x.data(), 1024);
    context.Run();
    context.BindInput(0, &bound);
    context.Run();
    context.Output(0);
    if (run % 8 == 7) std::this_thread::sleep_for(std::chrono::milliseconds(3));
  }
}

TEST(NoAllocation, TheCountersWork) {
  if (!TW_CAN_COUNT) GTEST_SKIP() << "this build cannot count allocations";
  {
    Counting now;
    FreeHost(AllocateHost(100));
    ThreadPool::Global().Reserve(1);  // takes the pool's mutex
  }
  EXPECT_GE(allocations, 1);
  EXPECT_GE(locks, 1);
}

TEST(NoAllocation, OnThePathOfARun) {
  if (!TW_CAN_COUNT) GTEST_SKIP() << "this build cannot count allocations";
  alignas(64) static const float weights[4] = {};
  auto module = Module::FromProgram("copy", ScaleTwiceProgram(64), {&Copy, &Nothing},
                                    std::as_bytes(std::span(weights)), nullptr);
  for (bool profile : {false, true}) {
    Context context(module, {.num_threads = 3, .profile = profile, .trace_events = 64});
    alignas(64) static float other[256];
    std::vector<float> x(256, 1.0f);
    int64_t shape[] = {64, 4};
    DLTensor bound{other, {kDLCPU, 0}, 2, kFloat32, shape, nullptr, 0};
    context.InputBuffer(0);
    // The first run as well, runs after a pause that sends the workers to sleep, and runs on new pointers.
    {
      Counting now;
      RunOften(context, x, bound);
    }
    EXPECT_EQ(allocations, 0);
    EXPECT_EQ(locks, 0);
  }
}

// Rows of x, the state before the first of them, copied row by row through a loop.
Program LoopProgram() {
  Program p = ScaleTwiceProgram(64);
  for (Buffer& b : p.buffers) {
    b.shape = {4};
    b.bytes = 16;
  }
  p.buffers.push_back(MakeBuffer("t2", Storage::kArena, 0, {4}, 512));
  Instruction loop;
  loop.op = LoopOp{64, kNoBuffer, kNoBuffer, kNoBuffer, 2, {{2, 4}}, {{0, 16}, {3, 16}}};
  p.instructions = {loop, Launch("first", 0, {0, 1, 2}, 1), Launch("second", 0, {2, 1, 3}, 1)};
  return p;
}

TEST(NoAllocation, InLoops) {
  if (!TW_CAN_COUNT) GTEST_SKIP() << "this build cannot count allocations";
  alignas(64) static const float weights[4] = {};
  auto module = Module::FromProgram("copy", LoopProgram(), {&Copy, &Nothing},
                                    std::as_bytes(std::span(weights)), nullptr);
  Context context(module, {.num_threads = 3});
  alignas(64) static float other[256];
  std::vector<float> x(256, 1.0f);
  int64_t shape[] = {64, 4};
  DLTensor bound{other, {kDLCPU, 0}, 2, kFloat32, shape, nullptr, 0};
  context.InputBuffer(0);
  {
    Counting now;
    RunOften(context, x, bound);
  }
  EXPECT_EQ(allocations, 0);
  EXPECT_EQ(locks, 0);
  context.SetInput(0, x.data(), 1024);
  context.Run();
  EXPECT_EQ(static_cast<const float*>(context.Output(0).data)[255], 1.0f);
}

}  // namespace
}  // namespace tilewright::runtime
