// SPDX-License-Identifier: Apache-2.0
// Recurrent nets of fixed length, step by step. What does not depend on the state, the products of inputs
// with weights, is one product over all steps; steps take theirs by an index that is data, so that all of
// them share their kernels.
#include <algorithm>
#include <cmath>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {
namespace {

/// Longer ones are loops, which graphs do not have yet.
constexpr int64_t kMostSteps = 1024;

using Strings = std::vector<std::string>;

/// A value whose arithmetic is written as such.
class Recurrence {
 public:
  Recurrence(NodeContext& ctx, int64_t gates, const Strings& activations)
      : ctx_(ctx), gates_(gates), clip_(ctx.Float("clip", 0)) {
    Value x = ctx.Arg(0);
    if (x.tensor().rank() != 3)
      ctx.Fail("TW2017", fmt::format("X has rank {}, expected 3", x.tensor().rank()));
    batch_first_ = ctx.Int("layout", 0) != 0;
    if (batch_first_) x = Swapped(x);
    type_ = x.tensor().dtype;
    const auto shape = x.tensor().StaticShape();
    if (!shape) ctx.Unsupported("a recurrent net over a symbolic number of steps, samples or features");
    steps_ = (*shape)[0], batch_ = (*shape)[1], features_ = (*shape)[2];
    if (steps_ < 1) ctx.Unsupported("a recurrent net of no steps");
    if (steps_ > kMostSteps)
      ctx.Unsupported(fmt::format("a recurrent net of more than {} steps", kMostSteps));
    ReadDirection();
    const std::vector<int64_t> r = ctx.StaticShape(2);
    if (r.size() != 3 || r[0] != directions_ || r[1] != gates_ * r[2] || r[2] < 1)
      ctx.Fail("TW2017", fmt::format("R is {}, expected [{}, {} * hidden, hidden]",
                                     ctx.Arg(2)->type.ToString(), directions_, gates_));
    hidden_ = r[2];
    if (ctx.Int("hidden_size", hidden_) != hidden_)
      ctx.Fail("TW2015", fmt::format("hidden_size is {}, R has {}", ctx.Int("hidden_size", 0), hidden_));
    Expect(1, {directions_, gates_ * hidden_, features_}, "W");
    Expect(3, {directions_, 2 * gates_ * hidden_}, "B");
    Expect(4, {batch_}, "sequence_lens");
    ReadActivations(activations);
    inputs_ = ctx.Reshape(x, ToExprs({steps_ * batch_, features_}));
  }

  /// What a step makes of the products of its input ([batch, gates * hidden], with all biases that `joined`
  /// says to add to them) and of the states; the first state is the output.
  using Step = std::function<std::vector<Value>(const Value& input, const std::vector<Value>& states)>;
  /// Called once per direction before its first step.
  using Begin = std::function<Step(int64_t direction)>;

  /// Runs all directions. States begin with arguments `initial` ([directions, batch, hidden], or zeros).
  void Run(const std::vector<size_t>& initial, bool joined_bias, const Begin& begin) {
    std::vector<Value> outputs;
    std::vector<std::vector<Value>> last(initial.size());
    for (size_t i : initial) Expect(i, InitialShape(), "an initial state");
    for (int64_t d = 0; d < directions_; ++d) {
      Value products =
          ctx_.Call("MatMul", {inputs_, Part(1, d, {gates_ * hidden_, features_})}, {{"transpose_b", true}});
      if (ctx_.Has(3)) products = Add(products, Bias(d, 0));
      if (ctx_.Has(3) && joined_bias) products = Add(products, Bias(d, 1));
      products = ctx_.Reshape(products, ToExprs({steps_, batch_, gates_ * hidden_}));
      std::vector<Value> states;
      for (size_t i : initial) states.push_back(Initial(i, d));
      RunDirection(products, begin(d), reverse_[size_t(d)], states, outputs);
      for (size_t s = 0; s < states.size(); ++s)
        last[s].push_back(ctx_.Reshape(states[s], ToExprs({1, batch_, hidden_})));
    }
    Publish(outputs, last);
  }

