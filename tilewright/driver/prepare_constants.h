// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tilewright/driver/build_program.h"

namespace tilewright {

/// The parameters of a program as one blob (u8): each constant at its offset, brought into the layout that
/// its kernel reads by its prepare function, which runs as compiled code for the machine at hand. That code
/// is taken from the cache, if there is one, and stored there.
NDArray PrepareConstants(const std::vector<PreparedConstant>& constants, int64_t parameter_bytes, int threads,
                         const KernelCache* cache);

}  // namespace tilewright
