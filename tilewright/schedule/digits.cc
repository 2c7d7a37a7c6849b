// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/digits.h"

#include <algorithm>
#include <numeric>

namespace tilewright {

Expr Digit::ToExpr() const {
  Expr e = upper ? FloorMod(source, upper) : source;
  return FloorDiv(e, lower);
}

namespace {

class Parser {
 public:
  explicit Parser(const std::vector<Var>& vars) : vars_(vars) {}

  std::optional<DigitSum> Parse(const Expr& e) const {
    if (!Uses(e)) return DigitSum{e, {}};
    if (e.kind() == ExprKind::kVar) return DigitSum{Expr(0), {{1, {e, Expr(1), nullptr}}}};
    auto* n = e.As<BinaryNode>();
    if (!n) return std::nullopt;
    switch (n->op) {
      case BinaryOp::kAdd:
        return Sum(Parse(n->a), Parse(n->b), 1);
      case BinaryOp::kSub:
        return Sum(Parse(n->a), Parse(n->b), -1);
      case BinaryOp::kMul:
        if (auto factor = AsInt(n->b)) return Scaled(Parse(n->a), *factor);
        if (auto factor = AsInt(n->a)) return Scaled(Parse(n->b), *factor);
        return std::nullopt;
      case BinaryOp::kFloorDiv:
        return Uses(n->b) ? std::nullopt : Divided(n->a, n->b, true);
      case BinaryOp::kFloorMod:
        return Uses(n->b) ? std::nullopt : Divided(n->a, n->b, false);
      default:
        return std::nullopt;
    }
  }

 private:
  bool Uses(const Expr& e) const {
    return std::any_of(vars_.begin(), vars_.end(), [&](const Var& v) { return UsesVar(e, v); });
  }

  static std::optional<DigitSum> Sum(std::optional<DigitSum> a, std::optional<DigitSum> b, int64_t sign) {
    if (!a || !b) return std::nullopt;
    a->constant = sign > 0 ? a->constant + b->constant : a->constant - b->constant;
    for (DigitTerm& t : b->terms) {
      t.coefficient *= sign;
      a->terms.push_back(std::move(t));
    }
    return a;
  }

  static std::optional<DigitSum> Scaled(std::optional<DigitSum> a, int64_t factor) {
    if (!a) return std::nullopt;
    a->constant = a->constant * Expr(factor);
    for (DigitTerm& t : a->terms) t.coefficient *= factor;
    return a;
  }

  /// A quotient or remainder of a digit is a digit of the same source; of anything else it is a digit of
  /// that.
  std::optional<DigitSum> Divided(const Expr& a, const Expr& by, bool quotient) const {
    Digit digit{a, Expr(1), nullptr};
    auto inner = Parse(a);
    if (inner && inner->terms.size() == 1 && inner->terms[0].coefficient == 1 && IsInt(inner->constant, 0)) {
      digit = inner->terms[0].digit;
    }
    if (quotient) {
      digit.lower = digit.lower * by;
    } else {
      Expr upper = digit.lower * by;
      if (digit.upper) {
        // (x % u) % m is x % m only where m divides u.
        auto u = AsInt(digit.upper), m = AsInt(upper);
        if (!u || !m || *u % *m != 0) return std::nullopt;
      }
      digit.upper = upper;
    }
    if (bool(digit.upper) && !IsMultiple(digit.upper, digit.lower)) return std::nullopt;
    return DigitSum{Expr(0), {{1, std::move(digit)}}};
  }

  static bool IsMultiple(const Expr& upper, const Expr& lower) {
    auto u = AsInt(upper), l = AsInt(lower);
    if (u && l) return *l != 0 && *u % *l == 0;
    // Symbolic bounds arise as lower * factor.
    if (IsInt(lower, 1) || StructuralEqual(upper, lower)) return true;
    auto* product = upper.As<BinaryNode>();
    return product && product->op == BinaryOp::kMul &&
           (StructuralEqual(product->a, lower) || StructuralEqual(product->b, lower));
  }

  const std::vector<Var>& vars_;
};

/// Finds which sources are determined by a set of expressions, from the outside in.
class DigitTracker {
 public:
  DigitTracker(const std::vector<Var>& vars, const Bounds& bounds) : vars_(vars), bounds_(bounds) {}

  std::vector<bool> Run(const std::vector<Expr>& exprs) {
    std::vector<Expr> pending = exprs;
    while (!pending.empty()) {
      for (const Expr& e : pending) AddExpr(e);
      pending.clear();
      for (auto& source : sources_) {
        if (!source.known) Advance(source, pending);
      }
    }
    std::vector<bool> determined;
    for (const Var& v : vars_) determined.push_back(Known(v) || bounds_.ConstExtent(v) == 1);
    return determined;
  }

 private:
  struct Source {
    Expr expr;
    std::vector<Digit> digits;
    std::vector<Expr> reached = {Expr(1)};  ///< its remainders by these are told by its digits
    bool known = false;
  };

  bool Known(const Var& v) const {
    return std::any_of(sources_.begin(), sources_.end(),
                       [&](const Source& s) { return s.known && s.expr == v; });
  }

  void AddExpr(const Expr& e) {
    auto sum = Parser(vars_).Parse(e);
    if (!sum || !Separable(sum->terms)) return;
    for (DigitTerm& t : sum->terms) {
      for (Digit& shorter : Shortened(t.digit)) AddDigit(std::move(shorter));
      if (auto whole = OfWhole(t.digit)) AddDigit(std::move(*whole));
      AddDigit(std::move(t.digit));
    }
  }

