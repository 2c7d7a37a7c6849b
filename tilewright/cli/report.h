// SPDX-License-Identifier: Apache-2.0
// Small pieces of text that several commands print.
#pragma once

#include <string>

#include "tilewright/runtime/program.h"

namespace tilewright {

/// "f32[batch, 3, 224, 224]".
std::string SpecText(const runtime::TensorSpec& spec, const runtime::Program& program);

}  // namespace tilewright
