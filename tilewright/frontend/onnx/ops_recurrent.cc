// SPDX-License-Identifier: Apache-2.0
// LSTM, GRU and RNN. The products of all steps' inputs with the input weights are one matrix product before
// the recurrence; a step adds the product of the hidden state with the recurrent weights, and its gates.
#include "tilewright/frontend/onnx/loops.h"
#include "tilewright/frontend/onnx/recurrent_activation.h"

namespace tilewright::onnx {
namespace {

/// What the three operators share: arguments, directions, layouts, lengths of sequences, results. A cell
/// gives the next state from the present one and the products of a step's input.
class RecurrentConverter {
 public:
  RecurrentConverter(NodeContext& ctx, int64_t gates, std::vector<std::string> activations)
      : ctx_(ctx), gates_(gates) {
    ReadAttributes(activations);
    ReadShapes();
  }
  virtual ~RecurrentConverter() = default;

  void Run() {
    std::vector<Value> y;
    std::vector<std::vector<Value>> last;
    for (int64_t d = 0; d < directions_; ++d) {
      std::vector<Value> results = RunDirection(d);
      if (ctx_.Wants(0)) {
        y.push_back(results.back());
        results.pop_back();
      }
      last.push_back(std::move(results));
    }
    if (ctx_.Wants(0)) ctx_.Set(0, Sequences(y));
    for (size_t s = 0; s < last[0].size(); ++s) {
      std::vector<Value> states;
      for (const auto& results : last) states.push_back(results[s]);
      Value all = StackRows(ctx_, states);
      if (ctx_.Wants(s + 1)) ctx_.Set(s + 1, batch_first_ ? Transposed(all, {1, 0, 2}) : all);
    }
  }

 protected:
  using Values = std::vector<Value>;

  /// Arguments with the initial states; their number is that of the states.
  virtual std::vector<size_t> StateArguments() const = 0;
  /// What a direction reads in every step; called before its loop.
  virtual void StartDirection(int64_t d) = 0;
  /// The products of a step's input and all that is added to them once, [batch, gates * hidden].
  virtual Value InputBias(int64_t d) = 0;
  /// The next states, of [batch, hidden] each, the hidden state first.
  virtual Values Cell(const Value& x, const Values& states) = 0;

  Value Call(const char* op, Values args) { return ctx_.Call(op, std::move(args)); }
  /// Function `which` of the direction, over an argument that `clip` limits.
  Value Activate(size_t which, const Value& x) { return ActivateUnclipped(which, Clipped(x)); }
  Value ActivateUnclipped(size_t which, const Value& x) {
    return activations_[size_t(direction_) * per_direction_ + which].Apply(ctx_, x);
  }
  /// Gate `g` of the products, [batch, hidden].
  Value Gate(const Value& products, int64_t g) {
    return PartOf(ctx_, products, products.tensor().shape.size() - 1, Expr(g * hidden_), Expr(hidden_));
  }
  /// Direction `d` of a weight, bias or state: the argument without its first axis.
  Value OfDirection(size_t argument, int64_t d) {
    Value all = ctx_.Arg(argument);
    if (argument >= 5 && batch_first_ && all.tensor().rank() == 3) all = Transposed(all, {1, 0, 2});
    Value one = PartOf(ctx_, all, 0, Expr(d), Expr(1));
    const std::vector<Expr>& shape = all.tensor().shape;
    return ctx_.Reshape(one, {shape.begin() + 1, shape.end()});
  }
  /// x * w^T.
  Value Product(const Value& x, const Value& w) {
    return ctx_.Call("MatMul", {x, w}, {{"transpose_b", true}});
  }
  Value Transposed(const Value& x, std::vector<int64_t> perm) {
    return ctx_.Call("Transpose", {x}, {{"perm", std::move(perm)}});
  }
  /// Both halves of the biases added up; null without biases.
  Value BiasSum(int64_t d) {
    if (!ctx_.Has(3)) return nullptr;
    Value all = OfDirection(3, d);
    const Expr half(gates_ * hidden_);
    return Call("Add", {PartOf(ctx_, all, 0, Expr(0), half), PartOf(ctx_, all, 0, half, half)});
  }

  NodeContext& ctx_;
  int64_t gates_, hidden_ = 0, directions_ = 1, direction_ = 0;
  DataType dtype_;

