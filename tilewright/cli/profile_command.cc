// SPDX-License-Identifier: Apache-2.0
// tilewright profile: where the time of a model goes, kernel by kernel, and where that of its compilation.
#include <algorithm>
#include <chrono>
#include <functional>
#include <nlohmann/json.hpp>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/explain_report.h"
#include "tilewright/cli/inputs.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/cli/probe.h"
#include "tilewright/cli/report.h"
#include "tilewright/runtime/context.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

using Json = nlohmann::ordered_json;

struct ProfileArgs {
  std::string model, trace;
  int threads = 0;
  double seconds = 2;
  size_t top = 0;
  bool json = false, by_time = false, explain = false;
  CompileFlags flags;
};

/// One instruction of the program, over all of its runs.
struct Row {
  std::string name, kind;
  std::string kernel;  ///< that it launches
  double mean_us = 0;  ///< of one inference: of all executions in it
  double min_us = 0;   ///< of one execution
  double per_run = 0;  ///< executions in one inference
  double flops = 0;    ///< of one inference, as are bytes
  double bytes = 0;
  double share = 0;  ///< of the time of all rows
  double Gflops() const { return mean_us > 0 ? flops / mean_us / 1e3 : 0; }
  double Gbytes() const { return mean_us > 0 ? bytes / mean_us / 1e3 : 0; }
};

/// Runs for about `seconds`, three times at least, after a run that is not counted; how often.
uint64_t RunFor(runtime::Context& context, double seconds) {
  context.Run();
  context.ResetProfile();
  const auto begin = std::chrono::steady_clock::now();
  uint64_t runs = 0;
  while (runs < 3 ||
         std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count() < seconds) {
    context.Run();
    ++runs;
  }
  return runs;
}

std::vector<Row> Rows(const runtime::Context& context, uint64_t runs) {
  const runtime::Program& program = context.module().program();
  std::vector<Row> rows;
  double total = 0;
  for (size_t i = 0; i < context.profile().size(); ++i) {
    const runtime::ProfileEntry& entry = context.profile()[i];
    const runtime::Instruction& instruction = program.instructions[i];
    const runtime::LaunchWork work = context.Work(i);
    Row row;
    row.kind = std::string(runtime::OpcodeName(instruction.opcode()));
    row.name = instruction.name.empty() ? row.kind : instruction.name;
    if (auto* launch = std::get_if<runtime::LaunchOp>(&instruction.op))
      row.kernel = program.kernels[launch->kernel];
    row.per_run = double(entry.runs) / double(runs);
    row.mean_us = double(entry.sum_ns) / 1e3 / double(runs);
    row.min_us = double(entry.min_ns) / 1e3;
    row.flops = double(work.flops) * row.per_run;
    row.bytes = double(work.bytes) * row.per_run;
    total += row.mean_us;
    rows.push_back(row);
  }
  for (Row& row : rows) row.share = total > 0 ? row.mean_us / total : 0;
  return rows;
}

Row Total(const std::vector<Row>& rows) {
  Row total;
  total.name = "total";
  for (const Row& row : rows) {
    total.mean_us += row.mean_us;
    total.flops += row.flops;
    total.bytes += row.bytes;
    total.share += row.share;
    total.per_run += row.per_run;
  }
  return total;
}

void PrintRow(const Row& row, double peak) {
  const double rate = row.Gflops();
  const std::string of_peak = row.flops > 0 ? fmt::format("{:.0f}%", 100 * rate / peak) : "";
  const std::string times = row.per_run == 1 ? "" : fmt::format(" x{:g}", row.per_run);
  fmt::print("{:>10.1f} {:>5.1f}% {:>9.2f} {:>8.1f} {:>5} {:>9.3f} {:>7.1f}  {}{}\n", row.mean_us,
             100 * row.share, row.flops / 1e6, rate, of_peak, row.bytes / 1e6, row.Gbytes(), row.name,
             row.name == "total" ? "" : times);
}

