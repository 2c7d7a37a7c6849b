// SPDX-License-Identifier: Apache-2.0
// Kernels as C, compiled by the system's compiler and called, against the interpreter.
#include "tilewright/codegen/c/codegen.h"

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "tilewright/codegen/c/test_build.h"
#include "tilewright/ir/ndarray.h"
#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/parser.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using testing::Not;

/// A kernel with an entry that takes an array of pointers.
class BuiltKernel {
 public:
  explicit BuiltKernel(const PrimFunc& kernel) : source_(Text(kernel)) {}
  const char* operator()(std::vector<NDArray>& arrays, const std::vector<int64_t>& dims) const {
    std::vector<void*> pointers;
    for (NDArray& a : arrays) pointers.push_back(a.mutable_data());
    auto entry = source_.Find<const char* (*)(void* const*, const int64_t*)>("entry");
    return entry ? entry(pointers.data(), dims.data()) : "not built";
  }

 private:
  static std::string Text(const PrimFunc& kernel) {
    const CSource source = KernelCSource(std::vector<CKernel>{{kernel, false, "tested"}});
    std::string args;
    for (size_t i = 0; i < kernel->buffers.size(); ++i)
      args += fmt::format("{}buffers[{}]", i ? ", " : "", i);
    for (size_t i = 0; i < kernel->dims.size(); ++i) args += fmt::format(", dims[{}]", i);
    const char* prefix = source.can_fail[0] ? "return " : "";
    const char* suffix = source.can_fail[0] ? "" : " return NULL;";
    return fmt::format(
        "{}\n{}\nconst char* entry(void* const* buffers, const i64* dims);\n"
        "const char* entry(void* const* buffers, const i64* dims) {{ (void)dims; {}{}({});{} }}\n",
        source.support, source.functions, prefix, source.names[0], args, suffix);
  }
  testing_c::BuiltSource source_;
};

NDArray RandomArray(DataType t, int64_t n, std::mt19937& random) {
  NDArray a = NDArray::Empty(t, {n});
  std::uniform_real_distribution<double> real(-4, 4);
  std::uniform_int_distribution<int> small(-100, 100);
  for (int64_t i = 0; i < n; ++i) {
    const int k = small(random);
    t.is_float() ? a.SetDouble(i, real(random))
                 : a.SetInt(i, t.is_int()    ? k
                               : t.is_bool() ? k & 1
                                             : std::abs(k));
  }
  return a;
}

/// Whether all elements are the same, NaN for NaN, or near by `relative`.
void ExpectAlike(const NDArray& want, const NDArray& got, double relative) {
  for (int64_t i = 0; i < want.size(); ++i) {
    if (!want.dtype().is_float()) {
      ASSERT_EQ(want.AsInt(i), got.AsInt(i)) << "element " << i;
      continue;
    }
    const double x = want.AsDouble(i), y = got.AsDouble(i);
    if (x == y || (std::isnan(x) && std::isnan(y))) continue;
    ASSERT_LE(std::abs(x - y), relative * std::max(std::abs(x), 1e-3)) << "element " << i;
  }
}

void ExpectSame(const std::string& text, double relative = 0, const std::vector<int64_t>& dims = {}) {
  SCOPED_TRACE(text);
  const PrimFunc kernel = ParsePrimFunc(text);
  std::mt19937 random(7);
  std::vector<NDArray> want, got;
  for (const Buffer& b : kernel->buffers) {
    want.push_back(RandomArray(b.dtype(), AsInt(b.shape()[0]).value_or(64), random));
    got.push_back(want.back().Copy());
  }
  Interpret(kernel, want, dims, {.outputs_start_undefined = false});
  EXPECT_EQ(BuiltKernel(kernel)(got, dims), nullptr);
  for (size_t i = 0; i < want.size(); ++i) ExpectAlike(want[i], got[i], relative);
}

/// Stores each of `values`, over `a` and `b` of type `t` with `lanes` lanes and `i`, into an array of `out`.
/// In values @N@ is the constant N.
void ExpectSameValues(const std::string& t, int lanes, const std::string& out,
                      const std::vector<std::string>& values) {
  auto at = [&](const std::string& row) {
    if (lanes == 1) return row + " * 8 + i";
    return fmt::format("ramp(({} * 8 + i) * {}, 1, {})", row, lanes, lanes);
  };
  std::string body;
  for (size_t k = 0; k < values.size(); ++k) {
    std::string value;
    for (size_t c = 0; c < values[k].size(); ++c) {
      if (values[k][c] != '@') {
        value += values[k][c];
        continue;
      }
      const size_t end = values[k].find('@', c + 1);
      const std::string number = values[k].substr(c + 1, end - c - 1) + (t == "i64" ? "" : t);
      value += lanes == 1 ? number : fmt::format("broadcast({}, {})", number, lanes);
      c = end;
    }
    body += fmt::format("    C[{}] = {}\n", at(std::to_string(k)), value);
  }
  ExpectSame(
      fmt::format("primfunc @f(A: {0}[{1}], B: {0}[{1}], C: {2}[{3}]) outputs(1) lowered {{\n"
                  "  for i in 0..8 {{\n    let a = A[{4}]\n    let b = B[{4}]\n{5}  }}\n}}\n",
                  t, 8 * lanes, out, 8 * lanes * int(values.size()), at("0"), body));
}

