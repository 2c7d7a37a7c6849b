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

// The weight is what a convolution packs, not whichever argument is constant.
TEST(Results, ConvolutionOfAConstantImage) {
  auto small_integers = [](const TestIndex& shape) {
    NDArray a = NDArray::Empty(kF32, shape);
    for (int64_t i = 0; i < a.size(); ++i) a.SetDouble(i, double(i % 11) - 5);  // sums are exact in any order
    return a;
  };
  const NDArray image = small_integers({4, 3, 8, 5}), filters = small_integers({6, 3, 1, 1});
  auto run = [&](bool constant) {
    Value x = TestValue("x", kF32, {4, 3, 8, 5}), w = TestValue("w", kF32, {6, 3, 1, 1});
    GraphBuilder g;
    const OpDef* conv = OpRegistry::Get("Conv");
    Attrs attrs = conv->attrs.from_map({{"strides", std::vector<int64_t>{2, 2}},
                                        {"dilations", std::vector<int64_t>{1, 1}},
                                        {"pads", std::vector<int64_t>{0, 0, 0, 0}}});
    const Value y = g.CallOp(conv, {constant ? g.Constant(image) : x, w}, attrs).front();
    if (constant) return CompileAndRun({w}, g, {y}, {filters})[0].ToDoubles();
    return CompileAndRun({x, w}, g, {y}, {image, filters})[0].ToDoubles();
  };
  EXPECT_EQ(run(true), run(false));
}

}  // namespace
}  // namespace tilewright
