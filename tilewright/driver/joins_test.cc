// SPDX-License-Identifier: Apache-2.0
// Joined arguments that are written in place: against the interpreter, and how many kernels and copies
// remain.
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

class Joins : public ::testing::Test {
 protected:
  Value Param(std::vector<Expr> shape) {
    const std::string name = fmt::format("x{}", params_.size());
    params_.emplace_back(name, Type(TensorType{kF32, std::move(shape), {}, "", "global"}), name);
    return params_.back();
  }
  Value Call(const std::string& op, Values args, const Annotations& attrs = {}) {
    return builder_.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), op).front();
  }
  Value Concat(Values args, int64_t axis = 1) { return Call("Concat", std::move(args), {{"axis", axis}}); }
  /// A value that a kernel makes and nothing else joins.
  Value Made(const Value& x) { return Call("Softmax", {x}, {{"axis", int64_t(-1)}}); }
  Value Conv(const Value& x, int64_t filters) {
    const int64_t channels = *AsInt(x.tensor().shape[1]);
    NDArray w = NDArray::Empty(kF32, {filters, channels, 1, 1});
    for (int64_t i = 0; i < w.size(); ++i) w.SetDouble(i, double((i * 7 + filters) % 11) / 16 - 0.25);
    return Call("Conv", {x, builder_.Constant(std::move(w)), nullptr},
                {{"strides", std::vector<int64_t>{1, 1}},
                 {"dilations", std::vector<int64_t>{1, 1}},
                 {"pads", std::vector<int64_t>(4, 0)},
                 {"groups", int64_t(1)}});
  }

  /// Compiles what computes the results, runs it, and compares with the interpreter.
  void Run(Values results) {
    const IRModule module = MainModule(params_, builder_, std::move(results));
    CompileOptions options;
    options.target = TestTarget();
    options.verify_each = true;
    model_ = CompileModel(module, {}, options);
    runtime::Context context(LoadInProcess(model_), {.num_threads = 2});
    const GraphFunction f = GetGraphFunction(module);
    std::vector<NDArray> inputs;
    for (const Value& p : f->params) {
      std::vector<int64_t> shape;
      for (const Expr& e : p.tensor().shape) shape.push_back(AsInt(e).value_or(32));
      inputs.push_back(NDArray::Empty(kF32, shape));
      for (int64_t i = 0; i < inputs.back().size(); ++i)
        inputs.back().SetDouble(i, double((i * 5 + int64_t(inputs.size())) % 13) / 4 - 1);
      context.SetInputShape(inputs.size() - 1, shape);
      context.SetInput(inputs.size() - 1, inputs.back().data(), uint64_t(inputs.back().bytes()));
    }
    const std::vector<NDArray> want = Interpret(f, inputs, module);
    for (int run = 0; run < 2; ++run) {
      context.Run();
      for (size_t r = 0; r < want.size(); ++r) {
        const runtime::TensorView view = context.Output(r);
        ASSERT_EQ(view.bytes, uint64_t(want[r].bytes()));
        for (int64_t i = 0; i < want[r].size(); ++i) {
          ASSERT_NEAR(static_cast<const float*>(view.data)[i], want[r].AsDouble(i), 1e-4)
              << "run " << run << ", output " << r << ", element " << i;
        }
      }
    }
  }

  template <class Op>
  int Count() const {
    int n = 0;
    for (const runtime::Instruction& i : model_.program.instructions) n += std::holds_alternative<Op>(i.op);
    return n;
  }
  int Launches() const { return Count<runtime::LaunchOp>(); }
  int Copies() const { return Count<runtime::CopyOp>(); }

  GraphBuilder builder_;
  Values params_;
  CompiledModel model_;
};

