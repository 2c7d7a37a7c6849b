// SPDX-License-Identifier: Apache-2.0
// Differentiation through whole graphs: shared values, branches, loops, what is refused. The gradients of
// single operators are compared in driver/gradient_test.cc.
#include "tilewright/transform/differentiate.h"

#include <gtest/gtest.h>

#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

using Values = std::vector<Value>;

Value CallIn(GraphBuilder& g, const std::string& op, Values args, const Annotations& attrs = {}) {
  return g.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), "node_" + op).front();
}
Type Scalar(DataType t) { return Type(TensorType{t, {}, {}, "", "global"}); }
Value Total(GraphBuilder& g, const Value& x) { return CallIn(g, "ReduceSum", {x}, {{"keepdims", false}}); }

IRModule WithLoss(TestModule& m, const Value& loss) {
  IRModule module = m.Finish({loss});
  GraphFunctionNode f = *GetGraphFunction(module);
  f.result_names = {"loss"};
  module.Set(GraphFunction(std::move(f)));
  return module;
}

/// All f64 parameters of @main by central differences of the interpreted loss.
void ExpectGradients(const IRModule& module, std::vector<NDArray> inputs = {}) {
  const GraphFunction before = GetGraphFunction(module);
  if (inputs.empty()) inputs = SeededInputs(module);
  DifferentiateOptions options{.loss = "loss", .parameters = {}};
  for (const Value& p : before->params) {
    if (p.tensor().dtype == kF64) options.parameters.push_back(p->origin);
  }
  const IRModule after = EliminateDeadCode(Differentiate(module, options));
  VerifyAll(after);
  const std::vector<NDArray> found = Interpret(GetGraphFunction(after), inputs, after);
  EXPECT_EQ(found[0].AsDouble(0), Interpret(before, inputs, module)[0].AsDouble(0));
  size_t k = 1;
  for (size_t p = 0; p < inputs.size(); ++p) {
    if (inputs[p].dtype() != kF64) continue;
    NDArray& x = inputs[p] = inputs[p].Copy();
    ASSERT_EQ(found[k].shape(), x.shape());
    for (int64_t i = 0; i < x.size(); ++i) {
      constexpr double kStep = 1e-5;
      const double here = x.AsDouble(i);
      x.SetDouble(i, here + kStep);
      const double above = Interpret(before, inputs, module)[0].AsDouble(0);
      x.SetDouble(i, here - kStep);
      const double slope = (above - Interpret(before, inputs, module)[0].AsDouble(0)) / (2 * kStep);
      x.SetDouble(i, here);
      EXPECT_NEAR(found[k].AsDouble(i), slope, 1e-7 * std::max(1.0, std::abs(slope)))
          << "parameter " << p << ", element " << i;
    }
    ++k;
  }
}

TEST(Differentiate, SumsOverAllUses) {
  TestModule m;
  const Value x = m.Input({4}, kF64), w = m.Input({4, 3}, kF64);
  const Value row = m.Call("Reshape", {x}, {{"shape", std::vector<Expr>{1, 4}}});
  const Value h = m.Call("Tanh", {m.Call("MatMul", {row, w})});
  const Value square = m.Call("Mul", {h, h});
  const Value more = m.Call("Add", {square, m.Call("ReduceSum", {w}, {{"axes", std::vector<int64_t>{0}}})});
  ExpectGradients(WithLoss(m, Total(m.builder(), m.Call("Mul", {more, m.Call("Exp", {h})}))));
}

TEST(Differentiate, CrossEntropyOfSoftmax) {
  TestModule m;
  const Value scores = m.Input({5, 9}, kF64), labels = m.Input({5, 1}, kI64);
  const Value log = m.Call("LogSoftmax", {scores}, {{"axis", int64_t{1}}});
  const Value picked = m.Call("GatherElements", {log, labels}, {{"axis", int64_t{1}}});
  const Value mean = m.Call("ReduceMean", {picked}, {{"keepdims", false}});
  ExpectGradients(WithLoss(m, m.Call("Neg", {mean})));
}

TEST(Differentiate, EqualMaximaShare) {
  TestModule m;
  const Value x = m.Input({4}, kF64);
  const IRModule module = WithLoss(m, m.Call("ReduceMax", {x}, {{"keepdims", false}}));
  const IRModule after = Differentiate(module, {.loss = "loss", .parameters = {"x0"}});
  const NDArray in = NDArray::FromDoubles(kF64, {4}, std::vector<double>{1, 3, 2, 3});
  EXPECT_EQ(Interpret(GetGraphFunction(after), {in})[1].ToDoubles(), (std::vector<double>{0, 0.5, 0, 0.5}));
}

