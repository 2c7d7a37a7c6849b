// SPDX-License-Identifier: Apache-2.0
// A matrix product and a convolution of bytes on an accelerator with scratchpads, copies of tiles, a matrix
// unit, and units that run beside each other. Schedules put the pieces there; lowering interleaves the
// virtual threads, takes out the host's part, and orders the units by tokens. docs/devices.md goes through
// it. The interpreter runs the units in as bad an order as the tokens allow.
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/tir/lower/insert_tokens.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using testing::Not;
using Order = InterpretOptions::Order;

Target Accelerator() { return Target::Parse("model-accelerator"); }

/// Accumulators as bytes: divided by 2^shift, rounded down, and cut to what a byte holds.
Expr Requantised(const Expr& value, int shift) {
  Expr shifted = MakeCall(Intrinsic::k_shift_right, {value, MakeConst(kI32, shift)});
  return MakeCast(kI8, Max(Min(shifted, MakeConst(kI32, 127)), MakeConst(kI32, -128)));
}

/// D = requantised(A B), blocks C and D.
PrimFunc ByteMatmul(int64_t m, int64_t n, int64_t k) {
  te::Tensor a = te::Placeholder("A", kI8, {m, k}), b = te::Placeholder("B", kI8, {k, n});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c = te::Compute("C", {m, n}, [&](auto& i) {
    return te::Sum(MakeCast(kI32, a({i[0], r.var})) * MakeCast(kI32, b({r.var, i[1]})), {r});
  });
  te::Tensor d = te::Compute("D", {m, n}, [&](auto& i) { return Requantised(c(i), 3); });
  return te::CreatePrimFunc("byte_matmul", {a, b}, {d});
}

/// 3x3 convolution of [size, size, in] with a border of zeros, blocks P, C and D.
PrimFunc ByteConv(int64_t size, int64_t in, int64_t out) {
  te::Tensor x = te::Placeholder("A", kI8, {size, size, in}), w = te::Placeholder("B", kI8, {3, 3, in, out});
  te::Tensor p = te::Compute("P", {size + 2, size + 2, in}, [&](auto& i) {
    Expr inside = Expr(1) <= i[0] && i[0] < Expr(size + 1) && Expr(1) <= i[1] && i[1] < Expr(size + 1);
    return MakeIfThenElse(inside, x({i[0] - Expr(1), i[1] - Expr(1), i[2]}), MakeConst(kI8, 0));
  });
  IterVar r = te::ReduceAxis(3, "r"), s = te::ReduceAxis(3, "s"), k = te::ReduceAxis(in, "k");
  te::Tensor c = te::Compute("C", {size, size, out}, [&](auto& i) {
    return te::Sum(MakeCast(kI32, p({i[0] + r.var, i[1] + s.var, k.var})) *
                       MakeCast(kI32, w({r.var, s.var, k.var, i[2]})),
                   {r, s, k});
  });
  te::Tensor d = te::Compute("D", {size, size, out}, [&](auto& i) { return Requantised(c(i), 4); });
  return te::CreatePrimFunc("byte_conv", {x, w}, {d});
}

/// Loads what the product reads of a buffer, a tile in each iteration of `at`. Tiles of a window's points
/// overlap: such loads are no tiles of the buffer, which tensorize asks for, and are named by hand.
void LoadTiles(Schedule& s, const BlockRef& product, const std::string& buffer, const std::string& scope,
               const LoopRef& at, bool overlap = false) {
  for (const BufferRegion& r : s.Get(product).reads) {
    if (r.buffer.name() != buffer) continue;
    const BlockRef load = s.CacheRead(product, r.buffer, scope);
    s.ComputeAt(load, at);
    const LoopRef rows = *(s.GetLoops(load).end() - 2);
    const std::string instruction = "load_" + scope + "_16x16";
    if (overlap) {
      s.Annotate(rows, "unit", std::string("load"));
      s.Annotate(rows, "instruction", instruction);
    } else {
      s.Tensorize(rows, instruction);
    }
    return;
  }
  FAIL() << "the product does not read " << buffer;
}

