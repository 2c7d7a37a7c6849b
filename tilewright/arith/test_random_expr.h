// SPDX-License-Identifier: Apache-2.0
// Test support: random integer expressions and every assignment of their variables.
#pragma once

#include <algorithm>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "tilewright/arith/eval.h"
#include "tilewright/ir/expr.h"
#include "tilewright/ir/float16.h"

namespace tilewright::testing {

/// The number of fuzz cases: `standard`, scaled by TILEWRIGHT_FUZZ_CASES / 20000 where that is set.
inline int FuzzCases(int standard) {
  const char* text = std::getenv("TILEWRIGHT_FUZZ_CASES");
  return text ? std::max(1, int(std::atof(text) * standard / 100000)) : standard;
}

/// A seed from TILEWRIGHT_FUZZ_SEED, or a fixed one.
inline uint64_t FuzzSeed() {
  const char* text = std::getenv("TILEWRIGHT_FUZZ_SEED");
  return text ? std::strtoull(text, nullptr, 10) : 20260701;
}

class RandomExpr {
 public:
  RandomExpr(uint64_t seed, std::vector<Var> vars) : rng_(seed), vars_(std::move(vars)) {}

  int64_t Int(int64_t lo, int64_t hi) { return std::uniform_int_distribution<int64_t>(lo, hi)(rng_); }
  bool Chance(int percent) { return Int(1, 100) <= percent; }

  /// An index expression of at most `depth` levels.
  Expr Index(int depth) {
    if (depth == 0 || Chance(10)) return Leaf();
    switch (Int(0, 15)) {
      case 0:
      case 1:
      case 2:
        return Index(depth - 1) + Index(depth - 1);
      case 3:
        return Index(depth - 1) - Index(depth - 1);
      case 4:
        return Index(depth - 1) * Constant();
      case 5:
        return Index(depth - 1) * Index(depth - 1);
      case 6:
      case 7:
        return FloorDiv(Index(depth - 1), Divisor(depth));
      case 8:
      case 9:
        return FloorMod(Index(depth - 1), Divisor(depth));
      case 10:
        return Min(Index(depth - 1), Index(depth - 1));
      case 11:
        return Max(Index(depth - 1), Index(depth - 1));
      case 12:
        return MakeSelect(Condition(depth - 1), Index(depth - 1), Index(depth - 1));
      case 13:
        return MakeIfThenElse(Condition(depth - 1), Index(depth - 1), Index(depth - 1));
      case 14:
        return Chance(50) ? TruncDiv(Index(depth - 1), Divisor(depth))
                          : TruncMod(Index(depth - 1), Divisor(depth));
      default:
        return Chance(50) ? MakeCast(kI64, Narrow(depth - 1)) : LetOf(depth);
    }
  }

  Expr Condition(int depth) {
    if (depth > 0 && Chance(30)) {
      if (Chance(20)) return MakeNot(Condition(depth - 1));
      return Chance(50) ? Condition(depth - 1) && Condition(depth - 1)
                        : Condition(depth - 1) || Condition(depth - 1);
    }
    return Comparison(Index(depth), Index(depth));
  }

  /// An expression of a type that wraps around.
  Expr Narrow(int depth) {
    static const DataType kTypes[] = {kI8, kU8, kI16, kI32, kU32, kU64};
    return OfType(kTypes[Int(0, 5)], depth);
  }

  Expr OfType(DataType t, int depth) {
    if (depth <= 0 || Chance(20))
      return Chance(30) ? MakeConst(t, WrapToType(Int(-3, 260), t)) : MakeCast(t, Leaf());
    const Expr a = OfType(t, depth - 1), b = OfType(t, depth - 1);
    switch (Int(0, 8)) {
      case 0:
        return a + b;
      case 1:
        return a - b;
      case 2:
        return a * b;
      case 3:
        return FloorDiv(a, b);
      case 4:
        return FloorMod(a, b);
      case 5:
        return Min(a, b);
      case 6:
        return Max(a, b);
      case 7:
        return MakeSelect(Comparison(a, b), OfType(t, depth - 1), b);
      default:
        return MakeCast(t, Narrow(depth - 1));
    }
  }

