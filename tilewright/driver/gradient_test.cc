// SPDX-License-Identifier: Apache-2.0
// The gradients of operators (op/test_gradient_cases.h) against central differences in double precision:
// differentiated graphs by the interpreter, and compiled.
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/verify.h"
#include "tilewright/op/test_gradient_cases.h"
#include "tilewright/target/test_target.h"
#include "tilewright/transform/differentiate.h"

namespace tilewright {
namespace {

/// @main gives the sum of the result's elements, each times a number of its own.
IRModule LossModule(const OpCase& c) {
  GraphFunctionNode f = *CaseFunction(c);
  GraphBuilder builder;
  for (const Binding& b : f.body.bindings) builder.Append(b);
  const Value result = f.body.results[0];
  const NDArray weights =
      MakeInput({.dtype = kF64, .shape = *result.tensor().StaticShape(), .low = 0.5, .high = 1.5}, 99);
  const OpDef* sum = OpRegistry::Get("ReduceSum");
  const Value product = builder.Call1("Mul", {result, builder.Constant(weights)});
  const Value loss = builder.CallOp(sum, {product}, sum->attrs.from_map({{"keepdims", false}})).front();
  f.body = builder.Finish({loss});
  f.result_names = {"loss"};
  IRModule module;
  module.Set(GraphFunction(std::move(f)));
  return module;
}

double LossOf(const GraphFunction& f, const TestArrays& inputs) {
  return Interpret(f, inputs)[0].AsDouble(0);
}

/// The derivative by each element of an input.
std::vector<double> Differences(const GraphFunction& f, TestArrays inputs, size_t input) {
  constexpr double kStep = 1e-5;
  std::vector<double> slopes;
  NDArray& x = inputs[input] = inputs[input].Copy();
  for (int64_t i = 0; i < x.size(); ++i) {
    const double here = x.AsDouble(i);
    x.SetDouble(i, here + kStep);
    const double above = LossOf(f, inputs);
    x.SetDouble(i, here - kStep);
    slopes.push_back((above - LossOf(f, inputs)) / (2 * kStep));
    x.SetDouble(i, here);
  }
  return slopes;
}

void ExpectNear(const NDArray& found, const std::vector<double>& want, const std::string& what) {
  ASSERT_EQ(size_t(found.size()), want.size()) << what;
  // The error of the difference: curvature times the square of the step, and cancellation.
  for (size_t i = 0; i < want.size(); ++i) {
    EXPECT_NEAR(found.AsDouble(int64_t(i)), want[i], 1e-7 * std::max(1.0, std::abs(want[i])))
        << what << ", element " << i;
  }
}

class Gradient : public testing::TestWithParam<OpCase> {};

TEST_P(Gradient, AgreesWithDifferences) {
  const IRModule module = LossModule(GetParam());
  const GraphFunction before = GetGraphFunction(module);
  DifferentiateOptions options{.loss = "loss", .parameters = {}};
  std::vector<size_t> by;
  for (size_t i = 0; i < before->params.size(); ++i) {
    if (before->params[i].tensor().dtype != kF64) continue;
    by.push_back(i);
    options.parameters.push_back(before->params[i]->origin);
  }
  const IRModule differentiated = Differentiate(module, options);
  const GraphFunction after = GetGraphFunction(differentiated);
  VerifyGraph(after, differentiated);
  const TestArrays inputs = CaseInputs(GetParam());
  const TestArrays interpreted = Interpret(after, inputs);
  CompileOptions compile;
  compile.target = TestTarget();
  compile.verify_each = true;
  const TestArrays compiled = RunModule(LoadInProcess(CompileModel(differentiated, {}, compile)), inputs);
  ASSERT_EQ(interpreted.size(), 1 + by.size());
  for (size_t k = 0; k < by.size(); ++k) {
    const std::vector<double> want = Differences(before, inputs, by[k]);
    EXPECT_EQ(interpreted[k + 1].shape(), inputs[by[k]].shape());
    ExpectNear(interpreted[k + 1], want, "interpreted, by " + options.parameters[k]);
    ExpectNear(compiled[k + 1], want, "compiled, by " + options.parameters[k]);
  }
}

INSTANTIATE_TEST_SUITE_P(Elementwise, Gradient, testing::ValuesIn(ElementwiseGradientCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Reduce, Gradient, testing::ValuesIn(ReduceGradientCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Product, Gradient, testing::ValuesIn(ProductGradientCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Movement, Gradient, testing::ValuesIn(MovementGradientCases()), OpCaseName);

// ---- Through blocks

Value CallIn(GraphBuilder& g, const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
  return g.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), op).front();
}

/// h := tanh(h w + row), then in every iteration one of two branches by the row's first element; all states
/// are stacked.
IRModule RecurrentWithBranches(int64_t steps) {
  const Value xs = TestValue("xs", kF64, {Expr(steps), 1, 8}), w = TestValue("w", kF64, {8, 8}),
              h0 = TestValue("h0", kF64, {1, 8});
  GraphBuilder g, body, yes, no;
  GraphBlock block;
  block.params = {TestValue("i", kI64, {}), TestValue("go", kBool, {}), TestValue("h", kF64, {1, 8})};
  const std::vector<Value> p = block.params;
  const Value row = CallIn(body, "Row", {xs, p[0]}, {{"from_end", true}});
  Value h = CallIn(body, "Tanh", {CallIn(body, "Add", {CallIn(body, "MatMul", {p[2], w}), row})});
  const Value zero = body.Constant(NDArray::FromDoubles(kF64, {}, std::vector<double>{0}));
  const Value first = CallIn(body, "Slice", {row},
                             {{"begin", std::vector<Expr>{0, 0}},
                              {"stride", std::vector<int64_t>{1, 1}},
                              {"shape", std::vector<Expr>{1, 1}}});
  const Value flag =
      CallIn(body, "Reshape", {CallIn(body, "Less", {zero, first})}, {{"shape", std::vector<Expr>{}}});
  GraphBlock a = yes.Finish({CallIn(yes, "Sin", {h})}), b = no.Finish({CallIn(no, "Mul", {h, row})});
  h = body.Bind(MakeGraphIf(flag, std::move(a), std::move(b)), {h->type}, "branches")[0];
  block = body.Finish({p[1], h, h});
  block.params = p;
  const Value trips = g.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{steps}));
  const Type stacked = TestValue("s", kF64, {Expr(steps), 1, 8})->type;
  const std::vector<Value> r =
      g.Bind(MakeGraphLoop(trips, nullptr, {h0}, std::move(block)), {h0->type, stacked}, "loop");
  const Value all =
      CallIn(g, "Mul",
             {CallIn(g, "Exp", {r[0]}),
              CallIn(g, "ReduceSum", {r[1]}, {{"axes", std::vector<int64_t>{0}}, {"keepdims", false}})});
  GraphFunctionNode f;
  f.name = "main";
  f.params = {xs, w, h0};
  f.body = g.Finish({CallIn(g, "ReduceSum", {all}, {{"keepdims", false}})});
  f.result_names = {"loss"};
  IRModule module;
  module.Set(GraphFunction(std::move(f)));
  return module;
}

TEST(Gradients, ThroughCompiledLoopsAndBranches) {
  const IRModule module = RecurrentWithBranches(7);
  const GraphFunction before = GetGraphFunction(module);
  const IRModule after = Differentiate(module, {.loss = "loss", .parameters = {"xs", "w", "h0"}});
  VerifyGraph(GetGraphFunction(after), after);
  const TestArrays inputs = {MakeInput({kF64, {7, 1, 8}}, 1), MakeInput({kF64, {8, 8}, -0.5, 0.5}, 2),
                             MakeInput({kF64, {1, 8}}, 3)};
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  const TestArrays compiled = RunModule(LoadInProcess(CompileModel(after, {}, options)), inputs);
  for (size_t i = 0; i < inputs.size(); ++i)
    ExpectNear(compiled[i + 1], Differences(before, inputs, i), before->params[i].name());
}

/// A gradient that the cases do not name is not tested.
TEST(Gradients, NameEveryOperatorThatHasOne) {
  std::set<std::string> named;
  for (auto list :
       {ElementwiseGradientCases, ReduceGradientCases, ProductGradientCases, MovementGradientCases}) {
    for (const OpCase& c : list()) named.insert(c.op);
  }
  for (const OpDef* op : OpRegistry::All())
    EXPECT_EQ(named.contains(op->name), op->gradient != nullptr) << op->name;
}

}  // namespace
}  // namespace tilewright
