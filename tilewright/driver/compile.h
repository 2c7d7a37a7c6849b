// SPDX-License-Identifier: Apache-2.0
// From a model's graph to code, parameters and program.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/driver/phase.h"
#include "tilewright/graph/graph.h"
#include "tilewright/ir/pass.h"
#include "tilewright/runtime/program.h"
#include "tilewright/target/target.h"

namespace tilewright {

struct CompileOptions {
  Target target = Target::Host();
  std::optional<Phase> stop_after;  ///< null: all phases
  bool verify_each = false;         ///< verify around every pass, not at the end only
  std::set<std::string> print_after;
  std::function<void(const std::string&)> print_sink;
  std::string dump_dir;  ///< IR after every pass goes here; empty: nowhere
  /// Called as work proceeds: phase, steps done, steps in all.
  std::function<void(Phase, size_t, size_t)> progress;
  int threads = 0;  ///< of the compiler; 0: as many as the machine offers
};

/// What is known of one kernel call of the program; for `bench --kernels`.
struct KernelInfo {
  std::string name;       ///< of the launch in the program
  std::string operators;  ///< what was fused into it, "Conv+Relu"
  double flops = 0;       ///< of the direct algorithm
};

/// Memory in bytes.
struct MemorySummary {
  int64_t arena = 0;        ///< planned for intermediate values
  int64_t lower_bound = 0;  ///< the largest set of values that live at the same time
  int64_t parameters = 0;   ///< constants as kernels read them
};

/// A compiled model, in this process's memory. What phases that did not run would give is empty.
struct CompiledModel {
  std::string name;
  Target target;
  IRModule module;  ///< after the last phase that ran; kernels included
  runtime::Program program;
  NDArray parameters;             ///< u8; one blob, in the program's layout
  std::vector<PrimFunc> kernels;  ///< lowered, in the order of Program::kernels
  std::vector<ObjectCode> objects;
  std::vector<KernelInfo> kernel_infos;  ///< one per launch, in order
  MemorySummary memory;
  std::map<std::string, int> operators;  ///< of the imported graph, with counts
  double flops = 0;                      ///< of the direct algorithms, all operators
  std::vector<PassRecord> times;
};

/// Compiles the function @main of `module`, whose first parameters are the model's inputs; `parameters` gives
/// the others by name. Throws Error (TW3xxx and what the passes throw).
CompiledModel CompileModel(const IRModule& module, const std::map<std::string, NDArray>& parameters,
                           const CompileOptions& options);

/// The text of all functions of a module, graph functions first; that of kernels parses back (tir/parser.h).
std::string ModuleText(const IRModule& module);

}  // namespace tilewright
