// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/insert_tokens.h"

#include <algorithm>
#include <set>

#include "tilewright/support/error.h"
#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

/// What one unit touches in a statement, by buffers.
struct Touches {
  std::set<const BufferNode*> read, written;

  /// Whether `later`, of another unit, has to wait for this.
  bool Orders(const Touches& later) const {
    auto meet = [](const auto& a, const auto& b) {
      return std::any_of(a.begin(), a.end(), [&](const BufferNode* x) { return b.contains(x); });
    };
    return meet(written, later.read) || meet(written, later.written) || meet(read, later.written);
  }
};

/// From one unit to another.
using Queue = std::pair<size_t, size_t>;

/// A statement of a sequence that has its tokens inside already.
struct Part {
  Stmt stmt;
  std::vector<Touches> units;  ///< per unit of the target
  std::set<Queue> queues;      ///< that it uses inside, and leaves as they were
};

/// Tokens to put into a sequence, by position: before the statement of that number.
struct Placed {
  std::vector<std::vector<Stmt>> before;
  std::vector<Stmt> prologue, epilogue;  ///< of the loop around
  std::set<Queue> queues;
};

class Inserter {
 public:
  explicit Inserter(const Target& target) : target_(target), device_(DeviceModelOf(target)) {}

  /// The program of a core.
  Stmt Core(const Stmt& s) {
    if (auto* alloc = s.As<AllocateNode>()) return MakeAllocate(alloc->buffer, Core(alloc->body));
    return Sequence(s, false).stmt;
  }

 private:
  /// A statement as a sequence, which is the body of a loop or not.
  Part Sequence(const Stmt& s, bool repeats) {
    std::vector<Part> parts;
    if (auto* seq = s.As<SeqNode>()) {
      for (const Stmt& x : seq->stmts) parts.push_back(Inner(x));
    } else {
      parts.push_back(Inner(s));
    }
    Placed placed;
    placed.before.resize(parts.size() + 1);
    for (size_t from = 0; from < device_.units.size(); ++from) {
      for (size_t to = 0; to < device_.units.size(); ++to) {
        if (from != to) Order({from, to}, parts, repeats, placed);
      }
    }
    Part result{nullptr, std::vector<Touches>(device_.units.size()), placed.queues};
    std::vector<Stmt> all;
    for (size_t i = 0; i <= parts.size(); ++i) {
      all.insert(all.end(), placed.before[i].begin(), placed.before[i].end());
      if (i == parts.size()) break;
      all.push_back(parts[i].stmt);
      result.queues.insert(parts[i].queues.begin(), parts[i].queues.end());
      for (size_t u = 0; u < result.units.size(); ++u) {
        result.units[u].read.insert(parts[i].units[u].read.begin(), parts[i].units[u].read.end());
        result.units[u].written.insert(parts[i].units[u].written.begin(), parts[i].units[u].written.end());
      }
    }
    result.stmt = MakeSeq(std::move(all));
    prologue_ = std::move(placed.prologue);
    epilogue_ = std::move(placed.epilogue);
    return result;
  }

  Part Inner(const Stmt& s) {
    auto* loop = s.As<ForNode>();
    if (loop && !UnitOf(*loop).empty()) return Instruction(*loop);
    if (loop) {
      Part body = Sequence(loop->body, true);
      std::vector<Stmt> all = std::move(prologue_);
      all.push_back(WithBody(*loop, body.stmt));
      all.insert(all.end(), epilogue_.begin(), epilogue_.end());
      body.stmt = MakeSeq(std::move(all));
      return body;
    }
    if (auto* branch = s.As<IfNode>()) {
      Part result = Sequence(branch->then_case, false);
      Stmt else_case;
      if (branch->else_case) {
        Part other = Sequence(branch->else_case, false);
        else_case = other.stmt;
        result.queues.insert(other.queues.begin(), other.queues.end());
        for (size_t u = 0; u < result.units.size(); ++u) {
          result.units[u].read.merge(other.units[u].read);
          result.units[u].written.merge(other.units[u].written);
        }
      }
      result.stmt = MakeIf(branch->condition, result.stmt, else_case);
      return result;
    }
    if (auto* let = s.As<LetStmtNode>()) {
      Part result = Sequence(let->body, false);
      result.stmt = MakeLetStmt(let->var, let->value, result.stmt);
      return result;
    }
    throw Error("TW1311", "a statement that no unit of the device runs", ToString(s),
                {fmt::format("tensorize it, or annotate its outermost loop with \"unit\" and one of {}",
                             fmt::join(device_.units, ", "))});
  }

