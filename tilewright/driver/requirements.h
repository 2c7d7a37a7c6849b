// SPDX-License-Identifier: Apache-2.0
// What code for a target asks of the machine that runs it, in the runtime's terms.
#pragma once

#include <string>
#include <vector>

#include "tilewright/target/target.h"

namespace tilewright {

struct Requirements {
  std::string architecture;           ///< as runtime::HostArchitecture names it
  std::vector<std::string> features;  ///< extensions, as far as the runtime can check for them
};

/// Throws what CompileKernels does for a target that there is no code generator for.
Requirements RequirementsOf(const Target& target);

/// Error TW3203 where this machine cannot run code for the target.
void CheckRunsHere(const Target& target);

}  // namespace tilewright
