// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/peak.h"

#include <chrono>

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/codegen/llvm/jit.h"
#include "tilewright/ir/ndarray.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/thread_pool.h"

namespace tilewright {

namespace {

constexpr int64_t kSteps = 20000;
// Enough independent chains to hide the latency of every pipe of current cores, and few enough for registers.
constexpr int kChains = 12;

/// for chunk in parallel: kChains accumulators of acc = acc * x + y, kSteps times; their sum goes to
/// out[chunk].
PrimFunc PeakKernel(const Target& target, int64_t chunks) {
  const int lanes = target.VectorLanes(4);
  const DataType vec = DataType::Float(32, lanes);
  Buffer out("out", kF32, {Expr(chunks * lanes)});
  Var chunk("chunk"), step("step");
  std::vector<CarriedValue> carried;
  std::vector<Expr> next;
  const Expr x = MakeConst(vec, 0.999), y = MakeConst(vec, 0.001);
  for (int i = 0; i < kChains; ++i) {
    carried.push_back(
        {Var(fmt::format("a{}", i), vec), MakeConst(vec, double(i)), Var(fmt::format("r{}", i), vec)});
    next.push_back(target.has_fma ? MakeCall(Intrinsic::k_fma, {carried.back().var, x, y})
                                  : carried.back().var * x + y);
  }
  Expr sum = carried[0].result;
  for (int i = 1; i < kChains; ++i) sum = sum + carried[size_t(i)].result;
  Stmt body = MakeSeq({MakeFor(step, 0, kSteps, ForKind::kSerial, MakeYield(next), {}, {}, carried),
                       MakeStore(out, sum, {MakeRamp(chunk * lanes, 1, lanes)})});
  PrimFuncNode f;
  f.name = "fma_peak";
  f.buffers = {out};
  f.stage = TirStage::kLowered;
  f.body = MakeFor(chunk, 0, chunks, ForKind::kParallel, body);
  return PrimFunc(std::move(f));
}

struct Job {
  tw_kernel function;
  void* buffer;
};

void RunJob(void* argument, int64_t begin, int64_t end) {
  auto* job = static_cast<Job*>(argument);
  job->function(&job->buffer, nullptr, begin, end, nullptr);
}

}  // namespace

double MeasurePeakGflops(int threads, const Target& target) {
  const PrimFunc kernel = PeakKernel(target, threads);
  const std::vector<ObjectCode> objects = {CompileKernels(std::span(&kernel, 1), target)};
  const JitModule code = JitModule::Load(objects);
  NDArray out = NDArray::Empty(kF32, {threads * target.VectorLanes(4)});
  Job job{reinterpret_cast<tw_kernel>(code.Find("fma_peak")), out.mutable_data()};
  runtime::ThreadPool& pool = runtime::ThreadPool::Global();
  pool.Reserve(threads);
  const double flops = 2.0 * kSteps * kChains * target.VectorLanes(4) * threads;
  double best = 0;
  for (int round = 0; round < 300; ++round) {
    const auto start = std::chrono::steady_clock::now();
    pool.Run(RunJob, &job, threads, threads);
    const double ns =
        std::chrono::duration<double, std::nano>(std::chrono::steady_clock::now() - start).count();
    best = std::max(best, flops / ns);
  }
  return best;
}

}  // namespace tilewright
