// SPDX-License-Identifier: Apache-2.0
// A loaded module: program, kernels and parameters, immutable and shared by contexts.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/module_format.h"
#include "tilewright/runtime/program.h"

namespace tilewright::runtime {

struct LoadOptions {
  bool verify_parameters = false;  // read all parameters and compare their checksum
};

class Module {
 public:
  // Loads a packaged .so or a flat container. Throws RuntimeError.
  static std::shared_ptr<const Module> Load(const std::string& path, const LoadOptions& options = {});

  // Loads from memory that `owner` (if any) keeps alive and that stays unchanged.
  static std::shared_ptr<const Module> LoadFromMemory(std::span<const std::byte> bytes,
                                                      const LoadOptions& options = {},
                                                      std::shared_ptr<const void> owner = nullptr);

  // A module from parts in this process, as the compiler makes them when it runs a model without a file.
  // `kernels` has one pointer per Program::kernels; `parameters` is 64-byte aligned; `owner` keeps code and
  // parameters alive. Throws kBadProgram.
  static std::shared_ptr<const Module> FromProgram(std::string name, Program program,
                                                   std::vector<tw_kernel> kernels,
                                                   std::span<const std::byte> parameters,
                                                   std::shared_ptr<const void> owner);

  Module(const Module&) = delete;
  Module& operator=(const Module&) = delete;
  ~Module();

  const Program& program() const { return program_; }
  std::span<const tw_kernel> kernels() const { return kernels_; }
  std::span<const std::byte> parameters() const { return parameters_; }
  // Name, producer and attributes of the container; for FromProgram only the name.
  const ModuleInfo& info() const { return info_; }
  // The chosen variant's target; empty fields for FromProgram.
  const VariantInfo& variant() const { return variant_; }

  // The code for a kind of device; empty where the module has none.
  std::span<const std::byte> DeviceCode(std::string_view kind) const;

  // Reads all parameters; throws kParametersDamaged. Does nothing for FromProgram.
  void VerifyParameters() const;

 private:
  Module() = default;
  friend class ModuleLoader;

  ModuleInfo info_;
  VariantInfo variant_;
  Program program_;
  std::vector<tw_kernel> kernels_;
  std::span<const std::byte> parameters_;
  std::optional<uint64_t> parameters_checksum_;
  std::vector<std::pair<std::string, std::span<const std::byte>>> device_code_;
  // Declared in the order of need: code goes before the bytes that it may have come from.
  std::shared_ptr<const void> owner_;
  std::shared_ptr<const void> code_;
};

}  // namespace tilewright::runtime
