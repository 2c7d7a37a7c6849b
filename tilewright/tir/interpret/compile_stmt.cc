// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <numeric>

#include "tilewright/tir/interpret/code.h"

namespace tilewright::interpret {

int Compiler::Reserve(int count) { return std::exchange(num_slots_, num_slots_ + count); }

int Compiler::DeclareVar(const Var& var) { return slots_[var.get()] = Reserve(var.dtype().lanes); }

int Compiler::DeclareBuffer(const Buffer& buffer) { return buffers_[buffer.get()] = num_buffers_++; }

int Compiler::SlotOf(const Var& var) const {
  auto it = slots_.find(var.get());
  if (it == slots_.end()) throw Problem{"TW1604", fmt::format("variable {} has no value", var.name())};
  return it->second;
}

int Compiler::SlotOf(const Buffer& buffer) const {
  auto it = buffers_.find(buffer.get());
  if (it == buffers_.end()) {
    throw Problem{"TW1604", fmt::format("buffer {} is neither a parameter nor allocated", buffer.name())};
  }
  return it->second;
}

BufferCode::BufferCode(Compiler& c, const Buffer& b)
    : buffer(b),
      slot(c.DeclareBuffer(b)),
      shape(c.Compile(b->shape)),
      strides(c.Compile(b->strides)),
      offset(c.CompileOptional(b->offset)) {}

namespace {

std::vector<int64_t> EvalAll(Frame& f, const std::vector<CodePtr>& list) {
  std::vector<int64_t> out;
  for (const CodePtr& c : list) out.push_back(f.Decide(c->Eval(f), "the shape of a buffer"));
  return out;
}

int64_t OffsetOf(Frame& f, const CodePtr& offset) {
  const int64_t value = offset ? f.Decide(offset->Eval(f), "the offset of a buffer") : 0;
  if (value < 0) throw Problem{"TW1602", fmt::format("a buffer offset of {}", value)};
  return value;
}

}  // namespace

void BufferCode::Allocate(Frame& f) const {
  f.buffers[size_t(slot)].Allocate(buffer, EvalAll(f, shape), EvalAll(f, strides), OffsetOf(f, offset));
}

void BufferCode::Bind(Frame& f, char* data, int64_t elements, bool defined) const {
  f.buffers[size_t(slot)].Bind(buffer, EvalAll(f, shape), EvalAll(f, strides), OffsetOf(f, offset), data,
                               elements, defined);
}

namespace {

/// A statement that may fail on its own: it says where execution is.
struct PlacedAction : Action {
  Place place;
  PlacedAction(Compiler& c, const StmtNode& n) : place{Stmt(&n), c.place_vars()} {}
  void Enter(Frame& f) const { f.place = &place; }
};

void SetSlots(Frame& f, int slot, const Code& value) {
  LaneArray lanes(value.lanes());
  value.EvalLanes(f, lanes.data());
  std::copy_n(lanes.data(), value.lanes(), f.slots.begin() + slot);
}

struct StoreAction : PlacedAction {
  Access access;
  CodePtr value;
  StoreAction(Compiler& c, const StoreNode& n)
      : PlacedAction(c, n),
        access(c.CompileAccess(n.buffer, n.indices, n.predicate)),
        value(c.Compile(n.value)) {}

  void Write(Frame& f, int64_t at, Lane v) const {
    if (at < 0) return;
    BufferState& buffer = f.buffers[size_t(access.buffer)];
    if (buffer.is_param() && v.poison) {
      throw Problem{"TW1607",
                    fmt::format("the value stored to {} depends on an element that was never written",
                                buffer.node().buffer_name)};
    }
    if (f.watches()) f.NoteWrite(buffer, at);
    buffer.Write(at, v);
  }
  void Run(Frame& f) const override {
    Enter(f);
    if (access.scalar()) {
      const Lane v = value->Eval(f);
      return Write(f, access.Position(f), v);
    }
    LaneArray v(access.dtype.lanes);
    std::vector<int64_t> at(size_t(access.dtype.lanes));
    value->EvalLanes(f, v.data());
    access.Positions(f, at.data());
    for (int i = 0; i < access.dtype.lanes; ++i) Write(f, at[size_t(i)], v[i]);
  }
};

/// The order in which a loop's iterations run.
class IterationOrder {
 public:
  IterationOrder(Frame& f, bool independent, int64_t count) : count_(count) {
    order_ = independent ? f.options.independent_order : InterpretOptions::Order::kAscending;
    if (order_ != InterpretOptions::Order::kShuffled) return;
    shuffled_.resize(size_t(count));
    std::iota(shuffled_.begin(), shuffled_.end(), 0);
    std::shuffle(shuffled_.begin(), shuffled_.end(), f.random);
  }
  int64_t operator()(int64_t i) const {
    if (order_ == InterpretOptions::Order::kShuffled) return shuffled_[size_t(i)];
    return order_ == InterpretOptions::Order::kDescending ? count_ - 1 - i : i;
  }

