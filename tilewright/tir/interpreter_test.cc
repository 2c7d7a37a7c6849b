// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/interpreter.h"

#include <gmock/gmock.h>

#include <chrono>
#include <cmath>
#include <random>

#include "tilewright/tir/parser.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using Order = InterpretOptions::Order;

NDArray Random(std::vector<int64_t> shape, uint32_t seed) {
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  std::mt19937 random(seed);
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (float& x : a.mutable_as<float>()) x = uniform(random);
  return a;
}

/// Runs a lowered function whose last buffer is the output; gives its elements.
std::vector<double> Outputs(std::string_view text, std::vector<NDArray> buffers,
                            std::vector<int64_t> dims = {}, InterpretOptions options = {}) {
  Interpret(ParsePrimFunc(text), buffers, dims, options);
  return buffers.back().ToDoubles();
}

std::string ErrorOf(std::string_view text, std::vector<NDArray> buffers, std::vector<int64_t> dims = {},
                    InterpretOptions options = {}) {
  try {
    Outputs(text, std::move(buffers), std::move(dims), options);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

/// The elements of O after `O[i] = expr` for i in 0..n, with A: f32 {-2, -0.5, 0, 1.5} and I: i64 {-7, 0, 3,
/// 9}.
std::vector<double> Map(std::string_view type, std::string_view expr, int64_t n = 4) {
  const std::string text = fmt::format(
      "primfunc @f(A: f32[4], I: i64[4], O: {}[{}]) outputs(1) lowered {{ for i in 0..{} {{ O[i] = {} }} }}",
      type, n, n, expr);
  return Outputs(text, {NDArray::FromVector<float>(kF32, {4}, {-2, -0.5, 0, 1.5}),
                        NDArray::FromVector<int64_t>(kI64, {4}, {-7, 0, 3, 9}),
                        NDArray::Zeros(DataType::Parse(type), {n})});
}

TEST(Interpreter, Integers) {
  EXPECT_THAT(Map("i64", "I[i] // 2"), ElementsAre(-4, 0, 1, 4));
  EXPECT_THAT(Map("i64", "I[i] % 4"), ElementsAre(1, 0, 3, 1));
  EXPECT_THAT(Map("i64", "I[i] // -2"), ElementsAre(3, 0, -2, -5));
  EXPECT_THAT(Map("i64", "I[i] % -4"), ElementsAre(-3, 0, -1, -3));
  EXPECT_THAT(Map("i64", "truncdiv(I[i], 2)"), ElementsAre(-3, 0, 1, 4));
  EXPECT_THAT(Map("i64", "truncmod(I[i], 4)"), ElementsAre(-3, 0, 3, 1));
  EXPECT_THAT(Map("i64", "min(I[i], 2) + max(I[i], i) * 10"), ElementsAre(-7, 10, 32, 92));
  EXPECT_THAT(Map("i8", "i8(I[i]) * 100i8"), ElementsAre(68, 0, 44, -124));
  EXPECT_THAT(Map("u8", "u8(I[i]) - 10u8"), ElementsAre(239, 246, 249, 255));
  EXPECT_THAT(Map("i32", "(i32(I[i]) + 2147483640i32) // 1i32"),
              ElementsAre(2147483633, 2147483640, 2147483643, -2147483647));
  EXPECT_THAT(Map("i8", "truncdiv(-128i8, i8(i) - 4i8)"), ElementsAre(32, 42, 64, -128));
}

TEST(Interpreter, UnsignedSixtyFour) {
  EXPECT_THAT(Map("u64", "18446744073709551615u64 // 10u64", 1), ElementsAre(1844674407370955161.0));
  EXPECT_THAT(Map("bool", "18446744073709551615u64 < u64(i)", 2), ElementsAre(0, 0));
  EXPECT_THAT(Map("u64", "max(18446744073709551615u64, u64(i))", 1), ElementsAre(0x1p64));
  EXPECT_THAT(Map("f64", "f64(18446744073709551615u64)", 1), ElementsAre(0x1p64));
}

TEST(Interpreter, Bits) {
  EXPECT_THAT(Map("i64", "bit_and(I[i], 6) + bit_or(I[i], 8) * 100"), ElementsAre(-700, 800, 1102, 900));
  EXPECT_THAT(Map("i8", "bit_not(i8(I[i]))"), ElementsAre(6, -1, -4, -10));
  EXPECT_THAT(Map("u8", "bit_xor(u8(I[i]), 255u8)"), ElementsAre(6, 255, 252, 246));
  EXPECT_THAT(Map("i8", "shift_left(i8(I[i]), 5i8)"), ElementsAre(32, 0, 96, 32));
  EXPECT_THAT(Map("i8", "shift_right(i8(I[i]), 1i8)"), ElementsAre(-4, 0, 1, 4));
  EXPECT_THAT(Map("u8", "shift_right(u8(I[i]), 1u8)"), ElementsAre(124, 0, 1, 4));
  EXPECT_THAT(Map("i16", "popcount(i16(I[i]))"), ElementsAre(14, 0, 2, 2));
  EXPECT_THAT(Map("i32", "reinterpret.i32(A[i])"), ElementsAre(-1073741824, -1090519040, 0, 1069547520));
  EXPECT_THAT(Map("f32", "reinterpret.f32(1065353216i32)", 1), ElementsAre(1));
}

TEST(Interpreter, Floats) {
  EXPECT_THAT(Map("f32", "A[i] * 2f32 - 1f32"), ElementsAre(-5, -2, -1, 2));
  EXPECT_THAT(Map("f32", "1f32 / A[i]"), ElementsAre(-0.5, -2, INFINITY, float(1 / 1.5)));
  EXPECT_THAT(Map("f32", "truncmod(A[i], 1f32)"), ElementsAre(0, -0.5, 0, 0.5));
  EXPECT_THAT(Map("f32", "round(A[i]) + floor(A[i]) * 10f32 + ceil(A[i]) * 100f32 + trunc(A[i]) * 1000f32"),
              ElementsAre(-2222, -10, 0, 1212));
  EXPECT_THAT(Map("f32", "round(f32(i) + 0.5f32)"), ElementsAre(0, 2, 2, 4));
  EXPECT_THAT(Map("f32", "abs(A[i]) + f32(abs(I[i]))"), ElementsAre(9, 0.5, 3, 10.5));
  EXPECT_THAT(Map("f32", "0.1f32 + 0.2f32", 1), ElementsAre(double(0.1f + 0.2f)));
  EXPECT_THAT(Map("f64", "0.1f64 + 0.2f64", 1), ElementsAre(0.1 + 0.2));
  // Rounded after every operation: 2049 is not a value of f16, 257 not of bf16.
  EXPECT_THAT(Map("f32", "f32(2048f16 + 1f16 - 2048f16)", 1), ElementsAre(0));
  EXPECT_THAT(Map("f32", "f32(256bf16 + 1bf16)", 1), ElementsAre(256));
  EXPECT_THAT(Map("f32", "fma(1.0000001f32, 1.0000001f32, -1.0000002f32)", 1),
              ElementsAre(double(std::fma(1.0000001f, 1.0000001f, -1.0000002f))));
}

TEST(Interpreter, TranscendentalsAreRoundedFromDouble) {
  for (const char* name : {"exp", "exp2", "expm1", "tanh", "sigmoid", "erf", "sin", "cos", "tan", "atan",
                           "sinh", "cosh", "asinh"}) {
    const auto wide = Map("f64", fmt::format("{}(f64(A[i]))", name));
    const auto narrow = Map("f32", fmt::format("{}(A[i])", name));
    for (int i = 0; i < 4; ++i) EXPECT_EQ(narrow[size_t(i)], double(float(wide[size_t(i)]))) << name;
  }
  EXPECT_THAT(Map("f64", "log(exp(2f64)) + log2(8f64) + log1p(0f64) + sqrt(9f64) + rsqrt(4f64)", 1),
              ElementsAre(testing::DoubleEq(8.5)));
  EXPECT_THAT(
      Map("f64", "pow(2f64, 10f64) + atan2(0f64, 1f64) + asin(0f64) + acos(1f64) + acosh(1f64) + atanh(0f64)",
          1),
      ElementsAre(1024));
}

TEST(Interpreter, NaNPropagatesThroughMinAndMax) {
  for (const char* e :
       {"max(f32(nan), A[i])", "max(A[i], f32(nan))", "min(f32(nan), A[i])", "min(A[i], f32(nan))"}) {
    for (double x : Map("f32", e)) EXPECT_TRUE(std::isnan(x)) << e;
  }
  EXPECT_THAT(Map("bool", "isnan(A[i] / A[i])"), ElementsAre(0, 0, 1, 0));
  EXPECT_THAT(Map("bool", "isinf(1f32 / A[i]) && f32(nan) != f32(nan)"), ElementsAre(0, 0, 1, 0));
}

TEST(Interpreter, Casts) {
  EXPECT_THAT(Map("i32", "i32(A[i])"), ElementsAre(-2, 0, 0, 1));
  EXPECT_THAT(Map("bool", "bool(A[i])"), ElementsAre(1, 1, 0, 1));
  EXPECT_THAT(Map("f32", "f32(A[i] < 0f32)"), ElementsAre(1, 1, 0, 0));
  EXPECT_THAT(Map("u8", "u8(I[i])"), ElementsAre(249, 0, 3, 9));
  EXPECT_THAT(Map("f32", "f32(16777217)", 1), ElementsAre(16777216));
  EXPECT_THAT(Map("i8", "i8(A[i] * 1000f32)"), ElementsAre(-128, -128, 0, 127));
}

TEST(Interpreter, Choices) {
  EXPECT_THAT(Map("f32", "select(A[i] < 0f32, 0f32, A[i])"), ElementsAre(0, 0, 0, 1.5));
  EXPECT_THAT(Map("f32", "if_then_else(i < 3, A[i + 1], 7f32)"), ElementsAre(-0.5, 0, 1.5, 7));
  EXPECT_THAT(Map("f32", "let x = A[i] * 2f32 in x * x"), ElementsAre(16, 1, 0, 9));
  EXPECT_THAT(Map("bool", "!(A[i] < 0f32) || i == 0"), ElementsAre(1, 0, 1, 1));
}

TEST(Interpreter, Vectors) {
  EXPECT_THAT(
      Outputs(R"(primfunc @f(A: f32[8], O: f32[8]) outputs(1) lowered {
                O[ramp(0, 2, 4)] = A[ramp(3, -1, 4)] + broadcast(1f32, 4)
                O[ramp(1, 2, 4) where ramp(0, 1, 4) < broadcast(3, 4)] = shuffle([A[ramp(0, 1, 2)], A[ramp(6, 1, 2)]], [3, 0, 1, 2])
                O[7] = vector_reduce_max(A[ramp(0, 1, 8)]) + vector_reduce_add(A[ramp(6, 1, 4) where ramp(6, 1, 4) < broadcast(8, 4)])
              })",
              {NDArray::FromVector<float>(kF32, {8}, {0, 1, 2, 3, 4, 5, 6, 7}), NDArray::Zeros(kF32, {8})}),
      ElementsAre(4, 7, 3, 0, 2, 1, 1, 20));
}