TEST_F(Joins, ProducersWriteTheirParts) {
  Value x = Param({1, 4, 16}), y = Param({1, 2, 16});
  Run({Made(Concat({Made(x), Made(y), Made(Call("Neg", {x}))}))});
  EXPECT_EQ(Launches(), 4);
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, InBlocksOfChannels) {
  Value x = Param({1, 16, 5, 7});
  Value first = Call("Relu", {Conv(x, 32)}), second = Conv(x, 16);
  Run({Call("Relu", {Conv(Concat({first, second}), 16)})});
  const int launches = Launches();
  EXPECT_EQ(Copies(), 0);
  for (const runtime::Instruction& i : model_.program.instructions)
    EXPECT_EQ(i.name.find("concat"), std::string::npos) << i.name;
  EXPECT_GE(launches, 3);
}

TEST_F(Joins, ChainsShareOneMemory) {
  // Each layer sees all before it, as dense blocks have it.
  Value x = Made(Param({1, 4, 16}));
  Values features = {x};
  for (int layer = 0; layer < 4; ++layer) {
    Value all = features.size() == 1 ? x : Concat(features);
    features.push_back(Made(Call("Slice", {Call("Exp", {all})},
                                 {{"begin", std::vector<Expr>{0, 0, 0}},
                                  {"stride", std::vector<int64_t>{1, 1, 1}},
                                  {"shape", std::vector<Expr>{1, 2, 16}}})));
  }
  Run({Made(Concat(features))});
  EXPECT_EQ(Launches(), 6);
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, JoinsOfJoins) {
  Value x = Param({1, 4, 16});
  Value inner = Concat({Made(x), Made(Call("Neg", {x}))});
  Run({Made(Concat({inner, Made(Call("Exp", {x}))})), Made(inner)});
  EXPECT_EQ(Launches(), 5);
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, WhatLiesElsewhereIsCopied) {
  Value x = Param({1, 4, 16}), a = Made(x), b = Made(Call("Neg", {x}));
  // An input, an output, a value that is there twice, and one that another join has.
  Run({Concat({a, b, x}), a, Made(Concat({b, b, Made(Call("Exp", {x}))})),
       Made(Concat({Made(Call("Sin", {x})), b, Made(Call("Cos", {x}))}))});
  EXPECT_GT(Copies(), 0);
}

TEST_F(Joins, OutputsAreWrittenInParts) {
  Value x = Param({1, 4, 16});
  Run({Concat({Made(x), Made(Call("Neg", {x}))})});
  EXPECT_EQ(Launches(), 2);
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, NotWherePartsAreNotAligned) {
  Value x = Param({1, 3, 5});
  Run({Made(Concat({Made(x), Made(Call("Neg", {x}))}))});
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, NotWherePartsAreStrided) {
  Value x = Param({2, 4, 16});
  Run({Made(Concat({Made(x), Made(Call("Neg", {x}))}))});
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, ReadLaterThanTheJoin) {
  Value x = Param({1, 4, 16}), a = Made(x), b = Made(Call("Neg", {x}));
  Value all = Made(Concat({a, b}));
  Value rest = Made(Call("Exp", {Made(Call("Sin", {Made(x)}))}));
  Run({all, Made(Call("Add", {a, rest})), Call("Mul", {b, rest})});
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, OfOpenExtents) {
  const Var n = Var::Symbol("n", 16, 1 << 20, 16);
  Value x = Param({1, 4, n}), y = Param({1, 2, n});
  Run({Made(Concat({Made(x), Made(y)}))});
  EXPECT_EQ(Launches(), 3);
  EXPECT_EQ(Copies(), 0);
}

TEST_F(Joins, UpdatesKeepTheirParts) {
  Value x = Param({4, 16}), row = Param({1, 16});
  Value a = Made(x), b = Made(Call("Neg", {x})), all = Concat({a, b}, 0);
  NDArray at = NDArray::FromInts(kI64, {1, 1}, std::vector<int64_t>{1});
  Value changed =
      Call("ScatterND", {all, builder_.Constant(std::move(at)), row}, {{"reduction", std::string("none")}});
  Run({Made(changed), Made(Call("Exp", {a}))});
}

}  // namespace
}  // namespace tilewright
