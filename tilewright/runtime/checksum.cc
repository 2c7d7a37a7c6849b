// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/checksum.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace tilewright::runtime {
namespace {

// The primes of the specification.
constexpr uint64_t kPrime1 = 0x9E3779B185EBCA87;
constexpr uint64_t kPrime2 = 0xC2B2AE3D27D4EB4F;
constexpr uint64_t kPrime3 = 0x165667B19E3779F9;
constexpr uint64_t kPrime4 = 0x85EBCA77C2B2AE63;
constexpr uint64_t kPrime5 = 0x27D4EB2F165667C5;

static_assert(std::endian::native == std::endian::little,
              "module files are little-endian, and so is this code");

template <typename T>
uint64_t Read(const std::byte* p) {
  T value;
  std::memcpy(&value, p, sizeof value);
  return value;
}

uint64_t Round(uint64_t lane, uint64_t input) { return std::rotl(lane + input * kPrime2, 31) * kPrime1; }

uint64_t MergeLane(uint64_t hash, uint64_t lane) { return (hash ^ Round(0, lane)) * kPrime1 + kPrime4; }

const std::byte* TakeStripes(std::array<uint64_t, 4>& state, const std::byte* p, const std::byte* end) {
  std::array<uint64_t, 4> lanes = state;  // in registers
  for (; end - p >= 32; p += 32) {
    for (size_t i = 0; i < 4; ++i) lanes[i] = Round(lanes[i], Read<uint64_t>(p + 8 * i));
  }
  state = lanes;
  return p;
}

}  // namespace

Checksum::Checksum() : lanes_{kPrime1 + kPrime2, kPrime2, 0, 0 - kPrime1} {}

void Checksum::Update(std::span<const std::byte> bytes) {
  if (bytes.empty()) return;
  total_bytes_ += bytes.size();
  if (pending_bytes_ > 0) {
    size_t n = std::min(bytes.size(), pending_.size() - pending_bytes_);
    std::memcpy(pending_.data() + pending_bytes_, bytes.data(), n);
    pending_bytes_ += n;
    bytes = bytes.subspan(n);
    if (pending_bytes_ < pending_.size()) return;
    TakeStripes(lanes_, pending_.data(), pending_.data() + pending_.size());
    pending_bytes_ = 0;
  }
  const std::byte* end = bytes.data() + bytes.size();
  const std::byte* rest = TakeStripes(lanes_, bytes.data(), end);
  pending_bytes_ = static_cast<size_t>(end - rest);
  if (pending_bytes_ > 0) std::memcpy(pending_.data(), rest, pending_bytes_);
}

uint64_t Checksum::Digest() const {
  uint64_t hash = kPrime5;
  if (total_bytes_ >= 32) {
    hash = std::rotl(lanes_[0], 1) + std::rotl(lanes_[1], 7) + std::rotl(lanes_[2], 12) +
           std::rotl(lanes_[3], 18);
    for (uint64_t lane : lanes_) hash = MergeLane(hash, lane);
  }
  hash += total_bytes_;
  const std::byte* p = pending_.data();
  const std::byte* end = p + pending_bytes_;
  for (; end - p >= 8; p += 8) {
    hash = std::rotl(hash ^ Round(0, Read<uint64_t>(p)), 27) * kPrime1 + kPrime4;
  }
  if (end - p >= 4) {
    hash = std::rotl(hash ^ (Read<uint32_t>(p) * kPrime1), 23) * kPrime2 + kPrime3;
    p += 4;
  }
  for (; p < end; ++p) hash = std::rotl(hash ^ (Read<uint8_t>(p) * kPrime5), 11) * kPrime1;
  hash = (hash ^ (hash >> 33)) * kPrime2;
  hash = (hash ^ (hash >> 29)) * kPrime3;
  return hash ^ (hash >> 32);
}

uint64_t ComputeChecksum(std::span<const std::byte> bytes) {
  Checksum checksum;
  checksum.Update(bytes);
  return checksum.Digest();
}

}  // namespace tilewright::runtime
