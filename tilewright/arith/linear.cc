// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/linear.h"

#include <algorithm>

namespace tilewright {

namespace {

class LinearDetector {
 public:
  explicit LinearDetector(std::span<const Var> vars) : vars_(vars) {}

  std::optional<LinearForm> Detect(const Expr& e) const {
    if (!UsesAny(e)) return LinearForm{Zeros(e.dtype()), e};
    if (e.kind() == ExprKind::kVar) {
      LinearForm form{Zeros(e.dtype()), MakeConst(e.dtype(), 0)};
      for (size_t i = 0; i < vars_.size(); ++i) {
        if (vars_[i].get() == e.get()) form.coefficients[i] = MakeConst(e.dtype(), 1);
      }
      return form;
    }
    auto* n = e.As<BinaryNode>();
    if (!n) return std::nullopt;
    if (n->op == BinaryOp::kAdd || n->op == BinaryOp::kSub) return Combine(n->op, Detect(n->a), Detect(n->b));
    if (n->op != BinaryOp::kMul) return std::nullopt;
    if (!UsesAny(n->b)) return Scale(Detect(n->a), n->b);
    if (!UsesAny(n->a)) return Scale(Detect(n->b), n->a);
    return std::nullopt;
  }

 private:
  bool UsesAny(const Expr& e) const {
    return std::any_of(vars_.begin(), vars_.end(), [&](const Var& v) { return UsesVar(e, v); });
  }

  std::vector<Expr> Zeros(DataType t) const { return std::vector<Expr>(vars_.size(), MakeConst(t, 0)); }

  static std::optional<LinearForm> Combine(BinaryOp op, std::optional<LinearForm> a,
                                           std::optional<LinearForm> b) {
    if (!a || !b) return std::nullopt;
    for (size_t i = 0; i < a->coefficients.size(); ++i) {
      a->coefficients[i] = MakeBinary(op, a->coefficients[i], b->coefficients[i]);
    }
    a->base = MakeBinary(op, a->base, b->base);
    return a;
  }

  static std::optional<LinearForm> Scale(std::optional<LinearForm> a, const Expr& factor) {
    if (!a) return std::nullopt;
    for (Expr& c : a->coefficients) c = c * factor;
    a->base = a->base * factor;
    return a;
  }

  std::span<const Var> vars_;
};

}  // namespace

std::optional<LinearForm> DetectLinear(const Expr& e, std::span<const Var> vars, Analyzer& analyzer) {
  if (!e.dtype().is_integer() || !e.dtype().is_scalar()) return std::nullopt;
  const LinearDetector detector(vars);
  // Simplification may uncover a linear form (i//8*8 + i%8), or replace a variable by what it equals.
  auto form = detector.Detect(e);
  if (!form) form = detector.Detect(analyzer.Simplify(e));
  if (!form) return std::nullopt;
  for (Expr& c : form->coefficients) c = analyzer.Simplify(c);
  form->base = analyzer.Simplify(form->base);
  return form;
}

namespace {

/// lower and upper bounds that hold together.
VarBounds Both(const VarBounds& a, const VarBounds& b, Analyzer& analyzer) {
  VarBounds r;
  r.lower = !a.lower ? b.lower : !b.lower ? a.lower : analyzer.Simplify(Max(a.lower, b.lower));
  r.upper = !a.upper ? b.upper : !b.upper ? a.upper : analyzer.Simplify(Min(a.upper, b.upper));
  return r;
}

/// The solution of small <= large.
std::optional<VarBounds> SolveLe(const Expr& small, const Expr& large, const Var& var, Analyzer& analyzer) {
  const auto form = DetectLinear(small - large, {&var, 1}, analyzer);
  if (!form) return std::nullopt;
  const Expr& k = form->coefficients[0];
  if (IsInt(k, 0)) return std::nullopt;
  // k * var <= -base
  if (analyzer.CanProve(k > 0)) return VarBounds{nullptr, analyzer.Simplify(FloorDiv(0 - form->base, k))};
  if (analyzer.CanProve(k < 0)) return VarBounds{analyzer.Simplify(CeilDiv(form->base, 0 - k)), nullptr};
  return std::nullopt;
}

}  // namespace

std::optional<VarBounds> SolveForBound(const Expr& condition, const Var& var, Analyzer& analyzer) {
  if (auto* call = condition.As<CallNode>(); call && call->op == Intrinsic::k_likely) {
    return SolveForBound(call->args[0], var, analyzer);
  }
  if (auto* n = condition.As<NotNode>()) {
    auto* inner = n->value.As<BinaryNode>();
    if (!inner || inner->a.dtype() != DataType::Index()) return std::nullopt;
    if (inner->op == BinaryOp::kLt) return SolveLe(inner->b, inner->a, var, analyzer);
    if (inner->op == BinaryOp::kLe) return SolveLe(inner->b + 1, inner->a, var, analyzer);
    return std::nullopt;
  }
  auto* n = condition.As<BinaryNode>();
  if (!n) return std::nullopt;
  if (n->op == BinaryOp::kAnd) {
    const auto a = SolveForBound(n->a, var, analyzer), b = SolveForBound(n->b, var, analyzer);
    return a && b ? std::optional(Both(*a, *b, analyzer)) : std::nullopt;
  }
  if (n->a.dtype() != DataType::Index()) return std::nullopt;
  switch (n->op) {
    case BinaryOp::kLe:
      return SolveLe(n->a, n->b, var, analyzer);
    case BinaryOp::kLt:
      return SolveLe(n->a + 1, n->b, var, analyzer);
    case BinaryOp::kEq: {
      const auto a = SolveLe(n->a, n->b, var, analyzer), b = SolveLe(n->b, n->a, var, analyzer);
      return a && b ? std::optional(Both(*a, *b, analyzer)) : std::nullopt;
    }
    default:
      return std::nullopt;
  }
}

}  // namespace tilewright
