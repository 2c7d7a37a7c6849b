// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/rewrite.h"

namespace tilewright {

GraphFunction RewriteBindings(
    const GraphFunction& function,
    const std::function<std::optional<std::vector<Value>>(const Binding&, GraphBuilder&)>& f) {
  std::unordered_map<const ValueNode*, Value> replaced;
  auto map = [&](const Value& v) {
    auto it = v ? replaced.find(v.get()) : replaced.end();
    return it == replaced.end() ? v : it->second;
  };
  GraphBuilder builder;
  bool changed = false;
  for (const Binding& b : function->body.bindings) {
    Binding mapped{b.results, MapArgs(b.operation, map)};
    std::optional<std::vector<Value>> results = f(mapped, builder);
    if (!results) {
      builder.Append(std::move(mapped));
      continue;
    }
    changed = true;
    TW_CHECK(results->size() == b.results.size(), "{} results replaced by {}", b.results.size(),
             results->size());
    for (size_t i = 0; i < results->size(); ++i) replaced[b.results[i].get()] = (*results)[i];
  }
  if (!changed) return function;
  std::vector<Value> results;
  for (const Value& r : function->body.results) results.push_back(map(r));
  GraphFunctionNode copy = *function;
  copy.body = builder.Finish(std::move(results));
  return GraphFunction(std::move(copy));
}

std::unordered_map<const ValueNode*, int> CountUses(const GraphBlock& block) {
  std::unordered_map<const ValueNode*, int> uses;
  for (const Binding& b : block.bindings) {
    for (const Value& v : UsedValues(b.operation)) ++uses[v.get()];
  }
  for (const Value& r : block.results) ++uses[r.get()];
  return uses;
}

std::unordered_map<const ValueNode*, const Binding*> Definitions(const GraphBlock& block) {
  std::unordered_map<const ValueNode*, const Binding*> definitions;
  for (const Binding& b : block.bindings) {
    for (const Value& r : b.results) definitions[r.get()] = &b;
  }
  return definitions;
}

const NDArray* ConstantOf(const Value& v,
                          const std::unordered_map<const ValueNode*, const Binding*>& definitions) {
  auto it = definitions.find(v.get());
  if (it == definitions.end()) return nullptr;
  auto* constant = it->second->operation.As<ConstantNode>();
  return constant ? &constant->data : nullptr;
}

IRModule OnMain(const IRModule& module, const std::function<GraphFunction(const GraphFunction&)>& pass) {
  GraphFunction before = GetGraphFunction(module);
  GraphFunction after = pass(before);
  if (after == before) return module;
  IRModule result = module;
  result.Set(after);
  return result;
}

}  // namespace tilewright
