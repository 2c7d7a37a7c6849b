// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/module_writer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <functional>
#include <future>
#include <memory>
#include <thread>
#include <utility>

#include "tilewright/runtime/byte_io.h"
#include "tilewright/runtime/checksum.h"

namespace tilewright::runtime {
namespace {

constexpr uint32_t kNoSection = 0xffffffffu;

uint64_t RoundUp(uint64_t value, uint64_t alignment) {
  return (value + alignment - 1) / alignment * alignment;
}

[[noreturn]] void Refuse(const std::string& why) {
  throw RuntimeError(ErrorId::kCannotWrite, "cannot write the module: " + why);
}

// Takes the container's bytes in order.
using Sink = std::function<void(std::span<const std::byte>)>;

// A section's place; its content is one run of bytes, or the parameters.
struct PlannedSection {
  SectionKind kind{};
  uint64_t offset = 0;
  uint64_t length = 0;
  uint64_t checksum = 0;
  std::span<const std::byte> bytes;
};

void EmitZeros(const Sink& sink, uint64_t count) {
  static constexpr std::array<std::byte, 4096> kZeros{};
  for (; count > 0; count -= std::min<uint64_t>(count, kZeros.size())) {
    sink(std::span(kZeros).first(std::min<uint64_t>(count, kZeros.size())));
  }
}

// The parameters as the file has them: blocks at their offsets, zeros between.
void EmitParameters(const ModuleImage& image, const Sink& sink) {
  uint64_t at = 0;
  for (const ParameterBlock& block : image.parameters) {
    EmitZeros(sink, block.offset - at);
    sink(block.bytes);
    at = block.offset + block.bytes.size();
  }
  EmitZeros(sink, image.parameter_bytes - at);
}

void CheckParameters(const ModuleImage& image) {
  uint64_t at = 0;
  for (const ParameterBlock& block : image.parameters) {
    if (block.offset % kSectionAlignment != 0) Refuse("a parameter is not aligned to 64 bytes");
    if (block.offset < at) Refuse("parameters overlap or are out of order");
    if (block.offset > image.parameter_bytes || block.bytes.size() > image.parameter_bytes - block.offset) {
      Refuse("a parameter lies outside the parameters");
    }
    at = block.offset + block.bytes.size();
  }
}

class ContainerWriter {
 public:
  explicit ContainerWriter(const ModuleImage& image) : image_(image) {
    if (image.variants.empty()) Refuse("it has no variant");
    CheckParameters(image);
    sections_.emplace_back();  // the metadata, whose content names the others
    ByteWriter variants;
    variants.PutCount(image.variants.size());
    for (const VariantImage& variant : image.variants) PutVariant(variants, variant);
    if (image.parameter_bytes > 0) AddParameters();
    sections_[0] = Planned(SectionKind::kMetadata, Keep(Metadata(variants.bytes())));
    Place();
  }

  uint64_t length() const { return length_; }
  uint64_t header_bytes() const { return kHeaderBytes + sections_.size() * kSectionEntryBytes; }

  // What stands before the sections. Their checksums are part of it, for which this waits.
  std::vector<std::byte> Header() {
    if (checksum_of_parameters_.valid())
      sections_[parameters_section_].checksum = checksum_of_parameters_.get();
    return EncodedHeader();
  }
  // All behind the header. Pieces live as long as the writer and its image.
  void EmitSections(const Sink& sink) const {
    uint64_t at = header_bytes();
    for (const PlannedSection& section : sections_) {
      EmitZeros(sink, section.offset - at);
      if (section.kind == SectionKind::kParameters) {
        EmitParameters(image_, sink);
      } else {
        sink(section.bytes);
      }
      at = section.offset + section.length;
    }
  }

 private:
  static PlannedSection Planned(SectionKind kind, std::span<const std::byte> bytes) {
    return {.kind = kind, .length = bytes.size(), .checksum = ComputeChecksum(bytes), .bytes = bytes};
  }
  std::span<const std::byte> Keep(std::vector<std::byte> bytes) {
    kept_.push_back(std::make_unique<std::vector<std::byte>>(std::move(bytes)));
    return *kept_.back();
  }
  // What several variants have alike is there once.
  uint32_t Add(SectionKind kind, std::span<const std::byte> bytes) {
    const PlannedSection added = Planned(kind, bytes);
    for (size_t i = 0; i < sections_.size(); ++i) {
      const PlannedSection& s = sections_[i];
      if (s.kind == kind && s.checksum == added.checksum &&
          std::equal(s.bytes.begin(), s.bytes.end(), bytes.begin(), bytes.end()))
        return static_cast<uint32_t>(i);
    }
    sections_.push_back(added);
    return static_cast<uint32_t>(sections_.size() - 1);
  }
  void AddParameters() {
    parameters_section_ = static_cast<uint32_t>(sections_.size());
    sections_.push_back({.kind = SectionKind::kParameters, .length = image_.parameter_bytes});
    // It reads all of them, which can be done while they are written.
    checksum_of_parameters_ = std::async(std::launch::async, [this] {
      Checksum checksum;
      EmitParameters(image_, [&](std::span<const std::byte> bytes) { checksum.Update(bytes); });
      return checksum.Digest();
    });
  }

