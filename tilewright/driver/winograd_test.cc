// SPDX-License-Identifier: Apache-2.0
// Convolution by Winograd's algorithm, compiled: against direct evaluation in double precision, and held to
// the errors that op/winograd.h states.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "tilewright/driver/compile.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/op/winograd.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

struct Site {
  int64_t images = 1, channels, filters, height, width;
  std::vector<int64_t> pads = {1, 1, 1, 1};
  int64_t kernel = 3, stride = 1, block = 1;

  int64_t rows() const { return (height + pads[0] + pads[2] - kernel) / stride + 1; }
  int64_t columns() const { return (width + pads[1] + pads[3] - kernel) / stride + 1; }
  Annotations Conv() const {
    const std::vector<int64_t> ones = {1, 1}, strides = {stride, stride};
    return {{"strides", strides}, {"dilations", ones}, {"pads", pads}, {"groups", int64_t(1)}};
  }
  Annotations Winograd(int64_t tile) const {
    return {{"tile", tile},
            {"stride", stride},
            {"block", block},
            {"pads", std::vector<int64_t>{pads[0], pads[1]}},
            {"outputs", std::vector<int64_t>{rows(), columns()}}};
  }
};

std::vector<double> Exact(const Site& s, const NDArray& x, const NDArray& w) {
  std::vector<double> y;
  const auto xs = x.as<float>(), ws = w.as<float>();
  for (int64_t n = 0; n < s.images; ++n)
    for (int64_t o = 0; o < s.filters; ++o)
      for (int64_t r = 0; r < s.rows(); ++r)
        for (int64_t c = 0; c < s.columns(); ++c) {
          double sum = 0;
          const int64_t taps = s.kernel * s.kernel;
          for (int64_t i = 0; i < taps * s.channels; ++i) {
            const int64_t channel = i / taps, row = r * s.stride + i % taps / s.kernel - s.pads[0],
                          column = c * s.stride + i % s.kernel - s.pads[1];
            if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
            sum += double(xs[size_t(((n * s.channels + channel) * s.height + row) * s.width + column)]) *
                   double(ws[size_t(o * s.channels * taps + i)]);
          }
          y.push_back(sum);
        }
  return y;
}

/// The largest error relative to the root mean square of `exact`.
double RelativeError(const NDArray& found, const std::vector<double>& exact) {
  double worst = 0, squares = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    worst = std::max(worst, std::abs(found.AsDouble(int64_t(i)) - exact[i]));
    squares += exact[i] * exact[i];
  }
  return worst / std::sqrt(squares / double(exact.size()));
}

CompileOptions Checked(double max_error = kDefaultMaxError) {
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  options.max_error = max_error;
  return options;
}

/// What the layout phase makes of convolutions, each of an input of its own, with constant weights.
std::string Chosen(const std::vector<Site>& sites, double max_error, bool constant = true) {
  std::vector<Value> params, results;
  std::map<std::string, NDArray> weights;
  GraphBuilder g;
  for (const Site& s : sites) {
    const std::string x = fmt::format("x{}", results.size()), w = fmt::format("w{}", results.size());
    params.push_back(Like(x, NDArray::Empty(kF32, {s.images, s.channels, s.height, s.width})));
    const NDArray filters = NDArray::Empty(kF32, {s.filters, s.channels, s.kernel, s.kernel});
    params.push_back(Like(w, filters));
    if (constant) weights[w] = filters;
    results.push_back(g.Call1("Conv", {params.end()[-2], params.back(), nullptr},
                              OpRegistry::Get("Conv")->attrs.from_map(s.Conv())));
  }
  CompileOptions options = Checked(max_error);
  options.target = Target::Parse("x86-64-v4");
  options.stop_after = Phase::kLayout;
  const CompiledModel model = CompileModel(MainModule(params, g, results), weights, options);
  std::string chosen;
  for (const Binding& b : GetGraphFunction(model.module)->body.bindings) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || !call->op->name.starts_with("Conv")) continue;
    chosen += (chosen.empty() ? "" : " ") + call->op->name;
    const Annotations attrs = call->attrs.ToMap();
    if (auto it = attrs.find("tile"); it != attrs.end())
      chosen += ToString(Expr(std::get<int64_t>(it->second)));
  }
  return chosen;
}

TEST(Winograd, IsChosenWhereItIsFasterAndAllowed) {
  const Site large{.channels = 64, .filters = 64, .height = 56, .width = 56};
  EXPECT_EQ(Chosen({large}, kDefaultMaxError), "ConvWinograd4");
  EXPECT_EQ(Chosen({large}, kDefaultMaxError, false), "Conv")
      << "filters are transformed by the compiler or not";
  EXPECT_EQ(Chosen({large}, 0), "Conv") << "nothing that approximates";
  EXPECT_EQ(Chosen({large}, WinogradError(2, 3, 64)), "ConvWinograd2") << "the next that states less";
  // All constants together may grow by half, or by what the second level of cache holds.
  EXPECT_EQ(Chosen({{.channels = 512, .filters = 512, .height = 14, .width = 14}}, kDefaultMaxError), "Conv");
}

