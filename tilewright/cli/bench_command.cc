// SPDX-License-Identifier: Apache-2.0
// tilewright bench: how long a model takes to compile, to load and to run.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/inputs.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/cli/probe.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/package.h"
#include "tilewright/runtime/context.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

using Clock = std::chrono::steady_clock;

struct BenchArgs {
  std::string model;
  int threads = 0;
  double seconds = 3;
  bool json = false;
  CompileFlags flags;
};

double Milliseconds(Clock::time_point from) {
  return std::chrono::duration<double, std::milli>(Clock::now() - from).count();
}

/// Latencies in ms of runs for `seconds`, at least three; the first is apart.
struct Latencies {
  double first = 0;
  std::vector<double> sorted;
  double At(double share) const { return sorted[size_t(share * double(sorted.size() - 1))]; }
};

Latencies Measure(runtime::Context& context, double seconds) {
  Latencies result;
  Clock::time_point start = Clock::now();
  context.Run();
  result.first = Milliseconds(start);
  const Clock::time_point begin = Clock::now();
  while (result.sorted.size() < 3 || Milliseconds(begin) < seconds * 1e3) {
    start = Clock::now();
    context.Run();
    result.sorted.push_back(Milliseconds(start));
  }
  std::sort(result.sorted.begin(), result.sorted.end());
  return result;
}

/// Compiles up to the packaged module, which counts, too. Seconds.
double TimeCompile(const BenchArgs& args, const CompileOptions& options, const std::string& output,
                   std::optional<CompiledModel>& model) {
  const Clock::time_point start = Clock::now();
  model = CompileFile(args.model, args.flags, options);
  if (model->kernels_only) {
    throw Error("TW4008", "the text holds kernels alone, which cannot be run", args.model,
                {"`tilewright compile` takes them"});
  }
  WriteSharedLibrary(*model, output);
  return Milliseconds(start) / 1e3;
}

/// A module, compiled now unless the file is one, and the times that this took: without the kernel cache, and
/// with all kernels in it.
struct BenchModel {
  std::shared_ptr<const runtime::Module> module;
  std::optional<CompiledModel> compiled;
  std::optional<double> compile_s, warm_s;
  double load_ms = 0;
};

BenchModel Prepare(const BenchArgs& args) {
  BenchModel ready;
  if (IsModuleFile(args.model)) {
    const ReadyModel loaded = LoadModel(args.model, args.flags);
    ready.module = loaded.module;
    ready.load_ms = loaded.load_ms;
    return ready;
  }
  const TemporaryFile file(".so");
  CompileOptions options = args.flags.Options();
  options.cache = nullptr;
  ready.compile_s = TimeCompile(args, options, file.path(), ready.compiled);
  if (!args.flags.no_cache) {
    const TemporaryFile folder(".cache");
    options.cache = std::make_shared<KernelCache>(folder.path());
    TimeCompile(args, options, file.path(), ready.compiled);
    ready.warm_s = TimeCompile(args, options, file.path(), ready.compiled);
    options.cache->Clear();
  }
  const Clock::time_point load = Clock::now();
  ready.module = runtime::Module::Load(file.path());
  ready.load_ms = Milliseconds(load);
  return ready;
}

/// The most memory that this process has had. What getrusage says counts who started it, too.
double PeakMemoryBytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtod(line.c_str() + 6, nullptr) * 1024;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return double(usage.ru_maxrss) * 1024;
}

void Bench(const BenchArgs& args) {
  const BenchModel ready = Prepare(args);
  runtime::Context context(ready.module, {.num_threads = args.threads});
  GenerateInputs(context, 0, args.flags.RunDims(args.model));
  const Latencies latencies = Measure(context, args.seconds);
  const double memory = PeakMemoryBytes();  // before the peak is measured, which takes a compiler
  const double peak = MeasurePeakGflops(context.num_threads(), TargetOf(*ready.module, ready.compiled));

  nlohmann::ordered_json out;
  out["model"] = args.model;
  out["threads"] = context.num_threads();
  auto or_null = [](const std::optional<double>& x) {
    return x ? nlohmann::ordered_json(*x) : nlohmann::ordered_json(nullptr);
  };
  out["compile_s"] = or_null(ready.compile_s);
  out["compile_warm_s"] = or_null(ready.warm_s);
  out["load_ms"] = ready.load_ms;
  out["first_ms"] = latencies.first;
  out["min_ms"] = latencies.sorted.front();
  out["median_ms"] = latencies.At(0.5);
  out["p95_ms"] = latencies.At(0.95);
  const double flops = ready.compiled ? ready.compiled->flops : ModuleFlops(*ready.module);
  const double share = flops / (latencies.sorted.front() * 1e6) / peak;
  out["peak_gflops"] = peak;
  out["peak_share"] = flops > 0 ? nlohmann::ordered_json(share) : nlohmann::ordered_json(nullptr);
  out["peak_rss_mb"] = memory / 1e6;
  out["runs"] = latencies.sorted.size();
  if (args.json) {
    fmt::print("{}\n", out.dump());
    return;
  }
  if (ready.compile_s) fmt::print("compile     {:.2f} s\n", *ready.compile_s);
  if (ready.warm_s) fmt::print("            {:.2f} s with all kernels in the cache\n", *ready.warm_s);
  fmt::print("load        {:.2f} ms\nfirst run   {:.3f} ms\n", ready.load_ms, latencies.first);
  fmt::print("latency     {:.3f} ms minimum, {:.3f} ms median, {:.3f} ms p95 ({} runs, {} threads)\n",
             latencies.sorted.front(), latencies.At(0.5), latencies.At(0.95), latencies.sorted.size(),
             context.num_threads());
  if (flops > 0)
    fmt::print("throughput  {:.1f} GFLOP/s, {:.0f}% of the FMA peak measured now\n",
               flops / (latencies.sorted.front() * 1e6), share * 100);
  fmt::print("memory      {:.0f} MB at most\n", memory / 1e6);
}

}  // namespace

void AddBenchCommand(CLI::App& app) {
  auto args = std::make_shared<BenchArgs>();
  CLI::App* command = app.add_subcommand("bench", "Measure compile time, load time, latency and memory");
  command->add_option("model", args->model, "Model file or compiled module")->required()->type_name("MODEL");
  command->add_option("--threads", args->threads, "Threads to run on (default: what the machine allows)");
  command->add_option("--seconds", args->seconds, "How long to measure")->capture_default_str();
  command->add_flag("--json", args->json, "Print one JSON object");
  args->flags.Add(*command);
  args->flags.AddVerify(*command);
  command->callback([args] { Bench(*args); });
}

}  // namespace tilewright
