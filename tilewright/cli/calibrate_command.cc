// SPDX-License-Identifier: Apache-2.0
// tilewright calibrate: what the analytical rules need to know of this machine, as a target description.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "tilewright/cli/calibrate.h"
#include "tilewright/cli/commands.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/runtime/thread_pool.h"
#include "tilewright/support/file.h"
#include "tilewright/target/target_file.h"

namespace tilewright {

namespace {

using Json = nlohmann::ordered_json;

/// How much of a thread's peak each of all should reach; sustained clocks are lower with all cores at work.
constexpr double kLeastScaling = 0.7;

struct CalibrateArgs {
  std::string output;
  int threads = 0;
  bool json = false;
};

/// What was measured, a line each: comments of the file, and what the command prints.
std::vector<std::string> Figures(const Calibration& c) {
  std::vector<std::string> lines = {
      fmt::format("measured by tilewright {} on {} threads", TW_VERSION, c.threads),
      fmt::format(
          "clock {:.2f} GHz; a multiply-add takes {:.2f} cycles, {:.2f} vectors of them begin in each",
          c.clock_ghz, c.fma_latency, c.fma_per_cycle)};
  for (const LevelPeak& p : c.peaks)
    lines.push_back(fmt::format("{}: {:.1f} GFLOP/s on one thread, {:.1f} on all", p.name, p.one, p.all));
  for (const ReadRate& r : c.reads) {
    lines.push_back(fmt::format("{}: {:.1f} GB/s on one thread, {:.1f} on all, reading {} KiB each", r.name,
                                r.one, r.all, r.bytes >> 10));
  }
  lines.push_back(fmt::format("launch on all threads: {:.0f} ns", c.launch_ns));
  return lines;
}

Json Described(const Calibration& c) {
  Json out;
  out["threads"] = c.threads;
  out["clock_ghz"] = c.clock_ghz;
  out["fma_latency"] = c.fma_latency;
  out["fma_per_cycle"] = c.fma_per_cycle;
  out["launch_ns"] = c.launch_ns;
  for (const LevelPeak& p : c.peaks)
    out["peaks"].push_back({{"level", p.name}, {"gflops_one", p.one}, {"gflops_all", p.all}});
  for (const ReadRate& r : c.reads) {
    out["reads"].push_back({{"level", r.name}, {"bytes", r.bytes}, {"gbs_one", r.one}, {"gbs_all", r.all}});
  }
  out["target"] = c.target.ToString();
  return out;
}

void RunCalibrate(const CalibrateArgs& args) {
  if (args.threads < 0 || args.threads > runtime::ThreadPool::kMaxThreads) {
    throw Error("TW4002", fmt::format("--threads {} is no number of threads", args.threads), "",
                {fmt::format("expected 1 to {}", runtime::ThreadPool::kMaxThreads)});
  }
  const int threads = args.threads > 0 ? args.threads : runtime::ThreadPool::DefaultNumThreads();
  ProgressLine progress;
  const Calibration c = Calibrate(threads, [&](const std::string& what, double share) {
    progress.Show(fmt::format("measuring {:3.0f}%: {}", 100 * share, what));
  });
  progress.Clear();
  // Shares of one processor, or other work on the machine.
  if (const LevelPeak& peak = c.peaks.back(); peak.all < kLeastScaling * threads * peak.one) {
    fmt::print(stderr, "warning: {} threads reach {:.1f} times the peak of one: is the machine busy?\n",
               threads, peak.all / peak.one);
  }
  const std::string text = TargetFileText(c.target, Figures(c));
  if (!args.output.empty()) WriteFile(args.output, text);
  if (args.json) {
    fmt::print("{}\n", Described(c).dump());
  } else if (args.output.empty()) {
    fmt::print("{}", text);
  } else {
    for (const std::string& line : Figures(c)) fmt::print("{}\n", line);
    fmt::print("wrote {}: use it as --target {}\n", args.output, args.output);
  }
}

}  // namespace

void AddCalibrateCommand(CLI::App& app) {
  auto args = std::make_shared<CalibrateArgs>();
  CLI::App* command = app.add_subcommand(
      "calibrate", "Measure what compiling needs to know of this machine, as a file for --target");
  command->add_option("-o,--output", args->output, "File to write (default: the standard output)")
      ->type_name("FILE");
  command->add_option("--threads", args->threads,
                      "Threads to compile for, and to measure with (default: what the machine allows)");
  command->add_flag("--json", args->json, "Print one JSON object, with what was measured");
  command->callback([args] { RunCalibrate(*args); });
}

}  // namespace tilewright
