// SPDX-License-Identifier: Apache-2.0
// The checksum of the module format: 64-bit xxHash (XXH64) with seed 0, after its published specification
// ("xxHash fast digest algorithm", version 0.1.1). It detects damage; it is no protection against an
// attacker.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tilewright::runtime {

// Takes the bytes in pieces of any size.
class Checksum {
 public:
  Checksum();
  void Update(std::span<const std::byte> bytes);
  uint64_t Digest() const;

 private:
  std::array<uint64_t, 4> lanes_;
  std::array<std::byte, 32> pending_{};
  size_t pending_bytes_ = 0;
  uint64_t total_bytes_ = 0;
};

uint64_t ComputeChecksum(std::span<const std::byte> bytes);

}  // namespace tilewright::runtime
