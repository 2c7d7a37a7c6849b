// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/partition_loops.h"

#include <algorithm>

#include "tilewright/arith/analyzer.h"
#include "tilewright/tir/lower/fresh_copy.h"
#include "tilewright/tir/lower/simplify.h"

namespace tilewright {

namespace {

constexpr char kAnnotation[] = "loop_partition";

bool IsAsked(const ForNode& loop) {
  auto it = loop.annotations.find(kAnnotation);
  if (it == loop.annotations.end()) return false;
  if (auto* b = std::get_if<bool>(&it->second)) return *b;
  if (auto* i = std::get_if<int64_t>(&it->second)) return *i != 0;
  return true;
}

/// A comparison inside the loop, with the loops between.
struct Condition {
  Expr test;
  std::vector<BoundVar> inner;
};

/// Collects the comparisons of conditions that use a variable.
class ConditionFinder {
 public:
  explicit ConditionFinder(Var var) : var_(std::move(var)) {}

  void Visit(const Stmt& s) {
    const size_t depth = inner_.size();
    if (auto* branch = s.As<IfNode>()) Split(branch->condition);
    ForEachExpr(s, [&](const Expr& e) {
      PreOrder(e, [&](const Expr& x) {
        if (auto* choice = x.As<IfThenElseNode>()) Split(choice->condition);
        if (auto* choice = x.As<SelectNode>()) Split(choice->condition);
        return true;
      });
    });
    if (auto* loop = s.As<ForNode>()) inner_.push_back({loop->var, {loop->min, loop->extent}});
    ForEachChild(s, [&](const Stmt& child) { Visit(child); });
    inner_.resize(depth);
  }

  std::vector<Condition> conditions;

 private:
  void Split(const Expr& e) {
    if (auto* call = e.As<CallNode>(); call && call->op == Intrinsic::k_likely) return Split(call->args[0]);
    auto* b = e.As<BinaryNode>();
    if (b && b->op == BinaryOp::kAnd) {
      Split(b->a);
      Split(b->b);
    } else if (b && (b->op == BinaryOp::kLt || b->op == BinaryOp::kLe) && UsesVar(e, var_)) {
      conditions.push_back({e, inner_});
    }
  }

  Var var_;
  std::vector<BoundVar> inner_;
};

struct Interval64 {
  int64_t begin, end;
};

class Partitioner {
 public:
  Stmt Rewrite(const Stmt& s) {
    auto* loop = s.As<ForNode>();
    if (!loop) return MapChildren(s, [&](const Stmt& x) { return Rewrite(x); }, nullptr);
    outer_.push_back({loop->var, {loop->min, loop->extent}});
    Stmt body = Rewrite(loop->body);
    outer_.pop_back();
    if (!body) return body;
    if (!IsAsked(*loop)) return WithBody(*loop, body);
    Annotations rest = loop->annotations;
    rest.erase(kAnnotation);
    Stmt whole = MakeFor(loop->var, loop->min, loop->extent, loop->for_kind, body, rest, loop->thread_tag);
    auto min = AsInt(loop->min), extent = AsInt(loop->extent);
    return min && extent ? Partition(*whole.As<ForNode>(), *min, *min + *extent) : whole;
  }

 private:
  Stmt Partition(const ForNode& loop, int64_t begin, int64_t end) {
    ConditionFinder finder(loop.var);
    finder.Visit(loop.body);
    Interval64 main{begin, end};
    for (const Condition& c : finder.conditions) {
      Interval64 holds = WhereProved(loop.var, c, begin, end);
      Interval64 both{std::max(main.begin, holds.begin), std::min(main.end, holds.end)};
      // A condition that holds nowhere for certain does not spoil the others.
      if (both.begin < both.end) main = both;
    }
    if (main.begin == begin && main.end == end) return Part(loop, begin, end);
    return MakeSeq(
        {Part(loop, begin, main.begin), Part(loop, main.begin, main.end), Part(loop, main.end, end)});
  }

  /// The iterations [begin, end) as a loop of their own.
  Stmt Part(const ForNode& loop, int64_t begin, int64_t end) const {
    if (begin >= end) return nullptr;
    Var var(loop.var.name());
    Stmt body = FreshCopy(loop.body, {{loop.var, var}});
    return SimplifyStmt(
        MakeFor(var, begin, end - begin, loop.for_kind, body, loop.annotations, loop.thread_tag), outer_);
  }

  /// A part at one end of [begin, end) in which the comparison is proved; empty when there is none.
  /// Comparisons of index expressions are nearly always monotone in a loop variable, so bisection finds the
  /// boundary; should one not be, the part found is smaller than it could be, but still proved as a whole.
  Interval64 WhereProved(const Var& var, const Condition& c, int64_t begin, int64_t end) const {
    auto proved = [&](int64_t lo, int64_t hi) {
      Analyzer analyzer;
      for (const BoundVar& b : outer_) analyzer.Bind(b.var, b.range);
      analyzer.Bind(var, Interval{lo, hi - 1});
      for (const BoundVar& b : c.inner) analyzer.Bind(b.var, b.range);
      return analyzer.CanProve(c.test);
    };
    if (proved(begin, end)) return {begin, end};
    int64_t first = end, last = begin;  // [first, end) and [begin, last) are proved
    for (int64_t bad = begin, step; first - bad > 1;) {
      step = bad + (first - bad) / 2;
      if (proved(step, end))
        first = step;
      else
        bad = step;
    }
    for (int64_t bad = end, step; bad - last > 1;) {
      step = last + (bad - last) / 2;
      if (proved(begin, step))
        last = step;
      else
        bad = step;
    }
    return end - first >= last - begin ? Interval64{first, end} : Interval64{begin, last};
  }

  std::vector<BoundVar> outer_;
};

}  // namespace

PrimFunc PartitionLoops(const PrimFunc& f) {
  Stmt body = Partitioner().Rewrite(f->body);
  return f.WithBody(body ? body : MakeEvaluate(MakeConst(kI32, 0)));
}

}  // namespace tilewright
