// SPDX-License-Identifier: Apache-2.0
// Writes module containers; used by the compiler, not by the deployed runtime.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "tilewright/runtime/module_format.h"
#include "tilewright/runtime/program.h"

namespace tilewright::runtime {

// One constant at its place in the parameters; offsets ascend, do not overlap and are multiples of 64.
struct ParameterBlock {
  uint64_t offset = 0;
  std::span<const std::byte> bytes;
};

struct DeviceBlob {
  std::string name;
  std::span<const std::byte> bytes;
};

// A program with its code for one processor level.
struct VariantImage {
  VariantInfo info;
  Program program;
  std::string kernel_table = "tw_kernels";  // symbol of the array of tw_kernel_entry in the ELF
  std::span<const std::byte> elf;           // its own shared object; empty: the enclosing ELF file
  std::vector<DeviceBlob> device_blobs;
};

// All of a module; variants in order of preference, parameters shared by all. Spans are read while writing.
struct ModuleImage {
  ModuleInfo info;
  std::vector<VariantImage> variants;
  std::vector<ParameterBlock> parameters;
  uint64_t parameter_bytes = 0;
};

// The container as bytes. Throws RuntimeError when the image breaks a rule of the format.
std::vector<std::byte> SerializeModule(const ModuleImage& image);

// Writes the container alone, as a flat file. The file appears complete or not at all.
void WriteFlatModule(const std::string& path, const ModuleImage& image);

// Writes the shared library `elf` (made by the linker) followed by the container. The file appears complete
// or not at all.
void WriteSharedObjectModule(const std::string& path, std::span<const std::byte> elf,
                             const ModuleImage& image);

}  // namespace tilewright::runtime
