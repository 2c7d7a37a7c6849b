// SPDX-License-Identifier: Apache-2.0
// Binding of parameters, removal of what is unused or computed twice, and folding of constants.
#include <gtest/gtest.h>

#include "tilewright/transform/bind_parameters.h"
#include "tilewright/transform/eliminate_common.h"
#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/fold_constants.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

bool SameMain(const IRModule& a, const IRModule& b) { return GetGraphFunction(a) == GetGraphFunction(b); }

// ---- BindParameters

TEST(BindParameters, MakesConstantsOfThoseThatAreGiven) {
  TestModule m;
  Value x = m.Input({2, 3}), w = m.Input({3, 4});
  const IRModule module = m.Finish({m.Call("MatMul", {x, w})});
  const NDArray weight = RandomArray(kF32, {3, 4}, 1);
  const IRModule bound = BindParameters(module, {{"x1", weight}, {"nobody", weight}});
  VerifyAll(bound);
  const GraphFunction f = GetGraphFunction(bound);
  EXPECT_THAT(f->params, ElementsAre(x));
  ASSERT_TRUE(f->body.bindings[0].operation.As<ConstantNode>());
  EXPECT_TRUE(f->body.bindings[0].operation.As<ConstantNode>()->data == weight);
  const NDArray input = RandomArray(kF32, {2, 3}, 2);
  EXPECT_TRUE(Interpret(f, {input})[0] == Interpret(GetGraphFunction(module), {input, weight})[0]);
  EXPECT_TRUE(SameMain(BindParameters(module, {}), module));
}

TEST(BindParameters, RefusesValuesOfAnotherType) {
  TestModule m;
  Value x = m.Input({2, 3});
  const IRModule module = m.Finish({x});
  auto expect = [&](const NDArray& value, const std::string& found) {
    try {
      BindParameters(module, {{"x0", value}});
      ADD_FAILURE() << found;
    } catch (const Error& e) {
      EXPECT_EQ(e.id(), "TW2202");
      EXPECT_THAT(e.what(), HasSubstr("parameter 'x0'"));
      EXPECT_THAT(e.what(), HasSubstr(found));
    }
  };
  expect(NDArray::Zeros(kF32, {3, 2}), "found f32[3, 2]");
  expect(NDArray::Zeros(kF64, {2, 3}), "found f64[2, 3]");
  expect(NDArray::Zeros(kF32, {6}), "found f32[6]");
}

// ---- EliminateDeadCode

TEST(EliminateDeadCode, DropsWhatNobodyUses) {
  TestModule m;
  Value x = m.Input({4}), used = m.Call("Relu", {x});
  m.Call("Exp", {m.Call("Neg", {used})});
  m.RandomConstant({3}, 1);
  const IRModule module = m.Finish({used});
  const IRModule after = ApplyPass(module, EliminateDeadCode);
  EXPECT_EQ(BindingsOf(after).size(), 1u);
}

TEST(EliminateDeadCode, KeepsABindingForOneOfItsResults) {
  TestModule m;
  std::vector<Value> top = m.CallAll("TopK", {m.Input({9})}, {{"k", Expr(2)}});
  const IRModule module = m.Finish({top[1]});
  EXPECT_TRUE(SameMain(ApplyPass(module, EliminateDeadCode), module));
}

TEST(EliminateDeadCode, SeesUsesInBranches) {
  TestModule m;
  Value c = m.Input({}, kBool), x = m.Input({4}), y = m.Call("Relu", {x});
  GraphBuilder yes;
  Value z = yes.Call1("Neg", {y});
  GraphBlock no;
  no.results = {x};
  std::vector<Value> r = m.builder().Bind(MakeGraphIf(c, yes.Finish({z}), no), {x->type});
  const IRModule module = m.Finish(r);
  EXPECT_TRUE(SameMain(ApplyPass(module, EliminateDeadCode), module));
}

// ---- EliminateCommonSubexpressions

