// SPDX-License-Identifier: Apache-2.0
// Units of a device that run beside each other. The program of a core only issues: every instruction goes
// into the queue of its unit, with the values of variables at that moment. Then the units run, each its own
// queue in order, the one that is asked for first as far as tokens let it: so a program with a token too few
// computes something else, in one of the orders. Beyond that, clocks of vectors (Mattern, 1988) tell of every
// two accesses whether tokens order them at all.
#include <algorithm>
#include <deque>
#include <unordered_map>

#include "tilewright/tir/interpret/code.h"

namespace tilewright::interpret {

namespace {

constexpr size_t kNone = size_t(-1);

std::string UnitName(const Stmt& s) {
  auto* loop = s.As<ForNode>();
  if (!loop) return {};
  const auto it = loop->annotations.find("unit");
  auto* name = it == loop->annotations.end() ? nullptr : std::get_if<std::string>(&it->second);
  return name ? *name : std::string();
}

/// The strings of extern_call(routine, ...), empty for anything else.
std::vector<std::string> CallOf(const Stmt& s) {
  auto* evaluate = s.As<EvaluateNode>();
  auto* call = evaluate ? evaluate->value.As<CallNode>() : nullptr;
  std::vector<std::string> strings;
  if (!call || call->op != Intrinsic::k_extern_call) return strings;
  for (const Expr& e : call->args) {
    auto* text = e.As<StringImmNode>();
    strings.push_back(text ? text->value : std::string());
  }
  return strings;
}

}  // namespace

/// The queues of the units of one core, and who touched what.
class Units : public AccessWatch {
 public:
  struct Command {
    enum class Kind : uint8_t { kRun, kPush, kPop } kind;
    const Action* action = nullptr;
    size_t other = 0;  ///< the unit that a token goes to, or comes from
    std::vector<Lane> slots;
  };

  Units(Frame& f, const std::vector<std::string>& names)
      : frame_(f), names_(names), queues_(names.size()), clocks_(names.size(), Clock(names.size())) {
    for (size_t u = 0; u < names.size(); ++u) order_.push_back(u);
    using Order = InterpretOptions::Order;
    if (f.options.independent_order == Order::kDescending) std::reverse(order_.begin(), order_.end());
  }

  void Issue(size_t unit, Command command) { queues_[unit].push_back(std::move(command)); }

  void RunAll() {
    if (frame_.options.detect_races) frame_.watch = this;
    while (true) {
      if (frame_.options.independent_order == InterpretOptions::Order::kShuffled)
        std::shuffle(order_.begin(), order_.end(), frame_.random);
      const auto next = std::find_if(order_.begin(), order_.end(), [&](size_t u) { return CanGo(u); });
      if (next == order_.end()) break;
      Step(*next);
    }
    frame_.watch = nullptr;
    for (size_t u = 0; u < names_.size(); ++u) {
      if (queues_[u].empty()) continue;
      throw Problem{"TW1611", fmt::format("unit {} waits for a token of unit {} that never comes", names_[u],
                                          names_[queues_[u].front().other])};
    }
    for (const auto& [queue, tokens] : tokens_) {
      if (tokens.empty()) continue;
      throw Problem{"TW1611", fmt::format("{} tokens of unit {} for unit {} are left at the end",
                                          tokens.size(), names_[queue.first], names_[queue.second])};
    }
  }

  void Read(const BufferState& buffer, int64_t at) override {
    Element& e = ElementOf(buffer, at);
    CheckOrdered(buffer, e.writer, e.written, "writes and the other reads");
    e.read[now_] = clocks_[now_][now_];
  }
  void Write(const BufferState& buffer, int64_t at) override {
    Element& e = ElementOf(buffer, at);
    CheckOrdered(buffer, e.writer, e.written, "and the other write");
    for (size_t u = 0; u < names_.size(); ++u)
      CheckOrdered(buffer, u, e.read[u], "reads and the other writes");
    e.writer = now_;
    e.written = clocks_[now_][now_];
  }

 private:
  /// How many instructions of each unit have ended, as one of them knows.
  using Clock = std::vector<uint32_t>;

  struct Element {
    size_t writer = kNone;
    uint32_t written = 0;
    std::vector<uint32_t> read;
  };

  bool CanGo(size_t unit) {
    if (queues_[unit].empty()) return false;
    const Command& c = queues_[unit].front();
    return c.kind != Command::Kind::kPop || !tokens_[{c.other, unit}].empty();
  }

  void Step(size_t unit) {
    Command c = std::move(queues_[unit].front());
    queues_[unit].pop_front();
    if (c.kind == Command::Kind::kPush) {
      tokens_[{unit, c.other}].push_back(clocks_[unit]);
    } else if (c.kind == Command::Kind::kPop) {
      auto& queue = tokens_[{c.other, unit}];
      for (size_t u = 0; u < names_.size(); ++u)
        clocks_[unit][u] = std::max(clocks_[unit][u], queue.front()[u]);
      queue.pop_front();
    } else {
      now_ = unit;
      ++clocks_[unit][unit];
      frame_.slots.swap(c.slots);
      c.action->Run(frame_);
      frame_.slots.swap(c.slots);
    }
  }

