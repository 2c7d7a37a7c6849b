// SPDX-License-Identifier: Apache-2.0
// The contract of the graph level. Checked:
//   - every value is bound once, before it is used, by a parameter or a binding of an enclosing block;
//   - operators infer from their arguments the types that their results have (up to layout, which
//     ChooseLayout decides), symbolic dimensions compared by structure;
//   - a called function exists and takes and gives values of these types;
//   - constants have the physical shape and the element type of their result;
//   - results of If and Loop bodies match in number; a condition is a bool.
// Not checked: types of the results of If and Loop against their bodies.
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Throws InternalError with the function's text and every finding.
void VerifyGraph(const GraphFunction& f, const IRModule& module);

}  // namespace tilewright
