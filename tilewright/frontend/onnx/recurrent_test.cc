// SPDX-License-Identifier: Apache-2.0
// Recurrent nets against their equations, step by step in double precision.
#include <gtest/gtest.h>

#include <cmath>
#include <random>

#include "tilewright/frontend/onnx/test_import.h"

namespace tilewright::onnx {
namespace {

constexpr int64_t kSteps = 5, kBatch = 2, kFeatures = 3, kHidden = 4;

NDArray Random(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 rng(seed);
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  for (float& v : a.mutable_as<float>()) v = std::uniform_real_distribution<float>(-1, 1)(rng);
  return a;
}

struct Options {
  int64_t gates = 4;
  int64_t directions = 1;
  std::string direction = "forward";
  double clip = 0;
  bool coupled = false, reset_after = false;
  std::vector<int64_t> lengths = {};
};

struct Weights {
  NDArray x, w, r, b, h;
  explicit Weights(const Options& o)
      : x(Random({kSteps, kBatch, kFeatures}, 1)),
        w(Random({o.directions, o.gates * kHidden, kFeatures}, 2)),
        r(Random({o.directions, o.gates * kHidden, kHidden}, 3)),
        b(Random({o.directions, 2 * o.gates * kHidden}, 4)),
        h(Random({o.directions, kBatch, kHidden}, 5)) {}
};

double Element(const NDArray& a, std::vector<int64_t> index) {
  int64_t flat = 0;
  for (size_t d = 0; d < index.size(); ++d) flat = flat * a.shape()[d] + index[d];
  return a.AsDouble(flat);
}

/// Y of one direction and sample: [steps][hidden], zeros behind the sequence's end.
std::vector<std::vector<double>> Reference(const Options& o, const Weights& p, int64_t d, int64_t sample) {
  const int64_t length = o.lengths.empty() ? kSteps : o.lengths[size_t(sample)];
  const bool reverse = o.direction == "reverse" || (o.direction == "bidirectional" && d == 1);
  std::vector<double> h(kHidden), c(kHidden, 0);
  for (int64_t k = 0; k < kHidden; ++k) h[size_t(k)] = Element(p.h, {d, sample, k});
  std::vector<std::vector<double>> y(kSteps, std::vector<double>(kHidden, 0));
  auto clip = [&](double v) { return o.clip > 0 ? std::clamp(v, -o.clip, o.clip) : v; };
  auto sigmoid = [&](double v) { return 1 / (1 + std::exp(-clip(v))); };
  for (int64_t s = 0; s < length; ++s) {
    const int64_t t = reverse ? length - 1 - s : s;
    auto input = [&](int64_t g, int64_t k) {
      double v = Element(p.b, {d, g * kHidden + k});
      for (int64_t f = 0; f < kFeatures; ++f)
        v += Element(p.w, {d, g * kHidden + k, f}) * Element(p.x, {t, sample, f});
      return v;
    };
    auto memory = [&](int64_t g, int64_t k, const std::vector<double>& state) {
      double v = 0;
      for (int64_t j = 0; j < kHidden; ++j) v += Element(p.r, {d, g * kHidden + k, j}) * state[size_t(j)];
      return v;
    };
    auto bias = [&](int64_t g, int64_t k) { return Element(p.b, {d, (o.gates + g) * kHidden + k}); };
    auto both = [&](int64_t g, int64_t k) { return input(g, k) + memory(g, k, h) + bias(g, k); };
    std::vector<double> next(kHidden), reset(kHidden);
    for (int64_t k = 0; o.gates == 3 && k < kHidden; ++k)
      reset[size_t(k)] = sigmoid(both(1, k)) * h[size_t(k)];
    for (int64_t k = 0; k < kHidden; ++k) {
      double& cell = c[size_t(k)];
      if (o.gates == 4) {
        const double in = sigmoid(both(0, k)), forget = o.coupled ? 1 - in : sigmoid(both(2, k));
        cell = forget * cell + in * std::tanh(clip(both(3, k)));
        next[size_t(k)] = sigmoid(both(1, k)) * std::tanh(cell);
      } else {
        const double update = sigmoid(both(0, k));
        const double past = o.reset_after ? sigmoid(both(1, k)) * (memory(2, k, h) + bias(2, k))
                                          : memory(2, k, reset) + bias(2, k);
        next[size_t(k)] = (1 - update) * std::tanh(clip(input(2, k) + past)) + update * h[size_t(k)];
      }
    }
    h = next;
    y[size_t(t)] = h;
  }
  return y;
}

void Check(const Options& o) {
  const Weights p(o);
  ModelProto m = EmptyModel(14);
  const std::string op = o.gates == 4 ? "LSTM" : "GRU";
  for (const char* name : {"x", "w", "r", "b", "h"}) AddInput(m, name, {});
  const NDArray* arrays[] = {&p.x, &p.w, &p.r, &p.b, &p.h};
  for (int i = 0; i < 5; ++i) {
    auto* shape = m.mutable_graph()->mutable_input(i)->mutable_type()->mutable_tensor_type()->mutable_shape();
    for (int64_t dim : arrays[i]->shape()) shape->add_dim()->set_dim_value(dim);
  }
  if (!o.lengths.empty()) AddInts(m, "lengths", {kBatch}, o.lengths);
  NodeProto* n = AddNode(m, op, {"x", "w", "r", "b", o.lengths.empty() ? "" : "lengths", "h"}, {"y"});
  SetString(n, "direction", o.direction);
  if (o.clip > 0) SetFloat(n, "clip", float(o.clip));
  if (o.coupled) SetInt(n, "input_forget", 1);
  if (o.reset_after) SetInt(n, "linear_before_reset", 1);
  AddOutput(m, "y")->clear_type();
  const NDArray y = RunProto(m, {p.x, p.w, p.r, p.b, p.h})[0];
  ASSERT_EQ(y.shape(), (std::vector<int64_t>{kSteps, o.directions, kBatch, kHidden}));
  for (int64_t d = 0; d < o.directions; ++d) {
    for (int64_t sample = 0; sample < kBatch; ++sample) {
      const auto want = Reference(o, p, d, sample);
      for (int64_t t = 0; t < kSteps; ++t) {
        for (int64_t k = 0; k < kHidden; ++k) {
          EXPECT_NEAR(Element(y, {t, d, sample, k}), want[size_t(t)][size_t(k)], 1e-5)
              << op << " " << d << " " << sample << " " << t;
        }
      }
    }
  }
}

TEST(Recurrent, Lstm) {
  Check({});
  Check({.directions = 2, .direction = "bidirectional", .lengths = {5, 3}});
  Check({.direction = "reverse", .clip = 0.25, .lengths = {1, 4}});
  Check({.coupled = true});
}

TEST(Recurrent, Gru) {
  Check({.gates = 3});
  Check({.gates = 3, .directions = 2, .direction = "bidirectional", .lengths = {2, 5}});
  Check({.gates = 3, .direction = "reverse", .clip = 0.25, .reset_after = true});
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  NodeProto* n;
  ModelProto m = OneNode(14, "LSTM", {{5, 2, 3}, {1, 16, 3}, {1, 12, 4}}, &n);
  ExpectImportError([&] { ImportProto(m); }, "TW2017", {"the recurrent weights", "[1, 16, 4]"});
  m = OneNode(14, "LSTM", {{5, 2, 3}, {1, 12, 3}, {1, 16, 4}}, &n);
  ExpectImportError([&] { ImportProto(m); }, "TW2017", {"the input weights", "[1, 16, 3]"});
  m = OneNode(14, "GRU", {{5, 2, 3}, {1, 12, 3}, {1, 12, 4}}, &n);
  SetString(n, "direction", "sideways");
  ExpectImportError([&] { ImportProto(m); }, "TW2015", {"'sideways'"});
  m = OneNode(14, "RNN", {{0, 2, 3}, {1, 4, 3}, {1, 4, 4}}, &n);
  ExpectImportError([&] { ImportProto(m); }, "TW2060", {"a sequence without elements"});
}

}  // namespace
}  // namespace tilewright::onnx
