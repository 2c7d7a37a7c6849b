// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/lower.h"

#include <gtest/gtest.h>

#include "tilewright/tir/compare.h"
#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/lower/fresh_copy.h"
#include "tilewright/tir/lower/lower_blocks.h"
#include "tilewright/tir/lower/place_allocations.h"
#include "tilewright/tir/lower/vectorize_loops.h"
#include "tilewright/tir/parser.h"

namespace tilewright {
namespace {

/// out[i] = sum over k of in[i, k]; mid[i] holds the sum, out the copy. Loops i and i2 are of the given
/// kinds.
struct RowSum {
  Buffer in{"in", kF32, {8, 16}}, mid{"mid", kF32, {8}}, out{"out", kF32, {8}};
  Var i{"i"}, k{"k"}, i2{"i2"};
  Stmt sum, copy;

  RowSum() {
    Var vi("vi"), vk("vk"), vc("vc");
    BlockNode b;
    b.name = "sum";
    b.iter_vars = {{vi, {0, 8}, IterKind::kSpatial}, {vk, {0, 16}, IterKind::kReduce}};
    b.bindings = {i, k};
    b.init = MakeStore(mid, MakeConst(kF32, 0), {vi});
    b.body = MakeStore(mid, mid({vi}) + in({vi, vk}), {vi});
    sum = MakeFor(k, 0, 16, ForKind::kSerial, MakeBlock(b));
    BlockNode c;
    c.name = "copy";
    c.iter_vars = {{vc, {0, 8}, IterKind::kSpatial}};
    c.bindings = {i2};
    c.body = MakeStore(out, mid({vc}), {vc});
    copy = MakeBlock(c);
  }