  Element& ElementOf(const BufferState& buffer, int64_t at) {
    auto& elements = touched_[&buffer];
    Element& e = elements[at];
    if (e.read.empty()) e.read.resize(names_.size());
    return e;
  }

  void CheckOrdered(const BufferState& buffer, size_t unit, uint32_t time, const char* how) const {
    if (unit == kNone || unit == now_ || clocks_[now_][unit] >= time) return;
    throw Problem{"TW1608", fmt::format("no token orders two instructions of the units {} and {}: one {} an "
                                        "element of {}",
                                        names_[unit], names_[now_], how, buffer.node().buffer_name)};
  }

  Frame& frame_;
  const std::vector<std::string>& names_;
  std::vector<size_t> order_;  ///< who goes first
  std::vector<std::deque<Command>> queues_;
  std::map<std::pair<size_t, size_t>, std::deque<Clock>> tokens_;
  std::vector<Clock> clocks_;
  size_t now_ = 0;  ///< the unit that runs
  std::unordered_map<const BufferState*, std::unordered_map<int64_t, Element>> touched_;
};

namespace {

struct IssueAction : Action {
  size_t unit;
  Units::Command::Kind kind;
  size_t other;
  ActionPtr action;

  IssueAction(size_t u, Units::Command::Kind k, size_t o, ActionPtr a)
      : unit(u), kind(k), other(o), action(std::move(a)) {}
  void Run(Frame& f) const override {
    Units::Command command{kind, action.get(), other, {}};
    if (action) command.slots = f.slots;
    f.units->Issue(unit, std::move(command));
  }
};

struct UnitsAction : Action {
  int slot;
  CodePtr min, extent;
  ActionPtr program;
  std::vector<std::string> names;

  void Run(Frame& f) const override {
    const int64_t lo = f.Decide(min->Eval(f), "the start of a loop");
    const int64_t count = f.Decide(extent->Eval(f), "the extent of a loop");
    for (int64_t i = 0; i < count; ++i) {
      f.slots[size_t(slot)] = Lane::Int(lo + i);
      Units units(f, names);
      f.units = &units;
      program->Run(f);
      units.RunAll();
      f.units = nullptr;
    }
  }
};

size_t NumberOf(std::vector<std::string>& names, const std::string& name) {
  const auto it = std::find(names.begin(), names.end(), name);
  if (it != names.end()) return size_t(it - names.begin());
  names.push_back(name);
  return names.size() - 1;
}

}  // namespace

bool RunsUnits(const ForNode& loop) {
  if (loop.for_kind != ForKind::kThreadBound) return false;
  bool units = false, threads = false;
  PreOrder(loop.body, [&](const Stmt& s) {
    auto* inner = s.As<ForNode>();
    threads |= s.kind() == StmtKind::kBlock || (inner && inner->for_kind == ForKind::kThreadBound);
    units |= !UnitName(s).empty();
    return !threads;
  });
  return units && !threads;
}

ActionPtr CompileForUnit(Compiler& c, const Stmt& s) {
  using Kind = Units::Command::Kind;
  std::vector<std::string>& names = *c.units();
  if (const std::string unit = UnitName(s); !unit.empty()) {
    std::vector<std::string>* outside = std::exchange(c.units(), nullptr);
    ActionPtr instruction = c.Compile(s);
    c.units() = outside;
    return std::make_unique<IssueAction>(NumberOf(names, unit), Kind::kRun, 0, std::move(instruction));
  }
  const std::vector<std::string> call = CallOf(s);
  if (call.size() == 3 && (call[0] == "token_push" || call[0] == "token_pop")) {
    const size_t from = NumberOf(names, call[1]), to = NumberOf(names, call[2]);
    if (call[0] == "token_push") return std::make_unique<IssueAction>(from, Kind::kPush, to, nullptr);
    return std::make_unique<IssueAction>(to, Kind::kPop, from, nullptr);
  }
  bool loads = s.kind() == StmtKind::kStore;
  ForEachExpr(s, [&](const Expr& e) {
    PreOrder(e, [&](const Expr& x) { return loads |= x.kind() == ExprKind::kLoad, !loads; });
  });
  if (loads)
    throw Problem{"TW1605", "a program for units touches memory itself, outside of their instructions"};
  return nullptr;
}

ActionPtr CompileUnits(Compiler& c, const ForNode& loop) {
  auto action = std::make_unique<UnitsAction>();
  action->min = c.Compile(loop.min);
  action->extent = c.Compile(loop.extent);
  action->slot = c.DeclareVar(loop.var);
  // Memory is there before the first instruction runs, and until the last has.
  Stmt body = loop.body;
  while (true) {
    if (auto* alloc = body.As<AllocateNode>()) {
      body = alloc->body;
    } else if (auto* let = body.As<LetStmtNode>()) {
      body = let->body;
    } else {
      break;
    }
  }
  PreOrder(body, [&](const Stmt& s) {
    if (s.kind() == StmtKind::kAllocate)
      throw Problem{"TW1605", "memory of units is allocated while they run"};
    return UnitName(s).empty();
  });
  c.units() = &action->names;
  c.place_vars().push_back({loop.var.name(), action->slot});
  action->program = c.Compile(loop.body);
  c.place_vars().pop_back();
  c.units() = nullptr;
  return action;
}

}  // namespace tilewright::interpret
