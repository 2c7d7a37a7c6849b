// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "tilewright/driver/compile.h"

namespace tilewright {

/// Writes a compiled model as a shared library with the module container behind it (docs/module-format.md).
/// The file appears complete or not at all; runtime::RuntimeError TW5109 when it cannot be written.
void WriteSharedLibrary(const CompiledModel& model, const std::string& path);

}  // namespace tilewright
