// SPDX-License-Identifier: Apache-2.0
// The numbers and structures of the module container, version 1; docs/module-format.md is its specification.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace tilewright::runtime {

inline constexpr std::array<char, 8> kContainerMagic = {'T', 'W', 'M', 'O', 'D', 'U', 'L', 'E'};
inline constexpr std::array<char, 8> kFooterMagic = {'T', 'W', 'F', 'O', 'O', 'T', 'E', 'R'};
// A reader refuses another major version; a minor version adds what older readers may ignore.
inline constexpr uint16_t kFormatMajor = 1;
inline constexpr uint16_t kFormatMinor = 0;
inline constexpr uint64_t kHeaderBytes = 64;
inline constexpr uint64_t kSectionEntryBytes = 32;
inline constexpr uint64_t kFooterBytes = 64;
// Sections start at multiples of this; parameters and an appended container at multiples of kPageAlignment.
inline constexpr uint64_t kSectionAlignment = 64;
inline constexpr uint64_t kPageAlignment = 4096;

enum class SectionKind : uint32_t {
  kMetadata = 1,
  kProgram = 2,
  kParameters = 3,
  kCode = 4,        // an ELF shared object
  kDeviceBlob = 5,  // code for a device, in that device's own form
};

// Where a variant's kernels are.
enum class CodeKind : uint8_t {
  kEnclosingElf = 1,  // in the ELF file that the container is appended to
  kElfSection = 2,    // in a code section of the container
};

// What a module says about itself.
struct ModuleInfo {
  std::string name;
  std::string producer;                                         // such as "tilewright 0.1.0"
  std::vector<std::pair<std::string, std::string>> attributes;  // free facts, such as the source's name
};

// What one variant needs of the machine.
struct VariantInfo {
  std::string target;                     // the full description in the target layer's text form
  std::string architecture;               // "x86_64", "aarch64", "riscv64"
  std::vector<std::string> cpu_features;  // names of cpu_features.h that the code relies on
  uint32_t kernel_abi_version = 0;
};

}  // namespace tilewright::runtime
