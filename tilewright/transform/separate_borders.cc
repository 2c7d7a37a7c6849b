// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/separate_borders.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

class BorderSeparator {
 public:
  explicit BorderSeparator(const GraphFunction& f)
      : f_(f), uses_(CountUses(f->body)), definitions_(Definitions(f->body)) {}

  GraphFunction Run() {
    return RewriteBindings(f_, [&](const Binding& b, GraphBuilder& builder) { return Rewrite(b, builder); });
  }

 private:
  std::optional<std::vector<Value>> Rewrite(const Binding& b, GraphBuilder& builder) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || !call->op->border || b.results.size() != 1 || !MayMake(call->args[0])) return std::nullopt;
    const std::string& origin = b.results[0]->origin;
    auto border = call->op->border(InferContext(*call->op, call->args, call->attrs, origin));
    if (!border) return std::nullopt;
    const OpDef* op = OpRegistry::Get("Border");
    Attrs attrs =
        op->attrs.from_map({{"begin", border->begin}, {"end", border->end}, {"value", border->value}});
    std::vector<Value> args = call->args;
    args[0] = builder.CallOp(op, {args[0]}, std::move(attrs), origin).front();
    builder.Append({b.results, MakeOpCall(call->op, std::move(args), std::move(border->attrs))});
    return b.results;
  }

  /// Whether what makes the value can write it elsewhere: an operator that fuses, for one user, in blocks of
  /// channels.
  bool MayMake(const Value& v) {
    if (uses_[v.get()] != 1 || v.tensor().layout.natural()) return false;
    auto it = definitions_.find(v.get());
    auto* producer = it == definitions_.end() ? nullptr : it->second->operation.As<OpCallNode>();
    return producer && it->second->results.size() == 1 && producer->op->pattern != FusePattern::kOpaque &&
           producer->op->pattern != FusePattern::kReduction;
  }

  GraphFunction f_;
  std::unordered_map<const ValueNode*, int> uses_;
  std::unordered_map<const ValueNode*, const Binding*> definitions_;
};

}  // namespace

IRModule SeparateBorders(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) { return BorderSeparator(f).Run(); });
}

}  // namespace tilewright