  /// Floats of type `t`, special ones among the constants.
  Expr Float(DataType t, int depth) {
    if (depth <= 0 || Chance(15)) {
      static const double kSpecial[] = {
          0.0, -0.0, 1, -1, 0.5, -8, 3, 0.25, __builtin_inf(), __builtin_nan("")};
      return Chance(50) ? MakeConst(t, kSpecial[Int(0, 9)]) : MakeCast(t, Leaf());
    }
    const Expr a = Float(t, depth - 1), b = Chance(30) ? a : Float(t, depth - 1);
    switch (Int(0, 7)) {
      case 0:
        return a + b;
      case 1:
        return a - b;
      case 2:
        return a * b;
      case 3:
        return a / b;
      case 4:
        return Min(a, b);
      case 5:
        return Max(a, b);
      case 6:
        return a * MakeConst(t, -1);
      default:
        return MakeSelect(Comparison(a, Float(t, depth - 1)), a, b);
    }
  }

  /// Vectors of indices: operations on ramps and broadcasts.
  Expr Vector(int lanes, int depth) {
    if (depth <= 0 || Chance(15)) {
      return Chance(50) ? MakeBroadcast(Index(1), lanes) : MakeRamp(Index(1), Expr(Int(-3, 9)), lanes);
    }
    const Expr a = Vector(lanes, depth - 1), b = Chance(20) ? a : Vector(lanes, depth - 1);
    switch (Int(0, 7)) {
      case 0:
      case 1:
        return a + b;
      case 2:
        return a - b;
      case 3:
        return a * (Chance(70) ? MakeBroadcast(Expr(Constant()), lanes) : b);
      case 4:
        return FloorDiv(a, MakeBroadcast(Divisor(1), lanes));
      case 5:
        return FloorMod(a, MakeBroadcast(Divisor(1), lanes));
      case 6:
        return Chance(50) ? Min(a, b) : Max(a, b);
      default:
        return MakeSelect(Comparison(a, Vector(lanes, depth - 1)), a, b);
    }
  }

  Expr Comparison(const Expr& a, const Expr& b) {
    switch (Int(0, 5)) {
      case 0:
        return a < b;
      case 1:
        return a <= b;
      case 2:
        return a > b;
      case 3:
        return a >= b;
      case 4:
        return Eq(a, b);
      default:
        return Ne(a, b);
    }
  }

  const std::vector<Var>& vars() const { return vars_; }

 private:
  Expr Leaf() {
    return Chance(25) ? Expr(Constant()) : Expr(vars_[size_t(Int(0, int64_t(vars_.size()) - 1))]);
  }

  int64_t Constant() {
    static const int64_t kUseful[] = {-8, -4, -2, -1, 0, 1, 2, 3, 4, 6, 7, 8, 12, 14, 16};
    return Chance(70) ? kUseful[Int(0, 14)] : Int(-20, 20);
  }

  Expr Divisor(int depth) {
    static const int64_t kUseful[] = {2, 2, 3, 4, 4, 6, 7, 8, 12, 14, 16, -2, -4};
    return Chance(80) ? Expr(kUseful[Int(0, 12)]) : Index(depth - 1);
  }

  Expr LetOf(int depth) {
    const Expr value = Index(depth - 1);
    const Var var("t" + std::to_string(next_let_++));
    vars_.push_back(var);
    const Expr body = Index(depth - 1);
    vars_.pop_back();
    return MakeLet(var, value, body);
  }

  std::mt19937_64 rng_;
  std::vector<Var> vars_;
  int next_let_ = 0;
};

/// Calls `f` on every assignment of values in [lo, hi] to the variables.
template <class F>
void ForEachAssignment(const std::vector<Var>& vars, const std::vector<std::pair<int64_t, int64_t>>& ranges,
                       F f) {
  VarValues values;
  auto rec = [&](auto& self, size_t at) -> void {
    if (at == vars.size()) return f(values);
    for (int64_t v = ranges[at].first; v <= ranges[at].second; ++v) {
      values[vars[at]] = v;
      self(self, at + 1);
    }
  };
  rec(rec, 0);
}

}  // namespace tilewright::testing
