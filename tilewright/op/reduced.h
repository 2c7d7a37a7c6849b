// SPDX-License-Identifier: Apache-2.0
// When products of f32 are worth computing in bf16.
#pragma once

#include <cstdint>

#include "tilewright/graph/op_def.h"
#include "tilewright/target/tile_unit.h"

namespace tilewright {

/// The element type of a product's result: the arguments', or, with `wide`, the f32 that 16-bit floats are
/// added up in; TW2112 unless they are such floats.
DataType SumType(const InferContext& ctx, bool wide);

/// A product of f32: so many rows of the argument meet a constant matrix.
struct ReducedProduct {
  int64_t rows = 0;   ///< in lines that lie in memory at the same distance from each other
  int64_t lines = 1;  ///< such groups of rows
  int64_t columns = 0;
  int64_t depth = 0;      ///< in all
  int64_t chunk = 0;      ///< of the depth, whose elements of the argument are neighbours in memory
  int64_t arguments = 0;  ///< elements of the argument, all of which are rounded
};

/// How many of the argument's channels are to be neighbours in memory for the target's matrix unit: those of
/// a vector, or, where the steps that this saves are worth a pass over the argument, a row of a register.
int64_t ChunkForUnit(ReducedProduct product, int64_t channels, const Target& target);

/// Whether the target is predicted to be faster with both arguments in bf16: on its matrix unit, or by its
/// dot product; the time to round the argument counts. `f32_cycles`: what the target's cores are predicted to
/// take in f32, where there are algorithms that save multiply-adds; 0: what all of these take.
bool ReducedPays(const ReducedProduct& product, const Target& target, double f32_cycles = 0);

}  // namespace tilewright