TEST(Interpreter, DotProducts) {
  EXPECT_THAT(Outputs(R"(primfunc @f(A: u8[8], B: i8[8], O: i32[2]) outputs(1) lowered {
                O[ramp(0, 1, 2)] = dot_u8s8_i32(broadcast(5i32, 2), A[ramp(0, 1, 8)], B[ramp(0, 1, 8)])
              })",
                      {NDArray::FromVector<uint8_t>(kU8, {8}, {1, 2, 3, 4, 255, 255, 255, 255}),
                       NDArray::FromVector<int8_t>(kI8, {8}, {1, -1, 1, -1, -128, -128, -128, -128}),
                       NDArray::Zeros(kI32, {2})}),
              ElementsAre(3, 5 - 4 * 255 * 128));
}

TEST(Interpreter, CarriedValuesAndScalarsOfVectorType) {
  constexpr std::string_view text = R"(primfunc @f<n>(A: f32[n], O: f32[4]) outputs(1) lowered {
    for k in 0..n // 4 carry (sum = broadcast(0f32, 4) -> total, last = -1 -> at) {
      yield sum + A[ramp(k * 4, 1, 4)], k
    }
    let scaled = total * broadcast(f32(at), 4)
    O[ramp(0, 1, 4)] = scaled
  })";
  EXPECT_THAT(Outputs(text,
                      {NDArray::FromVector<float>(kF32, {8}, {1, 2, 3, 4, 10, 20, 30, 40}),
                       NDArray::Zeros(kF32, {4})},
                      {8}),
              ElementsAre(11, 22, 33, 44));
  EXPECT_THAT(Outputs(text, {NDArray::Zeros(kF32, {0}), NDArray::Zeros(kF32, {4})}, {0}),
              ElementsAre(0, 0, 0, 0));
}

