// SPDX-License-Identifier: Apache-2.0
// The contract of the graph level. Checked:
//   - every value is bound once, before it is used, by a parameter or a binding of an enclosing block;
//   - operators have as many arguments as their definitions say, and none is left out that must be there;
//   - operators infer from their arguments the types that their results have (up to layout, which
//     ChooseLayout decides), symbolic dimensions compared by structure;
//   - a called function exists and takes and gives values of these types;
//   - constants have the physical shape and the element type of their result;
//   - results of If and Loop have the types that their blocks give, and bodies take what is carried; a
//     condition is a bool;
//   - a primitive function holds operator calls only.
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// What is wrong with a function; empty when nothing is.
std::vector<std::string> GraphFindings(const GraphFunction& f, const IRModule& module);

/// Throws InternalError with the function's text and every finding: for what the compiler made.
void VerifyGraph(const GraphFunction& f, const IRModule& module);
/// The same as Error TW2401: for what a user wrote.
void CheckGraph(const GraphFunction& f, const IRModule& module);

}  // namespace tilewright