TEST(Winograd, IsChosenForOtherWindows) {
  Site site{.channels = 64, .filters = 64, .height = 56, .width = 56, .pads = {2, 2, 2, 2}, .kernel = 5};
  EXPECT_EQ(Chosen({site}, kDefaultMaxError), "ConvWinograd2");
  site = {.channels = 3,
          .filters = 64,
          .height = 224,
          .width = 224,
          .pads = {3, 3, 3, 3},
          .kernel = 7,
          .stride = 2};
  EXPECT_EQ(Chosen({site}, kDefaultMaxError), "ConvWinograd3");
  site.stride = 1;
  EXPECT_EQ(Chosen({site}, kDefaultMaxError), "Conv") << "no points for seven taps";
}

TEST(Winograd, MemoryGoesWhereItGainsMost) {
  const Site early{.channels = 64, .filters = 64, .height = 56, .width = 56},
      late{.channels = 128, .filters = 128, .height = 14, .width = 14};
  EXPECT_EQ(Chosen({early}, kDefaultMaxError), "ConvWinograd4");
  EXPECT_EQ(Chosen({early, late}, kDefaultMaxError), "ConvWinograd4 ConvWinograd2")
      << "both with the larger tile would add 2.2 MB, and the second level of cache holds 1";
}

struct TransformCase {
  Site site;
  int64_t tile;
  bool constant = true, residual = false;
};

void PrintTo(const TransformCase& c, std::ostream* out) {
  *out << c.site.images << "x" << c.site.channels << "x" << c.site.height << "x" << c.site.width << " to "
       << c.site.filters << ", kernel " << c.site.kernel << " stride " << c.site.stride << ", by " << c.tile
       << (c.constant ? "" : ", filters not constant") << (c.residual ? ", residual" : "");
}

/// A model as the choice of layouts leaves it: this algorithm whatever it costs, channels in blocks.
class LaidOut {
 public:
  explicit LaidOut(const TransformCase& c) : c_(c), lanes_(Checked().target.VectorLanes(4)) {}

  CompiledModel Compile(const NDArray& w, const NDArray& bias, const NDArray& x, const NDArray& other) {
    std::vector<Value> params = {Like("x", x), Like("r", other)};
    Value weight = c_.constant ? g_.Constant(w) : params.emplace_back(Like("w", w));
    Value y = WithLayout("ConvWinograd",
                         {c_.site.block > 1 ? params[0] : Blocked(params[0]), weight, g_.Constant(bias)},
                         c_.site.Winograd(c_.tile));
    if (c_.residual) y = Call("Relu", {Call("Add", {y, Blocked(params[1])})});
    CompileOptions options = Checked();
    options.start_at = "SeparateBorders";
    return CompileModel(MainModule(params, g_, {Call("Relayout", {y}, {{"layout", std::string()}})}), {},
                        options);
  }

 private:
  Layout BlocksOf(const Value& v) const {
    const int64_t channels = *AsInt(v.tensor().shape[1]);
    int64_t block = std::min(channels, lanes_);
    while (channels % block) --block;
    return Layout::Blocked(4, 1, block);
  }
  Value Call(const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
    return g_.Call1(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs));
  }
  Value Blocked(const Value& v) { return Call("Relayout", {v}, {{"layout", BlocksOf(v).ToString()}}); }
  Value WithLayout(const std::string& op, std::vector<Value> args, const Annotations& attrs) {
    const OpDef* def = OpRegistry::Get(op);
    const Attrs typed = def->attrs.from_map(attrs);
    GraphBuilder inferring;
    TensorType t = inferring.Call1(op, args, typed).tensor();
    Value result("y", t, "y");
    t.layout = BlocksOf(result);
    result = Value("y", t, "y");
    g_.Append({{result}, MakeOpCall(def, std::move(args), typed)});
    return result;
  }

  const TransformCase& c_;
  const int64_t lanes_;
  GraphBuilder g_;
};

class WinogradCompiled : public testing::TestWithParam<TransformCase> {};

