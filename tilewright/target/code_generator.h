// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"

namespace tilewright {

/// Who makes code of lowered kernels. It follows from the triple.
enum class CodeGenerator {
  kLlvm,  ///< machine code, by codegen/llvm
  kC,     ///< C11 sources, by codegen/c: the triple "c"
  kNone,  ///< nobody yet: kernels of devices (target/device_model.h) are run by the interpreter
};

CodeGenerator CodeGeneratorOf(const Target& target);

}  // namespace tilewright
