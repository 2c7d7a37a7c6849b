// SPDX-License-Identifier: Apache-2.0
// Reverse mode over A-normal form: a block is run forwards, and then its bindings backwards, each adding to
// the cotangents of what it used (Pearlmutter and Siskind, "Reverse-mode AD in a functional framework",
// TOPLAS 30(2), 2008, for first-order programs, where the tape is the block itself). Blocks of branches and
// loops are run once more within the backward pass, from the values that they started with: the same branch,
// and the iterations in reverse order, for which the forward loop stacks what each starts with.
#include "tilewright/transform/differentiate.h"

#include <algorithm>

#include "tilewright/graph/gradient.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/transform/activity.h"

namespace tilewright {

namespace {

TensorType PlainTensor(DataType dtype, std::vector<Expr> shape) {
  return {dtype, std::move(shape), {}, "", "global"};
}

std::string NameOf(const Value& v) { return v->origin.empty() ? v.name() : v->origin; }

/// How often a loop runs, where constants or shapes say so and nothing else ends it.
std::optional<Expr> TripsOf(const Binding& b,
                            const std::unordered_map<const ValueNode*, Operation>& definitions) {
  auto& loop = *b.operation.As<GraphLoopNode>();
  if (!loop.trip_count || loop.condition || !(loop.body.results[0] == loop.body.params[1])) return {};
  if (b.results.size() > loop.carried.size()) return b.results.back().tensor().shape[0];
  auto it = definitions.find(loop.trip_count.get());
  if (it == definitions.end()) return {};
  if (auto* constant = it->second.As<ConstantNode>())
    return Expr(std::max<int64_t>(0, constant->data.AsInt(0)));
  auto* call = it->second.As<OpCallNode>();
  if (!call || call->op->name != "IndexList") return {};
  return std::get<std::vector<Expr>>(call->attrs.ToMap().at("elements")).at(0);
}

/// What the reversal knows of the whole function.
struct Plan {
  Activity active;
  std::unordered_map<const ValueNode*, Operation> definitions;  ///< in all blocks
  std::vector<std::string> obstacles;                           ///< nodes without a gradient

  Plan(const GraphFunction& f, const std::vector<Value>& sources, const Value& loss)
      : active(f, sources, {loss}) {
    Collect(f->body);
  }

 private:
  bool AnyActive(const std::vector<Value>& values) const {
    return std::any_of(values.begin(), values.end(), [&](const Value& v) { return active(v); });
  }

  void Collect(const GraphBlock& block) {
    for (const Binding& b : block.bindings) {
      for (const Value& r : b.results) definitions.emplace(r.get(), b.operation);
      if (auto* branch = b.operation.As<GraphIfNode>()) {
        Collect(branch->then_block);
        Collect(branch->else_block);
        continue;
      }
      auto* loop = b.operation.As<GraphLoopNode>();
      if (loop) Collect(loop->body);
      if (!AnyActive(b.results)) continue;
      if (loop) {
        if (!TripsOf(b, definitions)) Add("Loop that runs until a condition or a count from data", b);
        continue;
      }
      auto* call = b.operation.As<OpCallNode>();
      if (!AnyActive(UsedValues(b.operation)) || (call && call->op->gradient)) continue;
      Add(call ? call->op->name : "a call of a function or of the host", b);
    }
  }

  void Add(const std::string& what, const Binding& b) {
    obstacles.push_back(fmt::format("{} (node {})", what, NameOf(b.results[0])));
  }
};

/// One run of a block in the new function, first forwards and then backwards. Values and cotangents are found
/// by the values of the block as it was. The function's own block keeps its values; all others are copies.
class BlockReverser {
 public:
  BlockReverser(const Plan& plan, GraphBuilder& builder, const BlockReverser* outer)
      : plan_(plan), builder_(builder), outer_(outer) {}

  void Define(const Value& old, const Value& now) { values_[old.get()] = now; }
  Value At(const Value& old) const {
    auto it = values_.find(old.get());
    if (it != values_.end()) return it->second;
    return outer_ ? outer_->At(old) : old;
  }