  Part Instruction(const ForNode& loop) const {
    const auto unit = std::find(device_.units.begin(), device_.units.end(), UnitOf(loop));
    if (unit == device_.units.end()) {
      throw Error("TW1311",
                  fmt::format("loop {} is an instruction of the unit {}, which the target {} has not",
                              loop.var.name(), UnitOf(loop), target_.name),
                  "", {fmt::format("it has {}", fmt::join(device_.units, ", "))});
    }
    Part part{Stmt(&loop), std::vector<Touches>(device_.units.size()), {}};
    Touches& touches = part.units[size_t(unit - device_.units.begin())];
    PreOrder(part.stmt, [&](const Stmt& x) {
      if (auto* store = x.As<StoreNode>()) touches.written.insert(store->buffer.get());
      return true;
    });
    PreOrderExprs(part.stmt, [&](const Expr& e) {
      if (auto* load = e.As<LoadNode>()) touches.read.insert(load->buffer.get());
    });
    return part;
  }

  /// Places the tokens of one queue. A token is pushed behind part `push` and popped before part `pop`.
  void Order(Queue queue, const std::vector<Part>& parts, bool repeats, Placed& placed) const {
    auto orders = [&](size_t i, size_t j) {
      return parts[i].units[queue.first].Orders(parts[j].units[queue.second]);
    };
    auto inside = [&](size_t i) { return parts[i].queues.contains(queue); };
    const size_t n = parts.size();
    bool used = false;
    // Each pop covers all earlier pushes, since units work in order. Tokens are told apart by their order
    // alone: none may be on its way across a part that uses the queue inside.
    size_t covered = 0;  // parts before this one have been waited for
    for (size_t j = 0; j < n; ++j) {
      size_t need = 0;
      for (size_t i = 0; i < j; ++i) {
        if (orders(i, j)) need = i + 1;
      }
      if (need <= covered) continue;
      size_t pop = need;
      while (pop < j && !inside(pop)) ++pop;
      Put(queue, need, pop, placed);
      covered = need;
      used = true;
    }
    if (repeats) used |= OrderIterations(queue, parts, used, placed);
    if (used) placed.queues.insert(queue);
  }

  /// The same from one iteration to the next, for what `Order` has not ordered: a part and those before it.
  bool OrderIterations(Queue queue, const std::vector<Part>& parts, bool used, Placed& placed) const {
    const size_t n = parts.size();
    bool apart = !used;  // whether tokens may be on their way within an iteration
    for (const Part& part : parts) apart &= !part.queues.contains(queue);
    size_t covered = 0;
    bool any = false;
    for (size_t j = 0; j < n; ++j) {
      size_t need = 0;
      for (size_t i = j; i < n; ++i) {
        if (parts[i].units[queue.first].Orders(parts[j].units[queue.second])) need = i + 1;
      }
      if (need <= covered) continue;
      // Else one token stands for the whole iteration.
      const size_t push = apart ? need : n, pop = apart ? j : 0;
      Put(queue, push, pop, placed);
      placed.prologue.push_back(Token("token_push", queue));
      placed.epilogue.push_back(Token("token_pop", queue));
      covered = apart ? need : n;
      any = true;
    }
    return any;
  }

  /// Before the same part pushes come first: what a unit has done it says before it waits.
  void Put(Queue queue, size_t push, size_t pop, Placed& placed) const {
    placed.before[push].insert(placed.before[push].begin(), Token("token_push", queue));
    placed.before[pop].push_back(Token("token_pop", queue));
  }

  Stmt Token(const char* routine, Queue queue) const {
    return MakeEvaluate(
        MakeCall(Intrinsic::k_extern_call, {MakeString(routine), MakeString(device_.units[queue.first]),
                                            MakeString(device_.units[queue.second])}));
  }

  const Target& target_;
  const DeviceModel& device_;
  std::vector<Stmt> prologue_, epilogue_;  ///< of the sequence that was done last
};

}  // namespace

PrimFunc InsertTokens(const PrimFunc& f, const Target& target) {
  if (DeviceModelOf(target).units.empty()) return f;
  std::function<Stmt(const Stmt&)> rewrite = [&](const Stmt& s) -> Stmt {
    auto* loop = s.As<ForNode>();
    if (!loop || !IsThread(*loop) || HoldsThreads(loop->body)) return MapChildren(s, rewrite, nullptr);
    return WithBody(*loop, Inserter(target).Core(loop->body));
  };
  return f.WithBody(rewrite(f->body));
}

}  // namespace tilewright
