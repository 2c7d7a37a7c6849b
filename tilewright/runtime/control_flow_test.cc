// SPDX-License-Identifier: Apache-2.0
// Branches and loops of programs, over kernels written by hand.
#include <cstring>

#include "tilewright/runtime/context.h"
#include "tilewright/runtime/test_support.h"

namespace tilewright::runtime {
namespace {

constexpr int kWidth = 4;

// state' = state / 2 + x, and the same into y: one step of a recurrence over rows of four.
void Step(void* const* buffers, const int64_t*, int64_t, int64_t, const tw_runtime_table* table) {
  const auto *x = static_cast<const float*>(buffers[0]), *state = static_cast<const float*>(buffers[1]);
  auto *next = static_cast<float*>(buffers[2]), *y = static_cast<float*>(buffers[3]);
  for (int i = 0; i < kWidth; ++i) {
    if (x[i] < 0) table->report_error(table, "negative element", i);
    y[i] = next[i] = state[i] / 2 + x[i];
  }
}

// flag = count < limit, where count is the number of runs before.
void Below(void* const* buffers, const int64_t*, int64_t, int64_t, const tw_runtime_table*) {
  *static_cast<uint8_t*>(buffers[2]) =
      *static_cast<const int64_t*>(buffers[0]) + 1 < *static_cast<const int64_t*>(buffers[1]);
}

// total += i.
void Accumulate(void* const* buffers, const int64_t*, int64_t, int64_t, const tw_runtime_table*) {
  *static_cast<int64_t*>(buffers[1]) += *static_cast<const int64_t*>(buffers[0]);
}

void Zero(void* const* buffers, const int64_t*, int64_t, int64_t, const tw_runtime_table*) {
  *static_cast<int64_t*>(buffers[0]) = 0;
}

void Negate(void* const* buffers, const int64_t*, int64_t, int64_t, const tw_runtime_table*) {
  *static_cast<int64_t*>(buffers[1]) = -*static_cast<const int64_t*>(buffers[0]);
}

// Behind the count in order[0], the chunks in the order in which they come.
void Note(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table*) {
  auto* order = static_cast<int64_t*>(buffers[0]);
  for (int64_t chunk = begin; chunk < end; ++chunk) order[++order[0]] = chunk;
}

Instruction Make(decltype(Instruction::op) op) {
  Instruction i;
  i.op = std::move(op);
  return i;
}

// y[t] and the last state of the recurrence over x[n, 4], from the state s[4]; backwards where told so.
Program RecurrenceProgram(bool backwards) {
  ShapeExpr n = ShapeExpr::Symbol(0), last = (n - 1) * 16;
  Program p;
  p.symbols = {{"n", 0, 1000, 1}};
  p.inputs = {{"x", kFloat32, {n, kWidth}}, {"s", kFloat32, {kWidth}}};
  p.outputs = {{"y", kFloat32, {n, kWidth}}, {"last", kFloat32, {kWidth}}};
  p.arenas = {{0, "global", 128}};
  ShapeExpr at = backwards ? last : ShapeExpr(0);
  p.buffers = {
      MakeBuffer("x", Storage::kInput, 0, {kWidth}, at),  MakeBuffer("s", Storage::kInput, 1, {kWidth}),
      MakeBuffer("a", Storage::kArena, 0, {kWidth}, 0),   MakeBuffer("b", Storage::kArena, 0, {kWidth}, 64),
      MakeBuffer("y", Storage::kOutput, 0, {kWidth}, at), MakeBuffer("last", Storage::kOutput, 1, {kWidth})};
  p.kernels = {"step"};
  ShapeExpr stride = backwards ? -16 : 16;
  p.instructions = {Make(BindShapeOp{0}), Make(CopyOp{1, 2}),
                    Make(LoopOp{n, kNoBuffer, kNoBuffer, kNoBuffer, 1, {{2, 3}}, {{0, stride}, {4, stride}}}),
                    Launch("step", 0, {0, 2, 3, 4}, 1), Make(CopyOp{2, 5})};
  return p;
}

void RunRecurrence(Context& context, int64_t n, bool backwards) {
  std::vector<float> x(static_cast<size_t>(n) * kWidth), state = {1, 2, 3, 4};
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>((i * 7) % 13);
  std::vector<int64_t> shape = {n, kWidth}, width = {kWidth};
  context.SetInput(0, DLTensor{x.data(), {kDLCPU, 0}, 2, kFloat32, shape.data(), nullptr, 0});
  context.SetInput(1, DLTensor{state.data(), {kDLCPU, 0}, 1, kFloat32, width.data(), nullptr, 0});
  context.Run();
  const auto* y = static_cast<const float*>(context.Output(0).data);
  for (int64_t step = 0; step < n; ++step) {
    const auto t = static_cast<size_t>(backwards ? n - 1 - step : step);
    for (size_t i = 0; i < kWidth; ++i) {
      state[i] = state[i] / 2 + x[t * kWidth + i];
      ASSERT_EQ(y[t * kWidth + i], state[i]) << "n " << n << " step " << step;
    }
  }
  EXPECT_EQ(std::memcmp(context.Output(1).data, state.data(), 16), 0) << "n " << n;
}

TEST(ControlFlow, LoopsExchangeStatesAndWalkSequences) {
  for (bool backwards : {false, true}) {
    auto module = Module::FromProgram("r", RecurrenceProgram(backwards), {&Step}, {}, nullptr);
    for (bool profile : {false, true}) {
      Context context(module, {.num_threads = 1, .profile = profile});
      for (int64_t n : {1, 2, 5, 5, 2, 64, 3}) RunRecurrence(context, n, backwards);
      if (!profile) continue;
      EXPECT_EQ(context.profile()[3].runs, 82u);  // steps of the body
      EXPECT_EQ(context.profile()[2].runs, 7u);
    }
  }
}

TEST(ControlFlow, EverySecondIterationBeginsWithTheLastChunk) {
  Program p;
  p.outputs = {{"order", kInt64, {10}}};
  p.buffers = {MakeBuffer("order", Storage::kOutput, 0, {10}, 0, kInt64)};
  p.kernels = {"zero", "note"};
  p.instructions = {Launch("zero", 0, {0}, 1), Make(LoopOp{3, kNoBuffer, kNoBuffer, kNoBuffer, 1, {}, {}}),
                    Launch("note", 1, {0}, 3)};
  Context context(Module::FromProgram("o", p, {&Zero, &Note}, {}, nullptr), {.num_threads = 1});
  for (int run = 0; run < 2; ++run) {
    context.Run();
    const auto* order = static_cast<const int64_t*>(context.Output(0).data);
    EXPECT_EQ(std::vector<int64_t>(order, order + 10), (std::vector<int64_t>{9, 0, 1, 2, 2, 1, 0, 0, 1, 2}));
  }
}

TEST(ControlFlow, AFailedIterationLeavesNothingBehind) {
  auto module = Module::FromProgram("r", RecurrenceProgram(false), {&Step}, {}, nullptr);
  Context context(module, {.num_threads = 1});
  RunRecurrence(context, 5, false);
  std::vector<float> x(20, 1.0f), state(4, 0.0f);
  x[13] = -1;
  std::vector<int64_t> shape = {5, kWidth}, width = {kWidth};
  context.SetInput(0, DLTensor{x.data(), {kDLCPU, 0}, 2, kFloat32, shape.data(), nullptr, 0});
  ExpectError(ErrorId::kKernelError, "negative element", [&] { context.Run(); });
  RunRecurrence(context, 5, false);
  RunRecurrence(context, 4, false);
}

TEST(ControlFlow, AWalkBeyondItsMemoryIsRefused) {
  Program p = RecurrenceProgram(false);
  std::get<LoopOp>(p.instructions[2].op).walks[0].stride = 32;
  auto module = Module::FromProgram("r", std::move(p), {&Step}, {}, nullptr);
  Context context(module, {.num_threads = 1});
  RunRecurrence(context, 1, false);
  std::vector<float> x(8, 1.0f);
  std::vector<int64_t> shape = {2, kWidth};
  context.SetInput(0, DLTensor{x.data(), {kDLCPU, 0}, 2, kFloat32, shape.data(), nullptr, 0});
  ExpectError(ErrorId::kBufferBounds, "16 bytes at 32 of the 32 bytes", [&] { context.Run(); });
}

// total = 0 + 1 + ... over a loop with every kind of bound, then its negation where a flag says so.
Program CountingProgram() {
  Program p;
  p.inputs = {{"trips", kInt64, {}}, {"limit", kInt64, {}}, {"go", kBool, {}}, {"negative", kBool, {}}};
  p.outputs = {{"total", kInt64, {}}};
  p.arenas = {{0, "global", 256}};
  p.buffers = {MakeBuffer("trips", Storage::kInput, 0, {}, 0, kInt64),
               MakeBuffer("limit", Storage::kInput, 1, {}, 0, kInt64),
               MakeBuffer("go", Storage::kInput, 2, {}, 0, kBool),
               MakeBuffer("negative", Storage::kInput, 3, {}, 0, kBool),
               MakeBuffer("i", Storage::kArena, 0, {}, 0, kInt64),
               MakeBuffer("flag", Storage::kArena, 0, {}, 64, kBool),
               MakeBuffer("sum", Storage::kArena, 0, {}, 128, kInt64),
               MakeBuffer("total", Storage::kOutput, 0, {}, 0, kInt64)};
  p.kernels = {"accumulate", "below", "zero", "negate"};
  p.instructions = {Launch("zero", 2, {6}, 1),
                    Make(CopyOp{2, 5}),
                    Make(LoopOp{100, 0, 5, 4, 2, {}, {}}),
                    Launch("accumulate", 0, {4, 6}, 1),
                    Launch("below", 1, {4, 1, 5}, 1),
                    Make(IfOp{3, 1, 1}),
                    Launch("negate", 3, {6, 7}, 1),
                    Make(CopyOp{6, 7})};
  return p;
}

int64_t RunCounting(Context& context, int64_t trips, int64_t limit, bool go, bool negative) {
  const uint8_t flags[] = {go, negative};
  context.SetInput(0, &trips, 8);
  context.SetInput(1, &limit, 8);
  context.SetInput(2, &flags[0], 1);
  context.SetInput(3, &flags[1], 1);
  context.Run();
  int64_t total = 0;
  std::memcpy(&total, context.Output(0).data, 8);
  return total;
}

TEST(ControlFlow, LoopsEndAtTheFirstBound) {
  auto module =
      Module::FromProgram("c", CountingProgram(), {&Accumulate, &Below, &Zero, &Negate}, {}, nullptr);
  Context context(module, {.num_threads = 1});
  auto sum = [](int64_t n) { return n * (n - 1) / 2; };
  EXPECT_EQ(RunCounting(context, 5, 1000, true, false), sum(5));
  EXPECT_EQ(RunCounting(context, 5000, 7, true, false), sum(7));
  EXPECT_EQ(RunCounting(context, 5000, 1000, true, false), sum(100));
  EXPECT_EQ(RunCounting(context, 5, 1000, false, false), 0);
  EXPECT_EQ(RunCounting(context, 0, 1000, true, false), 0);
  EXPECT_EQ(RunCounting(context, -3, 1000, true, false), 0);
}

TEST(ControlFlow, BranchesFollowTheirCondition) {
  auto module =
      Module::FromProgram("c", CountingProgram(), {&Accumulate, &Below, &Zero, &Negate}, {}, nullptr);
  Context context(module, {.num_threads = 1});
  EXPECT_EQ(RunCounting(context, 4, 1000, true, true), -6);
  EXPECT_EQ(RunCounting(context, 4, 1000, true, false), 6);
}

// A loop in a loop, in a branch: i runs 3 times over a loop of 4.
TEST(ControlFlow, Nests) {
  Program p = CountingProgram();
  p.instructions = {Launch("zero", 2, {6}, 1),
                    Make(IfOp{3, 3, 1}),
                    Make(LoopOp{3, kNoBuffer, kNoBuffer, kNoBuffer, 2, {}, {}}),
                    Make(LoopOp{4, kNoBuffer, kNoBuffer, 4, 1, {}, {}}),
                    Launch("accumulate", 0, {4, 6}, 1),
                    Launch("zero", 2, {6}, 1),
                    Make(CopyOp{6, 7})};
  auto module = Module::FromProgram("c", std::move(p), {&Accumulate, &Below, &Zero, &Negate}, {}, nullptr);
  Context context(module, {.num_threads = 1});
  EXPECT_EQ(RunCounting(context, 0, 0, false, true), 18);
  EXPECT_EQ(RunCounting(context, 0, 0, false, false), 0);
}

}  // namespace
}  // namespace tilewright::runtime
