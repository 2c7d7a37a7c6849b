// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/trace.h"

#include "tilewright/ir/printer.h"
#include "tilewright/schedule/schedule.h"
#include "tilewright/schedule/trace_text.h"

namespace tilewright {

namespace {

/// What the names of a trace stand for during replay.
class Environment {
 public:
  Environment(Schedule& schedule, const TraceStep& step) : s_(schedule), step_(&step) {}
  void Enter(const TraceStep& step) { step_ = &step; }
  Schedule& schedule() { return s_; }
  const TraceStep& step() const { return *step_; }

  BlockRef Block(size_t i) const { return Get<BlockRef>(i, "block"); }
  LoopRef Loop(size_t i) const { return Get<LoopRef>(i, "loop"); }
  bool IsLoop(size_t i) const { return std::holds_alternative<LoopRef>(Input(i)); }
  std::vector<LoopRef> Loops() const {
    std::vector<LoopRef> loops;
    for (size_t i = 0; i < step_->inputs.size(); ++i) loops.push_back(Loop(i));
    return loops;
  }

  template <class T>
  const T& Attribute(size_t i) const {
    if (i < step_->attributes.size()) {
      if (auto* value = std::get_if<T>(&step_->attributes[i])) return *value;
    }
    Fail(fmt::format("attribute {} is missing or of another type", i));
  }
  const AttrValue& AnyAttribute(size_t i) const {
    if (i >= step_->attributes.size()) Fail(fmt::format("attribute {} is missing", i));
    return step_->attributes[i];
  }
  std::vector<Expr> Expressions(size_t i) const {
    std::vector<Expr> list = Attribute<std::vector<Expr>>(i);
    for (Expr& e : list) {
      if (e) e = Resolve(e);
    }
    return list;
  }
  Buffer BufferNamed(size_t i) const {
    const std::string& name = Attribute<std::string>(i);
    for (const Buffer& b : s_.Buffers()) {
      if (b.name() == name) return b;
    }
    Fail(fmt::format("the function has no buffer '{}'", name));
  }

  void Define(const BlockRef& block) { DefineAll(std::vector<BlockRef>{block}); }
  void Define(const LoopRef& loop) { DefineAll(std::vector<LoopRef>{loop}); }
  template <class Ref>
  void DefineAll(const std::vector<Ref>& refs) {
    if (refs.size() != step_->outputs.size()) {
      Fail(fmt::format("it yields {} results, the trace names {}", refs.size(), step_->outputs.size()));
    }
    for (size_t i = 0; i < refs.size(); ++i) names_.insert_or_assign(step_->outputs[i], refs[i]);
  }

  [[noreturn]] void Fail(const std::string& why, std::vector<std::string> notes = {}) const {
    throw Error("TW1402", fmt::format("the trace does not apply: {}", why),
                s_.func().name() + ", step: " + ToString(*step_), std::move(notes));
  }

 private:
  const std::variant<BlockRef, LoopRef>& Input(size_t i) const {
    if (i >= step_->inputs.size()) Fail(fmt::format("input {} is missing", i));
    auto it = names_.find(step_->inputs[i]);
    if (it == names_.end()) Fail(fmt::format("no step before defines '{}'", step_->inputs[i]));
    return it->second;
  }
  template <class Ref>
  Ref Get(size_t i, const char* kind) const {
    if (auto* ref = std::get_if<Ref>(&Input(i))) return *ref;
    Fail(fmt::format("'{}' is not a {}", step_->inputs[i], kind));
  }
  /// Symbolic dimensions of another function of the same text are other variables.
  Expr Resolve(const Expr& e) const {
    VarMap map;
    for (const Var& v : FreeVars(e)) {
      for (const Var& dim : s_.func()->dims) {
        if (dim.name() == v.name()) map[v] = dim;
      }
    }
    return Substitute(e, map);
  }