TEST(Differentiate, WhatTheLossDoesNotDependOnGetsZeros) {
  TestModule m;
  const Value x = m.Input({2}, kF64), y = m.Input({3}, kF64);
  m.Call("Exp", {y});
  const Value index = m.Call("Cast", {y}, {{"to", kI64}});  // a way through integers is none
  const Value back = m.Call("ReduceSum", {m.Call("Cast", {index}, {{"to", kF64}})}, {{"keepdims", false}});
  const IRModule module = WithLoss(m, m.Call("Add", {Total(m.builder(), x), back}));
  const IRModule after = Differentiate(module, {.loss = "loss", .parameters = {"x0", "x1", "x0"}});
  VerifyAll(after);
  const std::vector<NDArray> found = Interpret(GetGraphFunction(after), SeededInputs(module), after);
  EXPECT_EQ(found[1].ToDoubles(), (std::vector<double>{1, 1}));
  EXPECT_EQ(found[2].ToDoubles(), (std::vector<double>{0, 0, 0}));
  EXPECT_EQ(found[3].ToDoubles(), (std::vector<double>{1, 1}));
  EXPECT_EQ(GetGraphFunction(after)->result_names,
            (std::vector<std::string>{"loss", "gradient:x0", "gradient:x1", "gradient:x0"}));
}

/// One branch uses x twice and an outer value; the other gives an outer value itself.
IRModule Branches() {
  TestModule m;
  const Value x = m.Input({3}, kF64), w = m.Input({3}, kF64), go = m.Input({}, kBool);
  const Value outer = m.Call("Sin", {x});
  GraphBuilder yes, no;
  const Value inner = CallIn(yes, "Exp", {CallIn(yes, "Mul", {x, outer})});
  GraphBlock a = yes.Finish({CallIn(yes, "Mul", {inner, w}), inner}), b = no.Finish({w, outer});
  const Values r =
      m.builder().Bind(MakeGraphIf(go, std::move(a), std::move(b)), {x->type, x->type}, "branches");
  return WithLoss(m, Total(m.builder(), m.Call("Mul", {m.Call("Tanh", {r[0]}), r[1]})));
}

TEST(Differentiate, ThroughBothBranches) {
  for (double go : {1.0, 0.0}) {
    const IRModule module = Branches();
    std::vector<NDArray> inputs = SeededInputs(module);
    inputs[2] = NDArray::FromDoubles(kBool, {}, std::vector<double>{go});
    ExpectGradients(module, inputs);
  }
}

GraphBlock LoopBody(const Values& carried) {
  GraphBlock body;
  body.params = {Value("i", Scalar(kI64)), Value("go", Scalar(kBool))};
  for (const Value& v : carried) body.params.push_back(Value(v.name() + ".c", v->type));
  return body;
}

Values BindLoop(GraphBuilder& g, const Value& trips, const Values& carried, GraphBlock body,
                const Expr& count) {
  std::vector<Type> types;
  for (size_t r = 1; r < body.results.size(); ++r) {
    TensorType t = body.results[r].tensor();
    if (r > carried.size()) t.shape.insert(t.shape.begin(), count);
    types.push_back(Type(std::move(t)));
  }
  return g.Bind(MakeGraphLoop(trips, nullptr, carried, std::move(body)), types, "loop");
}

/// A recurrent net: state h, rows of a sequence, weights from outside, a counter that is no float, a carried
/// value that stays, one that is only stacked; the iteration's number is used.
IRModule Recurrent(int64_t steps, bool nested) {
  TestModule m;
  const Value xs = m.Input({steps, 3}, kF64), w = m.Input({3, 3}, kF64), h0 = m.Input({1, 3}, kF64);
  const Value scale = m.Input({3}, kF64);
  const Value trips = m.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{steps}));
  const Value count = m.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{7}));
  GraphBlock body = LoopBody({h0, count, scale});
  const Values p = body.params;
  GraphBuilder g;
  const Value row = CallIn(g, "Row", {xs, p[0]}, {{"from_end", false}});
  Value h = CallIn(g, "Tanh", {CallIn(g, "Add", {CallIn(g, "MatMul", {p[2], w}), row})});
  const Value number = CallIn(g, "Cast", {CallIn(g, "Add", {p[3], p[0]})}, {{"to", kF64}});
  h = CallIn(g, "Mul", {h, CallIn(g, "Sin", {number})});
  if (nested) {
    // Twice within every iteration: h := sin(h * scale).
    GraphBlock inner = LoopBody({h});
    const Values q = inner.params;
    GraphBuilder deep;
    const Value next = CallIn(deep, "Sin", {CallIn(deep, "Mul", {q[2], p[4]})});
    inner = deep.Finish({q[1], next});
    inner.params = q;
    const Value two = g.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{2}));
    h = BindLoop(g, two, {h}, inner, Expr(2))[0];
  }
  const Value seen = CallIn(g, "Mul", {h, p[4]});
  body = g.Finish({p[1], h, CallIn(g, "Add", {p[3], p[3]}), p[4], seen});
  body.params = p;
  const Values r = BindLoop(m.builder(), trips, {h0, count, scale}, body, Expr(steps));
  const Value stacked = m.Call("Mul", {r[3], r[3]});
  return WithLoss(m, m.Call("Add", {Total(m.builder(), m.Call("Exp", {r[0]})),
                                    Total(m.builder(), m.Call("Add", {stacked, r[2]}))}));
}

