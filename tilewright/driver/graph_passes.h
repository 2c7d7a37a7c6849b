// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <span>
#include <string_view>

#include "tilewright/driver/compile.h"
#include "tilewright/transform/choose_layout.h"

namespace tilewright {

/// What graph passes may look at beside the module.
struct GraphPassContext {
  const std::map<std::string, NDArray>& parameters;
  const CompileOptions& options;
  std::vector<LayoutDecision>* decisions;  ///< null: nobody asks
};

/// One line of the pipeline from the imported graph to fused functions.
struct GraphPass {
  Phase phase;
  std::string_view name;
  IRModule (*run)(const IRModule& module, const GraphPassContext& context);
  /// Not for a function of constants that is compiled to be evaluated: it would fold itself.
  bool models_only = false;
};

/// All of them, in order.
std::span<const GraphPass> GraphPasses();

}  // namespace tilewright
