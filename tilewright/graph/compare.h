// SPDX-License-Identifier: Apache-2.0
// When two graphs are the same: equal up to the names of values and symbols, and to the model's names of
// bindings. Everything else counts: structure, operators, attributes, types with their layouts, ranges of
// symbols, elements of constants, names of functions, and what parameters and results are called outside.
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

bool StructuralEqual(const GraphFunction& a, const GraphFunction& b);
/// All functions of both levels, symbols of the graph functions being shared between them.
bool StructuralEqual(const IRModule& a, const IRModule& b);

}  // namespace tilewright