  void Forward(const GraphBlock& block) {
    for (const Binding& b : block.bindings) Forward(b);
  }
  /// Adds to the cotangent of a value.
  void Seed(const Value& old, Value cotangent) {
    if (!cotangent || !plan_.active(old)) return;
    if (!SameShape(cotangent.tensor().shape, old.tensor().shape))
      cotangent = Call("Reshape", {cotangent}, {{"shape", old.tensor().shape}});
    Value& sum = cotangents_[old.get()];
    sum = sum ? Call("Add", {sum, cotangent}) : cotangent;
  }
  void Backward() {
    for (auto entry = tape_.rbegin(); entry != tape_.rend(); ++entry) Backward(*entry);
  }
  /// Null where it is zero.
  Value Cotangent(const Value& old) const {
    auto it = cotangents_.find(old.get());
    return it == cotangents_.end() ? nullptr : it->second;
  }
  Value CotangentOrZeros(const Value& old) {
    Value c = Cotangent(old);
    return c ? c : Full(old.tensor(), 0);
  }
  Value Full(const TensorType& like, double value) {
    return Call("Full", {}, {{"dtype", like.dtype}, {"shape", like.shape}, {"value", value}});
  }
  Value Call(const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
    const OpDef* def = OpRegistry::Get(op);
    return builder_.CallOp(def, std::move(args), def->attrs.from_map(attrs), origin_).front();
  }

 private:
  struct Entry {
    const Binding* old;
    Operation operation;        ///< as it runs now
    std::vector<Value> stacks;  ///< of a loop: what each iteration starts with, per carried value, or null
  };

  void Forward(const Binding& b) {
    Entry entry{&b, b.operation, {}};
    std::vector<Value> results = b.results;
    if (outer_) {
      entry.operation = Copy(b.operation, values_);
      for (Value& r : results) r = Value(r.name(), r->type, r->origin);
    }
    for (size_t i = 0; i < results.size(); ++i) Define(b.results[i], results[i]);
    const bool active =
        std::any_of(b.results.begin(), b.results.end(), [&](const Value& r) { return plan_.active(r); });
    if (active && b.operation.As<GraphLoopNode>()) {
      entry.stacks = StackCarried(b, entry.operation);
      for (const Value& s : entry.stacks) {
        if (s) results.push_back(s);
      }
    }
    builder_.Append({std::move(results), entry.operation});
    if (active) tape_.push_back(std::move(entry));
  }

  using Values = std::unordered_map<const ValueNode*, Value>;

  /// The operation with values as they are now, and new ones in its blocks.
  Operation Copy(const Operation& o, const Values& inner) const {
    auto map = [&](const Value& v) -> Value {
      if (!v) return v;
      auto it = inner.find(v.get());
      return it == inner.end() ? At(v) : it->second;
    };
    if (auto* branch = o.As<GraphIfNode>()) {
      return MakeGraphIf(map(branch->condition), Copy(branch->then_block, inner),
                         Copy(branch->else_block, inner));
    }
    if (auto* loop = o.As<GraphLoopNode>()) {
      std::vector<Value> carried;
      for (const Value& v : loop->carried) carried.push_back(map(v));
      return MakeGraphLoop(map(loop->trip_count), map(loop->condition), std::move(carried),
                           Copy(loop->body, inner));
    }
    return MapArgs(o, map);
  }

  GraphBlock Copy(const GraphBlock& block, Values inner) const {
    auto fresh = [&](const Value& v) { return inner[v.get()] = Value(v.name(), v->type, v->origin); };
    GraphBlock result;
    for (const Value& p : block.params) result.params.push_back(fresh(p));
    for (const Binding& b : block.bindings) {
      Binding copy{{}, Copy(b.operation, inner)};
      for (const Value& r : b.results) copy.results.push_back(fresh(r));
      result.bindings.push_back(std::move(copy));
    }
    for (const Value& r : block.results) {
      auto it = inner.find(r.get());
      result.results.push_back(it == inner.end() ? At(r) : it->second);
    }
    return result;
  }

