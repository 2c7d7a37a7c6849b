// SPDX-License-Identifier: Apache-2.0
// tilewright bench: how long a model takes to compile, to load and to run.
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/inputs.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/cli/peak.h"
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

void Bench(const BenchArgs& args) {
  ReadyModel ready = LoadModel(args.model, args.flags);
  double compile_s = 0;
  if (ready.compiled) {
    // The compile time counts up to the packaged module.
    const Clock::time_point package = Clock::now();
    const TemporaryFile file(".so");
    WriteSharedLibrary(*ready.compiled, file.path());
    compile_s = ready.compile_s + Milliseconds(package) / 1e3;
    const Clock::time_point load = Clock::now();
    ready.module = runtime::Module::Load(file.path());
    ready.load_ms = Milliseconds(load);
  }
  runtime::Context context(ready.module, {.num_threads = args.threads});
  GenerateInputs(context, 0, args.flags.RunDims(args.model));
  const Latencies latencies = Measure(context, args.seconds);
  const double peak = MeasurePeakGflops(context.num_threads());
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);

  nlohmann::ordered_json out;
  out["model"] = args.model;
  out["threads"] = context.num_threads();
  out["compile_s"] = ready.compiled ? nlohmann::ordered_json(compile_s) : nlohmann::ordered_json(nullptr);
  out["load_ms"] = ready.load_ms;
  out["first_ms"] = latencies.first;
  out["min_ms"] = latencies.sorted.front();
  out["median_ms"] = latencies.At(0.5);
  out["p95_ms"] = latencies.At(0.95);
  const double flops = ready.compiled ? ready.compiled->flops : ModuleFlops(*ready.module);
  const double share = flops / (latencies.sorted.front() * 1e6) / peak;
  out["peak_gflops"] = peak;
  out["peak_share"] = flops > 0 ? nlohmann::ordered_json(share) : nlohmann::ordered_json(nullptr);
  out["peak_rss_mb"] = double(usage.ru_maxrss) / 1e3;
  out["runs"] = latencies.sorted.size();
  if (args.json) {
    fmt::print("{}\n", out.dump());
    return;
  }
  if (ready.compiled) fmt::print("compile     {:.2f} s\n", compile_s);
  fmt::print("load        {:.2f} ms\nfirst run   {:.3f} ms\n", ready.load_ms, latencies.first);
  fmt::print("latency     {:.3f} ms minimum, {:.3f} ms median, {:.3f} ms p95 ({} runs, {} threads)\n",
             latencies.sorted.front(), latencies.At(0.5), latencies.At(0.95), latencies.sorted.size(),
             context.num_threads());
  if (flops > 0)
    fmt::print("throughput  {:.1f} GFLOP/s, {:.0f}% of the FMA peak measured now\n",
               flops / (latencies.sorted.front() * 1e6), share * 100);
  fmt::print("memory      {:.0f} MB at most\n", double(usage.ru_maxrss) / 1e3);
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
