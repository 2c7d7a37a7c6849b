// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Moves out of the blocks of Ifs and Loops, as far as it goes, what does not depend on them: constants and
/// operators on constants alone; and out of loops that run at least once every operator on values from
/// outside. Before: anything. After: blocks bind no constants, so that FoldConstants finds at the outermost
/// level whatever is constant.
IRModule HoistInvariants(const IRModule& module);

}  // namespace tilewright
