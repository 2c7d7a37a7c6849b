// SPDX-License-Identifier: Apache-2.0
// Legality by the flow of data between blocks: whether iterations of loops may change their order or run at
// the same time, and whether what a block reads is there when it runs.
#pragma once

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

/// Error unless the iterations of the loop may run in any order at the same time: no block below has an order
/// in it (TW1407), none writes the same elements of a shared buffer twice, and none reads what another
/// iteration writes (TW1410).
void CheckIndependent(const Rewriter& rw, const Path& loop, bool lanes = false);

/// Error unless `chain` (directly nested loops around `body`, outermost first; `top` leads to the first) may
/// take the order `permuted`.
void CheckReorder(const Rewriter& rw, const Path& top, const std::vector<const ForNode*>& chain,
                  const std::vector<const ForNode*>& permuted);

/// Error TW1412 unless everything that `block` reads has been written where it stands in `body` (not
/// necessarily the schedule's present one): its producers come before it and have completed what one
/// iteration of the loops they share needs.
void CheckInputsReady(const Rewriter& rw, const Stmt& body, const std::string& block);

/// Error (TW1407, TW1410) where a loop around the block in `body` is parallel, vectorized or bound to threads
/// and its iterations would not be independent.
void CheckLoopsAround(const Rewriter& rw, const Stmt& body, const std::string& block);
/// Error TW1407 where a loop around `changed` in `body` whose iterations are independent would order a block
/// below: its variable gets into bindings where the extents of loops that were split or fused depend on it.
void CheckRolesAround(const Rewriter& rw, const Stmt& body, const LoopRef& changed);

/// Error unless no other block of its scope may write what the block at `path` writes (TW1412): parts of a
/// loop that was cut do, and are whole only together.
void CheckOnlyWriter(const Rewriter& rw, const Path& path);

/// Whether different iterations of `loop` may run an instance of the block for the same spatial point.
/// `inner` are the loops inside it, around the block.
bool Revisits(const BlockNode& block, const ForNode& loop, const std::vector<const ForNode*>& inner,
              const Bounds& bounds);

/// Error TW1407 where the block in `body` is a reduction that a loop around would run more than once for a
/// point.
void CheckRunsOnce(const Rewriter& rw, const Stmt& body, const std::string& block);

}  // namespace tilewright
