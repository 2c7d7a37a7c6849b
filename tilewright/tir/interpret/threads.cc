// SPDX-License-Identifier: Apache-2.0
// Threads that meet at barriers. Each has values of its own for what is defined inside of their loops, and
// memory of its own for what is allocated there. A statement without a barrier is run by one thread after the
// other, to its end; one with a barrier is run by all together, so that loops and branches around a barrier
// must go the same way in all threads.
#include <algorithm>
#include <optional>

#include "tilewright/tir/interpret/code.h"

namespace tilewright::interpret {

namespace {

struct Thread {
  std::vector<Lane> slots;
  std::vector<BufferState> buffers;  ///< its own
};

struct Team {
  std::vector<Thread> threads;
  std::vector<size_t> order;  ///< in which they run between two barriers
  size_t first_buffer = 0;    ///< slot of the first buffer of which each has its own

  /// Gives the thread's values and memory to the frame, or takes them back.
  void Exchange(Frame& f, Thread& t) {
    std::swap(f.slots, t.slots);
    for (size_t i = 0; i < t.buffers.size(); ++i) std::swap(f.buffers[first_buffer + i], t.buffers[i]);
  }
  /// Runs `work` as each thread. A problem leaves the thread's values in the frame, for the error.
  template <class F>
  void Each(Frame& f, const F& work) {
    for (size_t t : order) {
      f.threads.now = f.threads.first + t;
      Exchange(f, threads[t]);
      work();
      Exchange(f, threads[t]);
    }
  }
  /// A value in which all threads must agree.
  int64_t Agreed(Frame& f, const Code& code, std::string_view what) {
    std::optional<int64_t> agreed;
    Each(f, [&] {
      const int64_t value = f.Decide(code.Eval(f), what);
      if (agreed.value_or(value) != value) {
        throw Problem{"TW1610", fmt::format("threads that meet at a barrier inside disagree on {}: {} and {}",
                                            what, *agreed, value)};
      }
      agreed = value;
    });
    return *agreed;
  }
  /// What threads touched before is in order with what they touch from here on.
  void Meet(Frame& f) {
    f.threads.first = f.threads.next;
    f.threads.next += threads.size();
  }
};

/// A statement that all threads run.
struct Joint {
  virtual ~Joint() = default;
  virtual void Run(Frame& f, Team& team) const = 0;
};
using JointPtr = std::unique_ptr<const Joint>;

/// Without a barrier.
struct Apart : Joint {
  ActionPtr action;
  explicit Apart(ActionPtr a) : action(std::move(a)) {}
  void Run(Frame& f, Team& team) const override {
    team.Each(f, [&] { action->Run(f); });
  }
};

struct Barrier : Joint {
  void Run(Frame& f, Team& team) const override { team.Meet(f); }
};

struct JointSeq : Joint {
  std::vector<JointPtr> all;
  void Run(Frame& f, Team& team) const override {
    for (const JointPtr& s : all) s->Run(f, team);
  }
};

struct JointFor : Joint {
  int slot;
  CodePtr min, extent;
  struct Carried {
    int var, next, result, lanes;
    CodePtr init;
  };
  std::vector<Carried> carried;
  JointPtr body;
  Stmt node;
  static void Copy(Frame& f, int from, int to, int lanes) {
    std::copy_n(f.slots.begin() + from, lanes, f.slots.begin() + to);
  }
  void Run(Frame& f, Team& team) const override {
    const int64_t lo = team.Agreed(f, *min, "the start of a loop");
    const int64_t count = team.Agreed(f, *extent, "the extent of a loop");
    team.Each(f, [&] {
      for (const Carried& v : carried) {
        LaneArray lanes(v.lanes);
        v.init->EvalLanes(f, lanes.data());
        std::copy_n(lanes.data(), v.lanes, f.slots.begin() + v.var);
      }
    });
    for (int64_t i = 0; i < count; ++i) {
      if (++f.steps > f.options.max_steps)
        throw Problem{"TW1609", fmt::format("more than {} iterations", f.options.max_steps)};
      team.Each(f, [&] { f.slots[size_t(slot)] = Lane::Int(lo + i); });
      body->Run(f, team);
      team.Each(f, [&] {
        for (const Carried& v : carried) Copy(f, v.next, v.var, v.lanes);
      });
    }
    team.Each(f, [&] {
      for (const Carried& v : carried) Copy(f, v.var, v.result, v.lanes);
    });
  }
};

struct JointIf : Joint {
  CodePtr condition;
  JointPtr then_case, else_case;
  void Run(Frame& f, Team& team) const override {
    if (team.Agreed(f, *condition, "a condition")) {
      then_case->Run(f, team);
    } else if (else_case) {
      else_case->Run(f, team);
    }
  }
};

bool IsBarrier(const Stmt& s) {
  auto* evaluate = s.As<EvaluateNode>();
  auto* call = evaluate ? evaluate->value.As<CallNode>() : nullptr;
  return call && call->op == Intrinsic::k_barrier;
}

JointPtr CompileJoint(Compiler& c, const Stmt& s) {
  if (!HoldsBarrier(s)) return std::make_unique<Apart>(c.Compile(s));
  if (IsBarrier(s)) return std::make_unique<Barrier>();
  auto refuse = [](const char* what) -> JointPtr {
    throw Problem{"TW1605", fmt::format("a barrier in {} cannot be interpreted", what)};
  };
  // A definition alone, and then what it is for.
  auto defined = [&](const Stmt& definition, const Stmt& body) {
    auto seq = std::make_unique<JointSeq>();
    seq->all.push_back(std::make_unique<Apart>(c.Compile(definition)));
    seq->all.push_back(CompileJoint(c, body));
    return seq;
  };
  const Stmt nothing = MakeEvaluate(Expr(0));
  if (auto* n = s.As<SeqNode>()) {
    auto seq = std::make_unique<JointSeq>();
    for (const Stmt& x : n->stmts) seq->all.push_back(CompileJoint(c, x));
    return seq;
  }
  if (auto* n = s.As<LetStmtNode>()) return defined(MakeLetStmt(n->var, n->value, nothing), n->body);
  if (auto* n = s.As<AllocateNode>()) return defined(MakeAllocate(n->buffer, nothing), n->body);
  if (auto* n = s.As<IfNode>()) {
    auto branch = std::make_unique<JointIf>();
    branch->condition = c.Compile(n->condition);
    branch->then_case = CompileJoint(c, n->then_case);
    if (n->else_case) branch->else_case = CompileJoint(c, n->else_case);
    return branch;
  }
  auto* loop = s.As<ForNode>();
  if (!loop) return refuse("a block");
  if (loop->for_kind == ForKind::kThreadBound)
    return refuse("threads inside of threads that meet at barriers");
  if (loop->for_kind != ForKind::kSerial && loop->for_kind != ForKind::kUnrolled)
    return refuse("a loop whose iterations run at once");
  auto joint = std::make_unique<JointFor>();
  joint->min = c.Compile(loop->min);
  joint->extent = c.Compile(loop->extent);
  joint->slot = c.DeclareVar(loop->var);
  std::vector<int> yields;
  for (const CarriedValue& v : loop->carried) {
    const int lanes = v.var.dtype().lanes;
    CodePtr init = c.Compile(v.init);
    joint->carried.push_back({c.DeclareVar(v.var), c.Reserve(lanes), 0, lanes, std::move(init)});
    yields.push_back(joint->carried.back().next);
  }
  if (!yields.empty()) c.yields().push_back(yields);
  c.place_vars().push_back({loop->var.name(), joint->slot});
  joint->body = CompileJoint(c, loop->body);
  c.place_vars().pop_back();
  if (!yields.empty()) c.yields().pop_back();
  for (size_t i = 0; i < joint->carried.size(); ++i)
    joint->carried[i].result = c.DeclareVar(loop->carried[i].result);
  joint->node = s;
  return joint;
}

struct ThreadsAction : Action {
  struct Axis {
    int slot;
    CodePtr min, extent;
  };
  std::vector<Axis> axes;
  JointPtr body;
  std::string name;
  size_t first_buffer = 0, num_buffers = 0;

