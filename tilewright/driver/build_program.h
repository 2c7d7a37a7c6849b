// SPDX-License-Identifier: Apache-2.0
// The last step before packaging: from @main with kernel calls to the runtime's program and its parameters.
#pragma once

#include "tilewright/driver/compile.h"
#include "tilewright/driver/kernel_set.h"

namespace tilewright {

/// A constant as a kernel reads it.
struct PreparedConstant {
  NDArray source;      ///< as the graph has it
  PrimFunc prepare;    ///< old layout -> new layout; null: as it is
  int64_t offset = 0;  ///< bytes into the parameters
  int64_t bytes = 0;
};

struct BuiltProgram {
  runtime::Program program;
  std::vector<PreparedConstant> constants;
  int64_t parameter_bytes = 0;
  std::vector<PrimFunc> kernels;  ///< in the order of Program::kernels
  MemorySummary memory;
};

/// The program of the module's @main. `unit_of` gives the kernel unit of each fused function's name. Before:
/// units are lowered. Dimensions that are not constant must follow from the shapes of inputs (Error TW3101
/// names the value whose shape does not).
BuiltProgram BuildProgram(const IRModule& module, const KernelSet& kernels,
                          const std::map<std::string, size_t>& unit_of);

}  // namespace tilewright
