// SPDX-License-Identifier: Apache-2.0
#include "tilewright/codegen/llvm/link.h"

#include <lld/Common/CommonLinkerContext.h>
#include <lld/Common/Driver.h>
#include <llvm/Support/CrashRecoveryContext.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "tilewright/codegen/llvm/llvm_headers.h"
#include "tilewright/codegen/llvm/machine.h"

LLD_HAS_DRIVER(elf)

namespace tilewright {

using namespace llvm_codegen;

namespace {

/// LLD reads and writes files alone: a folder of its own, removed in the end.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::error_code error;
    std::filesystem::path base = std::filesystem::temp_directory_path(error);
    std::string name = ((error ? std::filesystem::path("/tmp") : base) / "tilewright-link-XXXXXX").string();
    if (!mkdtemp(name.data())) Fail(name);
    path_ = name;
  }
  ~TemporaryFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  std::string Write(const std::string& name, const std::string& bytes) const {
    const std::string path = Path(name);
    std::ofstream file(path, std::ios::binary);
    file.write(bytes.data(), std::streamsize(bytes.size()));
    file.close();
    if (!file) Fail(path);
    return path;
  }
  std::string Path(const std::string& name) const { return (path_ / name).string(); }

 private:
  [[noreturn]] static void Fail(const std::string& path) {
    throw Error("TW1704", "cannot write the temporary file " + path, "",
                {"the linker needs room for the code; TMPDIR names another folder"});
  }
  std::filesystem::path path_;
};

/// An object that defines the table of kernels; its entries are relocated when the library is loaded.
std::string TableObject(std::span<const std::string> kernels, const Target& target,
                        const std::string& table) {
  MachinePtr machine = CreateMachine(target, 0);
  llvm::LLVMContext context;
  llvm::Module module("tilewright-table", context);
  module.setTargetTriple(target.triple);
  module.setDataLayout(machine->createDataLayout());
  module.setPICLevel(llvm::PICLevel::BigPIC);
  if (target.triple.starts_with("riscv64")) {
    module.addModuleFlag(llvm::Module::Error, "target-abi", llvm::MDString::get(context, "lp64d"));
  }
  llvm::Type* pointer = llvm::PointerType::get(context, 0);
  auto* entry_type = llvm::StructType::get(context, {pointer, pointer});
  std::vector<llvm::Constant*> entries;
  for (const std::string& name : kernels) {
    llvm::Constant* text = llvm::ConstantDataArray::getString(context, name);
    auto* global = new llvm::GlobalVariable(module, text->getType(), true, llvm::GlobalValue::PrivateLinkage,
                                            text, "name");
    global->setUnnamedAddr(llvm::GlobalValue::UnnamedAddr::Global);
    auto* type = llvm::FunctionType::get(llvm::Type::getVoidTy(context), false);
    auto function = module.getOrInsertFunction(name, type);
    auto* declared = llvm::cast<llvm::Function>(function.getCallee());
    declared->setVisibility(llvm::GlobalValue::HiddenVisibility);
    entries.push_back(llvm::ConstantStruct::get(entry_type, {global, declared}));
  }
  auto* type = llvm::ArrayType::get(entry_type, entries.size());
  new llvm::GlobalVariable(module, type, true, llvm::GlobalValue::ExternalLinkage,
                           llvm::ConstantArray::get(type, entries), table);
  return GenerateCode(module, *machine, OutputKind::kObject);
}

std::vector<const char*> Arguments(const std::vector<std::string>& list) {
  std::vector<const char*> pointers;
  for (const std::string& s : list) pointers.push_back(s.c_str());
  return pointers;
}

const char* Emulation(const Target& target) {
  if (target.triple.starts_with("aarch64")) return "aarch64linux";
  if (target.triple.starts_with("riscv64")) return "elf64lriscv";
  return "elf_x86_64";
}

/// LLD keeps its state in globals: one link at a time.
void RunLinker(const std::vector<std::string>& arguments) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  llvm::CrashRecoveryContext::Enable();  // a damaged object must not end the process
  std::string messages;
  llvm::raw_string_ostream stream(messages);
  const lld::Result result =
      lld::lldMain(Arguments(arguments), stream, stream, {{lld::Gnu, &lld::elf::link}});
  if (!result.canRunAgain) lld::CommonLinkerContext::destroy();  // what a crash left behind
  TW_CHECK(result.retCode == 0, "the linker refused the kernels: {}", messages);
}

}  // namespace

std::string LinkSharedLibrary(std::span<const ObjectCode> objects, const Target& target,
                              std::span<const std::string> kernels, const std::string& table) {
  std::vector<std::string> all;
  if (kernels.empty()) {
    for (const ObjectCode& object : objects)
      all.insert(all.end(), object.symbols.begin(), object.symbols.end());
    kernels = all;
  }
  for (const ObjectCode& object : objects) UndefinedSymbols(object.bytes);  // refuses what is not an object
  TemporaryFolder folder;
  std::vector<std::string> arguments = {
      "ld.lld",
      "-shared",
      "-m",
      Emulation(target),
      "-o",
      folder.Path("out.so"),
      "--hash-style=gnu",
      "--build-id=none",
      "-z",
      "relro",
      "-z",
      "now",
      "-z",
      "noexecstack",
      "--eh-frame-hdr",
      "--threads=1",
      "--version-script=" + folder.Write("exports", "{ global: " + table + "; local: *; };\n")};
  // Instrumented code refers to AddressSanitizer's runtime, which the loading process has.
  if (!target.sanitize_address) arguments.insert(arguments.end(), {"-z", "defs"});
  arguments.push_back(folder.Write("table.o", TableObject(kernels, target, table)));
  for (size_t i = 0; i < objects.size(); ++i) {
    arguments.push_back(folder.Write("kernels" + std::to_string(i) + ".o", objects[i].bytes));
  }
  RunLinker(arguments);
  std::ifstream file(folder.Path("out.so"), std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();
  TW_CHECK(file && bytes, "the linker left no library");
  return bytes.str();
}

}  // namespace tilewright
