// SPDX-License-Identifier: Apache-2.0
// How a convolution by Winograd's algorithm is cut into strips, and what that is predicted to cost.
#pragma once

#include <cstdint>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

/// A convolution F(tile x tile, taps x taps) of `images` of tile_rows x tile_columns tiles each.
struct WinogradShape {
  int64_t tile = 0, taps = 3, images = 1, tile_rows = 1, tile_columns = 1;
  int64_t channels = 1, filters = 1;
  int64_t in_block = 1, out_block = 1;  ///< channels of a vector; they divide channels and filters
  int64_t run = 0;  ///< neighbours in memory of vectors of channels that are gathered first; 0: none are

  int64_t line() const { return tile + taps - 1; }  ///< points along an axis
  int64_t points() const { return line() * line(); }
  int64_t tiles() const { return tile_rows * tile_columns; }
};

/// A strip is what is transformed into a buffer before products are made of it.
struct WinogradPlan {
  int64_t rows = 1, vectors = 1;  ///< the register tile of products: tiles by filter blocks
  int64_t panel = 1;              ///< filter blocks whose products are made before they become results
  int64_t strip_rows = 1, strip_columns = 1;  ///< tiles of a strip; columns are cut only where rows is 1
  int64_t panel_chunks = 1;  ///< parts of the filters that go to threads, each transforming all strips
  int64_t strip_chunks = 1;  ///< parts of an image's strips that go to threads
  double cycles = 0;         ///< predicted, of one of the target's cores
};

/// The plan with the least predicted time. `weighed`, where it is given, gets all plans there were.
WinogradPlan PlanWinograd(const WinogradShape& shape, const Target& target,
                          std::vector<WinogradPlan>* weighed = nullptr);

}  // namespace tilewright
