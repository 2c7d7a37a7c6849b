// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/insert_barriers.h"

#include <algorithm>
#include <set>

#include "tilewright/arith/iter_map.h"
#include "tilewright/support/error.h"
#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

/// Shared buffers that threads have read and written since the last barrier, by their nodes.
struct Touched {
  std::set<const BufferNode*> read, written;
  std::set<const BufferNode*> contested;  ///< those written that may not be written again

  void Add(const Touched& other) {
    read.insert(other.read.begin(), other.read.end());
    written.insert(other.written.begin(), other.written.end());
    contested.insert(other.contested.begin(), other.contested.end());
  }
  /// A buffer that a thread may only touch in the way of `next` when all are done with this; null for none.
  const BufferNode* Conflict(const Touched& next) const {
    for (const BufferNode* b : next.read) {
      if (written.contains(b)) return b;
    }
    for (const BufferNode* b : next.written) {
      if (contested.contains(b) || read.contains(b)) return b;
    }
    return nullptr;
  }
  friend bool operator==(const Touched&, const Touched&) = default;
};

/// Works on the program of one thread.
class Inserter {
 public:
  Inserter(const DeviceModel& device, int family) : device_(device), family_(family) {}

  void AddThread(const ForNode& loop) {
    different_.push_back(loop.var);
    threads_.push_back(&loop);
  }

  /// The statement with the barriers that it needs; `state` is what went before, and then what comes after.
  Stmt Visit(const Stmt& s, Touched& state) {
    if (auto* seq = s.As<SeqNode>()) {
      std::vector<Stmt> result;
      for (const Stmt& x : seq->stmts) result.push_back(Visit(x, state));
      return MakeSeq(std::move(result));
    }
    if (auto* let = s.As<LetStmtNode>()) {
      if (Differs(let->value)) different_.push_back(let->var);
      return MakeLetStmt(let->var, let->value, Visit(let->body, state));
    }
    if (auto* alloc = s.As<AllocateNode>()) return MakeAllocate(alloc->buffer, Visit(alloc->body, state));
    const Touched uses = UsesOf(s);
    Stmt before;
    if (const BufferNode* shared = state.Conflict(uses)) {
      before = MakeEvaluate(MakeCall(Intrinsic::k_barrier, {MakeString(shared->scope)}));
      state = {};
    }
    return MakeSeq({before, Inside(s, uses, state)});
  }

 private:
  Stmt Inside(const Stmt& s, const Touched& uses, Touched& state) {
    if (auto* loop = s.As<ForNode>()) return Loop(*loop, state);
    if (auto* branch = s.As<IfNode>()) return Branch(*branch, state);
    // Of its own element a thread may make another.
    if (auto* store = s.As<StoreNode>()) {
      PreOrderExprs(s, [&](const Expr& e) {
        auto* load = e.As<LoadNode>();
        if (load && load->buffer == store->buffer && IsShared(load->buffer) &&
            !std::equal(load->indices.begin(), load->indices.end(), store->indices.begin(), StructuralEqual))
          Refuse(s, load->buffer.name());
      });
    }
    state.Add(uses);
    return s;
  }

  /// What an iteration leaves is before the next one.
  Stmt Loop(const ForNode& loop, Touched& state) {
    const bool apart = Differs(loop.min) || Differs(loop.extent);
    if (apart) different_.push_back(loop.var);
    Touched entry = state;
    while (true) {
      Touched exit = entry;
      Stmt body = Visit(loop.body, exit);
      if (apart && !(body == loop.body) && HoldsBarriers(body)) Refuse(body, loop.var.name());
      const Touched after = exit;
      std::erase_if(exit.contested, [&](const BufferNode* b) { return WritesEachOnce(loop, b); });
      Touched again = entry;
      again.Add(exit);
      if (again == entry) {
        state = std::move(again);
        state.Add(after);
        return WithBody(loop, body);
      }
      entry = std::move(again);
    }
  }