  /// Makes the loop stack the carried values that its body reads and changes; these, or null for the others.
  std::vector<Value> StackCarried(const Binding& b, Operation& operation) {
    auto& loop = *operation.As<GraphLoopNode>();
    const Expr trips = *TripsOf(b, plan_.definitions);
    GraphBlock body = loop.body;
    const std::vector<Value> params = body.params, next = body.results;
    std::vector<Value> stacks(loop.carried.size());
    for (size_t c = 0; c < stacks.size(); ++c) {
      const Value& p = params[c + 2];
      const bool read = std::any_of(body.bindings.begin(), body.bindings.end(), [&](const Binding& inner) {
        const std::vector<Value> used = UsedValues(inner.operation);
        return std::find(used.begin(), used.end(), p) != used.end();
      });
      if (next[c + 1] == p || !read) continue;
      TensorType type = p.tensor();
      type.shape.insert(type.shape.begin(), trips);
      stacks[c] = Value(p.name() + ".stack", Type(std::move(type)), p->origin);
      body.results.push_back(p);
    }
    operation = MakeGraphLoop(loop.trip_count, loop.condition, loop.carried, std::move(body));
    return stacks;
  }

  void Backward(const Entry& entry) {
    std::vector<Value> cotangents;
    for (const Value& r : entry.old->results) cotangents.push_back(Cotangent(r));
    if (std::none_of(cotangents.begin(), cotangents.end(), [](const Value& c) { return bool(c); })) return;
    origin_ = entry.old->results[0]->origin;
    if (auto* call = entry.operation.As<OpCallNode>()) {
      BackwardCall(entry, *call, std::move(cotangents));
    } else if (auto* branch = entry.operation.As<GraphIfNode>()) {
      BackwardIf(entry, *branch, cotangents);
    } else if (auto* loop = entry.operation.As<GraphLoopNode>()) {
      BackwardLoop(entry, *loop, cotangents);
    }
  }

  void BackwardCall(const Entry& entry, const OpCallNode& call, std::vector<Value> cotangents) {
    const auto& old = *entry.old->operation.As<OpCallNode>();
    std::vector<bool> wanted;
    for (const Value& v : old.args) wanted.push_back(plan_.active(v));
    if (std::none_of(wanted.begin(), wanted.end(), [](bool w) { return w; })) return;
    std::vector<Value> results;
    for (const Value& r : entry.old->results) results.push_back(At(r));
    if (!cotangents[0]) cotangents[0] = Full(results[0].tensor(), 0);
    const GradientContext context(call, results, cotangents, wanted, builder_, origin_);
    const std::vector<Value> propagated = call.op->gradient(context);
    TW_CHECK(propagated.size() == old.args.size(), "the gradient of {} gives {} values for {} arguments",
             call.op->name, propagated.size(), old.args.size());
    for (size_t i = 0; i < propagated.size(); ++i) {
      if (wanted[i]) Seed(old.args[i], propagated[i]);
    }
  }

  std::vector<Value> ActiveFreeValues(std::initializer_list<const GraphBlock*> blocks) const {
    std::vector<Value> free;
    for (const GraphBlock* block : blocks) {
      for (const Value& v : FreeValues(*block)) {
        if (plan_.active(v) && std::find(free.begin(), free.end(), v) == free.end()) free.push_back(v);
      }
    }
    return free;
  }

  static std::vector<Type> TypesOf(const std::vector<Value>& values) {
    std::vector<Type> types;
    for (const Value& v : values) types.push_back(v->type);
    return types;
  }

  /// The same branch again, and its cotangents of what both branches take from outside.
  void BackwardIf(const Entry& entry, const GraphIfNode& branch, const std::vector<Value>& cotangents) {
    const auto& old = *entry.old->operation.As<GraphIfNode>();
    const std::vector<Value> free = ActiveFreeValues({&old.then_block, &old.else_block});
    if (free.empty()) return;
    auto reversed = [&](const GraphBlock& block) {
      GraphBuilder builder;
      BlockReverser inner(plan_, builder, this);
      inner.Forward(block);
      for (size_t i = 0; i < cotangents.size(); ++i) inner.Seed(block.results[i], cotangents[i]);
      inner.Backward();
      std::vector<Value> results;
      for (const Value& v : free) results.push_back(inner.CotangentOrZeros(v));
      return builder.Finish(std::move(results));
    };
    GraphBlock yes = reversed(old.then_block), no = reversed(old.else_block);
    const std::vector<Value> sums =
        builder_.Bind(MakeGraphIf(branch.condition, std::move(yes), std::move(no)), TypesOf(free), origin_);
    for (size_t i = 0; i < free.size(); ++i) Seed(free[i], sums[i]);
  }

