// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/parser.h"

#include <gmock/gmock.h>

#include <random>

#include "tilewright/tir/compare.h"
#include "tilewright/tir/printer.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

constexpr std::string_view kGemm =
    R"(primfunc @gemm(A: f32[128, 32], B: f32[32, 64], C: f32[128, 64]) outputs(1) scheduled {
  block "root" {
    alloc T: f32[128, 64] scope "register" separators [1] align 128 strides [64, 1] offset 16
    for i in 0..128 parallel annotations {grain = 4, "odd key" = [1.0, 2.5]} {
      for j in 0..64 {
        for k in 0..32 {
          block "C" (vi: spatial 0..128 = i, vj: spatial 0..64 = j, vk: reduce 0..32 = k) where i < 100 && !(j == k) annotations {rule = "gemm"} {
            reads A[vi, vk], B[0..32, vj..+4]
            writes C[vi, vj]
            init {
              C[vi, vj] = 0f32
            }
            C[vi, vj] = C[vi, vj] + A[vi, vk] * B[vk, vj]
          }
        }
      }
    }
  }
}
)";

constexpr std::string_view kLowered =
    R"(primfunc @"a b"<n in [1, 1024] by 8, m: i32 in [-inf, 7]>(A: f32[n], B: u8x4[16], C: f32[8], D: bf16[n]) outputs(2) lowered attrs {e = expr(n + 1), t = dtype(bf16), x = none} {
  allocate T: f32[n] scope "shared" align 128
  evaluate prefetch(A[0], 3)
  allocate U: i8[4] {
    U[0] = i8(B[2 where broadcast(true, 4)][0]) 
  }
}
)";

/// print(parse(text)) == text.
void ExpectFixedPoint(std::string_view text) {
  PrimFunc f = ParsePrimFunc(text);
  EXPECT_EQ(ToString(f), text);
  PrimFunc again = ParsePrimFunc(ToString(f));
  EXPECT_TRUE(StructuralEqual(f, again));
  EXPECT_EQ(StructuralHash(f), StructuralHash(again));
}

/// A lowered function with this body.
std::string Lowered(std::string_view body) {
  return "primfunc @f<n>(A: f32[16], B: f32[16], I: i64[16], C: f32[n, 16]) outputs(1) lowered {\n" +
         std::string(body) + "}\n";
}

TEST(Parser, ScheduledFunctionRoundTrips) { ExpectFixedPoint(kGemm); }

TEST(Parser, StatementsRoundTrip) {
  ExpectFixedPoint(R"(primfunc @"a b"<n in [1, 1024] by 8, m: i32 in [-inf, 7]>(
    A: f32[n],
    B: u8x4[16],
    C: f32[8],
    D: bf16[n]) outputs(2) lowered attrs {e = expr(n + 1), t = dtype(bf16), x = none} {
  allocate T: f32[n] scope "shared" align 128
  evaluate prefetch(A[0], 3)
  allocate U: u8x4[1] {
    U[0] = B[2]
  }
  let u = 3 {
    T[u] = A[u]
  }
  if n < 16 {
    let t = n + 1
    T[t] = A[t]
  } else {
    T[0] = A[0]
  }
  for k in 0..n // 8 carry (acc = broadcast(0f32, 8) -> sum, c = 0i32 -> count) annotations {unroll = 2} {
    yield acc + A[ramp(k * 8, 1, 8)], c + 1i32
  }
  for b: i64 in 4i32..+i32(n) thread "threadIdx.x" {
    C[ramp(0, 1, 8) where ramp(0, 1, 8) < broadcast(n, 8)] = sum
  }
  C[0] = f32(count)
  D[0] = bf16(f32(D[1]) * 1.5f32)
}
)");
}

