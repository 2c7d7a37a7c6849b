// SPDX-License-Identifier: Apache-2.0
// Products of bytes and of bf16 on targets with a dot product of them, or a matrix unit.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"

namespace tilewright {
namespace {

using testing::HasSubstr;
using testing::Not;

/// C = A B, A unsigned and B signed unless said otherwise, as the operator's lowering states it.
PrimFunc ByteProduct(int64_t m, int64_t n, int64_t k, DataType left = kU8) {
  te::Tensor a = te::Placeholder("A", left, {m, k}), b = te::Placeholder("B", kI8, {k, n});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c =
      te::Compute("C", {m, n},
                  [&](auto& i) {
                    return te::Sum(MakeCast(kI32, a({i[0], r.var})) * MakeCast(kI32, b({r.var, i[1]})), {r});
                  },
                  {{"rule", std::string("matmul")}});
  te::Tensor d = te::Compute("D", {m, n}, [&](auto& i) { return c(i) + MakeConst(kI32, 7); });
  return te::CreatePrimFunc("bytes", {a, b}, {d});
}

Target Machine(int vector_bytes, bool dot) {
  Target t = Target::Parse("x86-64-v4,cores=2");
  t.vector_bytes = vector_bytes;
  t.has_dot_u8s8 = dot;
  return t;
}

std::string Scheduled(const PrimFunc& f, const Target& target, bool constant = true) {
  Schedule s(f);
  ApplyRules(s, {target, {false, constant, false}});
  ExpectSameResult(f, s);
  return ToString(s.func());
}

TEST(DotProduct, TakesProductsOfBytes) {
  for (auto [m, n, k] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{{8, 32, 16},
                                                                           {7, 48, 12},
                                                                           {1, 16, 4},
                                                                           {5, 33, 8},
                                                                           {13, 24, 20},
                                                                           {3, 10, 8},
                                                                           {2, 4, 4},
                                                                           {29, 100, 40}}) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
    EXPECT_THAT(Scheduled(ByteProduct(m, n, k), Machine(64, true)), HasSubstr("dot_u8s8_i32("));
    EXPECT_THAT(Scheduled(ByteProduct(m, n, k), Machine(32, true)), HasSubstr("dot_u8s8_i32("));
  }
}

TEST(DotProduct, PanelsAreFetchedAhead) {
  Target small = Machine(64, true);
  small.caches = {{2048, 64, 1}, {4096, 64, 1}};
  const std::string text = Scheduled(ByteProduct(40, 128, 64), small);
  EXPECT_THAT(text, HasSubstr("prefetch.i32("));
  EXPECT_THAT(text, HasSubstr("dot_u8s8_i32("));
}

TEST(DotProduct, IsLeftAloneWhereItDoesNotFit) {
  const Target with = Machine(64, true);
  const auto no_dot = Not(HasSubstr("dot_u8s8"));
  EXPECT_THAT(Scheduled(ByteProduct(8, 32, 16), Machine(64, false)), no_dot);
  EXPECT_THAT(Scheduled(ByteProduct(8, 32, 18), with), no_dot);         // no whole groups
  EXPECT_THAT(Scheduled(ByteProduct(8, 32, 16, kI8), with), no_dot);    // signed by signed
  EXPECT_THAT(Scheduled(ByteProduct(8, 32, 16), with, false), no_dot);  // nothing to lay out in groups
  EXPECT_THAT(Scheduled(ByteProduct(8, 3, 16), with), no_dot);          // fewer columns than lanes
}

/// C = A B of bf16 with sums in f32, as MatMul with `wide` states it.
PrimFunc ReducedProduct(int64_t m, int64_t n, int64_t k, bool transposed = false) {
  te::Tensor a = te::Placeholder("A", kBF16, {m, k});
  te::Tensor b = te::Placeholder("B", kBF16, transposed ? std::vector<Expr>{n, k} : std::vector<Expr>{k, n});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c = te::Compute("C", {m, n},
                             [&](auto& i) {
                               Expr weight = transposed ? b({i[1], r.var}) : b({r.var, i[1]});
                               return te::Sum(MakeCast(kF32, a({i[0], r.var})) * MakeCast(kF32, weight), {r});
                             },
                             {{"rule", std::string("matmul")}});
  te::Tensor d = te::Compute("D", {m, n}, [&](auto& i) { return Max(c(i), MakeConst(kF32, 0)); });
  return te::CreatePrimFunc("reduced", {a, b}, {d});
}

const char* kDots = "x86-64-v4,cores=2,features=+avx512bf16";
const char* kTiles = "x86-64-v4,cores=2,features=+avx512bf16,+amx-tile,+amx-bf16";

TEST(DotProduct, TakesProductsOfBFloat16) {
  for (auto [m, n, k] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{
           {8, 32, 16}, {7, 48, 12}, {1, 16, 4}, {5, 33, 8}, {13, 24, 20}, {2, 4, 2}}) {
    SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
    EXPECT_THAT(Scheduled(ReducedProduct(m, n, k), Target::Parse(kDots)), HasSubstr("dot_bf16_f32("));
  }
  const auto no_dot = Not(HasSubstr("dot_bf16"));
  EXPECT_THAT(Scheduled(ReducedProduct(8, 32, 15), Target::Parse(kDots)), no_dot);
  EXPECT_THAT(Scheduled(ReducedProduct(8, 32, 16), Target::Parse(kDots), false), no_dot);
}

TEST(DotProduct, MatrixUnitTakesProductsOfBFloat16) {
  for (auto [m, n, k] : std::vector<std::tuple<int64_t, int64_t, int64_t>>{{16, 16, 32},
                                                                           {64, 64, 64},
                                                                           {32, 96, 48},
                                                                           {1, 64, 64},
                                                                           {7, 48, 20},
                                                                           {48, 33, 8},
                                                                           {14, 10, 2},
                                                                           {40, 80, 6}}) {
    for (bool transposed : {false, true}) {
      SCOPED_TRACE(fmt::format("{} x {} x {}", m, n, k));
      const std::string text = Scheduled(ReducedProduct(m, n, k, transposed), Target::Parse(kTiles));
      EXPECT_THAT(text, HasSubstr("instruction = \"tile\""));
      EXPECT_THAT(text, HasSubstr("scope \"tile\""));
    }
  }
  const auto none = Not(HasSubstr("\"tile\""));
  EXPECT_THAT(Scheduled(ReducedProduct(16, 16, 15), Target::Parse(kTiles)), none);
  EXPECT_THAT(Scheduled(ReducedProduct(16, 16, 32), Target::Parse(kTiles), false), none);
  EXPECT_THAT(Scheduled(ReducedProduct(16, 16, 32), Target::Parse(kDots)), none);
}

}  // namespace
}  // namespace tilewright