 private:
  void ReadAttributes(const std::vector<std::string>& activations) {
    ctx_.Ignore({"output_sequence"});  // of the first operator sets; results tell by their names
    const std::string direction = ctx_.String("direction", "forward");
    if (direction != "forward" && direction != "reverse" && direction != "bidirectional") {
      ctx_.Fail("TW2015",
                fmt::format("direction is '{}', expected forward, reverse or bidirectional", direction));
    }
    first_backwards_ = direction == "reverse";
    directions_ = direction == "bidirectional" ? 2 : 1;
    const int64_t layout = ctx_.Int("layout", 0);
    if (layout != 0 && layout != 1) ctx_.Fail("TW2015", fmt::format("layout is {}, expected 0 or 1", layout));
    batch_first_ = layout == 1;
    if (ctx_.HasAttr("clip")) clip_ = ctx_.Float("clip");
    if (clip_ && !(*clip_ > 0)) ctx_.Fail("TW2015", fmt::format("clip is {}, expected more than 0", *clip_));
    per_direction_ = activations.size();
    activations_ = RecurrentActivations(ctx_, directions_, activations);
  }

  void CheckShape(size_t argument, const char* what, const std::vector<Expr>& expected) {
    if (!ctx_.Has(argument)) return;
    const std::vector<Expr> found = ctx_.Shape(argument);
    bool fits = found.size() == expected.size();
    for (size_t d = 0; fits && d < found.size(); ++d) {
      auto have = AsInt(found[d]), want = AsInt(expected[d]);
      fits = !have || !want || *have == *want;
    }
    TensorType wanted = ctx_.Type(argument);
    const bool same_type = argument == 4 || wanted.dtype == dtype_;
    if (argument != 4) wanted.dtype = dtype_;
    wanted.shape = expected;
    if (!fits || !same_type) {
      ctx_.Fail("TW2017", fmt::format("{} is {}, expected {}", what, Type(ctx_.Type(argument)).ToString(),
                                      Type(wanted).ToString()));
    }
  }

  void ReadShapes() {
    for (size_t i = 0; i < 3; ++i) {
      if (ctx_.Rank(i) != 3)
        ctx_.Fail("TW2017", fmt::format("argument {} has rank {}, expected 3", i, ctx_.Rank(i)));
    }
    dtype_ = ctx_.DType(0);
    if (!dtype_.is_float())
      ctx_.Fail("TW2016", fmt::format("the input is {}, expected floats", dtype_.ToString()));
    const std::vector<Expr> x = ctx_.Shape(0);
    steps_ = x[batch_first_ ? 1 : 0];
    batch_ = x[batch_first_ ? 0 : 1];
    width_ = x[2];
    auto hidden = AsInt(ctx_.Shape(2)[2]);
    if (!hidden) ctx_.Unsupported("a hidden state of symbolic extent");
    hidden_ = *hidden;
    if (ctx_.HasAttr("hidden_size") && ctx_.Int("hidden_size") != hidden_) {
      ctx_.Fail("TW2015", fmt::format("hidden_size is {}, but the recurrent weights are of {}",
                                      ctx_.Int("hidden_size"), hidden_));
    }
    if (IsInt(steps_, 0)) ctx_.Unsupported("a sequence without elements");
    const Expr rows(gates_ * hidden_), each(directions_), state(hidden_);
    CheckShape(1, "the input weights", {each, rows, width_});
    CheckShape(2, "the recurrent weights", {each, rows, state});
    CheckShape(3, "the bias", {each, Expr(2 * gates_ * hidden_)});
    CheckShape(4, "the lengths of the sequences", {batch_});
    const std::vector<Expr> states =
        batch_first_ ? std::vector<Expr>{batch_, each, state} : std::vector<Expr>{each, batch_, state};
    CheckShape(5, "the initial state", states);
    if (gates_ == 4) {
      CheckShape(6, "the initial cell", states);
      CheckShape(7, "the peephole weights", {each, Expr(3 * hidden_)});
    }
  }

  Value Clipped(const Value& x) {
    if (!clip_) return x;
    Value low = Call("Maximum", {x, ctx_.Scalar(dtype_, -*clip_)});
    return Call("Minimum", {low, ctx_.Scalar(dtype_, *clip_)});
  }

