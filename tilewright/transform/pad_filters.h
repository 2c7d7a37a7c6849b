// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// Adds filters of zeros to convolutions with constant weights whose number of filters is no multiple of the
/// target's vectors, where that makes fewer vectors of results than blocks of a divisor's width would: 1000
/// channels are 63 vectors of 16 instead of 125 of 8. The surplus is cut off behind the element-wise
/// operators of one argument that follow, and only where what comes then reads the natural order, so that the
/// cut is part of a change of layout that is made anyway. Runs before ChooseLayout, when weights are
/// constants.
IRModule PadFilters(const IRModule& module, const Target& target);

}  // namespace tilewright
