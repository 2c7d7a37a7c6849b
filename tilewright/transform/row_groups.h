// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Sets of operator calls of a block that reduce along rows (the last axes) and compute with the rows and
/// what was reduced of them, such as a normalisation that a model spells out: each can become one kernel that
/// goes through its rows one by one. Only the last call of a set has a result that others use; a set has two
/// calls at least, in the order of the block, and no call is in two.
std::vector<std::vector<const Binding*>> FindRowGroups(const GraphBlock& block);

}  // namespace tilewright
