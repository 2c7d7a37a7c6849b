// SPDX-License-Identifier: Apache-2.0
// Results that are equal, constant, or an input's: each is memory of its own.
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/op/test_op_case.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

TestArrays CompileAndRun(std::vector<Value> params, GraphBuilder& builder, std::vector<Value> results,
                         const TestArrays& inputs) {
  GraphFunctionNode f;
  f.name = "main";
  f.params = std::move(params);
  f.body = builder.Finish(std::move(results));
  IRModule module;
  module.Set(GraphFunction(std::move(f)));
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  return RunModule(LoadInProcess(CompileModel(module, {}, options)), inputs);
}

Value Reshaped(GraphBuilder& g, const Value& x, std::vector<Expr> shape) {
  return g.Call1("Reshape", {x}, OpRegistry::Get("Reshape")->attrs.from_map({{"shape", std::move(shape)}}));
}

const NDArray kInput = NDArray::FromDoubles(kF32, {2, 3}, std::vector<double>{1, -2, 3, -4, 5, -6});

TEST(Results, EqualValues) {
  Value x = TestValue("x", kF32, {2, 3});
  GraphBuilder g;
  Value a = g.Call1("Relu", {x}), b = g.Call1("Relu", {x});
  const TestArrays out = CompileAndRun({x}, g, {a, b, a}, {kInput});
  for (const NDArray& y : out) EXPECT_EQ(y.ToDoubles(), (std::vector<double>{1, 0, 3, 0, 5, 0}));
}

TEST(Results, ViewsOfInputsAndOfResults) {
  Value x = TestValue("x", kF32, {2, 3});
  GraphBuilder g;
  Value same = Reshaped(g, x, {2, 3}), flat = Reshaped(g, x, {6}), y = g.Call1("Relu", {x}),
        view = Reshaped(g, Reshaped(g, y, {6}), {3, 2});
  const TestArrays out = CompileAndRun({x}, g, {same, flat, y, view}, {kInput});
  EXPECT_EQ(out[0].ToDoubles(), kInput.ToDoubles());
  EXPECT_EQ(out[1].ToDoubles(), kInput.ToDoubles());
  EXPECT_EQ(out[2].ToDoubles(), out[3].ToDoubles());
  EXPECT_EQ(out[3].shape(), (TestIndex{3, 2}));
}

TEST(Results, ConstantsAndInputs) {
  Value x = TestValue("x", kF32, {2, 3});
  GraphBuilder g;
  Value c = g.Constant(kInput), folded = g.Call1("Neg", {c}), copy = g.Call1("Identity", {x});
  const TestArrays out = CompileAndRun({x}, g, {copy, g.Call1("Identity", {c}), folded, folded}, {kInput});
  EXPECT_EQ(out[0].ToDoubles(), kInput.ToDoubles());
  EXPECT_EQ(out[1].ToDoubles(), kInput.ToDoubles());
  EXPECT_EQ(out[2].AsDouble(1), 2);
  EXPECT_EQ(out[3].AsDouble(1), 2);
}

}  // namespace
}  // namespace tilewright
