// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Replaces an operator call by an earlier one of the same operator, arguments and attributes, and a constant
/// by an earlier equal one, in @main. Before: anything. After: no two bindings of @main compute the same.
IRModule EliminateCommonSubexpressions(const IRModule& module);

}  // namespace tilewright
