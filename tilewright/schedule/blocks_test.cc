// SPDX-License-Identifier: Apache-2.0
// Where blocks compute, caches, layouts, decompositions, tiles and intrinsics.
#include "tilewright/schedule/tensor_intrin.h"
#include "tilewright/schedule/test_workloads.h"

namespace tilewright {
namespace {

Buffer BufferNamed(const Schedule& s, const std::string& name) {
  for (const Buffer& b : s.Buffers()) {
    if (b.name() == name) return b;
  }
  return nullptr;
}

TEST(Inline, IntoConsumersAndBack) {
  const PrimFunc f = TransposeAdd(5, 7);
  Schedule s(f);
  s.ComputeInline({"T"});
  EXPECT_FALSE(s.Exists({"T"}));
  EXPECT_FALSE(BufferNamed(s, "T"));
  ExpectSameResult(f, s);
  Schedule back(f);
  back.ReverseComputeInline({"R"});
  EXPECT_FALSE(back.Exists({"R"}));
  ExpectSameResult(f, back);

  const PrimFunc conv = PaddedConv(2, 3, 6, 2);
  Schedule padded(conv);
  padded.ComputeInline({"Pad"});
  ExpectSameResult(conv, padded);
  ExpectIllegal(padded, [&] { padded.ComputeInline({"Conv"}); }, "TW1411", "reduction");
  ExpectIllegal(padded, [&] { padded.ComputeInline({"Out"}); }, "TW1411", "parameter");
  ExpectIllegal(padded, [&] { padded.ReverseComputeInline({"Out"}); }, "TW1411", "reduction");
}

TEST(ComputeAt, HaloOfAConvolution) {
  for (int64_t stride : {1, 2}) {
    for (int64_t tile : {1, 3, 4, 9}) {
      const PrimFunc f = PaddedConv(2, 3, 9, stride);
      Schedule s(f);
      std::vector<LoopRef> l = s.GetLoops({"Conv"});
      std::vector<LoopRef> h = s.Split(l[1], {nullptr, tile});
      s.Reorder({h[0], l[0]});
      s.ComputeAt({"Pad"}, h[0]);
      std::vector<LoopRef> pad = s.GetLoops({"Pad"});
      ASSERT_EQ(pad.size(), 4u);
      EXPECT_EQ(AsInt(s.Get(pad[2]).extent), std::min<int64_t>(11, (tile - 1) * stride + 3));
      s.Parallel(h[0]);
      ExpectSameResult(f, s);
    }
  }
}

TEST(ComputeAt, ReductionUnderItsConsumer) {
  const PrimFunc f = MatmulRelu(13, 10, 6);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"D"});
  std::vector<LoopRef> i = s.Split(l[0], {nullptr, 4}), j = s.Split(l[1], {nullptr, 4});
  s.Reorder({i[0], j[0], i[1], j[1]});
  s.ComputeAt({"C"}, j[0]);
  LoopRef k = s.GetLoops({"C"}).back();
  s.Reorder({k, s.GetLoops({"C"})[2]});
  BlockRef init = s.DecomposeReduction({"C"}, k);
  EXPECT_EQ(init.name, "C_init");
  s.Parallel(s.Fuse({i[0], j[0]}));
  ExpectSameResult(f, s);
}

TEST(ComputeAt, FromFurtherInsideOutwards) {
  const PrimFunc f = MatmulRelu(13, 10, 6);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"D"});
  std::vector<LoopRef> i = s.Split(l[0], {nullptr, 2});
  s.ComputeAt({"C"}, i[0]);
  const std::vector<LoopRef> parts = s.LoopPartition(i[0], {Expr(6)});
  const std::vector<LoopRef> joined = s.Split(parts[0], {nullptr, 3});
  const BlockRef first = s.Producers({"D_p0"}).at(0);
  ASSERT_EQ(AsInt(s.Get(s.GetLoops(first)[2]).extent), 2);
  s.ComputeAt(first, joined[0]);
  EXPECT_EQ(AsInt(s.Get(s.GetLoops(first)[1]).extent), 6) << "rows of three tiles";
  ExpectSameResult(f, s);
}