 private:
  int64_t count_;
  InterpretOptions::Order order_;
  std::vector<int64_t> shuffled_;
};

struct ForAction : PlacedAction {
  int slot;
  CodePtr min, extent;
  bool independent;
  struct Carried {
    int var, next, result, lanes;
    CodePtr init;
  };
  std::vector<Carried> carried;
  ActionPtr body;
  const ForNode& node;

  ForAction(Compiler& c, const ForNode& n)
      : PlacedAction(c, n), min(c.Compile(n.min)), extent(c.Compile(n.extent)), node(n) {
    independent = n.for_kind == ForKind::kParallel || n.for_kind == ForKind::kVectorized ||
                  n.for_kind == ForKind::kThreadBound;
    slot = c.DeclareVar(n.var);
    std::vector<int> yields;
    for (const CarriedValue& v : n.carried) {
      const int lanes = v.var.dtype().lanes;
      CodePtr init = c.Compile(v.init);
      carried.push_back({c.DeclareVar(v.var), c.Reserve(lanes), 0, lanes, std::move(init)});
      yields.push_back(carried.back().next);
    }
    if (!yields.empty()) c.yields().push_back(yields);
    c.place_vars().push_back({n.var.name(), slot});
    body = c.Compile(n.body);
    c.place_vars().pop_back();
    if (!yields.empty()) c.yields().pop_back();
    for (size_t i = 0; i < carried.size(); ++i) carried[i].result = c.DeclareVar(n.carried[i].result);
  }

  static void Copy(Frame& f, int from, int to, int lanes) {
    std::copy_n(f.slots.begin() + from, lanes, f.slots.begin() + to);
  }

  void Run(Frame& f) const override {
    Enter(f);
    const int64_t lo = f.Decide(min->Eval(f), "the start of a loop");
    const int64_t count = f.Decide(extent->Eval(f), "the extent of a loop");
    for (const Carried& v : carried) SetSlots(f, v.var, *v.init);
    const bool watch = independent && f.options.detect_races && !f.race.active && count > 0;
    if (watch) {
      f.race = {true, f.race.next, f.race.next, f.race.next + uint64_t(count), node.var.name()};
    }
    const IterationOrder order(f, independent, std::max<int64_t>(0, count));
    for (int64_t i = 0; i < count; ++i) {
      const int64_t at = order(i);
      if (watch) f.race.now = f.race.first + uint64_t(at);
      if (++f.steps > f.options.max_steps) {
        throw Problem{"TW1609", fmt::format("more than {} iterations", f.options.max_steps)};
      }
      f.slots[size_t(slot)] = Lane::Int(lo + at);
      body->Run(f);
      for (const Carried& v : carried) Copy(f, v.next, v.var, v.lanes);
    }
    if (watch) f.race.active = false;
    for (const Carried& v : carried) Copy(f, v.var, v.result, v.lanes);
  }
};

struct BlockAction : PlacedAction {
  struct Iter {
    int slot;
    CodePtr min, extent, binding;
    bool is_reduce;
    std::string name;
  };
  std::vector<Iter> iters;
  CodePtr predicate;
  std::vector<BufferCode> allocs;
  ActionPtr init, body;
  std::string name;

  BlockAction(Compiler& c, const BlockNode& n) : PlacedAction(c, n), name(n.name) {
    for (size_t i = 0; i < n.iter_vars.size(); ++i) {
      const IterVar& iv = n.iter_vars[i];
      iters.push_back({0, c.Compile(iv.dom.min), c.Compile(iv.dom.extent), c.Compile(n.bindings[i]),
                       iv.kind == IterKind::kReduce, iv.var.name()});
    }
    predicate = c.CompileOptional(n.predicate);
    const size_t outside = c.place_vars().size();
    for (size_t i = 0; i < iters.size(); ++i) {
      iters[i].slot = c.DeclareVar(n.iter_vars[i].var);
      c.place_vars().push_back({iters[i].name, iters[i].slot});
    }
    for (const Buffer& b : n.allocs) allocs.emplace_back(c, b);
    if (n.init) init = c.Compile(n.init);
    body = c.Compile(n.body);
    c.place_vars().resize(outside);
  }

