// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/program.h"

#include "tilewright/runtime/test_support.h"

namespace tilewright::runtime {
namespace {

// A program that uses every structure and every instruction.
Program EverythingProgram() {
  ShapeExpr n = ShapeExpr::Symbol(0), k = ShapeExpr::Symbol(1);
  Program p;
  p.symbols = {{"n", 1, 64, 1}, {"k", 0, 1000, 2}};
  p.inputs = {{"x", kFloat32, {n, 4}}};
  p.outputs = {{"y", kFloat32, {k, 4}}};
  p.devices.push_back({"accelerator", 1});
  p.arenas = {{0, "global", n * 16 + 64}, {1, "local", 256}};
  p.buffers = {MakeBuffer("x", Storage::kInput, 0, {n, 4}),
               MakeBuffer("w", Storage::kParameter, 0, {4}, 64),
               MakeBuffer("t", Storage::kArena, 0, {n, 4}, 64),
               MakeBuffer("count", Storage::kArena, 0, {1}, 0, kInt64),
               MakeBuffer("y", Storage::kOutput, 0, {k, 4}),
               MakeBuffer("far", Storage::kArena, 1, {4})};
  p.kernels = {"one", "two"};
  Instruction bind;
  bind.op = BindShapeOp{0};
  Instruction alloc;
  alloc.op = AllocOp{0};
  Instruction call;
  call.name = "count";
  call.op = CallHostOp{"test.count", {0, 3}};
  Instruction value;
  value.op = BindValueOp{1, 3};
  Instruction check;
  check.op = CheckEqualOp{n, k + 1, "rows of a and b"};
  Instruction send;
  send.device = 1;
  send.stream = 2;
  send.event = 0;
  send.once = true;
  send.op = CopyOp{1, 5};
  Instruction wait;
  wait.op = WaitOp{{0}};
  p.instructions = {bind,
                    alloc,
                    Launch("first", 0, {0, 1, 2}, FloorDiv(n + 3, 4), {n}),
                    call,
                    value,
                    send,
                    wait,
                    Launch("second", 1, {2, 4}, k),
                    check};
  p.buffers.push_back(MakeBuffer("flag", Storage::kArena, 0, {1}, 8, kBool));
  p.buffers.push_back(MakeBuffer("i", Storage::kArena, 0, {1}, 16, kInt64));
  p.buffers.push_back(MakeBuffer("u", Storage::kArena, 0, {n, 4}, 64));
  Instruction loop;
  loop.name = "steps";
  loop.op = LoopOp{n, 3, 6, 7, 3, {{2, 8}}, {{0, 16}}};
  Instruction branch;
  branch.op = IfOp{6, 1, 1};
  p.instructions.insert(p.instructions.end(),
                        {loop, branch, Launch("yes", 0, {0, 2}, 1), Launch("no", 1, {0, 8}, 1)});
  std::get<LaunchOp>(p.instructions[2].op).flops = n * 8;
  p.num_events = 1;
  p.bind_alignment = 16;
  return p;
}

TEST(Program, SurvivesARoundTrip) {
  Program p = EverythingProgram();
  ValidateProgram(p, 128);
  std::vector<std::byte> bytes = EncodeProgram(p);
  Program q = DecodeProgram(bytes);
  EXPECT_EQ(ToString(q), ToString(p));
  EXPECT_EQ(EncodeProgram(q), bytes);
  EXPECT_EQ(q.bind_alignment, 16u);
  EXPECT_EQ(std::get<LaunchOp>(q.instructions[2].op).flops, ShapeExpr::Symbol(0) * 8);
  EXPECT_EQ(q.symbols, p.symbols);
  EXPECT_EQ(q.devices, p.devices);
}

TEST(Program, Prints) {
  EXPECT_EQ(ToString(ScaleTwiceProgram(2)), R"(input x: float32[2, 4]
output y: float32[2, 4]
arena 0: 32 bytes of global on device 0
buffer b0:x: float32[2, 4] in input 0 at 0, 32 bytes
buffer b1:w: float32[4] in parameters at 0, 16 bytes
buffer b2:t: float32[2, 4] in arena 0 at 0, 32 bytes
buffer b3:y: float32[2, 4] in output 0 at 0, 32 bytes
0: launch check(b0:x) chunks 2  # check
1: launch scale(b0:x, b1:w, b2:t) chunks 2  # first
2: launch scale(b2:t, b1:w, b3:y) chunks 2  # second
)");
}

TEST(Program, PrintsBranchesAndLoops) {
  const std::string text = ToString(EverythingProgram());
  EXPECT_NE(
      text.find(
          "9: loop trips n trips b3:count while b6:flag counts in b7:i swaps b2:t and b8:u moves b0:x by "
          "16  # steps\n"
          "  10: if b6:flag\n"
          "    11: launch one(b0:x, b2:t) chunks 1  # yes\n"
          "  else\n"
          "    12: launch two(b0:x, b8:u) chunks 1  # no\n"),
      std::string::npos)
      << text;
}

TEST(Program, KnowsWhetherItIsStatic) {
  EXPECT_TRUE(ScaleTwiceProgram().IsStatic());
  EXPECT_FALSE(EverythingProgram().IsStatic());
}

TEST(Program, CompactBytesPacksSubByteElements) {
  EXPECT_EQ(CompactBytes({kDLInt, 4, 1}, {3}).constant(), 2);
  EXPECT_EQ(CompactBytes({kDLFloat, 32, 4}, {3}).constant(), 48);
  EXPECT_EQ(CompactBytes(kFloat32, {}).constant(), 4);
}

// Every truncation and every change of a byte decodes to a program that validation accepts or refuses
// cleanly.
TEST(Program, DamageNeverEscapesTheDecoder) {
  const std::vector<std::byte> bytes = EncodeProgram(EverythingProgram());
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_THROW(DecodeProgram(std::span(bytes).first(length)), RuntimeError) << length;
  }
  int accepted = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int flip : {0x01, 0x80, 0xff}) {
      std::vector<std::byte> damaged = bytes;
      damaged[i] ^= static_cast<std::byte>(flip);
      try {
        ValidateProgram(DecodeProgram(damaged), 128);
        ++accepted;  // a letter of a name, or a number that fits as well
      } catch (const RuntimeError&) {
      }
    }
  }
  EXPECT_GT(accepted, 0);
}

