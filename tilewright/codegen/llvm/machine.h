// SPDX-License-Identifier: Apache-2.0
// LLVM's TargetMachine for a target, and the passes from LLVM IR to an object file, put together by hand so
// that threads share no state and LLD's reset of LLVM's global options does not matter.
#pragma once

#include <memory>
#include <string>

#include "tilewright/codegen/llvm/codegen.h"

namespace llvm {
class LLVMTargetMachine;
class Module;
}  // namespace llvm

namespace tilewright::llvm_codegen {

struct MachineDeleter {
  void operator()(llvm::LLVMTargetMachine* machine) const;
};
using MachinePtr = std::unique_ptr<llvm::LLVMTargetMachine, MachineDeleter>;

/// Throws Error TW1701 when this LLVM knows no such triple or processor, TW1702 for an unknown feature.
MachinePtr CreateMachine(const Target& target, int opt_level);

/// EnabledFeatures of codegen.h.
std::vector<std::string> EnabledFeaturesOf(const Target& target);

enum class OutputKind { kObject, kAssembly };

/// Runs code generation over the module.
std::string GenerateCode(llvm::Module& module, llvm::LLVMTargetMachine& machine, OutputKind kind);

/// Instruments the module's functions with checks of AddressSanitizer.
void InstrumentAddresses(llvm::Module& module, llvm::LLVMTargetMachine& machine);

/// What an object refers to and does not define.
std::vector<std::string> UndefinedSymbols(const std::string& object);

}  // namespace tilewright::llvm_codegen
