// SPDX-License-Identifier: Apache-2.0
// Built-in schedules by analytical rules over the target description: fast before any tuning. A rule is a
// schedule that prints as primitives; no rule compares a shape with a literal other than 1 or a fact of the
// target.
#pragma once

#include <vector>

#include "tilewright/schedule/rules/explanation.h"
#include "tilewright/schedule/schedule.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// What a rule may look at besides the function.
struct RuleContext {
  const Target& target;
  std::vector<bool> constant_args;     ///< which parameters are constants, so that their layout is free
  Explanation* explanation = nullptr;  ///< where to say what was decided; null: nobody asks

  /// Whether the parameter at this position is a constant; a negative one is none (ParameterIndex).
  bool IsConstant(int parameter) const {
    return parameter >= 0 && size_t(parameter) < constant_args.size() && constant_args[size_t(parameter)];
  }
};

/// Schedules a whole function: its heavy block by the rule that the block's annotation "rule" names, the rest
/// by the rules for element-wise, injective and reduction blocks.
void ApplyRules(Schedule& schedule, const RuleContext& context);

}  // namespace tilewright