  // ---- For steps.
  int64_t hidden() const { return hidden_; }
  Value Add(const Value& a, const Value& b) { return ctx_.Call("Add", {a, b}); }
  Value Sub(const Value& a, const Value& b) { return ctx_.Call("Sub", {a, b}); }
  Value Mul(const Value& a, const Value& b) { return ctx_.Call("Mul", {a, b}); }
  Value One() { return ctx_.Scalar(type_, 1); }
  /// Columns of gate `gate`, `count` gates wide.
  Value Gate(const Value& x, int64_t gate, int64_t count = 1) {
    return Columns(x, gate * hidden_, count * hidden_);
  }
  /// Rows of R for gates from `gate` on, as [count * hidden, hidden].
  Value RecurrentWeight(int64_t d, int64_t gate, int64_t count) {
    Value r = Part(2, d, {gates_ * hidden_, hidden_});
    return Sliced(r, 0, gate * hidden_, count * hidden_);
  }
  /// h R^T.
  Value Recurrent(const Value& h, const Value& r) {
    return ctx_.Call("MatMul", {h, r}, {{"transpose_b", true}});
  }
  /// The bias of the input (0) or of the recurrence (1), [gates * hidden].
  Value Bias(int64_t d, int64_t which) {
    return Columns(Part(3, d, {2 * gates_ * hidden_}), which * gates_ * hidden_, gates_ * hidden_);
  }
  /// Row d of an argument that has one per direction.
  Value Part(size_t i, int64_t d, std::vector<int64_t> shape) {
    return ctx_.Reshape(Sliced(ctx_.Arg(i), 0, d, 1), ToExprs(shape));
  }
  Value Columns(const Value& x, int64_t begin, int64_t count) {
    return Sliced(x, size_t(x.tensor().rank()) - 1, begin, count);
  }
  Value Clipped(Value x) {
    if (!(clip_ > 0)) return x;
    x = ctx_.Call("Maximum", {x, ctx_.Scalar(type_, -clip_)});
    return ctx_.Call("Minimum", {x, ctx_.Scalar(type_, clip_)});
  }
  /// Activation number `i` of direction `d`.
  Value Activate(int64_t d, size_t i, const Value& x, bool clipped = true) {
    return activations_[size_t(d)][i](clipped ? Clipped(x) : x);
  }
  void Expect(size_t i, const std::vector<int64_t>& shape, const char* what) {
    if (!ctx_.Has(i)) return;
    if (!SameShape(ctx_.Shape(i), ToExprs(shape))) {
      ctx_.Fail("TW2017", fmt::format("{} is {}, expected the shape [{}]", what, ctx_.Arg(i)->type.ToString(),
                                      fmt::join(shape, ", ")));
    }
  }

 private:
  using Function = std::function<Value(const Value&)>;

  Value Swapped(const Value& x) {
    std::vector<int64_t> perm = {1, 0};
    for (int64_t d = 2; d < x.tensor().rank(); ++d) perm.push_back(d);
    return ctx_.Call("Transpose", {x}, {{"perm", perm}});
  }
  Value Sliced(const Value& x, size_t axis, int64_t begin, int64_t count) {
    std::vector<Expr> shape = x.tensor().shape, begins(shape.size(), Expr(0));
    begins[axis] = Expr(begin);
    shape[axis] = Expr(count);
    return ctx_.Call(
        "Slice", {x},
        {{"begin", begins}, {"stride", std::vector<int64_t>(shape.size(), 1)}, {"shape", shape}});
  }

  void ReadDirection() {
    const std::string direction = ctx_.String("direction", "forward");
    if (direction == "forward") reverse_ = {false};
    if (direction == "reverse") reverse_ = {true};
    if (direction == "bidirectional") reverse_ = {false, true};
    if (reverse_.empty()) ctx_.Fail("TW2015", fmt::format("there is no direction '{}'", direction));
    directions_ = int64_t(reverse_.size());
  }

  void ReadActivations(const Strings& defaults) {
    Strings names = ctx_.Strings("activations");
    const size_t per_direction = defaults.size();
    if (names.empty()) {
      for (int64_t d = 0; d < directions_; ++d) names.insert(names.end(), defaults.begin(), defaults.end());
    }
    if (names.size() != per_direction * size_t(directions_))
      ctx_.Fail("TW2015", fmt::format("{} activations, expected {}", names.size(),
                                      per_direction * size_t(directions_)));
    // Parameters stand in the order of the functions that take some.
    std::vector<double> alphas = ctx_.Floats("activation_alpha", std::vector<double>()),
                        betas = ctx_.Floats("activation_beta", std::vector<double>());
    auto next = [](std::vector<double>& list, double otherwise) {
      if (list.empty()) return otherwise;
      const double v = list.front();
      list.erase(list.begin());
      return v;
    };
    activations_.resize(size_t(directions_));
    for (size_t i = 0; i < names.size(); ++i) {
      activations_[i / per_direction].push_back(FunctionOf(
          names[i], [&](double v) { return next(alphas, v); }, [&](double v) { return next(betas, v); }));
    }
  }

