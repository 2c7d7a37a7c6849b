// SPDX-License-Identifier: Apache-2.0
// Cases of element-wise operators: each function over the types that it takes, at its edges, and broadcast.
#pragma once

#include <limits>

#include "tilewright/op/test_op_case.h"

namespace tilewright {

using RealFunction = double (*)(double);
using RealFunction2 = double (*)(double, double);

inline constexpr double kTestInf = std::numeric_limits<double>::infinity();
inline constexpr double kTestNan = std::numeric_limits<double>::quiet_NaN();

inline OpCase UnaryCase(std::string name, std::string op, TestInput input, RealFunction f,
                        Annotations attrs = {}) {
  TestIndex shape = input.shape;
  return {std::move(name),
          std::move(op),
          {std::move(input)},
          std::move(attrs),
          shape,
          {[f](const TestArrays& in, const TestIndex& i) { return f(At(in[0], i)); }}};
}

/// The result broadcasts; an integer result wraps to the type of the first argument.
inline OpCase BinaryCase(std::string name, std::string op, TestInput a, TestInput b, TestIndex shape,
                         RealFunction2 f) {
  return {std::move(name),
          std::move(op),
          {std::move(a), std::move(b)},
          {},
          std::move(shape),
          {[f](const TestArrays& in, const TestIndex& i) {
            const double y = f(AtBroadcast(in[0], i), AtBroadcast(in[1], i));
            const DataType t = in[0].dtype();
            return t.is_float() || t.is_bool() ? y : double(WrapToType(int64_t(y), t));
          }}};
}

inline double TestRelu(double x) { return std::isnan(x) ? x : std::max(x, 0.0); }
inline double TestSign(double x) { return std::isnan(x) || x == 0 ? x : x > 0 ? 1 : -1; }
inline double TestSigmoid(double x) { return 1 / (1 + std::exp(-x)); }
inline double TestSoftplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::abs(x))); }

inline std::vector<OpCase> FloatFunctionCases() {
  struct Row {
    const char* op;
    double low, high;
    RealFunction f;
  };
  static const Row kRows[] = {
      {"Abs", -2, 2, [](double x) { return std::abs(x); }},
      {"Neg", -2, 2, [](double x) { return -x; }},
      {"Sign", -2, 2, TestSign},
      {"Relu", -2, 2, TestRelu},
      {"Reciprocal", 0.5, 4, [](double x) { return 1 / x; }},
      {"Sqrt", 0, 9, [](double x) { return std::sqrt(x); }},
      {"Exp", -5, 5, [](double x) { return std::exp(x); }},
      {"Log", 0.01, 9, [](double x) { return std::log(x); }},
      {"Floor", -4, 4, [](double x) { return std::floor(x); }},
      {"Ceil", -4, 4, [](double x) { return std::ceil(x); }},
      {"Round", -4, 4, [](double x) { return std::nearbyint(x); }},
      {"Sin", -9, 9, [](double x) { return std::sin(x); }},
      {"Cos", -9, 9, [](double x) { return std::cos(x); }},
      {"Tan", -1.4, 1.4, [](double x) { return std::tan(x); }},
      {"Asin", -1, 1, [](double x) { return std::asin(x); }},
      {"Acos", -1, 1, [](double x) { return std::acos(x); }},
      {"Atan", -9, 9, [](double x) { return std::atan(x); }},
      {"Sinh", -4, 4, [](double x) { return std::sinh(x); }},
      {"Cosh", -4, 4, [](double x) { return std::cosh(x); }},
      {"Tanh", -4, 4, [](double x) { return std::tanh(x); }},
      {"Asinh", -9, 9, [](double x) { return std::asinh(x); }},
      {"Acosh", 1, 9, [](double x) { return std::acosh(x); }},
      {"Atanh", -0.95, 0.95, [](double x) { return std::atanh(x); }},
      {"Erf", -3, 3, [](double x) { return std::erf(x); }},
      {"Sigmoid", -9, 9, TestSigmoid},
      {"Softplus", -40, 100, TestSoftplus},
      {"Softsign", -4, 4, [](double x) { return x / (1 + std::abs(x)); }},
      {"Mish", -9, 9, [](double x) { return x * std::tanh(TestSoftplus(x)); }},
      {"HardSwish", -5, 5, [](double x) { return x * std::min(std::max(x / 6 + 0.5, 0.0), 1.0); }},
      {"IsNaN", -1, 1, [](double x) { return double(std::isnan(x)); }},
      {"GeluTanh", -4, 4,
       [](double x) { return 0.5 * x * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }},
      {"Gelu", -4, 4, [](double x) { return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0))); }},
  };
  std::vector<OpCase> cases;
  for (const Row& r : kRows) cases.push_back(UnaryCase("f32", r.op, {kF32, {3, 7}, r.low, r.high}, r.f));
  for (const char* op : {"Exp", "Tanh", "Sigmoid"}) {
    for (const Row& r : kRows) {
      if (std::string(r.op) != op) continue;
      cases.push_back(UnaryCase("f64", op, {kF64, {2, 5}, r.low, r.high}, r.f));
      cases.push_back(UnaryCase("f16", op, {kF16, {2, 17}, r.low, r.high}, r.f));
      cases.push_back(UnaryCase("bf16", op, {kBF16, {33}, r.low, r.high}, r.f));
    }
  }
  return cases;
}

