// SPDX-License-Identifier: Apache-2.0
// Modules that passes are tried on, and the comparison of what they compute before and after.
#pragma once

#include <gmock/gmock.h>

#include <cmath>
#include <random>

#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/verify.h"

namespace tilewright {

/// A module under construction; operators are called by name with attributes as a map.
class TestModule {
 public:
  Value Input(std::vector<int64_t> shape, DataType dtype = kF32) {
    TensorType t{dtype, {shape.begin(), shape.end()}, {}, "", "global"};
    params_.emplace_back(fmt::format("x{}", params_.size()), Type(t), fmt::format("x{}", params_.size()));
    return params_.back();
  }
  std::vector<Value> CallAll(const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
    return builder_.Call(op, std::move(args), OpRegistry::Get(op)->attrs.from_map(attrs), "node_" + op);
  }
  Value Call(const std::string& op, std::vector<Value> args, const Annotations& attrs = {}) {
    return CallAll(op, std::move(args), attrs).front();
  }
  Value Constant(NDArray data) { return builder_.Constant(std::move(data)); }
  Value RandomConstant(std::vector<int64_t> shape, uint64_t seed, DataType dtype = kF32);
  Value Conv(const Value& x, const Value& weight, const Value& bias = nullptr, int64_t groups = 1,
             int64_t pad = 1) {
    const std::vector<int64_t> ones(size_t(x.tensor().rank()) - 2, 1);
    return Call("Conv", {x, weight, bias},
                {{"strides", ones},
                 {"dilations", ones},
                 {"pads", std::vector<int64_t>(2 * ones.size(), pad)},
                 {"groups", groups}});
  }
  GraphBuilder& builder() { return builder_; }

  IRModule Finish(std::vector<Value> results) {
    GraphFunctionNode f;
    f.name = "main";
    f.params = params_;
    f.body = builder_.Finish(std::move(results));
    IRModule module;
    module.Set(GraphFunction(std::move(f)));
    return module;
  }

 private:
  GraphBuilder builder_;
  std::vector<Value> params_;
};

inline NDArray RandomArray(DataType dtype, std::vector<int64_t> shape, uint64_t seed) {
  std::mt19937_64 random(seed);
  NDArray a = NDArray::Empty(dtype, std::move(shape));
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = double(random() >> 11) * 0x1p-53;
    a.SetDouble(i, dtype.is_float() ? 0.25 + 1.5 * x : dtype.is_bool() ? double(x < 0.5) : std::floor(9 * x));
  }
  return a;
}

inline Value TestModule::RandomConstant(std::vector<int64_t> shape, uint64_t seed, DataType dtype) {
  return Constant(RandomArray(dtype, std::move(shape), seed));
}

inline const std::vector<Binding>& BindingsOf(const IRModule& module, const std::string& function = "main") {
  // The function lives in the module.
  return GetGraphFunction(module, function)->body.bindings;
}

/// Calls of an operator in @main.
inline int CountCalls(const IRModule& module, const std::string& op) {
  int n = 0;
  for (const Binding& b : BindingsOf(module)) {
    auto* call = b.operation.As<OpCallNode>();
    n += call && call->op->name == op;
  }
  return n;
}

inline void VerifyAll(const IRModule& module) {
  for (auto& [name, f] : module.functions()) {
    if (f->kind == FunctionKind::kGraph) VerifyGraph(GetGraphFunction(module, name), module);
  }
}

/// Seeded arrays for the parameters of @main.
inline std::vector<NDArray> SeededInputs(const IRModule& module) {
  std::vector<NDArray> inputs;
  for (const Value& p : GetGraphFunction(module)->params) {
    inputs.push_back(RandomArray(p.tensor().dtype, *p.tensor().StaticShape(), 100 + inputs.size()));
  }
  return inputs;
}

/// Both are well formed and compute the same, to `tolerance` of the larger of 1 and the value.
inline void ExpectEquivalent(const IRModule& before, const IRModule& after, double tolerance = 0) {
  VerifyAll(before);
  VerifyAll(after);
  const std::vector<NDArray> inputs = SeededInputs(before);
  const std::vector<NDArray> want = Interpret(GetGraphFunction(before), inputs, before);
  const std::vector<NDArray> got = Interpret(GetGraphFunction(after), inputs, after);
  ASSERT_EQ(got.size(), want.size());
  for (size_t r = 0; r < got.size(); ++r) {
    ASSERT_EQ(got[r].dtype(), want[r].dtype());
    ASSERT_EQ(got[r].shape(), want[r].shape());
    double worst = 0;
    for (int64_t i = 0; i < got[r].size(); ++i) {
      const double a = got[r].AsDouble(i), b = want[r].AsDouble(i);
      if (std::isnan(a) && std::isnan(b)) continue;
      worst = std::max(worst, a == b ? 0 : std::abs(a - b) / std::max(1.0, std::abs(b)));
    }
    EXPECT_LE(worst, tolerance) << "result " << r << "\n" << ToString(GetGraphFunction(after));
  }
}

using TestPass = std::function<IRModule(const IRModule&)>;

/// Applies the pass: the result computes the same, and a second application finds nothing to do.
inline IRModule ApplyPass(const IRModule& module, const TestPass& pass, double tolerance = 0) {
  const IRModule after = pass(module);
  ExpectEquivalent(module, after, tolerance);
  EXPECT_EQ(ToString(GetGraphFunction(pass(after))), ToString(GetGraphFunction(after)));
  return after;
}

}  // namespace tilewright
