// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/dl_types.h"

#include "tilewright/runtime/dtype.h"
#include "tilewright/support/error.h"

namespace tilewright {

DLDataType ToDl(DataType t) {
  uint8_t code = kDLFloat;
  switch (t.code) {
    case TypeCode::kInt:
      code = kDLInt;
      break;
    case TypeCode::kUInt:
      code = kDLUInt;
      break;
    case TypeCode::kFloat:
      code = kDLFloat;
      break;
    case TypeCode::kBFloat:
      code = kDLBfloat;
      break;
    case TypeCode::kBool:
      code = kDLBool;
      break;
    default:
      TW_CHECK(false, "{} has no form at run time", t.ToString());
  }
  return {code, uint8_t(t.is_bool() ? 8 : t.bits), t.lanes};
}

DataType FromDl(DLDataType t) {
  const bool bytes = t.bits == 8 || t.bits == 16 || t.bits == 32 || t.bits == 64;
  if (t.lanes == 1 && bytes) {
    if (t.code == kDLInt) return DataType::Int(t.bits);
    if (t.code == kDLUInt) return DataType::UInt(t.bits);
    if (t.code == kDLFloat && t.bits > 8) return DataType::Float(t.bits);
    if (t.code == kDLBfloat && t.bits == 16) return DataType::BFloat16();
    if (t.code == kDLBool && t.bits == 8) return DataType::Bool();
  }
  throw Error("TW3202",
              "a tensor has elements of type " + runtime::DTypeName(t) + ", which is not known here", "",
              {"expected integers of 8 to 64 bits, floats of 16 to 64, bfloat16 or bool",
               "the module is damaged or was made by another version: compile the model again"});
}

}  // namespace tilewright
