// SPDX-License-Identifier: Apache-2.0
// Split, SplitNearEqual, Fuse, Reorder, LoopPartition and the kinds of loops.
#include "tilewright/schedule/test_workloads.h"

namespace tilewright {
namespace {

TEST(Loops, SplitWithPredicateAndNested) {
  const PrimFunc f = MatmulRelu(13, 8, 16);
  Schedule s(f);
  BlockRef c = s.GetBlock("C");
  std::vector<LoopRef> l = s.GetLoops(c);
  ASSERT_EQ(l.size(), 3u);
  std::vector<LoopRef> i = s.Split(l[0], {nullptr, 4});
  EXPECT_EQ(AsInt(s.Get(i[0]).extent), 4);
  ASSERT_TRUE(s.Get(c).predicate);
  s.Split(i[1], {nullptr, 3});
  std::vector<LoopRef> k = s.Split(l[2], {2, nullptr, 4});
  EXPECT_EQ(AsInt(s.Get(k[1]).extent), 2);
  EXPECT_EQ(s.GetLoops(c).size(), 7u);
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.Split(k[0], {}); }, "TW1404", "no factors");
  ExpectIllegal(s, [&] { s.Split(k[0], {nullptr, nullptr}); }, "TW1404", "more than one");
  ExpectIllegal(s, [&] { s.Split(k[0], {nullptr, 0}); }, "TW1404", "positive");
  ExpectIllegal(s, [&] { s.Split(k[1], {1, 1}); }, "TW1404", "less than the extent");
  ExpectIllegal(s, [&] { s.Split(l[0], {nullptr, 4}); }, "TW1403", "no loop 'i0'");
  ExpectIllegal(s, [&] { s.GetBlock("E"); }, "TW1401", "C, D");
}

TEST(Loops, TrivialFactorsStayAsLoops) {
  const PrimFunc f = MatmulRelu(5, 6, 7);
  Schedule s(f);
  BlockRef d = s.GetBlock("D");
  std::vector<LoopRef> l = s.GetLoops(d);
  s.Split(l[0], {1, nullptr, 1});
  s.Split(l[1], {nullptr, 16});
  EXPECT_EQ(s.GetLoops(d).size(), 5u);
  ExpectSameResult(f, s);
}

TEST(Loops, NearEqualPartsAreIndependentAndPartition) {
  for (int64_t parts : {1, 2, 3, 4, 7, 29, 40}) {
    const PrimFunc f = MatmulRelu(29, 4, 3);
    Schedule s(f);
    std::vector<LoopRef> i = s.SplitNearEqual(s.GetLoops({"D"})[0], parts);
    std::vector<LoopRef> r = s.SplitNearEqual(s.GetLoops({"C"})[2], 2);
    const int64_t rest = 29 % parts;
    if (rest != 0) {
      std::vector<LoopRef> p = s.LoopPartition(i[0], {rest});
      EXPECT_EQ(AsInt(s.Get(s.GetLoops({"D_p1"})[1]).extent), 29 / parts);
      // With more parts than iterations those of the second loop are empty.
      s.Parallel(parts < 29 ? p[1] : p[0]);
    } else {
      s.Parallel(i[0]);
    }
    s.LoopPartition(r[0], {1});
    ExpectSameResult(f, s);
  }
  Schedule s(MatmulRelu(29, 4, 3));
  s.Parallel(s.SplitNearEqual(s.GetLoops({"D"})[0], 4)[0]);
  LoopRef j = s.GetLoops({"D"})[2];
  ExpectIllegal(s, [&] { s.SplitNearEqual(j, 0); }, "TW1404", "0 parts");
  ExpectIllegal(s, [&] { s.LoopPartition(j, {5}); }, "TW1404", "5 is not known to be at most 4");
}

TEST(Loops, FuseAndSplitAcross) {
  const PrimFunc f = MatmulRelu(6, 10, 4);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  LoopRef f1 = s.Fuse({l[0], l[1]});
  std::vector<LoopRef> parts = s.Split(f1, {nullptr, 7});
  LoopRef f2 = s.Fuse({parts[1], l[2]});
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.Parallel(f2); }, "TW1407", "reduces");
  s.Parallel(parts[0]);
  ExpectSameResult(f, s);
  ExpectIllegal(s, [&] { s.Fuse({f2, parts[0]}); }, "TW1406", "directly nested");
  LoopRef d0 = s.GetLoops({"D"})[0], d1 = s.GetLoops({"D"})[1];
  ExpectIllegal(s, [&] { s.Fuse({d1, d0}); }, "TW1406", "directly nested");
  std::vector<LoopRef> uneven = s.SplitNearEqual(d0, 4);
  ExpectIllegal(s, [&] { s.Fuse(uneven); }, "TW1409", "depend");
}

