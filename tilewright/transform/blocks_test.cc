// SPDX-License-Identifier: Apache-2.0
// Passes on the blocks of Ifs and Loops.
#include <gtest/gtest.h>

#include "tilewright/target/target.h"
#include "tilewright/transform/choose_layout.h"
#include "tilewright/transform/eliminate_common.h"
#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/fold_batch_norm.h"
#include "tilewright/transform/fold_constants.h"
#include "tilewright/transform/fuse_ops.h"
#include "tilewright/transform/hoist_invariants.h"
#include "tilewright/transform/merge_views.h"
#include "tilewright/transform/separate_borders.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

Value CallIn(GraphBuilder& g, const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
  return g.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), "inner_" + op).front();
}

/// Five steps over an image: a convolution, a batch normalisation and an activation inside, with things that
/// no step needs, that every step computes alike, and that depend on nothing; then one of two branches.
IRModule Model() {
  TestModule m;
  const Value image = m.Input({1, 16, 6, 6}), go = m.Input({}, kBool), other = m.Input({1, 16, 6, 6});
  const Value trips = m.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{5}));
  const Value outside = m.RandomConstant({16, 16, 3, 3}, 1);
  GraphBlock body;
  body.params = {Value("i", TensorType{kI64, {}, {}, "", "global"}),
                 Value("go", TensorType{kBool, {}, {}, "", "global"}), Value("c", image->type)};
  const std::vector<Value> p = body.params;
  GraphBuilder g;
  const Value scale = g.Constant(RandomArray(kF32, {16}, 2)), shift = g.Constant(RandomArray(kF32, {16}, 3));
  const std::vector<int64_t> ones(2, 1);
  const Value conv = CallIn(
      g, "Conv", {p[2], outside, nullptr},
      {{"strides", ones}, {"dilations", ones}, {"pads", std::vector<int64_t>(4, 1)}, {"groups", int64_t{1}}});
  const Value normal =
      CallIn(g, "BatchNormalization", {conv, scale, shift, shift, scale}, {{"epsilon", 1e-5}});
  const Value same = CallIn(g, "Mul", {other, CallIn(g, "Exp", {other})});
  CallIn(g, "Sqrt", {same});  // nobody uses it
  const Value twice = CallIn(g, "Add", {CallIn(g, "Tanh", {normal}), CallIn(g, "Tanh", {normal})});
  const Value next = CallIn(g, "Sigmoid", {CallIn(g, "Add", {twice, same})});
  body = g.Finish({p[1], next});
  body.params = p;
  const Value last = m.builder().Bind(MakeGraphLoop(trips, nullptr, {image}, body), {image->type}, "loop")[0];

  GraphBuilder yes, no;
  const Value flat = CallIn(yes, "Reshape", {last}, {{"shape", std::vector<Expr>{576}}});
  const Value line = CallIn(yes, "Reshape", {flat}, {{"shape", std::vector<Expr>{24, 24}}});
  GraphBlock a = yes.Finish({line});
  const Value c = no.Constant(RandomArray(kF32, {24, 24}, 4));
  GraphBlock b = no.Finish({CallIn(no, "Add", {c, c})});
  return m.Finish(
      {m.builder().Bind(MakeGraphIf(go, std::move(a), std::move(b)), {line->type}, "if").front()});
}

/// Operators in all blocks, and not in fused functions.
std::map<std::string, int> Operators(const GraphBlock& block) {
  std::map<std::string, int> count;
  auto add = [&](const GraphBlock& inner) {
    for (auto& [name, n] : Operators(inner)) count["in " + name] += n;
  };
  for (const Binding& b : block.bindings) {
    if (auto* call = b.operation.As<OpCallNode>()) ++count[call->op->name];
    if (b.operation.As<ConstantNode>()) ++count["constant"];
    if (b.operation.As<FunctionCallNode>()) ++count["call"];
    if (auto* n = b.operation.As<GraphIfNode>()) add(n->then_block), add(n->else_block);
    if (auto* n = b.operation.As<GraphLoopNode>()) add(n->body);
  }
  return count;
}
std::map<std::string, int> OperatorsIn(const IRModule& m) { return Operators(GetGraphFunction(m)->body); }

std::vector<NDArray> Interpreted(const GraphFunction& f) { return Interpret(f, {}); }

TEST(Blocks, InvariantsLeaveThem) {
  const IRModule after = ApplyPass(Model(), HoistInvariants);
  auto count = OperatorsIn(after);
  EXPECT_EQ(count["in constant"], 0);
  EXPECT_EQ(count["Exp"], 1);  // of a loop that runs
  EXPECT_EQ(count["Add"], 1);  // of constants alone
  EXPECT_EQ(count["in Conv"], 1);
}

TEST(Blocks, DeadCodeGoes) {
  const IRModule after = ApplyPass(Model(), EliminateDeadCode);
  EXPECT_EQ(OperatorsIn(after)["in Sqrt"], 0);
  EXPECT_EQ(OperatorsIn(after)["in Sigmoid"], 1);
}

TEST(Blocks, CommonSubexpressionsMerge) {
  EXPECT_EQ(OperatorsIn(ApplyPass(Model(), EliminateCommonSubexpressions))["in Tanh"], 1);
}

TEST(Blocks, BatchNormalisationFolds) {
  const IRModule after = ApplyPass(Model(), FoldBatchNorm, 1e-5);
  EXPECT_EQ(OperatorsIn(after)["in BatchNormalization"], 0);
  EXPECT_EQ(OperatorsIn(EliminateDeadCode(after))["in Conv"], 1);
}

TEST(Blocks, ConstantsFold) {
  auto fold = [](const IRModule& m) { return FoldConstants(m, Interpreted); };
  EXPECT_EQ(OperatorsIn(ApplyPass(Model(), fold))["in Add"], 2);  // those of the loop
}

TEST(Blocks, ViewsMerge) { EXPECT_EQ(OperatorsIn(ApplyPass(Model(), MergeViews))["in Reshape"], 2); }

TEST(Blocks, EveryPassInOrderKeepsTheAnswer) {
  const IRModule before = Model();
  IRModule m = FoldBatchNorm(EliminateDeadCode(before));
  m = FoldConstants(HoistInvariants(m), Interpreted);
  m = EliminateDeadCode(EliminateCommonSubexpressions(MergeViews(m)));
  ExpectEquivalent(before, m, 1e-5);
  m = SeparateBorders(ChooseLayout(m, Target::Host()));
  ExpectEquivalent(before, m, 1e-5);
  m = FuseOps(m);
  ExpectEquivalent(before, m, 1e-5);
  auto count = OperatorsIn(m);
  EXPECT_EQ(count["in constant"], 0);
  EXPECT_GE(count["in call"], 2);
  for (auto& [name, n] : count) EXPECT_TRUE(n == 0 || name.ends_with("call") || name == "constant") << name;
}

}  // namespace
}  // namespace tilewright
