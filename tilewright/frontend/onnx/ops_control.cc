// SPDX-License-Identifier: Apache-2.0
// Control flow: decided when the model is imported where that can be, else If and Loop of the graph.
#include "tilewright/frontend/onnx/loops.h"

namespace tilewright::onnx {
namespace {

EntryRef ValueEntry(Value value, std::shared_ptr<const std::set<std::string>> depends = nullptr) {
  auto entry = std::make_shared<Entry>();
  entry->value = std::move(value);
  entry->depends = std::move(depends);
  return entry;
}

EntryRef KnownEntry(Known known) {
  auto entry = std::make_shared<Entry>();
  entry->known = std::move(known);
  return entry;
}

/// Inputs of the model on which the first `count` arguments of the node depend.
std::shared_ptr<const std::set<std::string>> Dependences(const NodeContext& ctx, size_t count = SIZE_MAX) {
  auto all = std::make_shared<std::set<std::string>>();
  for (size_t i = 0; i < std::min(count, ctx.size()); ++i) {
    if (ctx.Has(i) && ctx.Input(i).depends)
      all->insert(ctx.Input(i).depends->begin(), ctx.Input(i).depends->end());
  }
  return all;
}

/// What depends on something of unknown type has no type itself.
void PoisonOutputs(NodeContext& ctx) {
  for (size_t i = 0; i < ctx.outputs().size(); ++i) {
    auto entry = std::make_shared<Entry>();
    entry->poisoned = true;
    ctx.SetEntry(i, entry);
  }
}

bool AnyPoisoned(const std::vector<EntryRef>& entries) {
  return std::any_of(entries.begin(), entries.end(), [](const EntryRef& e) { return e->poisoned; });
}

/// The only element of a known argument.
std::optional<Expr> KnownScalar(const NodeContext& ctx, size_t i) {
  auto known = ctx.KnownInput(i);
  if (!known || known->elements.size() != 1) return std::nullopt;
  return known->elements[0];
}

/// An argument of one element as a tensor of rank 0.
Value ScalarArg(NodeContext& ctx, size_t i, DataType type, const char* what) {
  Value v = ctx.Arg(i);
  if (v.tensor().dtype != type)
    ctx.Fail("TW2016", fmt::format("{} is {}, expected {}", what, v->type.ToString(), type.ToString()));
  if (!IsInt(v.tensor().NumElements(), 1))
    ctx.Fail("TW2017", fmt::format("{} is {}, expected one element", what, v->type.ToString()));
  return ctx.Reshape(v, {});
}

// ---- If

/// A branch as a block.
struct Branch {
  GraphBuilder builder;
  std::vector<EntryRef> entries;
  std::vector<Value> results;
  bool poisoned = false;
};

Branch ConvertBranch(NodeContext& ctx, const char* name) {
  Branch branch;
  ctx.importer().BuildIn(branch.builder, [&] {
    branch.entries = ctx.importer().Inline(ctx.Graph(name), ctx.scope(), {});
    branch.poisoned = AnyPoisoned(branch.entries);
    if (branch.poisoned) return;
    for (const EntryRef& e : branch.entries) branch.results.push_back(ctx.importer().Materialise(*e));
  });
  return branch;
}

/// The branch that a known condition takes stands in the node's place.
void TakeBranch(NodeContext& ctx, bool condition) {
  const GraphProto &yes = ctx.Graph("then_branch"), &no = ctx.Graph("else_branch");
  std::vector<EntryRef> results = ctx.importer().Inline(condition ? yes : no, ctx.scope(), {});
  for (size_t i = 0; i < ctx.outputs().size(); ++i) ctx.SetEntry(i, results[i]);
}

/// Both branches as blocks of the graph. Where that cannot be, since one of them does not fit the shapes or
/// they differ in theirs, the condition has to be known.
void ChooseAtRunTime(NodeContext& ctx) {
  const size_t count = ctx.outputs().size();
  Branch yes, no;
  try {
    yes = ConvertBranch(ctx, "then_branch");
    no = ConvertBranch(ctx, "else_branch");
  } catch (const NeedsBoundInputs&) {
    throw;
  } catch (const Error& e) {
    const Diagnostic& d = e.diagnostics().front();
    if (ctx.Input(0).depends && !ctx.Input(0).depends->empty()) {
      ctx.RequireKnown(0, fmt::format("the condition of If, of whose branches one cannot be taken ({}: {}),",
                                      d.where, d.message));
    }
    throw;
  }
  if (yes.poisoned || no.poisoned) return PoisonOutputs(ctx);
  std::vector<Type> types;
  for (size_t i = 0; i < count; ++i) {
    const Type &a = yes.results[i]->type, &b = no.results[i]->type;
    if (!StructuralEqual(a, b)) {
      ctx.RequireKnown(
          0, fmt::format("the condition of If, whose result {} is {} or {},", i, a.ToString(), b.ToString()));
    }
    types.push_back(a);
  }
  yes.results.resize(count);
  no.results.resize(count);
  Value condition = ScalarArg(ctx, 0, kBool, "the condition of If");
  std::vector<Value> results = ctx.importer().builder().Bind(
      MakeGraphIf(std::move(condition), yes.builder.Finish(std::move(yes.results)),
                  no.builder.Finish(std::move(no.results))),
      std::move(types), ctx.Origin());
  for (size_t i = 0; i < count; ++i) ctx.Set(i, results[i]);
}

void If(NodeContext& ctx) {
  for (const char* name : {"then_branch", "else_branch"}) {
    if (const int results = ctx.Graph(name).output_size(); results != ctx.node().output_size()) {
      ctx.Fail("TW2017", fmt::format("attribute '{}' has {} results, expected {}", name, results,
                                     ctx.node().output_size()));
    }
  }
  if (auto known = ctx.KnownInput(0)) {
    if (known->elements.size() != 1)
      ctx.Fail("TW2017", fmt::format("the condition has {} elements", known->elements.size()));
    if (auto value = AsInt(known->elements[0])) return TakeBranch(ctx, *value != 0);
  }
  ChooseAtRunTime(ctx);
}

// ---- Loop

class LoopConverter {
 public:
  explicit LoopConverter(NodeContext& ctx)
      : ctx_(ctx), body_(ctx.Graph("body")), carried_(ctx.size() < 2 ? 0 : ctx.size() - 2) {}