TEST(Program, UnknownOpcodeIsRefusedByName) {
  Program p = ScaleTwiceProgram();
  p.instructions.resize(1);
  p.instructions[0].name = "";
  std::vector<std::byte> bytes = EncodeProgram(p);
  // The last instruction: opcode, flags, device, stream, event, empty name, length, then launch operands.
  size_t operands = 4 + (4 + 4) + 4 + 9 + 9;
  size_t at = bytes.size() - operands - 4 - 4 - 4 - 2 - 2 - 1 - 1;
  ASSERT_EQ(bytes[at], static_cast<std::byte>(Opcode::kLaunch));
  bytes[at] = std::byte{30};
  ExpectError(ErrorId::kUnknownOpcode, "opcode 30", [&] { DecodeProgram(bytes); });
  bytes[at + 1] = std::byte{2};
  ExpectError(ErrorId::kUnknownOpcode, "flags 2", [&] { DecodeProgram(bytes); });
}

// What validation refuses: a change to a valid program, and words of the message.
struct Mistake {
  const char* name;
  void (*make)(Program&);
  const char* message;
};

class ProgramMistake : public testing::TestWithParam<Mistake> {};

TEST_P(ProgramMistake, IsRefused) {
  Program p = EverythingProgram();
  GetParam().make(p);
  ExpectError(ErrorId::kBadProgram, GetParam().message, [&] { ValidateProgram(p, 128); });
}

LaunchOp& FirstLaunch(Program& p) { return std::get<LaunchOp>(p.instructions[2].op); }
LoopOp& TheLoop(Program& p) { return std::get<LoopOp>(p.instructions[9].op); }
IfOp& TheIf(Program& p) { return std::get<IfOp>(p.instructions[10].op); }