TEST(Interpreter, StridesOffsetsAndVectorElements) {
  EXPECT_THAT(Outputs(R"(primfunc @f(A: f32[2, 2] strides [1, 2] offset 1, O: f32x2[2]) outputs(1) lowered {
                for i in 0..2 { O[i] = shuffle([broadcast(A[i, 0], 2), broadcast(A[i, 1], 2)], [0, 2]) }
              })",
                      {NDArray::FromVector<float>(kF32, {5}, {9, 1, 2, 3, 4}), NDArray::Zeros(kF32, {4})}),
              ElementsAre(1, 3, 2, 4));
}

std::string Gemm(int m, int n, int k, std::string_view outer = "parallel") {
  return fmt::format(
      R"(primfunc @gemm(A: f32[{0}, {2}], B: f32[{2}, {1}], C: f32[{0}, {1}]) outputs(1) scheduled {{
  block "root" {{
    for i in 0..{0} {3} {{ for j in 0..{1} {{ for k in 0..{2} {{
      block "C" (vi: spatial 0..{0} = i, vj: spatial 0..{1} = j, vk: reduce 0..{2} = k) {{
        reads A[vi, vk], B[vk, vj]
        writes C[vi, vj]
        init {{ C[vi, vj] = 0f32 }}
        C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
      }} }} }} }}
  }} }})",
      m, n, k, outer);
}