  void AddDigit(Digit digit) {
    auto it = std::find_if(sources_.begin(), sources_.end(),
                           [&](const Source& s) { return StructuralEqual(s.expr, digit.source); });
    if (it == sources_.end()) it = sources_.insert(it, Source{digit.source, {}});
    it->digits.push_back(std::move(digit));
  }

  /// Digits of a sum that begin at a multiple of what some of its terms share are digits of a shorter sum
  /// too: (f * 16 + g) // 24 is (f * 2 + g // 8) // 3. The simplifier shortens those that it can shorten to
  /// the end, as (f * 16 + g) // 8 % 3, so that digits of one number come from different sources.
  std::vector<Digit> Shortened(const Digit& digit) const {
    auto lower = AsInt(digit.lower), upper = digit.upper ? AsInt(digit.upper) : std::nullopt;
    if (!lower || (bool(digit.upper) && !upper)) return {};
    const std::vector<Var> vars = FreeVars(digit.source);
    const auto sum = Parser(vars).Parse(digit.source);
    if (!sum || sum->terms.size() < 2) return {};
    int64_t most = 1;
    for (const DigitTerm& t : sum->terms) most = std::max(most, std::gcd(t.coefficient, *lower));
    std::vector<Digit> shorter;
    for (int64_t g = 2; g <= most; ++g) {
      if (most % g) continue;
      Expr quotient = bounds_.Simplify(FloorDiv(digit.source, Expr(g)));
      auto* whole = quotient.As<BinaryNode>();
      if (whole && whole->op == BinaryOp::kFloorDiv) continue;
      shorter.push_back({quotient, Expr(*lower / g), upper ? Expr(*upper / g) : Expr()});
    }
    return shorter;
  }

  /// A digit of x % c * k + r, where r < k, is a digit of x * k + r, below c * k. The simplifier drops the
  /// remainder by c from digits that end below, so that digits of one number come from different sources.
  std::optional<Digit> OfWhole(const Digit& digit) const {
    const auto lower = AsInt(digit.lower), upper = digit.upper ? AsInt(digit.upper) : std::nullopt;
    if (!lower || (bool(digit.upper) && !upper)) return std::nullopt;
    const std::vector<Var> vars = FreeVars(digit.source);
    const auto sum = Parser(vars).Parse(digit.source);
    if (!sum || sum->terms.size() < 2) return std::nullopt;
    for (const DigitTerm& t : sum->terms) {
      const auto c = t.digit.upper ? AsInt(t.digit.upper) : std::nullopt;
      const Expr k(t.coefficient);
      int64_t end;
      if (!c || !IsInt(t.digit.lower, 1) || t.coefficient <= 1 ||
          __builtin_mul_overflow(*c, t.coefficient, &end))
        continue;
      if (end % upper.value_or(*lower)) continue;
      const Expr rest = bounds_.Simplify(digit.source - t.digit.ToExpr() * k);
      if (!bounds_.Prove(rest >= Expr(0)) || !bounds_.Prove(rest < k)) continue;
      return Digit{bounds_.Simplify(t.digit.source * k + rest), digit.lower, Expr(upper.value_or(end))};
    }
    return std::nullopt;
  }

  /// Terms sorted by weight, each larger than all below can add up to: the sum determines each digit.
  bool Separable(std::vector<DigitTerm>& terms) const {
    std::sort(terms.begin(), terms.end(), [](const DigitTerm& a, const DigitTerm& b) {
      return std::abs(a.coefficient) < std::abs(b.coefficient);
    });
    int64_t below = 0;
    for (size_t i = 0; i < terms.size(); ++i) {
      const int64_t weight = std::abs(terms[i].coefficient);
      if (weight <= below) return false;
      if (i + 1 == terms.size()) break;
      auto values = bounds_.ConstExtent(terms[i].digit.ToExpr());
      int64_t span;
      if (!values || __builtin_mul_overflow(weight, *values - 1, &span) ||
          __builtin_add_overflow(below, span, &below)) {
        return false;
      }
    }
    return true;
  }

  /// What the digits of a source tell: remainders by more and more, in the end all of it. Each may be a sum
  /// of digits of something else.
  void Advance(Source& source, std::vector<Expr>& pending) const {
    for (size_t i = 0; i < source.reached.size() && !source.known; ++i) {
      const Expr end = source.reached[i];
      source.known = bounds_.Prove(source.expr < end) && bounds_.Prove(source.expr >= Expr(0));
      for (const Digit& d : source.digits) {
        if (!bounds_.ProveEqual(d.lower, end)) continue;
        if (!d.upper) {
          source.known = true;
        } else if (std::none_of(source.reached.begin(), source.reached.end(),
                                [&](const Expr& r) { return StructuralEqual(r, d.upper); })) {
          source.reached.push_back(d.upper);
          pending.push_back(bounds_.Simplify(FloorMod(source.expr, d.upper)));
        }
      }
    }
    if (source.known && source.expr.kind() != ExprKind::kVar) pending.push_back(source.expr);
  }

  const std::vector<Var>& vars_;
  const Bounds& bounds_;
  std::vector<Source> sources_;
};

}  // namespace

std::optional<DigitSum> ParseDigits(const Expr& e, const std::vector<Var>& vars) {
  return Parser(vars).Parse(e);
}

std::vector<bool> Determined(const std::vector<Expr>& exprs, const std::vector<Var>& vars,
                             const Bounds& bounds) {
  return DigitTracker(vars, bounds).Run(exprs);
}

}  // namespace tilewright