INSTANTIATE_TEST_SUITE_P(
    All, ProgramMistake,
    testing::Values(
        Mistake{"NoDevices", [](Program& p) { p.devices.clear(); }, "does not list the host first"},
        Mistake{"Alignment", [](Program& p) { p.bind_alignment = 3; }, "aligned to 3 bytes"},
        Mistake{"SymbolRange", [](Program& p) { p.symbols[0].min = 100; }, "symbol 'n' has an empty range"},
        Mistake{"SymbolDivisor", [](Program& p) { p.symbols[0].divisor = 0; },
                "symbol 'n' has an empty range"},
        Mistake{"UnknownSymbol", [](Program& p) { p.inputs[0].shape[0] = ShapeExpr::Symbol(9); },
                "names a symbol that does not exist"},
        Mistake{"NegativeDimension", [](Program& p) { p.inputs[0].shape[1] = -4; }, "negative dimension -4"},
        Mistake{"HugeInput", [](Program& p) { p.inputs[0].shape = {INT64_MAX, 4}; }, "impossible shape"},
        Mistake{"NoBits", [](Program& p) { p.inputs[0].dtype.bits = 0; }, "element type without bits"},
        Mistake{"ArenaDevice", [](Program& p) { p.arenas[1].device = 7; }, "device that is not listed"},
        Mistake{"ArenaSize", [](Program& p) { p.arenas[1].bytes = -1; }, "negative size"},
        Mistake{"InputIndex", [](Program& p) { p.buffers[0].index = 1; }, "names input 1"},
        Mistake{"ParameterEnd", [](Program& p) { p.buffers[1].offset = 120; },
                "ends at byte 120 + 16 of 128"},
        Mistake{"ParameterOverflow", [](Program& p) { p.buffers[1].offset = INT64_MAX; }, "ends at byte"},
        Mistake{"ArenaEnd", [](Program& p) { p.buffers[5].offset = 255; }, "ends at byte 255 + 16 of 256"},
        Mistake{"TooSmall", [](Program& p) { p.buffers[5].bytes = 15; }, "its shape needs 16"},
        Mistake{"ArenaIndex", [](Program& p) { p.buffers[2].index = 5; }, "names arena 5"},
        Mistake{"Kernel", [](Program& p) { FirstLaunch(p).kernel = 2; }, "names kernel 2"},
        Mistake{"LaunchBuffer", [](Program& p) { FirstLaunch(p).buffers[0] = 99; }, "names buffer 99"},
        Mistake{"LaunchElsewhere", [](Program& p) { FirstLaunch(p).buffers[0] = 5; },
                "buffer 5 in another device's memory"},
        Mistake{"Chunks", [](Program& p) { FirstLaunch(p).num_chunks = -1; }, "negative number of chunks"},
        Mistake{"WriteParameters", [](Program& p) { std::get<CopyOp>(p.instructions[5].op) = {5, 1}; },
                "writes to the parameters"},
        Mistake{"CopySizes",
                [](Program& p) {
                  p.instructions[5].once = false;
                  std::get<CopyOp>(p.instructions[5].op) = {3, 5};
                },
                "copies 8 bytes to 16"},
        Mistake{"AllocFixed", [](Program& p) { p.instructions[1].op = AllocOp{1}; },
                "sizes an arena of constant size"},
        Mistake{"HostStream", [](Program& p) { p.instructions[0].stream = 1; }, "names a stream of the host"},
        Mistake{"Device", [](Program& p) { p.instructions[0].device = 2; }, "device that is not listed"},
        Mistake{"Bind", [](Program& p) { p.instructions[0].op = BindShapeOp{1}; }, "names input 1"},
        Mistake{"ValueType", [](Program& p) { p.instructions[4].op = BindValueOp{1, 0}; },
                "reads a symbol's value from float32"},
        Mistake{"ValueSymbol", [](Program& p) { p.instructions[4].op = BindValueOp{2, 3}; },
                "names symbol 2"},
        Mistake{"WaitUnsignalled", [](Program& p) { std::swap(p.instructions[5], p.instructions[6]); },
                "waits for event 0"},
        Mistake{"EventTwice", [](Program& p) { p.instructions[7].event = 0; }, "signals event 0"},
        Mistake{"OnceBind", [](Program& p) { p.instructions[0].once = true; }, "only copy and launch may"},
        Mistake{"OnceInput", [](Program& p) { p.instructions[2].once = true; }, "which may change"},
        Mistake{"BodyBeyondTheEnd", [](Program& p) { TheLoop(p).body_count = 4; },
                "has 4 instructions, but 3 follow"},
        Mistake{"BranchBeyondTheBody", [](Program& p) { TheLoop(p).body_count = 2; },
                "has 2 instructions, but 1 follow"},
        Mistake{"BranchCountsOverflow", [](Program& p) { TheIf(p).then_count = UINT32_MAX; }, "but 2 follow"},
        Mistake{"IfBuffer", [](Program& p) { TheIf(p).condition = kNoBuffer; }, "names buffer"},
        Mistake{"LoopOnDevice", [](Program& p) { p.instructions[9].device = 1; }, "loops on a device"},
        Mistake{"TripType", [](Program& p) { TheLoop(p).trip_buffer = 6; }, "too small"},
        Mistake{"TripFloat", [](Program& p) { TheLoop(p).trip_buffer = 0; }, "in a buffer of float32"},
        Mistake{"ConditionElsewhere", [](Program& p) { TheLoop(p).condition = 5; }, "not the host's"},
        Mistake{"CountsInInput",
                [](Program& p) {
                  p.inputs[0].dtype = p.buffers[0].dtype = kInt64;
                  p.buffers[0].bytes = p.buffers[0].bytes * ShapeExpr(2);
                  TheLoop(p).iteration = 0;
                  TheLoop(p).walks.clear();
                },
                "counts in memory that is not an arena's"},
        Mistake{"SwapSizes", [](Program& p) { TheLoop(p).swaps = {{3, 6}}; }, "buffers of different sizes"},
        Mistake{"SwapInput", [](Program& p) { TheLoop(p).swaps = {{0, 2}}; }, "not in arenas of one device"},
        Mistake{"SwapDevices", [](Program& p) { TheLoop(p).swaps = {{2, 5}}; },
                "not in arenas of one device"},
        Mistake{"MovedTwice", [](Program& p) { TheLoop(p).walks = {{2, 4}}; }, "moves a buffer in two ways"},
        Mistake{"MovedCounter", [](Program& p) { TheLoop(p).walks = {{7, 8}}; },
                "moves the buffer that it counts by"},
        Mistake{"AllocInBody", [](Program& p) { p.instructions[11].op = AllocOp{0}; },
                "sizes an arena in a loop's body"},
        Mistake{"OnceInBody",
                [](Program& p) {
                  p.instructions[11].op = CopyOp{1, 1};
                  p.instructions[11].once = true;
                },
                "stands in a branch or a loop's body"},
        Mistake{"EventOfABranch",
                [](Program& p) {
                  p.num_events = 2;
                  p.instructions[11].event = 1;
                  Instruction wait;
                  wait.op = WaitOp{{1}};
                  p.instructions.push_back(wait);
                },
                "waits for event 1"},
        Mistake{"TooDeep",
                [](Program& p) {
                  for (uint32_t i = 0; i < 70; ++i) {
                    Instruction loop;
                    loop.op = LoopOp{1, kNoBuffer, kNoBuffer, kNoBuffer, 69 - i, {}, {}};
                    p.instructions.push_back(loop);
                  }
                },
                "nested more than 64 deep"},
        Mistake{"EventCount", [](Program& p) { p.num_events = 1000000; }, "more events than instructions"}),
    [](const auto& info) { return std::string(info.param.name); });

}  // namespace
}  // namespace tilewright::runtime