  /// The products of all steps' inputs with the input weights, [steps, batch, gates * hidden].
  Value InputProducts(int64_t d) {
    if (!sequence_) sequence_ = batch_first_ ? Transposed(ctx_.Arg(0), {1, 0, 2}) : ctx_.Arg(0);
    Value flat = ctx_.Reshape(sequence_, {steps_ * batch_, width_});
    Value products = Product(flat, OfDirection(1, d));
    if (Value bias = InputBias(d)) products = Call("Add", {products, bias});
    return ctx_.Reshape(products, {steps_, batch_, Expr(gates_ * hidden_)});
  }

  /// Whether each sequence is longer than the position of a step, [batch, 1]; null: all have every step.
  Value Within(const LoopStep& step, bool backwards) {
    if (!lengths_) return nullptr;
    Value position;
    if (step.number) {
      position = step.number;
      if (backwards) position = Call("Sub", {IndexValue(ctx_, steps_ - Expr(1)), position});
    } else {
      position = IndexValue(ctx_, backwards ? steps_ - Expr(step.index + 1) : Expr(step.index));
    }
    return ctx_.Reshape(Call("Less", {position, lengths_}), {batch_, Expr(1)});
  }

  /// The final states, then all hidden states where they are wanted.
  Values RunDirection(int64_t d) {
    const bool backwards = first_backwards_ || d == 1;
    direction_ = d;
    if (ctx_.Has(4) && !lengths_) lengths_ = ctx_.Cast(ctx_.Arg(4), kI64);
    Values states;
    for (size_t argument : StateArguments()) {
      const Annotations zeros = {
          {"dtype", dtype_}, {"shape", std::vector<Expr>{batch_, Expr(hidden_)}}, {"value", 0.0}};
      states.push_back(ctx_.Has(argument) ? OfDirection(argument, d) : ctx_.Call("Full", {}, zeros));
    }
    StartDirection(d);
    Value products = InputProducts(d);
    Values results = RepeatSteps(ctx_, steps_, states, [&](const LoopStep& step, const Values& before) {
      Values after = Cell(RowOf(ctx_, products, step, backwards), before);
      Value y = after[0];
      if (Value within = Within(step, backwards)) {
        // Past its end a sequence keeps its state and gives zeros.
        for (size_t s = 0; s < after.size(); ++s) after[s] = Call("Where", {within, after[s], before[s]});
        y = Call("Where", {within, y, ctx_.Scalar(dtype_, 0)});
      }
      if (ctx_.Wants(0)) after.push_back(y);
      return after;
    });
    if (backwards && ctx_.Wants(0)) results.back() = ReverseRows(ctx_, results.back());
    return results;
  }

  /// [steps, batch, hidden] of each direction as the node's first result.
  Value Sequences(const Values& y) {
    Values lifted;
    for (const Value& v : y) lifted.push_back(ctx_.Reshape(v, {steps_, Expr(1), batch_, Expr(hidden_)}));
    Value all = lifted.size() == 1 ? lifted[0] : ctx_.Call("Concat", lifted, {{"axis", int64_t{1}}});
    return batch_first_ ? Transposed(all, {2, 0, 1, 3}) : all;
  }

  bool first_backwards_ = false, batch_first_ = false;
  std::optional<double> clip_;
  size_t per_direction_ = 0;
  std::vector<RecurrentActivation> activations_;
  Expr steps_, batch_, width_;
  Value sequence_, lengths_;
};

// Rows of weights are ordered input, output, forget, cell; of peepholes input, output, forget.
class LstmConverter : public RecurrentConverter {
 public:
  explicit LstmConverter(NodeContext& ctx)
      : RecurrentConverter(ctx, 4, {"Sigmoid", "Tanh", "Tanh"}), coupled_(ctx.Int("input_forget", 0) != 0) {}

 private:
  std::vector<size_t> StateArguments() const override { return {5, 6}; }
  void StartDirection(int64_t d) override {
    recurrent_ = OfDirection(2, d);
    if (ctx_.Has(7)) peepholes_ = OfDirection(7, d);
  }
  Value InputBias(int64_t d) override { return BiasSum(d); }

  /// A gate before its activation, with what it sees of the cell.
  Value Seeing(const Value& gate, int64_t peephole, const Value& cell) {
    if (!peepholes_) return gate;
    return Call("Add", {gate, Call("Mul", {Gate(peepholes_, peephole), cell})});
  }

