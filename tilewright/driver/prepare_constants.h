// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <vector>

#include "tilewright/driver/build_program.h"

namespace tilewright {

/// The parameters of a program as one blob (u8): each constant at its offset, brought into the layout that
/// its kernel reads by its prepare function, which runs as compiled code for the machine at hand.
NDArray PrepareConstants(const std::vector<PreparedConstant>& constants, int64_t parameter_bytes,
                         int threads);

}  // namespace tilewright