  void Run() {
    CheckCounts();
    if (ctx_.Has(0)) trips_ = KnownScalar(ctx_, 0);
    std::optional<Expr> first = ctx_.Has(1) ? KnownScalar(ctx_, 1) : std::optional(Expr(1));
    if (first && IsInt(*first, 0)) trips_ = Expr(0);
    starts_ = first && AsInt(*first).has_value();
    auto count = trips_ ? AsInt(*trips_) : std::nullopt;
    if (count && *count < 0) trips_ = Expr(0);

    // A few copies of the body cost no more than a loop.
    constexpr int64_t kCheapNodes = 128;
    const int64_t rounds = count.value_or(INT64_MAX), nodes = std::max(body_.node_size(), 1);
    const bool few = rounds > 0 && rounds <= kCheapNodes / nodes;
    if (few && starts_ && Unroll(rounds)) return;
    try {
      MakeLoop();
    } catch (const NeedsBoundInputs&) {
      throw;
    } catch (const Error&) {
      // Shapes that follow from a round's number, and conditions, may be known round by round.
      if (!starts_ || (trips_ && !count) || ctx_.importer().Exhausted() || !Unroll(rounds)) throw;
    }
  }

 private:
  void CheckCounts() const {
    if (size_t(body_.input_size()) != carried_ + 2) {
      ctx_.Fail("TW2017", fmt::format("the body has {} inputs, expected {}: the iteration, the condition and "
                                      "each of the {} values carried",
                                      body_.input_size(), carried_ + 2, carried_));
    }
    const size_t outputs = std::max(ctx_.outputs().size(), carried_);
    if (size_t(body_.output_size()) < outputs + 1) {
      ctx_.Fail("TW2017", fmt::format("the body has {} results, expected {}: the condition and what the node "
                                      "gives",
                                      body_.output_size(), outputs + 1));
    }
  }

  /// Bodies may declare the iteration and the condition as vectors of one element.
  std::vector<int64_t> ScalarShape(int input) const {
    const auto& declared = body_.input(input).type();
    const bool vector = declared.has_tensor_type() && declared.tensor_type().has_shape() &&
                        declared.tensor_type().shape().dim_size() == 1;
    return vector ? std::vector<int64_t>{1} : std::vector<int64_t>{};
  }

  EntryRef True() const { return KnownEntry({kBool, ScalarShape(1), {Expr(1)}}); }

