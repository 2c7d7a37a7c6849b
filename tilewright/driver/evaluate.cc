// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/evaluate.h"

#include "tilewright/codegen/llvm/jit.h"
#include "tilewright/driver/dl_types.h"
#include "tilewright/driver/pipeline.h"
#include "tilewright/driver/requirements.h"
#include "tilewright/runtime/context.h"
#include "tilewright/target/code_generator.h"

namespace tilewright {

namespace {

/// What a module loaded from memory must keep alive.
struct InProcessOwner {
  std::optional<JitModule> code;
  NDArray parameters;
};

}  // namespace

std::shared_ptr<const runtime::Module> LoadInProcess(const CompiledModel& model) {
  if (CodeGeneratorOf(model.target) != CodeGenerator::kLlvm) {
    throw Error("TW3203",
                fmt::format("code for the target '{}' cannot run in this process", model.target.name), "",
                {"`tilewright compile -o MODEL.c` writes it, for a C compiler"});
  }
  auto owner = std::make_shared<InProcessOwner>();
  owner->parameters = model.parameters;
  std::vector<tw_kernel> kernels;
  if (!model.objects.empty()) {
    CheckRunsHere(model.target);
    owner->code = JitModule::Load(model.objects);
    for (const std::string& name : model.program.kernels)
      kernels.push_back(reinterpret_cast<tw_kernel>(owner->code->Find(name)));
  }
  const auto* bytes = static_cast<const std::byte*>(model.parameters.data());
  std::span<const std::byte> parameters(bytes, model.parameters ? size_t(model.parameters.bytes()) : 0);
  return runtime::Module::FromProgram(model.name, model.program, std::move(kernels), parameters, owner);
}

std::vector<NDArray> RunModule(std::shared_ptr<const runtime::Module> module,
                               const std::vector<NDArray>& inputs, int threads) {
  const runtime::Program& program = module->program();
  if (inputs.size() != program.inputs.size()) {
    throw Error("TW3201",
                fmt::format("the model has {} inputs, {} were given", program.inputs.size(), inputs.size()));
  }
  runtime::Context context(module, {.num_threads = threads});
  for (size_t i = 0; i < inputs.size(); ++i) {
    context.SetInput(i, inputs[i].data(), uint64_t(inputs[i].bytes()));
  }
  context.Run();
  std::vector<NDArray> outputs;
  for (size_t i = 0; i < program.outputs.size(); ++i) {
    runtime::TensorView view = context.Output(i);
    NDArray out = NDArray::Empty(FromDl(view.dtype), {view.shape.begin(), view.shape.end()});
    std::memcpy(out.mutable_data(), view.data, view.bytes);
    outputs.push_back(std::move(out));
  }
  return outputs;
}

ConstantEvaluator ConstantEvaluatorFor(const CompileOptions& options) {
  // Values are needed here and now, whatever machine the model is for, and nothing in them is worth folding.
  CompileOptions local;
  local.threads = options.threads;
  local.verify_each = options.verify_each;
  local.cache = options.cache;
  return [local](const GraphFunction& f) {
    IRModule module;
    module.Set(f);
    return RunModule(LoadInProcess(CompileConstantPart(module, local)), {});
  };
}

}  // namespace tilewright