TEST(ComputeAt, Illegal) {
  const PrimFunc f = SoftmaxLike(5, 6);
  Schedule s(f);
  LoopRef ratio = s.GetLoops({"Ratio"})[0], sum = s.GetLoops({"Sum"})[0], diff = s.GetLoops({"Diff"})[0];
  ExpectIllegal(
      s, [&] { s.ComputeAt({"Diff"}, sum); }, "TW1412", "block 'Ratio' reads Diff but is not under");
  ExpectIllegal(s, [&] { s.ComputeAt({"Ratio"}, sum); }, "TW1414", "caller reads");
  ExpectIllegal(s, [&] { s.ComputeAt({"Diff"}, diff); }, "TW1412", "under loop");
  // Sum would need all columns of Diff within one iteration of a column.
  LoopRef column = s.GetLoops({"Diff"})[1];
  s.ReverseComputeAt({"Sum"}, diff);
  ExpectSameResult(f, s);
  Schedule t(f);
  ExpectIllegal(t, [&] { t.ReverseComputeAt({"Ratio"}, t.GetLoops({"Diff"})[0]); }, "TW1412", "'Sum'");
  t.ComputeAt({"Sum"}, t.GetLoops({"Ratio"})[0]);
  t.ComputeAt({"Diff"}, t.GetLoops({"Ratio"})[0]);
  t.ComputeAt({"Max"}, t.GetLoops({"Ratio"})[0]);
  t.Parallel(t.GetLoops({"Ratio"})[0]);
  ExpectSameResult(f, t);
}

TEST(ReverseComputeAt, TilesOfAProduct) {
  for (int64_t tile : {1, 4, 5, 16}) {
    const PrimFunc f = MatmulRelu(13, 10, 6);
    Schedule s(f);
    BlockRef copy = s.CacheWrite({"C"}, BufferNamed(s, "C"), "register");
    s.ReverseComputeInline({"D"});
    std::vector<LoopRef> l = s.GetLoops({"C"});
    std::vector<LoopRef> i = s.Split(l[0], {nullptr, tile}), j = s.Split(l[1], {nullptr, 4});
    s.Reorder({i[0], j[0], l[2], i[1], j[1]});
    s.ReverseComputeAt(copy, j[0]);
    s.Vectorize(j[1]);
    s.DecomposeReduction({"C"}, l[2]);
    s.Parallel(i[0]);
    ExpectSameResult(f, s);
  }
  const PrimFunc f = MatmulRelu(8, 8, 6);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[0]});
  ExpectIllegal(s, [&] { s.ReverseComputeAt({"D"}, l[0]); }, "TW1412", "before block 'C'");
}

TEST(ReverseComputeAt, WindowsNeedMoreThanATile) {
  te::Tensor x = te::Placeholder("X", kF32, {12});
  te::Tensor y = te::Compute("Y", {12}, [&](auto& i) { return x(i) + x(i); });
  te::Tensor z = te::Compute("Z", {11}, [&](auto& i) { return y({i[0]}) + y({i[0] + Expr(1)}); });
  Schedule s(te::CreatePrimFunc("window", {x}, {z}));
  std::vector<LoopRef> l = s.Split(s.GetLoops({"Y"})[0], {nullptr, 4});
  ExpectIllegal(s, [&] { s.ReverseComputeAt({"Z"}, l[0]); }, "TW1416", "do not make all");
}

TEST(ReverseComputeAt, PartsOfAProducerOrConsumer) {
  // A part of a fused loop runs over all rows and all columns, but not over all elements.
  Schedule producer(SoftmaxLike(5, 6));
  const std::vector<LoopRef> parts =
      producer.LoopPartition(producer.Fuse(producer.GetLoops({"Diff"})), {Expr(3)});
  ExpectIllegal(
      producer, [&] { producer.ReverseComputeAt({"Sum"}, parts[1]); }, "TW1412",
      "'Diff_p0' writes Diff too but is not under");
  Schedule consumer(SoftmaxLike(5, 6));
  const LoopRef rest = consumer.Split(consumer.Fuse(consumer.GetLoops({"Sum"})), {nullptr, 6})[1];
  consumer.LoopPartition(rest, {Expr(3)});
  const LoopRef rows = consumer.GetLoops({"Diff"})[0];
  ExpectIllegal(consumer, [&] { consumer.ReverseComputeAt({"Sum_p1"}, rows); }, "TW1412", "'Sum_p1'");
}