  /// A loop over the iterations in reverse order. It carries the cotangents of what the loop carries, and
  /// sums those of what its body takes from outside.
  void BackwardLoop(const Entry& entry, const GraphLoopNode& loop, const std::vector<Value>& cotangents) {
    const auto& old = *entry.old->operation.As<GraphLoopNode>();
    const Expr trips = *TripsOf(*entry.old, plan_.definitions);
    std::vector<size_t> carried;
    for (size_t c = 0; c < old.carried.size(); ++c) {
      if (plan_.active(old.body.params[c + 2])) carried.push_back(c);
    }
    if (IsInt(trips, 0)) {
      for (size_t c : carried) Seed(old.carried[c], cotangents[c]);
      return;
    }
    const std::vector<Value> free = ActiveFreeValues({&old.body});
    const Value step("step", Type(PlainTensor(kI64, {}))), go("go", Type(PlainTensor(kBool, {})));
    GraphBlock body{{step, go}, {}, {}};
    std::vector<Value> initial;
    for (size_t c : carried) {
      initial.push_back(cotangents[c] ? cotangents[c] : Full(old.carried[c].tensor(), 0));
      body.params.emplace_back(old.carried[c].name() + ".bar", old.carried[c]->type);
    }
    for (const Value& v : free) {
      initial.push_back(Full(v.tensor(), 0));
      body.params.emplace_back(v.name() + ".bar", v->type);
    }
    const Value last = Call("IndexList", {},
                            {{"elements", std::vector{trips - Expr(1)}}, {"shape", std::vector<int64_t>{}}});
    GraphBuilder builder;
    BlockReverser inner(plan_, builder, this);
    inner.origin_ = origin_;
    auto row = [&](const Value& stack) { return inner.Call("Row", {stack, step}, {{"from_end", true}}); };
    inner.Define(old.body.params[0], inner.Call("Sub", {last, step}));
    inner.Define(old.body.params[1], go);
    for (size_t c = 0; c < old.carried.size(); ++c)
      inner.Define(old.body.params[c + 2], entry.stacks[c] ? row(entry.stacks[c]) : loop.carried[c]);
    inner.Forward(old.body);
    for (size_t k = 0; k < carried.size(); ++k)
      inner.Seed(old.body.results[carried[k] + 1], body.params[k + 2]);
    for (size_t s = old.carried.size(); s < cotangents.size(); ++s) {
      if (cotangents[s]) inner.Seed(old.body.results[s + 1], row(cotangents[s]));
    }
    inner.Backward();
    body.results = {go};
    for (size_t c : carried) body.results.push_back(inner.CotangentOrZeros(old.body.params[c + 2]));
    for (size_t i = 0; i < free.size(); ++i) {
      const Value &sum = body.params[carried.size() + i + 2], more = inner.Cotangent(free[i]);
      body.results.push_back(more ? inner.Call("Add", {sum, more}) : sum);
    }
    body.bindings = builder.Finish({}).bindings;
    const std::vector<Type> types = TypesOf(initial);
    const std::vector<Value> sums = builder_.Bind(
        MakeGraphLoop(loop.trip_count, Value(), std::move(initial), std::move(body)), types, origin_);
    for (size_t k = 0; k < carried.size(); ++k) Seed(old.carried[carried[k]], sums[k]);
    for (size_t i = 0; i < free.size(); ++i) Seed(free[i], sums[carried.size() + i]);
  }

