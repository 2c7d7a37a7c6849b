// SPDX-License-Identifier: Apache-2.0
// Programs over kernels written by hand.
#include "tilewright/runtime/context.h"

#include <cstring>
#include <numeric>
#include <thread>

#include "tilewright/runtime/host_functions.h"
#include "tilewright/runtime/test_support.h"
#include "tilewright/runtime/thread_pool.h"

namespace tilewright::runtime {
namespace {

// output = input * weights, rows of four; a chunk is a row.
void Scale(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table*) {
  const auto* input = static_cast<const float*>(buffers[0]);
  const auto* weights = static_cast<const float*>(buffers[1]);
  auto* output = static_cast<float*>(buffers[2]);
  for (int64_t i = begin * 4; i < end * 4; ++i) output[i] = input[i] * weights[i % 4];
}

// Reports negative elements.
void Check(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table* table) {
  for (int64_t i = begin * 4; i < end * 4; ++i) {
    if (static_cast<const float*>(buffers[0])[i] < 0) table->report_error(table, "negative element", i);
  }
}

alignas(64) constexpr float kWeights[4] = {1, 2, 3, 4};
std::span<const std::byte> Weights() { return std::as_bytes(std::span(kWeights)); }

std::shared_ptr<const Module> ScaleModule(int64_t rows = 8) {
  return Module::FromProgram("scale", ScaleTwiceProgram(rows), {&Scale, &Check}, Weights(), nullptr);
}

std::vector<float> Ramp(size_t n) {
  std::vector<float> v(n);
  std::iota(v.begin(), v.end(), 0.0f);
  return v;
}

void ExpectScaledTwice(const std::vector<float>& x, const void* y) {
  for (size_t i = 0; i < x.size(); ++i) {
    float w = kWeights[i % 4];
    ASSERT_EQ(static_cast<const float*>(y)[i], x[i] * w * w) << i;
  }
}

DLTensor Tensor(void* data, std::vector<int64_t>& shape, int64_t* strides = nullptr) {
  return {data, {kDLCPU, 0}, static_cast<int32_t>(shape.size()), kFloat32, shape.data(), strides, 0};
}

TEST(Context, RunsAStaticProgram) {
  for (int threads : {1, 2, 3}) {
    Context context(ScaleModule(), {.num_threads = threads});
    std::vector<float> x = Ramp(32);
    for (int run = 0; run < 3; ++run) {
      x[5] = static_cast<float>(run);
      context.SetInput(0, x.data(), 128);
      context.Run();
      TensorView y = context.Output(0);
      EXPECT_EQ(y.bytes, 128u);
      EXPECT_EQ(std::vector<int64_t>(y.shape.begin(), y.shape.end()), (std::vector<int64_t>{8, 4}));
      ExpectScaledTwice(x, y.data);
    }
    EXPECT_EQ(context.MemoryBytes(), 128u * 3);
  }
}

TEST(Context, MemoryIsAligned) {
  Context context(ScaleModule());
  EXPECT_EQ(reinterpret_cast<uintptr_t>(context.InputBuffer(0).data) % 64, 0u);
}

TEST(Context, FillsInputsInPlace) {
  Context context(ScaleModule());
  std::vector<float> x = Ramp(32);
  TensorView input = context.InputBuffer(0);
  std::memcpy(input.data, x.data(), input.bytes);
  context.Run();
  ExpectScaledTwice(x, context.Output(0).data);
}

TEST(Context, CopiesStridedTensors) {
  Context context(ScaleModule(2));
  std::vector<float> transposed = {0, 4, 1, 5, 2, 6, 3, 7};  // [4, 2]
  std::vector<int64_t> shape = {2, 4}, strides = {1, 2};
  context.SetInput(0, Tensor(transposed.data(), shape, strides.data()));
  context.Run();
  ExpectScaledTwice(Ramp(8), context.Output(0).data);
}

TEST(Context, BindsInputsAndOutputs) {
  Context context(ScaleModule());
  alignas(64) float x[32], y[32] = {};
  std::vector<float> ramp = Ramp(32);
  std::copy(ramp.begin(), ramp.end(), x);
  std::vector<int64_t> shape = {8, 4};
  DLTensor input = Tensor(x, shape), output = Tensor(y, shape);
  context.BindInput(0, &input);
  context.BindOutput(0, &output);
  context.Run();
  EXPECT_EQ(context.Output(0).data, y);
  ExpectScaledTwice(ramp, y);
  x[3] = ramp[3] = 100;  // read at every run
  context.Run();
  ExpectScaledTwice(ramp, y);
  context.BindOutput(0, nullptr);
  context.BindInput(0, nullptr);
  ExpectError(ErrorId::kInputMissing, "input 'x'", [&] { context.Run(); });
  context.SetInput(0, ramp.data(), 128);
  context.Run();
  EXPECT_NE(context.Output(0).data, y);
  ExpectScaledTwice(ramp, context.Output(0).data);
}

TEST(Context, RefusesMisuse) {
  Context context(ScaleModule());
  std::vector<float> x = Ramp(36);
  std::vector<int64_t> shape = {8, 4}, wrong = {4, 8}, strides = {1, 8};
  ExpectError(ErrorId::kInputMissing, "input 'x'", [&] { context.Run(); });
  ExpectError(ErrorId::kNotRunYet, "output 'y'", [&] { context.Output(0); });
  ExpectError(ErrorId::kIndexOutOfRange, "no input number 1", [&] { context.SetInput(1, x.data(), 128); });
  ExpectError(ErrorId::kIndexOutOfRange, "no output number 3", [&] { context.Output(3); });
  ExpectError(ErrorId::kWrongSize, "128 bytes, but 144", [&] { context.SetInput(0, x.data(), 144); });
  ExpectError(ErrorId::kWrongShape, "[4, 8], expected [8, 4]",
              [&] { context.SetInput(0, Tensor(x.data(), wrong)); });
  DLTensor tensor = Tensor(x.data(), shape);
  tensor.dtype = kInt32;
  ExpectError(ErrorId::kWrongDType, "int32, expected float32", [&] { context.SetInput(0, tensor); });
  tensor = Tensor(x.data(), shape);
  tensor.device = {kDLCUDA, 0};
  ExpectError(ErrorId::kNotOnHost, "device type 2", [&] { context.SetInput(0, tensor); });
  tensor = Tensor(nullptr, shape);
  ExpectError(ErrorId::kNullArgument, "null data", [&] { context.SetInput(0, tensor); });
  tensor = Tensor(x.data(), shape, strides.data());
  ExpectError(ErrorId::kNotCompact, "row-major", [&] { context.BindInput(0, &tensor); });
  alignas(64) float aligned[40];
  tensor = Tensor(aligned + 1, shape);
  ExpectError(ErrorId::kMisaligned, "64 bytes", [&] { context.BindInput(0, &tensor); });
  ExpectError(ErrorId::kBadOption, "-1", [] { Context(ScaleModule(), {.num_threads = -1}); });
}

TEST(Context, KernelErrorsAreReportedAndLeaveTheContextUsable) {
  Context context(ScaleModule(), {.num_threads = 2});
  std::vector<float> x = Ramp(32);
  x[9] = -1;
  context.SetInput(0, x.data(), 128);
  ExpectError(ErrorId::kKernelError, "'check' failed on these inputs: negative element (9)",
              [&] { context.Run(); });
  ExpectError(ErrorId::kNotRunYet, "successful run", [&] { context.Output(0); });
  x[9] = 9;
  context.SetInput(0, x.data(), 128);
  context.Run();
  ExpectScaledTwice(x, context.Output(0).data);
}

TEST(Context, ProfilesOnRequest) {
  Context plain(ScaleModule());
  EXPECT_TRUE(plain.profile().empty());
  Context context(ScaleModule(), {.profile = true});
  std::vector<float> x = Ramp(32);
  context.SetInput(0, x.data(), 128);
  for (int i = 0; i < 5; ++i) context.Run();
  ASSERT_EQ(context.profile().size(), 3u);
  for (const ProfileEntry& entry : context.profile()) {
    EXPECT_EQ(entry.runs, 5u);
    EXPECT_LE(entry.min_ns * 5, entry.sum_ns);
  }
  context.ResetProfile();
  EXPECT_EQ(context.profile()[1].runs, 0u);
  EXPECT_TRUE(context.trace().empty());
}

TEST(Context, RecordsTheLastRun) {
  Program program = ScaleTwiceProgram();
  std::get<LaunchOp>(program.instructions[1].op).flops = 32;
  std::get<LaunchOp>(program.instructions[2].op).buffers = {0, 1, 3, 0};
  auto module = Module::FromProgram("scale", program, {&Scale, &Check}, Weights(), nullptr);
  Context context(module, {.profile = true, .trace_events = 8});
  EXPECT_EQ(context.Work(1).bytes, 0u);
  const std::vector<float> x = Ramp(32);
  context.SetInput(0, x.data(), 128);
  for (int i = 0; i < 3; ++i) context.Run();
  ASSERT_EQ(context.trace().size(), 3u);
  uint64_t end = 0;
  for (uint32_t i = 0; i < 3; ++i) {
    EXPECT_EQ(context.trace()[i].instruction, i);
    EXPECT_GE(context.trace()[i].start_ns, end);
    end = context.trace()[i].start_ns + context.trace()[i].ns;
  }
  EXPECT_EQ(context.Work(0).flops, 0);
  EXPECT_EQ(context.Work(1).flops, 32);
  EXPECT_EQ(context.Work(1).bytes, 128u + 16u + 128u);
  EXPECT_EQ(context.Work(2).bytes, 128u + 16u + 128u) << "a buffer counts once";
}

TEST(Context, RecordsAsMuchAsThereIsRoomFor) {
  Context context(ScaleModule(), {.profile = true, .trace_events = 2});
  const std::vector<float> x = Ramp(32);
  context.SetInput(0, x.data(), 128);
  context.Run();
  ASSERT_EQ(context.trace().size(), 2u);
  EXPECT_EQ(context.trace()[1].instruction, 1u);
}

TEST(Context, ContextsOfOneModuleRunSideBySide) {
  std::shared_ptr<const Module> module = ScaleModule(64);
  std::vector<std::thread> threads;
  for (int t = 0; t < 16; ++t) {
    threads.emplace_back([&, t] {
      Context context(module, {.num_threads = 2});
      std::vector<float> x = Ramp(256);
      for (int run = 0; run < 50; ++run) {
        x[0] = static_cast<float>(t);
        context.SetInput(0, x.data(), 1024);
        context.Run();
        ExpectScaledTwice(x, context.Output(0).data);
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

TEST(Context, FromProgramChecksItsParts) {
  ExpectError(ErrorId::kBadProgram, "was given 1",
              [] { Module::FromProgram("m", ScaleTwiceProgram(), {&Scale}, Weights(), nullptr); });
  ExpectError(ErrorId::kBadProgram, "was given 2 or a null one",
              [] { Module::FromProgram("m", ScaleTwiceProgram(), {&Scale, nullptr}, Weights(), nullptr); });
  ExpectError(ErrorId::kBadProgram, "ends at byte 0 + 16 of 8", [] {
    Module::FromProgram("m", ScaleTwiceProgram(), {&Scale, &Check}, Weights().first(8), nullptr);
  });
}

TEST(Context, AbsurdArenaIsOutOfMemory) {
  Program p = ScaleTwiceProgram();
  p.arenas[0].bytes = int64_t{1} << 55;
  auto module = Module::FromProgram("m", p, {&Scale, &Check}, Weights(), nullptr);
  ExpectError(ErrorId::kOutOfMemory, "36028797018963968 bytes", [&] { Context context(module); });
}

#if defined(__x86_64__)
// x * 0.5, which is a denormal for the least normal x, and zero where the thread flushes denormals.
void Halve(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table*) {
  for (int64_t i = begin * 4; i < end * 4; ++i) {
    volatile float x = static_cast<const float*>(buffers[0])[i];
    static_cast<float*>(buffers[2])[i] = x * 0.5f;
  }
}

TEST(Context, FloatModesOfTheCallerDoNotMatter) {
  constexpr uint32_t kFlush = 0x9fc0;  // the default with flush-to-zero and denormals-are-zero
  uint32_t before = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(kFlush);
  auto module = Module::FromProgram("halve", ScaleTwiceProgram(), {&Halve, &Check}, Weights(), nullptr);
  Context context(module, {.num_threads = 4});
  std::vector<float> x(32, std::numeric_limits<float>::min());
  context.SetInput(0, x.data(), 128);
  context.Run();
  uint32_t after = __builtin_ia32_stmxcsr();
  __builtin_ia32_ldmxcsr(before);
  EXPECT_EQ(after & 0xffc0, kFlush & 0xffc0);
  const auto* y = static_cast<const float*>(context.Output(0).data);
  for (size_t i = 0; i < x.size(); ++i) EXPECT_EQ(y[i], x[i] * 0.25f) << i;
  EXPECT_GT(y[0], 0.0f);
}
#endif

// ---- Shapes known at run time ----

// y[n, 4] = scale(scale(x[n, 4])), its arena sized by n.
Program DynamicProgram() {
  ShapeExpr n = ShapeExpr::Symbol(0);
  Program p = ScaleTwiceProgram();
  p.symbols = {{"n", 1, 1000, 1}};
  p.inputs[0].shape[0] = p.outputs[0].shape[0] = n;
  for (size_t b : {0, 2, 3}) {
    p.buffers[b].shape[0] = n;
    p.buffers[b].bytes = n * 16;
  }
  p.arenas[0].bytes = n * 16;
  Instruction bind, alloc;
  bind.op = BindShapeOp{0};
  alloc.op = AllocOp{0};
  p.instructions = {bind, alloc, Launch("check", 1, {0}, n), Launch("first", 0, {0, 1, 2}, n),
                    Launch("second", 0, {2, 1, 3}, n)};
  return p;
}

std::shared_ptr<const Module> DynamicModule(Program p = DynamicProgram()) {
  return Module::FromProgram("dynamic", std::move(p), {&Scale, &Check}, Weights(), nullptr);
}

TEST(DynamicContext, FollowsTheShapesOfItsInputs) {
  Context context(DynamicModule(), {.num_threads = 2});
  for (int64_t rows : {3, 3, 100, 1, 7, 1000, 2}) {
    std::vector<float> x = Ramp(static_cast<size_t>(rows) * 4);
    std::vector<int64_t> shape = {rows, 4};
    context.SetInput(0, Tensor(x.data(), shape));
    context.Run();
    TensorView y = context.Output(0);
    EXPECT_EQ(y.shape[0], rows);
    ExpectScaledTwice(x, y.data);
  }
}

TEST(DynamicContext, ShapeFirstThenBytes) {
  Context context(DynamicModule());
  std::vector<float> x = Ramp(20);
  ExpectError(ErrorId::kWrongShape, "set its shape first", [&] { context.SetInput(0, x.data(), 80); });
  context.SetInputShape(0, std::vector<int64_t>{5, 4});
  ExpectError(ErrorId::kInputMissing, "input 'x'", [&] { context.Run(); });
  context.SetInput(0, x.data(), 80);
  context.Run();
  ExpectScaledTwice(x, context.Output(0).data);
  ExpectError(ErrorId::kWrongShape, "[5, 3], expected [any, 4]",
              [&] { context.SetInputShape(0, std::vector<int64_t>{5, 3}); });
  ExpectError(ErrorId::kWrongShape, "[-5, 4]",
              [&] { context.SetInputShape(0, std::vector<int64_t>{-5, 4}); });
  ExpectError(ErrorId::kWrongShape, "larger than memory",
              [&] { context.SetInputShape(0, std::vector<int64_t>{INT64_MAX / 2, 4}); });
}

TEST(DynamicContext, RefusesShapesOutsideTheRange) {
  Program p = DynamicProgram();
  p.symbols[0].max = 10;
  p.symbols[0].divisor = 2;
  Context context(DynamicModule(p));
  std::vector<float> x = Ramp(48);
  for (int64_t rows : {12, 3}) {
    std::vector<int64_t> shape = {rows, 4};
    context.SetInput(0, Tensor(x.data(), shape));
    ExpectError(ErrorId::kSymbolRange, "input 'x' makes 'n' " + std::to_string(rows), [&] { context.Run(); });
  }
}

TEST(DynamicContext, OneSymbolHasOneValue) {
  Program p = DynamicProgram();
  p.inputs[0].shape[1] = ShapeExpr::Symbol(0);
  Context context(DynamicModule(p));
  std::vector<float> x = Ramp(12);
  std::vector<int64_t> shape = {3, 4};
  context.SetInput(0, Tensor(x.data(), shape));
  ExpectError(ErrorId::kWrongShape, "makes 'n' 4, but it is 3 elsewhere", [&] { context.Run(); });
}

TEST(DynamicContext, DerivedDimensionsAreChecked) {
  Program p = DynamicProgram();
  p.inputs[0].shape[1] = ShapeExpr::Symbol(0) * 2;
  Context context(DynamicModule(p));
  std::vector<float> x = Ramp(12);
  std::vector<int64_t> shape = {3, 4};
  context.SetInput(0, Tensor(x.data(), shape));
  ExpectError(ErrorId::kWrongShape, "dimension 1 of input 'x' is 4, expected 6", [&] { context.Run(); });
}

TEST(DynamicContext, BoundOutputMustBeLargeEnough) {
  Context context(DynamicModule());
  alignas(64) float y[16];
  std::vector<int64_t> room = {4, 4}, small = {2, 4}, large = {5, 4};
  DLTensor output = Tensor(y, room);
  context.BindOutput(0, &output);
  std::vector<float> x = Ramp(20);
  context.SetInput(0, Tensor(x.data(), small));
  context.Run();
  EXPECT_EQ(context.Output(0).shape[0], 2);
  ExpectScaledTwice(Ramp(8), y);
  context.SetInput(0, Tensor(x.data(), large));
  ExpectError(ErrorId::kWrongSize, "needs 80 bytes, but the tensor bound to it has 64",
              [&] { context.Run(); });
}

TEST(DynamicContext, WindowsAreCheckedWhenShapesAreKnown) {
  Program p = DynamicProgram();
  p.arenas[0].bytes = ShapeExpr::Symbol(0) * 8;  // half of what the buffer needs
  Context context(DynamicModule(p));
  std::vector<float> x = Ramp(12);
  std::vector<int64_t> shape = {3, 4};
  context.SetInput(0, Tensor(x.data(), shape));
  ExpectError(ErrorId::kBufferBounds, "48 bytes at 0 of the 24 bytes", [&] { context.Run(); });
}

// ---- Host functions and values from data ----

// Counts the positive elements of its first argument.
int32_t CountPositive(void* user_data, const DLTensor* arguments, int32_t num_arguments) {
  if (num_arguments != 2 || user_data == nullptr) return 77;
  const auto* x = static_cast<const float*>(arguments[0].data);
  int64_t count = 0;
  for (int64_t i = 0; i < arguments[0].shape[0] * arguments[0].shape[1]; ++i) count += x[i] > 0;
  *static_cast<int64_t*>(arguments[1].data) = count;
  return count == 13 ? 13 : 0;
}

// y has as many rows as x[2, 8] has positive elements, each row the weights squared times a ramp... of x's
// arena.
Program CountProgram() {
  ShapeExpr k = ShapeExpr::Symbol(0);
  Program p;
  p.symbols = {{"k", 0, 16, 1}};
  p.inputs = {{"x", kFloat32, {4, 4}}};
  p.outputs = {{"y", kFloat32, {k, 4}}};
  p.arenas = {{0, "global", 64}};
  p.buffers = {MakeBuffer("x", Storage::kInput, 0, {4, 4}), MakeBuffer("w", Storage::kParameter, 0, {4}),
               MakeBuffer("k", Storage::kArena, 0, {}, 0, kInt64),
               MakeBuffer("y", Storage::kOutput, 0, {k, 4})};
  p.kernels = {"scale"};
  Instruction call, bind;
  call.op = CallHostOp{"test.count_positive", {0, 2}};
  bind.op = BindValueOp{0, 2};
  p.instructions = {call, bind, Launch("rows", 0, {0, 1, 3}, k)};
  return p;
}

TEST(DynamicContext, BindsValuesFromData) {
  auto module = Module::FromProgram("count", CountProgram(), {&Scale}, Weights(), nullptr);
  static int user_data;
  RegisterHostFunction("test.count_positive", {&CountPositive, &user_data});
  Context context(module, {.num_threads = 2});
  for (size_t count : {3u, 0u, 4u}) {
    std::vector<float> x(16, -1.0f);
    std::fill(x.begin(), x.begin() + static_cast<ptrdiff_t>(count), 2.0f);
    context.SetInput(0, x.data(), 64);
    context.Run();
    TensorView y = context.Output(0);
    ASSERT_EQ(y.shape[0], static_cast<int64_t>(count));
    for (size_t i = 0; i < count * 4; ++i) EXPECT_EQ(static_cast<float*>(y.data)[i], x[i] * kWeights[i % 4]);
  }
  std::vector<float> x(16, -1.0f);
  std::fill(x.begin(), x.begin() + 13, 2.0f);
  context.SetInput(0, x.data(), 64);
  ExpectError(ErrorId::kHostFunctionFailed, "'test.count_positive' failed with error 13",
              [&] { context.Run(); });
}

TEST(Context, MissingHostFunctionIsNamed) {
  Program p = CountProgram();
  std::get<CallHostOp>(p.instructions[0].op).function = "test.absent";
  auto module = Module::FromProgram("m", p, {&Scale}, Weights(), nullptr);
  ExpectError(ErrorId::kMissingHostFunction, "'test.absent'", [&] { Context context(module); });
}

}  // namespace
}  // namespace tilewright::runtime
