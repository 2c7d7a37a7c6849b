// SPDX-License-Identifier: Apache-2.0
// Predicted and measured times of kernels beside what was decided for them.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tilewright/schedule/rules/explanation.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// The predicted time of one execution of a kernel, in µs: it computes while it reads and writes.
struct Prediction {
  double compute_us = 0, memory_us = 0, launch_us = 0;
  std::string memory;  ///< the level that what it reads and writes comes from
  double Total() const;
};

/// From the explanation's cycles, or else the operations that are counted, and the bytes of the buffers that
/// it reads or writes, each once. `threads` run it.
Prediction Predict(const Explanation& explanation, double flops, double bytes, int threads,
                   const Target& target);

/// One kernel, of all instructions that launch it.
struct ExplainedKernel {
  std::string name;
  double launches = 0;             ///< in one inference
  double mean_us = 0, min_us = 0;  ///< measured, of one execution
  Prediction predicted;
  const Explanation* explanation = nullptr;
};

void PrintExplanation(const ExplainedKernel& kernel, const Target& target);
nlohmann::ordered_json ExplanationJson(const ExplainedKernel& kernel, const Target& target);

}  // namespace tilewright
