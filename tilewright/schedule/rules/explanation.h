// SPDX-License-Identifier: Apache-2.0
// What rules decided for a kernel and why, for who asks (`tilewright profile --explain`). It is an object of
// the caller's, which rules fill where RuleContext has one.
#pragma once

#include <string>
#include <vector>

namespace tilewright {

/// One of the ways that were weighed.
struct ExplainedOption {
  std::string what;
  double cycles = 0;  ///< predicted, of one of the target's cores; 0: not predicted
  bool taken = false;
};

/// One decision. Where a fact alone decides, there are no options.
struct ExplainedDecision {
  std::string about;   ///< "algorithm and layout", "register tile", "threads"
  std::string reason;  ///< the fact, or by what options were compared
  std::vector<ExplainedOption> options;
  int weighed = 0;  ///< how many options there were, of which the best are listed
};

struct Explanation {
  std::vector<std::string> rules;  ///< "conv: block conv.main", in the order of application
  std::vector<ExplainedDecision> decisions;
  /// Predicted cycles of one of the target's cores for the heavy part; 0: no rule predicts it, and time is
  /// that of the memory that is read and written.
  double cycles = 0;
};

}  // namespace tilewright
