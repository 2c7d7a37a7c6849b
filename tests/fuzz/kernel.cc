// SPDX-License-Identifier: Apache-2.0
// Bytes as the text of kernel-level functions: refused by an Error, or printed so that the text reads back as
// it was, and then verified.
#include <cstdlib>

#include "tilewright/tir/parser.h"
#include "tilewright/tir/printer.h"
#include "tilewright/tir/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewright;
  IRModule module;
  try {
    module = ParsePrimFuncs({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
    return 0;
  }
  for (const auto& [name, function] : module.functions()) {
    const PrimFunc f(static_cast<const PrimFuncNode*>(function.get()));
    const std::string text = ToString(f);
    if (ToString(ParsePrimFunc(text)) != text) std::abort();
    f->stage == TirStage::kLowered ? VerifyLowered(f) : VerifyScheduled(f);
  }
  return 0;
}