TEST(Parser, ExpressionsRoundTrip) {
  const char* expressions[] = {
      "A[0] + A[1] * A[2] - (A[3] - A[4])",
      "A[0] / A[1] / (A[2] / A[3])",
      "f32(i // 4 % 3 * -5 + truncdiv(i, 2) - truncmod(i, 9223372036854775807))",
      "min(A[i], max(A[n], f32(-inf)))",
      "select(i < n && !(i == 2) || n != 4, A[i], -0f32)",
      "if_then_else(i <= n, A[i], f32(nan))",
      "let x = A[i] in let y = x + 1f32 in x * y",
      "(let x = A[i] in x * x) + A[0]",
      "A[let k = i + 1 in k * k]",
      "A[I[I[i]]]",
      "f32(reinterpret.i32(A[i]))",
      "reinterpret.f32(1065353216i32)",
      "exp(A[i]) + pow(A[i], tanh(0.1f32)) + fma(A[i], A[i], erf(1e-45f32))",
      "extern_call.f32(\"name \\\"x\\\"\\n\\x01\", i, A[i])",
      "f32(isnan(A[i]) || isinf(A[i]))",
      "vector_reduce_add(A[ramp(i, 2, 4)])",
      "vector_reduce_max(shuffle([A[ramp(i, 2, 4)], broadcast(A[i], 4)], [0, 7, 3, 3]))",
      "f32(18446744073709551615u64) + f32(-128i8) + f32(255u8) + f32(true) + f32(3.14159274f16)",
      "f32(nan:-2251799813685248)",
      "f32(popcount(shift_left(bit_and(i, 255), bit_not(i))))",
      "f32(1e+300f64 * 0.1f64)",
      "f32(vector_reduce_add(i32x8(A[ramp(0, 1, 8)])))",
  };
  for (const char* e : expressions) {
    // 3.14... is not a value of f16: it prints as what it was rounded to, from then on unchanged.
    PrimFunc f = ParsePrimFunc(Lowered("for i in 0..4 {\n    B[i] = " + std::string(e) + "\n}\n"));
    const std::string text = ToString(f);
    if (!std::string_view(e).ends_with("f16)"))
      EXPECT_THAT(text, HasSubstr("B[i] = " + std::string(e) + "\n"));
    PrimFunc again = ParsePrimFunc(text);
    EXPECT_EQ(ToString(again), text);
    EXPECT_TRUE(StructuralEqual(f, again));
  }
}

TEST(Parser, SpellingsThatThePrinterDoesNotUse) {
  PrimFunc f = ParsePrimFunc(Lowered(R"(
    for i in 0..4 serial {  # a comment
      ^^^^^^^^ a mark
      if i > n { B[i] = -A[i]; } else if i >= 2 { B[i] = ((1f32)); } else { B[i] = 2.50e0f32 }
    })"));
  const std::string text = ToString(f);
  EXPECT_THAT(text, HasSubstr("if n < i {\n      B[i] = A[i] * -1f32"));
  EXPECT_THAT(text, HasSubstr("if 2 <= i {\n        B[i] = 1f32"));
  EXPECT_THAT(text, HasSubstr("B[i] = 2.5f32"));
}

TEST(Parser, FloatsKeepEveryBit) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 2000; ++i) {
    const uint64_t bits = random();
    const float f = std::bit_cast<float>(uint32_t(bits));
    const double d = std::bit_cast<double>(bits);
    PrimFuncNode node;
    node.name = "f";
    node.stage = TirStage::kLowered;
    node.num_outputs = 0;
    node.body =
        MakeSeq({MakeEvaluate(MakeConst(kF32, double(f))), MakeEvaluate(MakeConst(kF64, d)),
                 MakeEvaluate(MakeConst(kF16, double(f))), MakeEvaluate(MakeConst(kI64, int64_t(bits))),
                 MakeEvaluate(MakeConst(kU64, int64_t(bits))), MakeEvaluate(MakeConst(kI8, int64_t(bits)))});
    PrimFunc original(node);
    EXPECT_TRUE(StructuralEqual(original, ParsePrimFunc(ToString(original)))) << ToString(original);
  }
}

TEST(Parser, CollidingNamesAreTold) {
  // Two loops and a buffer of one name, nested and side by side.
  Var a("i"), b("i"), c("i_1");
  Buffer buffer("i", kF32, {64});
  Stmt inner = MakeFor(
      b, 0, 4, ForKind::kSerial,
      MakeFor(c, 0, 4, ForKind::kSerial, MakeStore(buffer, MakeConst(kF32, 1.0), {a * 16 + b * 4 + c})));
  PrimFuncNode node;
  node.name = "f";
  node.stage = TirStage::kLowered;
  node.buffers = {buffer};
  node.body = MakeSeq({MakeFor(a, 0, 4, ForKind::kSerial, inner),
                       MakeFor(c, 0, 4, ForKind::kSerial, MakeStore(buffer, MakeConst(kF32, 1.0), {c}))});
  PrimFunc f(node);
  ExpectFixedPoint(ToString(f));
  EXPECT_TRUE(StructuralEqual(f, ParsePrimFunc(ToString(f))));
}