TEST(Differentiate, ThroughALoop) { ExpectGradients(Recurrent(4, false)); }
TEST(Differentiate, ThroughALoopInALoop) { ExpectGradients(Recurrent(3, true)); }
TEST(Differentiate, ThroughALoopOfOneStep) { ExpectGradients(Recurrent(1, true)); }

TEST(Differentiate, ALoopStacksOnlyWhatItReads) {
  const IRModule after = Differentiate(Recurrent(4, false), {.loss = "loss", .parameters = {"x1"}});
  const Binding& loop = *std::find_if(BindingsOf(after).begin(), BindingsOf(after).end(),
                                      [](const Binding& b) { return b.operation.As<GraphLoopNode>(); });
  // h and the counter; the scale stays what it is.
  ASSERT_EQ(loop.results.size(), 6u);
  EXPECT_EQ(loop.results[4]->type.ToString(), "f64[4, 1, 3]");
  EXPECT_EQ(loop.results[5]->type.ToString(), "i64[4]");
}

// ---- Refusals

void ExpectRefused(const IRModule& module, const DifferentiateOptions& options, const std::string& id,
                   const std::vector<std::string>& texts) {
  try {
    Differentiate(module, options);
    FAIL() << "accepted; expected " << id;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    for (const std::string& text : texts) EXPECT_THAT(e.what(), testing::HasSubstr(text));
  }
}

TEST(Differentiate, NamesAllNodesWithoutAGradient) {
  TestModule m;
  const Value x = m.Input({3, 4}, kF64), other = m.Input({3, 4}, kF64);
  const Value a = m.Call("Acosh", {x}), b = m.Call("ReduceProd", {a}, {{"keepdims", false}});
  const Value fine = m.Call("Atan", {other});  // on no way from x
  const IRModule module = WithLoss(m, m.Call("Add", {b, Total(m.builder(), fine)}));
  ExpectRefused(module, {.loss = "loss", .parameters = {"x0"}}, "TW2206",
                {"2 nodes", "Acosh (node node_Acosh)", "ReduceProd (node node_ReduceProd)"});
  EXPECT_NO_THROW(Differentiate(module, {.loss = "loss", .parameters = {}}));
}

TEST(Differentiate, RefusesLoopsThatRunUntilACondition) {
  TestModule m;
  const Value x = m.Input({2}, kF64), limit = m.Input({}, kI64);
  GraphBlock body = LoopBody({x});
  const Values p = body.params;
  GraphBuilder g;
  body = g.Finish({p[1], CallIn(g, "Sin", {p[2]})});
  body.params = p;
  const Value y = BindLoop(m.builder(), limit, {x}, body, Expr(1))[0];
  ExpectRefused(WithLoss(m, Total(m.builder(), y)), {.loss = "loss", .parameters = {"x0"}}, "TW2206",
                {"1 nodes", "Loop", "node loop"});
}

TEST(Differentiate, RefusesNamesAndTypesThatDoNotFit) {
  TestModule m;
  const Value x = m.Input({2}, kF64), n = m.Input({2}, kI64);
  const IRModule whole = WithLoss(m, m.Call("Mul", {x, m.Call("Cast", {n}, {{"to", kF64}})}));
  ExpectRefused(whole, {.loss = "cost", .parameters = {}}, "TW2204", {"'cost'", "outputs: 'loss'"});
  ExpectRefused(whole, {.loss = "loss", .parameters = {}}, "TW2205", {"'loss'", "f64[2]"});
  TestModule s;
  const Value y = s.Input({2}, kF64), i = s.Input({2}, kI64);
  const Value sum = s.Call("Add", {y, s.Call("Cast", {i}, {{"to", kF64}})});
  const IRModule module = WithLoss(s, Total(s.builder(), sum));
  ExpectRefused(module, {.loss = "loss", .parameters = {"w"}}, "TW2204", {"'w'", "'x0', 'x1'"});
  ExpectRefused(module, {.loss = "loss", .parameters = {"x1"}}, "TW2205", {"'x1'", "i64[2]"});
}

TEST(AddDescentStep, MovesAgainstTheGradient) {
  TestModule m;
  const Value x = m.Input({3}, kF64);
  const IRModule module = WithLoss(m, Total(m.builder(), m.Call("Mul", {x, x})));
  const DifferentiateOptions options{.loss = "loss", .parameters = {"x0"}};
  const IRModule step = AddDescentStep(Differentiate(module, options), options, "rate");
  VerifyAll(step);
  const GraphFunction f = GetGraphFunction(step);
  EXPECT_EQ(f->result_names, (std::vector<std::string>{"loss", "next:x0"}));
  EXPECT_EQ(std::get<std::vector<std::string>>(f->attrs.at("donate")),
            (std::vector<std::string>{"x0", "next:x0"}));
  const NDArray in = NDArray::FromDoubles(kF64, {3}, std::vector<double>{1, -2, 4});
  const NDArray rate = NDArray::FromDoubles(kF64, {}, std::vector<double>{0.25});
  EXPECT_EQ(Interpret(f, {in, rate})[1].ToDoubles(), (std::vector<double>{0.5, -1, 2}));
}

}  // namespace
}  // namespace tilewright