TEST(ReverseComputeAt, TermsAreAddedOnce) {
  // The loop around the copy tells the depth, and several of its iterations tell the same one.
  Schedule s(MatmulRelu(3, 4, 5));
  const BlockRef copy = s.CacheRead({"C"}, BufferNamed(s, "A"), "shared");
  const std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[0]});
  const LoopRef depth_and_column = s.Fuse({l[2], l[1]});
  s.ComputeAt(copy, depth_and_column);
  const LoopRef element = s.GetLoops(copy).back();
  ExpectIllegal(s, [&] { s.ReverseComputeAt({"C"}, element); }, "TW1407", "add the same terms");
}

TEST(Cache, ReadAndWrite) {
  const PrimFunc f = PaddedConv(2, 3, 6, 1);
  Schedule s(f);
  BlockRef w = s.CacheRead({"Conv"}, BufferNamed(s, "W"), "shared");
  BlockRef p = s.CacheRead({"Conv"}, BufferNamed(s, "Pad"), "shared");
  BlockRef c = s.CacheWrite({"Conv"}, BufferNamed(s, "Conv"), "register");
  EXPECT_EQ(w.name, "W_shared");
  EXPECT_EQ(BufferNamed(s, "Conv_register").scope(), "register");
  LoopRef channel = s.GetLoops({"Conv"})[0];
  s.ComputeAt(w, channel);
  s.ReverseComputeAt(c, channel);
  ExpectSameResult(f, s);
  ExpectIllegal(
      s, [&] { s.CacheRead({"Conv"}, BufferNamed(s, "X"), "shared"); }, "TW1413", "does not read X");
  ExpectIllegal(
      s, [&] { s.CacheWrite({"Conv"}, BufferNamed(s, "Out"), "shared"); }, "TW1413", "does not write");
  ExpectIllegal(s, [&] { s.SetScope({"Out"}, 0, "shared"); }, "TW1414", "parameter");
  s.SetScope(p, 0, "global");
  EXPECT_EQ(s.Get(p).writes[0].buffer.scope(), "global");
  ExpectSameResult(f, s);
}

TEST(Cache, WriteAfterDecompositionAtTheTop) {
  const PrimFunc f = MatmulRelu(4, 4, 4);
  Schedule s(f);
  s.DecomposeReduction({"C"}, s.GetLoops({"C"})[0]);
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.CacheWrite({"C"}, BufferNamed(s, "C"), "register"); }, "TW1412", "C_init");
}

TEST(RFactor, LanesOfARow) {
  const PrimFunc f = SoftmaxLike(5, 22);
  Schedule s(f);
  for (const char* name : {"Max", "Sum"}) {
    const std::vector<LoopRef> k = s.Split(s.GetLoops({name})[1], {nullptr, 4});
    const BlockRef lanes = s.RFactor({name}, k[1]);
    EXPECT_EQ(lanes.name, std::string(name) + "_rf");
    EXPECT_EQ(s.GetLoops({name}).size(), 2u);
    const std::vector<LoopRef> l = s.GetLoops(lanes);
    ASSERT_EQ(l.size(), 3u);
    s.Vectorize(l[2]);
    s.DecomposeReduction(lanes, l[1]);
    // The lanes are a reduction like any other.
    s.RFactor({name}, s.Split(s.GetLoops({name})[1], {nullptr, 2})[1]);
  }
  ExpectSameResult(f, s);
}

TEST(RFactor, TheOutermostOfSeveral) {
  const PrimFunc f = PaddedConv(4, 3, 5, 1);
  Schedule s(f);
  const std::vector<LoopRef> l = s.GetLoops({"Conv"});
  s.Reorder({l[3], l[0]});
  const BlockRef chains = s.RFactor({"Conv"}, l[3]);
  s.Parallel(s.GetLoops(chains).front());
  ExpectSameResult(f, s);
}

TEST(RFactor, Illegal) {
  const PrimFunc f = MatmulRelu(4, 4, 6);
  Schedule s(f);
  const std::vector<LoopRef> l = s.GetLoops({"C"});
  ExpectIllegal(s, [&] { s.RFactor({"C"}, l[1]); }, "TW1415", "does not reduce");
  ExpectIllegal(s, [&] { s.RFactor({"D"}, s.GetLoops({"D"})[0]); }, "TW1415", "no reduction");
  ExpectIllegal(s, [&] { s.RFactor({"C"}, s.GetLoops({"D"})[0]); }, "TW1412", "not around");
  s.DecomposeReduction({"C"}, l[2]);
  ExpectIllegal(s, [&] { s.RFactor({"C"}, l[2]); }, "TW1415", "no reduction");
  Schedule fused(f);
  const std::vector<LoopRef> m = fused.GetLoops({"C"});
  const LoopRef both = fused.Fuse({m[1], m[2]});
  ExpectIllegal(fused, [&] { fused.RFactor({"C"}, both); }, "TW1415", "spatial and reduces at once");
}