  Function FunctionOf(std::string name, const std::function<double(double)>& alpha,
                      const std::function<double(double)>& beta) {
    for (char& c : name) c = char(std::tolower(static_cast<unsigned char>(c)));
    static const std::map<std::string, const char*> kPlain = {{"relu", "Relu"},
                                                              {"tanh", "Tanh"},
                                                              {"sigmoid", "Sigmoid"},
                                                              {"softsign", "Softsign"},
                                                              {"softplus", "Softplus"}};
    if (auto it = kPlain.find(name); it != kPlain.end())
      return [this, op = it->second](const Value& x) { return ctx_.Call(op, {x}); };
    struct Row {
      const char* op;
      double alpha, beta;
    };
    constexpr double kNone = 0;
    static const std::map<std::string, Row> kWithParameters = {
        {"leakyrelu", {"LeakyRelu", 0.01, kNone}},
        {"thresholdedrelu", {"ThresholdedRelu", 1, kNone}},
        {"elu", {"Elu", 1, kNone}},
        {"hardsigmoid", {"HardSigmoid", 0.2, 0.5}}};
    if (auto it = kWithParameters.find(name); it != kWithParameters.end()) {
      const double a = alpha(it->second.alpha), b = it->second.beta == kNone ? 0 : beta(it->second.beta);
      return [this, op = it->second.op, a, b](const Value& x) {
        return ctx_.Call(op, {x}, {{"alpha", a}, {"beta", b}});
      };
    }
    if (name == "affine" || name == "scaledtanh") {
      const double a = alpha(1), b = beta(name == "affine" ? 0 : 1);
      const bool affine = name == "affine";
      return [this, affine, a, b](const Value& x) {
        const Value factor = ctx_.Scalar(type_, a), second = ctx_.Scalar(type_, b);
        return affine ? Add(Mul(x, factor), second) : Mul(ctx_.Call("Tanh", {Mul(x, second)}), factor);
      };
    }
    ctx_.Fail("TW2015", fmt::format("there is no activation '{}'", name));
  }

  std::vector<int64_t> InitialShape() const {
    return batch_first_ ? std::vector<int64_t>{batch_, directions_, hidden_}
                        : std::vector<int64_t>{directions_, batch_, hidden_};
  }
  Value Initial(size_t i, int64_t d) {
    const std::vector<int64_t> shape = {batch_, hidden_};
    if (!ctx_.Has(i))
      return ctx_.Call("Full", {}, {{"dtype", type_}, {"shape", ToExprs(shape)}, {"value", 0.0}});
    Value all = batch_first_ ? Swapped(ctx_.Arg(i)) : ctx_.Arg(i);
    return ctx_.Reshape(Sliced(all, 0, d, 1), ToExprs(shape));
  }

  void RunDirection(const Value& products, const Step& step, bool reverse, std::vector<Value>& states,
                    std::vector<Value>& outputs) {
    Value lengths;
    if (ctx_.Has(4)) lengths = ctx_.Reshape(ctx_.Cast(ctx_.Arg(4), kI64), ToExprs({batch_, 1}));
    const Value zero = ctx_.Scalar(type_, 0);
    std::vector<Value> made(static_cast<size_t>(steps_));
    for (int64_t s = 0; s < steps_; ++s) {
      const int64_t t = reverse ? steps_ - 1 - s : s;
      std::vector<Value> next = step(ctx_.Element(products, 0, t), states);
      made[size_t(t)] = next[0];
      if (lengths) {
        // Behind the end of a sequence its states stay, and its outputs are 0.
        Value inside = ctx_.Call("Less", {ctx_.Scalar(kI64, double(t)), lengths});
        for (size_t i = 0; i < next.size(); ++i) next[i] = ctx_.Call("Where", {inside, next[i], states[i]});
        made[size_t(t)] = ctx_.Call("Where", {inside, made[size_t(t)], zero});
      }
      states = std::move(next);
    }
    for (Value& y : made) y = ctx_.Reshape(y, ToExprs({1, 1, batch_, hidden_}));
    outputs.push_back(ctx_.Join(std::move(made), 0));
  }

  /// Y [steps, directions, batch, hidden] and the last states [directions, batch, hidden], or with the batch
  /// first.
  void Publish(const std::vector<Value>& outputs, const std::vector<std::vector<Value>>& last) {
    Value y = ctx_.Join(outputs, 1);
    if (batch_first_) y = ctx_.Call("Transpose", {y}, {{"perm", std::vector<int64_t>{2, 0, 1, 3}}});
    ctx_.Set(0, y);
    for (size_t s = 0; s < last.size(); ++s) {
      Value state = ctx_.Join(last[s], 0);
      ctx_.Set(1 + s, batch_first_ ? Swapped(state) : state);
    }
  }

