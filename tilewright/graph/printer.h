// SPDX-License-Identifier: Apache-2.0
// The text form of the graph level, which graph/parser.h reads back; docs/ir.md has the grammar:
//
//   symbol n in [1, 1024]
//
//   graph @main(%x: f32[n, 4] "input") -> ("output") attrs {primitive = true} {
//     %w: f32[4, 2] = constant [0.5, 1.0, ...]
//     %v0: f32[n, 2] "node" = MatMul(%x, %w) {transpose_b = false}
//     (%a: f32[n, 1], %b: f32[n, 1]) = Split(%v0) {axis = 1}
//     %c: f32[n, 1] = call @fused0(%a, %b)
//     return %c
//   }
//
// Text in quotes after a value's type is the model's name for it, where that is another.
#pragma once

#include <map>
#include <string>

#include "tilewright/graph/constant_data.h"
#include "tilewright/graph/graph.h"

namespace tilewright {

struct PrintGraphOptions {
  /// Of constants that print in full; -1: all. Others go to `data`, or without it print as
  /// `constant elided HASH`, and then the text does not parse back.
  int64_t max_elements = 16;
  ConstantData* data = nullptr;
  std::string data_name;  ///< the file, beside the text, in which `data` will be
};

/// What the text of a module says: its functions, and what it takes to compile them.
struct TextModule {
  Annotations attrs;
  std::map<std::string, NDArray> parameters;  ///< values of parameters of @main that are not constants yet
  IRModule module;
};

/// A function, and before it the symbols that it uses.
std::string PrintGraph(const GraphFunction& f, const PrintGraphOptions& options = {});

/// All of a module: attributes, symbols, parameters, graph functions, kernels; functions by name.
std::string PrintModule(const TextModule& module, const PrintGraphOptions& options = {});

}  // namespace tilewright
