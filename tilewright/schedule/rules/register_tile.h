// SPDX-License-Identifier: Apache-2.0
// The size of register tiles of products and convolutions, from a model of what one step of the reduction
// costs.
#pragma once

#include <cstdint>
#include <functional>

#include "tilewright/target/target.h"

namespace tilewright::cpu {

/// What tiles are chosen for when an extent is known at run time only: a short text, a line of a small image.
inline constexpr int64_t kTypicalExtent = 64;

/// What is to be tiled: `lines` lines of `rows` accumulators each (the rows of a matrix are one line; the
/// maps of a convolution have one line per row of the image), by `vectors` vectors across, summed over
/// `depth` steps.
struct TileSpace {
  int64_t lines = 1, rows = 1, vectors = 1;
  int64_t depth = 1;
  int64_t row_bytes =
      0;  ///< from a row of the operand that is broadcast to the next; 0 where rows are neighbours
  /// Bytes of the operand that is broadcast that a step of one row reads for the first time within a panel of
  /// vectors.
  double row_step_bytes = 0;
  /// What remains visible of the line more that a step takes from the second level of cache where vectors
  /// do not begin with lines.
  double more_line_cycles = 0;
  bool unrolled = false;  ///< whether several steps share one test of the loop (see StepsAtOnce)
  bool ragged_lines = true, ragged_rows = true;  ///< whether the last tile may be smaller than the others
  bool ragged_vectors = false;  ///< whether the last tile may compute vectors beyond the space
};

/// Accumulators: lines x rows x vectors. More than one line only where each is whole.
struct RegisterTile {
  int64_t lines = 1, rows = 1, vectors = 1;
};

/// Predicted cycles of one step of the reduction for a tile of `rows` x `vectors` accumulators.
double CyclesPerStep(int64_t rows, int64_t vectors, int64_t depth, const Target& target);

/// The fewest rows of a tile so many vectors wide whose accumulators keep all pipes busy.
int64_t LeastRows(int64_t vectors, const Target& target);

/// How many steps of a tile of `rows` x `vectors` accumulators share what one test of their loop and the
/// addresses cost.
int64_t StepsAtOnce(int64_t rows, int64_t vectors, const Target& target);

/// Predicted cycles of all of the space in such tiles.
double TileCycles(const TileSpace& space, const RegisterTile& tile, const Target& target);

/// Predicted cycles of a core that computes for `compute` cycles while it reads so many bytes of constants,
/// which are asked for ahead of their use: memory bounds it, unless they stay in the second level of cache
/// from one inference to the next.
double CyclesWithStream(double compute, int64_t bytes, const Target& target);

/// Visits all tiles that the target's registers hold: accumulators, one register per vector of the operand
/// that is loaded, one for the broadcast and, without fused multiply-adds, one for the product; `vectors`
/// divides the space's unless that is ragged.
void ForEachTile(const TileSpace& space, const Target& target,
                 const std::function<void(const RegisterTile&)>& visit);

/// The tile with the least predicted time over the whole space.
RegisterTile ChooseTile(const TileSpace& space, const Target& target);

}  // namespace tilewright::cpu
