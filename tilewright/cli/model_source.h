// SPDX-License-Identifier: Apache-2.0
// What commands share: options of compilation, and a model from a file, compiled or to be compiled.
#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tilewright/driver/compile.h"
#include "tilewright/frontend/onnx/import.h"
#include "tilewright/runtime/module.h"

namespace tilewright {

/// Holds the value of a flag to a list of names, which the error shows and the help does not.
CLI::Validator KnownName(std::vector<std::string> names);

/// Flags that every command that may compile has.
struct CompileFlags {
  std::string target;             ///< one or several; empty: what a text says, else the host
  std::vector<std::string> dims;  ///< NAME=N: values of symbolic dimensions
  std::vector<std::string> bind;  ///< NAME=FILE or NAME=NUMBER: inputs that become constants
  bool verify_each = false;
  bool sanitize_address = false;
  double max_error = kDefaultMaxError;
  std::string precision = "f32";
  std::vector<std::string> print_after;
  std::string dump_dir, reproducer;
  bool verify_parameters = false;  ///< of module files
  bool no_cache = false;

  void Add(CLI::App& app);
  /// --verify, of commands that load modules.
  void AddVerify(CLI::App& app);
  std::vector<Target> Targets() const;
  /// Error TW4002 for a flag value that cannot be read, and for more than one target.
  CompileOptions Options() const;
  CompileOptions Options(const Target& one) const;
  std::map<std::string, int64_t> Dims() const;
  std::map<std::string, NDArray> Bound() const;
  /// Dims for the run: a compiled module takes them only then, a model has had them when it was compiled.
  std::map<std::string, int64_t> RunDims(const std::string& path) const;
};

/// The cache that all commands use; null when there is no folder for it.
std::shared_ptr<const KernelCache> DefaultKernelCache();

/// Whether the file is a compiled module (by content).
bool IsModuleFile(const std::string& path);

/// Imports and compiles a model file, or compiles a text. `bound` gives inputs that are to be constants,
/// beside those of the flags. Error TW4002 for options that a text or a model does not take.
CompiledModel CompileFile(const std::string& path, const CompileFlags& flags, const CompileOptions& options,
                          const std::map<std::string, NDArray>& bound = {});

/// A module that is ready to run, and the compilation behind it where there was one.
struct ReadyModel {
  std::shared_ptr<const runtime::Module> module;
  std::optional<CompiledModel> compiled;
  std::set<std::string> bound;  ///< inputs that were made constants
  double compile_s = 0;         ///< up to code in this process; 0 for a module file
  double load_ms = 0;
};
ReadyModel LoadModel(const std::string& path, const CompileFlags& flags,
                     const std::map<std::string, NDArray>& bound = {}, bool explain = false);

/// What the module's code was made for; `compiled` is what it was made of, where that was in this process.
Target TargetOf(const runtime::Module& module, const std::optional<CompiledModel>& compiled);

/// LoadModel for a model whose shapes depend on values of inputs: `value_of(e, name)` gives the value of an
/// input that has to be a constant, or null, and then the error leaves as it came.
ReadyModel LoadModelBinding(
    const std::string& path, const CompileFlags& flags,
    const std::function<std::optional<NDArray>(const NeedsBoundInputs&, const std::string&)>& value_of);

/// "NAME=VALUE" in two; Error TW4002 without '='.
std::pair<std::string, std::string> SplitAssignment(const std::string& text, const std::string& flag);

/// Draws progress on one line of a terminal; does nothing in a pipe.
class ProgressLine {
 public:
  ProgressLine();
  ~ProgressLine();
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;
  void Show(const std::string& text) const;
  void Clear() const;
  /// Shows the progress of a compilation, while the line is there.
  std::function<void(Phase, size_t, size_t)> Callback();

 private:
  bool terminal_;
};

}  // namespace tilewright
