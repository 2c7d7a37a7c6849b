// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/fuse_ops.h"

#include <gtest/gtest.h>

#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::UnorderedElementsAre;

/// The groups that @main calls, in order, as operator names joined by spaces.
std::vector<std::string> GroupsOf(const IRModule& module) {
  std::vector<std::string> groups;
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<FunctionCallNode>();
    if (!call) continue;
    const GraphFunction f = GetGraphFunction(module, call->callee);
    EXPECT_TRUE(std::get<bool>(f->attrs.at("primitive")));
    std::string names;
    for (const Binding& inner : f->body.bindings) {
      auto* op = inner.operation.As<OpCallNode>();
      EXPECT_TRUE(op) << "a fused function holds operator calls only";
      names += (names.empty() ? "" : " ") + op->op->name;
    }
    groups.push_back(names);
  }
  return groups;
}

std::vector<std::string> Fused(TestModule& m, std::vector<Value> results) {
  const IRModule module = m.Finish(std::move(results));
  const IRModule after = ApplyPass(module, FuseOps);
  for (const Binding& b : BindingsOf(after)) EXPECT_FALSE(b.operation.As<OpCallNode>());
  return GroupsOf(after);
}

TEST(FuseOps, JoinsThatAreWrittenInPlaceStayAlone) {
  auto groups = [](std::vector<int64_t> shape, bool made) {
    TestModule m;
    Value x = m.Input(shape), y = m.Input(shape);
    if (made) x = m.Call("Exp", {x}), y = m.Call("Neg", {y});
    return Fused(m, {m.Call("Relu", {m.Call("Concat", {x, y}, {{"axis", int64_t(1)}})})});
  };
  EXPECT_THAT(groups({1, 4, 16}, true), UnorderedElementsAre("Exp", "Neg", "Concat", "Relu"));
  EXPECT_THAT(groups({1, 4, 16}, false), ElementsAre("Concat Relu")) << "inputs lie elsewhere";
  EXPECT_THAT(groups({2, 4, 16}, true), UnorderedElementsAre("Neg", "Exp Concat Relu")) << "strided";
  EXPECT_THAT(groups({1, 3, 5}, true), UnorderedElementsAre("Neg", "Exp Concat Relu")) << "not aligned";
}

TEST(FuseOps, WorkThatMeetsAgainJoinsAsAWhole) {
  auto product = [](TestModule& m) {
    return m.Call("MatMul", {m.Input({4, 8}), m.RandomConstant({8, 6}, 1)});
  };
  {
    TestModule m;
    Value x = m.Call("Add", {product(m), m.RandomConstant({6}, 2)});
    Value gate = m.Call("Mul", {x, m.Call("Sigmoid", {x})});
    EXPECT_THAT(Fused(m, {m.Call("Relu", {gate})}), ElementsAre("MatMul Add Sigmoid Mul Relu"));
  }
  {
    TestModule m;  // twice in a row, and both arguments at once
    Value x = product(m);
    Value y = m.Call("Mul", {x, x});
    EXPECT_THAT(Fused(m, {m.Call("Sub", {m.Call("Exp", {y}), y})}), ElementsAre("MatMul Mul Exp Sub"));
  }
  {
    TestModule m;  // x is a result too
    Value x = product(m);
    EXPECT_THAT(Fused(m, {x, m.Call("Mul", {x, m.Call("Sigmoid", {x})})}),
                ElementsAre("MatMul", "Sigmoid Mul"));
  }
  {
    TestModule m;  // between x and where it meets, others read the work
    Value x = product(m), gate = m.Call("Sigmoid", {x});
    EXPECT_THAT(Fused(m, {gate, m.Call("Mul", {x, gate})}), ElementsAre("MatMul", "Sigmoid", "Mul"));
  }
  {
    TestModule m;  // one way leads through a product
    Value x = product(m);
    EXPECT_THAT(Fused(m, {m.Call("Add", {x, m.Call("MatMul", {x, m.RandomConstant({6, 6}, 3)})})}),
                ElementsAre("MatMul", "MatMul Add"));
  }
}

