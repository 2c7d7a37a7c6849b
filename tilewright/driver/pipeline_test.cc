// SPDX-License-Identifier: Apache-2.0
// Whole compilations of small graphs, run in this process and compared with direct evaluation.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tilewright/driver/compile.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/support/file.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

NDArray Random(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 rng(seed);
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  for (float& x : a.mutable_as<float>()) x = std::uniform_real_distribution<float>(-1, 1)(rng);
  return a;
}

Value Input(const std::string& name, const NDArray& like) {
  TensorType t{like.dtype(), {}, {}, "", "global"};
  for (int64_t d : like.shape()) t.shape.push_back(Expr(d));
  return Value(name, t, name);
}

Attrs AttrsOf(const std::string& op, const Annotations& map) {
  return OpRegistry::Get(op)->attrs.from_map(map);
}

CompileOptions Checked() {
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  return options;
}

void ExpectNear(const NDArray& found, const std::vector<double>& expected, double tolerance) {
  ASSERT_EQ(found.size(), int64_t(expected.size()));
  double worst = 0;
  for (int64_t i = 0; i < found.size(); ++i)
    worst = std::max(worst, std::abs(found.AsDouble(i) - expected[size_t(i)]));
  EXPECT_LT(worst, tolerance);
}

/// relu(x w + b).
std::vector<double> Dense(const std::vector<double>& x, const NDArray& w, const NDArray& b, bool relu) {
  const int64_t k = w.shape()[0], n = w.shape()[1], m = int64_t(x.size()) / k;
  std::vector<double> y(size_t(m * n));
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double sum = b.AsDouble(j);
      for (int64_t d = 0; d < k; ++d) sum += x[size_t(i * k + d)] * w.AsDouble(d * n + j);
      y[size_t(i * n + j)] = relu ? std::max(sum, 0.0) : sum;
    }
  }
  return y;
}

TEST(Pipeline, MlpAgreesWithDirectEvaluation) {
  const NDArray x = Random({4, 48}, 1), w1 = Random({48, 96}, 2), b1 = Random({96}, 3),
                w2 = Random({96, 10}, 4), b2 = Random({10}, 5);
  std::vector<Value> params = {Input("x", x), Input("w1", w1), Input("b1", b1), Input("w2", w2),
                               Input("b2", b2)};
  GraphBuilder g;
  Value h = g.Call1(
      "Relu",
      {g.Call1("Add", {g.Call1("MatMul", {params[0], params[1]}, AttrsOf("MatMul", {})), params[2]})});
  Value y = g.Call1("Add", {g.Call1("MatMul", {h, params[3]}, AttrsOf("MatMul", {})), params[4]});
  const IRModule module = MainModule(params, g, {y});
  const CompiledModel model =
      CompileModel(module, {{"w1", w1}, {"b1", b1}, {"w2", w2}, {"b2", b2}}, Checked());
  EXPECT_EQ(model.program.instructions.size(), 2u) << "bias and activation belong to the products' kernels";
  const std::vector<double> expected = Dense(Dense(x.ToDoubles(), w1, b1, true), w2, b2, false);
  ExpectNear(RunModule(LoadInProcess(model), {x}).at(0), expected, 1e-4);

  const TemporaryFile file(".so");
  WriteSharedLibrary(model, file.path());
  ExpectNear(RunModule(runtime::Module::Load(file.path()), {x}).at(0), expected, 1e-4);
}

/// Convolution with padding, NCHW, in double.
std::vector<double> Conv(const NDArray& x, const NDArray& w, int stride, int pad, int groups) {
  const int64_t c = x.shape()[1], h = x.shape()[2], ww = x.shape()[3], o = w.shape()[0], cg = w.shape()[1],
                kh = w.shape()[2], kw = w.shape()[3];
  const int64_t oh = (h + 2 * pad - kh) / stride + 1, ow = (ww + 2 * pad - kw) / stride + 1;
  std::vector<double> y(size_t(o * oh * ow));
  for (int64_t f = 0; f < o; ++f) {
    const int64_t first = f / (o / groups) * cg;
    for (int64_t i = 0; i < oh * ow; ++i) {
      double sum = 0;
      for (int64_t d = 0; d < cg * kh * kw; ++d) {
        const int64_t ch = d / (kh * kw), r = i / ow * stride + d / kw % kh - pad,
                      s = i % ow * stride + d % kw - pad;
        if (r < 0 || s < 0 || r >= h || s >= ww) continue;
        sum += x.AsDouble(((first + ch) % c * h + r) * ww + s) *
               w.AsDouble((f * cg + ch) * kh * kw + d % (kh * kw));
      }
      y[size_t(f * oh * ow + i)] = sum;
    }
  }
  return y;
}

