// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Makes two reductions of one over the innermost axis and others that do not lie beside it: one over runs of
/// memory side by side, which are vectors, and one over rows. The one that leaves fewer elements comes first.
/// For known extents; means of floats alone, and no sums of floats below 32 bits, which would be rounded
/// between. Before layouts, which follow a reduction's argument.
IRModule SplitReductions(const IRModule& module);

}  // namespace tilewright
