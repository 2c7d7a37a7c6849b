// SPDX-License-Identifier: Apache-2.0
// The passes over loops bound to threads, on small functions: what they refuse, and what they leave alone.
// Whole kernels are in schedule/gpu_test.cc and schedule/accelerator_test.cc.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/lower/bind_threads.h"
#include "tilewright/tir/lower/insert_barriers.h"
#include "tilewright/tir/lower/insert_tokens.h"
#include "tilewright/tir/lower/interleave_threads.h"
#include "tilewright/tir/parser.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

PrimFunc Function(const std::string& body) {
  return ParsePrimFunc("primfunc @f(A: f32[8], B: f32[8]) outputs(1) lowered {\n" + body + "\n}");
}

Target Gpu() { return Target::Parse("model-gpu"); }
Target Accelerator() { return Target::Parse("model-accelerator"); }

std::string ErrorOf(const std::function<void()>& call) {
  try {
    call();
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

size_t Count(const std::string& text, const std::string& part) {
  size_t count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

void RunAsIs(const PrimFunc& f) {
  std::vector<NDArray> arrays = {NDArray::Zeros(kF32, {8}), NDArray::Zeros(kF32, {8})};
  Interpret(f, arrays);
}

TEST(BindThreads, SharedWorkIsDoneOnce) {
  const PrimFunc f = Function(R"(
  for t in 0..8 thread "threadIdx.x" {
    for k in 0..2 {
      allocate S: f32[8] scope "shared"
      for u in 0..4 thread "threadIdx.x" { S[u] = A[u + k] }
      B[t] = S[t % 4]
    }
  })");
  const PrimFunc bound = BindThreads(f, Gpu());
  const std::string text = ToString(bound);
  EXPECT_THAT(text, HasSubstr("S[t] = A[t + k]"));
  EXPECT_THAT(text, HasSubstr("if t < 4"));
  EXPECT_LT(text.find("allocate S"), text.find("for t"));
  EXPECT_EQ(Count(ToString(InsertBarriers(bound, Gpu())), "barrier"), 2u);
  RunAsIs(InsertBarriers(bound, Gpu()));
}

TEST(BindThreads, Refuses) {
  auto error = [](const std::string& body) { return ErrorOf([&] { BindThreads(Function(body), Gpu()); }); };
  EXPECT_THAT(error(R"(
  for t in 0..8 thread "threadIdx.x" {
    allocate S: f32[8] scope "shared"
    for u in 0..8 thread "threadIdx.x" { S[u] = A[t] }
    B[t] = S[t]
  })"),
              HasSubstr("TW1306"));
  EXPECT_THAT(error(R"(
  for t in 0..8 thread "threadIdx.x" {
    allocate S: f32[8] scope "shared"
    if t < 4 { for u in 0..8 thread "threadIdx.x" { S[u] = A[u] } }
    B[t] = S[t]
  })"),
              HasSubstr("not all of them come there"));
  EXPECT_THAT(error(R"(for t in 0..8 thread "threadIdx.x" {
    for u in 0..8 thread "threadIdx.x" { B[u] = A[u] }
  })"),
              HasSubstr("TW1306"));
  EXPECT_THAT(error(R"(for t in 0..4 thread "threadIdx.x" {
    for b in 0..2 thread "blockIdx.x" { B[b * 4 + t] = A[t] }
  })"),
              HasSubstr("TW1305"));
  EXPECT_THAT(error(R"(for b in 0..2 thread "blockIdx.x" {
    for k in 0..1 { for t in 0..4 thread "threadIdx.x" { B[b * 4 + t] = A[t] } }
  })"),
              HasSubstr("TW1305"));
  EXPECT_THAT(error(R"(for t in 0..2048 thread "threadIdx.x" { if t < 8 { B[t] = A[t] } })"),
              HasSubstr("2048 threads in threadIdx"));
}

TEST(InsertBarriers, OnlyWhereThreadsExchangeValues) {
  const std::string own = ToString(InsertBarriers(Function(R"(
  allocate S: f32[8, 4] scope "shared"
  for t in 0..8 thread "threadIdx.x" {
    for k in 0..4 { S[t, k] = A[k] }
    B[t] = A[t]
  })"),
                                                  Gpu()));
  EXPECT_EQ(Count(own, "barrier"), 0u) << own;
}

TEST(InsertBarriers, RefusesWhereNotAllThreadsCome) {
  const PrimFunc f = Function(R"(
  allocate S: f32[8] scope "shared"
  for t in 0..8 thread "threadIdx.x" {
    if t < 4 {
      S[t] = A[t]
      B[t] = S[3 - t]
    }
  })");
  EXPECT_THAT(ErrorOf([&] { InsertBarriers(f, Gpu()); }), HasSubstr("TW1309"));
}

TEST(InterleaveThreads, EachHasItsOwnMemory) {
  const std::string text = ToString(InterleaveThreads(Function(R"(
  for v in 0..2 thread "vthread" {
    allocate S: f32[4]
    for k in 0..4 {
      S[k] = A[v * 4 + k]
      B[v * 4 + k] = S[k]
    }
  })")));
  EXPECT_EQ(Count(text, "for k"), 1u) << text;
  EXPECT_LT(text.find("S_1[k] ="), text.find("B[")) << text;
  const PrimFunc open = ParsePrimFunc(R"(
primfunc @f<n in [1, 8]>(A: f32[n], B: f32[n]) outputs(1) lowered {
  for v in 0..n thread "vthread" { B[v] = A[v] }
})");
  EXPECT_THAT(ErrorOf([&] { InterleaveThreads(open); }), HasSubstr("TW1310"));
}

TEST(InsertTokens, RefusesWhatNoUnitRuns) {
  auto error = [](const std::string& body) {
    return ErrorOf([&] { InsertTokens(Function(body), Accelerator()); });
  };
  EXPECT_THAT(error(R"(for c in 0..1 thread "core" { for i in 0..8 { B[i] = A[i] } })"), HasSubstr("TW1311"));
  EXPECT_THAT(error(R"(for c in 0..1 thread "core" {
    for i in 0..8 annotations {unit = "divide"} { B[i] = A[i] }
  })"),
              HasSubstr("unit divide"));
}

TEST(Units, WaitForEverOrTouchMemoryThemselves) {
  const char* copy = R"(for i in 0..8 annotations {unit = "load"} { B[i] = A[i] })";
  auto error = [&](const std::string& first) {
    return ErrorOf([&] { RunAsIs(Function("for c in 0..1 thread \"core\" {" + first + copy + "}")); });
  };
  EXPECT_EQ(error(""), "no error");
  EXPECT_THAT(error(R"(evaluate extern_call("token_pop", "store", "load") )"),
              HasSubstr("unit load waits for a token of unit store"));
  EXPECT_THAT(error(R"(evaluate extern_call("token_push", "store", "load") )"),
              HasSubstr("are left at the end"));
  EXPECT_THAT(error("B[0] = 1f32 "), HasSubstr("TW1605"));
}

}  // namespace
}  // namespace tilewright
