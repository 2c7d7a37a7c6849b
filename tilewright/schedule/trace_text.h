// SPDX-License-Identifier: Apache-2.0
// The text of traces: Python-like calls, one a line.
#pragma once

#include <string>

#include "tilewright/schedule/trace.h"

namespace tilewright {

/// `l4, l5 = s.split(l1, [None, 8])`. Numbers of type index print bare; other values as in the text form of
/// the IR.
std::string ToString(const TraceStep& step);
/// Error TW1421 names the line that is not a step.
Trace ParseTrace(const std::string& text);

}  // namespace tilewright