TEST(RFactor, PartsOfASumAreNoSum) {
  const PrimFunc f = PaddedConv(4, 3, 5, 1);
  Schedule s(f);
  const LoopRef channel = s.GetLoops({"Conv"})[3];
  s.LoopPartition(s.GetLoops({"Conv"})[4], {Expr(1)});
  ExpectIllegal(s, [&] { s.RFactor({"Conv_p0"}, channel); }, "TW1412", "may write the same elements of Conv");
  // Parts of the result are sums of their own.
  Schedule rows(f);
  rows.LoopPartition(rows.GetLoops({"Conv"})[1], {Expr(2)});
  rows.RFactor({"Conv_p1"}, rows.GetLoops({"Conv_p1"})[4]);
  ExpectSameResult(f, rows);
}

TEST(DecomposeReduction, WhatIsComputedAgainBeginsAgain) {
  // Each element of a row takes its sum for itself.
  Schedule s(SoftmaxLike(5, 6));
  const LoopRef elements = s.Fuse(s.GetLoops({"Ratio"}));
  s.ComputeAt({"Sum"}, elements);
  ExpectIllegal(s, [&] { s.DecomposeReduction({"Sum"}, elements); }, "TW1415", "computed anew");
  s.DecomposeReduction({"Sum"}, s.GetLoops({"Sum"})[1]);
  ExpectSameResult(SoftmaxLike(5, 6), s);
}

TEST(DecomposeReduction, Illegal) {
  Schedule s(MatmulRelu(4, 4, 4));
  std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[1]});
  ExpectIllegal(s, [&] { s.DecomposeReduction({"C"}, l[1]); }, "TW1415", "lies outside");
  ExpectIllegal(s, [&] { s.DecomposeReduction({"D"}, s.GetLoops({"D"})[0]); }, "TW1415", "no initialisation");
  ExpectIllegal(s, [&] { s.DecomposeReduction({"C"}, s.GetLoops({"D"})[0]); }, "TW1412", "not around");
}

TEST(DecomposePadding, FillsAndCopies) {
  const PrimFunc f = PaddedConv(2, 3, 6, 1);
  for (size_t at : {0, 1, 2}) {
    Schedule s(f);
    std::vector<LoopRef> l = s.GetLoops({"Pad"});
    s.DecomposePadding({"Pad"}, l[at]);
    EXPECT_EQ(AsInt(s.Get(s.GetLoops({"Pad"})[2]).extent), 6);
    ExpectSameResult(f, s);
  }
  Schedule s(f);
  std::vector<LoopRef> h = s.Split(s.GetLoops({"Conv"})[1], {nullptr, 4});
  s.Reorder({h[0], s.GetLoops({"Conv"})[0]});
  s.ComputeAt({"Pad"}, h[0]);
  s.DecomposePadding({"Pad"}, s.GetLoops({"Pad"})[1]);
  s.Parallel(h[0]);
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.DecomposePadding({"Out"}, s.GetLoops({"Out"})[0]); }, "TW1417", "does not pad");
}

TEST(TransformLayout, ParametersAndIntermediates) {
  for (int64_t n : {32, 40}) {
    const PrimFunc f = MatmulRelu(6, n, 5);
    Schedule s(f);
    Var k("k"), j("j"), p("p"), q("q");
    s.TransformLayout(s.func()->buffers[1], {k, j}, {FloorDiv(j, 16), k, FloorMod(j, 16)}, n % 16 != 0);
    s.TransformLayout(BufferNamed(s, "C"), {p, q}, {FloorDiv(q, 16), p * Expr(16) + FloorMod(q, 16)}, true);
    ASSERT_EQ(s.prepare().size(), 1u);
    ExpectSameResult(f, s);
  }
  Schedule s(MatmulRelu(6, 40, 5));
  Var k("k"), j("j");
  const Buffer b = s.func()->buffers[1], d = s.func()->buffers[2];
  ExpectIllegal(
      s, [&] { s.TransformLayout(b, {k, j}, {FloorDiv(j, 16), k, FloorMod(j, 16)}); }, "TW1420",
      "more elements");
  ExpectIllegal(s, [&] { s.TransformLayout(b, {k, j}, {FloorDiv(j, 16), k}); }, "TW1420", "do not tell");
  ExpectIllegal(s, [&] { s.TransformLayout(b, {k, j}, {k + j, k}); }, "TW1420", "");
  ExpectIllegal(s, [&] { s.TransformLayout(b, {k, j}, {k * Expr(2), j}); }, "TW1420", "gaps");
  ExpectIllegal(s, [&] { s.TransformLayout(d, {k, j}, {j, k}); }, "TW1414", "output");
}