/// Every element of an operator's result on these inputs is `expected`.
void ExpectAll(const std::string& op, const Annotations& attrs, const std::vector<NDArray>& inputs,
               double expected) {
  std::vector<Value> params;
  for (const NDArray& input : inputs) params.push_back(Input(fmt::format("x{}", params.size()), input));
  GraphBuilder g;
  Value y = g.Call1(op, params, AttrsOf(op, attrs));
  const CompiledModel model = CompileModel(MainModule(params, g, {y}), {}, Checked());
  const NDArray found = RunModule(LoadInProcess(model), inputs).at(0);
  ASSERT_GT(found.size(), 0) << op;
  for (int64_t i = 0; i < found.size(); ++i) EXPECT_EQ(found.AsDouble(i), expected) << op;
}

TEST(Pipeline, ReductionsOverNothingGiveTheirIdentity) {
  auto empty = [](std::vector<int64_t> shape) { return NDArray::Empty(kF32, std::move(shape)); };
  ExpectAll("MatMul", {}, {empty({4, 0}), empty({0, 20})}, 0);
  const std::vector<int64_t> ones{1, 1}, border{1, 1, 1, 1};
  ExpectAll("Conv", {{"strides", ones}, {"dilations", ones}, {"pads", border}, {"groups", int64_t(1)}},
            {empty({1, 0, 8, 8}), empty({16, 0, 3, 3})}, 0);
  ExpectAll("ReduceSum", {{"axes", std::vector<int64_t>{1}}}, {empty({3, 0, 5})}, 0);
  ExpectAll("ReduceMax", {{"axes", std::vector<int64_t>{1}}}, {empty({3, 0, 5})}, -INFINITY);
}

struct ConvCase {
  int64_t channels, filters, size, kernel;
  int stride, pad, groups;
};

class ConvPipeline : public testing::TestWithParam<ConvCase> {};

TEST_P(ConvPipeline, AgreesWithDirectEvaluation) {
  const ConvCase p = GetParam();
  const NDArray x = Random({1, p.channels, p.size, p.size}, 1);
  const NDArray w = Random({p.filters, p.channels / p.groups, p.kernel, p.kernel}, 2);
  std::vector<Value> params = {Input("x", x), Input("w", w)};
  GraphBuilder g;
  const Annotations attrs = {{"strides", std::vector<int64_t>{p.stride, p.stride}},
                             {"dilations", std::vector<int64_t>{1, 1}},
                             {"pads", std::vector<int64_t>{p.pad, p.pad, p.pad, p.pad}},
                             {"groups", int64_t(p.groups)}};
  Value y = g.Call1("Relu", {g.Call1("Conv", {params[0], params[1], nullptr}, AttrsOf("Conv", attrs))});
  const CompiledModel model = CompileModel(MainModule(params, g, {y}), {{"w", w}}, Checked());
  std::vector<double> expected = Conv(x, w, p.stride, p.pad, p.groups);
  for (double& v : expected) v = std::max(v, 0.0);
  ExpectNear(RunModule(LoadInProcess(model), {x}).at(0), expected, 1e-4);
}

INSTANTIATE_TEST_SUITE_P(Shapes, ConvPipeline,
                         testing::Values(ConvCase{3, 32, 32, 3, 2, 1, 1}, ConvCase{32, 64, 14, 1, 1, 0, 1},
                                         ConvCase{32, 32, 14, 3, 1, 1, 1}, ConvCase{64, 48, 13, 3, 2, 1, 1},
                                         ConvCase{32, 32, 14, 3, 1, 1, 32}, ConvCase{48, 48, 15, 5, 2, 2, 48},
                                         ConvCase{32, 64, 10, 3, 1, 1, 2}, ConvCase{24, 40, 9, 3, 1, 1, 1},
                                         ConvCase{5, 7, 9, 3, 1, 1, 1}, ConvCase{16, 16, 31, 3, 1, 0, 1}));

}  // namespace
}  // namespace tilewright
