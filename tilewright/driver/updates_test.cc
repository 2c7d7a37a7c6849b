// SPDX-License-Identifier: Apache-2.0
// Results in the memory of arguments: updates in place and donated inputs, against the interpreter over
// several runs, in each of which an output is the next run's input.
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/context.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

using Values = std::vector<Value>;
using Pairs = std::vector<std::pair<std::string, std::string>>;

Value Param(const std::string& name, std::vector<Expr> shape, DataType t = kF32) {
  return Value(name, Type(TensorType{t, std::move(shape), {}, "", "global"}), name);
}
Value Call(GraphBuilder& g, const std::string& op, Values args, const Annotations& attrs = {}) {
  return g.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), op).front();
}
NDArray Numbers(DataType t, std::vector<int64_t> shape, int64_t first) {
  NDArray a = NDArray::Empty(t, std::move(shape));
  for (int64_t i = 0; i < a.size(); ++i) a.SetInt(i, t.is_float() ? first + i % 7 : (first + i) % 4);
  return a;
}

CompiledModel Compile(const IRModule& module, const Pairs& donate) {
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  options.donate = donate;
  return CompileModel(module, {}, options);
}

int CountCopies(const CompiledModel& model) {
  int n = 0;
  for (const runtime::Instruction& i : model.program.instructions)
    n += std::holds_alternative<runtime::CopyOp>(i.op);
  return n;
}

std::vector<double> OutputOf(const runtime::Context& context, size_t i) {
  const runtime::TensorView view = context.Output(i);
  const auto* data = static_cast<const float*>(view.data);
  return {data, data + view.bytes / sizeof(float)};
}

/// Three runs with y0 fed to x0, donated or not, as the interpreter has them.
void ExpectRuns(const IRModule& module, const CompiledModel& model, bool donate) {
  const GraphFunction f = GetGraphFunction(module);
  runtime::Context context(LoadInProcess(model), {.num_threads = 2});
  std::vector<NDArray> inputs;
  for (const Value& p : f->params) {
    inputs.push_back(Numbers(p.tensor().dtype, *p.tensor().StaticShape(), int64_t(inputs.size()) + 1));
    context.SetInput(inputs.size() - 1, inputs.back().data(), uint64_t(inputs.back().bytes()));
  }
  for (int run = 0; run < 3; ++run) {
    const std::vector<NDArray> want = Interpret(f, inputs, module);
    context.Run();
    for (size_t r = 0; r < want.size(); ++r) {
      const std::vector<double> found = OutputOf(context, r);
      for (size_t i = 0; i < found.size(); ++i) {
        const double exact = want[r].AsDouble(int64_t(i));
        ASSERT_NEAR(found[i], exact, 1e-5 * std::abs(exact))
            << "run " << run << ", output " << r << ", " << i;
      }
    }
    if (donate) EXPECT_EQ(context.Output(0).data, context.InputBuffer(0).data);
    context.Feed(0, 0);
    inputs[0] = want[0];
  }
}

/// The same, and the copies that the program makes.
int ExpectAgreement(const IRModule& module, bool donate = true) {
  const CompiledModel model = Compile(module, donate ? Pairs{{"x0", "y0"}} : Pairs{});
  ExpectRuns(module, model, donate);
  return CountCopies(model);
}

Value Scatter(GraphBuilder& g, const Value& x, const Value& index, const Value& updates) {
  return Call(g, "ScatterND", {x, index, updates}, {{"reduction", std::string("add")}});
}

struct Parts {
  GraphBuilder g;
  Value x = Param("x0", {4, 16}), index = Param("x1", {2, 1}, kI64), rows = Param("x2", {2, 16});
  IRModule Finish(Values results) { return MainModule({x, index, rows}, g, std::move(results)); }
};

TEST(Updates, OfADonatedInputHappenInPlace) {
  Parts p;
  const Value y = Scatter(p.g, p.x, p.index, p.rows);
  EXPECT_EQ(ExpectAgreement(p.Finish({y, Call(p.g, "Exp", {y})})), 0);
}

