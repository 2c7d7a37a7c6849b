// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// Adds filters of zeros to each group of convolutions in groups whose filters would not fill vectors, and
/// cuts their channels off again, where that is predicted to save more than it costs. Weight and bias must be
/// constants. Runs before layouts are chosen.
IRModule PadGroups(const IRModule& module, const Target& target);

}  // namespace tilewright
