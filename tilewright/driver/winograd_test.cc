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

  int64_t rows() const { return height + pads[0] + pads[2] - 2; }
  int64_t columns() const { return width + pads[1] + pads[3] - 2; }
  Annotations Conv() const {
    const std::vector<int64_t> ones = {1, 1};
    return {{"strides", ones}, {"dilations", ones}, {"pads", pads}, {"groups", int64_t(1)}};
  }
  Annotations Winograd(int64_t tile) const {
    return {{"tile", tile},
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
          for (int64_t i = 0; i < 9 * s.channels; ++i) {
            const int64_t channel = i / 9, row = r + i % 9 / 3 - s.pads[0], column = c + i % 3 - s.pads[1];
            if (row < 0 || row >= s.height || column < 0 || column >= s.width) continue;
            sum += double(xs[size_t(((n * s.channels + channel) * s.height + row) * s.width + column)]) *
                   double(ws[size_t(o * s.channels * 9 + i)]);
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
    const NDArray filters = NDArray::Empty(kF32, {s.filters, s.channels, 3, 3});
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
  EXPECT_EQ(Chosen({large}, WinogradError(2, 64)), "ConvWinograd2") << "the next that states less";
  // All constants together may grow by half, or by what the second level of cache holds.
  EXPECT_EQ(Chosen({{.channels = 512, .filters = 512, .height = 14, .width = 14}}, kDefaultMaxError), "Conv");
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
       << c.site.filters << " by " << c.tile << (c.constant ? "" : ", filters not constant")
       << (c.residual ? ", residual" : "");
}

/// A model as the choice of layouts leaves it: this algorithm whatever it costs, channels in blocks.
class LaidOut {
 public:
  explicit LaidOut(const TransformCase& c) : c_(c), lanes_(Checked().target.VectorLanes(4)) {}

  CompiledModel Compile(const NDArray& w, const NDArray& bias, const NDArray& x, const NDArray& other) {
    std::vector<Value> params = {Like("x", x), Like("r", other)};
    Value weight = c_.constant ? g_.Constant(w) : params.emplace_back(Like("w", w));
    Value y = WithLayout("ConvWinograd", {Blocked(params[0]), weight, g_.Constant(bias)},
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
  const NDArray w = Normal({site.filters, site.channels, 3, 3}, 2), bias = Normal({site.filters}, 3);
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
  EXPECT_LT(RelativeError(found, exact), WinogradError(c.tile, site.channels));
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
        TransformCase{{.channels = 16, .filters = 256, .height = 10, .width = 10}, 4, false, true}));

/// The algorithms state errors that hold and say something.
TEST(Winograd, ErrorsAreWithinWhatIsStated) {
  for (const ConvAccuracy& way : ConvAccuracies()) {
    for (int64_t channels : {16, 128, 512}) {
      const Site site{.channels = channels, .filters = 32, .height = 16, .width = 16};
      const NDArray x = Normal({1, channels, 16, 16}, 5), w = Normal({32, channels, 3, 3}, 6);
      const double stated = way.error_per_root * std::sqrt(double(channels));
      CompiledModel model;
      if (way.tile == 1) {
        GraphBuilder g;
        Value in = Like("x", x);
        Value y = g.Call1("Conv", {in, g.Constant(w), nullptr},
                          OpRegistry::Get("Conv")->attrs.from_map(site.Conv()));
        model = CompileModel(MainModule({in}, g, {y}), {}, Checked(0));
        const double error = RelativeError(RunModule(LoadInProcess(model), {x}).at(0), Exact(site, x, w));
        EXPECT_LT(error, stated) << way.algorithm << " " << channels;
        EXPECT_GT(error, stated / 20) << way.algorithm << " " << channels;
        continue;
      }
      const TransformCase c{site, way.tile};
      const NDArray zeros = Normal({32}, 7), other = Normal({1, 32, 16, 16}, 8);
      for (float& z : const_cast<NDArray&>(zeros).mutable_as<float>()) z = 0;
      model = LaidOut(c).Compile(w, zeros, x, other);
      const double error =
          RelativeError(RunModule(LoadInProcess(model), {x, other}).at(0), Exact(site, x, w));
      EXPECT_LT(error, stated) << way.algorithm << " " << channels;
      EXPECT_GT(error, stated / 20) << way.algorithm << " " << channels;
    }
  }
}

}  // namespace
}  // namespace tilewright
