// SPDX-License-Identifier: Apache-2.0
// Products in bf16, compiled, on each unit of the machine at hand that multiplies it: exact where integers
// are, near to float elsewhere, and chosen only where that is asked for and possible.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tilewright/driver/compile.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/requirements.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/cpu_features.h"
#include "tilewright/target/test_target.h"
#include "tilewright/target/tile_unit.h"

namespace tilewright {
namespace {

NDArray Integers(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 rng(seed);
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  for (float& x : a.mutable_as<float>()) x = float(int(rng() % 9) - 4);
  return a;
}

/// The machine at hand by each way that it has: the matrix unit, and dot products without it.
std::vector<Target> Machines() {
  std::vector<Target> machines;
  const Target host = Target::Host();
  if (TileUnitOf(host).registers > 0 && runtime::HostHasCpuFeature("amx-tile")) machines.push_back(host);
  if (host.has_dot_bf16) machines.push_back(WithoutTiles(host));
  for (Target& t : machines) t = CheckedWherePossible(t);
  return machines;
}

struct Case {
  std::string name;
  std::vector<int64_t> x, w;
  Annotations attrs;  ///< of a convolution; none: a product
};

Annotations Conv(int64_t stride, int64_t pad) {
  return {{"strides", std::vector<int64_t>{stride, stride}},
          {"dilations", std::vector<int64_t>{1, 1}},
          {"pads", std::vector<int64_t>(4, pad)},
          {"groups", int64_t(1)}};
}

std::vector<Case> Cases() {
  return {{"product", {64, 512}, {512, 256}, {}},
          {"odd columns", {96, 256}, {256, 333}, {}},
          {"rows in two axes", {2, 56, 384}, {384, 192}, {}},
          {"one row", {1, 2048}, {2048, 2048}, {}},
          {"pointwise", {1, 64, 28, 28}, {128, 64, 1, 1}, Conv(1, 0)},
          {"window", {1, 64, 14, 14}, {96, 64, 3, 3}, Conv(1, 1)},
          {"strided", {1, 32, 56, 56}, {64, 32, 3, 3}, Conv(2, 1)},
          {"channels in blocks of 12", {1, 24, 28, 28}, {144, 24, 1, 1}, Conv(1, 0)},
          {"two images", {2, 128, 7, 7}, {256, 128, 3, 3}, Conv(1, 1)}};
}

/// Two layers with something element-wise between, or one; x is an input, the weights are constants.
struct Compiled {
  NDArray y;
  int reduced = 0;                   ///< operators in bf16
  bool tiles = false, dots = false;  ///< whether kernels use the matrix unit, and dot products
};

Compiled CompileAndRun(const Case& c, const NDArray& x, const NDArray& w, Precision precision,
                       const Target& target) {
  std::vector<Value> params = {Like("x", x), Like("w", w)};
  GraphBuilder g;
  const bool conv = !c.attrs.empty();
  std::vector<Value> args = params;
  if (conv) args.push_back(nullptr);
  const std::string op = conv ? "Conv" : "MatMul";
  Value y = g.Call1(op, args, OpRegistry::Get(op)->attrs.from_map(c.attrs));
  y = g.Call1("Relu", {y});
  CompileOptions options;
  options.target = target;
  options.verify_each = true;
  options.max_error = 0;  // sums of integers are exact
  options.precision = precision;
  const IRModule module = MainModule(params, g, {y});
  const CompiledModel model = CompileModel(module, {{"w", w}}, options);
  Compiled result{RunModule(LoadInProcess(model), {x}, 2)[0]};
  options.stop_after = Phase::kLayout;
  const CompiledModel graph = CompileModel(module, {{"w", w}}, options);
  for (const Binding& b : GetGraphFunction(graph.module)->body.bindings) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call) continue;
    const Annotations attrs = call->attrs.ToMap();
    auto it = attrs.find("wide");
    result.reduced += it != attrs.end() && std::get<bool>(it->second);
  }
  for (const PrimFunc& kernel : model.kernels) {
    const std::string text = ToString(kernel);
    result.tiles |= text.find("instruction = \"tile\"") != std::string::npos;
    result.dots |= text.find("dot_bf16_f32(") != std::string::npos;
  }
  return result;
}

TEST(Precision, IntegersAreExact) {
  for (const Target& target : Machines()) {
    const bool tiles = TileUnitOf(target).registers > 0;
    for (const Case& c : Cases()) {
      SCOPED_TRACE(c.name + (tiles ? ", tiles" : ", dot products"));
      const NDArray x = Integers(c.x, 1), w = Integers(c.w, 2);
      const Compiled reduced = CompileAndRun(c, x, w, Precision::kBF16, target);
      EXPECT_EQ(reduced.reduced, 1);
      EXPECT_EQ(reduced.tiles, tiles);
      EXPECT_EQ(reduced.dots, !tiles);
      EXPECT_TRUE(reduced.y == CompileAndRun(c, x, w, Precision::kF32, target).y);
    }
  }
}

TEST(Precision, IsNearToFloat) {
  for (const Target& target : Machines()) {
    for (const Case& c : Cases()) {
      SCOPED_TRACE(c.name);
      const NDArray x = Normal(c.x, 1), w = Normal(c.w, 2);
      const Compiled precise = CompileAndRun(c, x, w, Precision::kF32, target);
      const Compiled reduced = CompileAndRun(c, x, w, Precision::kBF16, target);
      EXPECT_EQ(precise.reduced, 0);
      EXPECT_FALSE(precise.tiles);
      double error = 0, largest = 0;
      for (int64_t i = 0; i < precise.y.size(); ++i) {
        error = std::max(error, std::abs(precise.y.AsDouble(i) - reduced.y.AsDouble(i)));
        largest = std::max(largest, std::abs(precise.y.AsDouble(i)));
      }
      EXPECT_LE(error, 1e-2 * largest);
      EXPECT_GT(error, 0) << "nothing was rounded";
    }
  }
}

