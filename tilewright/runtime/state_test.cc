// SPDX-License-Identifier: Apache-2.0
// Outputs that become inputs of the next run: donated memory, and memory that is exchanged.
#include "tilewright/runtime/context.h"
#include "tilewright/runtime/test_support.h"
#include "tilewright/runtime/tilewright.h"

namespace tilewright::runtime {
namespace {

// y[i] = x[i] * 2; fails where a chunk begins with 100.
void Double(void* const* buffers, const int64_t*, int64_t begin, int64_t end, const tw_runtime_table* table) {
  const auto* x = static_cast<const float*>(buffers[0]);
  if (x[begin * 4] == 100) table->report_error(table, "a hundred", 100);
  for (int64_t i = begin * 4; i < end * 4; ++i) static_cast<float*>(buffers[1])[i] = x[i] * 2;
}

Program DoubleProgram(bool donated, ShapeExpr rows = 8) {
  Program p;
  p.inputs = {{"x", kFloat32, {rows, 4}}};
  p.outputs = {{"y", kFloat32, {rows, 4}}};
  p.buffers = {MakeBuffer("x", Storage::kInput, 0, {rows, 4}),
               MakeBuffer("y", Storage::kOutput, 0, {rows, 4})};
  p.kernels = {"double"};
  p.instructions = {Launch("double", 0, {0, 1}, rows)};
  if (!donated) return p;
  Instruction donate;
  donate.op = DonateOp{0, 0};
  p.instructions.insert(p.instructions.begin(), donate);
  return p;
}

Program SymbolicProgram(bool donated) {
  Program p = DoubleProgram(donated, ShapeExpr::Symbol(0));
  p.symbols = {{"rows", 0, 1000, 1}};
  Instruction bind;
  bind.op = BindShapeOp{0};
  p.instructions.insert(p.instructions.begin(), bind);
  return p;
}

std::shared_ptr<const Module> MakeModule(Program p) {
  return Module::FromProgram("double", std::move(p), {&Double}, {}, nullptr);
}

float Last(const TensorView& t) { return static_cast<const float*>(t.data)[t.bytes / sizeof(float) - 1]; }

void SetOnes(Context& context, float value = 1) {
  const std::vector<float> x(32, value);
  context.SetInput(0, x.data(), 128);
}

TEST(State, ADonatedInputHoldsTheOutput) {
  Context context(MakeModule(DoubleProgram(true)));
  SetOnes(context);
  for (float want : {2.0f, 4.0f, 8.0f}) {
    context.Run();
    EXPECT_EQ(Last(context.Output(0)), want);
    EXPECT_EQ(context.Output(0).data, context.InputBuffer(0).data);
    context.Feed(0, 0);  // nothing to do
  }
  SetOnes(context, 3);
  context.Run();
  EXPECT_EQ(Last(context.Output(0)), 6);
  EXPECT_EQ(context.MemoryBytes(), 128u);
}

TEST(State, ADonatedInputMayBeTheCallers) {
  Context context(MakeModule(DoubleProgram(true)));
  alignas(64) static float mine[32];
  std::fill_n(mine, 32, 1.0f);
  int64_t shape[] = {8, 4};
  DLTensor tensor{mine, {kDLCPU, 0}, 2, kFloat32, shape, nullptr, 0};
  context.BindInput(0, &tensor);
  context.Run();
  context.Run();
  EXPECT_EQ(mine[31], 4);
  EXPECT_EQ(context.Output(0).data, mine);
  ExpectError(ErrorId::kBadBinding, "output 'y' has the memory of input 'x'",
              [&] { context.BindOutput(0, &tensor); });
}

TEST(State, AFailedRunLeavesADonatedInputWithoutContents) {
  Context context(MakeModule(DoubleProgram(true)));
  SetOnes(context, 100);
  ExpectError(ErrorId::kKernelError, "a hundred", [&] { context.Run(); });
  ExpectError(ErrorId::kInputMissing, "'x'", [&] { context.Run(); });
  SetOnes(context);
  context.Run();
  EXPECT_EQ(Last(context.Output(0)), 2);
}

TEST(State, FeedExchangesMemory) {
  Context context(MakeModule(DoubleProgram(false)));
  ExpectError(ErrorId::kNotRunYet, "'y'", [&] { context.Feed(0, 0); });
  SetOnes(context);
  context.Run();
  const void *in = context.InputBuffer(0).data, *out = context.Output(0).data;
  EXPECT_NE(in, out);
  context.Feed(0, 0);
  EXPECT_EQ(context.InputBuffer(0).data, out);
  for (float want : {4.0f, 8.0f, 16.0f}) {
    context.Run();
    EXPECT_EQ(Last(context.Output(0)), want);
    context.Feed(0, 0);
  }
  EXPECT_EQ(context.MemoryBytes(), 256u);
}

TEST(State, ShapesGoWithTheMemory) {
  for (bool donated : {false, true}) {
    Context context(MakeModule(SymbolicProgram(donated)));
    for (int64_t rows : {8, 3, 20}) {
      const int64_t shape[] = {rows, 4};
      context.SetInputShape(0, shape);
      const TensorView x = context.InputBuffer(0);
      std::fill_n(static_cast<float*>(x.data), rows * 4, 1.0f);
      for (float want : {2.0f, 4.0f, 8.0f}) {
        context.Run();
        EXPECT_EQ(context.Output(0).shape[0], rows);
        EXPECT_EQ(Last(context.Output(0)), want) << rows << donated;
        context.Feed(0, 0);
      }
    }
  }
}

TEST(State, BoundMemoryIsNotExchanged) {
  Context context(MakeModule(DoubleProgram(false)));
  alignas(64) static float mine[32];
  int64_t shape[] = {8, 4};
  DLTensor tensor{mine, {kDLCPU, 0}, 2, kFloat32, shape, nullptr, 0};
  SetOnes(context);
  context.BindOutput(0, &tensor);
  context.Run();
  ExpectError(ErrorId::kBadBinding, "output 'y'", [&] { context.Feed(0, 0); });
  ExpectError(ErrorId::kIndexOutOfRange, "input", [&] { context.Feed(0, 1); });
}

TEST(State, OfAnotherTypeIsRefused) {
  Program p = DoubleProgram(false);
  p.inputs.push_back({"n", kInt64, {8, 4}});
  p.inputs.push_back({"small", kFloat32, {7, 4}});
  Context context(MakeModule(std::move(p)));
  SetOnes(context);
  const std::vector<int64_t> n(32);
  context.SetInput(1, n.data(), 256);
  context.SetInput(2, n.data(), 112);
  context.Run();
  ExpectError(ErrorId::kWrongDType, "'n'", [&] { context.Feed(0, 1); });
  ExpectError(ErrorId::kWrongShape, "'small'", [&] { context.Feed(0, 2); });
}

void ExpectBad(const Program& p, const std::string& text) {
  ExpectError(ErrorId::kBadProgram, text, [&] { ValidateProgram(p, 0); });
}

TEST(State, ProgramsThatDonateWhatDoesNotFitAreRefused) {
  ValidateProgram(DoubleProgram(true), 0);
  Program p = DoubleProgram(true);
  p.instructions.insert(p.instructions.begin(), p.instructions[0]);
  ExpectBad(p, "that an instruction before it gives");
  p = DoubleProgram(true);
  p.outputs[0].dtype = kInt64;
  p.buffers[1].dtype = kInt64;
  p.buffers[1].bytes = 256;
  ExpectBad(p, "of another type");
  p = DoubleProgram(true);
  std::get<DonateOp>(p.instructions[0].op).input = 1;
  ExpectBad(p, "names input 1");
  p = DoubleProgram(true);
  std::get<DonateOp>(p.instructions[0].op).output = 1;
  ExpectBad(p, "names output 1");
}

TEST(State, DonationsSurviveTheFormat) {
  const Program p = DecodeProgram(EncodeProgram(DoubleProgram(true)));
  const auto& op = std::get<DonateOp>(p.instructions.at(0).op);
  EXPECT_EQ(op.input, 0u);
  EXPECT_EQ(op.output, 0u);
  EXPECT_EQ(ToString(p), ToString(DoubleProgram(true)));
  EXPECT_NE(ToString(p).find("donate input 0 to output 0"), std::string::npos) << ToString(p);
}

}  // namespace
}  // namespace tilewright::runtime