/// For both: rows and columns of the result are its last two axes, the depth is the reduction's last one.
/// `threads` virtual threads have neighbouring tiles of columns.
void ScheduleForAccelerator(Schedule& s, const std::string& input, int64_t threads) {
  const BlockRef product = s.GetBlock("C"), result = s.GetBlock("D");
  s.SetScope(product, 0, "accumulator");
  const BlockRef store = s.CacheWrite(result, s.Get(result).writes[0].buffer, "output");

  // Tiles of the result, each made in a virtual thread.
  const LoopRef core = s.Split(s.GetLoops(store)[0], {1, nullptr})[0];
  const std::vector<LoopRef> l = s.GetLoops(store);
  const std::vector<LoopRef> i = s.Split(l[l.size() - 2], {nullptr, 16});
  const std::vector<LoopRef> j = s.Split(l.back(), {nullptr, threads, 16});
  s.Reorder({i[0], j[0], j[1], i[1], j[2]});
  s.ComputeAt(result, j[1]);
  s.ComputeAt(product, j[1]);

  // The product of a tile in steps along the depth, of which each loads what it multiplies.
  const size_t axes = s.Get(result).iter_vars.size(), all = s.Get(product).iter_vars.size();
  const std::vector<LoopRef> around = s.GetLoops(product);
  const std::vector<LoopRef> own(around.end() - std::ptrdiff_t(all), around.end());
  const std::vector<LoopRef> k = s.Split(own.back(), {nullptr, 16});
  std::vector<LoopRef> order(own.begin() + std::ptrdiff_t(axes), own.end() - 1);
  order.insert(order.end(), {k[0], own[axes - 2], own[axes - 1], k[1]});
  s.Reorder(order);
  LoadTiles(s, product, input, "input", k[0], order[0] != k[0]);
  LoadTiles(s, product, "B", "weight", k[0]);

  // Instructions, and who runs them.
  const BlockRef clear = s.DecomposeReduction(product, order[0]);
  s.Tensorize(*(s.GetLoops(clear).end() - 2), "clear_16x16");
  s.Tensorize(own[axes - 2], "gemm_16x16x16");
  s.Annotate(*(s.GetLoops(result).end() - 2), "unit", std::string("compute"));
  s.Tensorize(i[1], "store_output_16x16");
  s.Bind(j[1], "vthread");
  s.Bind(core, "core");
}

LoweredKernels LoweredUpTo(const PrimFunc& f, const std::string& pass) {
  LowerOptions options;
  options.stop_after = pass;
  return LowerPrimFunc(f, Accelerator(), options);
}

/// The result of the launches on the inputs that RunSeeded has; what they share lies in memory.
std::vector<NDArray> RunLaunches(const PrimFunc& original, const LoweredKernels& lowered,
                                 const InterpretOptions& options) {
  std::map<Buffer, NDArray> arrays;
  for (size_t i = 0; i < original->buffers.size(); ++i)
    arrays[original->buffers[i]] = RandomInput(original->buffers[i], 7 + i);
  for (const Buffer& b : lowered.workspaces) arrays[b] = NDArray::Empty(b.dtype(), ConstShape(b));
  for (const KernelLaunch& launch : lowered.launches) {
    std::vector<NDArray> args;
    for (const Buffer& b : launch.args) args.push_back(arrays.at(b));
    Interpret(launch.kernel, args, {}, options);
  }
  return {arrays.at(original->buffers.back())};
}

std::string TextOf(const LoweredKernels& lowered) {
  std::string text;
  for (const KernelLaunch& launch : lowered.launches) text += ToString(launch.kernel);
  return text;
}

void ExpectAgrees(const PrimFunc& original, const LoweredKernels& lowered) {
  const std::vector<NDArray> expected = RunSeeded(original, original, {}, 7);
  for (Order order : {Order::kAscending, Order::kDescending, Order::kShuffled}) {
    InterpretOptions options;
    options.independent_order = order;
    EXPECT_TRUE(RunLaunches(original, lowered, options) == expected) << TextOf(lowered);
  }
}

PrimFunc Scheduled(const PrimFunc& original, const std::string& input, int64_t threads) {
  Schedule s(original);
  ScheduleForAccelerator(s, input, threads);
  ExpectSameResult(original, s);
  return s.func();
}

TEST(Accelerator, MatmulAgrees) {
  for (auto [m, n, k, threads] :
       {std::array{32, 64, 48, 2}, {16, 32, 16, 2}, {16, 48, 32, 3}, {32, 16, 32, 1}}) {
    SCOPED_TRACE(testing::Message() << m << " x " << n << " x " << k << " in " << threads << " threads");
    const PrimFunc original = ByteMatmul(m, n, k), scheduled = Scheduled(original, "A", threads);
    for (const char* pass : {"InsertTokens", "SplitLaunches", ""})
      ExpectAgrees(original, LoweredUpTo(scheduled, pass));
    const LoweredKernels lowered = LoweredUpTo(scheduled, "");
    ASSERT_EQ(lowered.launches.size(), 1u);
    for (const Diagnostic& d : VerifyLowered(lowered.launches[0].kernel)) ADD_FAILURE() << d.ToString();
  }
}

TEST(Accelerator, ConvolutionAgreesAndItsBorderIsTheHosts) {
  const PrimFunc original = ByteConv(16, 32, 32), scheduled = Scheduled(original, "P", 2);
  const LoweredKernels lowered = LoweredUpTo(scheduled, "");
  ASSERT_EQ(lowered.launches.size(), 2u);
  EXPECT_TRUE(lowered.launches[0].threads.empty());
  ASSERT_EQ(lowered.launches[1].threads.size(), 1u);
  EXPECT_EQ(lowered.launches[1].threads[0].tag, "core");
  ASSERT_EQ(lowered.workspaces.size(), 1u);
  ExpectAgrees(original, lowered);
}