TEST(EliminateCommonSubexpressions, MergesChains) {
  TestModule m;
  Value x = m.Input({4});
  Value a = m.Call("Exp", {m.Call("Relu", {x})}), b = m.Call("Exp", {m.Call("Relu", {x})});
  const IRModule after = ApplyPass(m.Finish({m.Call("Add", {a, b}), a, b}), EliminateCommonSubexpressions);
  EXPECT_EQ(CountCalls(after, "Relu"), 1);
  EXPECT_EQ(CountCalls(after, "Exp"), 1);
  const std::vector<Value>& results = GetGraphFunction(after)->body.results;
  EXPECT_EQ(results[1], results[2]);
}

TEST(EliminateCommonSubexpressions, MergesOperatorsOfSeveralResults) {
  TestModule m;
  Value x = m.Input({9});
  std::vector<Value> a = m.CallAll("TopK", {x}, {{"k", Expr(2)}}),
                     b = m.CallAll("TopK", {x}, {{"k", Expr(2)}});
  const IRModule after = ApplyPass(m.Finish({a[0], b[1]}), EliminateCommonSubexpressions);
  EXPECT_EQ(CountCalls(after, "TopK"), 1);
}

TEST(EliminateCommonSubexpressions, KeepsWhatDiffers) {
  TestModule m;
  Value x = m.Input({4, 4}), y = m.Input({4, 4});
  const std::vector<Value> results = {
      m.Call("Sub", {x, y}),
      m.Call("Sub", {y, x}),
      m.Call("Softmax", {x}, {{"axis", int64_t(0)}}),
      m.Call("Softmax", {x}, {{"axis", int64_t(1)}}),
      m.Call("LeakyRelu", {x}, {{"alpha", 0.5}}),
      m.Call("LeakyRelu", {x}, {{"alpha", 0.25}}),
      m.Call("Full", {}, {{"shape", std::vector<Expr>{Expr(2)}}, {"value", 1.0}}),
      m.Call("Full", {}, {{"shape", std::vector<Expr>{Expr(2)}}, {"value", 2.0}}),
      m.Call("Pad", {x, nullptr}, {{"begin", std::vector<Expr>{1, 1}}, {"end", std::vector<Expr>{0, 0}}}),
      m.Call("Pad", {x, m.RandomConstant({}, 1)},
             {{"begin", std::vector<Expr>{1, 1}}, {"end", std::vector<Expr>{0, 0}}}),
  };
  const IRModule module = m.Finish(results);
  EXPECT_TRUE(SameMain(ApplyPass(module, EliminateCommonSubexpressions), module));
}

TEST(EliminateCommonSubexpressions, ConstantsAreEqualByBits) {
  TestModule m;
  auto constant = [&](DataType t, std::vector<int64_t> shape, std::vector<double> v) {
    return m.Constant(NDArray::FromDoubles(t, std::move(shape), v));
  };
  const double nan = std::nan("");
  std::vector<Value> results = {
      constant(kF32, {2}, {nan, 1}), constant(kF32, {2}, {nan, 1}), constant(kF32, {2, 1}, {nan, 1}),
      constant(kF32, {1}, {0.0}),    constant(kF32, {1}, {-0.0}),   constant(kI32, {1}, {0}),
  };
  const IRModule after = EliminateCommonSubexpressions(m.Finish(results));
  VerifyAll(after);
  EXPECT_EQ(BindingsOf(after).size(), 5u);
  const std::vector<Value>& r = GetGraphFunction(after)->body.results;
  EXPECT_EQ(r[0], r[1]);
}

// ---- FoldConstants

struct CountingEvaluator {
  int calls = 0;
  ConstantEvaluator operator()() {
    return [this](const GraphFunction& f) {
      ++calls;
      EXPECT_TRUE(f->params.empty());
      return Interpret(f, {});
    };
  }
};

