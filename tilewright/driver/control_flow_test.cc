// SPDX-License-Identifier: Apache-2.0
// Compiled branches and loops against the interpreter of the graph level.
#include <gtest/gtest.h>

#include <random>

#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/context.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

using Values = std::vector<Value>;

Type Tensor(DataType t, std::vector<Expr> shape) { return TensorType{t, std::move(shape), {}, "", "global"}; }
Value Param(const std::string& name, std::vector<Expr> shape, DataType t = kF32) {
  return Value(name, Tensor(t, std::move(shape)), name);
}

Value Call(GraphBuilder& g, const std::string& op, Values args, const Annotations& attrs = {}) {
  return g.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), op).front();
}
Value Number(GraphBuilder& g, double v) {
  return g.Constant(NDArray::FromDoubles(kF32, {}, std::vector<double>{v}));
}
Value Index(GraphBuilder& g, int64_t v) {
  return g.Constant(NDArray::FromInts(kI64, {}, std::vector<int64_t>{v}));
}

/// A loop whose body gives its condition, what it carries and what it stacks; `trips` shapes what is stacked.
Values Loop(GraphBuilder& g, const Value& trips, const Value& condition, Values carried, const Expr& count,
            const std::function<Values(GraphBuilder&, const Values& params)>& body) {
  GraphBlock block;
  block.params = {Param("i", {}, kI64), Param("go", {}, kBool)};
  for (const Value& v : carried) block.params.push_back(Value("c", v->type));
  const Values params = block.params;
  GraphBuilder inner;
  Values results = body(inner, params);
  std::vector<Type> types;
  for (size_t r = 1; r < results.size(); ++r) {
    TensorType t = results[r].tensor();
    if (r > carried.size()) t.shape.insert(t.shape.begin(), count);
    types.push_back(Type(t));
  }
  block = inner.Finish(std::move(results));
  block.params = params;
  return g.Bind(MakeGraphLoop(trips, condition, std::move(carried), std::move(block)), types, "loop");
}

Values Branches(GraphBuilder& g, const Value& condition, const std::function<Values(GraphBuilder&)>& yes,
                const std::function<Values(GraphBuilder&)>& no) {
  GraphBuilder a, b;
  Values ra = yes(a), rb = no(b);
  std::vector<Type> types;
  for (const Value& v : ra) types.push_back(v->type);
  return g.Bind(MakeGraphIf(condition, a.Finish(std::move(ra)), b.Finish(std::move(rb))), types, "if");
}

NDArray Random(std::vector<int64_t> shape, unsigned seed) {
  std::mt19937 random(seed);
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  for (float& v : a.mutable_as<float>()) v = std::uniform_real_distribution<float>(-1, 1)(random);
  return a;
}
NDArray Flag(bool v) { return NDArray::FromInts(kBool, {}, std::vector<int64_t>{v}); }
NDArray Int(int64_t v) { return NDArray::FromInts(kI64, {}, std::vector<int64_t>{v}); }

/// One compile, several runs in one context; each as the interpreter has it.
void ExpectAgreement(const IRModule& module, const std::vector<std::vector<NDArray>>& runs) {
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  runtime::Context context(LoadInProcess(CompileModel(module, {}, options)), {.num_threads = 1});
  for (const auto& inputs : runs) {
    const std::vector<NDArray> want = Interpret(GetGraphFunction(module), inputs, module);
    for (size_t i = 0; i < inputs.size(); ++i) {
      context.SetInputShape(i, inputs[i].shape());
      context.SetInput(i, inputs[i].data(), uint64_t(inputs[i].bytes()));
    }
    context.Run();
    for (size_t r = 0; r < want.size(); ++r) {
      const runtime::TensorView got = context.Output(r);
      ASSERT_EQ(std::vector<int64_t>(got.shape.begin(), got.shape.end()), want[r].shape());
      ASSERT_EQ(want[r].dtype(), kF32);
      for (int64_t i = 0; i < want[r].size(); ++i) {
        EXPECT_NEAR(static_cast<const float*>(got.data)[i], want[r].AsDouble(i), 1e-5)
            << "result " << r << " element " << i;
      }
    }
  }
}

/// A recurrence over x [n, width] with a weight: rows read in place or copied, states exchanged.
IRModule Recurrence(const Expr& n, int64_t width, bool from_end) {
  GraphBuilder g;
  const Value x = Param("x", {n, Expr(width)}), s = Param("s", {Expr(width)});
  const Value trips =
      AsInt(n)
          ? Index(g, *AsInt(n))
          : Call(g, "IndexList", {}, {{"elements", std::vector<Expr>{n}}, {"shape", std::vector<int64_t>{}}});
  const Value doubled = Call(g, "Add", {x, x});
  Values out = Loop(g, trips, nullptr, {s, s}, n, [&](GraphBuilder& b, const Values& p) {
    const Value row = Call(b, "Row", {doubled, p[0]}, {{"from_end", from_end}});
    const Value next = Call(b, "Tanh", {Call(b, "Add", {Call(b, "Mul", {p[2], Number(b, 0.5)}), row})});
    const Value sum = Call(b, "Add", {p[3], Call(b, "Mul", {next, s})});
    return Values{p[1], next, sum, next, Call(b, "ReduceSum", {sum}, {{"axes", std::vector<int64_t>{0}}})};
  });
  return MainModule({x, s}, g, out);
}

