// SPDX-License-Identifier: Apache-2.0
// What this machine can do now, measured by small kernels that our own code generator makes.
#pragma once

#include <functional>
#include <memory>

#include "tilewright/codegen/llvm/jit.h"
#include "tilewright/ir/ndarray.h"
#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// A kernel of one parallel loop with buffers of its own, which are full of zeros.
class Probe {
 public:
  Probe(const PrimFunc& kernel, const Target& target);
  /// Nanoseconds of one launch, a chunk for each of so many threads.
  double Run(int threads);
  /// The best of launches for so many milliseconds, one at least.
  double Best(int threads, double milliseconds);

 private:
  JitModule code_;
  std::vector<NDArray> buffers_;
  std::vector<void*> pointers_;
  void* function_;
};

/// `chains` independent chains of so many multiply-adds each on f32 vectors, in each of so many chunks.
PrimFunc MultiplyAddKernel(const Target& target, int64_t chunks, int chains, int64_t steps);

/// The f32 multiply-add rate of this machine now, in GFLOP/s on `threads` threads, with the instructions of
/// `target`: a target without fused ones multiplies and adds. The best of several short runs.
double MeasurePeakGflops(int threads, const Target& target);

/// A chain of so many integer operations of one cycle each.
PrimFunc ClockKernel(int64_t cycles);

/// Reads `bytes` of memory `repeats` times in each of so many chunks, which have memory of their own.
PrimFunc ReadKernel(const Target& target, int64_t chunks, int64_t bytes, int64_t repeats);

/// Nanoseconds that a launch on so many threads takes beside the work itself, until all are done; at best.
double MeasureLaunchNs(int threads);

}  // namespace tilewright
