// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/driver/compile.h"

namespace tilewright {

/// Compiles a function of constants and operators on them, for constant folding: without folding again,
/// without choice of layouts, and with constants read as they are.
CompiledModel CompileConstantPart(const IRModule& module, const CompileOptions& options);

}  // namespace tilewright
