// SPDX-License-Identifier: Apache-2.0
// The module that tests of whole compilations compile.
#pragma once

#include <vector>

#include "tilewright/graph/graph.h"

namespace tilewright {

/// A module with the builder's bindings as @main; its results are named y0, y1, ...
inline IRModule MainModule(std::vector<Value> params, GraphBuilder& builder, std::vector<Value> results) {
  GraphFunctionNode f;
  f.name = "main";
  f.params = std::move(params);
  for (size_t i = 0; i < results.size(); ++i) f.result_names.push_back(fmt::format("y{}", i));
  f.body = builder.Finish(std::move(results));
  IRModule module;
  module.Set(GraphFunction(std::move(f)));
  return module;
}

}  // namespace tilewright
