// SPDX-License-Identifier: Apache-2.0
// Internal to arith: rewrites outside index arithmetic, as rows of a table. The rules for a row: it holds
// for every value of its wildcards in every type that it names (floats: bit for bit under IEEE 754, any NaN
// standing for any other); its right side is smaller, or moves a constant to the right; it introduces no
// division. A test holds each row to evaluation.
#pragma once

#include <array>
#include <span>
#include <string_view>

#include "tilewright/ir/expr.h"

namespace tilewright {

/// The types that a rule holds for, as a mask.
enum RuleTypes : uint8_t {
  kWrapping = 1,  ///< integers; those that wrap around, and vectors of indices
  kFloats = 2,
  kBools = 4,
};

/// Wildcards: x, y, z match anything, c and d constants.
enum class Wildcard : uint8_t { kX, kY, kZ, kC, kD };
using Match = std::array<Expr, 5>;

struct RewriteRule {
  Expr from, to;  ///< over the wildcards; types in them mean nothing
  uint8_t types;
  bool (*condition)(const Match&) = nullptr;
};

std::span<const RewriteRule> RewriteRules();
/// The wildcards of `pattern` as they are in `e`, if it has that form. Equal operands are one node.
bool MatchPattern(const Expr& pattern, const Expr& e, Match& match);
/// The pattern with its wildcards replaced; `make` builds each operation, `dtype` is that of constants.
Expr BuildPattern(const Expr& pattern, const Match& match, DataType dtype,
                  const std::function<Expr(BinaryOp, const Expr&, const Expr&)>& make);
bool RuleHolds(const RewriteRule& rule, DataType operand);

}  // namespace tilewright
