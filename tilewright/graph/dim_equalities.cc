// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/dim_equalities.h"

#include <algorithm>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

namespace {

void Collect(const GraphBlock& block, std::vector<DimEquality>& found);

void Collect(const Binding& b, std::vector<DimEquality>& found) {
  if (auto* call = b.operation.As<OpCallNode>()) {
    const std::string origin = b.results.empty() ? std::string() : b.results[0]->origin;
    call->op->infer(InferContext(*call->op, call->args, call->attrs, origin, &found));
  } else if (auto* branch = b.operation.As<GraphIfNode>()) {
    Collect(branch->then_block, found);
    Collect(branch->else_block, found);
  } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
    Collect(loop->body, found);
  }
}

void Collect(const GraphBlock& block, std::vector<DimEquality>& found) {
  for (const Binding& b : block.bindings) Collect(b, found);
}

}  // namespace

std::vector<DimEquality> UnprovenEqualities(const IRModule& module) {
  std::vector<DimEquality> found, unproven;
  for (const auto& [name, f] : module.functions()) {
    if (f->kind == FunctionKind::kGraph) Collect(GetGraphFunction(module, name)->body, found);
  }
  Analyzer analyzer;
  for (DimEquality& e : found) {
    if (analyzer.CanProveEqual(e.left, e.right)) continue;
    const bool known = std::any_of(unproven.begin(), unproven.end(), [&](const DimEquality& other) {
      return StructuralEqual(other.left, e.left) && StructuralEqual(other.right, e.right);
    });
    if (!known) unproven.push_back(std::move(e));
  }
  return unproven;
}

}  // namespace tilewright
