// SPDX-License-Identifier: Apache-2.0
// Symbolic dimensions: one compilation serves every size, and sizes that cannot agree are refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tilewright/arith/eval.h"
#include "tilewright/driver/compile.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/plan_memory.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/context.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

using runtime::ShapeExpr;

std::shared_ptr<const runtime::Module> Compile(const IRModule& module) {
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  options.max_error = 0;  // so that sums of integers are exact whatever the algorithm could be
  return LoadInProcess(CompileModel(module, {}, options));
}

void Give(runtime::Context& context, size_t input, std::vector<int64_t> shape, std::vector<float> data) {
  context.SetInputShape(input, shape);
  context.SetInput(input, data.data(), data.size() * sizeof(float));
}

std::vector<float> Ramp(int64_t n) {
  std::vector<float> data;
  for (int64_t i = 0; i < n; ++i) data.push_back(float(i % 13) - 6);
  return data;
}

std::span<const float> FloatsOf(const runtime::TensorView& view) {
  return {static_cast<const float*>(view.data), view.bytes / sizeof(float)};
}

void CheckProductForEveryNumberOfRows(int64_t columns) {
  constexpr int64_t kDepth = 24;
  const Var rows = Var::Symbol("rows", 0);
  GraphBuilder g;
  const Value x("x", TensorType{kF32, {rows, Expr(kDepth)}}, "x");
  const std::vector<float> weights = Ramp(kDepth * columns);
  const Value w = g.Constant(
      NDArray::FromDoubles(kF32, {kDepth, columns}, std::vector<double>(weights.begin(), weights.end())));
  const Value product = g.Call1("MatMul", {x, w}, OpRegistry::Get("MatMul")->attrs.from_map({}));
  const auto module = Compile(MainModule({x}, g, {g.Call1("Relu", {product})}));
  ASSERT_EQ(module->program().symbols.size(), 1u);
  runtime::Context context(module, {.num_threads = 2});
  uint64_t most = 0;
  for (int64_t n : {3, 100, 1, 2, 0, 29, 53, 100}) {
    const std::vector<float> data = Ramp(n * kDepth);
    Give(context, 0, {n, kDepth}, data);
    context.Run();
    ASSERT_EQ(context.Output(0).shape[0], n);
    const std::span<const float> y = FloatsOf(context.Output(0));
    for (int64_t i = 0; i < n; ++i) {
      for (int64_t j = 0; j < columns; ++j) {
        float sum = 0;  // integers, exact in any order
        for (int64_t k = 0; k < kDepth; ++k)
          sum += data[size_t(i * kDepth + k)] * weights[size_t(k * columns + j)];
        ASSERT_EQ(y[size_t(i * columns + j)], std::max(sum, 0.0f))
            << n << " rows of " << columns << ", at " << i << ", " << j;
      }
    }
    if (n == 100 && most == 0) most = context.MemoryBytes();
  }
  EXPECT_EQ(context.MemoryBytes(), most) << "memory grew after the largest size had been seen";
}

TEST(Dynamic, OneProductServesEveryNumberOfRows) {
  for (int64_t columns : {48, 1, 2, 5, 16, 35}) CheckProductForEveryNumberOfRows(columns);
}

/// Relu of a padded 3x3 convolution of 16 to 32 channels over images 6 high and `width` wide.
IRModule ConvModule(const Expr& width, int64_t stride) {
  GraphBuilder g;
  const Value x("x", TensorType{kF32, {Expr(1), Expr(16), Expr(6), width}}, "x");
  const std::vector<float> weights = Ramp(32 * 16 * 9);
  const Value w = g.Constant(
      NDArray::FromDoubles(kF32, {32, 16, 3, 3}, std::vector<double>(weights.begin(), weights.end())));
  const OpDef* conv = OpRegistry::Get("Conv");
  const Attrs attrs = conv->attrs.from_map({{"strides", std::vector<int64_t>{1, stride}},
                                            {"dilations", std::vector<int64_t>{1, 1}},
                                            {"pads", std::vector<int64_t>{1, 1, 1, 1}}});
  return MainModule({x}, g, {g.Call1("Relu", {g.CallOp(conv, {x, w}, attrs).front()})});
}

TEST(Dynamic, ElementWiseWorkHasOpenAxesAnywhere) {
  const Var n = Var::Symbol("n", 0), m = Var::Symbol("m", 1);
  const Expr half = FloorDiv(n + 1, Expr(2));
  const std::vector<std::vector<Expr>> shapes = {{n},          {n, 5},   {3, n}, {2, 32, half, 12},
                                                 {m, 2, n, 3}, {2, n, m}};
  for (const std::vector<Expr>& shape : shapes) {
    GraphBuilder g;
    std::vector<Value> inputs = {{"size", TensorType{kF32, {n, m}}, "size"},
                                 {"x", TensorType{kF32, shape}, "x"}};
    const auto module = Compile(MainModule(inputs, g, {g.Call1("Relu", {inputs[1]})}));
    runtime::Context context(module, {.num_threads = 2});
    for (auto [wide, high] : std::vector<std::pair<int64_t, int64_t>>{{1, 1}, {33, 2}, {700, 40}, {0, 1}}) {
      std::vector<int64_t> extents;
      int64_t elements = 1;
      for (const Expr& e : shape) {
        extents.push_back(*EvalInt(e, {{n, wide}, {m, high}}));
        elements *= extents.back();
      }
      const std::vector<float> data = Ramp(elements), size = Ramp(wide * high);
      Give(context, 1, extents, data);
      Give(context, 0, {wide, high}, size);
      context.Run();
      const std::span<const float> y = FloatsOf(context.Output(0));
      ASSERT_EQ(int64_t(y.size()), elements);
      for (int64_t i = 0; i < elements; ++i) ASSERT_EQ(y[size_t(i)], std::max(data[size_t(i)], 0.0f));
    }
  }
}

