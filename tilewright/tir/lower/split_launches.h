// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/lower/lower.h"

namespace tilewright {

/// Cuts a function at its top level: every parallel loop there becomes a launch of its own, whose chunks are
/// the loop's iterations; a nest of loops bound to hardware threads becomes a launch of the device, with
/// their extents beside it and as attributes of the kernel by their tags; runs of other statements become
/// launches of one chunk on the host. Intermediate buffers that several launches, or several chunks of one,
/// share become workspaces; parallel loops further inside become serial. Before: LowerBlocks, CompactBuffers,
/// BindThreads. After: kernels whose body is For(kParallel, var, 0, num_chunks), a nest of threads, or has no
/// parallel loop. `workspace_bytes` is not set yet (PlaceWorkspaces).
LoweredKernels SplitLaunches(const PrimFunc& f);

/// The nest of threads that a device's kernel begins with; none for one of the host.
std::vector<KernelLaunch::Threads> ThreadsOf(Stmt kernel);

}  // namespace tilewright