  /// Round after round, as long as each condition is known. False: it cannot be done.
  bool Unroll(int64_t trips) {
    GraphBuilder apart;
    std::vector<EntryRef> carried;
    std::vector<std::vector<Value>> scanned(size_t(body_.output_size()) - 1 - carried_);
    constexpr int64_t kMostRounds = 1024, kMostNodes = 100'000;
    const int64_t most = std::min(kMostRounds, kMostNodes / std::max(body_.node_size(), 1));
    if (trips == 0 || (trips > most && trips != INT64_MAX)) return false;
    bool poisoned = false, decided = true;
    ctx_.importer().BuildIn(apart, [&] {
      for (size_t c = 0; c < carried_; ++c) carried.push_back(Initial(c));
      for (int64_t i = 0; i < trips; ++i) {
        decided = i < most;
        if (!decided) return;
        std::vector<EntryRef> inputs = {KnownEntry({kI64, ScalarShape(0), {Expr(i)}}), True()};
        inputs.insert(inputs.end(), carried.begin(), carried.end());
        std::vector<EntryRef> out = ctx_.importer().Inline(body_, ctx_.scope(), inputs);
        poisoned = AnyPoisoned(out);
        if (poisoned) return;
        auto condition = out[0]->known  ? out[0]->known
                         : out[0]->data ? Known::FromArray(out[0]->data)
                                        : std::nullopt;
        decided = condition && condition->elements.size() == 1 && AsInt(condition->elements[0]);
        if (!decided) return;
        for (size_t c = 0; c < carried_; ++c) carried[c] = out[c + 1];
        for (size_t s = 0; s < scanned.size(); ++s) {
          if (ctx_.Wants(carried_ + s))
            scanned[s].push_back(ctx_.importer().Materialise(*out[1 + carried_ + s]));
        }
        if (!*AsInt(condition->elements[0])) return;
      }
    });
    if (poisoned) {
      PoisonOutputs(ctx_);
      return true;
    }
    if (!decided) return false;
    for (const Binding& b : apart.block().bindings) ctx_.importer().builder().Append(b);
    for (size_t c = 0; c < carried_; ++c) ctx_.SetEntry(c, carried[c]);
    for (size_t s = 0; s < scanned.size(); ++s) {
      if (!scanned[s].empty()) ctx_.Set(carried_ + s, StackRows(ctx_, scanned[s]));
    }
    return true;
  }

  /// What the loop starts with, as an entry of its own: its name here is the body's.
  EntryRef Initial(size_t c) {
    auto known = ctx_.KnownInput(c + 2);
    return known ? KnownEntry(*known) : ValueEntry(ctx_.Arg(c + 2), ctx_.Input(c + 2).depends);
  }

  void MakeLoop() {
    auto depends = Dependences(ctx_);
    const TensorType index{kI64, {}, {}, "", "global"}, flag{kBool, {}, {}, "", "global"};
    std::vector<Value> params = {Value("iteration", Type(index)), Value("condition", Type(flag))}, initial;
    for (size_t c = 0; c < carried_; ++c) {
      initial.push_back(ctx_.Arg(c + 2));
      params.push_back(Value("carried", initial.back()->type, body_.input(int(c) + 2).name()));
    }
    GraphBuilder builder;
    std::vector<EntryRef> out;
    std::vector<Value> results;
    ctx_.importer().BuildIn(builder, [&] {
      Value iteration = ctx_.Reshape(params[0], ToExprs(ScalarShape(0)));
      // An iteration runs only where its condition holds, so that it is known inside.
      // Were the number of iterations known, each could be a copy of the body in which its number is.
      std::vector<EntryRef> inputs = {ValueEntry(iteration, Dependences(ctx_, 2)), True()};
      for (size_t c = 0; c < carried_; ++c) inputs.push_back(ValueEntry(params[c + 2], depends));
      out = ctx_.importer().Inline(body_, ctx_.scope(), inputs);
      if (!AnyPoisoned(out)) results = BodyResults(out, params[1]);
    });
    if (AnyPoisoned(out)) return PoisonOutputs(ctx_);
    const bool counted = results[0] == params[1];
    CheckTypes(initial, results, counted);
    GraphBlock block = builder.Finish(results);
    block.params = params;
    Value trips = trips_        ? IndexValue(ctx_, *trips_)
                  : ctx_.Has(0) ? ScalarArg(ctx_, 0, kI64, "the trip count")
                                : Value();
    Value condition = starts_ ? Value() : ScalarArg(ctx_, 1, kBool, "the condition of Loop");
    std::vector<Value> bound = ctx_.importer().builder().Bind(
        MakeGraphLoop(trips, condition, initial, std::move(block)), types_, ctx_.Origin());
    for (size_t i = 0; i < bound.size(); ++i) ctx_.Set(outputs_[i], bound[i]);
  }