TEST(Interpreter, GemmInEveryOrder) {
  const int m = 7, n = 5, k = 9;
  NDArray a = Random({m, k}, 1), b = Random({k, n}, 2);
  std::vector<double> expected;
  for (int i = 0; i < m; ++i) {
    for (int j = 0; j < n; ++j) {
      float sum = 0;
      for (int r = 0; r < k; ++r) sum += a.as<float>()[size_t(i * k + r)] * b.as<float>()[size_t(r * n + j)];
      expected.push_back(sum);
    }
  }
  for (Order order : {Order::kAscending, Order::kDescending, Order::kShuffled}) {
    EXPECT_THAT(
        Outputs(Gemm(m, n, k), {a, b, NDArray::Zeros(kF32, {m, n})}, {}, {.independent_order = order}),
        testing::Pointwise(testing::DoubleEq(), expected));
  }
}

TEST(Interpreter, IsFastEnoughForTests) {
  const auto begin = std::chrono::steady_clock::now();
  Outputs(Gemm(64, 128, 128), {Random({64, 128}, 1), Random({128, 128}, 2), NDArray::Zeros(kF32, {64, 128})});
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  RecordProperty("seconds", std::to_string(took.count()));
  // Under a second on a quiet machine; sanitizers and load take their share.
  EXPECT_LT(took.count(), 20);
}

TEST(Interpreter, BlocksWithPredicatesAndInnerAllocations) {
  EXPECT_THAT(Outputs(R"(primfunc @f(A: f32[10], O: f32[10]) outputs(1) scheduled {
    block "root" {
      for i0 in 0..3 parallel { for i1 in 0..4 {
        block "copy" (v: spatial 0..10 = i0 * 4 + i1) where i0 * 4 + i1 < 10 {
          alloc T: f32[2]
          T[v % 2] = A[v]
          O[v] = T[v % 2] * 2f32
        } } }
    } })",
                      {NDArray::FromVector<float>(kF32, {10}, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9}),
                       NDArray::Zeros(kF32, {10})}),
              ElementsAre(0, 2, 4, 6, 8, 10, 12, 14, 16, 18));
}

// ---- Errors.

std::string Body(std::string_view body) {
  return fmt::format("primfunc @f<n>(A: f32[4], O: f32[n]) outputs(1) lowered {{\n{}\n}}", body);
}

std::string BodyError(std::string_view body, InterpretOptions options = {}) {
  return ErrorOf(Body(body), {NDArray::Zeros(kF32, {4}), NDArray::Zeros(kF32, {8})}, {8}, options);
}

TEST(InterpreterErrors, SayWhereItHappened) {
  EXPECT_EQ(BodyError("for i in 0..8 {\n  for j in 2..4 {\n    O[i] = A[i + j]\n  }\n}"),
            "error[TW1601]: A[4] is out of bounds: index 4 of dimension 0 is not in [0, 4)\n"
            "  at function @f\n"
            "  note: in the statement: O[i] = A[i + j]\n"
            "  note: where i = 1, j = 3");
}

