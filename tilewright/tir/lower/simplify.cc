// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/simplify.h"

#include "tilewright/arith/analyzer.h"
#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

class StmtSimplifier {
 public:
  explicit StmtSimplifier(const std::vector<BoundVar>& outer) {
    for (const BoundVar& b : outer) analyzer_.Bind(b.var, b.range);
  }

  Stmt Simplify(const Stmt& s) {
    if (!s) return s;
    if (auto* loop = s.As<ForNode>()) return SimplifyFor(*loop);
    if (auto* branch = s.As<IfNode>()) return SimplifyIf(*branch);
    if (auto* let = s.As<LetStmtNode>()) return SimplifyLet(*let);
    return MapChildren(
        s, [&](const Stmt& x) { return Simplify(x); }, [&](const Expr& e) { return Simplify(e); });
  }

 private:
  Expr Simplify(const Expr& e) { return analyzer_.Simplify(e); }

  Stmt SimplifyFor(const ForNode& loop) {
    Expr min = Simplify(loop.min), extent = Simplify(loop.extent);
    std::vector<CarriedValue> carried = loop.carried;
    for (CarriedValue& c : carried) c.init = Simplify(c.init);
    if (carried.empty()) {
      if (AsInt(extent).value_or(1) <= 0) return nullptr;
      // One thread is still a thread, and an instruction of one element still one: their loops say so.
      const bool means_more = loop.for_kind == ForKind::kThreadBound || !UnitOf(loop).empty();
      if (IsInt(extent, 1) && !means_more) return Simplify(Substitute(loop.body, {{loop.var, min}}));
    }
    analyzer_.Bind(loop.var, Range{min, extent});
    Constraint runs = analyzer_.Assume(Expr(0) < extent);
    Stmt body = Simplify(loop.body);
    if (!body) return nullptr;
    return MakeFor(loop.var, min, extent, loop.for_kind, body, loop.annotations, loop.thread_tag,
                   std::move(carried));
  }

  Stmt Under(const Expr& condition, const Stmt& s) {
    if (!s) return s;
    Constraint holds = analyzer_.Assume(condition);
    return Simplify(s);
  }

  Stmt SimplifyIf(const IfNode& branch) {
    Expr condition = Simplify(branch.condition);
    if (auto known = AsInt(condition)) return Simplify(*known ? branch.then_case : branch.else_case);
    return MakeIf(condition, Under(condition, branch.then_case), Under(MakeNot(condition), branch.else_case));
  }

  Stmt SimplifyLet(const LetStmtNode& let) {
    Expr value = Simplify(let.value);
    if (AsNumber(value) || value.kind() == ExprKind::kVar) {
      return Simplify(Substitute(let.body, {{let.var, value}}));
    }
    if (value.dtype() == DataType::Index()) analyzer_.Bind(let.var, analyzer_.ConstBound(value));
    Stmt body = Simplify(let.body);
    return body ? MakeLetStmt(let.var, value, body) : nullptr;
  }

  Analyzer analyzer_;
};

}  // namespace

Stmt SimplifyStmt(const Stmt& s, const std::vector<BoundVar>& outer) {
  return StmtSimplifier(outer).Simplify(s);
}

PrimFunc SimplifyFunc(const PrimFunc& f) {
  Stmt body = SimplifyStmt(f->body, {});
  return f.WithBody(body ? body : MakeEvaluate(MakeConst(kI32, 0)));
}

}  // namespace tilewright