TEST(FuseOps, EpiloguesJoinHeavyOperators) {
  TestModule m;
  Value x = m.Input({4, 8}), residual = m.Input({4, 6});
  Value y = m.Call("MatMul", {x, m.RandomConstant({8, 6}, 1)});
  y = m.Call("Relu", {m.Call("Add", {m.Call("Add", {y, m.RandomConstant({6}, 2)}), residual})});
  EXPECT_THAT(Fused(m, {y}), ElementsAre("MatMul Add Add Relu"));
}

TEST(FuseOps, LongChainsAreCut) {
  TestModule m;
  Value y = m.Input({4});
  for (int i = 0; i < 200; ++i) y = m.Call("Neg", {y});
  EXPECT_EQ(Fused(m, {y}).size(), 4u);
}

TEST(FuseOps, AnEpilogueOfAnotherShapeStartsAnew) {
  TestModule m;
  Value y = m.Call("MatMul", {m.Input({4, 8}), m.Input({8, 6})});
  Value wide = m.Call("Add", {y, m.Input({3, 4, 6})});
  Value turned = m.Call("Transpose", {wide}, {{"perm", std::vector<int64_t>{2, 0, 1}}});
  EXPECT_THAT(Fused(m, {turned}), ElementsAre("MatMul", "Add Transpose"));
}

TEST(FuseOps, AValueThatTwoReadStaysAValue) {
  TestModule m;
  Value y = m.Call("Relu", {m.Input({4})});
  EXPECT_THAT(Fused(m, {m.Call("Exp", {y}), m.Call("Neg", {y})}), ElementsAre("Relu", "Exp", "Neg"));
}

TEST(FuseOps, AValueReadTwiceByAReductionStaysAValue) {
  TestModule m;
  Value y = m.Call("Exp", {m.Input({4, 4})});
  EXPECT_THAT(Fused(m, {m.Call("MatMul", {y, y})}), ElementsAre("Exp", "MatMul"));
}

TEST(FuseOps, AResultOfMainStaysAValue) {
  TestModule m;
  Value y = m.Call("Relu", {m.Input({4})}), z = m.Call("Exp", {y});
  EXPECT_THAT(Fused(m, {y, z}), ElementsAre("Relu", "Exp"));
}

TEST(FuseOps, ReductionsTakeProducersAndConsumers) {
  TestModule m;
  Value x = m.Call("Exp", {m.Call("Transpose", {m.Input({4, 6})}, {{"perm", std::vector<int64_t>{1, 0}}})});
  Value sum = m.Call("ReduceSum", {x}, {{"axes", std::vector<int64_t>{1}}});
  EXPECT_THAT(Fused(m, {m.Call("Sqrt", {sum})}), ElementsAre("Transpose Exp ReduceSum Sqrt"));
}

TEST(FuseOps, PlainProducersAreJoined) {
  TestModule m;
  Value a = m.Call("Exp", {m.Input({4})}), b = m.Call("Sqrt", {m.Call("Neg", {m.Input({4})})});
  EXPECT_THAT(Fused(m, {m.Call("Relu", {m.Call("Add", {a, b})})}), ElementsAre("Exp Neg Sqrt Add Relu"));
}

TEST(FuseOps, WhatIsReadForMoreElementsIsNotComputedForEach) {
  TestModule m;
  Value a = m.Call("Exp", {m.Input({8, 4})}), b = m.Call("Neg", {m.Input({4})});
  EXPECT_THAT(Fused(m, {m.Call("Add", {a, b})}), UnorderedElementsAre("Neg", "Exp Add"));
}

