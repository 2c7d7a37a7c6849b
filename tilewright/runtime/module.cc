// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/module.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "tilewright/runtime/checksum.h"
#include "tilewright/runtime/code_loader.h"
#include "tilewright/runtime/cpu_features.h"
#include "tilewright/runtime/module_reader.h"
#include "tilewright/runtime/status.h"

namespace tilewright::runtime {
namespace {

// A file mapped for reading; nothing of it is read until it is touched.
class MappedFile {
 public:
  explicit MappedFile(const std::string& path) {
    int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) Fail(path, std::strerror(errno));
    struct stat info;
    const char* error = nullptr;
    if (fstat(fd, &info) != 0) {
      error = std::strerror(errno);
    } else if (!S_ISREG(info.st_mode)) {
      error = "it is not a regular file";
    } else if (info.st_size > 0) {
      bytes_ = static_cast<size_t>(info.st_size);
      data_ = mmap(nullptr, bytes_, PROT_READ, MAP_PRIVATE, fd, 0);
      if (data_ == MAP_FAILED) error = std::strerror(errno);
    }
    close(fd);
    if (error != nullptr) Fail(path, error);
  }
  ~MappedFile() {
    if (bytes_ > 0) munmap(data_, bytes_);
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;

  std::span<const std::byte> bytes() const { return {static_cast<const std::byte*>(data_), bytes_}; }

 private:
  [[noreturn]] static void Fail(const std::string& path, const char* why) {
    throw RuntimeError(ErrorId::kCannotOpen, "cannot open the module '" + path + "': " + why);
  }

  void* data_ = nullptr;
  size_t bytes_ = 0;
};

// The name in a target's description, which is long.
std::string TargetName(const std::string& target) {
  constexpr std::string_view kKey = "name=";
  if (!target.starts_with(kKey)) return target;
  return target.substr(kKey.size(), target.find(' ') - kKey.size());
}

// What this machine lacks for a variant; empty where it lacks nothing.
std::string WhyNot(const VariantInfo& variant) {
  if (variant.architecture != HostArchitecture()) {
    return "it is for " + variant.architecture + ", this is " + std::string(HostArchitecture());
  }
  std::string missing;
  for (const std::string& feature : variant.cpu_features) {
    if (!HostHasCpuFeature(feature)) missing += (missing.empty() ? "" : ", ") + feature;
  }
  return missing.empty() ? "" : "this processor lacks " + missing;
}

}  // namespace

// Builds modules; a class so that Module's members stay private.
class ModuleLoader {
 public:
  static std::shared_ptr<const Module> FromFile(std::span<const std::byte> bytes, const std::string& name,
                                                const std::string& path, const LoadOptions& options,
                                                std::shared_ptr<const void> owner) {
    ModuleReader reader(bytes, name);
    if (options.verify_parameters) reader.VerifyParameters();
    const VariantRecord& variant = Choose(reader, name);
    if (variant.info.kernel_abi_version != TW_KERNEL_ABI_VERSION) {
      throw RuntimeError(ErrorId::kKernelAbi,
                         "the code of '" + name + "' was made for kernel ABI version " +
                             std::to_string(variant.info.kernel_abi_version) + ", this runtime has version " +
                             std::to_string(TW_KERNEL_ABI_VERSION) + ": compile the model again");
    }
    std::shared_ptr<Module> module(new Module);
    module->owner_ = std::move(owner);
    module->info_ = reader.info();
    module->variant_ = variant.info;
    module->program_ = reader.ReadProgram(variant);
    module->parameters_ = reader.parameters();
    module->parameters_checksum_ = reader.parameters_checksum();
    for (const auto& [kind, section] : variant.device_blobs) {
      module->device_code_.emplace_back(kind, reader.ReadDeviceBlob(section));
    }
    bool enclosing = variant.code_kind == CodeKind::kEnclosingElf;
    LoadedCode code = LoadCode(reader.ReadCode(variant), enclosing ? path : "", variant.kernel_table,
                               module->program_.kernels);
    module->code_ = std::move(code.library);
    module->kernels_ = std::move(code.kernels);
    return module;
  }

  static std::shared_ptr<const Module> FromParts(std::string name, Program program,
                                                 std::vector<tw_kernel> kernels,
                                                 std::span<const std::byte> parameters,
                                                 std::shared_ptr<const void> owner) {
    ValidateProgram(program, parameters.size());
    if (kernels.size() != program.kernels.size() ||
        std::find(kernels.begin(), kernels.end(), nullptr) != kernels.end()) {
      throw RuntimeError(ErrorId::kBadProgram,
                         "the program of '" + name + "' has " + std::to_string(program.kernels.size()) +
                             " kernels, but was given " + std::to_string(kernels.size()) + " or a null one");
    }
    std::shared_ptr<Module> module(new Module);
    module->info_.name = std::move(name);
    module->program_ = std::move(program);
    module->kernels_ = std::move(kernels);
    module->parameters_ = parameters;
    module->owner_ = std::move(owner);
    return module;
  }

 private:
  // The first variant that this machine can run.
  static const VariantRecord& Choose(const ModuleReader& reader, const std::string& name) {
    std::string reasons;
    for (const VariantRecord& variant : reader.variants()) {
      std::string why_not = WhyNot(variant.info);
      if (why_not.empty()) return variant;
      reasons += "\n  target '" + TargetName(variant.info.target) + "': " + why_not;
    }
    throw RuntimeError(
        ErrorId::kWrongProcessor,
        "'" + name + "' cannot run on this machine; compile it for this machine's target:" + reasons);
  }
};

std::shared_ptr<const Module> Module::Load(const std::string& path, const LoadOptions& options) {
  auto file = std::make_shared<MappedFile>(path);
  std::span<const std::byte> bytes = file->bytes();
  return ModuleLoader::FromFile(bytes, path, path, options, std::move(file));
}

std::shared_ptr<const Module> Module::LoadFromMemory(std::span<const std::byte> bytes,
                                                     const LoadOptions& options,
                                                     std::shared_ptr<const void> owner) {
  if (reinterpret_cast<uintptr_t>(bytes.data()) % TW_MEMORY_ALIGNMENT != 0) {
    throw RuntimeError(ErrorId::kMisaligned, "a module in memory must be aligned to " +
                                                 std::to_string(TW_MEMORY_ALIGNMENT) + " bytes");
  }
  return ModuleLoader::FromFile(bytes, "memory", "", options, std::move(owner));
}

std::shared_ptr<const Module> Module::FromProgram(std::string name, Program program,
                                                  std::vector<tw_kernel> kernels,
                                                  std::span<const std::byte> parameters,
                                                  std::shared_ptr<const void> owner) {
  return ModuleLoader::FromParts(std::move(name), std::move(program), std::move(kernels), parameters,
                                 std::move(owner));
}

Module::~Module() = default;

std::span<const std::byte> Module::DeviceCode(std::string_view kind) const {
  for (const auto& [name, code] : device_code_) {
    if (name == kind) return code;
  }
  return {};
}

void Module::VerifyParameters() const {
  if (parameters_checksum_ && ComputeChecksum(parameters_) != *parameters_checksum_) {
    throw RuntimeError(ErrorId::kParametersDamaged, "the parameters of '" + info_.name +
                                                        "' do not match their checksum: the file is damaged");
  }
}

}  // namespace tilewright::runtime
