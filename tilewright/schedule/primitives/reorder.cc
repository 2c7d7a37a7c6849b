// SPDX-License-Identifier: Apache-2.0
// Reorder: permutes loops of one chain. Legal where no block below has an order of its own in a loop that
// moves, and what flows between the blocks below stays within one iteration of all loops that move
// (schedule/flow.h).
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// The loops from the first to the last that is named, each the only statement in the one before.
std::vector<const ForNode*> Chain(const Rewriter& rw, const std::vector<LoopRef>& order, Path& top) {
  Path deepest;
  for (const LoopRef& ref : order) {
    Path path = rw.Find(ref);
    if (path.nodes.size() > deepest.nodes.size()) deepest = std::move(path);
  }
  size_t first = deepest.nodes.size();
  for (const LoopRef& ref : order) {
    size_t at = deepest.Find(ref.var);
    if (at == Path::npos) {
      rw.Fail("TW1406", "the loops are not in one chain", {&rw.Find(ref).loop(), &deepest.loop()});
    }
    first = std::min(first, at);
  }
  std::vector<const ForNode*> chain;
  for (size_t i = first; i < deepest.nodes.size(); ++i) {
    auto* loop = deepest.nodes[i].As<ForNode>();
    if (!loop) {
      rw.Fail("TW1406", "the loops are not directly nested", {deepest.nodes[first].get(), &deepest.loop()},
              {"another statement lies between the loops; move or split it off first"});
    }
    chain.push_back(loop);
  }
  top.nodes.assign(deepest.nodes.begin(), deepest.nodes.begin() + std::ptrdiff_t(first) + 1);
  return chain;
}

std::vector<const ForNode*> Permute(const Rewriter& rw, const std::vector<const ForNode*>& chain,
                                    const std::vector<LoopRef>& order) {
  std::unordered_map<Var, const ForNode*> by_var;
  for (const ForNode* loop : chain) by_var[loop->var] = loop;
  std::unordered_set<Var> named;
  for (const LoopRef& ref : order) {
    if (!named.insert(ref.var).second) {
      rw.Fail("TW1406", fmt::format("loop '{}' is named twice", ref.var.name()), {by_var.at(ref.var)});
    }
  }
  std::vector<const ForNode*> permuted = chain;
  size_t next = 0;
  for (const ForNode*& loop : permuted) {
    if (named.contains(loop->var)) loop = by_var.at(order[next++].var);
  }
  return permuted;
}

void CheckBounds(const Rewriter& rw, const std::vector<const ForNode*>& loops) {
  for (size_t i = 0; i < loops.size(); ++i) {
    for (size_t j = i; j < loops.size(); ++j) {
      if (UsesVar(loops[i]->min, loops[j]->var) || UsesVar(loops[i]->extent, loops[j]->var)) {
        rw.Fail("TW1409",
                fmt::format("loop '{}' would move out of loop '{}', on which its bounds depend",
                            loops[i]->var.name(), loops[j]->var.name()),
                {loops[i], loops[j]});
      }
    }
  }
}

}  // namespace

void Schedule::Reorder(const std::vector<LoopRef>& order) {
  Rewriter rw(*this, "reorder");
  if (order.empty()) rw.Fail("TW1406", "no loops are given", {});
  Path top;
  std::vector<const ForNode*> chain = Chain(rw, order, top);
  std::vector<const ForNode*> permuted = Permute(rw, chain, order);
  std::vector<StepInput> inputs(order.begin(), order.end());
  if (chain != permuted) {
    CheckBounds(rw, permuted);
    CheckReorder(rw, top, chain, permuted);
  }
  Stmt nest = chain.back()->body;
  for (size_t i = permuted.size(); i-- > 0;) nest = WithBody(*permuted[i], nest);
  rw.Commit(top.Replace(nest), inputs, {});
}

}  // namespace tilewright
