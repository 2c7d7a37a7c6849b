// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Turns loops bound to "vthread" into one program that interleaves their iterations, statement by statement:
/// loops inside are run once for all of them, what is allocated inside there is once for each. So the loads
/// of one stand before the computation of another, and a device whose units run beside each other does both
/// at the same time. Error TW1310 for an extent that is not constant. Before: CompactBuffers, SimplifyFunc.
PrimFunc InterleaveThreads(const PrimFunc& f);

}  // namespace tilewright
