// SPDX-License-Identifier: Apache-2.0
// tilewright gradient: a model into a module that also computes derivatives, or makes a training step.
#include <filesystem>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/text_file.h"
#include "tilewright/transform/differentiate.h"

namespace tilewright {

namespace {

struct GradientArgs {
  std::string model, output, loss, rate;
  std::vector<std::string> wrt;
  bool graph = false, quiet = false;
  CompileFlags flags;
};

/// The weights by which to differentiate: those named, or all of floats.
std::vector<std::string> Parameters(const GradientArgs& args, const ImportedModel& model) {
  if (!args.wrt.empty()) return args.wrt;
  std::vector<std::string> names;
  for (const Value& p : GetGraphFunction(model.module)->params) {
    const std::string& name = p->origin.empty() ? p.name() : p->origin;
    if (model.parameters.contains(name) && p.tensor().dtype.is_float()) names.push_back(name);
  }
  if (!names.empty()) return names;
  throw Error("TW4002", "the model has no weights of floats", args.model, {"name inputs by --wrt"});
}

void Gradient(const GradientArgs& args) {
  if (args.output.empty() && !args.graph)
    throw Error("TW4003", "there is no name for the module", "", {"add -o FILE.so, or --print"});
  CompileOptions options = args.flags.Options();
  ImportOptions import;
  import.dims = args.flags.Dims();
  import.bound = args.flags.Bound();
  ImportedModel model = ImportOnnx(args.model, import);
  const DifferentiateOptions by{args.loss, Parameters(args, model)};
  model.module = Differentiate(model.module, by);
  if (!args.rate.empty()) model.module = AddDescentStep(model.module, by, args.rate);
  // What the derivative is by stays an input.
  for (const std::string& name : by.parameters) model.parameters.erase(name);
  if (args.graph) options.stop_after = Phase::kSimplify;
  ProgressLine progress;
  options.progress = progress.Callback();
  CompiledModel compiled = CompileModel(model.module, model.parameters, options);
  if (args.graph) {
    fmt::print("{}", ModuleText(compiled.module));
    return;
  }
  compiled.name = std::filesystem::path(args.model).stem().string();
  WriteSharedLibrary(compiled, args.output);
  if (!args.quiet) {
    fmt::print("wrote {} ({:.1f} MB): {} by {} tensors, {} kernels\n", args.output,
               double(std::filesystem::file_size(args.output)) / 1e6, args.loss, by.parameters.size(),
               compiled.kernels.size());
  }
}

}  // namespace

void AddGradientCommand(CLI::App& app) {
  auto args = std::make_shared<GradientArgs>();
  CLI::App* command = app.add_subcommand(
      "gradient", "Compile a model with the derivatives of one of its outputs, for training");
  command->add_option("model", args->model, "Model file (.onnx)")->required()->type_name("MODEL");
  command->add_option("-o,--output", args->output, "Module to write (.so)");
  command->add_option("--loss", args->loss, "The output to differentiate: one number")->required();
  command
      ->add_option("--wrt", args->wrt,
                   "Weights and inputs by which, separated by commas; they become inputs of the module, and "
                   "each gets an output gradient:NAME (default: all weights of floats)")
      ->delimiter(',');
  command->add_option("--sgd", args->rate,
                      "Instead of gradients give the weights after a step of gradient descent, as outputs "
                      "next:NAME in the memory of the inputs NAME. The argument names the new input that is "
                      "the step's rate");
  command->add_flag("--print", args->graph, "Print the graph as it is when simplified, and write nothing");
  command->add_flag("-q,--quiet", args->quiet, "Say nothing when all is well");
  args->flags.Add(*command);
  command->callback([args] { Gradient(*args); });
}

}  // namespace tilewright
