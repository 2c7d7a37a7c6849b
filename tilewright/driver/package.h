// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string>

#include "tilewright/driver/compile.h"

namespace tilewright {

/// Writes a compiled model as a shared library with the module container behind it (docs/module-format.md).
/// The file appears complete or not at all; runtime::RuntimeError TW5109 when it cannot be written.
void WriteSharedLibrary(const CompiledModel& model, const std::string& path);

/// The same with a variant for each of several targets. The loader takes the first that its processor can
/// run, so they are put into order: architectures as given, in each those that rely on most extensions first.
/// Constants that are alike in several variants are there once.
void WriteSharedLibrary(std::span<const CompiledModel> variants, const std::string& path);

}  // namespace tilewright
