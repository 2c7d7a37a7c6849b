// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/explain.h"

#include <algorithm>

namespace tilewright {

namespace {

std::string OptionText(const Candidate& c) {
  std::string text = c.algorithm;
  if (!c.result_layout.natural()) text += fmt::format(", blocks of {} channels", c.result_layout.BlockOf(1));
  return text;
}

ExplainedDecision Explained(const LayoutDecision& decision) {
  const std::vector<Candidate>& all = decision.candidates;
  // Where the model does not know a shape, costs are shares: of the lanes of a vector that one result takes.
  const bool predicted = std::ranges::all_of(all, [](const Candidate& c) { return c.cost > 1; });
  ExplainedDecision out{decision.op + ", algorithm and layout", {}, {}, int(all.size())};
  if (decision.saves_memory) {
    out.reason = "what is predicted to be faster would make the constants too long";
  } else if (all.size() == 1) {
    out.reason = "there is no other way for these shapes";
  } else if (predicted) {
    out.reason = "the least predicted time, of algorithms whose stated error is allowed";
  } else {
    out.reason = "blocks of channels fill vectors, the natural order does not";
  }
  for (size_t i = 0; i < all.size(); ++i)
    out.options.push_back({OptionText(all[i]), predicted ? all[i].cost : 0, i == decision.taken});
  return out;
}

}  // namespace

Explanation ExplainGraph(const GraphFunction& f, const std::vector<LayoutDecision>& decisions) {
  Explanation explanation;
  for (const Binding& b : f->body.bindings) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || b.results.empty() || b.results[0]->origin.empty()) continue;
    for (const LayoutDecision& d : decisions) {
      const Candidate& taken = d.candidates[d.taken];
      const std::string& op = taken.op ? taken.op->name : d.op;
      if (d.origin != b.results[0]->origin || op != call->op->name) continue;
      explanation.decisions.push_back(Explained(d));
      break;
    }
  }
  return explanation;
}

std::map<std::string, Explanation> ExplanationsByKernel(const KernelSet& kernels) {
  std::map<std::string, Explanation> result;
  for (const KernelUnit& unit : kernels.units()) {
    if (!unit.explanation) continue;
    for (const KernelLaunch& launch : unit.lowered.launches) {
      Explanation& e = result[launch.kernel.name()] = *unit.explanation;
      // Launches before the last prepare what it computes with.
      if (&launch != &unit.lowered.launches.back()) e.cycles = 0;
    }
  }
  return result;
}

}  // namespace tilewright
