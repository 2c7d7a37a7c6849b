// SPDX-License-Identifier: Apache-2.0
// Evaluates a scalar expression, or one lane of a vector, under given values of its variables:
// constant folding, run-time shape arithmetic, and the reference that simplification is tested against.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <variant>

#include "tilewright/ir/expr.h"
#include "tilewright/ir/int_arith.h"

namespace tilewright {

/// An integer or bool (u64 by bit pattern), or a float of the node's own precision.
using ScalarValue = std::variant<int64_t, double>;
using VarValues = std::map<Var, int64_t, RefLess>;

/// The value of an integer or bool expression. No value where it is undefined (division by zero, overflow
/// of i64 index arithmetic, a shift out of range) or not known (a free variable, a load, an impure call).
/// Types other than i64 wrap around. `lane` picks a lane of a vector.
std::optional<int64_t> EvalInt(const Expr& e, const VarValues& values, int lane = 0);

/// As EvalInt, for floats too (f32 and f64, IEEE arithmetic; no transcendental intrinsics).
std::optional<ScalarValue> EvalScalar(const Expr& e, const VarValues& values, int lane = 0);

}  // namespace tilewright
