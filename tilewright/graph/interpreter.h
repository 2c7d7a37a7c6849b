// SPDX-License-Identifier: Apache-2.0
// The reference interpreter of the graph level: operator by operator, each through its lowering and the
// reference interpreter of the kernel level. Passes and compiled code are tested against it.
#pragma once

#include <map>
#include <vector>

#include "tilewright/arith/eval.h"
#include "tilewright/graph/graph.h"

namespace tilewright {

/// Runs a function on one array per parameter, in physical shapes; the results, in order. Calls of functions
/// are looked up in `module`. Errors: TW2301 for arrays that do not fit the parameters, TW2302 for what
/// cannot be interpreted (host calls), and what the kernel level's interpreter finds.
std::vector<NDArray> Interpret(const GraphFunction& f, const std::vector<NDArray>& arguments,
                               const IRModule& module = {});

}  // namespace tilewright