TEST(Accelerator, LoadsOfOneThreadStandBeforeTheProductOfAnother) {
  const std::string text = TextOf(LoweredUpTo(Scheduled(ByteMatmul(16, 32, 64), "A", 2), "SplitLaunches"));
  const size_t loop = text.find("for", text.rfind("clear_16x16"));
  const size_t first = text.find("gemm", loop);
  EXPECT_LT(text.find("A_input_1[", text.find("load_input", loop)), first) << text;
  EXPECT_LT(first, text.find("gemm", first + 1));
}

/// The arguments of a token's routine; none for another statement.
std::vector<std::string> TokenOf(const Stmt& s) {
  auto* evaluate = s.As<EvaluateNode>();
  auto* call = evaluate ? evaluate->value.As<CallNode>() : nullptr;
  std::vector<std::string> strings;
  if (!call || call->op != Intrinsic::k_extern_call) return strings;
  for (const Expr& e : call->args) strings.push_back(e.As<StringImmNode>()->value);
  return strings;
}

/// Without the tokens that `drop` names.
LoweredKernels Without(LoweredKernels lowered,
                       const std::function<bool(const std::vector<std::string>&)>& drop) {
  PrimFunc& kernel = lowered.launches.back().kernel;
  kernel = kernel.WithBody(PostOrderRewrite(kernel->body, [&](const Stmt& s) -> Stmt {
    const std::vector<std::string> token = TokenOf(s);
    return !token.empty() && drop(token) ? nullptr : s;
  }));
  return lowered;
}

std::string ErrorOf(const PrimFunc& original, const LoweredKernels& lowered,
                    const InterpretOptions& options) {
  try {
    return RunLaunches(original, lowered, options) == RunSeeded(original, original, {}, 7) ? "agrees"
                                                                                           : "differs";
  } catch (const Error& e) {
    return e.id();
  }
}

TEST(Accelerator, EveryTokenIsNeeded) {
  const PrimFunc original = ByteMatmul(32, 64, 48);
  const LoweredKernels lowered = LoweredUpTo(Scheduled(original, "A", 2), "SplitLaunches");
  int tokens = 0;
  for (bool dropped = true; dropped; ++tokens) {
    dropped = false;
    int at = 0;
    const LoweredKernels less =
        Without(lowered, [&](const auto&) { return at++ == tokens && (dropped = true); });
    if (!dropped) break;
    // A queue of which one end is left out runs dry or over, unless a race is found before.
    EXPECT_THAT(ErrorOf(original, less, {}), testing::AnyOf("TW1608", "TW1611")) << tokens;
  }
  EXPECT_GE(tokens, 20);
}

TEST(Accelerator, EveryQueueIsNeeded) {
  const PrimFunc original = ByteMatmul(32, 64, 48);
  const LoweredKernels lowered = LoweredUpTo(Scheduled(original, "A", 2), "SplitLaunches");
  const std::pair<std::string, std::string> queues[] = {
      {"load", "compute"}, {"compute", "load"}, {"compute", "store"}, {"store", "compute"}};
  for (const auto& [from, to] : queues) {
    const LoweredKernels less = Without(lowered, [&](const auto& t) { return t[1] == from && t[2] == to; });
    EXPECT_EQ(ErrorOf(original, less, {}), "TW1608") << from << " to " << to;
    // Without a look at accesses, some order of the units computes something else.
    int wrong = 0;
    for (Order order : {Order::kAscending, Order::kDescending, Order::kShuffled}) {
      InterpretOptions options;
      options.independent_order = order;
      options.detect_races = false;
      wrong += ErrorOf(original, less, options) != "agrees";
    }
    EXPECT_GT(wrong, 0) << from << " to " << to;
  }
}

TEST(Accelerator, WithoutTokensUnitsRunPastEachOther) {
  const PrimFunc original = ByteMatmul(32, 64, 48);
  const LoweredKernels lowered = LoweredUpTo(Scheduled(original, "A", 2), "BindThreads");
  EXPECT_THAT(TextOf(lowered), Not(HasSubstr("token")));
  ExpectError([&] { RunLaunches(original, lowered, {}); }, "TW1608", "no token orders");
}

TEST(Accelerator, MemoriesHaveTheirSizes) {
  // Nine threads want nine accumulators of 1024 bytes.
  ExpectError([] { LoweredUpTo(Scheduled(ByteMatmul(16, 144, 16), "A", 9), ""); }, "TW1308",
              "9216 bytes in scope accumulator, of which the target model-accelerator has 8192");
}

TEST(Accelerator, InstructionsTakeTheirOwnMemories) {
  Schedule s(ByteMatmul(16, 16, 16));
  const LoopRef loop = s.GetLoops(s.DecomposeReduction(s.GetBlock("C"), s.GetLoops(s.GetBlock("C"))[0]))[0];
  ExpectIllegal(s, [&] { s.Tensorize(loop, "clear_16x16"); }, "TW1419", "scope");
}

}  // namespace
}  // namespace tilewright
