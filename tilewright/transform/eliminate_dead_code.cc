// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/eliminate_dead_code.h"

#include <unordered_set>

#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

GraphBlock LiveBlock(const GraphBlock& block) {
  std::unordered_set<const ValueNode*> live;
  for (const Value& r : block.results) live.insert(r.get());
  GraphBlock kept{block.params, {}, block.results};
  for (auto it = block.bindings.rbegin(); it != block.bindings.rend(); ++it) {
    bool used = std::any_of(it->results.begin(), it->results.end(),
                            [&](const Value& r) { return live.contains(r.get()); });
    if (!used) continue;
    // The inner blocks first: what only dead code in them used is dead here.
    kept.bindings.push_back({it->results, MapBlocks(it->operation, LiveBlock)});
    for (const Value& v : UsedValues(kept.bindings.back().operation)) live.insert(v.get());
  }
  std::reverse(kept.bindings.begin(), kept.bindings.end());
  return kept;
}

}  // namespace

IRModule EliminateDeadCode(const IRModule& module) {
  return OnMain(module, [](const GraphFunction& f) {
    GraphFunctionNode copy = *f;
    copy.body = LiveBlock(f->body);
    const bool same =
        std::equal(copy.body.bindings.begin(), copy.body.bindings.end(), f->body.bindings.begin(),
                   f->body.bindings.end(),
                   [](const Binding& a, const Binding& b) { return a.operation == b.operation; });
    return same ? f : GraphFunction(std::move(copy));
  });
}

}  // namespace tilewright
