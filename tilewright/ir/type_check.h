// SPDX-License-Identifier: Apache-2.0
// Typing rules of expressions, in one place for the text parser (before a node is built) and the verifiers
// (after). Each function returns what is wrong, or an empty string.
#pragma once

#include <span>
#include <string>

#include "tilewright/ir/expr.h"

namespace tilewright {

std::string BinaryTypeProblem(BinaryOp op, DataType a, DataType b);
std::string CastTypeProblem(DataType to, DataType from);
/// Of select (a scalar or lane-wise condition) and if_then_else (a scalar one).
std::string ChoiceTypeProblem(bool lane_wise, DataType condition, DataType a, DataType b);
std::string CallTypeProblem(Intrinsic op, DataType result, std::span<const Expr> args);
/// Indices are integers, scalar or all of one vector length; a predicate is bool with the access's lanes.
std::string AccessTypeProblem(const Buffer& buffer, std::span<const Expr> indices, const Expr& predicate);
std::string RampTypeProblem(DataType base, DataType stride, int64_t lanes);
std::string BroadcastTypeProblem(DataType value, int64_t lanes);
std::string ShuffleTypeProblem(std::span<const Expr> vectors, std::span<const int> lanes);
/// Of the value, against the buffer and the lanes that the indices select.
std::string StoreTypeProblem(const Buffer& buffer, std::span<const Expr> indices, const Expr& predicate,
                             DataType value);

/// The rules for one node and its direct operands.
std::string TypeProblem(const Expr& e);

}  // namespace tilewright