TEST(InterpreterErrors, EachHasItsId) {
  struct Case {
    const char* body;
    const char* message;
  };
  const Case cases[] = {
      {"O[-1] = 0f32", "TW1601"},
      {"O[n] = 0f32", "TW1601]: O[8]"},
      {"O[ramp(4, 1, 8)] = broadcast(0f32, 8)", "TW1601]: O[8]"},
      {"allocate T: f32[2, 3] T[1, 3] = 0f32", "TW1601]: T[1, 3] is out of bounds: index 3 of dimension 1"},
      {"O[0] = f32(1 // (n - 8))", "TW1603]: 1 // 0"},
      {"O[0] = f32(shift_left(1, n * 8))", "TW1603"},
      {"evaluate barrier(\"shared\")", "TW1605]: barrier"},
      {"O[0] = extern_call.f32(\"sin\", A[0])", "TW1605]: extern_call"},
      {"yield 1", "TW1604"},
      {"block \"b\" (v: spatial 0..7 = n - 1) { O[v] = 0f32 }", "TW1606]: block \"b\": v is bound to 7"},
      {"O[0] = O[1]", "TW1607]: the value stored to O"},
      {"allocate T: f32[2] T[0] = 1f32 O[0] = T[1] + 1f32", "TW1607"},
      {"allocate T: f32[2] T[0] = T[1] O[0] = T[0]", "TW1607"},
      {"allocate T: i64[2] O[T[0]] = 1f32", "TW1607]: an index"},
      {"allocate T: i64[2] if T[0] < 1 { O[0] = 1f32 }", "TW1607]: a condition"},
      {"for i in 0..8 parallel { O[i // 2] = 1f32 }",
       "TW1608]: iterations 0 and 1 (counted from 0) of loop i are not independent: both write an element of "
       "O"},
      {"O[0] = 1f32 for i in 0..7 parallel { O[i + 1] = O[i] }", "TW1608"},
      {"for i in 0..8 { O[i] = 1f32 } for i in 0..7 vectorized { O[i] = O[i + 1] }",
       "one reads and the other writes"},
      {"allocate T: f32[1] T[0] = 0f32 for i in 0..8 parallel { T[0] = T[0] + 1f32 O[i] = T[0] }",
       "one writes and the other reads an element of T"},
      {"allocate T: f32[n - 9] T[0] = 0f32", "TW1602]: buffer T has a dimension of -1"},
      {"allocate T: f32[n * 1000000000000000] T[0] = 0f32", "TW1602"},
  };
  for (const Case& c : cases) EXPECT_THAT(BodyError(c.body), HasSubstr(c.message)) << c.body;
  EXPECT_THAT(BodyError("for i in 0..1000000 { O[0] = 0f32 }", {.max_steps = 1000}), HasSubstr("TW1609"));
}

TEST(InterpreterErrors, WhatIsNotAnError) {
  const char* fine[] = {
      "evaluate prefetch(A[100], 3)",
      // Chosen between, not used.
      "allocate T: f32[2] T[0] = 1f32 O[0] = select(n == 8, T[0], T[1])",
      "allocate T: bool[1] if n == 9 && T[0] { O[0] = 1f32 }",
      // Each iteration writes what it reads, as compute_at leaves it before allocations are placed.
      "allocate T: f32[9] for i in 0..8 parallel { T[i] = 1f32 T[i + 1] = 2f32 O[i] = T[i] + T[i + 1] }",
      "for i in 0..8 parallel { O[i] = A[0] } for i in 0..8 parallel { O[i] = O[i] + 1f32 }",
      "for i in 0..n - 10 { O[100] = 0f32 }",
      "O[ramp(4, 1, 8) where ramp(4, 1, 8) < broadcast(8, 8)] = broadcast(0f32, 8)",
  };
  for (const char* body : fine) EXPECT_EQ(BodyError(body), "no error") << body;
  EXPECT_EQ(BodyError("O[0] = O[1]", {.outputs_start_undefined = false}), "no error");
}

TEST(InterpreterErrors, ArgumentsThatDoNotFit) {
  const std::string text =
      "primfunc @f<n in [2, 8] by 2>(A: f32[n], O: f32[n]) outputs(1) lowered { O[0] = A[0] }";
  NDArray eight = NDArray::Zeros(kF32, {8});
  EXPECT_THAT(ErrorOf(text, {eight, eight.Copy()}, {3}), HasSubstr("TW1602]: dimension n is 3"));
  EXPECT_THAT(ErrorOf(text, {eight, eight.Copy()}, {10}), HasSubstr("TW1602]: dimension n is 10"));
  EXPECT_THAT(ErrorOf(text, {eight, eight.Copy()}, {}),
              HasSubstr("TW1602]: 2 buffers and 1 dimensions expected"));
  EXPECT_THAT(ErrorOf(text, {eight}, {4}), HasSubstr("TW1602"));
  EXPECT_THAT(ErrorOf(text, {eight, NDArray::Zeros(kF64, {8})}, {4}),
              HasSubstr("TW1602]: the array for O holds f64"));
  EXPECT_THAT(ErrorOf(text, {NDArray::Zeros(kF32, {3}), eight}, {4}),
              HasSubstr("TW1602]: the array for A has 3"));
  EXPECT_EQ(ErrorOf(text, {eight, eight.Copy()}, {4}), "no error");
}

}  // namespace
}  // namespace tilewright
