// SPDX-License-Identifier: Apache-2.0
// What was decided for each kernel: by graph passes for its operators, then by the rules of its schedule.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "tilewright/driver/kernel_set.h"
#include "tilewright/transform/choose_layout.h"

namespace tilewright {

/// The beginning of a fused function's explanation: what its operators chose.
Explanation ExplainGraph(const GraphFunction& f, const std::vector<LayoutDecision>& decisions);

/// The explanations of all units that have one, by the names of the kernels that they launch.
std::map<std::string, Explanation> ExplanationsByKernel(const KernelSet& kernels);

}  // namespace tilewright