TEST(FoldConstants, EvaluatesWhatDependsOnConstantsAlone) {
  TestModule m;
  Value x = m.Input({3}), a = m.RandomConstant({3}, 1), b = m.RandomConstant({3}, 2);
  Value sum = m.Call("Add", {a, b}), product = m.Call("Mul", {sum, b}), y = m.Call("Add", {x, product});
  const IRModule module = m.Finish({y, sum});
  CountingEvaluator evaluator;
  const IRModule after =
      ApplyPass(module, [&](const IRModule& in) { return FoldConstants(in, evaluator()); });
  EXPECT_EQ(evaluator.calls, 1) << "all in one call, and nothing is left for a second pass";
  EXPECT_EQ(CountCalls(after, "Mul"), 0);
  EXPECT_EQ(CountCalls(after, "Add"), 1);
}

TEST(FoldConstants, KeepsOneResultOfSeveral) {
  TestModule m;
  Value c = m.RandomConstant({9}, 1);
  std::vector<Value> top = m.CallAll("TopK", {c}, {{"k", Expr(3)}});
  const IRModule module = m.Finish({top[1], m.Input({2})});
  CountingEvaluator evaluator;
  const IRModule after =
      ApplyPass(module, [&](const IRModule& in) { return FoldConstants(in, evaluator()); });
  EXPECT_EQ(CountCalls(after, "TopK"), 0);
}

TEST(FoldConstants, LeavesWhatWouldGrow) {
  TestModule m;
  Value c = m.RandomConstant({1}, 1);
  Value big = m.Call("Expand", {c}, {{"shape", std::vector<Expr>{Expr(64)}}});
  const IRModule module = m.Finish({m.Call("Add", {big, m.Input({64})})});
  CountingEvaluator evaluator;
  EXPECT_TRUE(SameMain(FoldConstants(module, evaluator(), 64), module));
  EXPECT_EQ(evaluator.calls, 0);
  EXPECT_EQ(CountCalls(FoldConstants(module, evaluator(), 256), "Expand"), 0);
}

TEST(FoldConstants, AChainThatDoublesEnds) {
  TestModule m;
  Value v = m.RandomConstant({4}, 1);
  for (int i = 0; i < 40; ++i) v = m.Call("Concat", {v, m.Call("Neg", {v})}, {{"axis", int64_t{0}}});
  CountingEvaluator evaluator;
  const IRModule after = FoldConstants(m.Finish({v}), evaluator(), 1024);
  EXPECT_EQ(evaluator.calls, 1);
  EXPECT_EQ(CountCalls(after, "Concat"), 34) << "6 doublings make 1 KiB of 16 bytes";
}

TEST(FoldConstants, ManyResultsEndToo) {
  TestModule m;
  Value c = m.RandomConstant({64}, 1);
  std::vector<Value> results;
  for (int i = 0; i < 100; ++i) results.push_back(m.Call("Neg", {c}));
  CountingEvaluator evaluator;
  EXPECT_EQ(CountCalls(FoldConstants(m.Finish(results), evaluator(), 0), "Neg"), 100 - 32);
}

TEST(FoldConstants, OperatorsWithoutArgumentsAreConstant) {
  TestModule m;
  Value full = m.Call("Full", {}, {{"shape", std::vector<Expr>{Expr(3)}}, {"value", 2.0}});
  CountingEvaluator evaluator;
  const IRModule after =
      ApplyPass(m.Finish({full}), [&](const IRModule& in) { return FoldConstants(in, evaluator()); });
  EXPECT_EQ(CountCalls(after, "Full"), 0);
}

TEST(FoldConstants, LeavesInputsAlone) {
  TestModule m;
  const IRModule module = m.Finish({m.Call("Relu", {m.Input({3})})});
  CountingEvaluator evaluator;
  EXPECT_TRUE(SameMain(FoldConstants(module, evaluator()), module));
  EXPECT_EQ(evaluator.calls, 0);
}

}  // namespace
}  // namespace tilewright
