// SPDX-License-Identifier: Apache-2.0
// Small helpers on DLPack's element types.
#pragma once

#include <cstdint>
#include <string>

#include "tilewright/runtime/dlpack.h"

namespace tilewright::runtime {

inline constexpr DLDataType kFloat32{kDLFloat, 32, 1};
inline constexpr DLDataType kFloat64{kDLFloat, 64, 1};
inline constexpr DLDataType kInt32{kDLInt, 32, 1};
inline constexpr DLDataType kInt64{kDLInt, 64, 1};
inline constexpr DLDataType kUInt8{kDLUInt, 8, 1};
inline constexpr DLDataType kBool{kDLBool, 8, 1};

constexpr bool SameDType(DLDataType a, DLDataType b) {
  return a.code == b.code && a.bits == b.bits && a.lanes == b.lanes;
}

// Bits of one element, all lanes.
constexpr int64_t ElementBits(DLDataType t) { return int64_t{t.bits} * t.lanes; }

// "float32", "uint8", "bool", "bfloat16", "int4x2"; "type7:8x1" for codes this runtime has no name for.
std::string DTypeName(DLDataType t);

}  // namespace tilewright::runtime
