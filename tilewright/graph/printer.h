// SPDX-License-Identifier: Apache-2.0
// The text form of the graph level:
//
//   graph @main(%x: f32[1, 4] "input") -> ("output") attrs {primitive = true} {
//     %w: f32[4, 2] = constant [0.5, 1.0, ...]
//     %v0: f32[1, 2] "node" = MatMul(%x, %w) {transpose_b = false}
//     (%a: f32[1, 1], %b: f32[1, 1]) = Split(%v0) {axis = 1}
//     %c: f32[1, 1] = call @fused0(%a, %b)
//     return %c
//   }
//
// Text in quotes after a value's type is the model's name for it, where that is another. Constants of more
// than PrintGraphOptions::max_elements elements print as `constant elided <hash>`: such text does not parse
// back.
#pragma once

#include <string>

#include "tilewright/graph/graph.h"

namespace tilewright {

struct PrintGraphOptions {
  int64_t max_elements = 16;  ///< of constants that print in full; -1: all
};

std::string PrintGraph(const GraphFunction& f, const PrintGraphOptions& options = {});

}  // namespace tilewright