TEST(Loops, ParallelLoopsStayIndependent) {
  // The rows of a part depend on the part, and so does what is told from row and depth as one number.
  Schedule s(MatmulRelu(5, 4, 3));
  std::vector<LoopRef> l = s.GetLoops({"C"});
  const std::vector<LoopRef> rows = s.SplitNearEqual(l[0], 2);
  s.Parallel(rows[0]);
  s.Reorder({l[2], rows[1]});
  s.Reorder({rows[1], l[1]});
  ExpectIllegal(s, [&] { s.Fuse({l[2], rows[1]}); }, "TW1407", "reduces");
  const PrimFunc f = MatmulRelu(5, 4, 3);
  Schedule spatial(f);
  l = spatial.GetLoops({"C"});
  const std::vector<LoopRef> parts = spatial.SplitNearEqual(l[0], 2);
  spatial.Parallel(parts[0]);
  spatial.Fuse({l[1], spatial.SplitNearEqual(l[2], 2)[0]});
  spatial.SplitNearEqual(parts[1], 2);
  ExpectSameResult(f, spatial);
}

TEST(Loops, Reorder) {
  const PrimFunc f = MatmulRelu(6, 10, 4);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  s.Reorder({l[2], l[0]});
  EXPECT_EQ(s.GetLoops({"C"})[0], l[2]);
  EXPECT_EQ(s.GetLoops({"C"})[1], l[1]);
  ExpectSameResult(f, s);
  LoopRef d0 = s.GetLoops({"D"})[0];
  ExpectIllegal(s, [&] { s.Reorder({l[0], d0}); }, "TW1406", "one chain");
  ExpectIllegal(s, [&] { s.Reorder({l[0], l[0]}); }, "TW1406", "twice");
  std::vector<LoopRef> uneven = s.SplitNearEqual(d0, 4);
  ExpectIllegal(s, [&] { s.Reorder({uneven[1], uneven[0]}); }, "TW1409", "depend");
}

TEST(Loops, OpaqueLoopsKeepTheirOrder) {
  PrimFunc f = MatmulRelu(4, 4, 4);
  // The same nest with an opaque variable in place of the reduction.
  Stmt body = PostOrderRewrite(f->body, [](const Stmt& st) {
    auto* block = st.As<BlockNode>();
    if (!block || block->name != "C") return st;
    BlockNode copy = *block;
    copy.iter_vars[2].kind = IterKind::kOpaque;
    copy.init = nullptr;
    copy.reads.insert(copy.reads.end(), copy.writes.begin(), copy.writes.end());
    return MakeBlock(std::move(copy));
  });
  Schedule s(f.WithBody(body));
  std::vector<LoopRef> l = s.GetLoops({"C"});
  ExpectIllegal(s, [&] { s.Reorder({l[2], l[1]}); }, "TW1407", "order");
  ExpectIllegal(s, [&] { s.Vectorize(l[2]); }, "TW1407", "has an order");
  s.Reorder({l[1], l[0]});
}

TEST(Loops, KindsOfLoops) {
  const PrimFunc f = MatmulRelu(13, 8, 16);
  Schedule s(f);
  std::vector<LoopRef> l = s.GetLoops({"C"});
  ExpectIllegal(s, [&] { s.Parallel(l[2]); }, "TW1407", "for r2 in 0..16 {\n        ^");
  ExpectIllegal(s, [&] { s.Vectorize(l[2]); }, "TW1407", "reduces");
  s.Unroll(l[2]);
  s.Parallel(l[0]);
  s.Vectorize(l[1]);
  ExpectIllegal(s, [&] { s.Split(l[0], {nullptr, 2}); }, "TW1405", "parallel already");
  std::vector<LoopRef> d = s.GetLoops({"D"});
  s.Bind(d[0], "blockIdx.x");
  ExpectIllegal(s, [&] { s.Bind(d[1], "blockIdx.x"); }, "TW1405", "bound by loop 'i0' around already");
  s.Bind(d[1], "threadIdx.x");
  s.Annotate(BlockRef{"D"}, "note", std::string("x"));
  EXPECT_TRUE(s.Get(BlockRef{"D"}).annotations.contains("note"));
  ExpectSameResult(f, s);
}

TEST(Loops, VectorizeNeedsAConstantExtent) {
  Var n = Var::Symbol("n", 1, 1000);
  te::Tensor x = te::Placeholder("X", kF32, {n, n});
  te::Tensor y = te::Compute("Y", {n, n}, [&](auto& i) { return x(i) + x(i); });
  Schedule s(te::CreatePrimFunc("twice", {x}, {y}));
  std::vector<LoopRef> l = s.GetLoops({"Y"});
  ExpectIllegal(s, [&] { s.Vectorize(l[1]); }, "TW1408", "not constant");
  ExpectIllegal(s, [&] { s.Unroll(l[1]); }, "TW1408", "not constant");
  LoopRef all = s.Fuse({l[0], l[1]});
  std::vector<LoopRef> parts = s.Split(all, {nullptr, 16});
  s.Vectorize(parts[1]);
  s.Parallel(parts[0]);
  EXPECT_TRUE(VerifyScheduled(s.func()).empty());
}

}  // namespace
}  // namespace tilewright
