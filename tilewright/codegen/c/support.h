// SPDX-License-Identifier: Apache-2.0
// The part of a source that does not come from a kernel: types and small inline functions, of which a source
// gets those that it uses.
//
// How values are held: integers and floats as C's; bool as C's bool, in memory a byte; f16 and bf16 as the
// bits, in a uint16_t, for operations that convert to float. A vector is one of GCC's, with its lanes filled
// up to a power of two; of a vector of bool each lane is an i8 that is 0 or -1 (a "mask").
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright::c_codegen {

class Support {
 public:
  /// The type of values, "f32", "bool", "i32x4"; a vector type is defined by being named.
  std::string Type(DataType t);
  /// The type of an element in memory: "f32", "u8" of bool.
  static std::string MemoryType(DataType t);
  /// The vector of integers, 0 or -1, that chooses lanes of `bits` bits.
  std::string MaskType(int bits, int lanes);

  // Names of functions, defined by being asked for. `t` is the type of the arguments.

  /// f(a, b) or, with one argument, f(a), for what is no operator of C on that type.
  std::string BinaryFunction(BinaryOp op, DataType t);
  /// Of intrinsics with arguments of one type, but for reinterpret.
  std::string IntrinsicFunction(Intrinsic op, DataType t);
  std::string Reinterpret(DataType from, DataType to);
  /// Conversions from or to 16-bit floats.
  std::string ConvertHalf(DataType from, DataType to);
  std::string Splat(DataType vector);
  std::string Ramp(DataType vector);
  std::string Select(DataType vector);  ///< f(mask of its element's width, a, b)
  enum class Access { kLoad, kStore, kLoadIf, kStoreIf };
  /// f(pointer [, mask]) and f(pointer, value [, mask]) for lanes that follow one another; masks are of i8.
  std::string Memory(Access access, DataType vector);

  /// All of it, in an order in which it compiles.
  std::string Text() const;

 private:
  /// Defines `name` as what `make` returns, once. What that asks for comes before it.
  const std::string& Define(const std::string& name, const std::function<std::string()>& make);
  std::string ScalarBinary(BinaryOp op, DataType t);
  std::string IntegerDivision(BinaryOp op, DataType t);
  std::string VectorMinMax(BinaryOp op, DataType t);
  std::string ScalarIntrinsic(Intrinsic op, DataType t);
  std::string Reduce(Intrinsic op, DataType vector);
  std::string DotU8S8(DataType acc);
  std::string DotBf16(DataType acc);
  std::string HalfToFloat();
  std::string FloatToHalf();
  std::string DoubleToOddFloat();

  std::unordered_set<std::string> defined_;
  std::vector<std::string> names_;  ///< storage that references stay good to
  std::vector<std::string> texts_;
};

/// "a, b, c": `item` of 0 up to n.
std::string Listed(int n, const std::function<std::string(int)>& item);

}  // namespace tilewright::c_codegen
