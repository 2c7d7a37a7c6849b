// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/dl_types.h"

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
  switch (t.code) {
    case kDLInt:
      return DataType::Int(t.bits);
    case kDLUInt:
      return DataType::UInt(t.bits);
    case kDLFloat:
      return DataType::Float(t.bits);
    case kDLBfloat:
      return DataType::BFloat16();
    case kDLBool:
      return DataType::Bool();
    default:
      TW_CHECK(false, "DLPack type code {} is not one of ours", t.code);
  }
  return {};
}

}  // namespace tilewright
