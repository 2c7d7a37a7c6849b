// SPDX-License-Identifier: Apache-2.0
// LLVM stays in codegen/llvm.
#pragma once

#include <llvm/IR/Module.h>