/// Filters of one tap each, so that sums stay integers that bf16 has.
NDArray OneTap(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 rng(seed);
  NDArray w = NDArray::Empty(kF32, shape);
  const std::span<float> taps = w.mutable_as<float>();
  const int64_t each = shape[1] * shape[2] * shape[3];
  for (int64_t i = 0; i < w.size(); ++i) taps[size_t(i)] = 0;
  for (int64_t o = 0; o < shape[0]; ++o)
    taps[size_t(o * each + int64_t(rng() % uint64_t(each)))] = float(rng() % 5) - 2;
  return w;
}

// The first layer stores its result as the second reads it: in bf16, with a border, and for the matrix unit
// with more channels together than it computes at once.
TEST(Precision, LayersInARowAreExact) {
  for (const Target& target : Machines()) {
    const bool tiles = TileUnitOf(target).registers > 0;
    for (int64_t pad : {0, 1}) {
      SCOPED_TRACE(pad);
      const NDArray x = Integers({1, 64, 28, 28}, 1), first = OneTap({96, 64, 3, 3}, 2);
      const NDArray second = Integers({256, 96, 1 + 2 * pad, 1 + 2 * pad}, 3);
      const std::vector<Value> params = {Like("x", x), Like("first", first), Like("second", second)};
      const OpDef* conv = OpRegistry::Get("Conv");
      GraphBuilder g;
      Value y = g.Call1("Conv", {params[0], params[1], nullptr}, conv->attrs.from_map(Conv(1, 1)));
      y = g.Call1("Relu", {y});
      y = g.Call1("Conv", {y, params[2], nullptr}, conv->attrs.from_map(Conv(1, pad)));
      const IRModule module = MainModule(params, g, {y});
      CompileOptions options;
      options.target = target;
      options.verify_each = true;
      options.max_error = 0;
      std::vector<NDArray> results;
      for (Precision precision : {Precision::kF32, Precision::kBF16}) {
        options.precision = precision;
        const CompiledModel model = CompileModel(module, {{"first", first}, {"second", second}}, options);
        results.push_back(RunModule(LoadInProcess(model), {x}, 2)[0]);
        if (precision == Precision::kF32) continue;
        EXPECT_TRUE(std::any_of(model.kernels.begin(), model.kernels.end(), [&](const PrimFunc& kernel) {
          const std::string text = ToString(kernel);
          if (!tiles)
            return text.find("dot_bf16_f32(") != std::string::npos && text.find("cast") != std::string::npos;
          return text.find("relayout") != std::string::npos &&
                 text.find("instruction = \"tile\"") != std::string::npos;
        })) << "no product stores what the next one reads";
      }
      EXPECT_TRUE(results[0] == results[1]);
    }
  }
}

TEST(Precision, WhatSavesMultiplyAddsStaysInFloat) {
  Target target = Target::Parse("x86-64-v4,features=+avx512bf16");
  target.cores = 2;
  const std::vector<Value> params = {Like("x", NDArray::Empty(kF32, {1, 128, 28, 28})),
                                     Like("w", NDArray::Empty(kF32, {128, 128, 3, 3}))};
  const OpDef* conv = OpRegistry::Get("Conv");
  CompileOptions options;
  options.target = target;
  options.precision = Precision::kBF16;
  options.stop_after = Phase::kLayout;
  for (double max_error : {0.0, kDefaultMaxError}) {
    GraphBuilder g;
    const Value y = g.Call1("Conv", {params[0], params[1], nullptr}, conv->attrs.from_map(Conv(1, 1)));
    options.max_error = max_error;
    NDArray w = Normal({128, 128, 3, 3}, 2);
    const CompiledModel model = CompileModel(MainModule(params, g, {y}), {{"w", w}}, options);
    const std::string text = ModuleText(model.module);
    EXPECT_EQ(text.find("wide = true") != std::string::npos, max_error == 0) << text;
    EXPECT_EQ(text.find("ConvWinograd") != std::string::npos, max_error > 0) << text;
  }
}

TEST(Precision, SmallProductsStayInFloat) {
  for (const Target& target : Machines()) {
    const Case small{"small", {1, 32}, {32, 10}, {}};
    EXPECT_EQ(
        CompileAndRun(small, Integers(small.x, 1), Integers(small.w, 2), Precision::kBF16, target).reduced,
        0);
  }
}

TEST(Precision, IsRefusedWhereTheTargetHasNone) {
  const Case c = Cases().front();
  try {
    CompileAndRun(c, Integers(c.x, 1), Integers(c.w, 2), Precision::kBF16, Target::Parse("x86-64-v3"));
    ADD_FAILURE() << "no error";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW3104");
    EXPECT_THAT(e.what(), testing::HasSubstr("no products of bf16"));
  }
}

TEST(Precision, FloatAsksForNoMatrixUnit) {
  const Target with = Target::Parse("x86-64-v4,features=+avx512bf16,+amx-tile,+amx-bf16");
  EXPECT_EQ(TileUnitOf(with).registers, 8);
  EXPECT_THAT(RequirementsOf(with).features, testing::Contains("amx-tile"));
  const Target without = WithoutTiles(with);
  EXPECT_THAT(RequirementsOf(without).features, testing::Not(testing::Contains("amx-tile")));
  EXPECT_THAT(RequirementsOf(without).features, testing::Contains("avx512bf16"));
  EXPECT_EQ(TileUnitOf(without).registers, 0);
}

}  // namespace
}  // namespace tilewright
