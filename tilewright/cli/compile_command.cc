// SPDX-License-Identifier: Apache-2.0
// tilewright compile: a model file into a deployable module, or into any intermediate form.
#include <filesystem>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/cli/report.h"
#include "tilewright/codegen/c/codegen.h"
#include "tilewright/driver/c_source.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/text_file.h"
#include "tilewright/support/file.h"
#include "tilewright/target/code_generator.h"

namespace tilewright {

namespace {

struct CompileArgs {
  std::string model, output, start_at, stop_after, emit;
  std::vector<std::string> donate;
  bool print = false, quiet = false, times = false;
  CompileFlags flags;
};

/// Where compilation stops: where --stop-after says, if the wanted form is there then, or as soon as it is.
void SetStop(const CompileArgs& args, CompileOptions& options) {
  if (!args.stop_after.empty()) {
    options.stop_after = FindPhase(args.stop_after);
    if (!options.stop_after) options.stop_after_pass = args.stop_after;
  }
  if (args.emit.empty()) return;
  const Phase stop = args.stop_after.empty() ? Phase::kPackage
                     : options.stop_after    ? *options.stop_after
                                             : FindPass(args.stop_after)->phase;
  if (args.emit == "graph") {
    if (stop <= Phase::kFuse) return;
    options.stop_after = Phase::kFuse;
  } else if (args.emit == "tir") {
    if (stop >= Phase::kLower && stop <= Phase::kLowerKernels) return;
    options.stop_after = Phase::kLowerKernels;
  } else {
    options.stop_after = Phase::kCodegen;
  }
  if (!args.stop_after.empty()) {
    throw Error("TW4002",
                fmt::format("--emit {} and --stop-after {} exclude each other", args.emit, args.stop_after));
  }
}

/// The pass that takes what is there when compilation has stopped.
std::string NextPass(const CompileOptions& options) {
  return options.stop_after ? PassAfter(*options.stop_after) : PassAfter(options.stop_after_pass);
}

IRModule KernelsOf(const IRModule& module) {
  IRModule kernels;
  for (const auto& [name, f] : module.functions()) {
    if (f->kind == FunctionKind::kPrim) kernels.Set(f);
  }
  return kernels;
}

void Emit(const std::string& form, const CompiledModel& model, const CompileOptions& options,
          const std::string& output) {
  std::string text;
  if (form == "graph") {
    // With a file there is a place for large constants, so that what is written compiles again.
    const TextModule graph{TextOptions(options, NextPass(options)), model.unbound, model.module};
    if (!output.empty()) return WriteTextFile(output, graph);
    text = PrintModule(graph);
  } else if (form == "tir") {
    text = PrintModule({TextOptions(options, NextPass(options)), {}, KernelsOf(model.module)});
  } else if (form == "c") {
    text = KernelCText(model.kernels);
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

/// What was compiled, in a sentence.
std::string Summary(const CompiledModel& model) {
  std::string text = fmt::format("{} kernels", model.kernels.size());
  if (model.program.instructions.empty()) return text;
  return text + fmt::format(" in {} launches, {:.1f} MB of parameters, {:.1f} MB of memory",
                            model.program.instructions.size(), double(model.memory.parameters) / 1e6,
                            double(model.memory.arena) / 1e6);
}

std::string SizeOfFile(const std::string& path) {
  return fmt::format("{} ({:.1f} MB)", path, double(std::filesystem::file_size(path)) / 1e6);
}

/// One module with a variant for each target.
void CompileVariants(const CompileArgs& args, const std::vector<Target>& targets) {
  const Stopwatch watch;
  ProgressLine progress;
  std::vector<CompiledModel> variants;
  for (const Target& target : targets) {
    if (CodeGeneratorOf(target) != CodeGenerator::kLlvm)
      throw Error("TW4002", fmt::format("the target '{}' makes no variant of a module", target.name), "",
                  {"compile for it alone"});
    CompileOptions options = args.flags.Options(target);
    options.start_at = args.start_at;
    options.progress = progress.Callback();
    variants.push_back(CompileFile(args.model, args.flags, options));
    if (variants.back().kernels_only)
      throw Error("TW4003", "kernels alone make no module", args.model, {"give one target, and --emit"});
    if (args.times) PrintPassTimes(variants.back());
  }
  WriteSharedLibrary(variants, args.output);
  if (args.quiet) return;
  fmt::print("wrote {} with {} variants in {:.2f} s\n", SizeOfFile(args.output), variants.size(),
             watch.Milliseconds() / 1e3);
  for (const CompiledModel& v : variants) fmt::print("  {}: {}\n", v.target.name, Summary(v));
}

void Compile(const CompileArgs& args) {
  const std::vector<Target> targets = args.flags.Targets();
  if (targets.size() > 1 && !args.output.empty() && args.emit.empty() && args.stop_after.empty())
    return CompileVariants(args, targets);
  CompileOptions options = args.flags.Options();
  options.start_at = args.start_at;
  for (const std::string& d : args.donate) options.donate.push_back(SplitAssignment(d, "--donate"));
  SetStop(args, options);
  const bool stops = options.stop_after || !options.stop_after_pass.empty();
  const bool is_text = IsTextFile(args.model);
  if (!stops && args.output.empty() && !is_text) {
    throw Error("TW4003", "there is no name for the module", "",
                {"add -o FILE.so, or --stop-after PHASE --print"});
  }
  ProgressLine progress;
  options.progress = progress.Callback();
  const Stopwatch watch;
  const CompiledModel model = CompileFile(args.model, args.flags, options);
  if (args.times) PrintPassTimes(model);
  options.target = model.target;
  if (!args.emit.empty()) return Emit(args.emit, model, options, args.output);
  if (stops) {
    if (args.print) fmt::print("{}", ModuleText(model.module));
    return;
  }
  std::string done = "compiled";
  if (!args.output.empty()) {
    if (model.kernels_only) {
      throw Error("TW4003", "kernels alone make no module", args.model,
                  {"add --emit, with asm, obj or another form"});
    }
    if (CodeGeneratorOf(model.target) == CodeGenerator::kC) {
      done = "wrote " + WriteCSource(model, args.output);
    } else {
      WriteSharedLibrary(model, args.output);
      done = "wrote " + SizeOfFile(args.output);
    }
  }
  if (!args.quiet) fmt::print("{} in {:.2f} s: {}\n", done, watch.Milliseconds() / 1e3, Summary(model));
}

}  // namespace

void AddCompileCommand(CLI::App& app) {
  auto args = std::make_shared<CompileArgs>();
  CLI::App* command =
      app.add_subcommand("compile", "Compile a model into a module that runs without a compiler");
  command
      ->add_option("model", args->model, "Model file (.onnx), or IR as text: a graph, kernels, a reproducer")
      ->required()
      ->type_name("MODEL");
  command->add_option("-o,--output", args->output,
                      "File to write (.so; .c with --target c; or what --emit makes)");
  std::string help = "Stop after a phase, or one of its passes:";
  for (Phase p : AllPhases()) {
    help += fmt::format("\n  {}: {}", PhaseName(p), PhaseDoc(p));
    const char* separator = "\n    ";
    for (const PassInfo& pass : AllPasses()) {
      if (pass.phase != p) continue;
      help += separator + pass.name;
      separator = ", ";
    }
  }
  command->add_option("--stop-after", args->stop_after, help)->check(KnownName(PhaseAndPassNames()));
  command->add_option("--start-at", args->start_at,
                      "The pass that takes this text (default: what the text says, or its form)");
  command->add_flag("--print", args->print, "Print the IR where --stop-after stops");
  command
      ->add_option("--emit", args->emit,
                   "Write an intermediate form instead of a module (to stdout without -o)")
      ->check(CLI::IsMember(std::vector<std::string>{"graph", "tir", "c", "llvm", "asm", "obj"}));
  command->add_option("--donate", args->donate,
                      "Let an input give its memory to an output of the same type, which the next run then "
                      "reads as that input, without a copy: INPUT=OUTPUT (repeatable)");
  command->add_flag("--times", args->times, "Print what each pass took");
  command->add_flag("-q,--quiet", args->quiet, "Say nothing when all is well");
  args->flags.Add(*command);
  command->callback([args] { Compile(*args); });
}

}  // namespace tilewright