TEST(CCode, IsReadable) {
  const std::string text = KernelCText(std::vector{ParsePrimFunc(R"(
primfunc @double(A: f32[64], C: f32[64]) outputs(1) lowered {
  for i in 0..4 parallel {
    C[ramp(i * 16, 1, 4)] = A[ramp(i * 16, 1, 4)] * broadcast(2f32, 4)
    for j in 4..16 { C[i * 16 + j] = A[i * 16 + j] * 2f32 }
  }
})")});
  EXPECT_THAT(text, HasSubstr(R"(
static void v_double(const f32* A, f32* C) {
  for (i64 i = 0; i < 4; ++i) {
    f32x4_store(&C[i * 16], f32x4_load(&A[i * 16]) * f32x4_splat(2.0f));
    for (i64 j = 4; j < 16; ++j) {
      C[i * 16 + j] = A[i * 16 + j] * 2.0f;
    }
  }
}
)"));
  EXPECT_THAT(text, Not(HasSubstr("f32x8")));  // nothing that is not used
}

TEST(CCode, NamesThatCHasTaken) {
  ExpectSame(R"(
primfunc @while(float: f32[8], f32x4: f32[8], restrict: f32[8]) outputs(1) lowered {
  for int in 0..8 {
    let exp = float[int] + f32x4[int]
    let unused = exp * exp
    restrict[int] = exp
  }
})");
}

TEST(CCode, Integers) {
  for (const char* t : {"i8", "i16", "i32", "i64", "u8", "u16", "u32", "u64"}) {
    for (int lanes : {1, 3, 4}) {
      ExpectSameValues(
          t, lanes, t,
          {"a + b * a - bit_or(b, @3@)", "a // bit_or(b, @3@) + a % bit_or(b, @3@)", "a // @7@ - a % @7@",
           "truncdiv(a, @7@) + truncmod(a, bit_or(b, @3@))", "min(a, b)", "max(a, @5@)",
           "select(a < b, bit_xor(a, b), bit_and(a, b))", "shift_left(a, @3@) + shift_right(b, @3@)",
           "shift_right(a, bit_and(b, @7@))", "abs(bit_not(a)) + popcount(b)",
           "select(a == b || !(a <= b), a, b)", "let x = a * b in x + x"});
    }
  }
}

TEST(CCode, Floats) {
  for (const char* t : {"f32", "f64", "f16", "bf16"}) {
    for (int lanes : {1, 3, 4}) {
      ExpectSameValues(
          t, lanes, t,
          {"a + b * a - b", "a / b", "min(a, b)", "max(a, @0.5@)", "truncmod(a, b)", "sqrt(a)", "abs(a)",
           "floor(a) + ceil(b)", "trunc(a) * round(b)", "select(isnan(sqrt(a)), a, b)", "max(sqrt(a), b)",
           "select(isinf(a / (b - b)), @1@, @2@)", "select(a != b && a < b, a, b)"});
    }
  }
  ExpectSameValues("f32", 4, "f32", {"fma(a, b, a)"});
}

TEST(CCode, Conversions) {
  const std::vector<std::string> types{"i8",  "i16",  "i32", "i64", "u8",  "u32",
                                       "f16", "bf16", "f32", "f64", "bool"};
  for (const std::string& from : types) {
    // A negative number has no value in unsigned types.
    const bool from_float = from[0] == 'f' || from == "bf16";
    std::string buffers, body;
    for (const std::string& to : types) {
      const char* abs = from_float && to[0] == 'u' ? "abs" : "";
      buffers += fmt::format(", to_{0}: {0}[12]", to);
      body += fmt::format("  for i in 0..4 {{ to_{0}[i] = {0}({1}(A[i])) }}\n", to, abs);
      body += fmt::format("  to_{0}[ramp(4, 1, 8)] = {0}x8({1}(A[ramp(4, 1, 8)]))\n", to, abs);
    }
    ExpectSame(fmt::format("primfunc @f(A: {}[12]{}) outputs({}) lowered {{\n{}}}\n", from, buffers,
                           types.size(), body));
  }
  ExpectSameValues("f32", 4, "i32", {"reinterpret.i32x4(a)"});
  ExpectSameValues("f32", 1, "u32", {"reinterpret.u32(a)"});
}

TEST(CCode, VectorsOfMemory) {
  ExpectSame(R"(
primfunc @f(A: f32[64], I: i32[8], M: bool[8], C: f32[96], D: bool[16]) outputs(2) lowered {
  let m = M[ramp(0, 1, 8)]
  let at = i64x8(I[ramp(0, 1, 8)]) % broadcast(64, 8)
  C[ramp(0, 1, 8)] = A[at]
  C[ramp(8, 1, 8)] = A[at where m]
  C[ramp(16, 2, 8)] = A[ramp(60, -3, 8)]
  C[ramp(40, 1, 8) where m] = A[ramp(3, 1, 8) where !m || M[ramp(0, 1, 8)]]
  C[ramp(48, 3, 8) where ramp(0, 1, 8) < broadcast(5, 8)] = A[broadcast(7, 8)]
  D[ramp(0, 1, 8)] = m && !(A[ramp(0, 1, 8)] < A[ramp(8, 1, 8)])
  D[ramp(8, 1, 8)] = select(m, broadcast(false, 8), A[ramp(0, 1, 8)] <= broadcast(1f32, 8))
  C[72] = if_then_else(M[0], A[1], A[2])
  C[73] = A[5 where M[1]]
})");
}

TEST(CCode, LanesAndSums) {
  ExpectSame(R"(
primfunc @f(A: i32[8], U: u8[16], S: i8[16], C: i32[32]) outputs(1) lowered {
  let a = A[ramp(0, 1, 4)]
  let b = A[ramp(4, 1, 4)]
  C[ramp(0, 1, 6)] = shuffle([a, b], [7, 0, 2, 2, 5, 1])
  C[ramp(6, 1, 2)] = shuffle([A[3], A[1]], [1, 0])
  C[8] = vector_reduce_add(a) + vector_reduce_max(b) - vector_reduce_min(shuffle([a, b], [0, 1, 2, 3, 4, 5]))
  C[ramp(12, 1, 4)] = dot_u8s8_i32(a, U[ramp(0, 1, 16)], S[ramp(0, 1, 16)])
  C[ramp(16, 1, 4)] = ramp(A[0], 3i32, 4)
})");
  ExpectSame(R"(
primfunc @f(A: f32[16], B: bf16[32], C: f32[4]) outputs(1) lowered {
  C[0] = vector_reduce_add(A[ramp(0, 1, 16)])
  C[1] = vector_reduce_max(A[ramp(0, 1, 11)])
  C[ramp(2, 1, 2)] = dot_bf16_f32(A[ramp(0, 1, 2)], B[ramp(0, 1, 4)], B[ramp(4, 1, 4)])
})",
             1e-6);
}

// The values of a yield are all from before it, and a result is the last of them.
TEST(CCode, LoopsCarryValues) {
  ExpectSame(R"(
primfunc @f<n in [1, 64]>(A: f32[64], C: f32[64]) outputs(1) lowered {
  for i in 0..n carry (a = 1f32 -> x, b = 2f32 -> y, c = broadcast(0f32, 4) -> z) {
    let t = a + A[i]
    yield b, t, c + broadcast(a, 4)
  }
  C[0] = x
  C[1] = y
  C[ramp(4, 1, 4)] = z
  for none in 3..3 carry (d = x -> e) { yield d + 1f32 }
  C[2] = e
  if n < 10 { C[3] = A[n] } else { C[3] = A[n - 1] }
})",
             0, {13});
}

TEST(CCode, PrivateMemoryAndBranchesThatNeedLines) {
  ExpectSame(R"(
primfunc @f(A: f32[8], C: f32[8]) outputs(1) lowered {
  allocate T: f32[8]
  for i in 0..8 { T[i] = A[7 - i] * 2f32 }
  for i in 0..8 {
    C[i] = if_then_else(i < 4, let s = T[i] + 1f32 in s * s, T[i])
    evaluate prefetch(A[i + 100], 3)
  }
})");
}

TEST(CCode, ReportsErrors) {
  const PrimFunc kernel = ParsePrimFunc(R"(
primfunc @f(A: i64[4], C: i64[4]) outputs(1) lowered {
  for i in 0..4 {
    if A[i] < 0 { evaluate extern_call("report_error", "index \"out\" of range??/", A[i]) }
    C[i] = A[i]
  }
})");
  const BuiltKernel built(kernel);
  std::vector<NDArray> arrays{NDArray::FromInts(kI64, {4}, std::vector<int64_t>{1, 2, 3, 4}),
                              NDArray::Zeros(kI64, {4})};
  EXPECT_EQ(built(arrays, {}), nullptr);
  EXPECT_EQ(arrays[1].AsInt(3), 4);
  arrays[0].SetInt(2, -5);
  EXPECT_STREQ(built(arrays, {}), "index \"out\" of range?\?/");
}

TEST(CCode, RefusesTypesThatCHasNot) {
  const PrimFunc kernel = ParsePrimFunc(R"(
primfunc @f(A: i4[8], C: i4[8]) outputs(1) lowered { C[0] = A[0] })");
  try {
    KernelCText(std::vector{kernel});
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("TW1705"));
    EXPECT_THAT(e.what(), HasSubstr("i4"));
  }
}

}  // namespace
}  // namespace tilewright
