// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/module_reader.h"

#include <algorithm>
#include <cstring>

#include "tilewright/runtime/byte_io.h"
#include "tilewright/runtime/checksum.h"

namespace tilewright::runtime {
namespace {

constexpr uint32_t kNoSection = 0xffffffffu;
constexpr size_t kHeaderChecksumAt = 24;

bool StartsWith(std::span<const std::byte> bytes, std::span<const char> magic) {
  return bytes.size() >= magic.size() && std::memcmp(bytes.data(), magic.data(), magic.size()) == 0;
}

bool IsElf(std::span<const std::byte> bytes) {
  static constexpr std::array<char, 4> kElfMagic = {0x7f, 'E', 'L', 'F'};
  return StartsWith(bytes, kElfMagic);
}

}  // namespace

ModuleReader::ModuleReader(std::span<const std::byte> file, std::string name) : name_(std::move(name)) {
  LocateContainer(file);
  ReadHeader();
  ReadMetadata();
}

void ModuleReader::LocateContainer(std::span<const std::byte> file) {
  if (StartsWith(file, kContainerMagic)) {
    container_ = file;
    return;
  }
  std::span<const std::byte> footer =
      file.size() < kFooterBytes ? std::span<const std::byte>() : file.last(kFooterBytes);
  if (!StartsWith(footer, kFooterMagic)) {
    throw RuntimeError(
        ErrorId::kNotAModule,
        IsElf(file) ? "'" + name_ +
                          "' is an ELF file without a Tilewright module at its end: it was not made by "
                          "Tilewright, or was cut off, stripped or otherwise rewritten; compile it again"
                    : "'" + name_ + "' is not a Tilewright module (" + std::to_string(file.size()) +
                          " bytes, without its magic number)");
  }
  ByteReader in(footer, "footer of '" + name_ + "'");
  in.GetBytes(kFooterMagic.size());
  auto container_offset = in.Get<uint64_t>();
  auto container_length = in.Get<uint64_t>();
  auto elf_length = in.Get<uint64_t>();
  elf_checksum_ = in.Get<uint64_t>();
  uint64_t checksum = 0;
  std::memcpy(&checksum, footer.last(sizeof checksum).data(), sizeof checksum);
  if (ComputeChecksum(footer.first(kFooterBytes - sizeof checksum)) != checksum) {
    throw RuntimeError(ErrorId::kChecksum,
                       "the footer of '" + name_ + "' does not match its checksum: the file is damaged");
  }
  uint64_t before_footer = file.size() - kFooterBytes;
  if (container_offset > before_footer || container_length != before_footer - container_offset) {
    throw RuntimeError(ErrorId::kTruncated,
                       "'" + name_ + "' should have " + std::to_string(container_length) +
                           " bytes of module at byte " + std::to_string(container_offset) + ", but has " +
                           std::to_string(file.size()) + " bytes in all: the file is damaged");
  }
  if (elf_length == 0 || elf_length > container_offset || container_offset % kPageAlignment != 0) {
    in.Fail("gives impossible places");
  }
  container_ = file.subspan(container_offset, container_length);
  elf_ = file.first(elf_length);
}

void ModuleReader::ReadHeader() {
  if (!StartsWith(container_, kContainerMagic) || container_.size() < kHeaderBytes) {
    throw RuntimeError(ErrorId::kTruncated, "the module in '" + name_ + "' ends within its header (" +
                                                std::to_string(container_.size()) + " bytes)");
  }
  ByteReader in(container_, "header of '" + name_ + "'");
  in.GetBytes(kContainerMagic.size());
  auto major = in.Get<uint16_t>();
  auto minor = in.Get<uint16_t>();
  auto section_count = in.Get<uint32_t>();
  auto length = in.Get<uint64_t>();
  auto checksum = in.Get<uint64_t>();
  // The version comes before the checksum, whose place another version may have moved.
  if (major != kFormatMajor) {
    throw RuntimeError(ErrorId::kFormatVersion,
                       "'" + name_ + "' has module format version " + std::to_string(major) + "." +
                           std::to_string(minor) + "; this runtime (" TW_VERSION ") reads version " +
                           std::to_string(kFormatMajor) + ": use the runtime that came with its compiler");
  }
  uint64_t table_bytes = uint64_t{section_count} * kSectionEntryBytes;
  if (table_bytes > container_.size() - kHeaderBytes) {
    throw RuntimeError(ErrorId::kTruncated, "the module in '" + name_ + "' ends within its table of " +
                                                std::to_string(section_count) + " sections");
  }
  static constexpr std::array<std::byte, sizeof(uint64_t)> kZero{};
  Checksum computed;
  computed.Update(container_.first(kHeaderChecksumAt));
  computed.Update(kZero);
  computed.Update(container_.first(kHeaderBytes + table_bytes).subspan(kHeaderChecksumAt + kZero.size()));
  if (computed.Digest() != checksum) {
    throw RuntimeError(ErrorId::kChecksum,
                       "the header of '" + name_ + "' does not match its checksum: the file is damaged");
  }
  if (length != container_.size()) {
    throw RuntimeError(ErrorId::kTruncated, "the module in '" + name_ + "' should have " +
                                                std::to_string(length) + " bytes, but has " +
                                                std::to_string(container_.size()) +
                                                ": the file is cut off or has been added to");
  }
  ByteReader table(container_.subspan(kHeaderBytes, table_bytes), "section table of '" + name_ + "'");
  for (uint32_t i = 0; i < section_count; ++i) {
    SectionRecord s;
    s.kind = table.Get<uint32_t>();
    table.Get<uint32_t>();  // reserved
    s.offset = table.Get<uint64_t>();
    s.length = table.Get<uint64_t>();
    s.checksum = table.Get<uint64_t>();
    if (s.offset % kSectionAlignment != 0 || s.offset > length || s.length > length - s.offset) {
      table.Fail("places section " + std::to_string(i) + " outside the file");
    }
    sections_.push_back(s);
  }
}

void ModuleReader::ReadMetadata() {
  auto it = std::find_if(sections_.begin(), sections_.end(), [](const SectionRecord& s) {
    return s.kind == static_cast<uint32_t>(SectionKind::kMetadata);
  });
  if (it == sections_.end()) {
    throw RuntimeError(ErrorId::kMalformed, "the module in '" + name_ + "' has no metadata");
  }
  ByteReader in(Verified(static_cast<uint32_t>(it - sections_.begin()), SectionKind::kMetadata, "metadata"),
                "metadata of '" + name_ + "'");
  info_.name = in.GetString();
  info_.producer = in.GetString();
  for (size_t n = in.GetCount(8); n > 0; --n) {
    std::string key = in.GetString();
    info_.attributes.emplace_back(std::move(key), in.GetString());
  }
  auto parameters = in.Get<uint32_t>();
  if (parameters != kNoSection) {
    if (parameters >= sections_.size() ||
        sections_[parameters].kind != static_cast<uint32_t>(SectionKind::kParameters)) {
      in.Fail("names section " + std::to_string(parameters) + " as parameters");
    }
    parameters_section_ = parameters;
  }
  for (size_t n = in.GetCount(33); n > 0; --n) variants_.push_back(GetVariant(in));
  if (variants_.empty()) in.Fail("lists no variant");
}

VariantRecord ModuleReader::GetVariant(ByteReader& in) const {
  VariantRecord v;
  v.info.target = in.GetString();
  v.info.architecture = in.GetString();
  for (size_t n = in.GetCount(4); n > 0; --n) v.info.cpu_features.push_back(in.GetString());
  v.info.kernel_abi_version = in.Get<uint32_t>();
  v.program_section = in.Get<uint32_t>();
  auto code_kind = in.Get<uint8_t>();
  if (code_kind != static_cast<uint8_t>(CodeKind::kEnclosingElf) &&
      code_kind != static_cast<uint8_t>(CodeKind::kElfSection)) {
    in.Fail("has code of unknown kind " + std::to_string(code_kind));
  }
  v.code_kind = static_cast<CodeKind>(code_kind);
  v.code_section = in.Get<uint32_t>();
  v.kernel_table = in.GetString();
  for (size_t n = in.GetCount(8); n > 0; --n) {
    std::string blob = in.GetString();
    v.device_blobs.emplace_back(std::move(blob), in.Get<uint32_t>());
  }
  return v;
}

std::span<const std::byte> ModuleReader::Content(uint32_t section) const {
  return container_.subspan(sections_[section].offset, sections_[section].length);
}

std::span<const std::byte> ModuleReader::Verified(uint32_t section, SectionKind kind,
                                                  const char* what) const {
  if (section >= sections_.size() || sections_[section].kind != static_cast<uint32_t>(kind)) {
    throw RuntimeError(ErrorId::kMalformed, "the module in '" + name_ + "' names section " +
                                                std::to_string(section) + " as " + what +
                                                ", which it is not");
  }
  std::span<const std::byte> content = Content(section);
  if (ComputeChecksum(content) != sections_[section].checksum) {
    throw RuntimeError(ErrorId::kChecksum, std::string("the ") + what + " of '" + name_ +
                                               "' does not match its checksum: the file is damaged");
  }
  return content;
}

Program ModuleReader::ReadProgram(const VariantRecord& variant) const {
  Program program = DecodeProgram(Verified(variant.program_section, SectionKind::kProgram, "program"));
  ValidateProgram(program, parameters().size());
  return program;
}

std::span<const std::byte> ModuleReader::ReadCode(const VariantRecord& variant) const {
  if (variant.code_kind == CodeKind::kElfSection) {
    return Verified(variant.code_section, SectionKind::kCode, "code");
  }
  if (!has_enclosing_elf()) {
    throw RuntimeError(ErrorId::kMalformed,
                       "the module in '" + name_ +
                           "' has its code in an enclosing library, which is missing: the "
                           "module was taken out of its .so file");
  }
  if (ComputeChecksum(elf_) != elf_checksum_) {
    throw RuntimeError(ErrorId::kChecksum,
                       "the code of '" + name_ + "' does not match its checksum: the file is damaged");
  }
  return elf_;
}

std::span<const std::byte> ModuleReader::ReadDeviceBlob(uint32_t section) const {
  return Verified(section, SectionKind::kDeviceBlob, "device code");
}

std::span<const std::byte> ModuleReader::parameters() const {
  return parameters_section_ ? Content(*parameters_section_) : std::span<const std::byte>();
}

uint64_t ModuleReader::parameters_checksum() const {
  return parameters_section_ ? sections_[*parameters_section_].checksum : ComputeChecksum({});
}

void ModuleReader::VerifyParameters() const {
  if (ComputeChecksum(parameters()) != parameters_checksum()) {
    throw RuntimeError(ErrorId::kParametersDamaged,
                       "the parameters of '" + name_ + "' do not match their checksum: the file is damaged");
  }
}

}  // namespace tilewright::runtime
