// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Computes equal values once and what a loop does not change outside of it: both become LetStmts at the
/// first use in the outermost scope where they can be computed (not outside the chunk loop). Loads are shared
/// up to the next store to their buffer, and leave only loops that run at least once. Let expressions become
/// LetStmts, but inside branches of IfThenElse. Index sums are ordered by the depth of their terms, constants
/// last. Before: everything but PlaceWorkspaces. After: Allocate statements enclose what they did.
PrimFunc ShareValues(const PrimFunc& f);

}  // namespace tilewright
