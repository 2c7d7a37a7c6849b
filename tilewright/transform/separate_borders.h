// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Makes the border that convolution and pooling read around their argument an operator of its own, Border,
/// where the argument is made by an operator for this use alone and its layout is blocked: fusion puts it at
/// the end of the producer's kernel, which then writes its results inside of the border, and nothing is
/// copied. Runs between ChooseLayout and FuseOps.
IRModule SeparateBorders(const IRModule& module);

}  // namespace tilewright
