// SPDX-License-Identifier: Apache-2.0
// Reading and writing the little-endian primitives that the module format is made of.
#pragma once

#include <array>
#include <bit>
#include <concepts>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tilewright/runtime/status.h"

namespace tilewright::runtime {

static_assert(std::endian::native == std::endian::little,
              "module files are little-endian, and so is this code");

class ByteWriter {
 public:
  template <std::integral T>
  void Put(T value) {
    auto raw = std::bit_cast<std::array<std::byte, sizeof(T)>>(value);
    bytes_.insert(bytes_.end(), raw.begin(), raw.end());
  }
  // A number of elements or bytes, stored in 32 bits.
  void PutCount(size_t count) {
    if (count > 0xffffffffu) throw RuntimeError(ErrorId::kCannotWrite, "more than 2^32 items in a module");
    Put(static_cast<uint32_t>(count));
  }
  void PutString(std::string_view text) {
    PutCount(text.size());
    PutBytes(std::as_bytes(std::span(text)));
  }
  void PutBytes(std::span<const std::byte> bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void PadTo(size_t size) { bytes_.resize(size); }
  // Overwrites a value put before.
  template <std::integral T>
  void PatchAt(size_t offset, T value) {
    std::memcpy(bytes_.data() + offset, &value, sizeof value);
  }

  size_t size() const { return bytes_.size(); }
  std::span<const std::byte> bytes() const { return bytes_; }
  std::vector<std::byte> Take() { return std::move(bytes_); }

 private:
  std::vector<std::byte> bytes_;
};

// Never reads outside the bytes it was given; throws kMalformed, naming `what` and the offset, instead.
class ByteReader {
 public:
  ByteReader(std::span<const std::byte> bytes, std::string what) : bytes_(bytes), what_(std::move(what)) {}

  template <std::integral T>
  T Get() {
    T value;
    std::memcpy(&value, GetBytes(sizeof(T)).data(), sizeof(T));
    return value;
  }
  // A number of elements that take at least `least_bytes` each, checked against what is left, so that a
  // damaged count cannot ask for more memory than the file has bytes.
  size_t GetCount(size_t least_bytes) {
    auto count = Get<uint32_t>();
    if (count > remaining() / least_bytes) Fail("claims " + std::to_string(count) + " items");
    return count;
  }
  std::string GetString() {
    auto raw = GetBytes(Get<uint32_t>());
    return std::string(reinterpret_cast<const char*>(raw.data()), raw.size());
  }
  std::span<const std::byte> GetBytes(size_t count) {
    if (count > remaining()) Fail("needs " + std::to_string(count) + " more bytes");
    auto result = bytes_.subspan(offset_, count);
    offset_ += count;
    return result;
  }
  void ExpectEnd() {
    if (remaining() != 0) Fail("has unexpected content");
  }
  size_t remaining() const { return bytes_.size() - offset_; }

  [[noreturn]] void Fail(const std::string& why) const {
    throw RuntimeError(ErrorId::kMalformed, "the " + what_ + " is malformed: at byte " +
                                                std::to_string(offset_) + " of " +
                                                std::to_string(bytes_.size()) + " it " + why);
  }

 private:
  std::span<const std::byte> bytes_;
  size_t offset_ = 0;
  std::string what_;
};

}  // namespace tilewright::runtime
