// SPDX-License-Identifier: Apache-2.0
// From the bytes of a shared library to callable kernels.
#pragma once

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tilewright/runtime/kernel_abi.h"

namespace tilewright::runtime {

// Kernels in the order asked for; they can be called as long as `library` lives.
struct LoadedCode {
  std::shared_ptr<const void> library;
  std::vector<tw_kernel> kernels;
};

// Loads the shared library whose verified bytes are `elf`: from `path` where that is not empty and holds the
// same code, else from a copy in memory. `kernel_table` names its array of tw_kernel_entry, whose names must
// be `kernel_names`. Throws kCannotLoadCode or kWrongProcessor.
LoadedCode LoadCode(std::span<const std::byte> elf, const std::string& path, const std::string& kernel_table,
                    const std::vector<std::string>& kernel_names);

}  // namespace tilewright::runtime
