// SPDX-License-Identifier: Apache-2.0
// Operators over a symbolic extent for which not every size will do: those that do run, the others are
// refused before a kernel reads what is not there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/context.h"

namespace tilewright {
namespace {

using Ints = std::vector<int64_t>;
using Exprs = std::vector<Expr>;

struct SizeCase {
  std::string op;
  Ints before, behind;  ///< dimensions of the argument around the symbolic one
  Annotations attrs;
  int64_t good, bad;
};

void PrintTo(const SizeCase& c, std::ostream* out) { *out << c.op; }

Annotations Pool() {
  return {{"kernel", Ints{3}}, {"strides", Ints{1}}, {"dilations", Ints{1}}, {"pads", Ints{0, 0}}};
}

std::vector<SizeCase> SizeCases() {
  return {
      {"Reshape", {}, {3}, {{"shape", Exprs{6}}}, 2, 1},
      {"Slice", {}, {2}, {{"begin", Exprs{2, 0}}, {"stride", Ints{1, 1}}, {"shape", Exprs{3, 2}}}, 5, 4},
      {"TopK", {}, {}, {{"k", Expr(4)}}, 4, 3},
      {"MaxPool", {1, 2}, {}, Pool(), 3, 2},
  };
}

class SymbolicSize : public testing::TestWithParam<SizeCase> {};

TEST_P(SymbolicSize, RunsOrIsRefused) {
  const SizeCase& c = GetParam();
  const Var n = Var::Symbol("n", 1);
  auto shape_for = [&](const Expr& size) {
    Exprs shape(c.before.begin(), c.before.end());
    shape.push_back(size);
    shape.insert(shape.end(), c.behind.begin(), c.behind.end());
    return shape;
  };
  const Value x("x", TensorType{kF32, shape_for(n), {}, "", "global"}, "x");
  GraphBuilder g;
  GraphFunctionNode f;
  f.name = "main";
  f.params = {x};
  f.body = g.Finish({g.Call(c.op, {x}, OpRegistry::Get(c.op)->attrs.from_map(c.attrs), "the_node").front()});
  IRModule module;
  module.Set(GraphFunction(std::move(f)));
  runtime::Context context(LoadInProcess(CompileModel(module, {}, {})), {.num_threads = 1});
  auto run = [&](int64_t size) {
    Ints shape;
    int64_t count = 1;
    for (const Expr& d : shape_for(Expr(size))) {
      shape.push_back(*AsInt(d));
      count *= shape.back();
    }
    const std::vector<float> data(size_t(count), 1.0f);
    context.SetInputShape(0, shape);
    context.SetInput(0, data.data(), data.size() * sizeof(float));
    context.Run();
  };
  run(c.good);
  try {
    run(c.bad);
    ADD_FAILURE() << "a size of " << c.bad << " is accepted";
  } catch (const std::exception& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("the_node"));
  }
  run(c.good);
}

INSTANTIATE_TEST_SUITE_P(Operators, SymbolicSize, testing::ValuesIn(SizeCases()),
                         [](const testing::TestParamInfo<SizeCase>& i) { return i.param.op; });

}  // namespace
}  // namespace tilewright
