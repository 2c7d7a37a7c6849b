// SPDX-License-Identifier: Apache-2.0
// Values of the reference interpreter and what each operation does to them: docs/ir.md as code.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "tilewright/ir/expr.h"

namespace tilewright::interpret {

/// A scalar, or one lane of a vector: `i` for integers and bool (in the range of their type; u64 by bit
/// pattern), `d` for floats (a value of their type). A poisoned value was computed from an element that
/// nothing has written.
struct Lane {
  union {
    int64_t i;
    double d;
  };
  bool poison = false;

  Lane() : i(0) {}
  static Lane Int(int64_t value, bool poison = false) {
    Lane lane;
    lane.i = value;
    lane.poison = poison;
    return lane;
  }
  static Lane Float(double value, bool poison = false) {
    Lane lane;
    lane.d = value;
    lane.poison = poison;
    return lane;
  }
};

/// Thrown where execution cannot go on; the interpreter adds where it was.
struct Problem {
  std::string id;
  std::string message;
};

/// `t` is the operands' element type. Throws Problem TW1603 for an integer division by zero.
Lane ApplyBinary(BinaryOp op, DataType t, Lane a, Lane b);
Lane ApplyCast(DataType to, DataType from, Lane value);
/// Lane-wise intrinsics, on arguments of element type `t`. Throws Problem TW1603 for a shift out of range.
Lane ApplyCall(Intrinsic op, DataType result, DataType t, std::span<const Lane> args);
/// True for the intrinsics that ApplyCall knows.
bool IsLaneWise(Intrinsic op);

/// An element in memory, at `p`, of an element type that NDArray can hold.
Lane ReadElement(DataType t, const char* p);
void WriteElement(DataType t, char* p, Lane value);

}  // namespace tilewright::interpret
