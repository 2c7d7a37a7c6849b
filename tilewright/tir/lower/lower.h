// SPDX-License-Identifier: Apache-2.0
// From the scheduled stage to what code generators read, as one straight line of passes (lower.cc).
//
// What a code generator meets in a kernel of LowerPrimFunc's result, and nothing else:
//   Kernel      `body` is either For(kParallel, var, 0, num_chunks), which is generated as a loop over
//               [chunk_begin, chunk_end) of the call, or has no parallel loop (num_chunks is 1). The same
//               holds for kernels without chunks: they are called with [0, 1).
//               A kernel of a device is a nest of For(kThreadBound), its blocks and threads, with
//               allocations of what threads share between (see KernelLaunch::threads).
//   Statements  Store, For (kSerial but for those; with carried values; extents may be 0), Seq, If,
//               LetStmt (long chains: walk them by a loop, not by recursion), Allocate, Evaluate (prefetch,
//               on devices barrier), Yield (last in the body of a carrying loop).
//   Buffers     one physical dimension each (shape in elements, compact, no offset). Distinct buffers do not
//               overlap, but for an output that the memory plan puts in place of an input of which each
//               element is read before that element is written.
//   Allocate    constant size: on the stack. Scope "workspace": bump-allocated (64-byte aligned, freed at the
//               end of the statement) in the call's private memory, which is the pointer
//               buffers[kernel->buffers.size()] + chunk_begin * workspace_bytes; see KernelLaunch.
//               Scope "register" never appears.
//   Index       i64: a scalar, Ramp(base, stride, lanes), Broadcast, or any integer vector (gather, scatter).
//               Scalar indices and ramp bases have the form (((outer terms) + inner terms) + constant), so
//               that the constant fits an addressing mode and the rest is shared.
//   Expressions Var, IntImm, FloatImm, StringImm (of prefetch: none), Cast, Binary, Not, Select (a scalar
//               condition may choose between vectors), IfThenElse (scalar condition, perhaps vector values),
//               Let, Load and Store with predicates (bool vectors), Ramp, Broadcast, Shuffle and Call of:
//               sqrt, abs, floor, ceil, trunc, round, fma (only where the target has it, or the program says
//               so), isnan, isinf, bit_and, bit_or, bit_xor, bit_not, shift_left, shift_right, popcount,
//               reinterpret, likely, vector_reduce_*, dot_*, prefetch, extern_call. What libm offers is
//               expanded: kernels import no symbols.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// One call of a kernel: num_chunks chunks that may run at the same time.
struct KernelLaunch {
  PrimFunc kernel;  ///< lowered stage; read-only buffers first, then the num_outputs written ones
  Expr num_chunks;  ///< over kernel->dims
  std::vector<Buffer>
      args;  ///< per kernel->buffers: a buffer of the scheduled function, or one of `workspaces`
  /// Bytes of private memory per chunk, over kernel->dims; null for none. Where not null, the call passes one
  /// pointer more than `args`: to num_chunks times as many bytes. Also the attribute "workspace_bytes" of the
  /// kernel.
  Expr workspace_bytes;
  /// The extents of the loops over hardware threads that the kernel is a nest of, outermost first
  /// ("blockIdx.y", 4); also attributes of the kernel. Empty: the host runs it. Else the device does, and
  /// chunks and private memory are none.
  struct Threads {
    std::string tag;
    Expr extent;
  };
  std::vector<Threads> threads;
};

/// What one scheduled function becomes: launches in order, each waiting for the one before.
struct LoweredKernels {
  std::vector<KernelLaunch> launches;
  std::vector<Buffer>
      workspaces;  ///< intermediate buffers shared by launches; shapes over the function's dims
};

/// Which of the passes run, and who looks on.
struct LowerOptions {
  /// Names of passes; empty: from the first, to the last. From behind SplitLaunches on, the function is one
  /// kernel of its result.
  std::string start_at, stop_after;
  /// Told what each pass is given and what it made of it; SplitLaunches may make several.
  std::function<void(std::string_view pass, const PrimFunc& f)> before, after;
};

/// Lowers a function of the scheduled stage. Throws Error TW13xx where the schedule asks for what cannot be
/// done (a register buffer indexed by a variable, a reduction over a vectorized loop).
LoweredKernels LowerPrimFunc(const PrimFunc& scheduled, const Target& target,
                             const LowerOptions& options = {});

/// The names of its passes, in order; one that runs again has a number from the second time on.
std::vector<std::string> LoweringPasses();
/// Whether a pass of that name takes functions of the lowered stage: those behind LowerBlocks do.
bool TakesLoweredKernels(std::string_view pass);

}  // namespace tilewright