  PrimFunc Function(Stmt body) const {
    BlockNode root;
    root.name = "root";
    root.allocs = {mid};
    root.body = std::move(body);
    PrimFuncNode f;
    f.name = "row_sum";
    f.buffers = {in, out};
    f.body = MakeBlock(root);
    return PrimFunc(std::move(f));
  }
  PrimFunc TwoNests() const {
    return Function(
        MakeSeq({MakeFor(i, 0, 8, ForKind::kParallel, sum), MakeFor(i2, 0, 8, ForKind::kParallel, copy)}));
  }
  PrimFunc OneNest() const {
    return Function(MakeFor(i, 0, 8, ForKind::kParallel, MakeSeq({sum, Substitute(copy, {{i2, i}})})));
  }
};

const StmtNode* FindAllocate(const Stmt& s) {
  const StmtNode* found = nullptr;
  PreOrder(s, [&](const Stmt& x) {
    if (x.As<AllocateNode>()) found = x.get();
    return !found;
  });
  return found;
}

TEST(PlaceAllocations, ValueOfAReductionStaysOutsideItsLoop) {
  RowSum r;
  PrimFunc f = PlaceAllocations(r.OneNest(), Target());
  auto* root = f->body.As<BlockNode>();
  ASSERT_TRUE(root->allocs.empty());
  auto* loop = root->body.As<ForNode>();
  ASSERT_NE(loop, nullptr);
  EXPECT_NE(loop->body.As<AllocateNode>(), nullptr);
}

TEST(PlaceAllocations, SharedByTwoNestsStaysAtTheRoot) {
  RowSum r;
  PrimFunc f = PlaceAllocations(r.TwoNests(), Target());
  EXPECT_NE(f->body.As<BlockNode>()->body.As<AllocateNode>(), nullptr);
}

TEST(PlaceAllocations, LeavesVectorizedLoops) {
  RowSum r;
  Stmt vectorized =
      MakeFor(r.i, 0, 8, ForKind::kVectorized, MakeSeq({r.sum, Substitute(r.copy, {{r.i2, r.i}})}));
  PrimFunc f = PlaceAllocations(r.Function(vectorized), Target());
  EXPECT_NE(f->body.As<BlockNode>()->body.As<AllocateNode>(), nullptr);
}

TEST(LowerBlocks, InitialiserRunsAtTheStartOfTheReduction) {
  RowSum r;
  PrimFunc f = LowerBlocks(PlaceAllocations(r.OneNest(), Target()));
  EXPECT_EQ(f->stage, TirStage::kLowered);
  const IfNode* init = nullptr;
  PreOrder(f->body, [&](const Stmt& s) {
    EXPECT_NE(s.kind(), StmtKind::kBlock);
    if (auto* n = s.As<IfNode>()) init = n;
    return true;
  });
  ASSERT_NE(init, nullptr);
  EXPECT_TRUE(StructuralEqual(init->condition, Eq(r.k, 0)));
}

TEST(LowerPrimFunc, ParallelNestsBecomeLaunchesThatShareAWorkspace) {
  RowSum r;
  LoweredKernels result = LowerPrimFunc(r.TwoNests(), Target());
  ASSERT_EQ(result.launches.size(), 2u);
  ASSERT_EQ(result.workspaces.size(), 1u);
  EXPECT_EQ(result.workspaces[0], r.mid);
  EXPECT_EQ(result.launches[0].args, (std::vector<Buffer>{r.in, r.mid}));
  EXPECT_EQ(result.launches[1].args, (std::vector<Buffer>{r.mid, r.out}));
  EXPECT_TRUE(IsInt(result.launches[0].num_chunks, 8));
  EXPECT_EQ(result.launches[0].kernel->body.As<ForNode>()->for_kind, ForKind::kParallel);
}

TEST(LowerPrimFunc, PrivateBufferStaysInsideTheChunk) {
  RowSum r;
  LoweredKernels result = LowerPrimFunc(r.OneNest(), Target());
  ASSERT_EQ(result.launches.size(), 1u);
  EXPECT_TRUE(result.workspaces.empty());
  EXPECT_NE(FindAllocate(result.launches[0].kernel->body), nullptr);
  EXPECT_FALSE(result.launches[0].workspace_bytes);
  // The input is flat: one index of the form i * 16 + k.
  bool seen = false;
  PreOrderExprs(result.launches[0].kernel->body, [&](const Expr& e) {
    auto* load = e.As<LoadNode>();
    if (!load || load->buffer.name() != "in") return;
    seen = true;
    EXPECT_EQ(load->indices.size(), 1u);
    EXPECT_TRUE(IsInt(load->buffer.shape()[0], 128));
  });
  EXPECT_TRUE(seen);
}

/// A 128x768x768 matrix product in tiles of 8x48 accumulators in registers, the right operand packed in
/// panels.
PrimFunc TiledGemm() {
  const int64_t m = 128, n = 768, k_extent = 768, rows = 8, columns = 48, lanes = 16;
  Buffer a("A", kF32, {m, k_extent}), b("B", kF32, {n / columns, k_extent, columns}), c("C", kF32, {m, n});
  Buffer acc("acc", kF32, {m, n}, "register");
  Var jo("jo"), io("io"), k("k");
  auto tile = [&](std::string name, bool reduce, const std::function<Stmt(Expr, Expr, Expr)>& body) {
    Var ii("ii"), jv("jv"), ji("ji"), vi("vi"), vj("vj"), vk("vk");
    BlockNode block;
    block.name = std::move(name);
    block.iter_vars = {{vi, {0, m}, IterKind::kSpatial}, {vj, {0, n}, IterKind::kSpatial}};
    block.bindings = {io * rows + ii, jo * columns + jv * lanes + ji};
    if (reduce) {
      block.iter_vars.push_back({vk, {0, k_extent}, IterKind::kReduce});
      block.bindings.push_back(k);
    }
    block.body = body(vi, vj, vk);
    Stmt vector = MakeFor(ji, 0, lanes, ForKind::kVectorized, MakeBlock(std::move(block)));
    return MakeFor(ii, 0, rows, ForKind::kUnrolled,
                   MakeFor(jv, 0, columns / lanes, ForKind::kUnrolled, vector));
  };
  Stmt init =
      tile("init", false, [&](Expr i, Expr j, Expr) { return MakeStore(acc, MakeConst(kF32, 0), {i, j}); });
  Stmt update = tile("update", true, [&](Expr i, Expr j, Expr r) {
    return MakeStore(acc, acc({i, j}) + a({i, r}) * b({FloorDiv(j, columns), r, FloorMod(j, columns)}),
                     {i, j});
  });
  Stmt write = tile("write", false, [&](Expr i, Expr j, Expr) { return MakeStore(c, acc({i, j}), {i, j}); });
  Stmt rows_loop = MakeFor(io, 0, m / rows, ForKind::kSerial,
                           MakeSeq({init, MakeFor(k, 0, k_extent, ForKind::kSerial, update), write}));
  BlockNode root;
  root.name = "root";
  root.allocs = {acc};
  root.body = MakeFor(jo, 0, n / columns, ForKind::kParallel, rows_loop);
  PrimFuncNode f;
  f.name = "gemm";
  f.buffers = {a, b, c};
  f.body = MakeBlock(root);
  return PrimFunc(std::move(f));
}

TEST(LowerPrimFunc, GemmMicroKernelKeepsItsTileInValues) {
  Target target;
  target.vector_bytes = 64;
  target.has_fma = true;
  LoweredKernels result = LowerPrimFunc(TiledGemm(), target);
  ASSERT_EQ(result.launches.size(), 1u);
  const Stmt& body = result.launches[0].kernel->body;
  EXPECT_EQ(FindAllocate(body), nullptr);
  const ForNode* reduction = nullptr;
  PreOrder(body, [&](const Stmt& s) {
    if (auto* loop = s.As<ForNode>(); loop && !loop->carried.empty()) reduction = loop;
    return true;
  });
  ASSERT_NE(reduction, nullptr);
  EXPECT_EQ(reduction->carried.size(), 24u);
  int products = 0, scalar_loads = 0, vector_loads = 0, stores = 0;
  PreOrderExprs(reduction->body, [&](const Expr& e) {
    auto* call = e.As<CallNode>();
    products += call && call->op == Intrinsic::k_fma && call->dtype == kF32.WithLanes(16);
    if (auto* load = e.As<LoadNode>()) ++(load->dtype.lanes == 1 ? scalar_loads : vector_loads);
  });
  PreOrder(reduction->body, [&](const Stmt& s) {
    stores += s.As<StoreNode>() != nullptr;
    return true;
  });
  EXPECT_EQ(products, 24);
  EXPECT_EQ(scalar_loads, 8);
  EXPECT_EQ(vector_loads, 3);
  EXPECT_EQ(stores, 0);
}

TEST(FreshCopy, NothingIsLeftWhereTheConditionIsFalse) {
  Buffer out("out", kF32, {8}), local("local", kF32, {1});
  Var i("i"), j("j"), x("x", kF32);
  Stmt guarded = MakeIf(i < Expr(2), MakeStore(out, MakeConst(kF32, 1), {i}));
  const Stmt around[] = {MakeFor(j, 0, 4, ForKind::kSerial, guarded), MakeAllocate(local, guarded),
                         MakeLetStmt(x, out({j}), guarded)};
  for (const Stmt& s : around) {
    EXPECT_TRUE(FreshCopy(s, {{i, 1}}));
    EXPECT_FALSE(FreshCopy(s, {{i, 3}})) << ToString(s);
  }
}

TEST(VectorizeLoops, RestOfALongLoopMayHaveNothingToDo) {
  // Nine vectors of four and one lane more, which the condition rules out.
  Buffer out("out", kF32, {36});
  Var i("i");
  PrimFuncNode f;
  f.name = "long_loop";
  f.buffers = {out};
  f.stage = TirStage::kLowered;
  f.body =
      MakeFor(i, 0, 37, ForKind::kVectorized, MakeIf(i < Expr(36), MakeStore(out, MakeConst(kF32, 1), {i})));
  Target target;
  target.vector_bytes = 16;
  PrimFunc result = VectorizeLoops(PrimFunc(std::move(f)), target);
  std::vector<NDArray> arrays{NDArray::Zeros(kF32, {36})};
  Interpret(result, arrays);
  for (int64_t at = 0; at < 36; ++at) EXPECT_EQ(arrays[0].AsInt(at), 1) << at;
}

TEST(LowerPrimFunc, RegisterBufferIndexedByAVariableIsAnError) {
  Buffer out("out", kF32, {8}), acc("acc", kF32, {8}, "register");
  Var i("i"), j("j");
  BlockNode root;
  root.name = "root";
  root.allocs = {acc};
  root.body = MakeSeq({MakeFor(i, 0, 8, ForKind::kSerial, MakeStore(acc, MakeConst(kF32, 1), {i})),
                       MakeFor(j, 0, 8, ForKind::kSerial, MakeStore(out, acc({j}), {j}))});
  PrimFuncNode f;
  f.name = "dynamic";
  f.buffers = {out};
  f.body = MakeBlock(root);
  try {
    LowerPrimFunc(PrimFunc(std::move(f)), Target());
    FAIL() << "lowered a register buffer with a variable index";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW1301");
    EXPECT_NE(std::string(e.what()).find("acc"), std::string::npos);
  }
}

/// Every pass of a kernel's way down, with what it was given.
std::vector<std::pair<std::string, PrimFunc>> InputsOfPasses(const PrimFunc& f, const Target& target) {
  std::vector<std::pair<std::string, PrimFunc>> inputs;
  LowerOptions options;
  options.before = [&](std::string_view pass, const PrimFunc& g) { inputs.emplace_back(pass, g); };
  LowerPrimFunc(f, target, options);
  return inputs;
}

TEST(LowerPrimFunc, BeginsAgainAtEachPassFromText) {
  const Target target = Target::Parse("x86-64-v3");
  const PrimFunc whole = LowerPrimFunc(TiledGemm(), target).launches.at(0).kernel;
  const auto inputs = InputsOfPasses(TiledGemm(), target);
  std::vector<std::string> names;
  for (const auto& [pass, f] : inputs) {
    SCOPED_TRACE(pass);
    names.push_back(pass);
    EXPECT_EQ(f->stage == TirStage::kLowered, TakesLoweredKernels(pass));
    const PrimFunc parsed = ParsePrimFunc(ToString(f));
    EXPECT_EQ(ToString(parsed), ToString(f));
    LoweredKernels rest = LowerPrimFunc(parsed, target, {.start_at = pass});
    ASSERT_EQ(rest.launches.size(), 1u);
    EXPECT_TRUE(StructuralEqual(rest.launches[0].kernel, whole)) << ToString(rest.launches[0].kernel);
    EXPECT_TRUE(StructuralEqual(rest.launches[0].num_chunks,
                                LowerPrimFunc(TiledGemm(), target).launches[0].num_chunks));
  }
  EXPECT_EQ(names, LoweringPasses());
}

TEST(LowerPrimFunc, StopsAfterAPass) {
  const Target target = Target::Parse("x86-64-v3");
  const auto inputs = InputsOfPasses(TiledGemm(), target);
  for (size_t i = 0; i + 1 < inputs.size(); ++i) {
    SCOPED_TRACE(inputs[i].first);
    LoweredKernels part = LowerPrimFunc(TiledGemm(), target, {.stop_after = inputs[i].first});
    ASSERT_EQ(part.launches.size(), 1u);
    EXPECT_TRUE(StructuralEqual(part.launches[0].kernel, inputs[i + 1].second));
  }
}

}  // namespace
}  // namespace tilewright
