// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/explain_report.h"

#include <fmt/format.h>

#include <algorithm>

namespace tilewright {

namespace {

/// Of options: microseconds on the target.
double Microseconds(double cycles, const Target& target) { return cycles / std::max(1, target.clock_mhz); }

std::string OptionLine(const ExplainedOption& o, const Target& target) {
  const std::string time = o.cycles > 0 ? fmt::format("{:.1f} us", Microseconds(o.cycles, target)) : "";
  return fmt::format("    {} {:>12}  {}", o.taken ? '*' : ' ', time, o.what);
}

}  // namespace

double Prediction::Total() const { return std::max(compute_us, memory_us) + launch_us; }

Prediction Predict(const Explanation& explanation, double flops, double bytes, int threads,
                   const Target& target) {
  Prediction p;
  const double cores = std::max(1, target.cores), running = std::max(1, threads);
  const double per_cycle = 2.0 * target.VectorLanes(4) * target.fma_per_cycle * running;
  const double cycles = explanation.cycles > 0 ? explanation.cycles * cores / running : flops / per_cycle;
  p.compute_us = Microseconds(cycles, target);
  double line_cycles = target.memory_line_cycles;
  p.memory = "memory";
  for (size_t i = target.caches.size(); i-- > 0;) {
    const CacheLevel& cache = target.caches[i];
    const double room = double(cache.bytes) * std::max(1.0, running / cache.shared_by);
    if (bytes > room || cache.line_cycles == 0) continue;
    line_cycles = cache.line_cycles;
    p.memory = fmt::format("L{}", i + 1);
  }
  constexpr double kLineBytes = 64;
  p.memory_us = Microseconds(bytes / kLineBytes * line_cycles / running, target);
  p.launch_us = Microseconds(target.launch_cycles, target);
  return p;
}

void PrintExplanation(const ExplainedKernel& kernel, const Target& target) {
  const Prediction& p = kernel.predicted;
  fmt::print("\n{}{}\n", kernel.name, kernel.launches == 1 ? "" : fmt::format(" x{:g}", kernel.launches));
  fmt::print("  measured {:.1f} us, at least {:.1f}; predicted {:.1f} us, {:.2f} of the least measured:\n",
             kernel.mean_us, kernel.min_us, p.Total(), kernel.min_us > 0 ? p.Total() / kernel.min_us : 0);
  fmt::print("    {:.1f} us to compute, {:.1f} us to read and write ({}), {:.1f} us to launch\n",
             p.compute_us, p.memory_us, p.memory, p.launch_us);
  for (const std::string& rule : kernel.explanation->rules) fmt::print("  rule {}\n", rule);
  for (const ExplainedDecision& d : kernel.explanation->decisions) {
    const bool more = d.weighed > int(d.options.size());
    fmt::print("  {}: {}{}\n", d.about, d.reason,
               more ? fmt::format(" (the best of {})", d.weighed) : std::string());
    for (const ExplainedOption& o : d.options) fmt::print("{}\n", OptionLine(o, target));
  }
}

nlohmann::ordered_json ExplanationJson(const ExplainedKernel& kernel, const Target& target) {
  const Prediction& p = kernel.predicted;
  nlohmann::ordered_json out;
  out["kernel"] = kernel.name;
  out["launches"] = kernel.launches;
  out["measured_us"] = kernel.mean_us;
  out["measured_min_us"] = kernel.min_us;
  out["predicted_us"] = p.Total();
  out["predicted"] = {{"compute_us", p.compute_us},
                      {"memory_us", p.memory_us},
                      {"memory", p.memory},
                      {"launch_us", p.launch_us}};
  out["rules"] = kernel.explanation->rules;
  out["decisions"] = nlohmann::ordered_json::array();
  for (const ExplainedDecision& d : kernel.explanation->decisions) {
    nlohmann::ordered_json options = nlohmann::ordered_json::array();
    for (const ExplainedOption& o : d.options) {
      options.push_back({{"what", o.what}, {"taken", o.taken}});
      if (o.cycles > 0) options.back()["predicted_us"] = Microseconds(o.cycles, target);
    }
    out["decisions"].push_back(
        {{"about", d.about}, {"reason", d.reason}, {"weighed", d.weighed}, {"options", options}});
  }
  return out;
}

}  // namespace tilewright
