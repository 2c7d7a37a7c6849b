// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/machine.h"

#include <llvm/CodeGen/Passes.h>
#include <llvm/MC/MCSubtargetInfo.h>

#include <algorithm>
#include <mutex>

#include "tilewright/codegen/llvm/llvm_headers.h"

namespace tilewright::llvm_codegen {

void MachineDeleter::operator()(llvm::LLVMTargetMachine* machine) const { delete machine; }

namespace {

void InitializeOnce() {
  static std::once_flag once;
  std::call_once(once, [] {
    LLVMInitializeX86TargetInfo(), LLVMInitializeX86Target(), LLVMInitializeX86TargetMC();
    LLVMInitializeX86AsmPrinter();
    LLVMInitializeAArch64TargetInfo(), LLVMInitializeAArch64Target(), LLVMInitializeAArch64TargetMC();
    LLVMInitializeAArch64AsmPrinter();
    LLVMInitializeRISCVTargetInfo(), LLVMInitializeRISCVTarget(), LLVMInitializeRISCVTargetMC();
    LLVMInitializeRISCVAsmPrinter();
  });
}

/// LLVM only warns of names that it does not know, so they are looked up first.
void CheckNames(const llvm::Target& llvm_target, const Target& target) {
  std::unique_ptr<llvm::MCSubtargetInfo> info(llvm_target.createMCSubtargetInfo(target.triple, "", ""));
  if (!info->isCPUStringValid(target.cpu)) {
    throw Error("TW1701", "unknown processor '" + target.cpu + "' for " + target.triple,
                "target " + target.name,
                {"use a known target name, or set cpu= to a name that LLVM 19 has (llc -mcpu=help)"});
  }
  llvm::SmallVector<llvm::StringRef, 16> features;
  llvm::StringRef(target.features).split(features, ',', -1, false);
  for (llvm::StringRef feature : features) {
    const llvm::StringRef name = feature.drop_front();
    const bool known =
        std::any_of(info->getAllProcessorFeatures().begin(), info->getAllProcessorFeatures().end(),
                    [&](const llvm::SubtargetFeatureKV& kv) { return name == kv.Key; });
    if (!known || (feature[0] != '+' && feature[0] != '-')) {
      throw Error("TW1702", "unknown processor feature '" + feature.str() + "' for " + target.triple,
                  "target " + target.name,
                  {"features are '+name' or '-name' with LLVM's names, such as +avx2"});
    }
  }
}

const llvm::Target& FindTarget(const Target& target) {
  InitializeOnce();
  std::string error;
  const llvm::Target* found = llvm::TargetRegistry::lookupTarget(target.triple, error);
  if (!found) {
    throw Error("TW1701", "cannot generate code for triple '" + target.triple + "'", "target " + target.name,
                {"this build generates code for x86_64, aarch64 and riscv64"});
  }
  CheckNames(*found, target);
  return *found;
}

llvm::CodeGenOptLevel OptLevel(int level) {
  switch (level) {
    case 0:
      return llvm::CodeGenOptLevel::None;
    case 1:
      return llvm::CodeGenOptLevel::Less;
    case 2:
      return llvm::CodeGenOptLevel::Default;
    default:
      return llvm::CodeGenOptLevel::Aggressive;
  }
}

}  // namespace

MachinePtr CreateMachine(const Target& target, int opt_level) {
  llvm::TargetOptions options;
  options.AllowFPOpFusion = llvm::FPOpFusion::Standard;  // what carries the contract flag may fuse
  options.NoTrappingFPMath = true;
  if (target.triple.starts_with("riscv64")) options.MCOptions.ABIName = "lp64d";
  auto* machine = static_cast<llvm::LLVMTargetMachine*>(
      FindTarget(target).createTargetMachine(target.triple, target.cpu, target.features, options,
                                             llvm::Reloc::PIC_, llvm::CodeModel::Small, OptLevel(opt_level)));
  TW_CHECK(machine, "no target machine for {}", target.triple);
  return MachinePtr(machine);
}

std::vector<std::string> EnabledFeaturesOf(const Target& target) {
  static constexpr std::string_view kUnused[] = {"aes",  "crc",  "crc32", "pclmul", "sha",
                                                 "sha2", "sha3", "sm4",   "vaes",   "vpclmulqdq"};
  const std::unique_ptr<llvm::MCSubtargetInfo> info(
      FindTarget(target).createMCSubtargetInfo(target.triple, target.cpu, target.features));
  std::vector<std::string> names;
  for (const llvm::SubtargetFeatureKV& kv : info->getAllProcessorFeatures()) {
    const std::string_view name = kv.Key;
    if (info->getFeatureBits()[kv.Value] && std::ranges::find(kUnused, name) == std::end(kUnused))
      names.emplace_back(name);
  }
  return names;
}

// The steps of LLVMTargetMachine::addPassesToEmitFile, with the machine scheduler off: kernels are emitted in
// the order that the register tile was laid out in, and reordering spills accumulators.
std::string GenerateCode(llvm::Module& module, llvm::LLVMTargetMachine& machine, OutputKind kind) {
  llvm::SmallVector<char, 0> bytes;
  llvm::raw_svector_ostream stream(bytes);
  llvm::legacy::PassManager passes;
  passes.add(new llvm::TargetLibraryInfoWrapperPass([&] {
    llvm::TargetLibraryInfoImpl none(machine.getTargetTriple());
    none.disableAllFunctions();
    return none;
  }()));
  passes.add(llvm::createTargetTransformInfoWrapperPass(machine.getTargetIRAnalysis()));
  llvm::TargetPassConfig* config = machine.createPassConfig(passes);
  config->setDisableVerify(true);
  config->disablePass(&llvm::MachineSchedulerID);
  passes.add(config);
  auto* machine_info = new llvm::MachineModuleInfoWrapperPass(&machine);
  passes.add(machine_info);
  bool failed = config->addISelPasses();
  if (!failed) {
    config->addMachinePasses();
    config->setInitialized();
    failed = machine.addAsmPrinter(
        passes, stream, nullptr,
        kind == OutputKind::kObject ? llvm::CodeGenFileType::ObjectFile : llvm::CodeGenFileType::AssemblyFile,
        machine_info->getMMI().getContext());
  }
  TW_CHECK(!failed, "no code generation for {}", machine.getTargetTriple().str());
  passes.add(llvm::createFreeMachineFunctionPass());
  passes.run(module);
  return std::string(bytes.data(), bytes.size());
}

std::vector<std::string> UndefinedSymbols(const std::string& object) {
  auto file = llvm::object::ObjectFile::createObjectFile(llvm::MemoryBufferRef(object, "kernels"));
  TW_CHECK(file, "unreadable object: {}", llvm::toString(file.takeError()));
  std::vector<std::string> undefined;
  for (const llvm::object::SymbolRef& symbol : (*file)->symbols()) {
    auto flags = symbol.getFlags();
    auto name = symbol.getName();
    TW_CHECK(flags && name, "unreadable symbol");
    if ((*flags & llvm::object::SymbolRef::SF_Undefined) && !name->empty()) undefined.push_back(name->str());
  }
  return undefined;
}

}  // namespace tilewright::llvm_codegen
