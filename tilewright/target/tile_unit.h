// SPDX-License-Identifier: Apache-2.0
// How fast a target multiplies bf16, and its matrix unit. This follows from its triple and its features.
#pragma once

#include "tilewright/target/target.h"

namespace tilewright {

/// A matrix unit that multiplies tiles of bf16 and adds the products to tiles of f32, in registers of its
/// own.
struct TileUnit {
  int registers = 0;  ///< 0: there is none
  int rows = 0;       ///< of a register, at most
  int row_bytes = 0;  ///< at most
};
TileUnit TileUnitOf(const Target& target);

/// The same target without its matrix unit: what code that does not use it asks of a machine.
Target WithoutTiles(const Target& target);

/// Vector FMAs that take the time of one dot product of bf16, where the target has that.
int DotBf16Cost(const Target& target);

}  // namespace tilewright
