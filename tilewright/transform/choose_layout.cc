// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/choose_layout.h"

#include <map>
#include <numeric>
#include <unordered_set>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/transform/added_constants.h"

namespace tilewright {

namespace {

/// How much memory faster algorithms may take for constants, as a share of what constants have; what fits
/// into the second level of cache is always theirs.
constexpr double kMostGrowth = 0.5;

class Chooser {
 public:
  Chooser(const Target& target, double max_error, std::vector<LayoutDecision>* decisions)
      : target_(target), max_error_(max_error), decisions_(decisions) {}

  GraphFunction Run(const GraphFunction& f) {
    KeepWithinMemory(f);
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
    std::vector<Candidate> candidates = CandidatesOf(b, call, constants_);
    const auto taken = taken_.find(b.results[0].get());
    const Candidate& best = taken == taken_.end() ? Cheapest(candidates) : candidates.at(taken->second);
    if (decisions_) {
      decisions_->push_back({b.results[0]->origin, call.op->name, candidates,
                             size_t(&best - candidates.data()), taken != taken_.end()});
    }
    std::vector<Value> args;
    for (size_t i = 0; i < call.args.size(); ++i) {
      const Value& v = call.args[i];
      args.push_back(v ? WithLayout(v, i < best.arg_layouts.size() ? best.arg_layouts[i] : Layout(), builder)
                       : v);
    }
    return Emit(b, best.op ? *best.op : *call.op, std::move(args), best.op ? best.attrs : call.attrs,
                best.result_layout, builder);
  }

  static const Candidate& Cheapest(const std::vector<Candidate>& candidates) {
    return *std::min_element(candidates.begin(), candidates.end(),
                             [](const Candidate& x, const Candidate& y) { return x.cost < y.cost; });
  }

  /// One operator's candidates, what each adds to the constants, and the one that memory allows.
  struct Choice {
    const ValueNode* result;
    std::vector<Candidate> candidates;
    std::vector<int64_t> bytes;
    size_t taken;
  };

  /// Limits what candidates may add to the constants, where the cheapest ones together would add too much:
  /// step by step, an operator takes a smaller candidate where that costs the least time per byte.
  void KeepWithinMemory(const GraphFunction& f) {
    const auto uses = CountUses(f->body);
    std::unordered_set<const ValueNode*> constants;
    int64_t own = 0, more = 0;
    std::vector<Choice> choices;
    for (const Binding& b : f->body.bindings) {
      if (auto* constant = b.operation.As<ConstantNode>()) {
        constants.insert(b.results[0].get());
        // What passes before have replaced is still there.
        own += uses.contains(b.results[0].get()) ? constant->data.bytes() : 0;
      }
      auto* call = b.operation.As<OpCallNode>();
      if (!call || !call->op->candidates) continue;
      Choice choice{b.results[0].get(), CandidatesOf(b, *call, constants), {}, 0};
      std::vector<bool> constant;
      for (const Value& v : call->args) constant.push_back(constants.contains(v.get()));
      for (const Candidate& c : choice.candidates)
        choice.bytes.push_back(c.op && c.op != call->op ? AddedConstantBytes(*call, b.results[0], c, constant)
                                                        : 0);
      choice.taken = size_t(&Cheapest(choice.candidates) - choice.candidates.data());
      more += choice.bytes[choice.taken];
      choices.push_back(std::move(choice));
    }
    const int64_t most = std::max(int64_t(double(own) * kMostGrowth), target_.CacheBytes(2));
    while (more > most) {
      Choice* changed = nullptr;
      size_t smaller = 0;
      double least = 0;
      for (Choice& choice : choices) {
        for (size_t i = 0; i < choice.bytes.size(); ++i) {
          const int64_t saved = choice.bytes[choice.taken] - choice.bytes[i];
          if (saved <= 0) continue;
          const double price =
              (choice.candidates[i].cost - choice.candidates[choice.taken].cost) / double(saved);
          if (!changed || price < least) changed = &choice, smaller = i, least = price;
        }
      }
      if (!changed) break;
      more += changed->bytes[smaller] - changed->bytes[changed->taken];
      changed->taken = smaller;
      taken_[changed->result] = smaller;
    }
  }

  std::vector<Candidate> CandidatesOf(const Binding& b, const OpCallNode& call,
                                      const std::unordered_set<const ValueNode*>& constants) const {
    InferContext context(*call.op, call.args, call.attrs, b.results[0]->origin);
    ChoiceContext choice{target_, max_error_, {}};
    for (const Value& v : call.args) choice.constant_args.push_back(constants.contains(v.get()));
    std::vector<Candidate> candidates = call.op->candidates(context, choice);
    TW_CHECK(!candidates.empty(), "{} has no candidate", call.op->name);
    return candidates;
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
  std::vector<LayoutDecision>* const decisions_;
  std::unordered_set<const ValueNode*> constants_;
  /// The candidates of operators whose cheapest one needs too much memory, by their results.
  std::unordered_map<const ValueNode*, size_t> taken_;
  const OpDef* relayout_ = OpRegistry::Get("Relayout");
  /// Relayouts made so far; the values are kept alive by the function under rewriting.
  std::map<std::pair<const ValueNode*, std::string>, Value> converted_;
};

}  // namespace

IRModule ChooseLayout(const IRModule& module, const Target& target, double max_error,
                      std::vector<LayoutDecision>* decisions) {
  return OnMainAndBlocks(
      module, [&](const GraphFunction& f) { return Chooser(target, max_error, decisions).Run(f); });
}

}  // namespace tilewright
