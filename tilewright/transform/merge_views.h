// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Makes a view of a view one of the first one's argument, and drops views that change nothing, in @main:
/// what Squeeze, Flatten and Reshape in a row leave behind. Before: layouts are natural. After: no operator
/// that is a view takes the result of another, or has its argument's type unless it is a result of @main.
IRModule MergeViews(const IRModule& module);

}  // namespace tilewright
