// SPDX-License-Identifier: Apache-2.0
// The record of a schedule: a list of primitive applications that prints, parses and replays.
#pragma once

#include <string>
#include <vector>

#include "tilewright/ir/expr.h"

namespace tilewright {

class Schedule;

/// One application of a primitive. Blocks and loops are named by the step that produced them, so that a
/// trace replays on a fresh copy of the function.
struct TraceStep {
  std::string primitive;              ///< "split", "reorder", ...
  std::vector<std::string> inputs;    ///< names of blocks ("b0") and loops ("l3") from earlier steps
  std::vector<AttrValue> attributes;  ///< factors, scopes, ...; in the order of the primitive's declaration
  std::vector<std::string> outputs;   ///< names that this step defines
};

struct Trace {
  std::vector<TraceStep> steps;
  /// As Python-like code, one step a line: `l4, l5 = s.split(l1, [None, 8])`.
  std::string ToString() const;
  static Trace Parse(const std::string& text);
  /// Applies all steps to a schedule of an equal function; Error TW1402 names a step that does not apply.
  void Replay(Schedule& schedule) const;
};

}  // namespace tilewright