  Values Cell(const Value& x, const Values& states) override {
    const Value &h = states[0], &c = states[1];
    Value products = Call("Add", {Product(h, recurrent_), x});
    Value input = Activate(0, Seeing(Gate(products, 0), 0, c));
    Value forget = coupled_ ? Call("Sub", {ctx_.Scalar(dtype_, 1), input})
                            : Activate(0, Seeing(Gate(products, 2), 2, c));
    Value candidate = Activate(1, Gate(products, 3));
    Value cell = Call("Add", {Call("Mul", {forget, c}), Call("Mul", {input, candidate})});
    Value output = Activate(0, Seeing(Gate(products, 1), 1, cell));
    return {Call("Mul", {output, ActivateUnclipped(2, cell)}), cell};
  }

  bool coupled_;
  Value recurrent_, peepholes_;
};

// Rows of weights are ordered update, reset, hidden.
class GruConverter : public RecurrentConverter {
 public:
  explicit GruConverter(NodeContext& ctx)
      : RecurrentConverter(ctx, 3, {"Sigmoid", "Tanh"}),
        reset_after_(ctx.Int("linear_before_reset", 0) != 0) {}

 private:
  std::vector<size_t> StateArguments() const override { return {5}; }

  void StartDirection(int64_t d) override {
    Value all = OfDirection(2, d);
    const Expr gates(2 * hidden_), hidden(hidden_);
    recurrent_ = reset_after_ ? all : PartOf(ctx_, all, 0, Expr(0), gates);
    recurrent_hidden_ = reset_after_ ? Value() : PartOf(ctx_, all, 0, gates, hidden);
    // The recurrent bias of the hidden gate is multiplied by the reset gate.
    if (reset_after_ && ctx_.Has(3))
      hidden_bias_ = PartOf(ctx_, OfDirection(3, d), 0, Expr(5 * hidden_), hidden);
  }

  Value InputBias(int64_t d) override {
    if (!ctx_.Has(3) || !reset_after_) return BiasSum(d);
    Value all = OfDirection(3, d);
    const Expr gates(2 * hidden_), hidden(hidden_);
    Value sums =
        Call("Add", {PartOf(ctx_, all, 0, Expr(0), gates), PartOf(ctx_, all, 0, Expr(3 * hidden_), gates)});
    return ctx_.Call("Concat", {sums, PartOf(ctx_, all, 0, gates, hidden)}, {{"axis", int64_t{0}}});
  }

  Values Cell(const Value& x, const Values& states) override {
    const Value& h = states[0];
    Value products = Product(h, recurrent_);
    Value update = Activate(0, Call("Add", {Gate(products, 0), Gate(x, 0)}));
    Value reset = Activate(0, Call("Add", {Gate(products, 1), Gate(x, 1)}));
    Value own;
    if (reset_after_) {
      own = Gate(products, 2);
      if (hidden_bias_) own = Call("Add", {own, hidden_bias_});
      own = Call("Mul", {reset, own});
    } else {
      own = Product(Call("Mul", {reset, h}), recurrent_hidden_);
    }
    Value candidate = Activate(1, Call("Add", {own, Gate(x, 2)}));
    Value rest = Call("Sub", {ctx_.Scalar(dtype_, 1), update});
    return {Call("Add", {Call("Mul", {rest, candidate}), Call("Mul", {update, h})})};
  }

  bool reset_after_;
  Value recurrent_, recurrent_hidden_, hidden_bias_;
};

class RnnConverter : public RecurrentConverter {
 public:
  explicit RnnConverter(NodeContext& ctx) : RecurrentConverter(ctx, 1, {"Tanh"}) {}

 private:
  std::vector<size_t> StateArguments() const override { return {5}; }
  void StartDirection(int64_t d) override { recurrent_ = OfDirection(2, d); }
  Value InputBias(int64_t d) override { return BiasSum(d); }
  Values Cell(const Value& x, const Values& states) override {
    return {Activate(0, Call("Add", {Product(states[0], recurrent_), x}))};
  }

  Value recurrent_;
};

void Lstm(NodeContext& ctx) { LstmConverter(ctx).Run(); }
void Gru(NodeContext& ctx) { GruConverter(ctx).Run(); }
void Rnn(NodeContext& ctx) { RnnConverter(ctx).Run(); }

[[maybe_unused]] const bool kRegistered =
    RegisterRows({{"LSTM", 1, 0, Lstm}, {"GRU", 1, 0, Gru}, {"RNN", 1, 0, Rnn}});

}  // namespace
}  // namespace tilewright::onnx
