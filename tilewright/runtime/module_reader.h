// SPDX-License-Identifier: Apache-2.0
// Reads module containers. Nothing is trusted: every offset and length is checked against the file, and what
// is read is compared with its checksum first.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "tilewright/runtime/module_format.h"
#include "tilewright/runtime/program.h"

namespace tilewright::runtime {

// A place in the container.
struct SectionRecord {
  uint32_t kind = 0;
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t checksum = 0;
};

// A variant as the metadata describes it; sections are indices into ModuleReader::sections().
struct VariantRecord {
  VariantInfo info;
  uint32_t program_section = 0;
  CodeKind code_kind = CodeKind::kEnclosingElf;
  uint32_t code_section = 0;
  std::string kernel_table;
  std::vector<std::pair<std::string, uint32_t>> device_blobs;
};

class ModuleReader {
 public:
  // `file` is a packaged .so or a flat container and must outlive the reader; `name` is for messages. Throws
  // kNotAModule, kTruncated, kChecksum, kFormatVersion or kMalformed.
  ModuleReader(std::span<const std::byte> file, std::string name);

  const ModuleInfo& info() const { return info_; }
  const std::vector<SectionRecord>& sections() const { return sections_; }
  const std::vector<VariantRecord>& variants() const { return variants_; }
  // Whether the container is appended to a shared library, and that library's bytes, verified.
  bool has_enclosing_elf() const { return !elf_.empty(); }

  // The variant's program, verified, decoded and validated.
  Program ReadProgram(const VariantRecord& variant) const;
  // The ELF file that holds the variant's kernels, verified.
  std::span<const std::byte> ReadCode(const VariantRecord& variant) const;
  // Code for a device, verified.
  std::span<const std::byte> ReadDeviceBlob(uint32_t section) const;

  // The parameters, not read; empty where there are none.
  std::span<const std::byte> parameters() const;
  uint64_t parameters_checksum() const;
  // Reads and checks all parameters; throws kParametersDamaged.
  void VerifyParameters() const;

 private:
  void LocateContainer(std::span<const std::byte> file);
  void ReadHeader();
  void ReadMetadata();
  VariantRecord GetVariant(class ByteReader& in) const;
  std::span<const std::byte> Content(uint32_t section) const;
  std::span<const std::byte> Verified(uint32_t section, SectionKind kind, const char* what) const;

  std::string name_;
  std::span<const std::byte> container_;
  std::span<const std::byte> elf_;
  uint64_t elf_checksum_ = 0;
  std::vector<SectionRecord> sections_;
  ModuleInfo info_;
  std::vector<VariantRecord> variants_;
  std::optional<uint32_t> parameters_section_;
};

}  // namespace tilewright::runtime