  std::vector<std::byte> Metadata(std::span<const std::byte> variants) const {
    ByteWriter out;
    out.PutString(image_.info.name);
    out.PutString(image_.info.producer);
    out.PutCount(image_.info.attributes.size());
    for (const auto& [key, value] : image_.info.attributes) {
      out.PutString(key);
      out.PutString(value);
    }
    out.Put(parameters_section_);
    out.PutBytes(variants);
    return out.Take();
  }
  void PutVariant(ByteWriter& out, const VariantImage& variant) {
    ValidateProgram(variant.program, image_.parameter_bytes);
    out.PutString(variant.info.target);
    out.PutString(variant.info.architecture);
    out.PutCount(variant.info.cpu_features.size());
    for (const std::string& feature : variant.info.cpu_features) out.PutString(feature);
    out.Put(variant.info.kernel_abi_version);
    out.Put(Add(SectionKind::kProgram, Keep(EncodeProgram(variant.program))));
    bool own = !variant.elf.empty();
    out.Put(static_cast<uint8_t>(own ? CodeKind::kElfSection : CodeKind::kEnclosingElf));
    out.Put(own ? Add(SectionKind::kCode, variant.elf) : kNoSection);
    out.PutString(variant.kernel_table);
    out.PutCount(variant.device_blobs.size());
    for (const DeviceBlob& blob : variant.device_blobs) {
      out.PutString(blob.name);
      out.Put(Add(SectionKind::kDeviceBlob, blob.bytes));
    }
  }

  // Sections lie in the order of the list: small ones first, so that loading reads one run of pages, and the
  // parameters last.
  void Place() {
    uint64_t at = header_bytes();
    for (PlannedSection& section : sections_) {
      at = RoundUp(at, section.kind == SectionKind::kParameters ? kPageAlignment : kSectionAlignment);
      section.offset = at;
      at += section.length;
    }
    length_ = at;
  }

  std::vector<std::byte> EncodedHeader() const {
    ByteWriter out;
    out.PutBytes(std::as_bytes(std::span(kContainerMagic)));
    out.Put(kFormatMajor);
    out.Put(kFormatMinor);
    out.PutCount(sections_.size());
    out.Put(length_);
    size_t checksum_at = out.size();
    out.Put(uint64_t{0});
    out.PadTo(kHeaderBytes);
    for (const PlannedSection& section : sections_) {
      out.Put(static_cast<uint32_t>(section.kind));
      out.Put(uint32_t{0});
      out.Put(section.offset);
      out.Put(section.length);
      out.Put(section.checksum);
    }
    out.PatchAt(checksum_at, ComputeChecksum(out.bytes()));
    return out.Take();
  }

