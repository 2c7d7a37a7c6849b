// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/verify.h"

#include <gmock/gmock.h>

#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/parser.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

std::string Findings(const PrimFunc& f) {
  std::string text;
  const auto list = f->stage == TirStage::kScheduled ? VerifyScheduled(f) : VerifyLowered(f);
  for (const Diagnostic& d : list) text += d.id + ": " + d.message + "\n";
  return text;
}

std::string Scheduled(std::string_view body) {
  return Findings(
      ParsePrimFunc(fmt::format("primfunc @f<n in [1, 64] by 8>(A: f32[16, 16], S: f32[n], C: f32[16, 16]) "
                                "outputs(1) scheduled {{ block "
                                "\"root\" {{ alloc T: f32[16, 16] {} }} }}",
                                body)));
}

std::string Lowered(std::string_view body) {
  return Findings(
      ParsePrimFunc(fmt::format("primfunc @f<n>(A: f32[16], C: f32[16]) outputs(1) lowered {{ {} }}", body)));
}

constexpr const char* kGood = R"(
  for i in 0..16 parallel { for j0 in 0..3 { for j1 in 0..6 vectorized {
    block "T" (vi: spatial 0..16 = i, vj: spatial 0..16 = j0 * 6 + j1) where j0 * 6 + j1 < 16 {
      reads A[vj, vi]
      writes T[vi, vj]
      T[vi, vj] = A[vj, vi]
    } } } }
  for i in 0..16 parallel { for j in 0..16 { for k in 0..16 {
    block "C" (vi: spatial 0..16 = i, vj: spatial 0..16 = j, vk: reduce 0..16 = k) {
      reads A[vi, vk], T[vk, 0..16]
      writes C[vi, vj]
      init { C[vi, vj] = 0f32 }
      C[vi, vj] = C[vi, vj] + if_then_else(0 < vk, A[vi, vk - 1 + 1], 0f32) * T[vk, vj]
    } } } }
  for i in 0..n {
    block "S" (v: spatial 0..n = i) { reads S[v] if v < 16 { block "inner" { reads S[v] writes C[v, 0] C[v, 0] = S[v] } } writes_nothing }
  })";

TEST(VerifyScheduled, AcceptsWhatIsRight) {
  std::string good = kGood;
  // The outer block states what the inner one writes.
  good.replace(good.find("reads S[v] if"), 13, "reads S[v] writes C[0..16, 0] if");
  good.erase(good.find(" writes_nothing"), 15);
  EXPECT_EQ(Scheduled(good), "");
}

