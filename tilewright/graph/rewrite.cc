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

std::vector<Value> FreeValues(const GraphBlock& block) {
  std::unordered_set<const ValueNode*> seen;
  std::vector<Value> free;
  auto use = [&](const Value& v) {
    if (seen.insert(v.get()).second) free.push_back(v);
  };
  for (const Value& p : block.params) seen.insert(p.get());
  for (const Binding& b : block.bindings) {
    for (const Value& v : UsedValues(b.operation)) use(v);
    for (const Value& r : b.results) seen.insert(r.get());
  }
  for (const Value& r : block.results) use(r);
  return free;
}

namespace {

using Pass = std::function<GraphFunction(const GraphFunction&)>;

bool SameBlock(const GraphBlock& a, const GraphBlock& b) {
  return a.params == b.params && a.results == b.results &&
         std::equal(a.bindings.begin(), a.bindings.end(), b.bindings.begin(), b.bindings.end(),
                    [](const Binding& x, const Binding& y) {
                      return x.operation == y.operation && x.results == y.results;
                    });
}

class BlockWalker {
 public:
  explicit BlockWalker(const Pass& pass) : pass_(pass) {}

  GraphFunction Run(const GraphFunction& before) {
    GraphFunction f = pass_(before);
    GraphFunctionNode copy = *f;
    bool changed = false;
    for (Binding& b : copy.body.bindings) {
      if (b.operation.kind() == OperationKind::kConstant) constants_[b.results[0].get()] = b;
      Operation mapped = MapBlocks(b.operation, [&](const GraphBlock& block) { return Descend(block); });
      changed |= !(mapped == b.operation);
      b.operation = mapped;
    }
    return changed ? GraphFunction(std::move(copy)) : f;
  }

 private:
  GraphBlock Descend(const GraphBlock& block) {
    GraphFunctionNode f;
    f.name = "block";
    f.params = block.params;
    f.body = {{}, {}, block.results};
    std::unordered_set<const ValueNode*> borrowed;
    for (const Value& v : FreeValues(block)) {
      auto constant = constants_.find(v.get());
      if (constant == constants_.end()) {
        f.params.push_back(v);
      } else {
        borrowed.insert(v.get());
        f.body.bindings.push_back(constant->second);
      }
    }
    f.body.bindings.insert(f.body.bindings.end(), block.bindings.begin(), block.bindings.end());
    GraphFunction after = Run(GraphFunction(std::move(f)));
    GraphBlock result{block.params, {}, after->body.results};
    for (const Binding& b : after->body.bindings) {
      if (!borrowed.contains(b.results[0].get())) result.bindings.push_back(b);
    }
    return result;
  }

  const Pass& pass_;
  std::unordered_map<const ValueNode*, Binding> constants_;
};

}  // namespace

Operation MapBlocks(const Operation& o, const std::function<GraphBlock(const GraphBlock&)>& f) {
  if (auto* n = o.As<GraphIfNode>()) {
    GraphBlock yes = f(n->then_block), no = f(n->else_block);
    if (SameBlock(yes, n->then_block) && SameBlock(no, n->else_block)) return o;
    return MakeGraphIf(n->condition, std::move(yes), std::move(no));
  }
  if (auto* n = o.As<GraphLoopNode>()) {
    GraphBlock body = f(n->body);
    if (SameBlock(body, n->body)) return o;
    return MakeGraphLoop(n->trip_count, n->condition, n->carried, std::move(body));
  }
  return o;
}

IRModule OnMainAndBlocks(const IRModule& module, const Pass& pass) {
  return OnMain(module, [&](const GraphFunction& f) { return BlockWalker(pass).Run(f); });
}

}  // namespace tilewright
