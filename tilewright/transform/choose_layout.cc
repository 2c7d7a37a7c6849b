// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/choose_layout.h"

#include <map>
#include <numeric>
#include <unordered_set>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

class Chooser {
 public:
  Chooser(const Target& target, double max_error) : target_(target), max_error_(max_error) {}

  GraphFunction Run(const GraphFunction& f) {
    GraphFunction result =
        RewriteBindings(f, [&](const Binding& b, GraphBuilder& builder) { return Rewrite(b, builder); });
    if (result == f) return f;
    GraphFunctionNode copy = *result;
    GraphBuilder tail;
    std::vector<Value> results;
    for (const Value& r : copy.body.results) results.push_back(WithLayout(r, Layout(), tail));
    for (const Binding& b : tail.block().bindings) copy.body.bindings.push_back(b);
    copy.body.results = std::move(results);
    return GraphFunction(std::move(copy));
  }

 private:
  std::optional<std::vector<Value>> Rewrite(const Binding& b, GraphBuilder& builder) {
    if (b.operation.As<ConstantNode>()) constants_.insert(b.results[0].get());
    auto* call = b.operation.As<OpCallNode>();
    if (!call) return Natural(b, builder);
    if (call->op == relayout_) return std::nullopt;  // an earlier choice
    if (call->op->candidates) return Choose(b, *call, builder);
    const TensorType* result = b.results[0]->type.tensor();
    if (call->op->layout_agnostic && result) {
      Layout layout = AgnosticLayout(*call, *result);
      if (layout.natural()) return Natural(b, builder);
      std::vector<Value> args;
      for (const Value& v : call->args) {
        args.push_back(v && SameShape(v.tensor().shape, result->shape) ? WithLayout(v, layout, builder) : v);
      }
      return Emit(b, *call->op, std::move(args), call->attrs, layout, builder);
    }
    if (call->op->follows_input_layout && result) {
      const int64_t block = CommonBlock(*call, *result);
      if (block > 1) {
        std::vector<Value> args;
        for (const Value& v : call->args) {
          const bool image = v && v.tensor().rank() == result->rank();
          args.push_back(image ? WithLayout(v, Layout::Blocked(result->rank(), 1, block), builder) : v);
        }
        return Emit(b, *call->op, std::move(args), call->attrs, Layout::Blocked(result->rank(), 1, block),
                    builder);
      }
    }
    return Natural(b, builder);
  }

  std::optional<std::vector<Value>> Choose(const Binding& b, const OpCallNode& call, GraphBuilder& builder) {
    InferContext context(*call.op, call.args, call.attrs, b.results[0]->origin);
    ChoiceContext choice{target_, max_error_, {}};
    for (const Value& v : call.args) choice.constant_args.push_back(constants_.contains(v.get()));
    std::vector<Candidate> candidates = call.op->candidates(context, choice);
    TW_CHECK(!candidates.empty(), "{} has no candidate", call.op->name);
    const Candidate& best =
        *std::min_element(candidates.begin(), candidates.end(),
                          [](const Candidate& x, const Candidate& y) { return x.cost < y.cost; });
    std::vector<Value> args;
    for (size_t i = 0; i < call.args.size(); ++i) {
      const Value& v = call.args[i];
      args.push_back(v ? WithLayout(v, i < best.arg_layouts.size() ? best.arg_layouts[i] : Layout(), builder)
                       : v);
    }
    return Emit(b, best.op ? *best.op : *call.op, std::move(args), best.op ? best.attrs : call.attrs,
                best.result_layout, builder);
  }

  /// The blocked layout of an argument that has the result's shape.
  static Layout AgnosticLayout(const OpCallNode& call, const TensorType& result) {
    for (const Value& v : call.args) {
      if (v && !v.tensor().layout.natural() && SameShape(v.tensor().shape, result.shape))
        return v.tensor().layout;
    }
    return Layout();
  }

  /// The largest channel block that all arguments of full rank can have; 1 when one is natural or none is
  /// blocked.
  static int64_t CommonBlock(const OpCallNode& call, const TensorType& result) {
    if (result.rank() < 3) return 1;
    int64_t block = 0;
    for (const Value& v : call.args) {
      if (!v || v.tensor().rank() != result.rank()) continue;
      const int64_t own = v.tensor().layout.BlockOf(1);
      if (own <= 1) return 1;
      block = std::gcd(block, own);
    }
    auto channels = AsInt(result.shape[1]);
    return channels && block > 1 ? std::gcd(block, *channels) : 1;
  }

  std::optional<std::vector<Value>> Natural(const Binding& b, GraphBuilder& builder) {
    Operation natural =
        MapArgs(b.operation, [&](const Value& v) { return WithLayout(v, Layout(), builder); });
    if (natural == b.operation) return std::nullopt;
    builder.Append({b.results, natural});
    return b.results;
  }

  std::vector<Value> Emit(const Binding& b, const OpDef& op, std::vector<Value> args, const Attrs& attrs,
                          const Layout& layout, GraphBuilder& builder) {
    Binding out{{}, MakeOpCall(&op, std::move(args), attrs)};
    for (const Value& r : b.results) {
      TensorType t = r.tensor();
      t.layout = layout;
      out.results.push_back(layout.natural() ? r : Value(r.name(), t, r->origin));
    }
    std::vector<Value> results = out.results;
    builder.Append(std::move(out));
    return results;
  }

  Value WithLayout(const Value& v, const Layout& layout, GraphBuilder& builder) {
    if (!v || !v->type.tensor() || v.tensor().layout == layout) return v;
    auto& known = converted_[{v.get(), layout.ToString()}];
    if (known) return known;
    Attrs attrs = relayout_->attrs.from_map({{"layout", layout.ToString()}});
    known = builder.CallOp(relayout_, {v}, std::move(attrs), v->origin).front();
    return known;
  }

  const Target& target_;
  const double max_error_;
  std::unordered_set<const ValueNode*> constants_;
  const OpDef* relayout_ = OpRegistry::Get("Relayout");
  /// Relayouts made so far; the values are kept alive by the function under rewriting.
  std::map<std::pair<const ValueNode*, std::string>, Value> converted_;
};

}  // namespace

IRModule ChooseLayout(const IRModule& module, const Target& target, double max_error) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return Chooser(target, max_error).Run(f); });
}

}  // namespace tilewright
