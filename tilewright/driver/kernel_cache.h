// SPDX-License-Identifier: Apache-2.0
// Compiled kernels in a folder, so that a model that is compiled again, or another with the same layers, does
// not wait for them. A cache only saves time: what cannot be read or written is as if it were not there.
//
// A file per entry, named by the checksum of its key. It appears complete or not at all, holds the whole key
// and a checksum of everything, and what does not fit is ignored and written anew. Any number of processes
// may use a folder at the same time. It is a folder of programs: who can write it can run code as whoever
// compiles.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace tilewright {

/// The default of what entries may take together.
inline constexpr int64_t kKernelCacheBytes = int64_t(256) << 20;

class KernelCache {
 public:
  /// Entries of the folder, which is made when there is something to store.
  explicit KernelCache(std::string folder, int64_t limit_bytes = kKernelCacheBytes)
      : folder_(std::move(folder)), limit_(limit_bytes) {}

  /// $TILEWRIGHT_CACHE_DIR, else tilewright in $XDG_CACHE_HOME, else ~/.cache/tilewright; empty when none of
  /// them is set.
  static std::string DefaultFolder();

  const std::string& folder() const { return folder_; }
  int64_t limit_bytes() const { return limit_; }

  // Keys name all that a value depends on but the compiler, which the cache adds. Any thread may call these.

  /// What was stored under the key.
  std::optional<std::string> Load(const std::string& key) const;
  void Store(const std::string& key, std::string_view value) const;

  /// Removes the entries that were not used for the longest time until the others keep the limit.
  void Trim() const;

  struct Usage {
    int64_t entries = 0;
    int64_t bytes = 0;
  };
  Usage Measure() const;
  /// Removes all entries; what else lies in the folder stays. False when one cannot be removed.
  bool Clear() const;

 private:
  std::string PathOf(const std::string& key) const;

  std::string folder_;
  int64_t limit_;
};

/// The build of the compiler: this program and the libraries that it was loaded with, by the linker's build
/// ids. Empty when the program has none; then nothing is cached.
const std::string& CompilerBuildId();

}  // namespace tilewright
