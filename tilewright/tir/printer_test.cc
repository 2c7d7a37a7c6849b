// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/printer.h"

#include <gmock/gmock.h>

#include <cmath>
#include <limits>

#include "tilewright/ir/printer.h"

namespace tilewright {
namespace {

TEST(ExprPrinter, ParenthesesFollowBindingStrength) {
  Var a("a"), b("b"), c("c");
  EXPECT_EQ(ToString(a + b * c), "a + b * c");
  EXPECT_EQ(ToString((a + b) * c), "(a + b) * c");
  EXPECT_EQ(ToString(a - (b - c)), "a - (b - c)");
  EXPECT_EQ(ToString(a - b - c), "a - b - c");
  EXPECT_EQ(ToString(FloorMod(FloorDiv(a, 4), 8) * 2), "a // 4 % 8 * 2");
  EXPECT_EQ(ToString(a * FloorDiv(b, 4)), "a * (b // 4)");
  EXPECT_EQ(ToString(MakeNot(a < b && b <= c)), "!(a < b && b <= c)");
  EXPECT_EQ(ToString((a < b || b < c) && Eq(a, c)), "(a < b || b < c) && a == c");
  EXPECT_EQ(ToString(Min(a, b) + Max(b, TruncDiv(c, 3))), "min(a, b) + max(b, truncdiv(c, 3))");
  EXPECT_EQ(ToString(a + Expr(-5)), "a + -5");
}

TEST(ExprPrinter, ConstantsSayTheirType) {
  EXPECT_EQ(ToString(Expr(7)), "7");
  EXPECT_EQ(ToString(MakeConst(kI32, -7)), "-7i32");
  EXPECT_EQ(ToString(MakeConst(kU8, 255)), "255u8");
  EXPECT_EQ(ToString(MakeConst(kU64, -1)), "18446744073709551615u64");
  EXPECT_EQ(ToString(MakeBool(true)), "true");
  EXPECT_EQ(ToString(MakeConst(kF32, 0.1)), "0.1f32");
  EXPECT_EQ(ToString(MakeConst(kF64, 0.1)), "0.1f64");
  EXPECT_EQ(ToString(MakeConst(kF64, double(0.1f))), "0.10000000149011612f64");
  EXPECT_EQ(ToString(MakeConst(kF16, 1.0)), "1f16");
  EXPECT_EQ(ToString(MakeConst(kBF16, 3.0)), "3bf16");
  EXPECT_EQ(ToString(MakeConst(kF32, -0.0)), "-0f32");
  EXPECT_EQ(ToString(MakeConst(kF32, 1e-30)), "1e-30f32");
  EXPECT_EQ(ToString(MinValue(kF32)), "f32(-inf)");
  EXPECT_EQ(ToString(MakeConst(kF32, std::numeric_limits<double>::quiet_NaN())), "f32(nan)");
  EXPECT_EQ(ToString(MakeConst(kF64, -std::numeric_limits<double>::quiet_NaN())),
            "f64(nan:-2251799813685248)");
  EXPECT_EQ(ToString(MakeConst(DataType::Float(32, 8), 0.0)), "broadcast(0f32, 8)");
}

TEST(ExprPrinter, EveryOtherKind) {
  Var i("i"), x("x", kF32);
  Buffer a("A", kF32, {16});
  Expr r = MakeRamp(i, 1, 8);
  EXPECT_EQ(ToString(MakeLoad(a, {r}, r < MakeBroadcast(Expr(12), 8))),
            "A[ramp(i, 1, 8) where ramp(i, 1, 8) < broadcast(12, 8)]");
  EXPECT_EQ(ToString(MakeCast(kF64, a({i}))), "f64(A[i])");
  EXPECT_EQ(ToString(MakeSelect(i < 4, x, a({i}))), "select(i < 4, x, A[i])");
  EXPECT_EQ(ToString(MakeIfThenElse(i < 4, a({i}), x)), "if_then_else(i < 4, A[i], x)");
  EXPECT_EQ(ToString(MakeLet(x, a({i}), x * x)), "let x = A[i] in x * x");
  EXPECT_EQ(ToString(MakeLet(x, a({i}), x * x) + a({i})), "(let x = A[i] in x * x) + A[i]");
  EXPECT_EQ(ToString(MakeShuffle({MakeLoad(a, {r}), MakeLoad(a, {r})}, {0, 8, 1, 9})),
            "shuffle([A[ramp(i, 1, 8)], A[ramp(i, 1, 8)]], [0, 8, 1, 9])");
  EXPECT_EQ(ToString(MakeCall(Intrinsic::k_exp, {x})), "exp(x)");
  EXPECT_EQ(ToString(MakeCall(kI32, Intrinsic::k_reinterpret, {x})), "reinterpret.i32(x)");
  EXPECT_EQ(ToString(MakeCall(kF32, Intrinsic::k_extern_call, {MakeString("f\"g"), x})),
            "extern_call.f32(\"f\\\"g\", x)");
  EXPECT_EQ(ToString(MakeCall(Intrinsic::k_isnan, {x})), "isnan(x)");
}

TEST(ExprPrinter, NamesAreIdentifiersAndUnique) {
  Var a("x"), b("x"), c("/conv/out:0"), d("let"), e("0");
  EXPECT_EQ(ToString(a + b + c + d + e), "x + x_1 + _conv_out_0 + let_1 + _0");
}

TEST(ExprPrinter, AttributeValues) {
  Annotations map = {{"a", int64_t(1)},
                     {"b", 2.0},
                     {"c", true},
                     {"d", std::string("x\n")},
                     {"e", kF16},
                     {"f", std::vector<int64_t>{1, 2}},
                     {"g", std::vector<double>{}},
                     {"h", std::vector<std::string>{"p", "q"}},
                     {"i", Var("n") + 1},
                     {"j", std::vector<Expr>{Expr(1), Expr(2)}},
                     {"k.k", AttrValue()}};
  EXPECT_EQ(ToString(map),
            "{a = 1, b = 2.0, c = true, d = \"x\\n\", e = dtype(f16), f = [1, 2], g = floats[], "
            "h = [\"p\", \"q\"], i = expr(n + 1), j = exprs[1, 2], \"k.k\" = none}");
}

PrimFunc Gemm() {
  const int64_t m = 128, n = 64, k = 32;
  Buffer a("A", kF32, {m, k}), b("B", kF32, {k, n}), c("C", kF32, {m, n});
  Var i("i"), j("j"), r("k"), vi("vi"), vj("vj"), vk("vk");
  BlockNode block;
  block.name = "C";
  block.iter_vars = {
      {vi, {0, m}, IterKind::kSpatial}, {vj, {0, n}, IterKind::kSpatial}, {vk, {0, k}, IterKind::kReduce}};
  block.bindings = {i, j, r};
  block.reads = {{a, {{vi, 1}, {vk, 1}}}, {b, {{vk, 1}, {vj, 1}}}};
  block.writes = {{c, {{vi, 1}, {vj, 1}}}};
  block.init = MakeStore(c, MakeConst(kF32, 0.0), {vi, vj});
  block.body = MakeStore(c, c({vi, vj}) + a({vi, vk}) * b({vk, vj}), {vi, vj});
  Stmt nest = MakeFor(r, 0, k, ForKind::kSerial, MakeBlock(block));
  nest = MakeFor(i, 0, m, ForKind::kParallel, MakeFor(j, 0, n, ForKind::kSerial, nest));
  BlockNode root;
  root.name = "root";
  root.body = nest;
  PrimFuncNode f;
  f.name = "gemm";
  f.buffers = {a, b, c};
  f.body = MakeBlock(root);
  return f;
}

TEST(TirPrinter, ScheduledFunction) {
  EXPECT_EQ(ToString(Gemm()),
            R"(primfunc @gemm(A: f32[128, 32], B: f32[32, 64], C: f32[128, 64]) outputs(1) scheduled {
  block "root" {
    for i in 0..128 parallel {
      for j in 0..64 {
        for k in 0..32 {
          block "C" (vi: spatial 0..128 = i, vj: spatial 0..64 = j, vk: reduce 0..32 = k) {
            reads A[vi, vk], B[vk, vj]
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
)");
}

TEST(TirPrinter, MarksGuiltyLoops) {
  PrimFunc f = Gemm();
  PrintOptions options;
  PreOrder(f->body, [&](const Stmt& s) {
    if (auto* loop = s.As<ForNode>(); loop && loop->var.name() == "k") {
      options.marks[loop] = "carries a reduction\nof block \"C\"";
    }
    return true;
  });
  EXPECT_THAT(Print(f, options), testing::HasSubstr(R"(
        for k in 0..32 {
        ^^^^^^^^^^^^^^ carries a reduction
        ^ of block "C"
          block "C")"));
}

TEST(TirPrinter, LoweredFunction) {
  Var n = Var::Symbol("n", 1, 1024, 8), k("k"), acc("acc", DataType::Float(32, 8)), out("acc", acc.dtype()),
      t("t");
  Buffer a("A", kF32, {n}), c("C", kF32, {8});
  BufferNode scratch;
  scratch.buffer_name = "T";
  scratch.dtype = kF32;
  scratch.shape = {n};
  scratch.scope = "shared";
  scratch.alignment = 128;
  Buffer s = MakeBuffer(scratch);
  Expr v = MakeLoad(a, {MakeRamp(k * 8, 1, 8)});
  Stmt loop = MakeFor(k, 0, FloorDiv(n, 8), ForKind::kSerial, MakeYield({acc + v}), {{"unroll", int64_t(2)}},
                      "", {{acc, MakeConst(acc.dtype(), 0.0), out}});
  Stmt store = MakeStore(c, out, {MakeRamp(0, 1, 8)});
  Stmt fetch = MakeEvaluate(MakeCall(Intrinsic::k_prefetch, {a({0}), 3}));
  Stmt guarded = MakeIf(n < 16, MakeLetStmt(t, n + 1, MakeStore(s, a({t}), {t})), MakeStore(s, a({0}), {0}));
  Var u("u");
  Stmt inner = MakeLetStmt(u, 3, MakeStore(s, a({u}), {u}));
  PrimFuncNode f;
  f.name = "a b";
  f.buffers = {a, c};
  f.dims = {n};
  f.stage = TirStage::kLowered;
  f.attrs = {{"k", int64_t(1)}};
  f.body = MakeAllocate(s, MakeSeq({fetch, inner, guarded, loop, store}));
  EXPECT_EQ(ToString(PrimFunc(f)),
            R"(primfunc @"a b"<n in [1, 1024] by 8>(A: f32[n], C: f32[8]) outputs(1) lowered attrs {k = 1} {
  allocate T: f32[n] scope "shared" align 128
  evaluate prefetch(A[0], 3)
  let u = 3 {
    T[u] = A[u]
  }
  if n < 16 {
    let t = n + 1
    T[t] = A[t]
  } else {
    T[0] = A[0]
  }
  for k in 0..n // 8 carry (acc_1 = broadcast(0f32, 8) -> acc) annotations {unroll = 2} {
    yield acc_1 + A[ramp(k * 8, 1, 8)]
  }
  C[ramp(0, 1, 8)] = acc
}
)");
}

TEST(TirPrinter, Ranges) {
  Var i("i");
  Buffer a("A", kF32, {16});
  Stmt body = MakeStore(a, MakeConst(kF32, 0.0), {i});
  auto header = [&](Expr lo, Expr extent) {
    const std::string text = ToString(MakeFor(i, lo, extent, ForKind::kUnrolled, body));
    return text.substr(0, text.find('\n'));
  };
  Var n("n");
  EXPECT_EQ(header(0, 16), "for i in 0..16 unrolled {");
  EXPECT_EQ(header(4, 12), "for i in 4..16 unrolled {");
  EXPECT_EQ(header(0, n), "for i in 0..n unrolled {");
  EXPECT_EQ(header(n, 4), "for i in n..+4 unrolled {");
  EXPECT_EQ(header(4, n), "for i in 4..+n unrolled {");
}

}  // namespace
}  // namespace tilewright
