// SPDX-License-Identifier: Apache-2.0
// tilewright compile: a model file into a deployable module, or into any intermediate form.
#include <filesystem>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/driver/package.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

struct CompileArgs {
  std::string model, output, stop_after, emit;
  bool print = false, quiet = false;
  CompileFlags flags;
};

/// The phase after which the wanted form is there.
Phase PhaseOf(const std::string& emit) {
  if (emit == "graph") return Phase::kFuse;
  if (emit == "tir") return Phase::kLowerKernels;
  return Phase::kCodegen;
}

void Emit(const std::string& form, const CompiledModel& model, const std::string& output) {
  std::string text;
  if (form == "graph" || form == "tir") {
    text = ModuleText(model.module);
  } else if (form == "llvm") {
    text = KernelLlvmIr(model.kernels, model.target);
  } else if (form == "asm") {
    text = KernelAssembly(model.kernels, model.target);
  } else {
    text = CompileKernels(model.kernels, model.target).bytes;
  }
  if (output.empty()) {
    if (form == "obj") throw Error("TW4003", "an object file needs a name", "", {"add -o FILE.o"});
    fmt::print("{}", text);
  } else {
    WriteFile(output, text);
  }
}

void Compile(const CompileArgs& args) {
  CompileOptions options = args.flags.Options();
  if (!args.stop_after.empty()) options.stop_after = FindPhase(args.stop_after);
  if (!args.emit.empty()) options.stop_after = PhaseOf(args.emit);
  if (!options.stop_after && args.output.empty()) {
    throw Error("TW4003", "there is no name for the module", "",
                {"add -o FILE.so, or --stop-after PHASE --print"});
  }
  ProgressLine progress;
  options.progress = progress.Callback();
  const Stopwatch watch;
  const CompiledModel model = CompileFile(args.model, args.flags, options);
  if (!args.emit.empty()) return Emit(args.emit, model, args.output);
  if (options.stop_after) {
    if (args.print) fmt::print("{}", ModuleText(model.module));
    return;
  }
  WriteSharedLibrary(model, args.output);
  if (args.quiet) return;
  fmt::print(
      "wrote {} ({:.1f} MB) in {:.2f} s: {} kernels in {} launches, {:.1f} MB of parameters, {:.1f} MB of "
      "memory\n",
      args.output, double(std::filesystem::file_size(args.output)) / 1e6, watch.Milliseconds() / 1e3,
      model.kernels.size(), model.program.instructions.size(), double(model.memory.parameters) / 1e6,
      double(model.memory.arena) / 1e6);
}

}  // namespace

void AddCompileCommand(CLI::App& app) {
  auto args = std::make_shared<CompileArgs>();
  CLI::App* command =
      app.add_subcommand("compile", "Compile a model into a module that runs without a compiler");
  command->add_option("model", args->model, "Model file (.onnx)")->required()->type_name("MODEL");
  command->add_option("-o,--output", args->output, "File to write (.so, or what --emit makes)");
  std::vector<std::string> phases;
  std::string help = "Stop after a phase:";
  for (Phase p : AllPhases()) {
    phases.emplace_back(PhaseName(p));
    help += fmt::format("\n  {}: {}", PhaseName(p), PhaseDoc(p));
  }
  command->add_option("--stop-after", args->stop_after, help)->check(CLI::IsMember(phases));
  command->add_flag("--print", args->print, "Print the IR where --stop-after stops");
  command
      ->add_option("--emit", args->emit,
                   "Write an intermediate form instead of a module (to stdout without -o)")
      ->check(CLI::IsMember(std::vector<std::string>{"graph", "tir", "llvm", "asm", "obj"}));
  command->add_flag("-q,--quiet", args->quiet, "Say nothing when all is well");
  args->flags.Add(*command);
  command->callback([args] { Compile(*args); });
}

}  // namespace tilewright
