// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/lower/lower.h"

namespace tilewright {

/// Cuts a function at its top level: every parallel loop there becomes a launch of its own, whose chunks are
/// the loop's iterations; runs of other statements become launches of one chunk. Intermediate buffers that
/// several launches, or several chunks of one, share become workspaces; parallel loops further inside become
/// serial. Before: LowerBlocks, CompactBuffers. After: kernels whose body is For(kParallel, var, 0,
/// num_chunks) or has no parallel loop. `workspace_bytes` is not set yet (PlaceWorkspaces).
LoweredKernels SplitLaunches(const PrimFunc& f);

}  // namespace tilewright