TEST(VerifyScheduled, FindsWhatIsWrong) {
  struct Case {
    const char* body;
    const char* finding;
  };
  const Case cases[] = {
      {"C[0, 0] = 0f32 allocate X: f32[1] X[0] = 0f32", "TW1501: an Allocate in a scheduled function"},
      {"for i in 0..4 carry (a = 1 -> b) { yield a }", "TW1501: carried values"},
      {"block \"b\" { writes C[0, 0] C[0, 0] = 0f32 } block \"b\" { writes C[0, 0] C[0, 0] = 0f32 }",
       "TW1501: a second block named \"b\""},
      {"for i in 0..16 { block \"b\" { writes C[i, 0] C[i, 0] = 0f32 } }",
       "TW1502: i is the variable of a loop outside the block"},
      {"for i in 0..16 { block \"b\" (v: spatial 0..16 = i) { C[v, 0] = 0f32 } }",
       "TW1505: block \"b\" stores to C, which is not in its writes"},
      {"for i in 0..16 { block \"b\" (v: spatial 0..16 = i) { writes C[v, 0] C[v, 0] = A[v, 0] } }",
       "TW1505: block \"b\" loads from A, which is not in its reads"},
      {"for i in 0..15 { block \"b\" (v: spatial 0..15 = i) { reads A[v, 0] writes C[v, 0] C[v + 1, 0] = "
       "A[v, 0] } }",
       "TW1505: block \"b\" stores to C[1, 0], which is outside the regions that it states, for v = 0"},
      {"for i in 0..16 { block \"b\" (v: spatial 0..16 = i) { reads A[v, 0..4] writes C[v, 0] for k in 0..5 "
       "{ C[v, 0] = "
       "A[v, k] } } }",
       "TW1505: block \"b\" loads A[15, 4]"},
      {"for i in 0..16 { block \"b\" (v: spatial 0..15 = i) { writes C[v, 0] C[v, 0] = 0f32 } }",
       "TW1506: block \"b\" binds v to 15, outside [0, 15), for i = 15"},
      {"for i in 0..3 { for j in 0..6 { block \"b\" (v: spatial 0..16 = i * 6 + j) { writes C[v, 0] C[v, 0] "
       "= 0f32 } } }",
       "TW1506: block \"b\" binds v to 17"},
      {"for i in 0..16 { block \"b\" (v: reduce 0..16 = i) { reads A[v, 0] writes C[0, 0] C[0, 0] = A[v, 0] "
       "} }",
       "TW1507: block \"b\" has reduce variables and overwrites C"},
      {"for i in 0..16 parallel { block \"b\" (v: reduce 0..16 = i) { reads A[v, 0] writes C[0, 0] C[0, 0] = "
       "C[0, 0] + "
       "A[v, 0] } }",
       "TW1507: loop i is parallel and binds v, which block \"b\" declares reduce"},
      {"for i in 0..16 vectorized { block \"b\" (v: opaque 0..16 = i) { writes C[v, 0] C[v, 0] = 0f32 } }",
       "TW1507: loop i is vectorized and binds v, which block \"b\" declares opaque"},
      {"for i in 0..n unrolled { block \"b\" (v: spatial 0..n = i) { writes C[0, 0] C[0, 0] = 0f32 } }",
       "TW1508: loop i is unrolled but its extent is not a constant"},
      {"for i in 0..16 thread \"\" { C[i, 0] = 0f32 }", "TW1508"},
  };
  for (const Case& c : cases) EXPECT_THAT(Scheduled(c.body), HasSubstr(c.finding)) << c.body;
  EXPECT_THAT(Findings(ParsePrimFunc("primfunc @f(C: f32[4]) outputs(1) scheduled { C[0] = 0f32 }")),
              HasSubstr("TW1501: the body is not a block \"root\""));
}

TEST(VerifyLowered, AcceptsWhatIsRight) {
  EXPECT_EQ(Lowered(R"(
    allocate T: f32[16]
    for p in 0..4 parallel {
      let base = p * 4
      for k in 0..n carry (acc = broadcast(0f32, 4) -> sum) {
        let v = A[ramp(base, 1, 4)]
        for i in 0..2 { T[i] = 0f32 }
        yield acc + v
      }
      C[ramp(base, 1, 4)] = sum
    }
    for i in 0..16 { if i < 4 { C[i] = C[i] + T[i] } })"),
            "");
}

TEST(VerifyLowered, FindsWhatIsWrong) {
  struct Case {
    const char* body;
    const char* finding;
  };
  const Case cases[] = {
      {"block \"b\" { C[0] = 0f32 }", "TW1501: block \"b\" in a lowered function"},
      {"for i in 0..4 vectorized { C[i] = 0f32 }", "TW1501: loop i is vectorized, which no loop"},
      {"for i in 0..4 parallel { for j in 0..4 parallel { C[i * 4 + j] = 0f32 } }",
       "TW1501: a parallel loop within"},
      {"allocate T: f32[4, 4] T[0, 0] = 0f32 C[0] = 0f32", "TW1504: T has 2 dimensions"},
      {"allocate T: f32[4] scope \"register\" T[0] = 0f32", "TW1504: T is of scope \"register\""},
      {"for k in 0..4 carry (a = 0f32 -> s) { C[k] = a }", "TW1509: the body of a loop with carried values"},
      {"for k in 0..4 carry (a = 0f32 -> s) { if k < 2 { yield a } else { yield a } }", "TW1509"},
      {"for k in 0..4 carry (a = 0f32 -> s, b = 0f32 -> t) { yield a }", "TW1509"},
      {"for k in 0..4 parallel carry (a = 0f32 -> s) { yield a }",
       "TW1509: loop k carries values and is parallel"},
      {"for k in 0..4 { yield 1 }", "TW1509: a Yield that is not the end"},
      {"for k in 0..4 carry (a = 0f32 -> s) { yield k }", "TW1503: a carries f32, its Yield has i64"},
  };
  for (const Case& c : cases) EXPECT_THAT(Lowered(c.body), HasSubstr(c.finding)) << c.body;
}

