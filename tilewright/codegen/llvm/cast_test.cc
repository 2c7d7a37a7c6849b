// SPDX-License-Identifier: Apache-2.0
// Conversions between element types against scalar C++.
#include <cmath>

#include "tilewright/codegen/llvm/test_numeric.h"

namespace tilewright {
namespace {

using namespace testing_numeric;

template <class From, class To>
To CastOf(From a, From) {
  if constexpr (std::is_same_v<To, bool>) {
    return Value(a) != 0;
  } else if constexpr (kIsSmall<To>) {
    return To::Encode(double(Value(a)));  // 64-bit integers round to double first
  } else {
    return To(Value(a));
  }
}

/// Whether the truncated value lies in the integer type.
template <class From, class To>
bool Fits(From a) {
  if constexpr (kIsFloat<From> && !kIsFloat<To> && !std::is_same_v<To, bool>) {
    const double x = std::trunc(double(Value(a)));
    return x >= double(std::numeric_limits<To>::min()) &&
           x < std::ldexp(1.0, std::numeric_limits<To>::digits);
  }
  return true;
}

/// Ties and near ties of the 16-bit formats, and their ends.
constexpr double kTies[] = {1 + 0x1p-11, 1 + 0x3p-11, 1 + 0x1p-11 + 0x1p-40,
                            1 + 0x1p-8,  1 + 0x3p-8,  1 + 0x1p-8 - 0x1p-40,
                            65519.0,     65520.0,     0x1p-24,
                            0x1p-25,     0x1.8p-25,   0x3p-26,
                            0x1.ffep-15, 3.4e38,      0x1p-134,
                            -0x1.8p-133};

template <class From, class To>
Expected Cast(const std::vector<From>& xs) {
  const Op<From, To> op = {
      "cast", [](Expr a, Expr) { return MakeCast(TypeOf<To>::value.WithLanes(a.dtype().lanes), a); },
      CastOf<From, To>, Fits<From, To>};
  return Evaluate(op, xs, xs);
}

template <class From, class... To>
void CheckCastsTo() {
  std::vector<From> xs = Edges<From>();
  if constexpr (std::is_floating_point_v<From>) {
    for (double x : kTies) xs.push_back(From(x));
  }
  CheckOperations({Cast<From, To>(xs)...}, TypeOf<From>::value, BytesOf(xs), BytesOf(xs));
}

template <class From>
void CheckCasts() {
  CheckCastsTo<From, int8_t, uint8_t, int32_t, uint32_t, int64_t, uint64_t, bool, F16, BF16, float, double>();
}

TEST(Casts, FromIntegers) { CheckCasts<int8_t>(), CheckCasts<int32_t>(), CheckCasts<uint64_t>(); }
TEST(Casts, FromFloats) { CheckCasts<float>(), CheckCasts<double>(); }
TEST(Casts, FromSmallFloatsAndBool) { CheckCasts<F16>(), CheckCasts<BF16>(), CheckCasts<bool>(); }

/// All 65536 patterns of a 16-bit float, to binary32 and back.
TEST(Casts, EverySmallFloat) {
  std::vector<uint16_t> x(65536), z(65536);
  std::vector<float> y(65536);
  for (int k = 0; k < 65536; ++k) x[size_t(k)] = uint16_t(k);
  for (const Target& target : RunnableTargets()) {
    for (DataType t : {kF16, kBF16}) {
      Var i("i");
      Buffer in = FlatUnaligned("in", t, 65536), wide = FlatUnaligned("wide", kF32, 65536),
             back = FlatUnaligned("back", t, 65536);
      Expr index = MakeRamp(i * 16, 1, 16);
      Stmt body = MakeSeq({MakeStore(wide, MakeCast(kF32.WithLanes(16), in({index})), {index}),
                           MakeStore(back, MakeCast(t.WithLanes(16), wide({index})), {index})});
      Compiled(Kernel("f", {in, wide, back}, Serial(i, 4096, body)), target)({x.data(), y.data(), z.data()});
      for (size_t k = 0; k < 65536; ++k) {
        const double want = t == kF16 ? F16::Decode(uint16_t(k)) : BF16::Decode(uint16_t(k));
        const std::string where = fmt::format("{} of {} on {}", k, t.ToString(), target.name);
        if (std::isnan(want)) {
          ASSERT_TRUE(std::isnan(y[k])) << where;
        } else {
          ASSERT_EQ(double(y[k]), want) << where;
          ASSERT_EQ(z[k], k) << where;
        }
      }
    }
  }
}

}  // namespace
}  // namespace tilewright
