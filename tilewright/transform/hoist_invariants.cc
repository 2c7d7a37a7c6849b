// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/hoist_invariants.h"

#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

class Hoister {
 public:
  GraphFunction Run(const GraphFunction& f) {
    GraphFunctionNode copy = *f;
    copy.body = Block(f->body);
    return hoisted_any_ ? GraphFunction(std::move(copy)) : f;
  }

 private:
  /// The block with what can leave the blocks in it; inner blocks first, so that things go as far as they
  /// can.
  GraphBlock Block(const GraphBlock& block) {
    GraphBlock result{block.params, {}, block.results};
    for (const Binding& b : block.bindings) {
      std::vector<Binding> hoisted;
      const bool runs = RunsAlways(b.operation);
      Operation rest =
          MapBlocks(b.operation, [&](const GraphBlock& inner) { return Split(Block(inner), runs, hoisted); });
      hoisted_any_ |= !hoisted.empty();
      for (Binding& h : hoisted) Append(result, std::move(h));
      Append(result, {b.results, std::move(rest)});
    }
    return result;
  }

  void Append(GraphBlock& block, Binding b) {
    if (auto* c = b.operation.As<ConstantNode>()) constants_[b.results[0].get()] = c->data;
    if (IsConstantCall(b.operation)) Mark(b);
    block.bindings.push_back(std::move(b));
  }

  /// Constants, and calls on what is computed from constants.
  bool IsConstantCall(const Operation& o) const {
    if (o.kind() == OperationKind::kConstant) return true;
    auto* call = o.As<OpCallNode>();
    return call && std::all_of(call->args.begin(), call->args.end(),
                               [&](const Value& v) { return !v || constant_.contains(v.get()); });
  }

  void Mark(const Binding& b) {
    for (const Value& r : b.results) constant_.insert(r.get());
  }

  /// Whether the body of a loop certainly runs: a constant number of times, without a condition.
  bool RunsAlways(const Operation& o) const {
    auto* loop = o.As<GraphLoopNode>();
    if (!loop || loop->condition || !loop->trip_count) return false;
    auto trips = constants_.find(loop->trip_count.get());
    return trips != constants_.end() && trips->second.AsInt(0) > 0;
  }

  /// Takes out of a block what may leave it.
  GraphBlock Split(GraphBlock block, bool runs, std::vector<Binding>& hoisted) {
    std::unordered_set<const ValueNode*> inside;
    for (const Value& p : block.params) inside.insert(p.get());
    std::vector<Binding> kept;
    for (Binding& b : block.bindings) {
      const std::vector<Value> used = UsedValues(b.operation);
      const bool invariant =
          runs && b.operation.As<OpCallNode>() &&
          std::none_of(used.begin(), used.end(), [&](const Value& v) { return inside.contains(v.get()); });
      if (invariant || IsConstantCall(b.operation)) {
        if (IsConstantCall(b.operation)) Mark(b);
        hoisted.push_back(std::move(b));
        continue;
      }
      for (const Value& r : b.results) inside.insert(r.get());
      kept.push_back(std::move(b));
    }
    block.bindings = std::move(kept);
    return block;
  }

  std::unordered_map<const ValueNode*, NDArray> constants_;
  std::unordered_set<const ValueNode*> constant_;  ///< computed from constants alone
  bool hoisted_any_ = false;
};

}  // namespace

IRModule HoistInvariants(const IRModule& module) {
  return OnMain(module, [](const GraphFunction& f) { return Hoister().Run(f); });
}

}  // namespace tilewright