TEST_P(WinogradCompiled, AgreesWithDirectEvaluation) {
  const TransformCase& c = GetParam();
  const Site& site = c.site;
  const NDArray x = Normal({site.images, site.channels, site.height, site.width}, 1);
  const NDArray w = Normal({site.filters, site.channels, site.kernel, site.kernel}, 2),
                bias = Normal({site.filters}, 3);
  const NDArray other = Normal({site.images, site.filters, site.rows(), site.columns()}, 4);
  std::vector<NDArray> inputs = {x, other};
  if (!c.constant) inputs.push_back(w);
  std::vector<double> exact = Exact(site, x, w);
  const size_t map = size_t(site.rows() * site.columns());
  for (size_t i = 0; i < exact.size(); ++i) {
    exact[i] += bias.AsDouble(int64_t(i / map % size_t(site.filters)));
    if (c.residual) exact[i] = std::max(0.0, exact[i] + other.AsDouble(int64_t(i)));
  }
  const NDArray found = RunModule(LoadInProcess(LaidOut(c).Compile(w, bias, x, other)), inputs).at(0);
  EXPECT_LT(RelativeError(found, exact), WinogradError(c.tile, (site.kernel + site.stride - 1) / site.stride,
                                                       site.channels * site.stride * site.stride));
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, WinogradCompiled,
    testing::Values(
        TransformCase{{.channels = 16, .filters = 16, .height = 8, .width = 8}, 4},
        TransformCase{{.channels = 32, .filters = 48, .height = 14, .width = 14}, 4},
        TransformCase{{.channels = 32, .filters = 64, .height = 7, .width = 7}, 2, true, true},
        TransformCase{{.channels = 24, .filters = 40, .height = 13, .width = 17}, 4, true, true},
        TransformCase{{.channels = 6, .filters = 10, .height = 5, .width = 11}, 2, true, true},
        TransformCase{{.images = 3, .channels = 16, .filters = 32, .height = 9, .width = 10}, 4, true, true},
        TransformCase{{.channels = 16, .filters = 32, .height = 12, .width = 3, .pads = {0, 2, 1, 0}}, 4},
        TransformCase{{.channels = 16, .filters = 16, .height = 3, .width = 3, .pads = {0, 0, 0, 0}}, 4},
        TransformCase{{.channels = 64, .filters = 64, .height = 56, .width = 56}, 4},
        TransformCase{{.channels = 32, .filters = 32, .height = 29, .width = 31}, 2, false},
        TransformCase{{.channels = 16, .filters = 256, .height = 10, .width = 10}, 4, false, true},
        TransformCase{{.channels = 16, .filters = 32, .height = 17, .width = 12, .kernel = 2}, 3},
        TransformCase{{.channels = 16, .filters = 32, .height = 17, .width = 12, .kernel = 2}, 5, true, true},
        TransformCase{{.channels = 16, .filters = 32, .height = 17, .width = 12, .kernel = 4}, 3},
        TransformCase{{.channels = 32, .filters = 16, .height = 14, .width = 14, .kernel = 5}, 2},
        TransformCase{{.channels = 16, .filters = 32, .height = 17, .width = 12, .kernel = 5, .stride = 2},
                      4},
        TransformCase{{.channels = 16, .filters = 32, .height = 18, .width = 12, .kernel = 3, .stride = 2},
                      5},
        TransformCase{{.channels = 3,
                       .filters = 32,
                       .height = 48,
                       .width = 40,
                       .pads = {3, 3, 3, 3},
                       .kernel = 7,
                       .stride = 2,
                       .block = 12},
                      3,
                      true,
                      true},
        TransformCase{{.images = 2,
                       .channels = 3,
                       .filters = 64,
                       .height = 63,
                       .width = 47,
                       .pads = {2, 2, 2, 2},
                       .kernel = 11,
                       .stride = 4,
                       .block = 16},
                      4},
        TransformCase{{.channels = 3, .filters = 32, .height = 20, .width = 25, .block = 3}, 4}));

/// The algorithms state errors that hold and say something.
TEST(Winograd, ErrorsAreWithinWhatIsStated) {
  for (const ConvAccuracy& way : ConvAccuracies()) {
    for (int64_t channels : {16, 128, 512}) {
      Site site{.channels = channels, .filters = 32, .height = 16, .width = 16};
      if (way.taps) site.kernel = way.taps;
      const NDArray x = Normal({1, channels, 16, 16}, 5),
                    w = Normal({32, channels, site.kernel, site.kernel}, 6);
      const double stated = way.error_per_root * std::sqrt(double(channels));
      double error = 0;
      if (way.tile == 1) {
        GraphBuilder g;
        Value in = Like("x", x);
        Value y = g.Call1("Conv", {in, g.Constant(w), nullptr},
                          OpRegistry::Get("Conv")->attrs.from_map(site.Conv()));
        const CompiledModel model = CompileModel(MainModule({in}, g, {y}), {}, Checked(0));
        error = RelativeError(RunModule(LoadInProcess(model), {x}).at(0), Exact(site, x, w));
      } else {
        const TransformCase c{site, way.tile};
        const NDArray zeros = Normal({32}, 7), other = Normal({1, 32, site.rows(), site.columns()}, 8);
        for (float& z : const_cast<NDArray&>(zeros).mutable_as<float>()) z = 0;
        const CompiledModel model = LaidOut(c).Compile(w, zeros, x, other);
        error = RelativeError(RunModule(LoadInProcess(model), {x, other}).at(0), Exact(site, x, w));
      }
      EXPECT_LT(error, stated) << way.algorithm << " " << channels;
      EXPECT_GT(error, stated / 20) << way.algorithm << " " << channels;
      RecordProperty(fmt::format("{} of {}", way.algorithm, channels),
                     fmt::format("{:.3g}", error / std::sqrt(double(channels))));
    }
  }
}

}  // namespace
}  // namespace tilewright
