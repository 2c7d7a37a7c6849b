// SPDX-License-Identifier: Apache-2.0
// From lowered kernels to machine code through LLVM. No LLVM type appears in this interface.
//
// A kernel becomes a function of the type `tw_kernel` (runtime/kernel_abi.h): buffers in the order of
// PrimFuncNode::buffers, then dims. The body's top-level parallel loop runs over the chunks
// [chunk_begin, chunk_end); a body without one runs as chunk 0. Code imports no symbols.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Machine code of some kernels.
struct ObjectCode {
  std::string bytes;                 ///< an ELF relocatable object
  std::vector<std::string> symbols;  ///< the kernels' names, in the order in which they were given
};

struct CodegenOptions {
  /// Effort of instruction selection and register allocation, 0 to 3; kernels arrive as finished vector code,
  /// so that more than 1 costs time and gains nothing.
  int opt_level = 1;
  /// Kernels in one object of CompileKernelGroups.
  int kernels_per_object = 8;
  /// Threads of CompileKernelGroups; 0: as many as the machine offers.
  int threads = 0;
};

/// Compiles kernels (TirStage::kLowered) into one object. Throws InternalError on a kernel that breaks the
/// rules of the lowered stage, Error TW1701 on a target that this LLVM cannot compile for.
ObjectCode CompileKernels(std::span<const PrimFunc> kernels, const Target& target,
                          const CodegenOptions& options = {});

/// The same in several objects, in parallel. The result depends on neither the number of threads nor their
/// timing.
std::vector<ObjectCode> CompileKernelGroups(std::span<const PrimFunc> kernels, const Target& target,
                                            const CodegenOptions& options = {});

/// The assembly text of the kernels.
std::string KernelAssembly(std::span<const PrimFunc> kernels, const Target& target,
                           const CodegenOptions& options = {});
/// The LLVM IR of the kernels as it goes into code generation.
std::string KernelLlvmIr(std::span<const PrimFunc> kernels, const Target& target);

/// The extensions of the processor that code for the target relies on, by LLVM's names: those of its features
/// and those that its cpu has, but for what no kernel uses (cryptography). Errors as of CompileKernels.
std::vector<std::string> EnabledFeatures(const Target& target);

/// How many chunks a launch of the kernel has: the extent of its top-level parallel loop over its dims, or 1.
Expr NumChunks(const PrimFunc& kernel);

}  // namespace tilewright