TEST(Parser, ManyFunctions) {
  const std::string two = std::string(kGemm) + "\n" + Lowered("A[0] = A[1]");
  IRModule m = ParsePrimFuncs(two);
  EXPECT_EQ(m.functions().size(), 2u);
  EXPECT_EQ(PrintPrimFuncs(ParsePrimFuncs(PrintPrimFuncs(m))), PrintPrimFuncs(m));
  EXPECT_THROW(ParsePrimFuncs(std::string(kGemm) + std::string(kGemm)), Error);
}

TEST(Parser, LongChainsOfLets) {
  std::string body = "let x0 = A[0]\n";
  for (int i = 1; i < 5000; ++i) body += fmt::format("  let x{} = x{} + A[{}]\n", i, i - 1, i % 16);
  PrimFunc f = ParsePrimFunc(Lowered("  " + body + "  B[0] = x4999\n"));
  EXPECT_TRUE(StructuralEqual(f, ParsePrimFunc(ToString(f))));
}

// ---- Errors.

std::string ErrorOf(std::string_view text) {
  try {
    ParsePrimFunc(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(ParserErrors, PointIntoTheText) {
  EXPECT_EQ(ErrorOf("primfunc @f(A: f32[4]) outputs(1) lowered {\n  A[0] = A[0] + 1\n}\n"),
            "error[TW1204]: '+' of f32 and i64\n"
            "  at line 2, column 15\n"
            "  note: in the text\n"
            "      A[0] = A[0] + 1\n"
            "                  ^\n"
            "  note: constants carry their type, as in 1f32; those without are i64");
}

TEST(ParserErrors, EachHasItsId) {
  struct Case {
    const char* body;
    const char* id;
    const char* message;
  };
  const Case cases[] = {
      {"A[0] = \x01", "TW1201", "0x01"},
      {"A[0] = 'a", "TW1201", "character '''"},
      {"evaluate barrier(\"x)", "TW1201", "closing quote"},
      {"evaluate barrier(\"\\q\")", "TW1201", "unknown escape"},
      {"A[0] 1f32", "TW1202", "expected '=', found '1f32'"},
      {"A[0] = ", "TW1202", "expected an expression, found '}'"},
      {"A[0] = 1.5", "TW1202", "not an integer"},
      {"A[0] = 1q32", "TW1202", "not the type of a constant"},
      {"A[0] = 1f32 2f32", "TW1202", "expected a statement or '}', found '2f32'"},
      {"for i in 0..+ { A[i] = 0f32 }", "TW1202", "expected an expression"},
      {"for i in n..9 { A[i] = 0f32 }", "TW1202", "expected constants"},
      {"A[0] = A", "TW1202", "is a buffer"},
      {"A[0] = x", "TW1203", "'x' is not a variable"},
      {"A[0] = X[0]", "TW1203", "'X' is not a buffer"},
      {"A[0] = foo(1)", "TW1203", "'foo' is not a function"},
      {"for i in 0..4 { A[i] = 0f32 } A[i] = 0f32", "TW1203", "'i' is not a variable"},
      {"A[0, 1] = 0f32", "TW1204", "1 dimensions, indexed by 2"},
      {"A[0f32] = 0f32", "TW1204", "index of type f32"},
      {"A[0] = 0i32", "TW1204", "store of i32 where f32"},
      {"A[ramp(0, 1, 4)] = 0f32", "TW1204", "store of f32 where f32x4"},
      {"A[0] = A[ramp(0, 1, 4) where true]", "TW1204", "predicate of type bool for 4 lanes"},
      {"A[0] = exp(1)", "TW1204", "exp takes floats"},
      {"A[0] = exp(1f32, 2f32)", "TW1204", "exp takes 1 arguments, got 2"},
      {"A[0] = exp.f64(1f32)", "TW1204", "exp of f32 gives f32, not f64"},
      {"A[0] = pow(1f32, 1f64)", "TW1204", "pow of f32 and f64"},
      {"A[0] = select(1, 0f32, 0f32)", "TW1204", "choice by i64"},
      {"A[0] = if_then_else(broadcast(true, 4), A[0], A[0])", "TW1204", "choice by boolx4"},
      {"A[0] = f32(1 / 2)", "TW1204", "'/' is for floats"},
      {"A[0] = 1f32 // 2f32", "TW1204", "'//' is for integers"},
      {"A[0] = reinterpret.f64(1f32)", "TW1204", "widths differ"},
      {"A[0] = shuffle([A[ramp(0, 1, 2)]], [0, 2])", "TW1204", "picks lane 2 of 2"},
      {"A[0] = broadcast(1f32, 0)", "TW1204", "broadcast to 0 lanes"},
      {"A[0] = broadcast(1f32, n)", "TW1204", "not a constant"},
      {"if n { A[0] = 0f32 }", "TW1204", "condition is of type i64"},
      {"A[0] = !1", "TW1204", "'!' of i64"},
      {"A[0] = -true", "TW1204", "'-' of bool"},
      {"A[0] = dot_u8s8_i32(1f32, 1f32, 1f32)", "TW1204", "dot_u8s8_i32 takes i32xN, u8x4N and i8x4N"},
      {"A[9223372036854775808] = 0f32", "TW1205", "not a value of i64"},
      {"A[0] = f32(128i8)", "TW1205", "128 is not a value of i8"},
      {"A[0] = f32(-1u8)", "TW1205", "-1 is not a value of u8"},
      {"A[0] = 1e39f32", "TW1205", "not a value of f32"},
      {"for n in 0..4 { A[n] = 0f32 }", "TW1207", "'n' is declared already"},
      {"let A = 3 A[0] = 0f32", "TW1207", "'A' is declared already"},
      {"let x = 3", "TW1208", "nothing follows"},
      {"for i in 0..4 { }", "TW1208", "expected a statement"},
      {"allocate T: f32[4] separators [1]", "TW1205", "separators"},
      {"allocate T: f32[4] align 3", "TW1205", "power of two"},
      {"allocate T: str[4]", "TW1204", "buffer of strings"},
      {"block \"b\" (v: spatial 0..4 = 1i32) { A[v] = 0f32 }", "TW1204",
       "binding is of type i32, expected i64"},
      {"block \"b\" { reads A[0, 1] A[0] = 0f32 }", "TW1204", "1 dimensions, the region has 2"},
      {"for i in 0..4 annotations {a = 1, a = 2} { A[i] = 0f32 }", "TW1207", "given twice"},
      {"for i in 0..4 annotations {a = [1, \"x\"]} { A[i] = 0f32 }", "TW1204", "different types"},
  };
  for (const Case& c : cases) {
    const std::string error = ErrorOf(Lowered(c.body));
    EXPECT_THAT(error, HasSubstr(std::string("error[") + c.id + "]")) << c.body;
    EXPECT_THAT(error, HasSubstr(c.message)) << c.body;
    EXPECT_THAT(error, HasSubstr("at line 2, column ")) << c.body;
  }
}

std::string Repeat(std::string_view text, int count) {
  std::string out;
  for (int i = 0; i < count; ++i) out += text;
  return out;
}

TEST(ParserErrors, HostileNestingIsRefused) {
  const int many = 20000;
  EXPECT_THAT(ErrorOf(Lowered("A[0] = " + Repeat("(", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("A[0] = " + Repeat("-", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("A[0] = f32(" + Repeat("!", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("A[0] = A[0]" + Repeat(" + A[0]", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("A[0] = " + Repeat("exp(", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("A[" + Repeat("I[", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered(Repeat("if n < 1 {", many))), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("if n < 1 { A[0] = 0f32 }" + Repeat("else if n < 1 { A[0] = 0f32 }", many))),
              HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered(Repeat("block \"b\" {", many))), HasSubstr("TW1206"));
  std::string lets;
  for (int i = 0; i < many; ++i) lets += fmt::format("let x{} = 1\n", i);
  EXPECT_THAT(ErrorOf(Lowered(lets + "A[0] = 0f32")), HasSubstr("TW1206"));
  EXPECT_THAT(ErrorOf(Lowered("A[0] = " + Repeat("let x = ", many))), HasSubstr("TW1206"));
}

TEST(ParserErrors, DamagedTextNeverCrashes) {
  std::mt19937 random(3);
  const std::string pieces[] = {"(",
                                ")",
                                "{",
                                "}",
                                "[",
                                "]",
                                ",",
                                "..",
                                "..+",
                                "-",
                                "0",
                                "1f32",
                                "for",
                                "block",
                                "let",
                                "in",
                                "A",
                                "vi",
                                "ramp",
                                "where",
                                "\"",
                                "=",
                                "carry",
                                "->",
                                "f32",
                                ".",
                                "init",
                                "999999999999999999999",
                                "broadcast(",
                                "true",
                                "separators [",
                                "#",
                                "init {",
                                "@",
                                "<",
                                "expr(",
                                "nan",
                                "inf"};
  int parsed = 0;
  for (std::string_view text : {kGemm, kLowered}) {
    for (int i = 0; i < 3000; ++i) {
      std::string damaged(text);
      for (int edits = 1 + int(random() % 3); edits > 0; --edits) {
        const size_t at = random() % damaged.size();
        switch (random() % 3) {
          case 0:
            damaged.erase(at, 1 + random() % 12);
            break;
          case 1:
            damaged.insert(at, pieces[random() % std::size(pieces)]);
            break;
          default:
            damaged[at] = char(random() % 256);
        }
        if (damaged.empty()) damaged = " ";
      }
      try {
        PrimFunc f = ParsePrimFunc(damaged);
        ++parsed;
        EXPECT_EQ(ToString(ParsePrimFunc(ToString(f))), ToString(f)) << damaged;
      } catch (const Error&) {
      }
    }
  }
  EXPECT_GT(parsed, 20);
}

// ---- Comparison.

TEST(Compare, NamesDoNotCountAndAllElseDoes) {
  const std::string text(kGemm);
  PrimFunc f = ParsePrimFunc(text);
  auto changed = [&](std::string_view from, std::string_view to) {
    std::string other = text;
    for (size_t at = 0; (at = other.find(from, at)) != std::string::npos; at += to.size()) {
      other.replace(at, from.size(), to);
    }
    EXPECT_NE(other, text);
    return ParsePrimFunc(other);
  };
  for (auto [from, to] :
       {std::pair("vk", "q"), {"@gemm", "@other"}, {"\"C\"", "\"block\""}, {"A", "Input"}}) {
    EXPECT_TRUE(StructuralEqual(f, changed(from, to))) << from;
    EXPECT_EQ(StructuralHash(f), StructuralHash(changed(from, to))) << from;
  }
  for (auto [from, to] : {std::pair("parallel", "serial"),
                          {"outputs(1)", "outputs(2)"},
                          {"grain = 4", "grain = 5"},
                          {"0f32", "-0f32"},
                          {"align 128", "align 64"},
                          {"offset 16", ""},
                          {"separators [1]", ""},
                          {"A[vi, vk] * B", "A[vi, vk] - B"},
                          {"reduce", "opaque"},
                          {"i < 100", "i < 101"},
                          {"vj..+4", "vj..+5"},
                          {"A: f32[128", "A: f32[129"},
                          {"\"register\"", "\"shared\""}}) {
    EXPECT_FALSE(StructuralEqual(f, changed(from, to))) << from;
    EXPECT_NE(StructuralHash(f), StructuralHash(changed(from, to))) << from;
  }
}

TEST(Compare, WhichVariableIsUsedCounts) {
  auto nest = [](std::string_view store) {
    return ParsePrimFunc(Lowered("for i in 0..4 { for j in 0..4 { " + std::string(store) + " } }"));
  };
  EXPECT_TRUE(StructuralEqual(nest("A[i] = B[j]"), nest("A[i] = B[j]")));
  EXPECT_FALSE(StructuralEqual(nest("A[i] = B[j]"), nest("A[j] = B[i]")));
  EXPECT_FALSE(StructuralEqual(nest("A[i] = B[j]"), nest("B[i] = A[j]")));
}

}  // namespace
}  // namespace tilewright