void PrintTable(std::vector<Row> rows, const ProfileArgs& args, double peak, uint64_t runs, int threads) {
  const Row total = Total(rows);
  if (args.by_time || args.top > 0) {
    std::sort(rows.begin(), rows.end(), [](const Row& a, const Row& b) { return a.mean_us > b.mean_us; });
  }
  const size_t shown = args.top > 0 ? std::min(args.top, rows.size()) : rows.size();
  fmt::print("mean of {} runs on {} threads; FMA peak {:.1f} GFLOP/s\n", runs, threads, peak);
  fmt::print("{:>10} {:>6} {:>9} {:>8} {:>5} {:>9} {:>7}  {}\n", "us", "share", "MFLOP", "GFLOP/s", "peak",
             "MB", "GB/s", "instruction");
  for (size_t i = 0; i < shown; ++i) PrintRow(rows[i], peak);
  if (shown < rows.size())
    fmt::print("{:>10} {:>6} {}\n", "", "", fmt::format("... {} more", rows.size() - shown));
  PrintRow(total, peak);
}

Json RowJson(const Row& row, double peak) {
  Json out;
  out["name"] = row.name;
  if (!row.kind.empty()) out["kind"] = row.kind;
  out["us"] = row.mean_us;
  if (!row.kind.empty()) out["min_us"] = row.min_us;
  out["share"] = row.share;
  out["executions"] = row.per_run;
  out["flops"] = row.flops;
  out["bytes"] = row.bytes;
  out["peak_share"] = row.flops > 0 ? Json(row.Gflops() / peak) : Json(nullptr);
  return out;
}

Json ProfileJson(const std::vector<Row>& rows, const ReadyModel& ready, const ProfileArgs& args, double peak,
                 uint64_t runs, int threads) {
  Json out;
  out["model"] = args.model;
  out["threads"] = threads;
  out["runs"] = runs;
  out["peak_gflops"] = peak;
  out["total"] = RowJson(Total(rows), peak);
  out["instructions"] = Json::array();
  for (const Row& row : rows) out["instructions"].push_back(RowJson(row, peak));
  if (ready.compiled) {
    out["passes"] = Json::array();
    for (const PassRecord& r : ready.compiled->times)
      out["passes"].push_back({{"name", r.name}, {"ms", r.milliseconds}});
  }
  return out;
}

/// The last run in the Trace Event Format of Chrome's viewer ("Trace Event Format", Google, complete events).
Json ChromeTrace(const runtime::Context& context) {
  const runtime::Program& program = context.module().program();
  // Events are kept in the order in which they end; viewers want what encloses others first.
  std::vector<runtime::TraceEvent> trace(context.trace().begin(), context.trace().end());
  std::sort(trace.begin(), trace.end(), [](const runtime::TraceEvent& a, const runtime::TraceEvent& b) {
    return std::tuple(a.start_ns, b.ns, a.instruction) < std::tuple(b.start_ns, a.ns, b.instruction);
  });
  Json events = Json::array();
  for (const runtime::TraceEvent& e : trace) {
    const runtime::Instruction& instruction = program.instructions[e.instruction];
    const runtime::LaunchWork work = context.Work(e.instruction);
    const std::string kind(runtime::OpcodeName(instruction.opcode()));
    Json event = {{"name", instruction.name.empty() ? kind : instruction.name},
                  {"cat", kind},
                  {"ph", "X"},
                  {"ts", double(e.start_ns) / 1e3},
                  {"dur", double(e.ns) / 1e3},
                  {"pid", 1},
                  {"tid", int(instruction.device)}};
    if (work.bytes > 0) event["args"] = {{"flops", work.flops}, {"bytes", work.bytes}};
    events.push_back(std::move(event));
  }
  return {{"traceEvents", std::move(events)}, {"displayTimeUnit", "ns"}};
}