  void Run(Frame& f) const override {
    Team team;
    team.first_buffer = first_buffer;
    std::vector<int64_t> lo, extent;
    int64_t count = 1;
    for (const Axis& a : axes) {
      lo.push_back(f.Decide(a.min->Eval(f), "the start of a loop"));
      extent.push_back(std::max<int64_t>(0, f.Decide(a.extent->Eval(f), "the extent of a loop")));
      if (__builtin_mul_overflow(count, extent.back(), &count) || count > f.options.max_steps)
        throw Problem{"TW1609", fmt::format("more than {} threads", f.options.max_steps)};
    }
    if (count == 0) return;
    for (int64_t t = 0; t < count; ++t) {
      Thread thread{f.slots, std::vector<BufferState>(num_buffers)};
      int64_t rest = t;
      for (size_t a = axes.size(); a-- > 0;) {
        thread.slots[size_t(axes[a].slot)] = Lane::Int(lo[a] + rest % extent[a]);
        rest /= extent[a];
      }
      team.threads.push_back(std::move(thread));
      team.order.push_back(size_t(t));
    }
    using Order = InterpretOptions::Order;
    if (f.options.independent_order == Order::kDescending) std::reverse(team.order.begin(), team.order.end());
    if (f.options.independent_order == Order::kShuffled)
      std::shuffle(team.order.begin(), team.order.end(), f.random);
    f.threads.active = f.options.detect_races;
    f.threads.loop = name;
    team.Meet(f);
    body->Run(f, team);
    f.threads.active = false;
  }
};

}  // namespace

namespace {

/// "threadIdx" of "threadIdx.x".
std::string_view Family(const ForNode& loop) {
  return std::string_view(loop.thread_tag).substr(0, loop.thread_tag.find('.'));
}

/// The next loop of the nest of threads that `loop` is part of, or null.
const ForNode* NextAxis(const ForNode& loop) {
  auto* inner = loop.body.As<ForNode>();
  return inner && inner->for_kind == ForKind::kThreadBound && Family(*inner) == Family(loop) ? inner
                                                                                             : nullptr;
}

}  // namespace

bool MeetAtBarriers(const ForNode& outermost) {
  if (outermost.for_kind != ForKind::kThreadBound || !HoldsBarrier(outermost.body)) return false;
  const ForNode* loop = &outermost;
  while (const ForNode* inner = NextAxis(*loop)) loop = inner;
  bool inner_threads = false;
  PreOrder(loop->body, [&](const Stmt& s) {
    auto* inside = s.As<ForNode>();
    inner_threads |= inside && inside->for_kind == ForKind::kThreadBound && HoldsBarrier(inside->body);
    return !inner_threads;
  });
  return !inner_threads;
}

bool HoldsBarrier(const Stmt& s) {
  bool holds = false;
  PreOrder(s, [&](const Stmt& x) {
    holds |= IsBarrier(x);
    return !holds;
  });
  return holds;
}

ActionPtr CompileThreads(Compiler& c, const ForNode& outermost) {
  auto action = std::make_unique<ThreadsAction>();
  const ForNode* loop = &outermost;
  while (true) {
    auto min = c.Compile(loop->min), extent = c.Compile(loop->extent);
    action->axes.push_back({c.DeclareVar(loop->var), std::move(min), std::move(extent)});
    action->name += (action->name.empty() ? "" : ", ") + loop->var.name();
    c.place_vars().push_back({loop->var.name(), action->axes.back().slot});
    const ForNode* inner = NextAxis(*loop);
    if (!inner) break;
    loop = inner;
  }
  action->first_buffer = size_t(c.num_buffers());
  action->body = CompileJoint(c, loop->body);
  action->num_buffers = size_t(c.num_buffers()) - action->first_buffer;
  c.place_vars().resize(c.place_vars().size() - action->axes.size());
  return action;
}

}  // namespace tilewright::interpret
