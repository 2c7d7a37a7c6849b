// SPDX-License-Identifier: Apache-2.0
// The functions of tir/lower/expand_math.h as machine code, over samples of all exponents, dense ones where
// models compute, and the edges: errors in units in the last place against a wider type of the host's
// library. Bounds are those that expand_math.h states.
#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <random>

#include "tilewright/codegen/llvm/test_numeric.h"
#include "tilewright/tir/lower/contract_fma.h"
#include "tilewright/tir/lower/expand_math.h"
#include "tilewright/tir/lower/share_values.h"

namespace tilewright {
namespace {

using namespace testing_numeric;

template <class T>
using Wide = std::conditional_t<std::is_same_v<T, float>, double, long double>;

/// Largest errors, in units in the last place.
struct Bounds {
  double with_fma, without;
};

/// A function and its value in the wide type.
template <class T>
struct Function {
  const char* name;
  Build build;
  Wide<T> (*exact)(Wide<T>, Wide<T>);
  Bounds f32, f64;
  bool of_argument = false;  ///< the units are those of x instead of the result's

  double BoundOn(const Target& target) const {
    const Bounds& bounds = sizeof(T) == 4 ? f32 : f64;
    return target.has_fma ? bounds.with_fma : bounds.without;
  }
};

template <Intrinsic op>
Expr Of(Expr x, Expr) {
  return MakeCall(op, {x});
}
template <Intrinsic op>
Expr OfBoth(Expr x, Expr y) {
  return MakeCall(op, {x, y});
}

/// Numbers of every exponent, many of the sizes that models compute with, and the edges.
template <class T>
std::vector<T> Samples() {
  using Bits = std::conditional_t<sizeof(T) == 4, uint32_t, uint64_t>;
  using L = std::numeric_limits<T>;
  std::mt19937_64 random(11);
  std::vector<T> x{0, L::denorm_min(), L::min(), L::max(), L::infinity(), L::quiet_NaN(), 1, 2, 10, T(0.5)};
  const int count = sizeof(T) == 4 ? 60000 : 15000;  // long double takes its time
  for (int i = 0; i < count; ++i) {
    x.push_back(std::bit_cast<T>(Bits(random())));
    x.push_back(std::uniform_real_distribution<T>(0, 1)(random));
    x.push_back(std::uniform_real_distribution<T>(0, 20)(random));
    x.push_back(std::uniform_real_distribution<T>(0, T(L::max_exponent))(random));
  }
  const size_t given = x.size();
  for (size_t i = 0; i < given; ++i) x.push_back(-x[i]);
  // Close to 1 and to -1, and to what exp turns into 0 and infinity.
  for (int i = -500; i <= 500; ++i) {
    for (double near : {1.0, -1.0, 88.72284, -103.97208, 709.782713, -745.13321910}) {
      x.push_back(T(near) + T(i) * T(std::fabs(near)) * L::epsilon() / 2);
    }
  }
  x.resize((x.size() + 15) / 16 * 16, 1);
  return x;
}

/// Second operands: a permutation of the first, with small integers and halves among them.
template <class T>
std::vector<T> Partners(const std::vector<T>& x) {
  std::vector<T> y(x);
  std::mt19937_64 random(12);
  std::shuffle(y.begin(), y.end(), random);
  for (size_t i = 0; i < y.size(); i += 3) y[i] = T(int(random() % 41) - 20) / 2;
  return y;
}

/// The error of `got` in units in the last place of `unit_of`. Infinite for a wrong NaN, infinity or sign of
/// zero.
template <class T>
double Ulps(T got, Wide<T> exact, Wide<T> unit_of) {
  using L = std::numeric_limits<T>;
  if (std::isnan(exact) || std::isnan(got)) return std::isnan(exact) && std::isnan(got) ? 0 : INFINITY;
  if (std::isinf(T(exact)) || std::isinf(got)) return got == T(exact) ? 0 : INFINITY;
  if (exact == 0) return got == 0 && std::signbit(got) == std::signbit(exact) ? 0 : INFINITY;
  const int exponent = std::max(std::ilogb(unit_of), L::min_exponent - 1);
  return double(std::fabs(Wide<T>(got) - exact) / std::ldexp(Wide<T>(1), exponent - L::digits + 1));
}

/// What `f` makes of each x and y, in vectors of 16.
template <class T>
std::vector<T> Run(const Function<T>& f, std::vector<T>& x, std::vector<T>& y, const Target& target) {
  const int64_t n = int64_t(x.size());
  Var i("i");
  const Expr index = MakeRamp(i * 16, 1, 16);
  const DataType t = TypeOf<T>::value;
  Buffer a = FlatUnaligned("a", t, n), b = FlatUnaligned("b", t, n), out = FlatUnaligned("out", t, n);
  PrimFunc kernel = Kernel(f.name, {a, b, out},
                           Serial(i, n / 16, MakeStore(out, f.build(a({index}), b({index})), {index})));
  kernel = ExpandMath(kernel, target);
  if (target.has_fma) kernel = ContractFma(kernel);
  std::vector<T> result(x.size());
  Compiled(ShareValues(kernel), target)({x.data(), y.data(), result.data()});
  return result;
}

/// The argument at which `got` is furthest from the exact values, and how far.
template <class T>
std::pair<size_t, double> Worst(const Function<T>& f, const std::vector<T>& x, const std::vector<T>& got,
                                const std::vector<Wide<T>>& exact) {
  std::pair<size_t, double> worst{0, -1};
  for (size_t i = 0; i < x.size(); ++i) {
    const double ulps = Ulps<T>(got[i], exact[i], f.of_argument ? Wide<T>(x[i]) : exact[i]);
    if (ulps > worst.second) worst = {i, ulps};
  }
  return worst;
}

template <class T>
void CheckBounds(const std::vector<Function<T>>& functions) {
  std::vector<T> x = Samples<T>(), y = Partners(x);
  std::vector<Wide<T>> exact(x.size());
  for (const Function<T>& f : functions) {
    for (size_t i = 0; i < x.size(); ++i) exact[i] = f.exact(x[i], y[i]);
    for (const Target& target : RunnableTargets()) {
      const std::vector<T> got = Run(f, x, y, target);
      const auto [at, ulps] = Worst(f, x, got, exact);
      EXPECT_LE(ulps, f.BoundOn(target))
          << fmt::format("{} of {} and {} on {} is {}, expected {}", f.name, x[at], y[at], target.name,
                         got[at], double(exact[at]));
    }
  }
}

template <class T, Intrinsic op>
Function<T> One(Wide<T> (*exact)(Wide<T>, Wide<T>), Bounds f32, Bounds f64) {
  return {GetIntrinsicInfo(op).name.data(), Of<op>, exact, f32, f64};
}

// What is computed in f64 and rounded once.
constexpr Bounds kRounded = {0.501, 0.501};

#define TW_UNARY(name, ...) \
  One<T, Intrinsic::k_##name>([](Wide<T> x, Wide<T>) { return std::name(x); }, __VA_ARGS__)

template <class T>
std::vector<Function<T>> Exponentials() {
  return {
      TW_UNARY(exp, {0.9, 0.9}, {0.9, 0.9}),
      TW_UNARY(exp2, {1.0, 1.0}, {1.1, 1.1}),
      TW_UNARY(expm1, {1.6, 1.6}, {1.6, 1.6}),
      TW_UNARY(log, {0.9, 0.9}, {0.9, 0.9}),
      TW_UNARY(log2, kRounded, {1.0, 1.3}),
      TW_UNARY(log1p, {1.5, 1.5}, {1.5, 1.5}),
      {"pow",
       OfBoth<Intrinsic::k_pow>,
       [](Wide<T> x, Wide<T> y) { return std::pow(x, y); },
       kRounded,
       {1.4, 1.4}},
      One<T, Intrinsic::k_rsqrt>([](Wide<T> x, Wide<T>) { return 1 / std::sqrt(x); }, {1.5, 1.5}, {1.5, 1.5}),
  };
}

/// x times the normal distribution's integral, as operators write it. For very negative x what is left of
/// 1 + erf has few digits, so that the error is small beside x, not beside the result.
template <class T>
Function<T> Gelu() {
  auto build = [](Expr x, Expr) {
    auto constant = [&](double value) { return MakeConst(x.dtype(), value); };
    Expr phi = MakeCall(Intrinsic::k_erf, {x * constant(0.70710678118654752)});
    return constant(0.5) * x * (constant(1) + phi);
  };
  auto exact = [](Wide<T> x, Wide<T>) { return x * std::erfc(x * -std::sqrt(Wide<T>(0.5))) / 2; };
  return {"gelu", build, exact, {1.6, 1.6}, {1.6, 1.6}, /*of_argument=*/true};
}

template <class T>
std::vector<Function<T>> Activations() {
  return {
      TW_UNARY(tanh, {1.3, 1.3}, {2.3, 2.3}),
      TW_UNARY(erf, {1.0, 1.3}, {1.0, 1.3}),
      One<T, Intrinsic::k_sigmoid>(
          [](Wide<T> x, Wide<T>) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); },
          {1.9, 1.9}, {1.7, 1.7}),
      Gelu<T>(),
  };
}