inline std::vector<OpCase> UnaryEdgeCases() {
  const std::vector<double> odd = {kTestNan, kTestInf, -kTestInf, 0.0, -0.0, 0.5, 1.5, -2.5};
  auto edge = [&](const char* op, RealFunction f, Annotations attrs = {}) {
    return UnaryCase("edges", op, {kF32, {8}, 0, 0, odd}, f, std::move(attrs));
  };
  std::vector<OpCase> cases = {
      edge("Relu", TestRelu),
      edge("Sign", TestSign),
      edge("Round", [](double x) { return std::nearbyint(x); }),
      edge("Floor", [](double x) { return std::floor(x); }),
      edge("Exp", [](double x) { return std::exp(x); }),
      edge("Sigmoid", TestSigmoid),
      edge("Softplus", [](double x) { return std::isnan(x) ? x : TestSoftplus(x); }),
      edge("IsNaN", [](double x) { return double(std::isnan(x)); }),
      edge("IsInf", [](double x) { return double(std::isinf(x)); }),
      UnaryCase("negative", "IsInf", {kF32, {8}, 0, 0, odd}, [](double x) { return double(x == -kTestInf); },
                {{"positive", false}}),
      UnaryCase("i8_wraps", "Neg", {kI8, {3}, 0, 0, {-128, 127, 3}},
                [](double x) { return x == -128 ? x : -x; }),
      UnaryCase("i8", "Abs", {kI8, {2, 9}, -9, 9}, [](double x) { return std::abs(x); }),
      UnaryCase("u8", "Abs", {kU8, {11}, 0, 255}, [](double x) { return x; }),
      UnaryCase("i64", "Sign", {kI64, {5}, -3, 3}, TestSign),
      UnaryCase("u16", "Sign", {kU16, {5}, 0, 3}, TestSign),
      UnaryCase("i32", "Relu", {kI32, {5}, -3, 3}, TestRelu),
      UnaryCase("bool", "Not", {kBool, {9}, 0, 1}, [](double x) { return x == 0 ? 1.0 : 0.0; }),
      UnaryCase("u8", "BitwiseNot", {kU8, {9}, 0, 255}, [](double x) { return 255 - x; }),
      UnaryCase("i16", "BitwiseNot", {kI16, {9}, -99, 99}, [](double x) { return -1 - x; }),
      UnaryCase("edges", "Identity", {kF32, {8}, 0, 0, odd}, [](double x) { return x; }),
      UnaryCase("scalar", "Exp", {kF32, {}}, [](double x) { return std::exp(x); }),
      UnaryCase("empty", "Exp", {kF32, {2, 0, 3}}, [](double x) { return x; }),
  };
  return cases;
}

inline std::vector<OpCase> ActivationCases() {
  auto with = [](const char* op, double alpha, double beta, RealFunction f) {
    return UnaryCase("f32", op, {kF32, {3, 11}, -4, 4}, f, {{"alpha", alpha}, {"beta", beta}});
  };
  return {
      with("LeakyRelu", 0.25, 0, [](double x) { return x < 0 ? 0.25 * x : x; }),
      with("Elu", 2, 0, [](double x) { return x < 0 ? 2 * std::expm1(x) : x; }),
      with("Selu", 2, 3, [](double x) { return 3 * (x <= 0 ? 2 * std::expm1(x) : x); }),
      with("Celu", 2, 0, [](double x) { return std::max(x, 0.0) + std::min(2 * std::expm1(x / 2), 0.0); }),
      with("HardSigmoid", 0.25, 0.5, [](double x) { return std::min(std::max(x / 4 + 0.5, 0.0), 1.0); }),
      with("ThresholdedRelu", 1, 0, [](double x) { return x > 1 ? x : 0; }),
      with("Swish", 2, 0, [](double x) { return x * TestSigmoid(2 * x); }),
      with("Shrink", 1, 0.5, [](double x) { return x < -1  ? x + 0.5
                                                   : x > 1 ? x - 0.5
                                                           : 0; }),
      // The branch that is not taken must stay harmless where it would overflow.
      UnaryCase("large", "Elu", {kF32, {3}, 0, 0, {100, 1000, -1000}},
                [](double x) { return x < 0 ? std::expm1(x) : x; }, {{"alpha", 1.0}}),
  };
}

