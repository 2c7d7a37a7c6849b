// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/probe.h"

#include <algorithm>
#include <chrono>
#include <limits>

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/thread_pool.h"

namespace tilewright {

namespace {

using Clock = std::chrono::steady_clock;

double Nanoseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::nano>(Clock::now() - from).count();
}

struct Job {
  tw_kernel function;
  void** buffers;
};

void RunJob(void* argument, int64_t begin, int64_t end) {
  auto* job = static_cast<Job*>(argument);
  job->function(job->buffers, nullptr, begin, end, nullptr);
}

constexpr double kSpinNs = 2000;

/// Keeps a thread busy for a time in each chunk.
void Spin(void*, int64_t begin, int64_t end) {
  for (int64_t i = begin; i < end; ++i) {
    const Clock::time_point start = Clock::now();
    while (Nanoseconds(start) < kSpinNs) {
    }
  }
}

JitModule Compiled(const PrimFunc& kernel, const Target& target) {
  const std::vector<ObjectCode> objects = {CompileKernels(std::span(&kernel, 1), target)};
  return JitModule::Load(objects);
}

PrimFunc Kernel(std::vector<Buffer> buffers, const Var& chunk, int64_t chunks, Stmt body) {
  PrimFuncNode f;
  f.name = "probe";
  f.buffers = std::move(buffers);
  f.stage = TirStage::kLowered;
  f.body = MakeFor(chunk, 0, chunks, ForKind::kParallel, std::move(body));
  return PrimFunc(std::move(f));
}

Expr MultiplyAdd(const Target& target, const Expr& x, const Expr& y, const Expr& sum) {
  return target.has_fma ? MakeCall(Intrinsic::k_fma, {x, y, sum}) : x * y + sum;
}

/// Values that a loop carries, all of one type and from 0.
std::vector<CarriedValue> Accumulators(const DataType& type, int64_t count) {
  std::vector<CarriedValue> carried;
  for (int64_t i = 0; i < count; ++i)
    carried.push_back(
        {Var(fmt::format("a{}", i), type), MakeConst(type, 0.0), Var(fmt::format("r{}", i), type)});
  return carried;
}

Expr SumOf(const std::vector<CarriedValue>& carried) {
  Expr sum = carried[0].result;
  for (size_t i = 1; i < carried.size(); ++i) sum = sum + carried[i].result;
  return sum;
}

}  // namespace

Probe::Probe(const PrimFunc& kernel, const Target& target) : code_(Compiled(kernel, target)) {
  for (const Buffer& b : kernel->buffers) {
    buffers_.push_back(NDArray::Empty(b.dtype(), {*AsInt(b.shape()[0])}));
    std::fill_n(static_cast<std::byte*>(buffers_.back().mutable_data()), buffers_.back().bytes(),
                std::byte(0));
    pointers_.push_back(buffers_.back().mutable_data());
  }
  function_ = code_.Find("probe");
}

double Probe::Run(int threads) {
  runtime::ThreadPool& pool = runtime::ThreadPool::Global();
  pool.Reserve(threads);
  Job job{reinterpret_cast<tw_kernel>(function_), pointers_.data()};
  const Clock::time_point start = Clock::now();
  pool.Run(RunJob, &job, threads, threads);
  return Nanoseconds(start);
}

double Probe::Best(int threads, double milliseconds) {
  const Clock::time_point begin = Clock::now();
  double best = Run(threads);
  while (Nanoseconds(begin) < milliseconds * 1e6) best = std::min(best, Run(threads));
  return best;
}

PrimFunc MultiplyAddKernel(const Target& target, int64_t chunks, int chains, int64_t steps) {
  const int lanes = target.VectorLanes(4);
  const DataType vec = DataType::Float(32, lanes);
  Buffer out("out", kF32, {Expr(chunks * lanes)});
  Var chunk("chunk"), step("step");
  const std::vector<CarriedValue> carried = Accumulators(vec, chains);
  std::vector<Expr> next;
  const Expr x = MakeConst(vec, 0.999), y = MakeConst(vec, 0.001);
  for (const CarriedValue& c : carried) next.push_back(MultiplyAdd(target, c.var, x, y));
  return Kernel({out}, chunk, chunks,
                MakeSeq({MakeFor(step, 0, steps, ForKind::kSerial, MakeYield(next), {}, {}, carried),
                         MakeStore(out, SumOf(carried), {MakeRamp(chunk * lanes, 1, lanes)})}));
}

double MeasurePeakGflops(int threads, const Target& target) {
  constexpr int64_t kSteps = 20000;
  // Enough independent chains to hide the latency of every pipe of current cores, and few enough for
  // registers.
  constexpr int kChains = 12;
  Probe probe(MultiplyAddKernel(target, threads, kChains, kSteps), target);
  double best = std::numeric_limits<double>::max();
  for (int round = 0; round < 300; ++round) best = std::min(best, probe.Run(threads));
  return 2.0 * kSteps * kChains * target.VectorLanes(4) * threads / best;
}

PrimFunc ClockKernel(int64_t cycles) {
  constexpr int64_t kPairs = 16;  // a pair of operations that no compiler makes one of
  Buffer out("out", kI64, {Expr(1)});
  Var chunk("chunk"), step("step");
  const std::vector<CarriedValue> carried = Accumulators(kI64, 1);
  Expr x = carried[0].var;
  const Expr y = MakeCast(kI64, step);
  for (int64_t i = 0; i < kPairs; ++i) x = MakeCall(Intrinsic::k_bit_xor, {x + y, y});
  return Kernel(
      {out}, chunk, 1,
      MakeSeq({MakeFor(step, 0, cycles / (2 * kPairs), ForKind::kSerial, MakeYield({x}), {}, {}, carried),
               MakeStore(out, carried[0].result, {chunk})}));
}

PrimFunc ReadKernel(const Target& target, int64_t chunks, int64_t bytes, int64_t repeats) {
  constexpr int64_t kChains = 8;
  const int lanes = target.VectorLanes(4);
  const int64_t steps = bytes / (4 * lanes * kChains), elements = steps * kChains * lanes;
  Buffer in("in", kF32, {Expr(chunks * elements)}), out("out", kF32, {Expr(chunks * lanes)});
  Var chunk("chunk"), repeat("repeat"), step("step");
  const std::vector<CarriedValue> carried = Accumulators(DataType::Float(32, lanes), kChains);
  std::vector<Expr> next;
  for (int64_t i = 0; i < kChains; ++i) {
    const Expr at = chunk * elements + step * (kChains * lanes) + i * lanes;
    next.push_back(carried[size_t(i)].var + MakeLoad(in, {MakeRamp(at, 1, lanes)}));
  }
  const Stmt once = MakeSeq({MakeFor(step, 0, steps, ForKind::kSerial, MakeYield(next), {}, {}, carried),
                             MakeStore(out, SumOf(carried), {MakeRamp(chunk * lanes, 1, lanes)})});
  return Kernel({in, out}, chunk, chunks, MakeFor(repeat, 0, repeats, ForKind::kSerial, once));
}

double MeasureLaunchNs(int threads) {
  constexpr int kLaunches = 2000;
  runtime::ThreadPool& pool = runtime::ThreadPool::Global();
  pool.Reserve(threads);
  // With work for all, so that a caller whose workers are late, and who then does theirs, is seen to be.
  double best = std::numeric_limits<double>::max();
  for (int i = 0; i < kLaunches; ++i) {
    const Clock::time_point start = Clock::now();
    pool.Run(Spin, nullptr, threads, threads);
    best = std::min(best, Nanoseconds(start));
  }
  return best - kSpinNs;
}

}  // namespace tilewright
