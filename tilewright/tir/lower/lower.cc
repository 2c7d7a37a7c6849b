// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/lower.h"

#include "tilewright/tir/lower/flatten_buffers.h"
#include "tilewright/tir/lower/lower_blocks.h"
#include "tilewright/tir/lower/place_allocations.h"
#include "tilewright/tir/lower/place_workspaces.h"
#include "tilewright/tir/lower/split_launches.h"

namespace tilewright {

namespace {

/// What a kernel may put on the stack of a pool's thread, in bytes.
constexpr int64_t kStackBytes = 32 * 1024;

}  // namespace

LoweredKernels LowerPrimFunc(const PrimFunc& scheduled, const Target& target) {
  PrimFunc f = PlaceAllocations(scheduled);
  f = LowerBlocks(f);
  // Launches are cut before anything is vectorized or promoted, so that no register value crosses a cut.
  LoweredKernels result = SplitLaunches(f);
  for (KernelLaunch& launch : result.launches) {
    launch.kernel = FlattenBuffers(launch.kernel);
    PlaceWorkspaces(launch, kStackBytes);
  }
  return result;
}

}  // namespace tilewright