inline double TestFloorMod(double a, double b) {
  const double r = std::fmod(a, b);
  return r != 0 && (r < 0) != (b < 0) ? r + b : r;
}

inline std::vector<OpCase> BinaryCases() {
  auto add = [](double a, double b) { return a + b; };
  auto mul = [](double a, double b) { return a * b; };
  auto div = [](double a, double b) { return a / b; };
  auto quotient = [](double a, double b) { return std::trunc(a / b); };
  auto low = [](double a, double b) { return std::isnan(a) || std::isnan(b) ? kTestNan : std::min(a, b); };
  auto high = [](double a, double b) { return std::isnan(a) || std::isnan(b) ? kTestNan : std::max(a, b); };
  const TestInput divisors = {kI32, {5}, 0, 0, {-3, -1, 1, 2, 7}};
  return {
      BinaryCase("same_shape", "Add", {kF32, {3, 21}}, {kF32, {3, 21}}, {3, 21}, add),
      BinaryCase("row", "Add", {kF32, {2, 3, 20}}, {kF32, {20}}, {2, 3, 20}, add),
      BinaryCase("column", "Mul", {kF32, {2, 3, 20}}, {kF32, {3, 1}}, {2, 3, 20}, mul),
      BinaryCase("scalar", "Mul", {kF32, {2, 20}}, {kF32, {}}, {2, 20}, mul),
      BinaryCase("both_ways", "Sub", {kF32, {4, 1, 5}}, {kF32, {3, 1}}, {4, 3, 5},
                 [](double a, double b) { return a - b; }),
      BinaryCase("longer_second", "Add", {kF32, {5}}, {kF32, {2, 3, 5}}, {2, 3, 5}, add),
      BinaryCase("empty", "Add", {kF32, {0, 3}}, {kF32, {1, 3}}, {0, 3}, add),
      BinaryCase("f16", "Mul", {kF16, {3, 5}}, {kF16, {3, 5}}, {3, 5}, mul),
      BinaryCase("i8_wraps", "Add", {kI8, {40}, -128, 127}, {kI8, {40}, -128, 127}, {40}, add),
      BinaryCase("u8_wraps", "Sub", {kU8, {40}, 0, 255}, {kU8, {40}, 0, 255}, {40},
                 [](double a, double b) { return a - b; }),
      BinaryCase("i16_wraps", "Mul", {kI16, {40}, -999, 999}, {kI16, {40}, -999, 999}, {40}, mul),
      BinaryCase("f32", "Div", {kF32, {3, 7}}, {kF32, {7}, 1, 3}, {3, 7}, div),
      BinaryCase("i32", "Div", {kI32, {4, 5}, -20, 20}, divisors, {4, 5}, quotient),
      BinaryCase("u8", "Div", {kU8, {4, 5}, 0, 255}, {kU8, {5}, 1, 9}, {4, 5}, quotient),
      BinaryCase("i32", "FloorMod", {kI32, {4, 5}, -20, 20}, divisors, {4, 5}, TestFloorMod),
      BinaryCase("f32", "FloorMod", {kF32, {9}, -9, 9}, {kF32, {9}, 1, 3}, {9}, TestFloorMod),
      BinaryCase("negative", "FloorMod", {kF32, {9}, -9, 9}, {kF32, {}, 0, 0, {-2.5}}, {9}, TestFloorMod),
      BinaryCase("i32", "TruncMod", {kI32, {4, 5}, -20, 20}, divisors, {4, 5},
                 [](double a, double b) { return std::fmod(a, b); }),
      BinaryCase("f32", "TruncMod", {kF32, {9}, -9, 9}, {kF32, {9}, 1, 3}, {9},
                 [](double a, double b) { return std::fmod(a, b); }),
      BinaryCase("nan", "Minimum", {kF32, {4}, 0, 0, {kTestNan, 1, 2, kTestInf}},
                 {kF32, {4}, 0, 0, {1, kTestNan, 3, -kTestInf}}, {4}, low),
      BinaryCase("nan", "Maximum", {kF32, {4}, 0, 0, {kTestNan, 1, 2, kTestInf}},
                 {kF32, {4}, 0, 0, {1, kTestNan, 3, -kTestInf}}, {4}, high),
      BinaryCase("u8", "Maximum", {kU8, {20}, 0, 255}, {kU8, {20}, 0, 255}, {20}, high),
      BinaryCase("i32", "Equal", {kI32, {3, 9}, -1, 1}, {kI32, {9}, -1, 1}, {3, 9},
                 [](double a, double b) { return double(a == b); }),
      BinaryCase("nan", "Equal", {kF32, {2}, 0, 0, {kTestNan, 1}}, {kF32, {2}, 0, 0, {kTestNan, 1}}, {2},
                 [](double a, double b) { return double(a == b); }),
      BinaryCase("nan", "NotEqual", {kF32, {2}, 0, 0, {kTestNan, 1}}, {kF32, {2}, 0, 0, {kTestNan, 1}}, {2},
                 [](double a, double b) { return double(a != b); }),
      BinaryCase("f32", "Less", {kF32, {9}}, {kF32, {9}}, {9},
                 [](double a, double b) { return double(a < b); }),
      BinaryCase("u8", "Less", {kU8, {9}, 0, 255}, {kU8, {9}, 0, 255}, {9},
                 [](double a, double b) { return double(a < b); }),
      BinaryCase("i64", "LessEqual", {kI64, {9}, -1, 1}, {kI64, {}, 0, 0, {0}}, {9},
                 [](double a, double b) { return double(a <= b); }),
      BinaryCase("bool", "And", {kBool, {9}, 0, 1}, {kBool, {9}, 0, 1}, {9},
                 [](double a, double b) { return double(a != 0 && b != 0); }),
      BinaryCase("bool", "Or", {kBool, {9}, 0, 1}, {kBool, {9}, 0, 1}, {9},
                 [](double a, double b) { return double(a != 0 || b != 0); }),
      BinaryCase("bool", "Xor", {kBool, {9}, 0, 1}, {kBool, {9}, 0, 1}, {9},
                 [](double a, double b) { return double(a != b); }),
      BinaryCase("u8", "BitwiseAnd", {kU8, {20}, 0, 255}, {kU8, {20}, 0, 255}, {20},
                 [](double a, double b) { return double(int64_t(a) & int64_t(b)); }),
      BinaryCase("i16", "BitwiseOr", {kI16, {20}, -99, 99}, {kI16, {20}, -99, 99}, {20},
                 [](double a, double b) { return double(int64_t(a) | int64_t(b)); }),
      BinaryCase("i32", "BitwiseXor", {kI32, {20}, -99, 99}, {kI32, {20}, -99, 99}, {20},
                 [](double a, double b) { return double(int64_t(a) ^ int64_t(b)); }),
      BinaryCase("beyond", "ShiftLeft", {kU8, {4}, 0, 0, {1, 255, 3, 7}}, {kU8, {4}, 0, 0, {0, 4, 8, 200}},
                 {4}, [](double a, double b) { return b >= 8 ? 0 : double(int64_t(a) << int64_t(b)); }),
      BinaryCase("sign", "ShiftRight", {kI32, {4}, 0, 0, {-8, 8, -8, 8}}, {kI32, {4}, 0, 0, {1, 1, 40, -1}},
                 {4},
                 [](double a, double b) {
                   return b < 0 || b >= 32 ? (a < 0 ? -1 : 0) : std::floor(a / std::exp2(b));
                 }),
  };
}