/// Each kernel once, in the order of its first launch, or the slowest first.
std::vector<ExplainedKernel> ExplainedKernels(const std::vector<Row>& rows, const CompiledModel& model,
                                              const ProfileArgs& args, int threads) {
  std::vector<ExplainedKernel> kernels;
  for (const Row& row : rows) {
    const auto explanation = model.explanations.find(row.kernel);
    if (explanation == model.explanations.end() || row.per_run == 0) continue;
    auto it = std::ranges::find(kernels, row.kernel, &ExplainedKernel::name);
    if (it == kernels.end()) {
      kernels.push_back({.name = row.kernel, .min_us = row.min_us, .explanation = &explanation->second});
      it = kernels.end() - 1;
      it->predicted = Predict(explanation->second, row.flops / row.per_run, row.bytes / row.per_run, threads,
                              model.target);
    }
    it->launches += row.per_run;
    it->mean_us += row.mean_us;  // a sum until all are known
    it->min_us = std::min(it->min_us, row.min_us);
  }
  if (args.by_time || args.top > 0) {
    std::ranges::sort(kernels, std::greater(), &ExplainedKernel::mean_us);
    if (args.top > 0 && kernels.size() > args.top) kernels.resize(args.top);
  }
  for (ExplainedKernel& k : kernels) k.mean_us /= k.launches;
  return kernels;
}

void Profile(const ProfileArgs& args) {
  if (args.explain && IsModuleFile(args.model)) {
    throw Error("TW4002", "--explain tells what the compiler decided, and this is a compiled module",
                args.model, {"give the model that it was compiled from"});
  }
  const ReadyModel ready = LoadModel(args.model, args.flags, {}, args.explain);
  constexpr size_t kTraceRoom = 1 << 20;
  runtime::Context context(
      ready.module,
      {.num_threads = args.threads, .profile = true, .trace_events = args.trace.empty() ? 0 : kTraceRoom});
  GenerateInputs(context, 0, args.flags.RunDims(args.model));
  const uint64_t runs = RunFor(context, args.seconds);
  const double peak = MeasurePeakGflops(context.num_threads(), TargetOf(*ready.module, ready.compiled));
  const std::vector<Row> rows = Rows(context, runs);
  if (!args.trace.empty()) WriteFile(args.trace, ChromeTrace(context).dump() + "\n");
  if (args.json) {
    Json out = ProfileJson(rows, ready, args, peak, runs, context.num_threads());
    if (args.explain) {
      out["target"] = ready.compiled->target.ToString();
      out["kernels"] = Json::array();
      for (const ExplainedKernel& k : ExplainedKernels(rows, *ready.compiled, args, context.num_threads()))
        out["kernels"].push_back(ExplanationJson(k, ready.compiled->target));
    }
    fmt::print("{}\n", out.dump());
    return;
  }
  PrintTable(rows, args, peak, runs, context.num_threads());
  if (args.explain) {
    for (const ExplainedKernel& k : ExplainedKernels(rows, *ready.compiled, args, context.num_threads()))
      PrintExplanation(k, ready.compiled->target);
  }
  if (!ready.compiled) return;
  fmt::print("\ncompiled in {:.2f} s:\n", ready.compile_s);
  PrintPassTimes(*ready.compiled);
}

}  // namespace

void AddProfileCommand(CLI::App& app) {
  auto args = std::make_shared<ProfileArgs>();
  CLI::App* command =
      app.add_subcommand("profile", "Show where the time goes, kernel by kernel, and what each pass took");
  command->add_option("model", args->model, "Model file or compiled module")->required()->type_name("MODEL");
  command->add_option("--threads", args->threads, "Threads to run on (default: what the machine allows)");
  command->add_option("--seconds", args->seconds, "How long to measure")->capture_default_str();
  command->add_option("--top", args->top, "Show only so many instructions, the slowest");
  command->add_flag("--by-time", args->by_time, "The slowest first (default: the order of the program)");
  command->add_flag(
      "--explain", args->explain,
      "Of a model: say for each kernel which rule scheduled it, what that weighed, and the time "
      "that was predicted");
  command->add_flag("--json", args->json, "Print one JSON object");
  command->add_option("--trace", args->trace, "Write one run as a trace for chrome://tracing or Perfetto")
      ->type_name("FILE.json");
  args->flags.Add(*command);
  command->callback([args] { Profile(*args); });
}

}  // namespace tilewright