  /// The condition (the parameter itself where it always holds), what is carried, and what is wanted of the
  /// rest.
  std::vector<Value> BodyResults(const std::vector<EntryRef>& out, const Value& condition) {
    auto known = out[0]->known;
    if (!known && out[0]->data) known = Known::FromArray(out[0]->data);
    const bool holds = known && known->elements.size() == 1 && AsInt(known->elements[0]).value_or(0) != 0;
    std::vector<Value> results = {holds ? condition : ctx_.Reshape(ctx_.importer().Materialise(*out[0]), {})};
    if (!results[0].tensor().dtype.is_bool())
      ctx_.Fail("TW2016", fmt::format("the body's condition is {}", results[0]->type.ToString()));
    for (size_t c = 0; c < carried_; ++c) {
      results.push_back(ctx_.importer().Materialise(*out[c + 1]));
      outputs_.push_back(c);
    }
    for (size_t s = carried_; s + 1 < out.size(); ++s) {
      if (!ctx_.Wants(s)) continue;
      results.push_back(ctx_.importer().Materialise(*out[s + 1]));
      outputs_.push_back(s);
    }
    return results;
  }

  /// The types of what the loop gives; how often it runs decides the shape of what is stacked.
  void CheckTypes(const std::vector<Value>& initial, const std::vector<Value>& results, bool counted) {
    for (size_t c = 0; c < carried_; ++c) {
      CheckCarried(ctx_, c, initial[c].tensor(), results[c + 1].tensor());
      types_.push_back(initial[c]->type);
    }
    for (size_t s = carried_ + 1; s < results.size(); ++s) {
      if (!starts_) {
        ctx_.RequireKnown(1, "the condition of Loop, which decides how many results are stacked,");
      }
      if (!counted && !(trips_ && IsInt(*trips_, 0))) {
        ctx_.Unsupported("a loop that stacks results and ends by a condition computed in its body");
      }
      if (!trips_)
        ctx_.RequireKnown(0, "the trip count of Loop, which decides how many results are stacked,");
      TensorType type = results[s].tensor();
      type.shape.insert(type.shape.begin(), *trips_);
      types_.push_back(Type(std::move(type)));
    }
  }

  NodeContext& ctx_;
  const GraphProto& body_;
  size_t carried_;
  std::optional<Expr> trips_;    ///< where it is known; not negative
  bool starts_ = false;          ///< the first condition is known; where it does not hold, trips_ is 0
  std::vector<size_t> outputs_;  ///< of the node, per result of the loop
  std::vector<Type> types_;
};

void Loop(NodeContext& ctx) { LoopConverter(ctx).Run(); }

// ---- Scan, from operator set 9 on: a loop over an axis of its arguments.

class ScanConverter {
 public:
  explicit ScanConverter(NodeContext& ctx)
      : ctx_(ctx),
        body_(ctx.Graph("body")),
        inputs_(size_t(std::max<int64_t>(ctx.Int("num_scan_inputs"), 0))) {}

  void Run() {
    if (inputs_ < 1 || inputs_ > ctx_.size())
      ctx_.Fail("TW2015", fmt::format("num_scan_inputs is {} of {} arguments", inputs_, ctx_.size()));
    if (size_t(body_.input_size()) != ctx_.size() || size_t(body_.output_size()) < ctx_.outputs().size() ||
        body_.output_size() < int(ctx_.size() - inputs_)) {
      ctx_.Fail("TW2017",
                fmt::format("a body of {} inputs and {} results does not fit {} arguments, {} of them "
                            "scanned",
                            body_.input_size(), body_.output_size(), ctx_.size(), inputs_));
    }
    states_ = ctx_.size() - inputs_;
    const size_t stacked = size_t(body_.output_size()) - states_;
    CheckList("scan_input_axes", inputs_);
    CheckList("scan_output_axes", stacked);
    CheckDirections("scan_input_directions", inputs_);
    CheckDirections("scan_output_directions", stacked);
    std::vector<Value> initial, sequences;
    for (size_t i = 0; i < states_; ++i) initial.push_back(ctx_.Arg(i));
    for (size_t i = 0; i < inputs_; ++i) sequences.push_back(Sequence(i));
    const Expr steps = sequences[0].tensor().shape[0];
    for (const Value& x : sequences) CheckSteps(steps, x.tensor().shape[0]);
    bool poisoned = false;
    std::vector<Value> results =
        RepeatSteps(ctx_, steps, initial, [&](const LoopStep& step, const std::vector<Value>& carried) {
          return Step(step, carried, sequences, poisoned);
        });
    if (poisoned) return PoisonOutputs(ctx_);
    for (size_t i = 0; i < ctx_.outputs().size(); ++i)
      ctx_.Set(i, i < states_ ? results[i] : Stacked(i - states_, results[i]));
  }

