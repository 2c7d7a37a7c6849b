// SPDX-License-Identifier: Apache-2.0
// Whole programs as C, compiled by the system's compiler and called.
#include "tilewright/driver/c_source.h"

#include <gmock/gmock.h>

#include <random>

#include "tilewright/codegen/c/test_build.h"
#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/parser.h"
#include "tilewright/op/test_reduce_cases.h"
#include "tilewright/op/test_shape_cases.h"
#include "tilewright/op/test_window_cases.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

CompileOptions ForC() {
  CompileOptions options;
  options.target = Target::Parse("c");
  options.verify_each = true;
  return options;
}

/// Runs the model as C on these inputs.
std::vector<NDArray> RunAsC(const CompiledModel& model, std::vector<NDArray> inputs) {
  CProgramText text = CProgram(model, "m", "m.h");
  const std::string include = "#include \"m.h\"\n";
  text.source.replace(text.source.find(include), include.size(), text.header);
  std::vector<void*> in, out;
  std::vector<NDArray> outputs;
  for (NDArray& a : inputs) in.push_back((a = a.Copy()).mutable_data());
  const GraphFunction f = GetGraphFunction(model.module);
  for (const Value& v : f->body.results) {
    std::vector<int64_t> shape;
    for (const Expr& d : v.tensor().shape) shape.push_back(*AsInt(d));
    outputs.push_back(NDArray::Zeros(v.tensor().dtype, shape));
    out.push_back(outputs.back().mutable_data());
  }
  auto list = [](const char* array, size_t n) {
    std::string items = n == 0 ? "0" : "";
    for (size_t i = 0; i < n; ++i) items += fmt::format("{}{}[{}]", i ? ", " : "", array, i);
    return items;
  };
  const testing_c::BuiltSource built(
      text.source + text.parameters +
      fmt::format("const char* entry(void* const* in, void* const* out);\n"
                  "const char* entry(void* const* in, void* const* out) {{\n  (void)in;\n"
                  "  const m_inputs inputs = {{{}}};\n  const m_outputs outputs = {{{}}};\n"
                  "  return m_run(&inputs, &outputs);\n}}\n",
                  list("in", in.size()), list("out", out.size())));
  auto entry = built.Find<const char* (*)(void* const*, void* const*)>("entry");
  EXPECT_TRUE(entry);
  // The second run finds what the first has left in memory.
  for (int run = 0; run < 2 && entry; ++run) EXPECT_STREQ(entry(in.data(), out.data()), nullptr);
  return outputs;
}

// Two dozen of all operators' cases, drawn by a seed.
TEST(CSource, OperatorsAgreeWithDirectEvaluation) {
  std::vector<OpCase> cases;
  for (const auto& more : {ElementwiseCases(), ShapeCases(), ReduceCases(), WindowCases()})
    cases.insert(cases.end(), more.begin(), more.end());
  std::shuffle(cases.begin(), cases.end(), std::mt19937(20));
  for (size_t i = 0; i < 24; ++i) {
    SCOPED_TRACE(cases[i].name);
    IRModule module;
    module.Set(CaseFunction(cases[i]));
    const TestArrays inputs = CaseInputs(cases[i]);
    ExpectCase(cases[i], inputs, RunAsC(CompileModel(module, {}, ForC()), inputs));
  }
}

TEST(CSource, BranchesAndLoops) {
  const TextModule text = ParseModule(R"(
graph @main(%x: f32[3, 4], %yes: bool[], %n: i64[]) -> ("a", "b") {
  %a: f32[3, 4] = if %yes {
    %t: f32[3, 4] = Exp(%x)
    yield %t
  } else {
    %e: f32[3, 4] = Sqrt(%x)
    yield %e
  }
  %b: f32[3, 4] = loop trip %n while _ carry (%x) body (%i: i64[], %go: bool[], %c: f32[3, 4]) {
    %d: f32[3, 4] = Mul(%c, %a)
    yield %go, %d
  }
  return %a, %b
}
)");
  const CompiledModel model = CompileModel(text.module, {}, ForC());
  for (bool yes : {false, true}) {
    for (int64_t n : {0, 1, 4}) {
      std::vector<double> x(12);
      for (size_t i = 0; i < x.size(); ++i) x[i] = 0.1 * double(i + 1);
      const std::vector<NDArray> inputs{NDArray::FromDoubles(kF32, {3, 4}, x),
                                        NDArray::FromInts(kBool, {}, std::vector<int64_t>{yes}),
                                        NDArray::FromInts(kI64, {}, std::vector<int64_t>{n})};
      const auto want = Interpret(GetGraphFunction(text.module), inputs, text.module),
                 got = RunAsC(model, inputs);
      for (size_t r = 0; r < want.size(); ++r) {
        for (int64_t i = 0; i < want[r].size(); ++i)
          EXPECT_NEAR(got[r].AsDouble(i), want[r].AsDouble(i), 1e-6 * std::abs(want[r].AsDouble(i)))
              << yes << n;
      }
    }
  }
}

TEST(CSource, SymbolicShapesAreRefused) {
  const TextModule text = ParseModule(R"(
symbol n in [1, 64]
graph @main(%x: f32[n, 4]) -> ("y") {
  %y: f32[n, 4] = Relu(%x)
  return %y
}
)");
  try {
    CProgram(CompileModel(text.module, {}, ForC()), "m", "m.h");
    FAIL() << "no error";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("TW3402"));
    EXPECT_THAT(e.what(), HasSubstr("symbolic: n"));
  }
}

}  // namespace
}  // namespace tilewright
