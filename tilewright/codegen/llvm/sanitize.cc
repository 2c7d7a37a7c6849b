// SPDX-License-Identifier: Apache-2.0
// AddressSanitizer over generated kernels: checks around every access, red zones around stack arrays. The
// runtime is that of the process which runs the kernel; no constructors and no globals are instrumented.
#include <llvm/Transforms/Instrumentation/AddressSanitizer.h>

#include "tilewright/codegen/llvm/llvm_headers.h"
#include "tilewright/codegen/llvm/machine.h"

namespace tilewright::llvm_codegen {

void InstrumentAddresses(llvm::Module& module, llvm::LLVMTargetMachine& machine) {
  for (llvm::GlobalVariable& global : module.globals()) {
    llvm::GlobalValue::SanitizerMetadata metadata;
    metadata.NoAddress = true;
    global.setSanitizerMetadata(metadata);
  }
  llvm::LoopAnalysisManager loops;
  llvm::FunctionAnalysisManager functions;
  llvm::CGSCCAnalysisManager sccs;
  llvm::ModuleAnalysisManager modules;
  llvm::PassBuilder builder(&machine);
  builder.registerModuleAnalyses(modules);
  builder.registerCGSCCAnalyses(sccs);
  builder.registerFunctionAnalyses(functions);
  builder.registerLoopAnalyses(loops);
  builder.crossRegisterProxies(loops, functions, sccs, modules);
  llvm::ModulePassManager passes;
  passes.addPass(llvm::AddressSanitizerPass(llvm::AddressSanitizerOptions{}, /*UseGlobalGC=*/false,
                                            /*UseOdrIndicator=*/false, llvm::AsanDtorKind::None,
                                            llvm::AsanCtorKind::None));
  passes.run(module, modules);
}

}  // namespace tilewright::llvm_codegen
