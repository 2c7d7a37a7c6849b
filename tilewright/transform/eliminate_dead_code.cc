// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/eliminate_dead_code.h"

#include <unordered_set>

#include "tilewright/graph/rewrite.h"

namespace tilewright {

IRModule EliminateDeadCode(const IRModule& module) {
  return OnMain(module, [](const GraphFunction& f) {
    std::unordered_set<const ValueNode*> live;
    for (const Value& r : f->body.results) live.insert(r.get());
    std::vector<Binding> kept;
    for (auto it = f->body.bindings.rbegin(); it != f->body.bindings.rend(); ++it) {
      bool used = std::any_of(it->results.begin(), it->results.end(),
                              [&](const Value& r) { return live.contains(r.get()); });
      if (!used) continue;
      for (const Value& v : UsedValues(it->operation)) live.insert(v.get());
      kept.push_back(*it);
    }
    if (kept.size() == f->body.bindings.size()) return f;
    std::reverse(kept.begin(), kept.end());
    GraphFunctionNode copy = *f;
    copy.body.bindings = std::move(kept);
    return GraphFunction(std::move(copy));
  });
}

}  // namespace tilewright
