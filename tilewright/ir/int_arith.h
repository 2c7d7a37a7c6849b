// SPDX-License-Identifier: Apache-2.0
// Integer operations of the IR on values: what construction folds, evaluation computes and proofs rest on.
#pragma once

#include <cstdint>
#include <optional>

#include "tilewright/ir/expr.h"

namespace tilewright {

/// One operation on values of the integer or bool type `operand` (u64 by bit pattern). No value where it is
/// undefined: division by zero, overflow of i64. Other types wrap around.
std::optional<int64_t> EvalIntBinary(BinaryOp op, DataType operand, int64_t a, int64_t b);

/// Floor division and modulus; b is neither 0 nor, for a == INT64_MIN, -1.
int64_t FloorDivInt(int64_t a, int64_t b);
int64_t FloorModInt(int64_t a, int64_t b);

/// The largest divisor of n that is at most `limit` (at least 1).
int64_t LargestDivisor(int64_t n, int64_t limit);

}  // namespace tilewright
