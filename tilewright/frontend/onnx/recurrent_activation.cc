// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/recurrent_activation.h"

#include <cctype>

namespace tilewright::onnx {

namespace {

/// A function, its parameters and their defaults: those of the ONNX operator of that name.
struct KnownActivation {
  const char* name;  ///< as nodes write it, in lower case
  const char* core;
  bool has_alpha = false, has_beta = false;
  double alpha = 0, beta = 0;
};
constexpr KnownActivation kActivations[] = {
    {"relu", "Relu"},
    {"tanh", "Tanh"},
    {"sigmoid", "Sigmoid"},
    {"softsign", "Softsign"},
    {"softplus", "Softplus"},
    {"leakyrelu", "LeakyRelu", true, false, 0.01f},
    {"thresholdedrelu", "ThresholdedRelu", true, false, 1},
    {"elu", "Elu", true, false, 1},
    {"hardsigmoid", "HardSigmoid", true, true, 0.2f, 0.5},
    {"affine", "", true, true, 1, 0},
    {"scaledtanh", "", true, true, 1, 1},
};

const KnownActivation& Find(const NodeContext& ctx, const std::string& name) {
  std::string lower;
  for (char c : name) lower += char(std::tolower(static_cast<unsigned char>(c)));
  for (const KnownActivation& a : kActivations) {
    if (lower == a.name) return a;
  }
  ctx.Fail("TW2015", fmt::format("there is no activation '{}'", name));
}

}  // namespace

std::vector<RecurrentActivation> RecurrentActivations(const NodeContext& ctx, int64_t directions,
                                                      const std::vector<std::string>& defaults) {
  std::vector<std::string> names = ctx.Strings("activations");
  const std::vector<double> alphas = ctx.Floats("activation_alpha", std::vector<double>{});
  const std::vector<double> betas = ctx.Floats("activation_beta", std::vector<double>{});
  if (names.empty()) {
    for (int64_t d = 0; d < directions; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
  }
  if (names.size() != defaults.size() * size_t(directions)) {
    ctx.Fail("TW2015", fmt::format("there are {} activations, expected {} for each of {} directions",
                                   names.size(), defaults.size(), directions));
  }
  // The lists of parameters are consumed by the functions that have them, in order.
  size_t next_alpha = 0, next_beta = 0;
  std::vector<RecurrentActivation> result;
  for (const std::string& name : names) {
    const KnownActivation& known = Find(ctx, name);
    RecurrentActivation a{known.core, std::string_view(known.name) == "scaledtanh", known.alpha, known.beta};
    if (known.has_alpha && next_alpha < alphas.size()) a.alpha = alphas[next_alpha++];
    if (known.has_beta && next_beta < betas.size()) a.beta = betas[next_beta++];
    result.push_back(std::move(a));
  }
  return result;
}

Value RecurrentActivation::Apply(NodeContext& ctx, const Value& x) const {
  const DataType t = x.tensor().dtype;
  if (scaled_tanh) {
    Value inner = ctx.Call("Tanh", {ctx.Call("Mul", {x, ctx.Scalar(t, beta)})});
    return ctx.Call("Mul", {inner, ctx.Scalar(t, alpha)});
  }
  if (core.empty()) return ctx.Call("Add", {ctx.Call("Mul", {x, ctx.Scalar(t, alpha)}), ctx.Scalar(t, beta)});
  const bool parameters =
      core == "LeakyRelu" || core == "ThresholdedRelu" || core == "Elu" || core == "HardSigmoid";
  return parameters ? ctx.Call(core, {x}, {{"alpha", alpha}, {"beta", beta}}) : ctx.Call(core, {x});
}

}  // namespace tilewright::onnx
