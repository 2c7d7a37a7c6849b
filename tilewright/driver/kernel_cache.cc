// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/kernel_cache.h"

#include <elf.h>
#include <fcntl.h>
#include <link.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <vector>

#include "tilewright/runtime/byte_io.h"
#include "tilewright/runtime/checksum.h"
#include "tilewright/support/error.h"

namespace tilewright {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "TWKERNEL";
constexpr const char* kEnding = ".twk";
constexpr const char* kPartialEnding = ".twk.partial";

uint64_t Digest(std::string_view bytes) {
  return runtime::ComputeChecksum(std::as_bytes(std::span(bytes.data(), bytes.size())));
}

std::string FullKey(const std::string& key) { return CompilerBuildId() + "\n" + key; }

// ---- Files: magic, checksum of the rest, key, value.

std::string Encode(const std::string& key, std::string_view value) {
  runtime::ByteWriter body;
  body.PutString(key);
  body.PutString(value);
  const std::span<const std::byte> bytes = body.bytes();
  runtime::ByteWriter file;
  file.PutBytes(std::as_bytes(std::span(kMagic)));
  file.Put(runtime::ComputeChecksum(bytes));
  file.PutBytes(bytes);
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.size());
}

std::optional<std::string> Decode(const std::string& file, const std::string& key) {
  constexpr size_t kHead = kMagic.size() + sizeof(uint64_t);
  if (file.size() < kHead || !file.starts_with(kMagic)) return std::nullopt;
  uint64_t checksum;
  std::memcpy(&checksum, file.data() + kMagic.size(), sizeof checksum);
  const std::string_view body = std::string_view(file).substr(kHead);
  if (Digest(body) != checksum) return std::nullopt;
  try {
    runtime::ByteReader reader(std::as_bytes(std::span(body)), "cache entry");
    if (reader.GetString() != key) return std::nullopt;  // another key of the same digest
    std::string value = reader.GetString();
    reader.ExpectEnd();
    return value;
  } catch (const runtime::RuntimeError&) {
    return std::nullopt;
  }
}

struct Entry {
  fs::path path;
  int64_t bytes;
  fs::file_time_type used;
};

/// The entries of a folder, and what writers that were killed left behind.
std::vector<Entry> EntriesOf(const std::string& folder) {
  std::vector<Entry> entries;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (!name.ends_with(kEnding) && !name.ends_with(kPartialEnding)) continue;
    // Another process may remove a file in the meantime.
    std::error_code gone;
    Entry entry{it->path(), int64_t(it->file_size(gone)), {}};
    if (!gone) entry.used = it->last_write_time(gone);
    if (!gone) entries.push_back(std::move(entry));
  }
  return entries;
}

// ---- The build.

void AppendBuildId(const dl_phdr_info& object, std::string& ids) {
  for (int i = 0; i < object.dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = object.dlpi_phdr[i];
    if (segment.p_type != PT_NOTE) continue;
    const char* at = reinterpret_cast<const char*>(object.dlpi_addr + segment.p_vaddr);
    const char* end = at + segment.p_memsz;
    auto padded = [](size_t n) { return (n + 3) / 4 * 4; };
    while (at + sizeof(ElfW(Nhdr)) <= end) {
      ElfW(Nhdr) note;
      std::memcpy(&note, at, sizeof note);
      const char* name = at + sizeof note;
      const char* content = name + padded(note.n_namesz);
      at = content + padded(note.n_descsz);
      if (at > end || note.n_type != NT_GNU_BUILD_ID ||
          std::string_view(name, note.n_namesz) != std::string_view("GNU\0", 4))
        continue;
      for (size_t k = 0; k < note.n_descsz; ++k) ids += fmt::format("{:02x}", uint8_t(content[k]));
      ids += ' ';
    }
  }
}

std::string ReadBuildIds() {
  std::string ids;
  dl_iterate_phdr(
      [](dl_phdr_info* object, size_t, void* out) {
        auto& all = *static_cast<std::string*>(out);
        const bool program = all.empty();  // the program itself comes first
        AppendBuildId(*object, all);
        return program && all.empty() ? 1 : 0;
      },
      &ids);
  return ids;
}

}  // namespace

const std::string& CompilerBuildId() {
  static const std::string ids = ReadBuildIds();
  return ids;
}

std::string KernelCache::DefaultFolder() {
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value ? value : "");
  };
  if (std::string own = variable("TILEWRIGHT_CACHE_DIR"); !own.empty()) return own;
  if (std::string base = variable("XDG_CACHE_HOME"); !base.empty()) return base + "/tilewright";
  if (std::string home = variable("HOME"); !home.empty()) return home + "/.cache/tilewright";
  return {};
}

std::string KernelCache::PathOf(const std::string& key) const {
  return fmt::format("{}/{:016x}{}", folder_, Digest(key), kEnding);
}

std::optional<std::string> KernelCache::Load(const std::string& key) const {
  if (CompilerBuildId().empty()) return std::nullopt;
  const std::string full = FullKey(key);
  const std::string path = PathOf(full);
  std::ifstream in(path, std::ios::binary);
  if (!in) return std::nullopt;
  const std::string file((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  std::optional<std::string> value = Decode(file, full);
  // What was used last is kept longest.
  if (value) utimensat(AT_FDCWD, path.c_str(), nullptr, 0);
  return value;
}

void KernelCache::Store(const std::string& key, std::string_view value) const {
  if (CompilerBuildId().empty()) return;
  const std::string full = FullKey(key);
  std::error_code ignored;
  if (!fs::exists(folder_, ignored)) {
    fs::create_directories(fs::path(folder_).parent_path(), ignored);
    mkdir(folder_.c_str(), 0700);
  }
  static std::atomic<int> count{0};
  const std::string path = PathOf(full);
  const std::string partial = fmt::format("{}.{}-{}{}", path, getpid(), count++, kPartialEnding);
  bool written = false;
  {
    const std::string file = Encode(full, value);
    std::ofstream out(partial, std::ios::binary);
    out.write(file.data(), std::streamsize(file.size()));
    written = bool(out.flush());
  }
  std::error_code error;
  if (written) fs::rename(partial, path, error);
  if (!written || error) fs::remove(partial, ignored);
}

void KernelCache::Trim() const {
  std::vector<Entry> entries = EntriesOf(folder_);
  int64_t bytes = 0;
  for (const Entry& e : entries) bytes += e.bytes;
  if (bytes <= limit_) return;
  std::ranges::sort(entries, {}, &Entry::used);
  for (const Entry& e : entries) {
    if (bytes <= limit_) break;
    std::error_code ignored;
    fs::remove(e.path, ignored);
    bytes -= e.bytes;
  }
}

KernelCache::Usage KernelCache::Measure() const {
  Usage usage;
  for (const Entry& e : EntriesOf(folder_)) ++usage.entries, usage.bytes += e.bytes;
  return usage;
}

bool KernelCache::Clear() const {
  bool all = true;
  for (const Entry& e : EntriesOf(folder_)) {
    std::error_code error;
    fs::remove(e.path, error);
    all &= !error;
  }
  return all;
}

}  // namespace tilewright