inline std::vector<OpCase> PowerCases() {
  auto power = [](double a, double b) { return std::pow(a, b); };
  return {
      BinaryCase("f32", "Pow", {kF32, {3, 5}, 0.1, 3}, {kF32, {5}, -2, 2}, {3, 5}, power),
      BinaryCase("f16", "Pow", {kF16, {9}, 0.5, 2}, {kF16, {9}, -2, 2}, {9}, power),
      BinaryCase("integer_exponent", "Pow", {kF32, {9}, -2, 2}, {kI32, {}, 0, 0, {3}}, {9}, power),
      BinaryCase("integers", "Pow", {kI32, {3, 5}, -5, 5}, {kI32, {5}, 0, 0, {0, 1, 2, 3, 5}}, {3, 5}, power),
      BinaryCase("negative_exponent", "Pow", {kI32, {5}, 0, 0, {1, -1, -1, 2, -3}},
                 {kI32, {5}, 0, 0, {-3, -3, -2, -1, -1}}, {5},
                 [](double a, double b) { return std::trunc(std::pow(a, b)); }),
      // Powers beyond 2^63 of what never leaves the type.
      BinaryCase("large_exponent", "Pow", {kI64, {4}, 0, 0, {0, 1, -1, -1}},
                 {kI64, {4}, 0, 0, {64, 64, 64, 129}}, {4}, power),
      BinaryCase("real_exponent", "Pow", {kI32, {4}, 0, 0, {4, 9, 2, 1}},
                 {kF32, {4}, 0, 0, {0.5, 0.5, 3, 9.5}}, {4},
                 [](double a, double b) { return std::trunc(std::pow(a, b)); }),
  };
}

