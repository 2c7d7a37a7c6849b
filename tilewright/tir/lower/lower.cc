// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/lower.h"

#include "tilewright/tir/lower/compact_buffers.h"
#include "tilewright/tir/lower/contract_fma.h"
#include "tilewright/tir/lower/expand_math.h"
#include "tilewright/tir/lower/flatten_buffers.h"
#include "tilewright/tir/lower/lower_blocks.h"
#include "tilewright/tir/lower/partition_loops.h"
#include "tilewright/tir/lower/place_allocations.h"
#include "tilewright/tir/lower/place_workspaces.h"
#include "tilewright/tir/lower/promote_registers.h"
#include "tilewright/tir/lower/share_values.h"
#include "tilewright/tir/lower/simplify.h"
#include "tilewright/tir/lower/split_launches.h"
#include "tilewright/tir/lower/unroll_loops.h"
#include "tilewright/tir/lower/vectorize_loops.h"

namespace tilewright {

namespace {

/// What a kernel may put on the stack of a pool's thread, in bytes.
constexpr int64_t kStackBytes = 32 * 1024;

PrimFunc LowerKernel(PrimFunc f, const Target& target) {
  f = FlattenBuffers(f);
  // Vectorizing looks for ramps, which divisions by tile sizes hide until they are simplified.
  f = SimplifyFunc(f);
  f = VectorizeLoops(f, target);
  f = UnrollLoops(f);
  // Each copy of an unrolled body has constants of its own: register indices and conditions become constants.
  f = SimplifyFunc(f);
  f = ExpandMath(f, target);
  if (target.has_fma) f = ContractFma(f);
  f = PromoteRegisters(f);
  // Last, for whatever the passes before duplicated is shared here.
  return ShareValues(f);
}

}  // namespace

LoweredKernels LowerPrimFunc(const PrimFunc& scheduled, const Target& target) {
  PrimFunc f = PlaceAllocations(scheduled);
  f = LowerBlocks(f);
  f = SimplifyFunc(f);
  f = PartitionLoops(f);
  // Boxes are taken while indices are multi-dimensional and loops whole.
  f = CompactBuffers(f);
  f = SimplifyFunc(f);
  // Launches are cut before anything is vectorized or promoted, so that no register value crosses a cut.
  LoweredKernels result = SplitLaunches(f);
  for (KernelLaunch& launch : result.launches) {
    launch.kernel = LowerKernel(launch.kernel, target);
    PlaceWorkspaces(launch, kStackBytes);
  }
  return result;
}

}  // namespace tilewright
