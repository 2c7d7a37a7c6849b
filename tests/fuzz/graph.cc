// SPDX-License-Identifier: Apache-2.0
// Bytes as the text of a module: refused by an Error, or printed so that the text reads back as it was, and
// then verified.
#include <cstdlib>

#include "tilewright/graph/parser.h"
#include "tilewright/graph/verify.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewright;
  const PrintGraphOptions whole{.max_elements = -1};
  TextModule module;
  try {
    module = ParseModule({reinterpret_cast<const char*>(data), size});
  } catch (const Error&) {
    return 0;
  }
  const std::string text = PrintModule(module, whole);
  if (PrintModule(ParseModule(text), whole) != text) std::abort();
  for (const auto& [name, f] : module.module.functions()) {
    if (f->kind == FunctionKind::kGraph) GraphFindings(GetGraphFunction(module.module, name), module.module);
  }
  return 0;
}