/// What the parser refuses can still be built.
PrimFunc Build(Stmt body, std::vector<Buffer> buffers = {}) {
  PrimFuncNode f;
  f.name = "f";
  f.stage = TirStage::kLowered;
  f.buffers = std::move(buffers);
  f.num_outputs = int(f.buffers.size());
  f.body = std::move(body);
  return PrimFunc(f);
}

TEST(VerifyLowered, NamesAndTypesOfBuiltIr) {
  Buffer a("A", kF32, {4});
  Var i("i"), j("j", kI32);
  Expr one = MakeConst(kF32, 1.0);
  EXPECT_THAT(Findings(Build(MakeStore(a, one, {0}))), HasSubstr("TW1504: A is neither a parameter"));
  EXPECT_THAT(Findings(Build(MakeStore(a, one, {i}), {a})), HasSubstr("TW1502: i is not bound here"));
  Stmt loop = MakeFor(i, 0, 4, ForKind::kSerial, MakeStore(a, one, {i}));
  EXPECT_EQ(Findings(Build(MakeSeq({loop, loop}), {a})), "");
  EXPECT_THAT(Findings(Build(MakeSeq({loop, MakeStore(a, one, {i})}), {a})),
              HasSubstr("TW1502: i is not bound"));
  EXPECT_THAT(Findings(Build(MakeFor(i, 0, 4, ForKind::kSerial, loop), {a})),
              HasSubstr("TW1502: i is declared twice"));
  EXPECT_THAT(Findings(Build(MakeFor(j, 0, 4, ForKind::kSerial, MakeStore(a, one, {0})), {a})),
              HasSubstr("TW1503: the range of a loop is of type i64, expected i32"));
  EXPECT_THAT(
      Findings(Build(MakeStore(a, MakeCast(kF32, MakeCall(kF64, Intrinsic::k_exp, {one})), {0}), {a})),
      HasSubstr("TW1503"));
  EXPECT_THAT(Findings(Build(nullptr)), HasSubstr("TW1501: a function without a body"));
}

// The example of docs/ir.md.
TEST(Documentation, BothStagesOfTheExampleAreRight) {
  PrimFunc scheduled = ParsePrimFunc(R"(primfunc @double(A: f32[64], C: f32[64]) outputs(1) scheduled {
  block "root" {
    for i in 0..4 parallel {
      for j in 0..16 vectorized {
        block "C" (v: spatial 0..64 = i * 16 + j) {
          reads A[v]
          writes C[v]
          C[v] = A[v] * 2f32
        }
      }
    }
  }
}
)");
  PrimFunc lowered = ParsePrimFunc(R"(primfunc @double(A: f32[64], C: f32[64]) outputs(1) lowered {
  for i in 0..4 parallel {
    C[ramp(i * 16, 1, 16)] = A[ramp(i * 16, 1, 16)] * broadcast(2f32, 16)
  }
}
)");
  std::vector<float> input(64);
  for (int i = 0; i < 64; ++i) input[size_t(i)] = float(i);
  NDArray a = NDArray::FromVector(kF32, {64}, input);
  std::vector<NDArray> outputs;
  for (const PrimFunc& f : {scheduled, lowered}) {
    EXPECT_EQ(Findings(f), "");
    NDArray arrays[] = {a, NDArray::Zeros(kF32, {64})};
    Interpret(f, arrays);
    EXPECT_EQ(arrays[1].AsDouble(63), 126);
    outputs.push_back(arrays[1]);
  }
  EXPECT_TRUE(outputs[0] == outputs[1]);
}

TEST(CheckPrimFunc, ShowsTheFunctionWithMarks) {
  PrimFunc f =
      ParsePrimFunc("primfunc @f(C: f32[4]) outputs(1) lowered { for i in 0..4 unrolled { C[i] = 0f32 } }");
  try {
    CheckPrimFunc(f);
    FAIL();
  } catch (const Error& e) {
    EXPECT_STREQ(e.what(), R"(error[TW1501]: loop i is unrolled, which no loop of the lowered stage is
  at function @f: for i in 0..4 unrolled {
  note: in the function
primfunc @f(C: f32[4]) outputs(1) lowered {
  for i in 0..4 unrolled {
  ^^^^^^^^^^^^^^^^^^^^^^ loop i is unrolled, which no loop of the lowered stage is
    C[i] = 0f32
  }
}
)");
  }
  CheckPrimFunc(ParsePrimFunc("primfunc @f(C: f32[4]) outputs(1) lowered { C[0] = 0f32 }"));
}

}  // namespace
}  // namespace tilewright
