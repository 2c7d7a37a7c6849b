// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// Of inputs, constants and results.
constexpr int kMostAxes = 64;

/// The result types of an operator by its shape rule, symbolic dimensions simplified, so that what depends on
/// them stays short and can be proved.
std::vector<Type> InferTypes(const OpDef& op, const InferContext& context);

}  // namespace tilewright