  void Run(Frame& f) const override {
    Enter(f);
    if (predicate && !f.Decide(predicate->Eval(f), "the predicate of a block")) return;
    bool first = true;
    for (const Iter& iter : iters) {
      const int64_t value = f.Decide(iter.binding->Eval(f), "the binding of a block");
      const int64_t lo = f.Decide(iter.min->Eval(f), "a domain"),
                    n = f.Decide(iter.extent->Eval(f), "a domain");
      if (value < lo || value - lo >= n) {
        throw Problem{"TW1606", fmt::format("block \"{}\": {} is bound to {}, outside its domain [{}, {})",
                                            name, iter.name, value, lo, lo + n)};
      }
      f.slots[size_t(iter.slot)] = Lane::Int(value);
      first &= !iter.is_reduce || value == lo;
    }
    for (const BufferCode& b : allocs) b.Allocate(f);
    if (init && first) init->Run(f);
    body->Run(f);
  }
};

struct SeqAction : Action {
  std::vector<ActionPtr> actions;
  void Run(Frame& f) const override {
    for (const ActionPtr& a : actions) a->Run(f);
  }
};

struct IfAction : PlacedAction {
  CodePtr condition;
  ActionPtr then_case, else_case;
  IfAction(Compiler& c, const IfNode& n) : PlacedAction(c, n), condition(c.Compile(n.condition)) {
    then_case = c.Compile(n.then_case);
    if (n.else_case) else_case = c.Compile(n.else_case);
  }
  void Run(Frame& f) const override {
    Enter(f);
    if (f.Decide(condition->Eval(f), "a condition")) {
      then_case->Run(f);
    } else if (else_case) {
      else_case->Run(f);
    }
  }
};

struct LetAction : PlacedAction {
  CodePtr value;
  int slot;
  LetAction(Compiler& c, const LetStmtNode& n)
      : PlacedAction(c, n), value(c.Compile(n.value)), slot(c.DeclareVar(n.var)) {}
  void Run(Frame& f) const override {
    Enter(f);
    SetSlots(f, slot, *value);
  }
};

struct AllocateAction : PlacedAction {
  BufferCode buffer;
  AllocateAction(Compiler& c, const AllocateNode& n) : PlacedAction(c, n), buffer(c, n.buffer) {}
  void Run(Frame& f) const override {
    Enter(f);
    buffer.Allocate(f);
  }
};

struct EvaluateAction : PlacedAction {
  CodePtr value;
  EvaluateAction(Compiler& c, const EvaluateNode& n) : PlacedAction(c, n), value(c.Compile(n.value)) {}
  void Run(Frame& f) const override {
    Enter(f);
    LaneArray lanes(value->lanes());
    value->EvalLanes(f, lanes.data());
  }
};

struct YieldAction : PlacedAction {
  std::vector<CodePtr> values;
  std::vector<int> to;
  YieldAction(Compiler& c, const YieldNode& n) : PlacedAction(c, n), values(c.Compile(n.values)) {
    if (c.yields().empty() || c.yields().back().size() != values.size()) {
      throw Problem{"TW1604", "a yield that does not match the values that its loop carries"};
    }
    to = c.yields().back();
  }
  void Run(Frame& f) const override {
    Enter(f);
    for (size_t i = 0; i < values.size(); ++i) SetSlots(f, to[i], *values[i]);
  }
};

ActionPtr CompileEvaluate(Compiler& c, const EvaluateNode& n) {
  if (auto* call = n.value.As<CallNode>()) {
    // A hint: it changes no value and may name an address beyond the buffer.
    if (call->op == Intrinsic::k_prefetch) return std::make_unique<SeqAction>();
    const IntrinsicInfo& info = GetIntrinsicInfo(call->op);
    if (!info.pure) throw Problem{"TW1605", fmt::format("{} cannot be interpreted", info.name)};
  }
  return std::make_unique<EvaluateAction>(c, n);
}

}  // namespace

ActionPtr Compiler::Compile(const Stmt& s) {
  auto seq = std::make_unique<SeqAction>();
  const Stmt* next = &s;
  // The scope of a let or allocation is the rest of the sequence: slots are not reused, so that it runs flat.
  while (true) {
    if (auto* let = next->As<LetStmtNode>()) {
      if (units_) CompileForUnit(*this, *next);  // refuses what reads memory
      seq->actions.push_back(std::make_unique<LetAction>(*this, *let));
      next = &let->body;
    } else if (auto* allocate = next->As<AllocateNode>()) {
      seq->actions.push_back(std::make_unique<AllocateAction>(*this, *allocate));
      next = &allocate->body;
    } else {
      break;
    }
  }
  if (units_) {
    if (ActionPtr issue = CompileForUnit(*this, *next)) {
      if (seq->actions.empty()) return issue;
      seq->actions.push_back(std::move(issue));
      return seq;
    }
  }
  ActionPtr last = Dispatch(
      *next, Overloaded{
                 [&](const StoreNode& n) -> ActionPtr { return std::make_unique<StoreAction>(*this, n); },
                 [&](const ForNode& n) -> ActionPtr {
                   if (MeetAtBarriers(n)) return CompileThreads(*this, n);
                   if (!units_ && RunsUnits(n)) return CompileUnits(*this, n);
                   return std::make_unique<ForAction>(*this, n);
                 },
                 [&](const BlockNode& n) -> ActionPtr { return std::make_unique<BlockAction>(*this, n); },
                 [&](const SeqNode& n) -> ActionPtr {
                   auto all = std::make_unique<SeqAction>();
                   for (const Stmt& x : n.stmts) all->actions.push_back(Compile(x));
                   return all;
                 },
                 [&](const IfNode& n) -> ActionPtr { return std::make_unique<IfAction>(*this, n); },
                 [&](const LetStmtNode&) -> ActionPtr { return nullptr; },
                 [&](const AllocateNode&) -> ActionPtr { return nullptr; },
                 [&](const EvaluateNode& n) -> ActionPtr { return CompileEvaluate(*this, n); },
                 [&](const YieldNode& n) -> ActionPtr { return std::make_unique<YieldAction>(*this, n); },
             });
  if (seq->actions.empty()) return last;
  seq->actions.push_back(std::move(last));
  return seq;
}

}  // namespace tilewright::interpret