  /// Whether no two threads or iterations of the loop write the same element of the buffer.
  bool WritesEachOnce(const ForNode& loop, const BufferNode* b) const {
    std::vector<const ForNode*> around = threads_;
    const StoreNode* only = nullptr;
    bool once = true;
    Analyzer analyzer;
    VarRanges ranges;
    std::function<void(const Stmt&)> visit = [&](const Stmt& s) {
      auto* inner = s.As<ForNode>();
      if (inner) around.push_back(inner);
      if (auto* store = s.As<StoreNode>(); store && store->buffer.get() == b) {
        once &= !only;
        only = store;
        for (const ForNode* l : around) {
          analyzer.Bind(l->var, Range{l->min, l->extent});
          ranges[l->var] = {l->min, l->extent};
        }
      }
      ForEachChild(s, visit);
      if (inner) around.pop_back();
    };
    visit(Stmt(&loop));
    return once && only &&
           DetectIterMap(only->indices, ranges, nullptr, IterMapLevel::kInjective, analyzer).has_value();
  }

  Stmt Branch(const IfNode& branch, Touched& state) {
    Touched then_state = state, else_state = state;
    Stmt then_case = Visit(branch.then_case, then_state);
    Stmt else_case = branch.else_case ? Visit(branch.else_case, else_state) : nullptr;
    if (Differs(branch.condition)) {
      for (const Stmt& s : {then_case, else_case}) {
        if (s && HoldsBarriers(s)) Refuse(s, ToString(branch.condition));
      }
    }
    state = std::move(then_state);
    state.Add(else_state);
    return MakeIf(branch.condition, then_case, else_case);
  }

  [[noreturn]] void Refuse(const Stmt& s, const std::string& what) const {
    throw Error("TW1309",
                "threads exchange values by shared memory where not all of them come to a barrier: " + what,
                ToString(s), {"conditions and loops around the exchange must be the same for all threads"});
  }

  static bool HoldsBarriers(const Stmt& s) {
    bool holds = false;
    PreOrderExprs(s, [&](const Expr& e) {
      auto* call = e.As<CallNode>();
      holds |= call && call->op == Intrinsic::k_barrier;
    });
    return holds;
  }

  bool IsShared(const Buffer& b) const {
    const int owner = device_.OwnerOf(b.scope());
    return owner >= 0 && owner < family_;
  }

  Touched UsesOf(const Stmt& s) const {
    Touched result;
    PreOrder(s, [&](const Stmt& x) {
      auto* store = x.As<StoreNode>();
      if (store && IsShared(store->buffer)) {
        result.written.insert(store->buffer.get());
        result.contested.insert(store->buffer.get());
      }
      return true;
    });
    PreOrderExprs(s, [&](const Expr& e) {
      auto* load = e.As<LoadNode>();
      if (load && IsShared(load->buffer)) result.read.insert(load->buffer.get());
    });
    return result;
  }

  /// Whether threads may find different values.
  bool Differs(const Expr& e) const {
    bool differs = false;
    PreOrder(e, [&](const Expr& x) {
      differs |= x.kind() == ExprKind::kLoad;
      differs |=
          std::any_of(different_.begin(), different_.end(), [&](const Var& v) { return v.get() == x.get(); });
      return !differs;
    });
    return differs;
  }

  const DeviceModel& device_;
  int family_;
  std::vector<const ForNode*> threads_;
  std::vector<Var> different_;  ///< variables that have another value in each thread
};

}  // namespace

PrimFunc InsertBarriers(const PrimFunc& f, const Target& target) {
  const DeviceModel& device = DeviceModelOf(target);
  const int family = int(device.threads.size()) - 1;
  std::function<Stmt(const Stmt&)> rewrite = [&](const Stmt& s) -> Stmt {
    auto* loop = s.As<ForNode>();
    if (!loop || !IsThread(*loop) || device.FamilyOf(loop->thread_tag) != family)
      return MapChildren(s, rewrite, nullptr);
    Inserter inserter(device, family);
    std::function<Stmt(const ForNode&)> inside = [&](const ForNode& l) {
      inserter.AddThread(l);
      auto* next = l.body.As<ForNode>();
      Touched nothing;
      return WithBody(l, next && IsThread(*next) ? inside(*next) : inserter.Visit(l.body, nothing));
    };
    return inside(*loop);
  };
  return family < 1 ? f : f.WithBody(rewrite(f->body));
}

}  // namespace tilewright