TEST(CompiledLoops, CarryStackAndReadRows) {
  for (int64_t width : {16, 5}) {
    for (bool from_end : {false, true}) {
      for (int64_t n : {1, 2, 7})
        ExpectAgreement(Recurrence(Expr(n), width, from_end), {{Random({n, width}, 1), Random({width}, 2)}});
    }
  }
}

TEST(CompiledLoops, OverSymbolicLengths) {
  for (bool from_end : {false, true}) {
    std::vector<std::vector<NDArray>> runs;
    for (int64_t n : {3, 8, 1, 3}) runs.push_back({Random({n, 16}, unsigned(n)), Random({16}, 2)});
    ExpectAgreement(Recurrence(Var::Symbol("n", 1), 16, from_end), runs);
  }
}

TEST(CompiledLoops, ExchangeWhatTheyCarry) {
  // a, b, c -> b, a + c, c, with the iteration's number in it; results used in several ways.
  GraphBuilder g;
  const Value a = Param("a", {Expr(8)}), b = Param("b", {Expr(8)}), trips = Param("n", {}, kI64);
  Values out = Loop(g, trips, nullptr, {a, b, b}, Expr(0), [&](GraphBuilder& f, const Values& p) {
    const Value i = Call(f, "Cast", {p[0]}, {{"to", kF32}});
    return Values{p[1], p[3], Call(f, "Add", {Call(f, "Add", {p[2], p[4]}), i}), p[4]};
  });
  const Value sum = Call(g, "Add", {out[0], out[1]});
  IRModule module = MainModule({a, b, trips}, g, {out[0], out[1], out[2], sum});
  std::vector<std::vector<NDArray>> runs;
  for (int64_t n : {0, 1, 2, 3, 8, 1}) runs.push_back({Random({8}, 1), Random({8}, 2), Int(n)});
  ExpectAgreement(module, runs);
}

TEST(CompiledLoops, EndByTheirCondition) {
  GraphBuilder g;
  const Value x = Param("x", {Expr(4)}), limit = Param("limit", {}), go = Param("go", {}, kBool);
  Values out = Loop(g, nullptr, go, {x}, Expr(0), [&](GraphBuilder& f, const Values& p) {
    const Value next = Call(f, "Mul", {p[2], Number(f, 1.5)});
    const Value largest = Call(f, "ReduceMax", {next}, {{"axes", std::vector<int64_t>{0}}});
    return Values{Call(f, "Less", {largest, limit}), next};
  });
  IRModule module = MainModule({x, limit, go}, g, out);
  const NDArray start = NDArray::FromDoubles(kF32, {4}, std::vector<double>{1, 2, 3, 4});
  std::vector<std::vector<NDArray>> runs;
  for (double most : {0., 10., 100., 5.}) {
    runs.push_back({start, NDArray::FromDoubles(kF32, {}, std::vector<double>{most}), Flag(most != 100)});
  }
  ExpectAgreement(module, runs);
}

TEST(CompiledBranches, GiveOneOfTwo) {
  GraphBuilder g;
  const Value x = Param("x", {Expr(6)}), go = Param("go", {}, kBool);
  const Value half = Call(g, "Mul", {x, Number(g, 0.5)});
  // Results that a kernel makes, that are a value from outside, a constant, and one that is given twice.
  Values out = Branches(
      g, go,
      [&](GraphBuilder& f) {
        const Value y = Call(f, "Exp", {half});
        return Values{y, x, y,
                      Call(f, "Reshape", {Call(f, "Add", {y, x})}, {{"shape", std::vector<Expr>{2, 3}}})};
      },
      [&](GraphBuilder& f) {
        const Value c = f.Constant(Random({6}, 9)), z = f.Constant(Random({2, 3}, 8));
        return Values{c, half, x, z};
      });
  const Value after = Call(g, "Add", {out[0], out[1]});
  IRModule module = MainModule({x, go}, g, {out[0], out[1], out[2], out[3], after});
  ExpectAgreement(module, {{Random({6}, 1), Flag(true)}, {Random({6}, 2), Flag(false)}});
}

TEST(CompiledControl, Nests) {
  // A loop whose body branches and holds a loop that stacks.
  GraphBuilder g;
  const Value x = Param("x", {Expr(3), Expr(16)}), w = Param("w", {Expr(16), Expr(16)});
  Values out = Loop(g, Index(g, 4), nullptr, {x}, Expr(4), [&](GraphBuilder& f, const Values& p) {
    Values inner = Loop(f, Index(f, 3), nullptr, {Call(f, "Row", {p[2], Index(f, 1)}, {})}, Expr(3),
                        [&](GraphBuilder& h, const Values& q) {
                          const Value row = Call(h, "Row", {p[2], q[0]}, {});
                          const Value next = Call(h, "Add", {q[2], row});
                          return Values{q[1], Call(h, "Tanh", {next}), next};
                        });
    const Value early = Call(f, "Less", {p[0], Index(f, 2)});
    Values chosen = Branches(
        f, early, [&](GraphBuilder& h) { return Values{Call(h, "MatMul", {inner[1], w}, {})}; },
        [&](GraphBuilder&) { return Values{inner[1]}; });
    return Values{p[1], Call(f, "Tanh", {chosen[0]}), inner[0]};
  });
  IRModule module = MainModule({x, w}, g, out);
  ExpectAgreement(module,
                  {{Random({3, 16}, 1), Random({16, 16}, 2)}, {Random({3, 16}, 3), Random({16, 16}, 4)}});
}

}  // namespace
}  // namespace tilewright