  NodeContext& ctx_;
  int64_t gates_;
  double clip_;
  bool batch_first_ = false;
  DataType type_;
  int64_t steps_ = 0, batch_ = 0, features_ = 0, hidden_ = 0, directions_ = 0;
  std::vector<bool> reverse_;
  std::vector<std::vector<Function>> activations_;  ///< by direction
  Value inputs_;                                    ///< [steps * batch, features]
};

void Rnn(NodeContext& ctx) {
  Recurrence net(ctx, 1, {"Tanh"});
  net.Run({5}, true, [&](int64_t d) -> Recurrence::Step {
    return [&net, d, r = net.RecurrentWeight(d, 0, 1)](const Value& x, const std::vector<Value>& h) {
      return std::vector{net.Activate(d, 0, net.Add(x, net.Recurrent(h[0], r)))};
    };
  });
}

void Gru(NodeContext& ctx) {
  const bool reset_after = ctx.Int("linear_before_reset", 0) != 0, bias = ctx.Has(3);
  Recurrence net(ctx, 3, {"Sigmoid", "Tanh"});
  net.Run({5}, false, [&](int64_t d) -> Recurrence::Step {
    // Update and reset gates together, then the candidate.
    const Value r_gates = net.RecurrentWeight(d, 0, 2), r_candidate = net.RecurrentWeight(d, 2, 1);
    const Value b_gates = bias ? net.Gate(net.Bias(d, 1), 0, 2) : Value();
    const Value b_candidate = bias ? net.Gate(net.Bias(d, 1), 2) : Value();
    return [&net, d, reset_after, r_gates, r_candidate, b_gates, b_candidate](
               const Value& x, const std::vector<Value>& states) {
      const Value& h = states[0];
      Value gates = net.Add(net.Gate(x, 0, 2), net.Recurrent(h, r_gates));
      if (b_gates) gates = net.Add(gates, b_gates);
      gates = net.Activate(d, 0, gates);
      const Value update = net.Gate(gates, 0), reset = net.Gate(gates, 1);
      Value memory = net.Recurrent(reset_after ? h : net.Mul(reset, h), r_candidate);
      if (b_candidate) memory = net.Add(memory, b_candidate);
      if (reset_after) memory = net.Mul(reset, memory);
      const Value candidate = net.Activate(d, 1, net.Add(net.Gate(x, 2), memory));
      return std::vector{net.Add(net.Mul(net.Sub(net.One(), update), candidate), net.Mul(update, h))};
    };
  });
}

void Lstm(NodeContext& ctx) {
  const bool coupled = ctx.Int("input_forget", 0) != 0, peepholes = ctx.Has(7);
  Recurrence net(ctx, 4, {"Sigmoid", "Tanh", "Tanh"});
  if (peepholes) net.Expect(7, {int64_t(ctx.StaticShape(2)[0]), 3 * net.hidden()}, "P");
  net.Run({5, 6}, true, [&](int64_t d) -> Recurrence::Step {
    const Value r = net.RecurrentWeight(d, 0, 4);
    const Value p = peepholes ? net.Part(7, d, {3 * net.hidden()}) : Value();
    return [&net, d, coupled, r, p](const Value& x, const std::vector<Value>& states) {
      const Value &h = states[0], &c = states[1];
      const Value all = net.Add(x, net.Recurrent(h, r));
      // Gates: input, output, forget, cell; of the peepholes input, output, forget.
      auto gate = [&](int64_t i, const Value& cell) {
        Value g = net.Gate(all, i);
        if (p) g = net.Add(g, net.Mul(net.Gate(p, i), cell));
        return net.Activate(d, 0, g);
      };
      const Value input = gate(0, c), forget = coupled ? net.Sub(net.One(), input) : gate(2, c);
      const Value candidate = net.Activate(d, 1, net.Gate(all, 3));
      const Value cell = net.Add(net.Mul(forget, c), net.Mul(input, candidate));
      // Clipping is of gates alone, as onnxruntime does it.
      return std::vector{net.Mul(gate(1, cell), net.Activate(d, 2, cell, false)), cell};
    };
  });
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"RNN", 7, 0, Rnn},
    {"GRU", 7, 0, Gru},
    {"LSTM", 7, 0, Lstm},
});

}  // namespace
}  // namespace tilewright::onnx