  const Plan& plan_;
  GraphBuilder& builder_;
  const BlockReverser* outer_;
  std::string origin_;  ///< of the node whose gradient is being built
  Values values_, cotangents_;
  std::vector<Entry> tape_;
};

// ---- Names

std::string Names(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& n : names) text += (text.empty() ? "'" : ", '") + n + "'";
  return text.empty() ? "none" : text;
}

Value FindLoss(const GraphFunction& f, const std::string& name) {
  const auto it = std::find(f->result_names.begin(), f->result_names.end(), name);
  if (it == f->result_names.end()) {
    throw Error("TW2204", fmt::format("the model has no output '{}'", name), "",
                {"outputs: " + Names(f->result_names)});
  }
  const Value loss = f->body.results[size_t(it - f->result_names.begin())];
  const TensorType* t = loss->type.tensor();
  if (!t || !t->dtype.is_float() || !IsInt(t->NumElements(), 1)) {
    throw Error("TW2205", fmt::format("output '{}' is not one floating-point number", name), "",
                {"found " + loss->type.ToString(), "a loss is a mean or sum over what it compares"});
  }
  return loss;
}

Value FindParameter(const GraphFunction& f, const std::string& name) {
  for (const Value& p : f->params) {
    if (NameOf(p) != name) continue;
    const TensorType* t = p->type.tensor();
    if (t && t->dtype.is_float()) return p;
    throw Error("TW2205",
                fmt::format("there is no derivative by '{}', which is not a tensor of floats", name), "",
                {"found " + p->type.ToString()});
  }
  std::vector<std::string> names;
  for (const Value& p : f->params) names.push_back(NameOf(p));
  throw Error("TW2204", fmt::format("the model has no input or weight '{}'", name), "",
              {"inputs and weights: " + Names(names)});
}

}  // namespace

IRModule Differentiate(const IRModule& module, const DifferentiateOptions& options) {
  return OnMain(module, [&](const GraphFunction& f) {
    const Value loss = FindLoss(f, options.loss);
    std::vector<Value> parameters;
    for (const std::string& name : options.parameters) parameters.push_back(FindParameter(f, name));
    const Plan plan(f, parameters, loss);
    if (!plan.obstacles.empty()) {
      std::vector<std::string> notes = plan.obstacles;
      notes.push_back("differentiate by parameters that do not go through them, or replace them");
      throw Error("TW2206",
                  fmt::format("{} nodes between the parameters and '{}' have no gradient",
                              plan.obstacles.size(), options.loss),
                  "", notes);
    }
    GraphBuilder builder;
    BlockReverser main(plan, builder, nullptr);
    main.Forward(f->body);
    main.Seed(loss, main.Full(loss.tensor(), 1));
    main.Backward();
    GraphFunctionNode copy = *f;
    std::vector<Value> results = f->body.results;
    for (size_t i = 0; i < parameters.size(); ++i) {
      // Results are values of their own, also where two derivatives are the same value.
      results.push_back(main.Call("Identity", {main.CotangentOrZeros(parameters[i])}));
      copy.result_names.push_back("gradient:" + options.parameters[i]);
    }
    copy.body = builder.Finish(std::move(results));
    return GraphFunction(std::move(copy));
  });
}

IRModule AddDescentStep(const IRModule& module, const DifferentiateOptions& options,
                        const std::string& rate) {
  return OnMain(module, [&](const GraphFunction& f) {
    const size_t count = options.parameters.size(), first = f->body.results.size() - count;
    GraphFunctionNode copy = *f;
    GraphBuilder builder;
    for (const Binding& b : f->body.bindings) builder.Append(b);
    std::vector<Value> results = f->body.results;
    std::vector<std::string> donated;
    auto call = [&](const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
      return builder.Call1(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs));
    };
    for (size_t i = 0; i < count; ++i) {
      const Value parameter = FindParameter(f, options.parameters[i]);
      const DataType t = parameter.tensor().dtype;
      if (i == 0) copy.params.emplace_back(rate, Type(PlainTensor(t, {})), rate);
      Value factor = copy.params.back();
      if (factor.tensor().dtype != t) factor = call("Cast", {factor}, {{"to", t}});
      results[first + i] = call("Sub", {parameter, call("Mul", {factor, results[first + i]})});
      copy.result_names[first + i] = "next:" + options.parameters[i];
      donated.insert(donated.end(), {options.parameters[i], copy.result_names[first + i]});
    }
    copy.body = builder.Finish(std::move(results));
    copy.attrs["donate"] = donated;
    return GraphFunction(std::move(copy));
  });
}

}  // namespace tilewright
