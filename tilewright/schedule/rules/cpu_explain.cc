// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <utility>

#include "tilewright/schedule/rules/cpu.h"

namespace tilewright::cpu {

namespace {

/// How many options of a decision are listed, the best ones.
constexpr size_t kListed = 5;

std::string TileText(const RegisterTile& t, const Target& target) {
  const std::string rows =
      t.lines > 1 ? fmt::format("{} lines x {}", t.lines, t.rows) : fmt::format("{}", t.rows);
  return fmt::format("{} rows x {} vectors of {} bytes", rows, t.vectors, target.vector_bytes);
}

}  // namespace

void ExplainRule(const RuleContext& context, const BlockRef& block, const std::string& rule,
                 const std::string& left_because) {
  if (!context.explanation) return;
  std::string text = rule + ": block " + block.name;
  if (!left_because.empty()) text = fmt::format("not {}: {}", text, left_because);
  context.explanation->rules.push_back(std::move(text));
}

void ExplainFact(const RuleContext& context, const std::string& about, const std::string& fact) {
  if (context.explanation) context.explanation->decisions.push_back({about, fact, {}, 0});
}

void ExplainOptions(const RuleContext& context, const std::string& about, const std::string& reason,
                    std::vector<ExplainedOption> options) {
  if (!context.explanation) return;
  std::ranges::sort(options, {}, [](const ExplainedOption& o) { return std::pair(o.cycles, !o.taken); });
  ExplainedDecision decision{about, reason, {}, int(options.size())};
  for (ExplainedOption& o : options) {
    if (decision.options.size() < kListed || o.taken) decision.options.push_back(std::move(o));
  }
  context.explanation->decisions.push_back(std::move(decision));
}

void ExplainTile(const RuleContext& context, const TileSpace& space, const RegisterTile& tile,
                 int64_t repeats, int64_t units) {
  if (!context.explanation) return;
  const Target& target = context.target;
  const int64_t cores = std::max(1, target.cores);
  const int64_t shared = std::max<int64_t>(1, units), rounds = (shared + cores - 1) / cores;
  // What the core does that has the most units.
  const double share = double(std::max<int64_t>(1, repeats)) * double(rounds) / double(shared);
  std::vector<ExplainedOption> options;
  ForEachTile(space, target, [&](const RegisterTile& t) {
    const bool taken = t.lines == tile.lines && t.rows == tile.rows && t.vectors == tile.vectors;
    options.push_back({TileText(t, target), share * TileCycles(space, t, target), taken});
  });
  ExplainOptions(context, "register tile",
                 "the least predicted time of multiply-adds, loads and ends of tiles", std::move(options));
  ExplainFact(context, "threads",
              fmt::format("{} equal units of work for {} cores keep them busy {:.0f} % of the time", shared,
                          cores, 100.0 * double(shared) / double(rounds * cores)));
  context.explanation->cycles += share * TileCycles(space, tile, target);
}

}  // namespace tilewright::cpu