inline std::vector<OpCase> SelectAndCastCases() {
  auto cast = [](std::string name, TestInput from, DataType to, RealFunction f) {
    return UnaryCase(std::move(name), "Cast", std::move(from), f, {{"to", to}});
  };
  return {
      {"broadcast",
       "Where",
       {{kBool, {3, 1}, 0, 1}, {kF32, {4}}, {kF32, {2, 3, 4}}},
       {},
       {2, 3, 4},
       {[](const TestArrays& in, const TestIndex& i) {
         return AtBroadcast(in[0], i) != 0 ? AtBroadcast(in[1], i) : AtBroadcast(in[2], i);
       }}},
      // A NaN in the branch that is not chosen stays out.
      {"nan",
       "Where",
       {{kBool, {2}, 0, 0, {1, 0}}, {kF32, {2}, 0, 0, {1, kTestNan}}, {kF32, {2}, 0, 0, {kTestNan, 2}}},
       {},
       {2},
       {[](const TestArrays&, const TestIndex& i) { return double(i[0] + 1); }}},
      BinaryCase("channels", "PRelu", {kF32, {2, 3, 4}}, {kF32, {3, 1}}, {2, 3, 4},
                 [](double x, double slope) { return x < 0 ? slope * x : x; }),
      cast("to_int", {kF32, {9}, -9, 9}, kI32, [](double x) { return std::trunc(x); }),
      cast("to_u8", {kI32, {9}, -999, 999}, kU8,
           [](double x) { return double(WrapToType(int64_t(x), kU8)); }),
      cast("to_i8", {kI64, {9}, -999, 999}, kI8,
           [](double x) { return double(WrapToType(int64_t(x), kI8)); }),
      cast("to_f16", {kF32, {9}, -9, 9}, kF16, [](double x) { return RoundToType(x, kF16); }),
      cast("to_bf16", {kF32, {9}, -9, 9}, kBF16, [](double x) { return RoundToType(x, kBF16); }),
      cast("from_bf16", {kBF16, {9}, -9, 9}, kF32, [](double x) { return x; }),
      cast("to_f64", {kF32, {9}, -9, 9}, kF64, [](double x) { return x; }),
      cast("to_bool", {kF32, {4}, 0, 0, {0, -0.0, 0.25, kTestNan}}, kBool,
           [](double x) { return double(x != 0); }),
      cast("from_bool", {kBool, {9}, 0, 1}, kF32, [](double x) { return x; }),
      cast("u64_to_f32", {kU64, {3}, 0, 0, {0, 1, 4e9}}, kF32, [](double x) { return x; }),
  };
}

/// The bits of a number of a type, and the number that has these bits in another.
template <class From, class To>
double TestSameBits(double x) {
  const From from = From(x);
  To to;
  static_assert(sizeof(from) == sizeof(to));
  std::memcpy(&to, &from, sizeof(to));
  return double(to);
}

inline std::vector<OpCase> BitCastCases() {
  auto cast = [](std::string name, TestInput from, DataType to, RealFunction f) {
    return UnaryCase(std::move(name), "BitCast", std::move(from), f, {{"to", to}});
  };
  return {
      cast("f32_to_i32", {kF32, {2, 9}, -9, 9}, kI32, TestSameBits<float, int32_t>),
      cast("i32_to_f32", {kI32, {9}, 1e9, 1.1e9}, kF32, TestSameBits<int32_t, float>),
      cast("i8_to_u8", {kI8, {9}, -128, 127}, kU8, TestSameBits<int8_t, uint8_t>),
      cast("u16_to_i16", {kU16, {9}, 0, 65535}, kI16, TestSameBits<uint16_t, int16_t>),
      cast("bool_to_u8", {kBool, {9}, 0, 1}, kU8, [](double x) { return x; }),
      cast("u8_to_bool", {kU8, {3}, 0, 0, {0, 1, 0}}, kBool, [](double x) { return x; }),
      cast("same", {kF64, {9}}, kF64, [](double x) { return x; }),
  };
}

inline std::vector<OpCase> ElementwiseCases() {
  std::vector<OpCase> all;
  for (auto list : {FloatFunctionCases, UnaryEdgeCases, ActivationCases, BinaryCases, PowerCases,
                    SelectAndCastCases, BitCastCases}) {
    for (OpCase& c : list()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace tilewright