  Schedule& s_;
  const TraceStep* step_;
  std::unordered_map<std::string, std::variant<BlockRef, LoopRef>> names_;
};

struct Applier {
  std::string_view primitive;
  void (*apply)(Environment&);
};

// One row per primitive: how a step is applied.
const Applier kAppliers[] = {
    {"get_block", [](Environment& e) { e.Define(e.schedule().GetBlock(e.Attribute<std::string>(0))); }},
    {"get_loops", [](Environment& e) { e.DefineAll(e.schedule().GetLoops(e.Block(0))); }},
    {"split", [](Environment& e) { e.DefineAll(e.schedule().Split(e.Loop(0), e.Expressions(0))); }},
    {"split_near_equal",
     [](Environment& e) { e.DefineAll(e.schedule().SplitNearEqual(e.Loop(0), e.Attribute<int64_t>(0))); }},
    {"fuse", [](Environment& e) { e.Define(e.schedule().Fuse(e.Loops())); }},
    {"reorder", [](Environment& e) { e.schedule().Reorder(e.Loops()); }},
    {"loop_partition",
     [](Environment& e) { e.DefineAll(e.schedule().LoopPartition(e.Loop(0), e.Expressions(0))); }},
    {"pad_axis",
     [](Environment& e) { e.schedule().PadAxis(e.Block(0), e.Loop(1), e.Attribute<int64_t>(0)); }},
    {"parallel", [](Environment& e) { e.schedule().Parallel(e.Loop(0)); }},
    {"vectorize", [](Environment& e) { e.schedule().Vectorize(e.Loop(0)); }},
    {"unroll", [](Environment& e) { e.schedule().Unroll(e.Loop(0)); }},
    {"bind", [](Environment& e) { e.schedule().Bind(e.Loop(0), e.Attribute<std::string>(0)); }},
    {"compute_at", [](Environment& e) { e.schedule().ComputeAt(e.Block(0), e.Loop(1)); }},
    {"reverse_compute_at", [](Environment& e) { e.schedule().ReverseComputeAt(e.Block(0), e.Loop(1)); }},
    {"compute_inline", [](Environment& e) { e.schedule().ComputeInline(e.Block(0)); }},
    {"reverse_compute_inline", [](Environment& e) { e.schedule().ReverseComputeInline(e.Block(0)); }},
    {"cache_read",
     [](Environment& e) {
       e.Define(e.schedule().CacheRead(e.Block(0), e.BufferNamed(0), e.Attribute<std::string>(1)));
     }},
    {"cache_write",
     [](Environment& e) {
       e.Define(e.schedule().CacheWrite(e.Block(0), e.BufferNamed(0), e.Attribute<std::string>(1)));
     }},
    {"set_scope",
     [](Environment& e) {
       e.schedule().SetScope(e.Block(0), int(e.Attribute<int64_t>(0)), e.Attribute<std::string>(1));
     }},
    {"transform_layout",
     [](Environment& e) {
       std::vector<Var> old;
       for (const Expr& v : e.Attribute<std::vector<Expr>>(1)) {
         auto* var = v.As<VarNode>();
         if (!var) e.Fail("the old indices are not variables");
         old.push_back(Var(var));
       }
       e.schedule().TransformLayout(e.BufferNamed(0), old, e.Expressions(2), e.Attribute<bool>(3));
     }},
    {"move_to_prepare", [](Environment& e) { e.schedule().MoveToPrepare(e.Block(0)); }},
    {"prefetch_spread",
     [](Environment& e) {
       e.schedule().PrefetchSpread(e.Block(0), e.BufferNamed(0), e.Loop(1), e.Loop(2),
                                   int(e.Attribute<int64_t>(1)));
     }},
    {"prefetch",
     [](Environment& e) {
       e.schedule().Prefetch(e.Block(0), e.BufferNamed(0), e.Loop(1), e.Attribute<int64_t>(1),
                             int(e.Attribute<int64_t>(2)));
     }},
    {"decompose_reduction",
     [](Environment& e) { e.Define(e.schedule().DecomposeReduction(e.Block(0), e.Loop(1))); }},
    {"rfactor", [](Environment& e) { e.Define(e.schedule().RFactor(e.Block(0), e.Loop(1))); }},
    {"decompose_padding",
     [](Environment& e) { e.Define(e.schedule().DecomposePadding(e.Block(0), e.Loop(1))); }},
    {"blockize", [](Environment& e) { e.Define(e.schedule().Blockize(e.Loop(0))); }},
    {"tensorize", [](Environment& e) { e.schedule().Tensorize(e.Loop(0), e.Attribute<std::string>(0)); }},
    {"annotate",
     [](Environment& e) {
       const std::string& key = e.Attribute<std::string>(0);
       if (e.IsLoop(0)) {
         e.schedule().Annotate(e.Loop(0), key, e.AnyAttribute(1));
       } else {
         e.schedule().Annotate(e.Block(0), key, e.AnyAttribute(1));
       }
     }},
};

}  // namespace

std::string Trace::ToString() const {
  std::string text;
  for (const TraceStep& step : steps) text += tilewright::ToString(step) + "\n";
  return text;
}

Trace Trace::Parse(const std::string& text) { return ParseTrace(text); }

void Trace::Replay(Schedule& schedule) const {
  if (steps.empty()) return;
  Environment env(schedule, steps.front());
  for (const TraceStep& step : steps) {
    env.Enter(step);
    const auto* row = std::find_if(std::begin(kAppliers), std::end(kAppliers),
                                   [&](const Applier& a) { return a.primitive == step.primitive; });
    if (row == std::end(kAppliers)) env.Fail(fmt::format("there is no primitive '{}'", step.primitive));
    try {
      row->apply(env);
    } catch (const Error& error) {
      if (error.id() == "TW1402") throw;
      env.Fail("a primitive is not legal here", {error.what()});
    }
  }
}

}  // namespace tilewright
