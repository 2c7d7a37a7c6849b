// SPDX-License-Identifier: Apache-2.0
// Vector memory access, masks, shuffles, reductions, dot products, and what becomes of them in assembly.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <numeric>

#include "tilewright/codegen/llvm/test_kernels.h"

namespace tilewright {
namespace {

using namespace testing_kernels;
using testing::Each;
using testing::ElementsAreArray;
using testing::HasSubstr;
using testing::Not;

std::vector<float> Iota(int n, float first = 0) {
  std::vector<float> v(n);
  std::iota(v.begin(), v.end(), first);
  return v;
}

TEST(Vectors, KindsOfIndex) {
  const int n = 64;
  Buffer in = FlatUnaligned("in", kF32, n), out = FlatUnaligned("out", kF32, n),
         table = FlatUnaligned("table", kI32, 8);
  Expr ramp = MakeRamp(0, 1, 8), first = MakeRamp(3, 1, 8);
  Expr gathered = in({MakeCast(kI64.WithLanes(8), table({ramp}))});
  Stmt body = MakeSeq({
      MakeStore(out, in({MakeRamp(5, 1, 8)}), {ramp}),
      MakeStore(out, in({MakeRamp(60, -1, 8)}), {MakeRamp(8, 1, 8)}),
      MakeStore(out, in({MakeRamp(2, 7, 8)}), {MakeRamp(16, 1, 8)}),
      MakeStore(out, in({MakeBroadcast(Expr(9), 8)}), {MakeRamp(24, 1, 8)}),
      MakeStore(out, gathered, {MakeRamp(32, 1, 8)}),
      MakeStore(out, in({first * MakeBroadcast(Expr(2), 8) + MakeBroadcast(Expr(1), 8)}),
                {MakeRamp(47, -1, 8)}),
      MakeStore(out, in({ramp}), {MakeRamp(48, 2, 8)}),
      MakeStore(out, in({first}), {MakeCast(kI64.WithLanes(8), table({ramp})) + MakeBroadcast(Expr(0), 8)},
                MakeRamp(0, 1, 8) < MakeBroadcast(Expr(0), 8)),
  });
  std::vector<int32_t> indices{7, 0, 63, 12, 12, 31, 2, 40};
  std::vector<float> x = Iota(n, 100), z(n, -1), want(n, -1);
  for (int i = 0; i < 8; ++i) {
    want[i] = x[5 + i], want[8 + i] = x[60 - i], want[16 + i] = x[2 + 7 * i], want[24 + i] = x[9];
    want[32 + i] = x[indices[i]], want[47 - i] = x[(3 + i) * 2 + 1], want[48 + 2 * i] = x[i];
  }
  for (const char* target : {"host", "x86-64-v2", "x86-64-v3"}) {
    if (Target::Host().triple != Target::Parse(target).triple) continue;
    std::fill(z.begin(), z.end(), -1.f);
    Compiled(Kernel("f", {in, out, table}, body),
             CheckedWherePossible(Target::Parse(target)))({x.data(), z.data(), indices.data()});
    EXPECT_THAT(z, ElementsAreArray(want)) << target;
  }
}

/// Elements whose distances are known are read by whole vectors, from the first of them to the last and no
/// further.
TEST(Vectors, KnownDistances) {
  Var i("i");
  for (int lanes : {3, 4, 8, 15, 16}) {
    for (int c : {2, 3, 5, 12}) {
      const Expr step = i * (lanes * c), line = MakeRamp(step, 1, lanes),
                 each = MakeBroadcast(Expr(c), lanes);
      const Expr quotient = MakeBinary(BinaryOp::kFloorDiv, line, each),
                 rest = MakeBinary(BinaryOp::kFloorMod, MakeRamp(step + 2, 1, lanes), each);
      const std::vector<Expr> indices = {
          MakeRamp(step + 1, c, lanes),
          quotient,
          rest,
          quotient * MakeBroadcast(Expr(2), lanes) + rest,
          each * rest - rest,
          MakeBinary(BinaryOp::kMin, MakeRamp(1, c, lanes), MakeBroadcast(Expr(7), lanes))};
      const int n = 2 * lanes * c + c * lanes + 12 * c;
      Buffer in = FlatUnaligned("in", kF32, n),
             out = FlatUnaligned("out", kF32, int(indices.size()) * 3 * lanes);
      std::vector<Stmt> stores;
      for (size_t k = 0; k < indices.size(); ++k)
        stores.push_back(MakeStore(out, in({indices[k]}), {MakeRamp((i + int(k) * 3) * lanes, 1, lanes)}));
      std::vector<float> x = Iota(n, 1), z(indices.size() * 3 * size_t(lanes)), want;
      for (size_t k = 0; k < indices.size(); ++k) {
        for (int at = 0; at < 3 * lanes; ++at) {
          const int begin = at / lanes * lanes * c, lane = at % lanes;
          const int q = (begin + lane) / c, r = (begin + 2 + lane) % c;
          want.push_back(x[size_t(
              std::array{begin + 1 + lane * c, q, r, 2 * q + r, c * r - r, std::min(1 + lane * c, 7)}[k])]);
        }
      }
      for (const char* target : {"host", "x86-64-v2", "x86-64-v3"}) {
        if (Target::Host().triple != Target::Parse(target).triple) continue;
        std::fill(z.begin(), z.end(), -1.f);
        Compiled(Kernel("f", {in, out}, Serial(i, 3, MakeSeq(stores))),
                 CheckedWherePossible(Target::Parse(target)))({x.data(), z.data()});
        EXPECT_THAT(z, ElementsAreArray(want)) << target << " " << lanes << " " << c;
      }
    }
  }
}

/// Four vectors of a matrix that lies the other way: rows of four are read at once, and each is stored.
TEST(Vectors, FoursOfAMatrixThatLiesTheOtherWay) {
  for (int n : {4, 8, 16}) {
    for (bool let : {false, true}) {
      const int lanes = 4 * n, row = 21, stride = 40, count = 3;
      Var i("i"), rows("rows", DataType::Index().WithLanes(lanes));
      const Expr lane = MakeRamp(0, 1, lanes), each = MakeBroadcast(Expr(n), lanes);
      const Expr across = MakeBinary(BinaryOp::kFloorDiv, lane, each),
                 along = MakeBinary(BinaryOp::kFloorMod, lane, each);
      const Expr begin = along * MakeBroadcast(Expr(row), lanes);
      Buffer in = FlatUnaligned("in", kF32, n * row + 4 * count),
             out = FlatUnaligned("out", kF32, 4 * stride * count);
      Stmt body = MakeStore(
          out, in({MakeBroadcast(i * 4, lanes) + (let ? Expr(rows) : begin) + across}),
          {MakeBroadcast(i * (4 * stride), lanes) + across * MakeBroadcast(Expr(stride), lanes) + along});
      if (let) body = MakeLetStmt(rows, begin, body);
      const std::vector<float> x = Iota(n * row + 4 * count, 1);
      std::vector<float> want(4 * stride * count, -1.f);
      for (int k = 0; k < count; ++k) {
        for (int c = 0; c < 4; ++c) {
          for (int l = 0; l < n; ++l) want[size_t((k * 4 + c) * stride + l)] = x[size_t(k * 4 + l * row + c)];
        }
      }
      for (const char* target : {"host", "x86-64-v2", "x86-64-v3"}) {
        if (Target::Host().triple != Target::Parse(target).triple) continue;
        std::vector<float> z(want.size(), -1.f), from = x;
        Compiled(Kernel("f", {in, out}, Serial(i, count, body)),
                 CheckedWherePossible(Target::Parse(target)))({from.data(), z.data()});
        EXPECT_THAT(z, ElementsAreArray(want)) << target << " " << n;
      }
    }
  }
}

/// Lanes beyond the bound are neither read nor written, whatever the type.
template <class T>
void CheckTail(DataType t) {
  Var i("i"), size = Var::Symbol("size");
  Buffer in = FlatUnaligned("in", t, size), out = FlatUnaligned("out", t, size);
  const Expr index = MakeRamp(i * 16, 1, 16);
  const Expr mask = index < MakeBroadcast(size, 16);
  Stmt store = MakeStore(out, MakeLoad(in, {index}, mask), {index}, mask);
  const Compiled kernel(Kernel("f", {in, out}, Serial(i, 3, store), {size}));
  for (int n = 0; n <= 35; ++n) {
    std::vector<T> x(n), z(n + 16, T(77));
    for (int k = 0; k < n; ++k) x[k] = T(k + 1);
    kernel({x.data(), z.data()}, {n});
    for (int k = 0; k < n; ++k) ASSERT_EQ(z[k], T(k + 1)) << n;
    for (int k = n; k < n + 16; ++k) ASSERT_EQ(z[k], T(77)) << n;
  }
}

TEST(Vectors, MaskedTails) {
  CheckTail<float>(kF32), CheckTail<double>(kF64), CheckTail<int8_t>(kI8), CheckTail<uint16_t>(kU16);
  CheckTail<int64_t>(kI64);
}

TEST(Vectors, MaskedLanesReadZero) {
  Buffer in = FlatUnaligned("in", kF32, 16), out = FlatUnaligned("out", kF32, 16);
  const Expr index = MakeRamp(0, 1, 16);
  Expr odd = Eq(FloorMod(index, MakeBroadcast(Expr(2), 16)), MakeBroadcast(Expr(1), 16));
  Compiled kernel(Kernel("f", {in, out}, MakeStore(out, MakeLoad(in, {index}, odd), {index})));
  std::vector<float> x = Iota(16, 1), z(16, -1);
  kernel({x.data(), z.data()});
  for (int i = 0; i < 16; ++i) EXPECT_EQ(z[i], i % 2 ? i + 1 : 0);
}

TEST(Vectors, BoolsAreBytes) {
  Buffer a = FlatUnaligned("a", kF32, 16), m = FlatUnaligned("m", kBool, 16),
         out = FlatUnaligned("out", kF32, 16);
  const Expr index = MakeRamp(0, 1, 16);
  Stmt body = MakeSeq({MakeStore(m, a({index}) < MakeConst(kF32.WithLanes(16), 8.0), {index}),
                       MakeStore(out, MakeSelect(m({index}), a({index}), -a({index})), {index})});
  std::vector<float> x = Iota(16), z(16);
  std::vector<uint8_t> bytes(16, 9);
  Compiled(Kernel("f", {a, m, out}, body))({x.data(), bytes.data(), z.data()});
  for (int i = 0; i < 16; ++i) {
    EXPECT_EQ(bytes[i], i < 8);
    EXPECT_EQ(z[i], i < 8 ? i : -i);
  }
}

TEST(Vectors, ShufflesAndReductions) {
  Buffer in = FlatUnaligned("in", kF32, 16), out = FlatUnaligned("out", kF32, 16);
  Expr a = in({MakeRamp(0, 1, 4)}), b = in({MakeRamp(4, 1, 4)}), c = in({MakeRamp(8, 1, 4)}),
       all = in({MakeRamp(0, 1, 12)});
  Stmt body = MakeSeq({MakeStore(out, MakeShuffle({a, b, c}, {11, 0, 5, 2, 8, 7}), {MakeRamp(0, 1, 6)}),
                       MakeStore(out, MakeShuffle({a, b}, {6}), {6}),
                       MakeStore(out, MakeShuffle({in({1}), in({3})}, {1, 0}), {MakeRamp(7, 1, 2)}),
                       MakeStore(out, MakeCall(Intrinsic::k_vector_reduce_add, {all}), {9}),
                       MakeStore(out, MakeCall(Intrinsic::k_vector_reduce_max, {all}), {10}),
                       MakeStore(out, MakeCall(Intrinsic::k_vector_reduce_min, {all}), {11})});
  std::vector<float> x{5, -3, 8, 1, 9, 2, 7, 4, -6, 0, 3, 10, 0, 0, 0, 0}, z(16);
  Compiled(Kernel("f", {in, out}, body))({x.data(), z.data()});
  z.resize(12);
  EXPECT_THAT(z, ElementsAreArray<float>({10, 5, 2, 8, -6, 4, 7, 1, -3, 40, 10, -6}));
}

TEST(Vectors, DotProducts) {
  for (const char* target : {"host", "x86-64-v2", "x86-64-v3"}) {
    if (Target::Host().triple != Target::Parse(target).triple) continue;
    for (int lanes : {1, 4, 16, 24}) {
      Buffer acc = FlatUnaligned("acc", kI32, lanes), a = FlatUnaligned("a", kU8, 4 * lanes),
             b = FlatUnaligned("b", kI8, 4 * lanes);
      auto index = [](int n) { return n == 1 ? Expr(0) : MakeRamp(0, 1, n); };
      Expr dot = MakeCall(kI32.WithLanes(lanes), Intrinsic::k_dot_u8s8_i32,
                          {acc({index(lanes)}), a({index(4 * lanes)}), b({index(4 * lanes)})});
      std::vector<int32_t> z(lanes), want(lanes);
      std::vector<uint8_t> x(4 * lanes);
      std::vector<int8_t> y(4 * lanes);
      for (int i = 0; i < 4 * lanes; ++i)
        x[i] = i % 3 ? uint8_t(37 * i) : 255, y[i] = i % 5 ? int8_t(91 * i) : -128;
      for (int i = 0; i < lanes; ++i) {
        z[i] = want[i] = i * 1000 - 7;
        for (int k = 0; k < 4; ++k) want[i] += x[4 * i + k] * y[4 * i + k];
      }
      Compiled(Kernel("f", {acc, a, b}, MakeStore(acc, dot, {index(lanes)})),
               Target::Parse(target))({z.data(), x.data(), y.data()});
      EXPECT_THAT(z, ElementsAreArray(want)) << target << " " << lanes;
    }
  }
}

TEST(Vectors, DotProductsOfBfloats) {
  const int lanes = 16;
  Buffer acc = FlatUnaligned("acc", kF32, lanes), a = FlatUnaligned("a", kBF16, 2 * lanes),
         b = FlatUnaligned("b", kBF16, 2 * lanes);
  Expr dot = MakeCall(kF32.WithLanes(lanes), Intrinsic::k_dot_bf16_f32,
                      {acc({MakeRamp(0, 1, lanes)}), a({MakeRamp(0, 1, 32)}), b({MakeRamp(0, 1, 32)})});
  std::vector<uint16_t> x(32), y(32);
  auto bits = [](float v) { return uint16_t(std::bit_cast<uint32_t>(v) >> 16); };
  for (int i = 0; i < 32; ++i) x[i] = bits(float(i - 9)), y[i] = bits(float(3 * i % 7) - 2);
  for (const char* target : {"host", "x86-64-v3"}) {
    if (Target::Host().triple != Target::Parse(target).triple) continue;
    std::vector<float> z = Iota(lanes);
    Compiled(Kernel("f", {acc, a, b}, MakeStore(acc, dot, {MakeRamp(0, 1, lanes)})),
             Target::Parse(target))({z.data(), x.data(), y.data()});
    for (int i = 0; i < lanes; ++i) {
      float want = float(i);
      for (int k = 2 * i; k < 2 * i + 2; ++k) want += float(k - 9) * (float(3 * k % 7) - 2);
      EXPECT_EQ(z[i], want) << target;
    }
  }
}

TEST(Vectors, WorkspaceIsThatOfTheFirstChunk) {
  Var i("i"), n = Var::Symbol("n");
  BufferNode node;
  node.buffer_name = "tmp", node.dtype = kF32, node.shape = {n}, node.scope = "workspace";
  Buffer tmp = MakeBuffer(node), tmp2 = MakeBuffer(node), out = FlatUnaligned("out", kF32, 8);
  Stmt inner =
      MakeSeq({MakeStore(tmp, MakeCast(kF32, i), {n - Expr(1)}), MakeStore(tmp2, MakeConst(kF32, 0.5), {0}),
               MakeStore(out, tmp({n - Expr(1)}) + tmp2({0}), {i})});
  PrimFuncNode f = *Kernel(
      "f", {out}, MakeFor(i, 0, 8, ForKind::kParallel, MakeAllocate(tmp, MakeAllocate(tmp2, inner))), {n});
  f.attrs["workspace_bytes"] = FloorDiv(n * Expr(4) + Expr(63), 64) * Expr(128);
  alignas(64) float memory[8 * 2 * 32];
  std::fill(std::begin(memory), std::end(memory), -1.f);
  std::vector<float> z(8, -1);
  Compiled(PrimFunc(f))({z.data(), memory}, {20}, 2, 5);
  EXPECT_THAT(z, ElementsAreArray<float>({-1, -1, 2.5, 3.5, 4.5, -1, -1, -1}));
  EXPECT_EQ(memory[2 * 64 + 19], 4);
  EXPECT_EQ(memory[2 * 64 + 32], 0.5);
  EXPECT_EQ(memory[3 * 64 + 19], -1);
}

TEST(Vectors, ErrorsGoThroughTheRuntimeTable) {
  struct Table {
    uint32_t version = 1, size = sizeof(Table);
    void (*report)(const Table*, const char*, int64_t) = nullptr;
    mutable std::string message;
    mutable int64_t value = 0;
  } table;
  table.report = [](const Table* t, const char* message, int64_t value) {
    t->message = message, t->value = value;
  };
  Buffer index = FlatUnaligned("index", kI64, 1), out = FlatUnaligned("out", kI64, 1);
  Stmt report =
      MakeEvaluate(MakeCall(kI32, Intrinsic::k_extern_call,
                            {MakeString("report_error"), MakeString("index out of range"), index({0})}));
  PrimFunc f = Kernel("f", {index, out},
                      MakeSeq({MakeIf(Expr(9) < index({0}), report), MakeStore(out, index({0}), {0})}));
  JitModule jit = JitModule::Load(std::vector{CompileKernels(std::vector{f}, TestTarget())});
  int64_t x = 4, z = 0;
  void* buffers[] = {&x, &z};
  auto run = [&] { reinterpret_cast<KernelFn>(jit.Find("f"))(buffers, nullptr, 0, 1, &table); };
  run();
  EXPECT_EQ(z, 4);
  EXPECT_EQ(table.message, "");
  x = 10, run();
  EXPECT_EQ(z, 4);
  EXPECT_EQ(table.message, "index out of range");
  EXPECT_EQ(table.value, 10);
}

std::string Assembly(Stmt body, std::vector<Buffer> buffers, const std::string& target) {
  return KernelAssembly(std::vector{Kernel("f", std::move(buffers), std::move(body))}, Target::Parse(target));
}

TEST(Assembly, OneInstructionForRelu) {
  Buffer in = Flat("in", kF32, 16), out = Flat("out", kF32, 16);
  const Expr index = MakeRamp(0, 1, 16);
  const std::string text = Assembly(
      MakeStore(out, Max(in({index}), MakeConst(kF32.WithLanes(16), 0.0)), {index}), {in, out}, "x86-64-v4");
  EXPECT_THAT(text, HasSubstr("vmaxps"));
  EXPECT_THAT(text, HasSubstr("%zmm"));
  EXPECT_THAT(text, Not(HasSubstr("vcmp")));
}

TEST(Assembly, MaskedTailsUseMaskRegisters) {
  Var n("n");
  Buffer in = Flat("in", kF32, 16), out = Flat("out", kF32, 16);
  const Expr index = MakeRamp(0, 1, 16);
  const Expr mask = index < MakeBroadcast(out.shape()[0] - Expr(3), 16);
  const std::string text =
      Assembly(MakeStore(out, MakeLoad(in, {index}, mask), {index}, mask), {in, out}, "x86-64-v4");
  EXPECT_THAT(text, HasSubstr("{%k1}"));
}

TEST(Assembly, OtherProcessorsUseTheirVectors) {
  Buffer a = Flat("a", kF32, 16), b = Flat("b", kF32, 16), out = Flat("out", kF32, 16);
  const Expr index = MakeRamp(0, 1, 16);
  Stmt body = MakeStore(out, out({index}) + a({index}) * b({index}), {index});
  EXPECT_THAT(Assembly(body, {a, b, out}, "aarch64-linux-gnu"), HasSubstr("fmla\tv"));
  EXPECT_THAT(Assembly(body, {a, b, out}, "riscv64-linux-gnu,features=+v"), HasSubstr("vfmadd.vv"));
  EXPECT_THAT(Assembly(body, {a, b, out}, "x86-64-v3"), HasSubstr("vfmadd"));
  EXPECT_THAT(Assembly(body, {a, b, out}, "x86-64-v2"), HasSubstr("mulps"));
}

}  // namespace
}  // namespace tilewright
