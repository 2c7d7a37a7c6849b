// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/joins.h"

#include <unordered_set>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

namespace {

/// Whether the axis is the outermost in memory, but for extents of 1.
bool IsOutermost(int axis, const TensorType& t) {
  if (t.layout.natural()) {
    for (int d = 0; d < axis; ++d) {
      if (!IsInt(t.shape[size_t(d)], 1)) return false;
    }
    return true;
  }
  const std::vector<Expr> physical = t.PhysicalShape();
  for (size_t d = 0; d < physical.size(); ++d) {
    const Layout::Dim& dim = t.layout.dims[d];
    if (dim.axis == axis) return dim.factor == 0;
    if (!IsInt(physical[d], 1)) return false;
  }
  return false;
}

}  // namespace

bool IsJoin(const OpCallNode& call) { return call.op->name == "Concat"; }

bool JoinsMemory(const OpCallNode& call, const TensorType& result) {
  if (!IsJoin(call)) return false;
  const int64_t axis = std::get<int64_t>(call.attrs.ToMap().at("axis"));
  if (!IsOutermost(int(axis < 0 ? axis + result.rank() : axis), result)) return false;
  Analyzer analyzer;
  for (size_t i = 0; i < call.args.size(); ++i) {
    const TensorType& part = call.args[i].tensor();
    if (part.layout != result.layout || part.scope != result.scope || part.device != result.device)
      return false;
    const Expr bytes = part.NumElements() * Expr(int64_t(part.dtype.element_bytes()));
    if (i + 1 < call.args.size() && !analyzer.CanProveEqual(FloorMod(bytes, Expr(kPartAlignment)), Expr(0)))
      return false;
  }
  return true;
}

bool WorthJoining(const OpCallNode& call, const TensorType& result,
                  const std::unordered_map<const ValueNode*, const Binding*>& definitions) {
  if (!JoinsMemory(call, result)) return false;
  int64_t made = 0, total = 0;
  std::unordered_set<const ValueNode*> seen;  // the second part that is the same value has to be copied
  for (const Value& v : call.args) {
    const int64_t elements = AsInt(v.tensor().NumElements()).value_or(1);
    auto it = definitions.find(v.get());
    auto* producer = it == definitions.end() ? nullptr : it->second->operation.As<OpCallNode>();
    total += elements;
    if (producer && !producer->op->is_view && seen.insert(v.get()).second) made += elements;
  }
  return 2 * made > total;
}

}  // namespace tilewright
