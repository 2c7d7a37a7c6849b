// SPDX-License-Identifier: Apache-2.0
// Bytes as an ONNX model: imported, or refused by an Error. Anything else that is thrown ends the program.
#include "tilewright/frontend/onnx/import.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    tilewright::ImportOnnxBytes({reinterpret_cast<const char*>(data), size});
  } catch (const tilewright::Error&) {
  }
  return 0;
}
