// SPDX-License-Identifier: Apache-2.0
// The graph level's interpreter, and the lowering of functions that it rests on.
#include "tilewright/graph/interpreter.h"

#include <gtest/gtest.h>

#include "tilewright/graph/lower_function.h"
#include "tilewright/graph/test_graph_ops.h"
#include "tilewright/tir/interpreter.h"
#include "tilewright/tir/verify.h"

namespace tilewright {
namespace {

using testing::ElementsAre;

const Var kN = Var::Symbol("n");

Attrs Factor(double factor) { return TestScale()->attrs.from_map({{"factor", factor}}); }

std::vector<std::vector<double>> Outputs(const GraphFunction& f, const std::vector<NDArray>& in,
                                         const IRModule& m = {}) {
  std::vector<std::vector<double>> out;
  for (const NDArray& a : Interpret(f, in, m)) out.push_back(a.ToDoubles());
  return out;
}

TEST(GraphInterpreter, RunsOperatorsOverSymbolicShapes) {
  Value x = TestTensor("x", {kN}), y = TestTensor("y", {kN});
  GraphBuilder b;
  Value s = b.CallOp(TestAdd(), {x, y}, {}, "").front();
  std::vector<Value> two = b.CallOp(TestNeighbours(), {s}, {}, "");
  const GraphFunction f = TestFunction({x, y}, b.Finish({two[1], s, x, s}));
  EXPECT_THAT(Outputs(f, {TestFloats({2}, {1, 2}), TestFloats({2}, {10, 20})}),
              ElementsAre(ElementsAre(10, 21), ElementsAre(11, 22), ElementsAre(1, 2), ElementsAre(11, 22)));
  EXPECT_THAT(Outputs(f, {TestFloats({1}, {1}), TestFloats({1}, {10})})[0], ElementsAre(10));
}

TEST(GraphInterpreter, AnArgumentMayComeTwiceOrNotAtAll) {
  Value x = TestTensor("x", {Expr(1)});
  GraphBuilder b;
  Value twice = b.CallOp(TestAdd(), {x, x}, {}, "").front();
  Value alone = b.CallOp(TestAdd(), {twice, nullptr}, {}, "").front();
  EXPECT_THAT(Outputs(TestFunction({x}, b.Finish({alone})), {TestFloats({1}, {3})}),
              ElementsAre(ElementsAre(6)));
}

TEST(GraphInterpreter, RefusesWhatDoesNotFit) {
  Value x = TestTensor("x", {kN, Expr(2)}), y = TestTensor("y", {kN});
  const GraphFunction f = TestFunction({x, y}, GraphBuilder().Finish({x}));
  const NDArray good = TestFloats({1, 2}, {1, 2}), one = TestFloats({1}, {1});
  ExpectGraphError([&] { Interpret(f, {good}); }, "TW2301", "takes 2 arguments, 1 are given");
  ExpectGraphError([&] { Interpret(f, {TestFloats({2, 1}, {1, 2}), one}); }, "TW2301", "parameter %x");
  ExpectGraphError([&] { Interpret(f, {one, one}); }, "TW2301", "expected f32[n, 2]");
  ExpectGraphError([&] { Interpret(f, {good, TestFloats({2}, {1, 2})}); }, "TW2301", "parameter %y");
  ExpectGraphError([&] { Interpret(f, {good, NDArray::Zeros(kI32, {1})}); }, "TW2301", "found i32[1]");
  GraphBuilder b;
  Value h = b.Bind(MakeHostCall("decode", {y}, {}), {y->type}).front();
  ExpectGraphError([&] { Interpret(TestFunction({y}, b.Finish({h})), {one}); }, "TW2302", "'decode'");
}

TEST(GraphInterpreter, TakesTheBranchOfTheCondition) {
  Value x = TestTensor("x", {Expr(1)}), c = TestTensor("c", {}, kBool);
  GraphBuilder yes, b;
  GraphBlock no;
  no.results = {x};
  Value doubled = yes.CallOp(TestScale(), {x}, Factor(2), "").front();
  Value y = b.Bind(MakeGraphIf(c, yes.Finish({doubled}), no), {x->type}).front();
  const GraphFunction f = TestFunction({x, c}, b.Finish({y}));
  auto flag = [](int64_t v) { return NDArray::FromInts(kBool, {}, std::vector<int64_t>{v}); };
  EXPECT_THAT(Outputs(f, {TestFloats({1}, {3}), flag(1)}), ElementsAre(ElementsAre(6)));
  EXPECT_THAT(Outputs(f, {TestFloats({1}, {3}), flag(0)}), ElementsAre(ElementsAre(3)));
}

/// Doubles `x` n times; also stacks what it was before each.
GraphFunction DoublingLoop(bool with_trips, bool with_condition) {
  Value n = TestTensor("n", {}, kI64), c = TestTensor("c", {}, kBool), x = TestTensor("x", {Expr(2)});
  Value i = TestTensor("i", {}, kI64), go = TestTensor("go", {}, kBool), carried = TestTensor("v", {Expr(2)});
  GraphBuilder body, b;
  Value next = body.CallOp(TestScale(), {carried}, Factor(2), "").front();
  GraphBlock block = body.Finish({go, next, carried});
  block.params = {i, go, carried};
  std::vector<Value> results =
      b.Bind(MakeGraphLoop(with_trips ? n : nullptr, with_condition ? c : nullptr, {x}, block),
             {x->type, TestTensor("", {Var::Symbol("trips"), Expr(2)})->type});
  return TestFunction({n, c, x}, b.Finish(results));
}

TEST(GraphInterpreter, LoopsCarryAndStack) {
  auto run = [](bool with_trips, bool with_condition, int64_t n, int64_t c) {
    return Interpret(DoublingLoop(with_trips, with_condition),
                     {NDArray::FromInts(kI64, {}, std::vector<int64_t>{n}),
                      NDArray::FromInts(kBool, {}, std::vector<int64_t>{c}), TestFloats({2}, {1, 3})});
  };
  std::vector<NDArray> three = run(true, false, 3, 0);
  EXPECT_THAT(three[0].ToDoubles(), ElementsAre(8, 24));
  EXPECT_THAT(three[1].shape(), ElementsAre(3, 2));
  EXPECT_THAT(three[1].ToDoubles(), ElementsAre(1, 3, 2, 6, 4, 12));
  std::vector<NDArray> none = run(true, true, 3, 0);
  EXPECT_THAT(none[0].ToDoubles(), ElementsAre(1, 3));
  EXPECT_THAT(none[1].shape(), ElementsAre(0, 2));
  EXPECT_THAT(run(true, true, 0, 1)[1].shape(), ElementsAre(0, 2));
}

TEST(GraphInterpreter, CallsFunctionsOfBothLevels) {
  Value p = TestTensor("p", {kN});
  GraphBuilder inner;
  Value doubled = inner.CallOp(TestScale(), {p}, Factor(2), "").front();
  const GraphFunction callee = TestFunction({p}, inner.Finish({doubled}), "callee");
  IRModule module;
  module.Set(callee);
  PrimFuncNode kernel = *LowerFunction(callee);
  kernel.name = "kernel";
  module.Set(PrimFunc(std::move(kernel)));
  Value x = TestTensor("x", {kN});
  GraphBuilder b;
  Value y = b.Bind(MakeFunctionCall("callee", {x}), {x->type}).front();
  Value z = b.Bind(MakeFunctionCall("kernel", {y}), {x->type}).front();
  EXPECT_THAT(Outputs(TestFunction({x}, b.Finish({z})), {TestFloats({2}, {1, 2})}, module),
              ElementsAre(ElementsAre(4, 8)));
}

// ---- LowerFunction

TEST(LowerFunction, ChainsStagesAndKeepsParametersFirst) {
  Value x = TestTensor("x", {kN}), y = TestTensor("y", {kN});
  GraphBuilder b;
  Value s = b.CallOp(TestAdd(), {x, y}, {}, "").front();
  Value d = b.CallOp(TestScale(), {s}, Factor(3), "").front();
  const PrimFunc f = LowerFunction(TestFunction({x, y}, b.Finish({d}), "chain"));
  EXPECT_EQ(f->name, "chain");
  EXPECT_EQ(f->num_outputs, 1);
  ASSERT_EQ(f->buffers.size(), 3u);
  EXPECT_EQ(f->buffers[0].name(), "x");
  ASSERT_EQ(f->dims.size(), 1u);
  EXPECT_TRUE(VerifyScheduled(f).empty());
  std::vector<NDArray> io = {TestFloats({2}, {1, 2}), TestFloats({2}, {3, 4}), NDArray::Empty(kF32, {2})};
  Interpret(f, io, std::vector<int64_t>{2});
  EXPECT_THAT(io[2].ToDoubles(), ElementsAre(12, 18));
}

TEST(LowerFunction, EveryResultHasMemoryOfItsOwn) {
  Value x = TestTensor("x", {Expr(2)});
  GraphBuilder b;
  Value s = b.CallOp(TestScale(), {x}, Factor(2), "").front();
  const PrimFunc f = LowerFunction(TestFunction({x}, b.Finish({x, s, s, x})));
  EXPECT_TRUE(VerifyScheduled(f).empty());
  ASSERT_EQ(f->buffers.size(), 5u);
  std::vector<NDArray> io = {TestFloats({2}, {1, 2})};
  for (int i = 0; i < 4; ++i) io.push_back(NDArray::Empty(kF32, {2}));
  Interpret(f, io);
  EXPECT_THAT(io[1].ToDoubles(), ElementsAre(1, 2));
  EXPECT_THAT(io[2].ToDoubles(), ElementsAre(2, 4));
  EXPECT_THAT(io[3].ToDoubles(), ElementsAre(2, 4));
  EXPECT_THAT(io[4].ToDoubles(), ElementsAre(1, 2));
}

TEST(LowerFunction, ReadsAndWritesByLayout) {
  TensorType blocked = TestTensor("", {Expr(4), Expr(3)}).tensor();
  blocked.layout = Layout::Blocked(2, 0, 2);
  Value x = TestTensor("x", {Expr(4), Expr(3)});
  GraphBuilder b;
  Value y = b.Bind(MakeOpCall(TestScale(), {x}, Factor(1)), {Type(blocked)}).front();
  const GraphFunction f = TestFunction({x}, b.Finish({y}));
  NDArray in = NDArray::Empty(kF32, {4, 3});
  for (int64_t i = 0; i < 12; ++i) in.SetInt(i, i);
  const NDArray out = Interpret(f, {in}).front();
  EXPECT_THAT(out.shape(), ElementsAre(2, 3, 2));
  EXPECT_THAT(out.ToDoubles(), ElementsAre(0, 3, 1, 4, 2, 5, 6, 9, 7, 10, 8, 11));
}

TEST(LowerFunction, RefusesOperatorsWithoutLowering) {
  Value x = TestTensor("x", {Expr(2)});
  GraphBuilder b;
  Value y = b.CallOp(TestUnlowered(), {x}, {}, "node7").front();
  const GraphFunction f = TestFunction({x}, b.Finish({y}));
  ExpectGraphError([&] { LowerFunction(f); }, "TW2201", "TestUnlowered");
  ExpectGraphError([&] { LowerFunction(f); }, "TW2201", "node7");
}

}  // namespace
}  // namespace tilewright