template <class T>
std::vector<Function<T>> Trigonometric() {
  return {
      TW_UNARY(sin, kRounded, {0.8, 0.8}),
      TW_UNARY(cos, kRounded, {0.8, 0.8}),
      TW_UNARY(tan, kRounded, {2.2, 2.2}),
      TW_UNARY(asin, kRounded, {2.2, 2.2}),
      TW_UNARY(acos, kRounded, {1.2, 1.2}),
      TW_UNARY(atan, kRounded, {1.9, 1.9}),
      TW_UNARY(sinh, kRounded, {2.1, 2.1}),
      TW_UNARY(cosh, kRounded, {1.4, 1.4}),
      TW_UNARY(asinh, kRounded, {2.0, 2.1}),
      TW_UNARY(acosh, kRounded, {2.0, 2.0}),
      TW_UNARY(atanh, kRounded, {2.2, 2.2}),
      {"atan2",
       OfBoth<Intrinsic::k_atan2>,
       [](Wide<T> x, Wide<T> y) { return std::atan2(x, y); },
       kRounded,
       {2.2, 2.2}},
  };
}

template <class T>
class MathAccuracy : public testing::Test {};
using FloatTypes = testing::Types<float, double>;
TYPED_TEST_SUITE(MathAccuracy, FloatTypes);

TYPED_TEST(MathAccuracy, ExponentialsAndLogarithms) { CheckBounds(Exponentials<TypeParam>()); }
TYPED_TEST(MathAccuracy, Activations) { CheckBounds(Activations<TypeParam>()); }
TYPED_TEST(MathAccuracy, TrigonometricAndHyperbolic) { CheckBounds(Trigonometric<TypeParam>()); }

}  // namespace
}  // namespace tilewright
