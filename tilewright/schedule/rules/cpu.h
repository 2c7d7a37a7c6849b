// SPDX-License-Identifier: Apache-2.0
// Rules for processors with vector registers and caches. Each schedules part of a function; ApplyRules
// (rules.cc) decides which. All leave the function legal and complete; none depends on another having run.
#pragma once

#include "tilewright/schedule/rules/rules.h"

namespace tilewright::cpu {

/// Schedules one nest of element-wise or injective work: outer loops joined and parallel, the innermost one
/// cut to vectors where memory is contiguous along it.
void ScheduleInjective(Schedule& s, const BlockRef& block, const RuleContext& context);

/// Schedules a reduction nest: parallel over what is kept, vectors along the innermost kept axis where there
/// is one.
void ScheduleReduction(Schedule& s, const BlockRef& block, const RuleContext& context);

/// Schedules a block of multiply-adds and the element-wise block that consumes it, `tail` (maybe the copy
/// that CacheWrite made), as register tiles: `tail` is tiled, the product computes at the tile in scope
/// "register", its reduction loops outside, its tile loops unrolled and vectorized. Returns false, having
/// changed nothing, where the shapes do not allow a tile.
bool ScheduleMatMul(Schedule& s, const BlockRef& product, const RuleContext& context);
bool ScheduleConv(Schedule& s, const BlockRef& conv, const RuleContext& context);

// ---- What rules share.

/// Extent of a loop when it is constant, else 0.
int64_t ConstExtent(const Schedule& s, const LoopRef& loop);
/// The largest divisor of n that is at most `limit` (at least 1).
int64_t LargestDivisor(int64_t n, int64_t limit);
/// A register tile: rows x vectors of accumulators.
struct RegisterTile {
  int64_t rows = 1, vectors = 1;
};
/// The tile with the best predicted share of peak: rows divides `rows`, vectors divides `vectors`;
/// accumulators, one register per vector of the operand that is loaded and one for the broadcast fit the
/// target's registers.
RegisterTile ChooseTile(int64_t rows, int64_t vectors, const Target& target);
/// Inlines the element-wise consumers of `block`, one behind the other, into the last of them. Where there is
/// none (the block writes an output, or a reduction reads it), what it writes becomes a cached copy. Returns
/// the block that reads the product; the product is then in scope "register".
BlockRef IsolateProduct(Schedule& s, const BlockRef& block);
/// The parameter's position in the function's buffers, or -1.
int ParameterIndex(const Schedule& s, const Buffer& buffer);

}  // namespace tilewright::cpu
