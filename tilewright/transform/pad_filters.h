// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// Adds filters of zeros to convolutions with constant weights whose number of filters is no multiple of the
/// target's vectors, where that makes fewer vectors of results than blocks of a divisor's width would, or
/// vectors that move as a whole where blocks would move in pieces: 1000 channels are 63 vectors of 16 instead
/// of 125 of 8, and 120 are eight of 16 instead of eight of 15. The surplus channels go on through what works
/// within channels (element-wise operators, depthwise convolutions, pooling), to convolutions, whose weights
/// for them are zeros. Elsewhere they are cut off, which costs a copy, but where what comes next reads the
/// natural order: there the cut is part of a change of layout that is made anyway. Values that share a
/// surplus get it where the convolutions save more than cuts, memory and deeper products behind them cost.
/// Arguments whose channels have no divisor near a vector's width, and get no surplus from where they come
/// from, are copied with channels of zeros where that costs less than reading them as they are.
/// Runs before ChooseLayout, when weights are constants.
IRModule PadFilters(const IRModule& module, const Target& target);

}  // namespace tilewright
