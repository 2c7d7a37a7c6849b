// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/ndarray.h"

#include <gmock/gmock.h>

#include <cmath>

#include "tilewright/ir/float16.h"

namespace tilewright {
namespace {

template <class F>
std::string IdOf(F&& f) {
  try {
    f();
  } catch (const Error& e) {
    return e.id();
  }
  return "no error";
}

TEST(Float16, EveryHalfRoundTrips) {
  for (int i = 0; i < 65536; ++i) {
    const double v = HalfToDouble(uint16_t(i));
    if (std::isnan(v)) {
      EXPECT_TRUE(std::isnan(HalfToDouble(DoubleToHalf(v))));
    } else {
      EXPECT_EQ(DoubleToHalf(v), i);
    }
  }
}

TEST(Float16, EveryBFloat16RoundTrips) {
  for (int i = 0; i < 65536; ++i) {
    const double v = BFloat16ToDouble(uint16_t(i));
    if (!std::isnan(v)) EXPECT_EQ(DoubleToBFloat16(v), i);
  }
}

TEST(Float16, FloatsRoundToBFloat16AsDoublesDo) {
  for (uint32_t high = 0; high < 65536; ++high) {
    for (uint32_t low : {0u, 1u, 0x7fffu, 0x8000u, 0x8001u, 0xffffu}) {
      const float v = std::bit_cast<float>(high << 16 | low);
      if (std::isnan(v)) {
        EXPECT_TRUE(std::isnan(BFloat16ToDouble(FloatToBFloat16(v))));
      } else {
        EXPECT_EQ(FloatToBFloat16(v), DoubleToBFloat16(v)) << v;
      }
    }
  }
}

TEST(Float16, MidpointsOfNeighboursRoundToEven) {
  for (int i = 0; i < 0x7C00 - 1; ++i) {
    const double lo = HalfToDouble(uint16_t(i)), hi = HalfToDouble(uint16_t(i + 1)), mid = (lo + hi) / 2;
    EXPECT_EQ(DoubleToHalf(mid), i % 2 ? i + 1 : i) << i;
    EXPECT_EQ(DoubleToHalf(std::nextafter(mid, 0.0)), i);
    EXPECT_EQ(DoubleToHalf(std::nextafter(mid, INFINITY)), i + 1);
  }
}

TEST(Float16, OverflowAndNaN) {
  EXPECT_EQ(DoubleToHalf(65519.99), 0x7BFF);
  EXPECT_EQ(DoubleToHalf(65520), 0x7C00);
  EXPECT_EQ(DoubleToHalf(-1e300), 0xFC00);
  EXPECT_EQ(DoubleToHalf(NAN) & 0x7E00, 0x7E00);
  EXPECT_EQ(DoubleToHalf(1e-300), 0);
  EXPECT_EQ(DoubleToBFloat16(3.4e38), 0x7F80);
  EXPECT_TRUE(std::isnan(RoundToType(NAN, kBF16)));
}

TEST(WrapToType, IsTwosComplement) {
  EXPECT_EQ(WrapToType(300, kI8), 44);
  EXPECT_EQ(WrapToType(200, kI8), -56);
  EXPECT_EQ(WrapToType(-1, kU8), 255);
  EXPECT_EQ(WrapToType(-1, kU32), 4294967295);
  EXPECT_EQ(WrapToType(9, DataType::Int(4)), -7);
  EXPECT_EQ(WrapToType(-1, kU64), -1);
  EXPECT_EQ(WrapToType(256, kBool), 1);
  EXPECT_EQ(WrapToType(0, kBool), 0);
}

TEST(NDArray, OwnedMemoryIsAlignedAndShared) {
  NDArray a = NDArray::Zeros(kF32, {3, 5});
  EXPECT_EQ(reinterpret_cast<uintptr_t>(a.data()) % 64, 0u);
  EXPECT_EQ(a.size(), 15);
  EXPECT_EQ(a.bytes(), 60);
  NDArray alias = a, copy = a.Copy();
  a.SetDouble(7, 2.5);
  EXPECT_EQ(alias.AsDouble(7), 2.5);
  EXPECT_EQ(copy.AsDouble(7), 0);
  EXPECT_FALSE(a == copy);
  EXPECT_TRUE(a == alias);
}

TEST(NDArray, ConvertsElementsToEveryType) {
  const double values[] = {1.5, -2, 300, 1e10};
  auto of = [&](DataType t) { return NDArray::FromDoubles(t, {4}, values).ToDoubles(); };
  EXPECT_THAT(of(kF64), testing::ElementsAre(1.5, -2, 300, 1e10));
  EXPECT_THAT(of(kF32), testing::ElementsAre(1.5, -2, 300, 1e10));
  EXPECT_THAT(of(kF16), testing::ElementsAre(1.5, -2, 300, INFINITY));
  EXPECT_THAT(of(kBF16), testing::ElementsAre(1.5, -2, 300, 9999220736.0));
  EXPECT_THAT(of(kI8), testing::ElementsAre(1, -2, 44, double(int8_t(int64_t(1e10)))));
  EXPECT_THAT(of(kU16), testing::ElementsAre(1, 65534, 300, double(uint16_t(int64_t(1e10)))));
  EXPECT_THAT(of(kI64), testing::ElementsAre(1, -2, 300, 1e10));
  EXPECT_THAT(of(kBool), testing::ElementsAre(1, 1, 1, 1));
}

TEST(NDArray, UnsignedSixtyFourBits) {
  NDArray a = NDArray::Zeros(kU64, {2});
  a.SetDouble(0, 0x1p63 + 4096);
  a.SetInt(1, -1);
  EXPECT_EQ(a.AsDouble(0), 0x1p63 + 4096);
  EXPECT_EQ(a.AsDouble(1), 0x1p64);
  EXPECT_EQ(a.ToString(), "u64[2] {9223372036854779904, 18446744073709551615}");
}

TEST(NDArray, ViewKeepsItsOwnerAndCannotBeWritten) {
  auto owner = std::make_shared<std::vector<float>>(std::vector<float>{1, 2, 3, 4});
  NDArray v = NDArray::View(kF32, {2, 2}, owner->data(), owner);
  EXPECT_EQ(owner.use_count(), 2);
  EXPECT_EQ(v.AsDouble(3), 4);
  EXPECT_THROW(v.SetDouble(0, 1), InternalError);
  EXPECT_THROW(v.mutable_data(), InternalError);
}

TEST(NDArray, RefusesWhatCannotBe) {
  EXPECT_EQ(IdOf([] { NDArray::Empty(kF32, {2, -1}); }), "TW1010");
  EXPECT_EQ(IdOf([] { NDArray::Empty(kF32, {int64_t(1) << 40, int64_t(1) << 40}); }), "TW1010");
  EXPECT_EQ(IdOf([] { NDArray::Empty(kF32, {int64_t(1) << 60}); }), "TW1010");
  EXPECT_EQ(IdOf([] { NDArray::Empty(DataType::String(), {1}); }), "TW1010");
  EXPECT_EQ(IdOf([] { NDArray::Empty(DataType::Float(32, 4), {1}); }), "TW1010");
  EXPECT_EQ(IdOf([] { NDArray::Empty(DataType::Int(24), {1}); }), "TW1010");
  EXPECT_EQ(IdOf([] { NDArray::FromVector<float>(kF32, {3}, {1, 2}); }), "TW1011");
  EXPECT_EQ(IdOf([] { NDArray::Zeros(kF32, {6}).Reshape({4}); }), "TW1011");
  EXPECT_THROW(NDArray::Zeros(kF32, {2}).AsDouble(2), InternalError);
}

TEST(NDArray, ZeroSizedAndScalar) {
  NDArray none = NDArray::Zeros(kF32, {0, int64_t(1) << 40, int64_t(1) << 40});
  EXPECT_EQ(none.size(), 0);
  EXPECT_TRUE(bool(none));
  NDArray one = NDArray::FromVector<int64_t>(kI64, {}, {7});
  EXPECT_EQ(one.size(), 1);
  EXPECT_EQ(one.AsInt(0), 7);
  EXPECT_EQ(one.ToString(), "i64[] {7}");
  EXPECT_FALSE(bool(NDArray()));
}

TEST(NDArray, EqualityIsByBits) {
  NDArray nan1 = NDArray::FromVector<float>(kF32, {1}, {NAN}), nan2 = nan1.Copy();
  EXPECT_TRUE(nan1 == nan2);
  EXPECT_FALSE(NDArray::FromVector<float>(kF32, {1}, {0.0f}) ==
               NDArray::FromVector<float>(kF32, {1}, {-0.0f}));
  EXPECT_FALSE(NDArray::Zeros(kF32, {2, 1}) == NDArray::Zeros(kF32, {2}));
  EXPECT_FALSE(NDArray::Zeros(kF32, {2}) == NDArray::Zeros(kI32, {2}));
}

}  // namespace
}  // namespace tilewright