TEST(MoveToPrepare, WhatFollowsFromAParameterIsPrepared) {
  // B is doubled before it is multiplied.
  te::Tensor a = te::Placeholder("A", kF32, {4, 8}), b = te::Placeholder("B", kF32, {8, 6});
  te::Tensor twice =
      te::Compute("Twice", {6, 8}, [&](auto& i) { return b({i[1], i[0]}) * MakeConst(kF32, 2.0); });
  te::Tensor c = te::Compute("C", {4, 6}, [&](auto& i) {
    IterVar k = te::ReduceAxis(8, "k");
    return te::Sum(a({i[0], k.var}) * twice({i[1], k.var}), {k});
  });
  te::Tensor d = te::Compute("D", {4, 6}, [&](auto& i) { return c(i) + a({i[0], i[1]}); });
  const PrimFunc f = te::CreatePrimFunc("f", {a, b}, {d});
  Schedule s(f);
  Var n("n"), k("k");
  s.TransformLayout(BufferNamed(s, "Twice"), {n, k}, {FloorDiv(n, 3), k, FloorMod(n, 3)});
  s.MoveToPrepare({"Twice"});
  EXPECT_FALSE(s.Exists({"Twice"}));
  EXPECT_EQ(s.func()->buffers[1].shape().size(), 3u) << "the parameter is what the block made";
  ASSERT_EQ(s.prepare().size(), 1u);
  EXPECT_EQ(s.prepare()[0].buffer_index, 1);
  ExpectSameResult(f, s);
  Schedule t(f);
  ExpectIllegal(t, [&] { t.MoveToPrepare({"C"}); }, "TW1413", "one parameter");
  ExpectIllegal(t, [&] { t.MoveToPrepare({"D"}); }, "TW1413", "one parameter");
  t.TransformLayout(t.func()->buffers[1], {n, k}, {k, n});
  ExpectIllegal(t, [&] { t.MoveToPrepare({"Twice"}); }, "TW1414", "prepared already");
  // A is read by others too.
  te::Tensor e = te::Compute("E", {4, 8}, [&](auto& i) { return a(i) * MakeConst(kF32, 2.0); });
  te::Tensor g = te::Compute("G", {4, 8}, [&](auto& i) { return e(i) + a(i); });
  Schedule u(te::CreatePrimFunc("g", {a}, {g}));
  ExpectIllegal(u, [&] { u.MoveToPrepare({"E"}); }, "TW1412", "shares a buffer");
}

TEST(PadAxis, TilesCoverTheAxisWithoutPredicates) {
  const PrimFunc f = MatmulRelu(13, 16, 5);
  Schedule s(f);
  s.PadAxis({"C"}, s.GetLoops({"C"})[0], 4);
  EXPECT_EQ(AsInt(s.Get(s.GetLoops({"C"})[0]).extent), 16);
  ExpectSameResult(f, s);
  std::vector<LoopRef> i = s.Split(s.GetLoops({"D"})[0], {nullptr, 4});
  s.ComputeAt({"C"}, i[0]);
  EXPECT_FALSE(s.Get(BlockRef{"C"}).predicate) << "a tile of C is always whole";
  ExpectSameResult(f, s);
  Schedule t(f);
  ExpectIllegal(t, [&] { t.PadAxis({"D"}, t.GetLoops({"D"})[0], 4); }, "TW1414", "parameter");
  ExpectIllegal(t, [&] { t.PadAxis({"C"}, t.GetLoops({"C"})[2], 4); }, "TW1416", "does not alone run");
}

