// SPDX-License-Identifier: Apache-2.0
// tilewright run: a model on given, generated or test inputs.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <numeric>
#include <sstream>

#include "tilewright/cli/commands.h"
#include "tilewright/cli/image.h"
#include "tilewright/cli/inputs.h"
#include "tilewright/cli/model_source.h"
#include "tilewright/cli/report.h"
#include "tilewright/cli/tensor_io.h"
#include "tilewright/cli/test_data.h"
#include "tilewright/driver/dl_types.h"
#include "tilewright/frontend/onnx/import.h"
#include "tilewright/support/file.h"

namespace tilewright {

namespace {

struct RunArgs {
  std::string model, image, labels, output_dir, test_data;
  std::vector<std::string> inputs;
  std::vector<double> mean, std;
  ImageOptions image_options;
  int top = 0, threads = 0;
  uint64_t seed = 0;
  double rtol = 1e-3, atol = 1e-7;
  CompileFlags flags;
};

std::map<std::string, NDArray> ReadInputs(const RunArgs& args) {
  std::map<std::string, NDArray> given;
  for (const std::string& text : args.inputs) {
    if (text.ends_with(".npz") && text.find('=') == std::string::npos) {
      for (auto& [name, array] : ReadNpz(text)) given[name] = array;
      continue;
    }
    auto [name, file] = SplitAssignment(text, "--input");
    given[name] = ReadTensor(file);
  }
  return given;
}

/// Loads the model; inputs whose values decide shapes are bound to what was given for them.
ReadyModel LoadBinding(const RunArgs& args, const std::map<std::string, NDArray>& given) {
  return LoadModelBinding(
      args.model, args.flags,
      [&](const NeedsBoundInputs&, const std::string& name) -> std::optional<NDArray> {
        auto it = given.find(name);
        if (it == given.end()) return std::nullopt;
        fmt::print(stderr, "note: input '{}' decides shapes and is bound at compile time\n", name);
        return it->second;
      });
}

/// The first input that can be an image: rank 4 with 3 channels.
void SetImage(const RunArgs& args, const runtime::Program& program, std::map<std::string, NDArray>& given) {
  const InputShapes shapes(program, args.flags.RunDims(args.model));
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const runtime::TensorSpec& spec = program.inputs[i];
    const std::vector<int64_t> shape = shapes.Shape(i);
    if (shape.size() != 4 || shape[0] != 1 || (shape[1] != 3 && shape[3] != 3)) continue;
    const bool last = shape[1] != 3;
    given[spec.name] = ImageTensor(ReadImage(args.image), int(shape[last ? 1 : 2]), int(shape[last ? 2 : 3]),
                                   last, args.image_options);
    return;
  }
  throw Error("TW4005", "the model has no input for an image", "",
              {"expected a float input of shape 1x3xHxW or 1xHxWx3"});
}

void SetInputs(const RunArgs& args, runtime::Context& context, const std::map<std::string, NDArray>& given) {
  const runtime::Program& program = context.module().program();
  const InputShapes shapes(program, args.flags.RunDims(args.model), given);
  bool generated = false;
  for (size_t i = 0; i < program.inputs.size(); ++i) {
    const runtime::TensorSpec& spec = program.inputs[i];
    auto it = given.find(spec.name);
    if (it != given.end()) {
      SetInput(context, i, it->second);
      continue;
    }
    generated = true;
    SetInput(context, i, GenerateArray(FromDl(spec.dtype), shapes.Shape(i), args.seed + i));
    fmt::print(stderr, "note: input '{}' ({}) is generated with seed {}\n", spec.name,
               SpecText(spec, program), args.seed + i);
  }
  if (generated && !shapes.assumed().empty())
    fmt::print(stderr, "note: taken as {}; --dim NAME=N sets other sizes\n", shapes.assumed());
}

/// Names that are no inputs of the model.
void CheckNames(const std::map<std::string, NDArray>& given, const runtime::Program& program,
                const std::set<std::string>& bound) {
  for (auto& [name, array] : given) {
    const bool known =
        std::any_of(program.inputs.begin(), program.inputs.end(), [&](auto& s) { return s.name == name; }) ||
        bound.contains(name);
    if (known) continue;
    std::string names;
    for (const runtime::TensorSpec& s : program.inputs) names += (names.empty() ? "" : ", ") + s.name;
    throw Error("TW4006", fmt::format("the model has no input '{}'", name), "", {"its inputs are: " + names});
  }
}

std::vector<std::string> ReadLabels(const std::string& path) {
  std::istringstream in(ReadFile(path));
  std::vector<std::string> labels;
  for (std::string line; std::getline(in, line);) labels.push_back(line);
  return labels;
}

/// The `top` largest elements; values that are no distribution go through softmax first.
void PrintTop(const NDArray& scores, const std::string& name, int top,
              const std::vector<std::string>& labels) {
  std::vector<double> p = scores.ToDoubles();
  const double sum = std::accumulate(p.begin(), p.end(), 0.0);
  const bool distribution = std::abs(sum - 1) < 1e-3 && *std::min_element(p.begin(), p.end()) >= 0;
  if (!distribution) {
    const double most = *std::max_element(p.begin(), p.end());
    double total = 0;
    for (double& x : p) total += x = std::exp(x - most);
    for (double& x : p) x /= total;
  }
  std::vector<size_t> order(p.size());
  std::iota(order.begin(), order.end(), size_t(0));
  const size_t n = std::min(order.size(), size_t(top));
  std::partial_sort(order.begin(), order.begin() + std::ptrdiff_t(n), order.end(),
                    [&](size_t a, size_t b) { return p[a] > p[b]; });
  fmt::print("{} ({}):\n", name, distribution ? "probabilities" : "softmax of the output");
  for (size_t i = 0; i < n; ++i) {
    fmt::print("  {:>5}  {:6.2f}%  {}\n", order[i], 100 * p[order[i]],
               order[i] < labels.size() ? labels[order[i]] : "");
  }
}

void Report(const RunArgs& args, const runtime::Context& context) {
  const runtime::Program& program = context.module().program();
  const std::vector<std::string> labels =
      args.labels.empty() ? std::vector<std::string>() : ReadLabels(args.labels);
  if (!args.output_dir.empty()) MakeFolder(args.output_dir);
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    const NDArray out = OutputArray(context, i);
    std::string name = program.outputs[i].name;
    if (args.top > 0 && out.dtype().is_float() && out.size() > 1) {
      PrintTop(out, name, args.top, labels);
    } else if (args.output_dir.empty()) {
      fmt::print("{}: {}\n", name, out.ToString());
    }
    if (args.output_dir.empty()) continue;
    // Names of outputs may hold what a file's may not.
    std::replace(name.begin(), name.end(), '/', '_');
    WriteNpy(args.output_dir + "/" + name + ".npy", out);
  }
}

