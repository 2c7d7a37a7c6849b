// SPDX-License-Identifier: Apache-2.0
// The modules that tests of whole compilations compile, and their inputs.
#pragma once

#include <random>
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

/// Normal values of f32.
inline NDArray Normal(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 rng(seed);
  std::normal_distribution<float> normal;
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  for (float& x : a.mutable_as<float>()) x = normal(rng);
  return a;
}

/// A parameter of the array's type and shape, f32.
inline Value Like(const std::string& name, const NDArray& a) {
  return Value(name, TensorType{kF32, {a.shape().begin(), a.shape().end()}, {}, "", "global"}, name);
}

}  // namespace tilewright