TEST(Dynamic, ExtentsMayBeComputedFromThoseOfLaterInputs) {
  const Var n = Var::Symbol("n", 1);
  GraphBuilder g;
  std::vector<Value> inputs = {{"twice", TensorType{kF32, {n * Expr(2)}}, "twice"},
                               {"once", TensorType{kF32, {n}}, "once"}};
  const auto module =
      Compile(MainModule(inputs, g, {g.Call1("Relu", {inputs[0]}), g.Call1("Relu", {inputs[1]})}));
  runtime::Context context(module, {.num_threads = 1});
  for (int64_t size : {5, 2}) {
    Give(context, 0, {2 * size}, Ramp(2 * size));
    Give(context, 1, {size}, Ramp(size));
    context.Run();
    EXPECT_EQ(context.Output(0).shape[0], 2 * size);
  }
  Give(context, 1, {3}, Ramp(3));
  EXPECT_THROW(context.Run(), std::runtime_error);
}

TEST(Dynamic, OneConvolutionServesEveryWidth) {
  for (int64_t stride : {1, 2}) {
    const auto open = Compile(ConvModule(Var::Symbol("width", 1), stride));
    runtime::Context context(open, {.num_threads = 2});
    for (int64_t width : {14, 1, 5, 57, 28}) {
      const std::vector<float> data = Ramp(16 * 6 * width);
      Give(context, 0, {1, 16, 6, width}, data);
      context.Run();
      runtime::Context fixed(Compile(ConvModule(Expr(width), stride)), {.num_threads = 1});
      fixed.SetInput(0, data.data(), data.size() * sizeof(float));
      fixed.Run();
      const std::span<const float> found = FloatsOf(context.Output(0)), expected = FloatsOf(fixed.Output(0));
      // Sums of small integers are exact in any order.
      EXPECT_TRUE(std::equal(found.begin(), found.end(), expected.begin(), expected.end())) << width;
    }
  }
}

TEST(Dynamic, ExtentsThatMustAgreeAreCheckedAtRunTime) {
  const Var n = Var::Symbol("n", 1), m = Var::Symbol("m", 1);
  GraphBuilder g;
  const Value a("a", TensorType{kF32, {n}}, "a"), b("b", TensorType{kF32, {m}}, "b");
  const auto module = Compile(MainModule({a, b}, g, {g.Call1("Add", {a, b}, {}, "sum_node")}));
  runtime::Context context(module, {.num_threads = 1});
  Give(context, 0, {5}, Ramp(5));
  Give(context, 1, {5}, Ramp(5));
  context.Run();
  EXPECT_EQ(FloatsOf(context.Output(0))[4], 2 * Ramp(5)[4]);
  Give(context, 1, {4}, Ramp(4));
  try {
    context.Run();
    FAIL() << "extents of 5 and 4 were added";
  } catch (const std::exception& e) {
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("sum_node"), testing::HasSubstr("n is 5"),
                                         testing::HasSubstr("m is 4")));
  }
}

TEST(Dynamic, ConstantsAreSeenThroughSymbolicShapes) {
  const Var n = Var::Symbol("n", 1);
  GraphBuilder g;
  const Value x("x", TensorType{kF32, {Expr(2), n}}, "x");
  const Value c = g.Constant(NDArray::FromDoubles(kF32, {3}, std::vector<double>{10, 20, 30}));
  const Attrs shape = OpRegistry::Get("Reshape")->attrs.from_map({{"shape", std::vector<Expr>{1, n}}});
  const Value row = g.CallOp(OpRegistry::Get("Reshape"), {c}, shape, "row_node").front();
  const auto module = Compile(MainModule({x}, g, {g.Call1("Add", {x, row})}));
  runtime::Context context(module, {.num_threads = 1});
  Give(context, 0, {2, 3}, {1, 2, 3, 4, 5, 6});
  context.Run();
  EXPECT_THAT(FloatsOf(context.Output(0)), testing::ElementsAre(11, 22, 33, 14, 25, 36));
  Give(context, 0, {2, 4}, Ramp(8));
  try {
    context.Run();
    FAIL() << "a constant of 3 elements was read as 4";
  } catch (const std::exception& e) {
    EXPECT_THAT(e.what(), testing::AllOf(testing::HasSubstr("row_node"), testing::HasSubstr("n is 4")));
  }
}

TEST(Dynamic, SlotsAreSharedByWhatDoesNotLiveTogether) {
  const ShapeExpr n = ShapeExpr::Symbol(0);
  const SlotPlan plan =
      PlanSlots({{n * 4, 256, 0, 1}, {n * 4, 256, 1, 2}, {n * 6, 384, 2, 3}, {n * 400, 25600, 3, 4}});
  ASSERT_EQ(plan.bytes.size(), 3u);
  EXPECT_NE(plan.slots[0], plan.slots[1]) << "both live in step 1";
  EXPECT_EQ(plan.slots[0], plan.slots[2]);
  EXPECT_NE(plan.slots[3], plan.slots[1]) << "a hundred times as large";
  EXPECT_EQ(plan.bytes[plan.slots[0]].Evaluate(std::vector<int64_t>{10}), 60) << "the larger of the two";
}

}  // namespace
}  // namespace tilewright
