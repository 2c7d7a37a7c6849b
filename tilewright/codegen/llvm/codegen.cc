// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/codegen.h"

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "tilewright/codegen/llvm/kernel_emitter.h"
#include "tilewright/codegen/llvm/llvm_headers.h"
#include "tilewright/codegen/llvm/machine.h"
#include "tilewright/target/host.h"

namespace tilewright {

using namespace llvm_codegen;

namespace {

/// A module with the kernels, and what must outlive it.
struct Emitted {
  MachinePtr machine;
  llvm::LLVMContext context;
  std::unique_ptr<llvm::Module> module;

  Emitted(std::span<const PrimFunc> kernels, const Target& target, const CodegenOptions& options,
          bool keep_names = false)
      : machine(CreateMachine(target, options.opt_level)),
        module(std::make_unique<llvm::Module>("tilewright", context)) {
    context.setDiscardValueNames(!keep_names);
    module->setTargetTriple(target.triple);
    module->setDataLayout(machine->createDataLayout());
    module->setPICLevel(llvm::PICLevel::BigPIC);
    if (target.triple.starts_with("riscv64")) {
      module->addModuleFlag(llvm::Module::Error, "target-abi", llvm::MDString::get(context, "lp64d"));
    }
    for (const PrimFunc& kernel : kernels) EmitKernel(kernel, target, *module);
    std::string problems;
    llvm::raw_string_ostream stream(problems);
    TW_CHECK(!llvm::verifyModule(*module, &stream), "invalid LLVM IR: {}", problems);
    if (target.sanitize_address) InstrumentAddresses(*module, *machine);
  }
};

}  // namespace

ObjectCode CompileKernels(std::span<const PrimFunc> kernels, const Target& target,
                          const CodegenOptions& options) {
  Emitted emitted(kernels, target, options);
  ObjectCode object;
  object.bytes = GenerateCode(*emitted.module, *emitted.machine, OutputKind::kObject);
  for (const PrimFunc& kernel : kernels) object.symbols.push_back(kernel.name());
  for (const std::string& symbol : UndefinedSymbols(object.bytes)) {
    TW_CHECK(target.sanitize_address && symbol.starts_with("__asan_"), "kernels import the symbol {}",
             symbol);
  }
  return object;
}

std::vector<ObjectCode> CompileKernelGroups(std::span<const PrimFunc> kernels, const Target& target,
                                            const CodegenOptions& options) {
  const size_t group = size_t(std::max(options.kernels_per_object, 1));
  const size_t count = (kernels.size() + group - 1) / group;
  std::vector<ObjectCode> objects(count);
  std::vector<std::exception_ptr> errors(count);
  std::atomic<size_t> next{0};
  auto work = [&] {
    for (size_t i; (i = next.fetch_add(1)) < count;) {
      try {
        const size_t begin = i * group;
        objects[i] =
            CompileKernels(kernels.subspan(begin, std::min(group, kernels.size() - begin)), target, options);
      } catch (...) {
        errors[i] = std::current_exception();
      }
    }
  };
  const size_t limit = options.threads > 0 ? size_t(options.threads) : size_t(AvailableCores());
  {
    std::vector<std::jthread> threads;
    for (size_t t = 1; t < std::min(limit, count); ++t) threads.emplace_back(work);
    work();
  }
  for (const std::exception_ptr& error : errors) {
    if (error) std::rethrow_exception(error);
  }
  return objects;
}

std::string KernelAssembly(std::span<const PrimFunc> kernels, const Target& target,
                           const CodegenOptions& options) {
  Emitted emitted(kernels, target, options);
  return GenerateCode(*emitted.module, *emitted.machine, OutputKind::kAssembly);
}

std::string KernelLlvmIr(std::span<const PrimFunc> kernels, const Target& target) {
  Emitted emitted(kernels, target, {}, /*keep_names=*/true);
  std::string text;
  llvm::raw_string_ostream stream(text);
  emitted.module->print(stream, nullptr);
  return text;
}

std::vector<std::string> EnabledFeatures(const Target& target) { return EnabledFeaturesOf(target); }

Expr NumChunks(const PrimFunc& kernel) {
  const ForNode* loop = FindChunkLoop(kernel->body);
  return loop ? loop->extent : Expr(1);
}

}  // namespace tilewright