  const ModuleImage& image_;
  std::vector<PlannedSection> sections_;
  std::vector<std::unique_ptr<std::vector<std::byte>>> kept_;
  uint32_t parameters_section_ = kNoSection;
  std::future<uint64_t> checksum_of_parameters_;  // whose end waits for who computes it
  uint64_t length_ = 0;
};

std::vector<std::byte> Footer(uint64_t container_offset, uint64_t container_length,
                              std::span<const std::byte> elf) {
  ByteWriter out;
  out.PutBytes(std::as_bytes(std::span(kFooterMagic)));
  out.Put(container_offset);
  out.Put(container_length);
  out.Put(uint64_t{elf.size()});
  out.Put(ComputeChecksum(elf));
  out.PadTo(kFooterBytes - sizeof(uint64_t));
  out.Put(ComputeChecksum(out.bytes()));
  return out.Take();
}

// A file that is written beside its place and moved there when it is complete.
class AtomicFile {
 public:
  AtomicFile(const std::string& path, uint64_t bytes)
      : path_(path), temporary_(path + ".tmp" + std::to_string(getpid())) {
    file_ = open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (file_ < 0) Fail("create");
    // A file system that knows the size finds room once, not for every few pages; one that cannot does not
    // matter.
    (void)fallocate(file_, 0, 0, static_cast<off_t>(bytes));
  }
  ~AtomicFile() {
    if (file_ >= 0) close(file_);
    if (!complete_) std::remove(temporary_.c_str());
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  // At the end. Bytes of kKept and more are written by Flush: until then they must be where they are.
  void Append(std::span<const std::byte> bytes) {
    if (bytes.size() < kKept) {
      WriteAt(bytes, end_);
    } else {
      for (size_t at = 0; at < bytes.size(); at += kPiece)
        pieces_.push_back({end_ + at, bytes.subspan(at, std::min(kPiece, bytes.size() - at))});
    }
    end_ += bytes.size();
  }
  void AppendZeros(uint64_t count) {
    EmitZeros([&](std::span<const std::byte> piece) { Append(piece); }, count);
  }
  // Leaves a gap, for WriteAt.
  uint64_t Skip(uint64_t count) { return std::exchange(end_, end_ + count); }
  void WriteAt(std::span<const std::byte> bytes, uint64_t offset) {
    if (errno = TryWriteAt(bytes, offset); errno != 0) Fail("write to");
  }
  // What takes time is the system's, which finds a page for each few kilobytes: two threads need half.
  void Flush() {
    std::atomic<size_t> next{0};
    std::atomic<int> error{0};
    auto work = [&] {
      for (size_t i; error == 0 && (i = next.fetch_add(1)) < pieces_.size();) {
        if (int own = TryWriteAt(pieces_[i].bytes, pieces_[i].offset); own != 0) error = own;
      }
    };
    if (pieces_.size() > 1) {
      std::thread other(work);
      work();
      other.join();
    } else {
      work();
    }
    pieces_.clear();
    if (errno = error; errno != 0) Fail("write to");
  }
  void Complete() {
    Flush();
    const int closed = close(std::exchange(file_, -1));
    if (closed != 0) Fail("write to");
    if (std::rename(temporary_.c_str(), path_.c_str()) != 0) Fail("create");
    complete_ = true;
  }

 private:
  struct Piece {
    uint64_t offset = 0;
    std::span<const std::byte> bytes;
  };

  // 0, or the number of the error.
  int TryWriteAt(std::span<const std::byte> bytes, uint64_t offset) const {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(file_, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (written < 0 && errno != EINTR) return errno;
      if (written < 0) continue;
      if (written == 0) return ENOSPC;
      bytes = bytes.subspan(static_cast<size_t>(written));
      offset += static_cast<uint64_t>(written);
    }
    return 0;
  }

  [[noreturn]] void Fail(const char* what) const {
    std::string why = std::strerror(errno);
    throw RuntimeError(ErrorId::kCannotWrite, std::string("cannot ") + what + " '" + path_ + "': " + why);
  }

  static constexpr size_t kKept = size_t{64} << 10;
  static constexpr size_t kPiece = size_t{1} << 20;

  std::string path_;
  std::string temporary_;
  int file_ = -1;
  uint64_t end_ = 0;
  std::vector<Piece> pieces_;
  bool complete_ = false;
};

void AppendContainer(AtomicFile& file, ContainerWriter& writer) {
  const uint64_t header = file.Skip(writer.header_bytes());
  writer.EmitSections([&](std::span<const std::byte> piece) { file.Append(piece); });
  file.Flush();
  file.WriteAt(writer.Header(), header);
}

}  // namespace

std::vector<std::byte> SerializeModule(const ModuleImage& image) {
  ContainerWriter writer(image);
  std::vector<std::byte> bytes;
  bytes.reserve(writer.length());
  auto append = [&](std::span<const std::byte> piece) {
    bytes.insert(bytes.end(), piece.begin(), piece.end());
  };
  append(writer.Header());
  writer.EmitSections(append);
  return bytes;
}

void WriteFlatModule(const std::string& path, const ModuleImage& image) {
  for (const VariantImage& variant : image.variants) {
    if (variant.elf.empty())
      Refuse("a flat file has no enclosing library, and a variant has no code of its own");
  }
  ContainerWriter writer(image);
  AtomicFile file(path, writer.length());
  AppendContainer(file, writer);
  file.Complete();
}

void WriteSharedObjectModule(const std::string& path, std::span<const std::byte> elf,
                             const ModuleImage& image) {
  if (elf.empty()) Refuse("the shared library is empty");
  ContainerWriter writer(image);
  const uint64_t offset = RoundUp(elf.size(), kPageAlignment);
  const std::vector<std::byte> footer = Footer(offset, writer.length(), elf);
  AtomicFile file(path, offset + writer.length() + footer.size());
  file.Append(elf);
  file.AppendZeros(offset - elf.size());
  AppendContainer(file, writer);
  file.Append(footer);
  file.Complete();
}

}  // namespace tilewright::runtime