TEST(FuseOps, ReductionsDoNotTakePlainProducersBeside) {
  TestModule m;
  Value a = m.Call("ReduceSum", {m.Input({4, 9})}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", true}});
  Value b = m.Call("Neg", {m.Input({4, 1})});
  EXPECT_THAT(Fused(m, {m.Call("Add", {a, b})}), UnorderedElementsAre("Neg", "ReduceSum Add"));
}

TEST(FuseOps, AProducerThatTwoReadIsNotJoined) {
  TestModule m;
  Value a = m.Call("Exp", {m.Input({4})}), b = m.Call("Neg", {m.Input({4})});
  EXPECT_THAT(Fused(m, {m.Call("Add", {a, b}), b}), UnorderedElementsAre("Neg", "Exp Add"));
}

TEST(FuseOps, SeveralResultsAndOpaqueOperatorsStandAlone) {
  TestModule m;
  std::vector<Value> top = m.CallAll("TopK", {m.Call("Exp", {m.Input({9})})}, {{"k", Expr(3)}});
  Value sum = m.Call("CumSum", {m.Call("Neg", {top[0]})});
  EXPECT_THAT(Fused(m, {m.Call("Relu", {sum}), top[1]}), ElementsAre("Exp", "TopK", "Neg", "CumSum", "Relu"));
}

TEST(FuseOps, ConstantsStayOutside) {
  TestModule m;
  Value c = m.RandomConstant({4}, 1);
  const IRModule after = FuseOps(m.Finish({m.Call("Add", {m.Input({4}), c}), c}));
  VerifyAll(after);
  EXPECT_TRUE(BindingsOf(after)[0].operation.As<ConstantNode>());
  EXPECT_THAT(GroupsOf(after), ElementsAre("Add"));
}

TEST(FuseOps, ADetourIsNotFusedAround) {
  // Softmax stands between the two uses: the product would have to run before and behind it.
  TestModule m;
  Value y = m.Call("MatMul", {m.Input({4, 8}), m.Input({8, 6})});
  Value s = m.Call("Softmax", {y}, {{"axis", int64_t(1)}});
  EXPECT_THAT(Fused(m, {m.Call("Mul", {y, s})}), ElementsAre("MatMul", "Softmax Mul"));
}

/// (x - mean) / sqrt(variance + 1) * scale, spelled out.
Value SpelledNorm(TestModule& m, const Value& x, std::vector<int64_t> axes) {
  const Annotations reduce = {{"axes", axes}, {"keepdims", true}};
  Value d = m.Call("Sub", {x, m.Call("ReduceMean", {x}, reduce)});
  Value variance = m.Call("ReduceMean", {m.Call("Mul", {d, d})}, reduce);
  Value deviation = m.Call("Sqrt", {m.Call("Add", {variance, m.RandomConstant({1}, 1)})});
  return m.Call("Mul", {m.Call("Div", {d, deviation}), m.RandomConstant({8}, 2)});
}

TEST(FuseOps, ASpelledNormalisationIsOneGroup) {
  const std::string norm = "ReduceMean Sub Mul ReduceMean Add Sqrt Div Mul";
  TestModule m;
  Value x = m.Input({2, 4, 8});
  Value y = SpelledNorm(m, x, {2});
  Value z = m.Call("MatMul", {y, m.RandomConstant({8, 8}, 3)});
  EXPECT_THAT(Fused(m, {m.Call("Add", {z, y})}), ElementsAre(norm, "MatMul Add"));
  TestModule two;
  EXPECT_THAT(Fused(two, {SpelledNorm(two, two.Input({2, 4, 8}), {1, 2})}), ElementsAre(norm));
}

TEST(FuseOps, RowsTakeWhatMakesThem) {
  TestModule m;
  Value x = m.Call("Abs", {m.Input({4, 8})});
  Value sum = m.Call("ReduceSum", {x}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", true}});
  EXPECT_THAT(Fused(m, {m.Call("Sqrt", {sum})}), ElementsAre("Abs ReduceSum Sqrt"));
}

TEST(FuseOps, ARowGroupHasOneResult) {
  // The mean is a result too: what follows has none that stands for all.
  TestModule m;
  Value x = m.Input({4, 8});
  Value mean = m.Call("ReduceMean", {x}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", true}});
  Value d = m.Call("Relu", {m.Call("Sub", {x, mean})});
  EXPECT_THAT(Fused(m, {mean, d}), ElementsAre("ReduceMean", "Sub Relu"));
}

TEST(FuseOps, RowGroupsDoNotReachAroundOthers) {
  // The product depends on the group and is none of it; what needs both comes after.
  TestModule m;
  Value x = m.Input({8, 8});
  Value sum = m.Call("ReduceSum", {x}, {{"axes", std::vector<int64_t>{1}}, {"keepdims", true}});
  Value d = m.Call("Sub", {x, sum});
  Value p = m.Call("MatMul", {d, d});
  Value both = m.Call("Add", {m.Call("Exp", {d}), p});
  for (const std::string& group : Fused(m, {both})) {
    EXPECT_FALSE(group.starts_with("ReduceSum") && group.find("Add") != std::string::npos) << group;
  }
}

}  // namespace
}  // namespace tilewright