 private:
  void CheckSteps(const Expr& a, const Expr& b) const {
    if (StructuralEqual(a, b)) return;
    if (AsInt(a) && AsInt(b))
      ctx_.Fail("TW2017", fmt::format("scanned arguments have {} and {} elements", *AsInt(a), *AsInt(b)));
    ctx_.Unsupported(
        fmt::format("Scan over a symbolic number of rounds, {} beside {},", ToString(a), ToString(b)));
  }

  /// TW2015 unless the attribute is left out or has an entry for each of `count`.
  std::vector<int64_t> CheckList(const char* attribute, size_t count) const {
    std::vector<int64_t> list = ctx_.Ints(attribute, std::vector<int64_t>{});
    if (!list.empty()) RequireEntries(ctx_, list, count, attribute);
    return list;
  }

  void CheckDirections(const char* attribute, size_t count) const {
    for (int64_t v : CheckList(attribute, count)) {
      if (v != 0 && v != 1)
        ctx_.Fail("TW2015", fmt::format("{} has an entry of {}, expected 0 or 1", attribute, v));
    }
  }

  int64_t Listed(const char* attribute, size_t i) const {
    std::vector<int64_t> list = ctx_.Ints(attribute, std::vector<int64_t>{});
    return i < list.size() ? list[i] : 0;
  }

  /// A scanned argument with its scanned axis in front.
  Value Sequence(size_t i) {
    Value x = ctx_.Arg(states_ + i);
    const int64_t rank = x.tensor().rank();
    return Moved(x, AxisFromFront(ctx_, Listed("scan_input_axes", i), rank), 0);
  }

  Value Moved(const Value& x, int64_t from, int64_t to) {
    if (from == to) return x;
    std::vector<int64_t> perm;
    for (int64_t d = 0; d < x.tensor().rank(); ++d) {
      if (d != from) perm.push_back(d);
    }
    perm.insert(perm.begin() + to, from);
    return ctx_.Call("Transpose", {x}, {{"perm", perm}});
  }

  std::vector<Value> Step(const LoopStep& step, const std::vector<Value>& carried,
                          const std::vector<Value>& sequences, bool& poisoned) {
    std::vector<EntryRef> inputs;
    auto depends = Dependences(ctx_);
    for (const Value& v : carried) inputs.push_back(ValueEntry(v, depends));
    for (size_t i = 0; i < inputs_; ++i) {
      const bool backwards = Listed("scan_input_directions", i) != 0;
      inputs.push_back(ValueEntry(RowOf(ctx_, sequences[i], step, backwards), depends));
    }
    std::vector<EntryRef> out = ctx_.importer().Inline(body_, ctx_.scope(), inputs);
    poisoned |= AnyPoisoned(out);
    std::vector<Value> results;
    if (poisoned) return carried;
    for (const EntryRef& e : out) results.push_back(ctx_.importer().Materialise(*e));
    return results;
  }

  Value Stacked(size_t i, Value y) {
    if (Listed("scan_output_directions", i) != 0) y = ReverseRows(ctx_, y);
    return Moved(y, 0, AxisFromFront(ctx_, Listed("scan_output_axes", i), y.tensor().rank()));
  }

  NodeContext& ctx_;
  const GraphProto& body_;
  size_t inputs_, states_ = 0;
};

void Scan(NodeContext& ctx) {
  ctx.Ignore({"scan_input_axes", "scan_input_directions", "scan_output_axes", "scan_output_directions"});
  ScanConverter(ctx).Run();
}

[[maybe_unused]] const bool kRegistered =
    RegisterRows({{"If", 1, 0, If}, {"Loop", 1, 0, Loop}, {"Scan", 9, 0, Scan}});

}  // namespace
}  // namespace tilewright::onnx
