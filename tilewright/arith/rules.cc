// SPDX-License-Identifier: Apache-2.0
#include "tilewright/arith/rules.h"

#include <cmath>
#include <limits>

namespace tilewright {

namespace {

/// A pattern under construction. Its nodes are made without type checks or folding.
struct P {
  Expr e;
  P(Expr x) : e(std::move(x)) {}
  P(int value) : e(value) {}
};

P Make(BinaryOp op, const P& a, const P& b) { return P(Expr(new BinaryNode(op, kI64, a.e, b.e))); }
P operator+(const P& a, const P& b) { return Make(BinaryOp::kAdd, a, b); }
P operator-(const P& a, const P& b) { return Make(BinaryOp::kSub, a, b); }
P operator*(const P& a, const P& b) { return Make(BinaryOp::kMul, a, b); }
P operator/(const P& a, const P& b) { return Make(BinaryOp::kDiv, a, b); }
P min(const P& a, const P& b) { return Make(BinaryOp::kMin, a, b); }
P max(const P& a, const P& b) { return Make(BinaryOp::kMax, a, b); }
P floordiv(const P& a, const P& b) { return Make(BinaryOp::kFloorDiv, a, b); }
P floormod(const P& a, const P& b) { return Make(BinaryOp::kFloorMod, a, b); }
P truncdiv(const P& a, const P& b) { return Make(BinaryOp::kTruncDiv, a, b); }
P truncmod(const P& a, const P& b) { return Make(BinaryOp::kTruncMod, a, b); }
P both(const P& a, const P& b) { return Make(BinaryOp::kAnd, a, b); }
P either(const P& a, const P& b) { return Make(BinaryOp::kOr, a, b); }
P eq(const P& a, const P& b) { return Make(BinaryOp::kEq, a, b); }
P ne(const P& a, const P& b) { return Make(BinaryOp::kNe, a, b); }
P lt(const P& a, const P& b) { return Make(BinaryOp::kLt, a, b); }
P le(const P& a, const P& b) { return Make(BinaryOp::kLe, a, b); }

constexpr size_t Index(Wildcard w) { return size_t(w); }

/// The value of a constant, or of a broadcast one.
std::optional<double> NumberOf(const Expr& e) {
  if (auto* b = e.As<BroadcastNode>()) return AsNumber(b->value);
  return AsNumber(e);
}

double C(const Match& m) { return *NumberOf(m[Index(Wildcard::kC)]); }
bool IsPlusZero(const Match& m) { return C(m) == 0 && !std::signbit(C(m)); }
bool IsMinusZero(const Match& m) { return C(m) == 0 && std::signbit(C(m)); }

/// Dividing x by c and multiplying it by 1/c round alike: c is a power of two whose inverse is normal in f32.
/// Constants and 16-bit floats are left as they are: where 1/c does not fold, it would match again.
bool HasExactInverse(const Match& m) {
  const Expr &x = m[Index(Wildcard::kX)], &c = m[Index(Wildcard::kC)];
  if (NumberOf(x) || c.dtype().bits < 32) return false;
  int exponent;
  return std::isfinite(C(m)) && std::abs(std::frexp(C(m), &exponent)) == 0.5 && std::abs(exponent) < 120;
}

bool XIsConstant(const Match& m) {
  return NumberOf(m[Index(Wildcard::kC)]).has_value() && !NumberOf(m[Index(Wildcard::kX)]).has_value();
}

const std::array<Var, 5>& Wildcards() {
  static const std::array<Var, 5> vars{Var("x"), Var("y"), Var("z"), Var("c"), Var("d")};
  return vars;
}

std::vector<RewriteRule> MakeRules() {
  const auto& w = Wildcards();
  const P x(w[0]), y(w[1]), c(w[3]), d(w[4]);
  constexpr uint8_t kAll = kWrapping | kFloats | kBools;
  constexpr uint8_t kNumbers = kWrapping | kFloats;
  constexpr uint8_t kExact = kWrapping | kBools;
  std::vector<RewriteRule> rules;
  auto rule = [&](const P& from, const P& to, uint8_t types, bool (*condition)(const Match&) = nullptr) {
    rules.push_back({from.e, to.e, types, condition});
  };
  // Constants to the right, and together.
  rule(c + x, x + c, kNumbers, XIsConstant);
  rule(c * x, x * c, kNumbers, XIsConstant);
  rule(min(c, x), min(x, c), kWrapping, XIsConstant);
  rule(max(c, x), max(x, c), kWrapping, XIsConstant);
  rule((x + c) + d, x + (c + d), kWrapping);
  rule((x - c) + d, x + (d - c), kWrapping);
  rule((x + c) - d, x + (c - d), kWrapping);
  rule((x - c) - d, x - (c + d), kWrapping);
  rule((c - x) + d, (c + d) - x, kWrapping);
  rule((x * c) * d, x * (c * d), kWrapping);
  rule((x + c) + y, (x + y) + c, kWrapping);
  rule(min(min(x, c), d), min(x, min(c, d)), kWrapping);
  rule(max(max(x, c), d), max(x, max(c, d)), kWrapping);
  // Terms that cancel. Floats would lose NaN and rounding.
  rule(x - x, 0, kWrapping);
  rule((x + y) - x, y, kWrapping);
  rule((x + y) - y, x, kWrapping);
  rule((x - y) + y, x, kWrapping);
  rule(x + (y - x), y, kWrapping);
  rule(x - (x - y), y, kWrapping);
  rule((x + y) - (x + c), y - c, kWrapping);
  // Signs and units of floats: x + 0 is not x for x = -0, x * 0 is not 0 for infinities.
  rule(x - c, x, kFloats, IsPlusZero);
  rule(x + c, x, kFloats, IsMinusZero);
  rule(x * 1, x, kFloats);
  rule(x / 1, x, kFloats);
  rule(x / c, x * (1 / c), kFloats, HasExactInverse);
  rule((x * -1) * -1, x, kFloats);
  rule((x * -1) * c, x * (c * -1), kFloats);
  rule(x + y * -1, x - y, kFloats);
  rule(x * -1 + y, y - x, kFloats);
  rule(x - y * -1, x + y, kFloats);
  // Quotients: what is divided by is not 0.
  rule(floordiv(x, x), 1, kWrapping);
  rule(floormod(x, x), 0, kWrapping);
  rule(truncdiv(x, x), 1, kWrapping);
  rule(truncmod(x, x), 0, kWrapping);
  // Lattices. max(min(x, y), y) is not y for floats: x may be NaN.
  rule(min(x, x), x, kAll);
  rule(max(x, x), x, kAll);
  rule(min(min(x, y), x), min(x, y), kNumbers);
  rule(min(min(x, y), y), min(x, y), kNumbers);
  rule(max(max(x, y), x), max(x, y), kNumbers);
  rule(max(max(x, y), y), max(x, y), kNumbers);
  rule(min(max(x, y), x), x, kWrapping);
  rule(min(max(x, y), y), y, kWrapping);
  rule(max(min(x, y), x), x, kWrapping);
  rule(max(min(x, y), y), y, kWrapping);
  rule(both(x, x), x, kBools);
  rule(either(x, x), x, kBools);
  rule(both(x, either(x, y)), x, kBools);
  rule(either(x, both(x, y)), x, kBools);
  // Comparisons of equals; x == x is false for NaN.
  rule(eq(x, x), 1, kExact);
  rule(ne(x, x), 0, kExact);
  rule(le(x, x), 1, kExact);
  rule(lt(x, x), 0, kAll);
  rule(eq(x + c, d), eq(x, d - c), kWrapping);
  rule(ne(x + c, d), ne(x, d - c), kWrapping);
  return rules;
}

}  // namespace

std::span<const RewriteRule> RewriteRules() {
  static const std::vector<RewriteRule> rules = MakeRules();
  return rules;
}

bool MatchPattern(const Expr& pattern, const Expr& e, Match& match) {
  if (pattern.kind() == ExprKind::kVar) {
    const auto& w = Wildcards();
    for (size_t i = 0; i < w.size(); ++i) {
      if (w[i].get() != pattern.get()) continue;
      if (match[i]) return match[i] == e;
      if (i >= Index(Wildcard::kC) && !NumberOf(e)) return false;
      match[i] = e;
      return true;
    }
  }
  if (auto value = AsInt(pattern)) {
    const auto number = NumberOf(e);
    return number && *number == double(*value) && !std::signbit(*number) == (*value >= 0);
  }
  auto *p = pattern.As<BinaryNode>(), *n = e.As<BinaryNode>();
  return n && p->op == n->op && MatchPattern(p->a, n->a, match) && MatchPattern(p->b, n->b, match);
}

Expr BuildPattern(const Expr& pattern, const Match& match, DataType dtype,
                  const std::function<Expr(BinaryOp, const Expr&, const Expr&)>& make) {
  if (pattern.kind() == ExprKind::kVar) {
    const auto& w = Wildcards();
    for (size_t i = 0; i < w.size(); ++i) {
      if (w[i].get() == pattern.get()) return match[i];
    }
  }
  if (auto value = AsInt(pattern)) return MakeConst(dtype, *value);
  auto* p = pattern.As<BinaryNode>();
  return make(p->op, BuildPattern(p->a, match, dtype, make), BuildPattern(p->b, match, dtype, make));
}

bool RuleHolds(const RewriteRule& rule, DataType t) {
  if (t.is_integer()) return rule.types & kWrapping;
  if (t.is_bool()) return rule.types & kBools;
  return t.is_float() && (rule.types & kFloats);
}

}  // namespace tilewright
