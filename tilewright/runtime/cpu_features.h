// SPDX-License-Identifier: Apache-2.0
// Which instruction-set extensions this machine has, under LLVM's names for them, so that a module made for
// another processor is refused instead of ending in an illegal instruction.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tilewright::runtime {

// "x86_64", "aarch64", "riscv64" or "unknown": what this runtime was built for.
std::string_view HostArchitecture();

// The extensions of this processor that the operating system lets programs use.
const std::vector<std::string>& HostCpuFeatures();

// Whether the runtime for an architecture can tell if a processor has the extension. A compiler states only
// such extensions as needed.
bool IsKnownCpuFeature(std::string_view architecture, std::string_view name);

// Whether this machine has it; false for names that are not known. For the registers of tiles ("amx-...") the
// operating system's permission is asked for here, for the whole process.
bool HostHasCpuFeature(std::string_view name);

}  // namespace tilewright::runtime
