// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/fold_constants.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

int64_t StaticBytes(const Value& v) {
  auto* t = v->type.tensor();
  if (!t || t->dtype.is_string()) return -1;
  auto shape = t->StaticShape();
  return shape ? CheckedSize(*shape, t->dtype.element_bytes()) * t->dtype.element_bytes() : -1;
}

/// Whether attributes hold expressions over symbolic dimensions, which have no value yet.
bool HoldSymbols(const Attrs& attrs) {
  auto symbolic = [](const Expr& e) { return e.get() && !FreeVars(e).empty(); };
  const Annotations map = attrs.ToMap();
  return std::any_of(map.begin(), map.end(), [&](const auto& entry) {
    if (auto* e = std::get_if<Expr>(&entry.second)) return symbolic(*e);
    auto* list = std::get_if<std::vector<Expr>>(&entry.second);
    return list && std::any_of(list->begin(), list->end(), symbolic);
  });
}

/// Of all constants of a function.
int64_t ConstantBytes(const GraphFunction& f) {
  int64_t bytes = 0;
  for (const Binding& b : f->body.bindings) {
    if (auto* c = b.operation.As<ConstantNode>()) bytes += c->data.bytes();
  }
  return bytes;
}

/// Operator calls that depend on constants alone and whose results are not much larger than their arguments.
/// A chain of them that doubles what it has each time ends at the size of all constants of the function, and
/// what all of them together compute has a limit that models with sense stay far away from.
std::unordered_set<const ValueNode*> Foldable(const GraphFunction& f, int64_t max_growth) {
  constexpr int64_t kMostTimes = 32;
  // Zeros that complete a window to whole strides make less than four elements of one.
  constexpr int64_t kPadTimes = 4;
  std::unordered_map<const ValueNode*, int64_t> bytes;
  std::unordered_set<const ValueNode*> folded;
  const int64_t all = ConstantBytes(f), most_of_all = kMostTimes * (all + max_growth);
  int64_t computed = 0;
  for (const Binding& b : f->body.bindings) {
    if (auto* c = b.operation.As<ConstantNode>()) bytes[b.results[0].get()] = c->data.bytes();
    auto* call = b.operation.As<OpCallNode>();
    if (!call || !call->op->lower) continue;
    int64_t in = 0, out = 0;
    bool constant = !HoldSymbols(call->attrs);
    for (const Value& v : call->args) {
      if (!v) continue;
      constant &= bytes.contains(v.get());
      if (constant) in += bytes[v.get()];
    }
    for (const Value& r : b.results) {
      int64_t size = StaticBytes(r);
      constant &= size >= 0;
      out += size;
    }
    const int64_t least = std::min(in, all), allowed = std::max(least + max_growth, kPadTimes * least);
    if (!constant || out > allowed || computed + out > most_of_all) continue;
    computed += out;
    for (const Value& r : b.results) {
      bytes[r.get()] = StaticBytes(r);
      folded.insert(r.get());
    }
  }
  return folded;
}

/// The folded part as a function whose results are what the rest uses.
GraphFunction ExtractConstantPart(const GraphFunction& f,
                                  const std::unordered_set<const ValueNode*>& folded) {
  GraphFunctionNode part;
  part.name = "main";
  std::unordered_set<const ValueNode*> wanted;
  auto want = [&](const Value& v) {
    if (folded.contains(v.get()) && wanted.insert(v.get()).second) part.body.results.push_back(v);
  };
  std::unordered_set<const ValueNode*> needed;
  for (const Binding& b : f->body.bindings) {
    if (folded.contains(b.results[0].get())) {
      for (const Value& v : UsedValues(b.operation)) needed.insert(v.get());
    } else {
      for (const Value& v : UsedValues(b.operation)) want(v);
    }
  }
  for (const Value& r : f->body.results) want(r);
  for (const Binding& b : f->body.bindings) {
    const ValueNode* first = b.results[0].get();
    if (folded.contains(first) || (b.operation.As<ConstantNode>() && needed.contains(first))) {
      part.body.bindings.push_back(b);
    }
  }
  return GraphFunction(std::move(part));
}

}  // namespace

IRModule FoldConstants(const IRModule& module, const ConstantEvaluator& evaluate, int64_t max_growth_bytes) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) {
    std::unordered_set<const ValueNode*> folded = Foldable(f, max_growth_bytes);
    if (folded.empty()) return f;
    GraphFunction part = ExtractConstantPart(f, folded);
    std::vector<NDArray> values = evaluate(part);
    std::unordered_map<const ValueNode*, NDArray> value_of;
    for (size_t i = 0; i < values.size(); ++i) value_of[part->body.results[i].get()] = values[i];

    GraphFunctionNode copy = *f;
    copy.body.bindings.clear();
    for (const Binding& b : f->body.bindings) {
      if (!folded.contains(b.results[0].get())) {
        copy.body.bindings.push_back(b);
        continue;
      }
      for (const Value& r : b.results) {
        auto it = value_of.find(r.get());
        if (it != value_of.end()) copy.body.bindings.push_back({{r}, MakeConstant(it->second)});
      }
    }
    return GraphFunction(std::move(copy));
  });
}

}  // namespace tilewright
