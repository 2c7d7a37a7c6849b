// SPDX-License-Identifier: Apache-2.0
// Shared libraries from compiled kernels, written by LLD inside this process.
#pragma once

#include <span>
#include <string>

#include "tilewright/codegen/llvm/codegen.h"

namespace tilewright {

/// The bytes of an ELF shared library with the objects' code. Its one exported symbol is `table`, an array of
/// tw_kernel_entry (runtime/kernel_abi.h) with one entry per name of `kernels`, in that order; without names,
/// one per symbol in the order of the objects. Any thread may call it; links take turns. Throws Error TW1704
/// when no temporary file can be written, InternalError when the objects do not fit together.
std::string LinkSharedLibrary(std::span<const ObjectCode> objects, const Target& target,
                              std::span<const std::string> kernels = {},
                              const std::string& table = "tw_kernels");

}  // namespace tilewright