TEST(Updates, FollowOneAnotherInPlace) {
  Parts p;
  Value y = Scatter(p.g, p.x, p.index, p.rows);
  y = Scatter(p.g, y, p.index, Call(p.g, "Relu", {p.rows}));
  EXPECT_EQ(ExpectAgreement(p.Finish({y})), 0);
}

TEST(Updates, KeepADonatedInputThatIsNeededLater) {
  Parts p;
  const Value y = Scatter(p.g, p.x, p.index, p.rows);
  EXPECT_EQ(ExpectAgreement(p.Finish({y, Call(p.g, "MatMul", {y, p.x}, {{"transpose_b", true}})})), 2);
}

TEST(Updates, WithoutADonationCopyTheirArgumentOnce) {
  Parts p;
  const Value y = Scatter(p.g, Scatter(p.g, p.x, p.index, p.rows), p.index, p.rows);
  EXPECT_EQ(ExpectAgreement(p.Finish({y}), false), 1);
}

TEST(Updates, OfWhatIsMadeForThemCopyNothing) {
  Parts p;  // in an output
  const Value y = Scatter(p.g, Call(p.g, "Neg", {p.x}), p.index, p.rows);
  EXPECT_EQ(ExpectAgreement(p.Finish({Call(p.g, "Add", {p.x, y}), y}), false), 0);
  Parts q;  // within the run, through a view
  const Value sums = Call(q.g, "Tanh", {Call(q.g, "MatMul", {q.x, q.rows}, {{"transpose_b", true}})});
  const Value turned = Call(q.g, "Reshape", {sums}, {{"shape", std::vector<Expr>{2, 4}}});
  const Value part = Call(q.g, "Slice", {q.rows},
                          {{"begin", std::vector<Expr>{0, 0}},
                           {"stride", std::vector<int64_t>{1, 1}},
                           {"shape", std::vector<Expr>{2, 4}}});
  const Value updated = Scatter(q.g, turned, q.index, part);
  const Value back = Call(q.g, "Reshape", {updated}, {{"shape", std::vector<Expr>{4, 2}}});
  EXPECT_EQ(ExpectAgreement(q.Finish({Call(q.g, "MatMul", {back, q.rows})}), false), 0);
}

TEST(Updates, OfWhatIsNeededLaterCopyIt) {
  Parts p;
  const Value made = Call(p.g, "MatMul", {p.x, p.x}, {{"transpose_b", true}});
  const Value small = Call(p.g, "Slice", {p.rows},
                           {{"begin", std::vector<Expr>{0, 0}},
                            {"stride", std::vector<int64_t>{1, 1}},
                            {"shape", std::vector<Expr>{2, 4}}});
  const Value y = Call(p.g, "Exp", {Scatter(p.g, made, p.index, small)});
  const Value both = Call(p.g, "MatMul", {made, Call(p.g, "Log", {y})});
  EXPECT_EQ(CountCopies(Compile(p.Finish({both}), {})), 1);
}

/// A table that a loop adds rows to, and a copy of the table from before the loop.
TEST(Updates, InLoops) {
  Parts p;
  GraphBlock body;
  body.params = {Param("i", {}, kI64), Param("go", {}, kBool), Param("c", {4, 16})};
  const Values q = body.params;
  GraphBuilder g;
  const Value once = Scatter(g, q[2], p.index, p.rows);
  const Value twice = Scatter(g, once, p.index, Call(g, "Neg", {Call(g, "Relu", {p.rows})}));
  body = g.Finish({q[1], Scatter(g, twice, p.index, p.rows), q[2]});
  body.params = q;
  const Value trips = p.g.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{3}));
  const Value made = Call(p.g, "Relu", {p.x});
  const Values r = p.g.Bind(MakeGraphLoop(trips, nullptr, {made}, body),
                            {made->type, Param("s", {3, 4, 16})->type}, "loop");
  ExpectAgreement(p.Finish({r[0], Scatter(p.g, made, p.index, p.rows), r[1]}));
}

