// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Simplifies expressions under the bounds of the loops and the conditions around them, removes branches that
/// are decided, and replaces loops of one iteration by their body. Before: LowerBlocks; at any later point up
/// to PromoteRegisters. After: the stage is as it was.
PrimFunc SimplifyFunc(const PrimFunc& f);

/// The same for a statement inside loops over `outer`.
struct BoundVar {
  Var var;
  Range range;
};
Stmt SimplifyStmt(const Stmt& s, const std::vector<BoundVar>& outer);

}  // namespace tilewright
