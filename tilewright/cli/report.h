// SPDX-License-Identifier: Apache-2.0
// Small pieces of text that several commands print.
#pragma once

#include <string>

#include "tilewright/driver/compile.h"
#include "tilewright/runtime/program.h"

namespace tilewright {

/// A table of what each pass of a compilation took.
void PrintPassTimes(const CompiledModel& model);

/// "f32[batch, 3, 224, 224]".
std::string SpecText(const runtime::TensorSpec& spec, const runtime::Program& program);

}  // namespace tilewright