void Run(RunArgs args) {
  if (!args.labels.empty() && args.top == 0) args.top = 5;
  if (!args.mean.empty()) args.image_options.mean = args.mean;
  if (!args.std.empty()) args.image_options.std = args.std;
  if (!args.test_data.empty()) {
    ExitStatus() =
        RunTestData(args.model, args.test_data, args.flags, {args.rtol, args.atol, args.threads}) ? 0 : 1;
    return;
  }
  std::map<std::string, NDArray> given = ReadInputs(args);
  const ReadyModel ready = LoadBinding(args, given);
  const runtime::Program& program = ready.module->program();
  CheckNames(given, program, ready.bound);
  if (!args.image.empty()) SetImage(args, program, given);
  runtime::Context context(ready.module, {.num_threads = args.threads});
  SetInputs(args, context, given);
  context.Run();
  Report(args, context);
}

}  // namespace

void AddRunCommand(CLI::App& app) {
  auto args = std::make_shared<RunArgs>();
  CLI::App* command = app.add_subcommand("run", "Run a model or a compiled module");
  command->add_option("model", args->model, "Model file or compiled module")->required()->type_name("MODEL");
  command->add_option("-i,--input", args->inputs,
                      "NAME=FILE.npy|.npz|.pb, or FILE.npz with arrays named after inputs (repeatable); what "
                      "is not given is generated");
  command->add_option("--image", args->image, "JPEG or PNG for the model's image input");
  command
      ->add_option("--image-mean", args->mean,
                   "Per channel, subtracted from pixel values 0..255 (default 123.675,116.28,103.53)")
      ->delimiter(',')
      ->expected(3);
  command
      ->add_option("--image-std", args->std,
                   "Per channel, divided by afterwards (default 58.395,57.12,57.375)")
      ->delimiter(',')
      ->expected(3);
  command
      ->add_option("--image-crop", args->image_options.crop,
                   "Share of the shorter side that the centre crop takes")
      ->capture_default_str();
  command->add_flag("--image-bgr", args->image_options.bgr, "The model takes blue, green, red");
  command->add_option("--labels", args->labels, "File with one class name a line");
  command->add_option("--top", args->top,
                      "Print the K largest elements of each output (default 5 with --labels)");
  command->add_option("--output-dir", args->output_dir, "Write each output as NAME.npy into this folder");
  command->add_option("--test-data", args->test_data,
                      "Folder with test_data_set_* folders: compare, and say pass or fail");
  command->add_option("--rtol", args->rtol, "Relative tolerance of --test-data")->capture_default_str();
  command->add_option("--atol", args->atol, "Absolute tolerance of --test-data")->capture_default_str();
  command->add_option("--threads", args->threads, "Threads to run on (default: what the machine allows)");
  command->add_option("--seed", args->seed, "Seed of generated inputs")->capture_default_str();
  args->flags.Add(*command);
  args->flags.AddVerify(*command);
  command->callback([args] { Run(*args); });
}

}  // namespace tilewright
