// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Makes zeros of magnitudes below 2^-100 among the f32 constants of convolutions and matrix products:
/// training leaves many in channels that died, and processors take a hundred cycles and more for an operation
/// whose argument or result is subnormal (IEEE 754-2019, 3.3: below 2^-126). Each term of a sum changes by
/// less than 2^-100 times what the constant is multiplied with. Before and after: any graph.
IRModule FlushTiny(const IRModule& module);

}  // namespace tilewright