TEST(Prefetch, ChangesNoValue) {
  const PrimFunc f = MatmulRelu(6, 40, 5);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[1]});
  s.Prefetch({"C"}, s.func()->buffers[1], l[2], 2, 1);
  ASSERT_TRUE(s.Exists({"B_prefetch"}));
  EXPECT_EQ(AsInt(s.Get(s.GetLoops({"B_prefetch"}).back()).extent), 3);
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.Prefetch({"C"}, s.func()->buffers[1], l[2], 0, 1); }, "TW1422", "distance 0");
}

TEST(Prefetch, SpreadsARunOverAnInnerLoop) {
  const PrimFunc f = MatmulRelu(6, 40, 5);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[0], l[1]});
  const Buffer b = s.func()->buffers[1];
  s.PrefetchSpread({"C"}, b, l[2], l[0], 2);
  ASSERT_TRUE(s.Exists({"B_prefetch"}));
  EXPECT_EQ(s.GetLoops({"B_prefetch"}).size(), 2u) << "one request in each iteration of the inner loop";
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.PrefetchSpread({"C"}, b, l[0], l[2], 2); }, "TW1422", "must be inside");
}

TEST(Prefetch, SpreadsARunOverMoreIterationsThanElements) {
  const PrimFunc f = MatmulRelu(60, 4, 3);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[0], l[1]});
  s.PrefetchSpread({"C"}, s.func()->buffers[1], l[2], l[0], 2);
  ExpectSameResult(f, s);  // verifies that positions are within the buffer
}

TEST(Tiles, BlockizeAReduction) {
  const PrimFunc f = MatmulRelu(13, 8, 12);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  std::vector<LoopRef> i = s.Split(l[0], {nullptr, 4}), j = s.Split(l[1], {nullptr, 4}),
                       k = s.Split(l[2], {nullptr, 3});
  s.Reorder({i[0], j[0], k[0], i[1], j[1], k[1]});
  BlockRef outer = s.Blockize(i[1]);
  EXPECT_EQ(s.GetLoops(outer).size(), 3u);
  EXPECT_EQ(s.GetLoops({"C"}).size(), 3u);
  ExpectSameResult(f, s);
  s.Parallel(s.GetLoops(outer)[0]);
  s.Reorder({k[0], j[0]});
  ExpectSameResult(f, s);
  Schedule t(f);
  std::vector<LoopRef> d = t.GetLoops({"D"});
  LoopRef fused = t.Fuse({d[0], d[1]});
  std::vector<LoopRef> parts = t.Split(fused, {nullptr, 5});
  ExpectIllegal(t, [&] { t.Blockize(parts[1]); }, "TW1416", "no tile");
}

/// C = A B with A unsigned and B signed bytes, B stored by columns.
PrimFunc QuantizedMatmul(int64_t m, int64_t n, int64_t k) {
  te::Tensor a = te::Placeholder("A", kU8, {m, k}), b = te::Placeholder("B", kI8, {n, k});
  IterVar r = te::ReduceAxis(k, "k");
  te::Tensor c = te::Compute("C", {m, n}, [&](auto& i) {
    return te::Sum(MakeCast(kI32, a({i[0], r.var})) * MakeCast(kI32, b({i[1], r.var})), {r});
  });
  return te::CreatePrimFunc("quantized", {a, b}, {c});
}

TEST(Tiles, TensorizeADotProduct) {
  const PrimFunc f = QuantizedMatmul(3, 5, 12);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  std::vector<LoopRef> k = s.Split(l[2], {nullptr, 4});
  s.Tensorize(k[1], "dot_u8s8_i32");
  ExpectSameResult(f, s);
  Schedule t(f);
  std::vector<LoopRef> three = t.Split(t.GetLoops({"C"})[2], {nullptr, 3});
  ExpectIllegal(t, [&] { t.Tensorize(three[1], "dot_u8s8_i32"); }, "TW1419", "does not run 4 times");
  ExpectIllegal(
      t, [&] { t.Tensorize(three[1], "dot"); }, "TW1418", "known are: clear_16x16, dot_bf16_f32x16");
  Schedule m(MatmulRelu(4, 4, 4));
  ExpectIllegal(m, [&] { m.Tensorize(m.GetLoops({"C"})[2], "dot_u8s8_i32"); }, "TW1419", "is not");
}

}  // namespace
}  // namespace tilewright
