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
#include "tilewright/driver/kernel_cache.h"
#include "tilewright/driver/phase.h"
#include "tilewright/graph/printer.h"
#include "tilewright/ir/pass.h"
#include "tilewright/runtime/program.h"
#include "tilewright/schedule/rules/explanation.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// The default of CompileOptions::max_error. Errors of layers are far below what they state, on average, and
/// do not add up like that: models stay well within 1e-4 of their outputs' largest magnitude.
inline constexpr double kDefaultMaxError = 5e-5;

/// What products of f32 with constant weights are computed in.
enum class Precision : uint8_t {
  kF32,   ///< in f32
  kBF16,  ///< rounded to bf16, where that is predicted to be faster, with sums in f32
};

struct CompileOptions {
  Target target = Target::Host();
  /// The largest error that the algorithm of an operator may state (docs/ir.md), relative to the root
  /// mean square of its result. 0: none that approximates.
  double max_error = kDefaultMaxError;
  Precision precision = Precision::kF32;  ///< Error TW3104 where the target has no products of bf16
  std::optional<Phase> stop_after;        ///< null: all phases
  /// Names of AllPasses: passes before the first and behind the second are left out; empty: none. What
  /// the module is must fit the pass to begin at.
  std::string start_at, stop_after_pass;
  /// Whether to say what was decided for each kernel (CompiledModel::explanations); the cache, which does not
  /// know, is then not used.
  bool explain = false;
  bool verify_each = false;  ///< verify around every pass, not at the end only
  /// Names of phases and passes (driver/phase.h), or "all" passes; a name without number stands for every
  /// run.
  std::set<std::string> print_after;
  std::function<void(const std::string&)> print_sink;
  std::string dump_dir;  ///< IR after every pass goes here; empty: nowhere
  /// When a pass fails, what it was given goes here (a text that compiles again from that pass, and a file of
  /// constants beside it). Empty: into the folder for temporary files, and only when the fault is the
  /// compiler's own.
  std::string reproducer;
  /// Called as work proceeds: phase, steps done, steps in all.
  std::function<void(Phase, size_t, size_t)> progress;
  /// Inputs that give their memory to outputs of the same type, by name: the output of one run is the input
  /// of the next. Error TW3102 for what does not fit.
  std::vector<std::pair<std::string, std::string>> donate;
  /// Where compiled kernels are kept from one compilation to the next; null: nowhere. The module is the same
  /// with it and without. Not used where intermediate forms are asked for.
  std::shared_ptr<const KernelCache> cache;
  int threads = 0;  ///< of the compiler; 0: as many as the machine offers
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
  IRModule module;            ///< after the last phase that ran; kernels included, unless they were cached
  bool kernels_only = false;  ///< compiled from functions without a @main that calls them: no program
  std::map<std::string, NDArray> unbound;  ///< values of @main's parameters, before they are constants
  runtime::Program program;
  NDArray parameters;              ///< u8; one blob, in the program's layout
  std::vector<int64_t> constants;  ///< where in it each constant begins, ascending
  std::vector<PrimFunc> kernels;   ///< lowered, in the order of Program::kernels; without bodies if cached
  std::vector<ObjectCode> objects;
  MemorySummary memory;
  std::map<std::string, int> operators;  ///< of the imported graph, with counts
  double flops = 0;                      ///< of the direct algorithms, all operators
  std::vector<PassRecord> times;
  std::map<std::string, Explanation> explanations;  ///< by the kernel's name, where they were asked for
};

/// Compiles the function @main of `module`, whose first parameters are the model's inputs; `parameters` gives
/// the others by name. Throws Error (TW3xxx and what the passes throw).
CompiledModel CompileModel(const IRModule& module, const std::map<std::string, NDArray>& parameters,
                           const CompileOptions& options);

/// Compiles what a text holds: a model (@main and what it calls), else functions that are each to be a kernel
/// (graph functions with the attribute "primitive", or kernel-level ones), of which there are then kernels
/// and objects, but no program. Begins at `options.start_at`, else where the form of the functions says.
/// Error TW33xx for a text that cannot be compiled, and what its verifiers find.
CompiledModel CompileText(const TextModule& text, const CompileOptions& options);

/// The text of all functions of a module, graph functions first (graph/printer.h). Large constants are left
/// out.
std::string ModuleText(const IRModule& module);

}  // namespace tilewright
