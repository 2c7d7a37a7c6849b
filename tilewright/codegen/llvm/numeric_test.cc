// SPDX-License-Identifier: Apache-2.0
// Every operator and intrinsic on every element type against scalar C++.
#include <cmath>

#include "tilewright/codegen/llvm/test_numeric.h"

namespace tilewright {
namespace {

using namespace testing_numeric;

template <class T>
using Ops = std::vector<Op<T, T>>;

Expr Like(double value, const Expr& e) { return MakeConst(e.dtype(), value); }

template <BinaryOp op>
Expr Bin(Expr a, Expr b) {
  return MakeBinary(op, a, b);
}
template <BinaryOp op, int c>
Expr WithConstant(Expr a, Expr) {
  return MakeBinary(op, a, MakeConst(a.dtype(), c));
}
template <Intrinsic op>
Expr Un(Expr a, Expr) {
  return MakeCall(op, {a});
}
template <Intrinsic op>
Expr Two(Expr a, Expr b) {
  return MakeCall(op, {a, b});
}

template <class C>
C MinOf(C a, C b) {
  return std::isnan(a) ? a : std::isnan(b) ? b : a < b ? a : b;
}
template <class C>
C MaxOf(C a, C b) {
  return std::isnan(a) ? a : std::isnan(b) ? b : a > b ? a : b;
}

template <class T>
class Floats : public testing::Test {};
using FloatTypes = testing::Types<F16, BF16, float, double>;
TYPED_TEST_SUITE(Floats, FloatTypes);

TYPED_TEST(Floats, Arithmetic) {
  using T = TypeParam;
  using C = Compute<T>;
  const Ops<T> ops = {
      {"add", Bin<BinaryOp::kAdd>, [](T a, T b) { return Rounded<T>(Value(a) + Value(b)); }},
      {"sub", Bin<BinaryOp::kSub>, [](T a, T b) { return Rounded<T>(Value(a) - Value(b)); }},
      {"mul", Bin<BinaryOp::kMul>, [](T a, T b) { return Rounded<T>(Value(a) * Value(b)); }},
      {"div", Bin<BinaryOp::kDiv>, [](T a, T b) { return Rounded<T>(Value(a) / Value(b)); }},
      {"fmod", Bin<BinaryOp::kTruncMod>, [](T a, T b) { return Rounded<T>(std::fmod(Value(a), Value(b))); }},
      {"min", Bin<BinaryOp::kMin>, [](T a, T b) { return Rounded<T>(MinOf(Value(a), Value(b))); }},
      {"max", Bin<BinaryOp::kMax>, [](T a, T b) { return Rounded<T>(MaxOf(Value(a), Value(b))); }},
      {"relu", [](Expr a, Expr) { return Max(a, Like(0, a)); },
       [](T a, T) { return Rounded<T>(MaxOf(Value(a), C(0))); }},
      {"relu2", [](Expr a, Expr) { return Max(Like(0, a), a); },
       [](T a, T) { return Rounded<T>(MaxOf(Value(a), C(0))); }},
      {"clip6", [](Expr a, Expr) { return Min(a, Like(6, a)); },
       [](T a, T) { return Rounded<T>(MinOf(Value(a), C(6))); }},
      {"negate", [](Expr a, Expr) { return -a; }, [](T a, T) { return Rounded<T>(-Value(a)); }},
      {"sqrt", Un<Intrinsic::k_sqrt>, [](T a, T) { return Rounded<T>(std::sqrt(Value(a))); }},
      {"rsqrt", Un<Intrinsic::k_rsqrt>, [](T a, T) { return Rounded<T>(1 / std::sqrt(Value(a))); }},
      {"abs", Un<Intrinsic::k_abs>, [](T a, T) { return Rounded<T>(std::fabs(Value(a))); }},
      {"floor", Un<Intrinsic::k_floor>, [](T a, T) { return Rounded<T>(std::floor(Value(a))); }},
      {"ceil", Un<Intrinsic::k_ceil>, [](T a, T) { return Rounded<T>(std::ceil(Value(a))); }},
      {"trunc", Un<Intrinsic::k_trunc>, [](T a, T) { return Rounded<T>(std::trunc(Value(a))); }},
      {"round", Un<Intrinsic::k_round>, [](T a, T) { return Rounded<T>(std::nearbyint(Value(a))); }},
      {"fma", [](Expr a, Expr b) { return MakeCall(Intrinsic::k_fma, {a, b, Like(-0.75, a)}); },
       [](T a, T b) { return Rounded<T>(std::fma(Value(a), Value(b), C(-0.75))); }},
      {"select", [](Expr a, Expr b) { return MakeSelect(a < b, b, a); },
       [](T a, T b) { return Value(a) < Value(b) ? b : a; }},
  };
  Check(ops, Edges<T>(), Edges<T>());
}

TYPED_TEST(Floats, Predicates) {
  using T = TypeParam;
  const std::vector<Op<T, bool>> ops = {
      {"eq", Bin<BinaryOp::kEq>, [](T a, T b) { return Value(a) == Value(b); }},
      {"ne", Bin<BinaryOp::kNe>, [](T a, T b) { return Value(a) != Value(b); }},
      {"lt", Bin<BinaryOp::kLt>, [](T a, T b) { return Value(a) < Value(b); }},
      {"le", Bin<BinaryOp::kLe>, [](T a, T b) { return Value(a) <= Value(b); }},
      {"not_lt", [](Expr a, Expr b) { return MakeNot(a < b); },
       [](T a, T b) { return !(Value(a) < Value(b)); }},
      {"isnan", Un<Intrinsic::k_isnan>, [](T a, T) { return std::isnan(Value(a)); }},
      {"isinf", Un<Intrinsic::k_isinf>, [](T a, T) { return std::isinf(Value(a)); }},
  };
  Check(ops, Edges<T>(), Edges<T>());
}

/// fma with an addend of 2^exponent (or its negation), which two roundings would lose or double-round.
template <class T, int exponent, bool negative>
Op<T, T> FmaWith() {
  return {"fma",
          [](Expr a, Expr b) {
            return MakeCall(Intrinsic::k_fma, {a, b, Like(std::ldexp(negative ? -1.0 : 1.0, exponent), a)});
          },
          [](T a, T b) { return std::fma(a, b, T(std::ldexp(negative ? -1.0 : 1.0, exponent))); }};
}

template <class T>
void CheckFma() {
  constexpr int p = std::numeric_limits<T>::digits;
  std::vector<T> xs, ys;
  for (int k = 0; k < 16; ++k) {
    xs.push_back(T(1) + std::ldexp(T(2 * k + 1), 1 - p));
    ys.push_back((T(1) + std::ldexp(T(k * k + 3), 2 - p)) * (k % 2 ? T(-1) : T(1)));
  }
  Check<T, T>({FmaWith<T, 0, true>(), FmaWith<T, 0, false>(), FmaWith<T, -p, false>(),
               FmaWith<T, -2 * p, true>(), FmaWith<T, p, false>(), FmaWith<T, 1 - p, true>()},
              xs, ys);
}

TEST(Fma, IsRoundedOnce) { CheckFma<float>(), CheckFma<double>(); }

template <class T>
class Integers : public testing::Test {};
using IntegerTypes = testing::Types<int8_t, int16_t, int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t>;
TYPED_TEST_SUITE(Integers, IntegerTypes);

template <class T>
T Wrapped(__int128 x) {
  return T(uint64_t(x));
}
template <class T>
T FloorQuotient(T a, T b) {
  if (b == 0) return 0;
  const __int128 x = a, y = b, q = x / y;
  return Wrapped<T>(x % y != 0 && (x < 0) != (y < 0) ? q - 1 : q);
}
template <class T>
T FloorRemainder(T a, T b) {
  if (b == 0) return 0;
  const __int128 y = b, r = __int128(a) % y;
  return Wrapped<T>(r != 0 && (r < 0) != (y < 0) ? r + y : r);
}
template <class T>
bool ShiftFits(T amount) {
  return amount >= 0 && amount < T(8 * sizeof(T));
}

TYPED_TEST(Integers, Arithmetic) {
  using T = TypeParam;
  using W = __int128;
  const Ops<T> ops = {
      {"add", Bin<BinaryOp::kAdd>, [](T a, T b) { return Wrapped<T>(W(a) + W(b)); }},
      {"sub", Bin<BinaryOp::kSub>, [](T a, T b) { return Wrapped<T>(W(a) - W(b)); }},
      {"mul", Bin<BinaryOp::kMul>, [](T a, T b) { return T(uint64_t(a) * uint64_t(b)); }},
      {"floordiv", Bin<BinaryOp::kFloorDiv>, FloorQuotient<T>},
      {"floormod", Bin<BinaryOp::kFloorMod>, FloorRemainder<T>},
      {"truncdiv", Bin<BinaryOp::kTruncDiv>, [](T a, T b) { return b ? Wrapped<T>(W(a) / W(b)) : T(0); }},
      {"truncmod", Bin<BinaryOp::kTruncMod>, [](T a, T b) { return b ? Wrapped<T>(W(a) % W(b)) : T(0); }},
      {"floordiv_8", WithConstant<BinaryOp::kFloorDiv, 8>, [](T a, T) { return FloorQuotient(a, T(8)); }},
      {"floormod_8", WithConstant<BinaryOp::kFloorMod, 8>, [](T a, T) { return FloorRemainder(a, T(8)); }},
      {"floordiv_7", WithConstant<BinaryOp::kFloorDiv, 7>, [](T a, T) { return FloorQuotient(a, T(7)); }},
      {"floormod_7", WithConstant<BinaryOp::kFloorMod, 7>, [](T a, T) { return FloorRemainder(a, T(7)); }},
      {"truncdiv_0", WithConstant<BinaryOp::kTruncDiv, 0>, [](T, T) { return T(0); }},
      {"floordiv_m1", WithConstant<BinaryOp::kFloorDiv, -1>, [](T a, T) { return FloorQuotient(a, T(-1)); }},
      {"min", Bin<BinaryOp::kMin>, [](T a, T b) { return std::min(a, b); }},
      {"max", Bin<BinaryOp::kMax>, [](T a, T b) { return std::max(a, b); }},
      {"abs", Un<Intrinsic::k_abs>, [](T a, T) { return Wrapped<T>(a < 0 ? -W(a) : W(a)); }},
      {"and", Two<Intrinsic::k_bit_and>, [](T a, T b) { return T(a & b); }},
      {"or", Two<Intrinsic::k_bit_or>, [](T a, T b) { return T(a | b); }},
      {"xor", Two<Intrinsic::k_bit_xor>, [](T a, T b) { return T(a ^ b); }},
      {"not", Un<Intrinsic::k_bit_not>, [](T a, T) { return T(~a); }},
      {"shl", Two<Intrinsic::k_shift_left>,
       [](T a, T b) { return ShiftFits(b) ? T(uint64_t(a) << b) : T(0); }},
      {"shr", Two<Intrinsic::k_shift_right>,
       [](T a, T b) { return ShiftFits(b) ? T(a >> b)
                             : a < 0      ? T(-1)
                                          : T(0); }},
      {"popcount", Un<Intrinsic::k_popcount>,
       [](T a, T) { return T(std::popcount(std::make_unsigned_t<T>(a))); }},
  };
  Check(ops, Edges<T>(), Edges<T>());
}

TYPED_TEST(Integers, Predicates) {
  using T = TypeParam;
  const std::vector<Op<T, bool>> ops = {
      {"eq", Bin<BinaryOp::kEq>, [](T a, T b) { return a == b; }},
      {"lt", Bin<BinaryOp::kLt>, [](T a, T b) { return a < b; }},
      {"le", Bin<BinaryOp::kLe>, [](T a, T b) { return a <= b; }},
      {"or", [](Expr a, Expr b) { return (a < b) || Eq(a, b); }, [](T a, T b) { return a <= b; }},
      {"and", [](Expr a, Expr b) { return (a <= b) && Ne(a, b); }, [](T a, T b) { return a < b; }},
  };
  Check(ops, Edges<T>(), Edges<T>());
}

}  // namespace
}  // namespace tilewright
