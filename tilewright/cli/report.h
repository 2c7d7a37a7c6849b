// SPDX-License-Identifier: Apache-2.0
// Small pieces of text that several commands print.
#pragma once

#include <string>

#include "tilewright/runtime/program.h"

namespace tilewright {

/// "f32[1, 3, 224, 224]".
std::string SpecText(const runtime::TensorSpec& spec);
/// The shape as integers; Error TW3101 when a dimension is symbolic.
std::vector<int64_t> StaticShape(const runtime::TensorSpec& spec);

}  // namespace tilewright
