// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/driver/compile.h"

namespace tilewright {

/// Compiles a function of constants and operators on them, for constant folding: without folding again,
/// without choice of layouts, and with constants read as they are.
CompiledModel CompileConstantPart(const IRModule& module, const CompileOptions& options);

/// Compiles functions that are each to be a kernel (primitive graph functions, or kernel-level ones) from
/// `options.start_at` on; the attribute of driver/constant_args.h says which of their arguments are
/// constants.
CompiledModel CompileKernelFunctions(const IRModule& functions, const CompileOptions& options);

}  // namespace tilewright
