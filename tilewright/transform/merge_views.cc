// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/merge_views.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

IRModule MergeViews(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) {
    std::unordered_map<const ValueNode*, Value> viewed;  // by the view: what it shows
    std::unordered_set<const ValueNode*> results;
    for (const Value& r : f->body.results) results.insert(r.get());
    return RewriteBindings(
        f, [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
          auto* call = b.operation.As<OpCallNode>();
          if (!call || !call->op->is_view) return std::nullopt;
          auto below = viewed.find(call->args[0].get());
          const Value source = below == viewed.end() ? call->args[0] : below->second;
          // A result of @main is a value of its own.
          const Value& result = b.results[0];
          if (!results.contains(result.get()) && StructuralEqual(source->type, result->type))
            return std::vector{source};
          viewed[result.get()] = source;
          if (source == call->args[0]) return std::nullopt;
          std::vector<Value> args = call->args;
          args[0] = source;
          builder.Append({b.results, MakeOpCall(call->op, std::move(args), call->attrs)});
          return b.results;
        });
  });
}

}  // namespace tilewright