// ---- Donated inputs without updates

TEST(Donations, ElementwiseResultsAreWrittenOverTheInput) {
  Parts p;
  const Value y = Call(p.g, "Add", {Call(p.g, "Mul", {p.x, p.x}), Call(p.g, "Neg", {p.x})});
  EXPECT_EQ(ExpectAgreement(p.Finish({y})), 0);
}

TEST(Donations, AProductMayBeAddedToTheInput) {
  GraphBuilder g;
  const Value w = Param("x0", {24, 40}), a = Param("x1", {8, 24}), b = Param("x2", {8, 40});
  const Value product = Call(g, "MatMul", {a, b}, {{"transpose_a", true}});
  EXPECT_EQ(ExpectAgreement(MainModule({w, a, b}, g, {Call(g, "Sub", {w, product})})), 0);
}

TEST(Donations, WhatReadsOtherElementsIsCopied) {
  for (int kind = 0; kind < 4; ++kind) {
    Parts p;
    Value other;
    if (kind == 0) other = Call(p.g, "ReduceMax", {p.x}, {{"axes", std::vector<int64_t>{0}}});
    if (kind == 1) {
      other = Call(p.g, "Slice", {p.x},
                   {{"begin", std::vector<Expr>{3, 15}},
                    {"stride", std::vector<int64_t>{-1, -1}},
                    {"shape", std::vector<Expr>{4, 16}}});
    }
    if (kind == 2)
      other = Call(p.g, "MatMul",
                   {Call(p.g, "Tanh", {Call(p.g, "MatMul", {p.x, p.x}, {{"transpose_b", true}})}), p.x});
    if (kind == 3) {
      other = Call(p.g, "Reshape", {Call(p.g, "Transpose", {p.x}, {{"perm", std::vector<int64_t>{1, 0}}})},
                   {{"shape", std::vector<Expr>{4, 16}}});
    }
    const Value y = Call(p.g, "Sub", {Call(p.g, "Neg", {p.x}), other});
    EXPECT_LE(ExpectAgreement(p.Finish({y})), 1) << kind;
  }
}

TEST(Donations, AnOutputThatIsTheInputStaysWhereItIs) {
  Parts p;
  EXPECT_EQ(ExpectAgreement(p.Finish({p.x, Call(p.g, "Neg", {p.x})})), 0);
}

TEST(Donations, TheInputAsAnotherOutputIsCopiedInTime) {
  Parts p;
  EXPECT_EQ(ExpectAgreement(p.Finish({Call(p.g, "Neg", {p.x}), p.x})), 2);
}

void ExpectRefused(const IRModule& module, const Pairs& donate, const std::string& text) {
  try {
    Compile(module, donate);
    ADD_FAILURE() << "accepted; expected " << text;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW3102") << e.what();
    EXPECT_NE(std::string(e.what()).find(text), std::string::npos) << e.what();
  }
}

TEST(Donations, WhatDoesNotFitIsRefused) {
  Parts p;
  const IRModule module = p.Finish({Call(p.g, "Neg", {p.x}), Call(p.g, "Exp", {p.x}), p.rows, p.x});
  ExpectRefused(module, {{"x9", "y0"}}, "no input 'x9'");
  ExpectRefused(module, {{"x0", "y9"}}, "no output 'y9'");
  ExpectRefused(module, {{"x2", "y0"}}, "different types");
  ExpectRefused(module, {{"x0", "y0"}, {"x0", "y1"}}, "named twice");
  GraphFunctionNode odd = *GetGraphFunction(module);
  odd.attrs["donate"] = int64_t{1};
  IRModule other;
  other.Set(GraphFunction(std::move(odd)));
  ExpectRefused(other, {}, "no list");
  GraphBuilder g;
  const Value a = Param("x0", {4}), b = Param("x1", {4});
  ExpectRefused(MainModule({a, b}, g, {b, a}), {{"x0", "y0"}, {"x1", "y1"}}, "is input 'x1' itself");
}

}  // namespace
}  // namespace tilewright
