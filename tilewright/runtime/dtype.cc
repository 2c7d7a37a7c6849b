// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/dtype.h"

namespace tilewright::runtime {

std::string DTypeName(DLDataType t) {
  static constexpr const char* kNames[] = {"int", "uint", "float", "handle", "bfloat", "complex", "bool"};
  std::string text;
  if (t.code == kDLBool && t.bits == 8) {
    text = "bool";
  } else if (t.code < std::size(kNames)) {
    text = kNames[t.code] + std::to_string(t.bits);
  } else {
    text = "type" + std::to_string(t.code) + ":" + std::to_string(t.bits);
  }
  return t.lanes == 1 ? text : text + "x" + std::to_string(t.lanes);
}

}  // namespace tilewright::runtime
