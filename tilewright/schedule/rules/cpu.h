// SPDX-License-Identifier: Apache-2.0
// Rules for processors with vector registers and caches. Each schedules part of a function; ApplyRules
// (rules.cc) decides which. All leave the function legal and complete; none depends on another having run.
#pragma once

#include <optional>

#include "tilewright/ir/int_arith.h"
#include "tilewright/schedule/rules/register_tile.h"
#include "tilewright/schedule/rules/rules.h"
#include "tilewright/target/tile_unit.h"

namespace tilewright::cpu {

/// Schedules one nest of element-wise or injective work: outer loops joined and parallel, the innermost one
/// cut to vectors where memory is contiguous along it.
void ScheduleInjective(Schedule& s, const BlockRef& block, const RuleContext& context);

/// Schedules a nest of injective work that reads memory along another axis than it writes. Returns false,
/// having changed nothing, for other work, and where the order of the loops is right as it is.
bool ScheduleTranspose(Schedule& s, const BlockRef& block, const RuleContext& context);

/// Schedules a copy that reads along another axis than it writes: squares that lowering transposes in
/// registers (tir/lower/transpose_vectors.h). Returns false, having changed nothing, for other work.
bool ScheduleExchange(Schedule& s, const BlockRef& block, const RuleContext& context);

/// Schedules a reduction nest: parallel over what is kept, vectors along the innermost kept axis where there
/// is one, and accumulators in registers.
void ScheduleReduction(Schedule& s, const BlockRef& block, const RuleContext& context);

/// Schedules a kernel whose blocks all reduce along rows or compute with the rows and what was reduced of
/// them (normalisation, soft maximum): row by row. Returns false, having changed nothing, for other kernels.
bool ScheduleRows(Schedule& s, const RuleContext& context);

/// Schedules a kernel whose blocks all reduce along one axis, on which no vector lies well, or compute with
/// what was reduced of it: vectors of results. Returns false, having changed nothing, for other kernels.
bool ScheduleColumns(Schedule& s, const RuleContext& context);

/// Schedules a block of multiply-adds and the element-wise block that consumes it, `tail` (maybe the copy
/// that CacheWrite made), as register tiles: `tail` is tiled, the product computes at the tile in scope
/// "register", its reduction loops outside, its tile loops unrolled and vectorized. Returns false, having
/// changed nothing, where the shapes do not allow a tile.
bool ScheduleMatMul(Schedule& s, const BlockRef& product, const RuleContext& context);
bool ScheduleConv(Schedule& s, const BlockRef& conv, const RuleContext& context);
/// The same for a convolution of bf16 that the target's matrix unit can do.
bool ScheduleConvOnUnit(Schedule& s, const BlockRef& conv, const RuleContext& context);

/// Schedules a convolution by Winograd's algorithm, of which `products` is the block of the products at each
/// point (op/winograd.cc), strip by strip. Returns false, having changed nothing, where results lie in no
/// blocks of channels.
bool ScheduleWinograd(Schedule& s, const BlockRef& products, const RuleContext& context);
/// Schedules the transform of filters: in a prepare function, or where filters are not constant.
void ScheduleWinogradFilters(Schedule& s, const BlockRef& filters, const RuleContext& context);

/// Schedules a pooling in natural order, of which `line` is the stage that folds across lines: line by line.
void SchedulePoolLine(Schedule& s, const BlockRef& line, const RuleContext& context);

/// Divides a block that copies inside of a border into one that fills the border, scheduled here, and the
/// copy, which is then plain work, or the tail of the block that it copies from.
void ScheduleBorder(Schedule& s, const BlockRef& border);

// ---- What rules say of themselves, where RuleContext has an explanation.

/// That a rule took a block; or, with a reason, that it left it alone.
void ExplainRule(const RuleContext& context, const BlockRef& block, const std::string& rule,
                 const std::string& left_because = {});
/// A decision that a fact made.
void ExplainFact(const RuleContext& context, const std::string& about, const std::string& fact);
/// A decision by predicted time; of many options the best are kept.
void ExplainOptions(const RuleContext& context, const std::string& about, const std::string& reason,
                    std::vector<ExplainedOption> options);
/// A tile chosen by ChooseTile for a space that there is `repeats` times; `units` of equal work go to
/// threads. Adds the predicted time of all of it.
void ExplainTile(const RuleContext& context, const TileSpace& space, const RegisterTile& tile,
                 int64_t repeats, int64_t units);

// ---- What rules share.

/// Extent of a loop when it is constant, else 0.
int64_t ConstExtent(const Schedule& s, const LoopRef& loop);
/// Whether how much work the loops are is known only when the kernel runs.
bool HasOpenExtent(const Schedule& s, const std::vector<LoopRef>& loops);
/// Whether so many equal units of work keep the cores about evenly busy: at most an eighth of their time
/// idle.
bool FillsCores(int64_t units, const Target& target);
/// Cuts a loop over tiles so that the tiles that are whole and the smaller last one, if there may be one, are
/// parts of their own, each without predicates: `extent` elements in tiles of `tile`. Returns the parts.
std::vector<LoopRef> SeparateLastTile(Schedule& s, const LoopRef& tiles, const Expr& extent, int64_t tile);
/// The blocks of a tiled product, innermost last: `tail` stores the results; `total`, where there is one,
/// adds up the runs that the product is cut into (op/chains.h); `product` is in scope "register".
struct TileBlocks {
  BlockRef tail;
  std::optional<BlockRef> total;
  BlockRef product;
};
/// Inlines the element-wise consumers of `product` (or of the total of its runs), one behind the other, into
/// the last of them, which becomes the tail. Where there is none (the result is an output, or a reduction
/// reads it), the tail copies it.
TileBlocks IsolateProduct(Schedule& s, const BlockRef& product);
/// Computes the product, and the total of its runs, under the loop over the tail's tiles.
void ComputeAtTile(Schedule& s, const TileBlocks& blocks, const LoopRef& tiles, int64_t lanes);

// ---- Products for a matrix unit (cpu_tiles.cc).

/// How many elements one register of the unit takes, and the registers that are sums of one block of the
/// result: `row_tiles` by `column_tiles`. No rows: the unit cannot do it.
struct UnitTile {
  int64_t rows = 0, columns = 0, depth = 0;
  int64_t row_tiles = 1, column_tiles = 1;
};
UnitTile ChooseUnitTile(int64_t rows, int64_t columns, int64_t depth, const TileUnit& unit);
/// Whether the block adds up products of bf16 in f32.
bool IsReducedProduct(const BlockNode& block);
/// The product, in scope "tile", and the block that stores its sums to memory for the tail.
struct UnitBlocks {
  BlockRef product, store;
};
UnitBlocks MoveToUnit(Schedule& s, const TileBlocks& blocks);
/// Cuts the depth into steps, pairs and the two of a pair.
std::vector<LoopRef> SplitDepth(Schedule& s, const LoopRef& depth, const UnitTile& tile);
/// Makes one instruction of the loops, outermost first.
void AnnotateTile(Schedule& s, const std::vector<LoopRef>& loops);

/// Work below this many elements is not worth a launch on several threads, by what that costs.
int64_t ParallelThreshold(const Target& target);
/// Whether work of so many cycles of one core is worth a launch on several threads.
bool WorthThreads(double cycles, const Target& target);
/// Cycles in which one core reads so many bytes from the second level of cache; 0 where that is not known.
double CachedCycles(int64_t bytes, const Target& target);
/// Makes vectors of an innermost loop: whole ones, and a last one that is shorter, or has a mask where the
/// extent is not known. Returns the loop over whole vectors, if there is one.
std::optional<LoopRef> VectorizeLine(Schedule& s, const LoopRef& line, int64_t lanes, const Target& target);
/// Whether constants of so many bytes will hardly stay in the second level of cache from one inference to the
/// next, in which all that the others read passes through it, too.
bool LeavesCache(int64_t bytes, const Target& target);
/// Whether a packed constant is worth asking for ahead, panel by panel: it does not stay in the second level
/// of cache, and tiles that reuse a panel leave time to fetch the next.
bool WantsPrefetch(const Buffer& constant, int64_t tiles_per_panel, const Target& target);
/// The parameter's position in the function's buffers, or -1.
int ParameterIndex(const Schedule& s, const Buffer& buffer);

}  // namespace tilewright::cpu
