// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/checksum.h"

#include <gtest/gtest.h>

#include <random>
#include <string_view>

namespace tilewright::runtime {
namespace {

uint64_t Of(std::string_view text) { return ComputeChecksum(std::as_bytes(std::span(text))); }

// Known values of XXH64 with seed 0.
TEST(Checksum, KnownValues) {
  EXPECT_EQ(Of(""), 0xEF46DB3751D8E999u);
  EXPECT_EQ(Of("a"), 0xD24EC4F1A98C6E5Bu);
  EXPECT_EQ(Of("abc"), 0x44BC2CF5AD770999u);
  EXPECT_EQ(Of("Nobody inspects the spammish repetition"), 0xFBCEA83C8A378BF1u);
}

TEST(Checksum, PiecesDoNotMatter) {
  std::mt19937 random(1);
  std::vector<std::byte> bytes(1000);
  for (std::byte& b : bytes) b = static_cast<std::byte>(random());
  uint64_t whole = ComputeChecksum(bytes);
  for (int i = 0; i < 50; ++i) {
    Checksum checksum;
    std::span<const std::byte> rest(bytes);
    while (!rest.empty()) {
      size_t n = std::min<size_t>(rest.size(), random() % 100);
      checksum.Update(rest.first(n));
      rest = rest.subspan(n);
    }
    EXPECT_EQ(checksum.Digest(), whole);
  }
}

TEST(Checksum, EveryBitMatters) {
  std::vector<std::byte> bytes(77, std::byte{5});
  uint64_t before = ComputeChecksum(bytes);
  for (size_t i = 0; i < bytes.size() * 8; ++i) {
    bytes[i / 8] ^= static_cast<std::byte>(1u << (i % 8));
    EXPECT_NE(ComputeChecksum(bytes), before) << i;
    bytes[i / 8] ^= static_cast<std::byte>(1u << (i % 8));
  }
}

}  // namespace
}  // namespace tilewright::runtime
