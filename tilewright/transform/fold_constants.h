// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Computes a function without parameters: its results, in order. The driver hands in one that compiles.
using ConstantEvaluator = std::function<std::vector<NDArray>(const GraphFunction&)>;

/// Replaces what depends on constants alone in @main by its value; all of it is evaluated in one call.
/// Results larger than `max_growth_bytes` beyond their arguments, or beyond all constants of @main, and than
/// four times these (as zeros that complete windows make of filters), are left alone (Expand of a scalar, a
/// chain that doubles), and so are results when 32 times as much has been computed. Before: parameters are
/// bound. After: no operator call of @main has only constant arguments, but for those.
IRModule FoldConstants(const IRModule& module, const ConstantEvaluator& evaluate,
                       int64_t max_growth_bytes = 1 << 20);

}  // namespace tilewright
