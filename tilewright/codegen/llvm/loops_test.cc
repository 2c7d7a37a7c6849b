// SPDX-License-Identifier: Apache-2.0
// Loops, chunks, branches, lets, allocations and carried values.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <numeric>

#include "tilewright/codegen/llvm/test_kernels.h"

namespace tilewright {
namespace {

using namespace testing_kernels;
using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::HasSubstr;

TEST(Loops, MatrixProductOverChunks) {
  const int m = 5, n = 7, k = 3;
  Var i("i"), j("j"), p("p");
  Buffer a = FlatUnaligned("A", kF32, m * k), b = FlatUnaligned("B", kF32, k * n),
         c = FlatUnaligned("C", kF32, m * n);
  Stmt body = Serial(
      j, n,
      MakeSeq({MakeStore(c, MakeConst(kF32, 0.0), {i * n + j}),
               Serial(p, k, MakeStore(c, c({i * n + j}) + a({i * k + p}) * b({p * n + j}), {i * n + j}))}));
  Compiled kernel(Kernel("gemm", {a, b, c}, MakeFor(i, 0, m, ForKind::kParallel, body)));
  std::vector<float> x(m * k), y(k * n), z(m * n, -1);
  std::iota(x.begin(), x.end(), 1.f), std::iota(y.begin(), y.end(), -8.f);
  kernel({x.data(), y.data(), z.data()}, {}, 1, 4);
  for (int r = 0; r < m; ++r) {
    for (int s = 0; s < n; ++s) {
      float want = 0;
      for (int q = 0; q < k; ++q) want += x[r * k + q] * y[q * n + s];
      EXPECT_EQ(z[r * n + s], r >= 1 && r < 4 ? want : -1) << r << "," << s;
    }
  }
}

TEST(Loops, ChunksOfALoopThatStartsElsewhere) {
  Var i("i");
  Buffer out = FlatUnaligned("out", kI64, 8);
  PrimFunc f = Kernel("f", {out}, MakeFor(i, 3, 4, ForKind::kParallel, MakeStore(out, i, {i})));
  EXPECT_TRUE(IsInt(NumChunks(f), 4));
  std::vector<int64_t> z(8, -1);
  Compiled{f}({z.data()}, {}, 1, 3);
  EXPECT_THAT(z, ElementsAre(-1, -1, -1, -1, 4, 5, -1, -1));
}

TEST(Loops, WithoutAParallelLoopOnlyChunkZeroRuns) {
  Buffer out = FlatUnaligned("out", kI64, 1);
  PrimFunc f = Kernel("f", {out}, MakeStore(out, out({0}) + Expr(1), {0}));
  EXPECT_TRUE(IsInt(NumChunks(f), 1));
  Compiled kernel(f);
  int64_t z = 0;
  kernel({&z}, {}, 1, 2);
  EXPECT_EQ(z, 0);
  kernel({&z}, {}, 0, 0);
  EXPECT_EQ(z, 0);
  kernel({&z}, {}, 0, 1);
  EXPECT_EQ(z, 1);
}

TEST(Loops, SymbolicExtentsOfZeroOrLessRunNothing) {
  Var n = Var::Symbol("n"), i("i"), acc("acc", kI64), next("next", kI64);
  Buffer out = FlatUnaligned("out", kI64, 1);
  std::vector<CarriedValue> carried{{acc, Expr(100), next}};
  Stmt loop = MakeFor(i, 0, n - Expr(2), ForKind::kSerial, MakeYield({acc + i}), {}, {}, carried);
  Compiled kernel(Kernel("sum", {out}, MakeSeq({loop, MakeStore(out, next, {0})}), {n}));
  int64_t z = 0;
  for (int64_t size : {0, 1, 2, 3, 7}) {
    kernel({&z}, {size});
    int64_t want = 100;
    for (int64_t k = 0; k < size - 2; ++k) want += k;
    EXPECT_EQ(z, want) << size;
  }
}

TEST(Loops, CarriedValuesSwap) {
  // Fibonacci: both next values are taken from the values before.
  Var i("i"), a("a", kI64), b("b", kI64), ra("ra", kI64), rb("rb", kI64);
  Buffer out = FlatUnaligned("out", kI64, 2);
  for (ForKind kind : {ForKind::kSerial, ForKind::kUnrolled}) {
    Stmt loop = MakeFor(i, 0, 10, kind, MakeYield({b, a + b}), {}, {}, {{a, 0, ra}, {b, 1, rb}});
    int64_t z[2] = {};
    Compiled(Kernel("fib", {out}, MakeSeq({loop, MakeStore(out, ra, {0}), MakeStore(out, rb, {1})})))({z});
    EXPECT_EQ(z[0], 55);
    EXPECT_EQ(z[1], 89);
  }
}

TEST(Loops, NestedCarriedLoopsWithLets) {
  Var i("i"), j("j"), a("a", kF32), ra("ra", kF32), b("b", kF32), rb("rb", kF32), t("t", kF32);
  Buffer in = FlatUnaligned("in", kF32, 12), out = FlatUnaligned("out", kF32, 1);
  Stmt inner = MakeFor(j, 0, 4, ForKind::kSerial, MakeLetStmt(t, in({i * 4 + j}), MakeYield({b + t * t})), {},
                       {}, {{b, MakeConst(kF32, 0.0), rb}});
  Stmt outer = MakeFor(i, 0, 3, ForKind::kSerial, MakeSeq({inner, MakeYield({Max(a, rb)})}), {}, {},
                       {{a, MakeConst(kF32, -1.0), ra}});
  std::vector<float> x(12);
  std::iota(x.begin(), x.end(), -6.f);
  float z = 0;
  Compiled(Kernel("f", {in, out}, MakeSeq({outer, MakeStore(out, ra, {0})})))({x.data(), &z});
  EXPECT_EQ(z, 36 + 25 + 16 + 9);
}

TEST(Loops, BranchesAndLoopInvariantAddresses) {
  Var i("i"), j("j"), row("row");
  Buffer in = FlatUnaligned("in", kI32, 64), out = FlatUnaligned("out", kI32, 64);
  // out[i][j] = i odd ? in[7 - i][j / 2] : -in[i][j % 3], with a let between the loops.
  Expr odd = Eq(FloorMod(i, 2), Expr(1));
  Stmt body = MakeIf(odd, MakeStore(out, in({row * 8 + FloorDiv(j, 2)}), {i * 8 + j}),
                     MakeStore(out, MakeConst(kI32, 0) - in({i * 8 + FloorMod(j, 3)}), {i * 8 + j}));
  Stmt loops = Serial(i, 8, MakeLetStmt(row, Expr(7) - i, Serial(j, 8, body)));
  std::vector<int32_t> x(64), z(64), want(64);
  std::iota(x.begin(), x.end(), 1);
  for (int r = 0; r < 8; ++r) {
    for (int s = 0; s < 8; ++s) want[r * 8 + s] = r % 2 ? x[(7 - r) * 8 + s / 2] : -x[r * 8 + s % 3];
  }
  Compiled(Kernel("f", {in, out}, loops))({x.data(), z.data()});
  EXPECT_THAT(z, ElementsAreArray(want));
}

TEST(Loops, GuardedLoadTouchesMemoryOnlyWhereItMay) {
  Var i("i");
  Buffer in = FlatUnaligned("in", kF32, 1), out = FlatUnaligned("out", kF32, 4);
  // The pointer is null: only the guard keeps the kernel from reading.
  Expr guarded = MakeIfThenElse(i < Expr(0), in({i}), MakeConst(kF32, 2.5));
  float z[4] = {};
  Compiled(Kernel("f", {in, out}, Serial(i, 4, MakeStore(out, guarded, {i}))))({nullptr, z});
  EXPECT_THAT(z, ElementsAre(2.5, 2.5, 2.5, 2.5));
}

TEST(Loops, ArraysOnTheStack) {
  Var i("i"), j("j"), k("k");
  Buffer tmp = Flat("tmp", kF32, 16), out = FlatUnaligned("out", kF32, 32);
  Stmt fill = Serial(j, 16, MakeStore(tmp, MakeCast(kF32, i * 16 + j), {j}));
  Stmt drain = Serial(k, 16, MakeStore(out, tmp({Expr(15) - k}), {i * 16 + k}));
  PrimFunc f =
      Kernel("f", {out}, MakeFor(i, 0, 2, ForKind::kParallel, MakeAllocate(tmp, MakeSeq({fill, drain}))));
  std::vector<float> z(32);
  Compiled{f}({z.data()}, {}, 0, 2);
  for (int r = 0; r < 2; ++r) {
    for (int s = 0; s < 16; ++s) EXPECT_EQ(z[r * 16 + s], r * 16 + 15 - s);
  }
}

TEST(Loops, ALetInsideTwoLetsOfOneVariable) {
  // The body node is shared: its value must not be remembered from one binding to the next.
  Var x("x", kI64);
  Expr square = x * x;
  Expr e = MakeLet(x, Expr(3), square) * Expr(100) + MakeLet(x, Expr(5), square);
  Buffer out = FlatUnaligned("out", kI64, 1);
  int64_t z = 0;
  Compiled(Kernel("f", {out}, MakeStore(out, e, {0})))({&z});
  EXPECT_EQ(z, 925);
}

TEST(Loops, KernelsInGroupsAreTheSameWithAnyNumberOfThreads) {
  std::vector<PrimFunc> kernels;
  for (int k = 0; k < 11; ++k) {
    Var i("i");
    Buffer out = FlatUnaligned("out", kI64, 4);
    kernels.push_back(
        Kernel("kernel" + std::to_string(k), {out}, Serial(i, 4, MakeStore(out, i * Expr(k), {i}))));
  }
  CodegenOptions one{.kernels_per_object = 3, .threads = 1}, four{.kernels_per_object = 3, .threads = 4};
  auto a = CompileKernelGroups(kernels, Target::Host(), one),
       b = CompileKernelGroups(kernels, Target::Host(), four);
  ASSERT_EQ(a.size(), 4u);
  ASSERT_EQ(b.size(), 4u);
  for (size_t i = 0; i < a.size(); ++i) EXPECT_EQ(a[i].bytes, b[i].bytes);
  JitModule jit = JitModule::Load(b);
  int64_t z[4];
  void* buffers[] = {z};
  reinterpret_cast<KernelFn>(jit.Find("kernel10"))(buffers, nullptr, 0, 1, nullptr);
  EXPECT_THAT(z, ElementsAre(0, 10, 20, 30));
  EXPECT_EQ(jit.Find("kernel11"), nullptr);
}

TEST(Loops, WhatMayNotArriveIsAnInternalError) {
  Var i("i");
  Buffer out = FlatUnaligned("out", kF32, 16), big = Flat("big", kF32, 1 << 20);
  auto fails = [&](const Stmt& body) {
    try {
      CompileKernels(std::vector{Kernel("f", {out}, body)}, Target::Host());
    } catch (const InternalError& e) {
      return std::string(e.what());
    }
    return std::string("no error");
  };
  Expr x = out({0});
  EXPECT_THAT(fails(MakeStore(out, MakeCall(Intrinsic::k_exp, {x}), {0})), HasSubstr("exp of f32"));
  EXPECT_THAT(fails(MakeFor(i, 0, 16, ForKind::kVectorized, MakeStore(out, x, {i}))),
              HasSubstr("vectorized loop i"));
  EXPECT_THAT(fails(MakeStore(out, x, {i})), HasSubstr("variable i"));
  EXPECT_THAT(fails(MakeAllocate(big, MakeStore(big, x, {0}))), HasSubstr("stack"));
  EXPECT_THAT(fails(MakeStore(big, x, {0})), HasSubstr("big is neither"));
  EXPECT_THAT(fails(MakeEvaluate(MakeCall(kF32, Intrinsic::k_extern_call, {MakeString("puts"), x}))),
              HasSubstr("no routine"));
}

TEST(Loops, UnknownProcessorsAndFeatures) {
  Buffer out = FlatUnaligned("out", kF32, 1);
  PrimFunc f = Kernel("f", {out}, MakeStore(out, MakeConst(kF32, 1.0), {0}));
  auto error = [&](const std::string& target) {
    try {
      CompileKernels(std::vector{f}, Target::Parse(target));
    } catch (const Error& e) {
      return e.id();
    }
    return std::string("none");
  };
  EXPECT_EQ(error("x86-64-v3,cpu=pdp11"), "TW1701");
  EXPECT_EQ(error("x86-64-v3,triple=vax-dec-ultrix"), "TW1701");
  EXPECT_EQ(error("x86-64-v3,features=+avx2,+warp"), "TW1702");
  EXPECT_EQ(error("x86-64-v3"), "none");
}

}  // namespace
}  // namespace tilewright
