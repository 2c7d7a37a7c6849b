// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Drops bindings of @main and of its blocks whose results nobody uses. Before: anything. After: every
/// binding is used, directly or through others, by a result. All operations are pure, so that nothing else
/// can observe them.
IRModule EliminateDeadCode(const IRModule& module);

}  // namespace tilewright
