// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <vector>

#include "tilewright/graph/graph.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// What was chosen among an operator's candidates.
struct LayoutDecision {
  std::string origin;  ///< of the operator's result
  std::string op;      ///< by its name before the choice
  std::vector<Candidate> candidates;
  size_t taken = 0;
  bool saves_memory = false;  ///< a cheaper one would add too much to the constants
};

/// Gives every value of @main the layout in which it is best computed and read, and inserts Relayout
/// operators where two users disagree. Heavy operators choose among their candidates, of those that
/// approximate only where the error that they state is at most `max_error`, and of those that need
/// more memory for constants only as many as half of the constants, or the second level of cache, has
/// bytes; element-wise operators keep what
/// they get; pooling, padding and concatenation follow their arguments; all others get and give
/// natural layouts. Before: types are inferred, constants folded. After: parameters and results of @main are
/// natural, and the layout of each value is in its type. What operators chose goes to `decisions`, where
/// given.
IRModule ChooseLayout(const IRModule& module, const Target& target, double max_error = 0,
                      std::vector<LayoutDecision>* decisions = nullptr);

}  // namespace tilewright
