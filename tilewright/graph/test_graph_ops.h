// SPDX-License-Identifier: Apache-2.0
// A few operators that the tests of this layer register, since those of op/ stand above it.
#pragma once

#include <gmock/gmock.h>

#include "tilewright/graph/op_def.h"

namespace tilewright {

struct TestScaleAttrs {
  double factor = 2;
  static constexpr auto Fields() {
    return std::tuple(AttrField("factor", &TestScaleAttrs::factor, "what elements are multiplied by"));
  }
};

inline std::vector<Type> TestInferSame(const InferContext& ctx) { return {Type(ctx.Input(0))}; }

/// a + b of equal shapes; b may be missing.
inline const OpDef* TestAdd() {
  static const OpDef* const op = OpRegistry::Register({
      .name = "TestAdd",
      .inputs = {{"a"}, {.name = "b", .optional = true}},
      .infer = [](const InferContext& ctx) -> std::vector<Type> {
        TensorType t = ctx.Input(0);
        for (size_t d = 0; ctx.Has(1) && d < t.shape.size(); ++d) {
          t.shape[d] = ctx.SameDim(t.shape[d], ctx.Input(1).shape[d], "the operands");
        }
        return {Type(t)};
      },
      .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
        return {ctx.Compute([&](const LowerContext::Indices& i) {
          return ctx.Has(1) ? ctx.Read(0, i) + ctx.Read(1, i) : ctx.Read(0, i);
        })};
      },
      .pattern = FusePattern::kElementwise,
  });
  return op;
}

/// x * factor.
inline const OpDef* TestScale() {
  static const OpDef* const op = OpRegistry::Register({
      .name = "TestScale",
      .inputs = {{"x"}},
      .attrs = DescribeAttrs<TestScaleAttrs>(),
      .infer = TestInferSame,
      .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
        return {ctx.Compute([&](const LowerContext::Indices& i) {
          Expr x = ctx.Read(0, i);
          return x * MakeConst(x.dtype(), ctx.Attr<TestScaleAttrs>().factor);
        })};
      },
      .pattern = FusePattern::kElementwise,
  });
  return op;
}

/// x + 1 and x - 1.
inline const OpDef* TestNeighbours() {
  static const OpDef* const op = OpRegistry::Register({
      .name = "TestNeighbours",
      .inputs = {{"x"}},
      .infer = [](const InferContext& ctx) -> std::vector<Type> {
        return {Type(ctx.Input(0)), Type(ctx.Input(0))};
      },
      .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
        auto shifted = [&](size_t out, double by) {
          return ctx.Compute(
              [&](const LowerContext::Indices& i) {
                Expr x = ctx.Read(0, i);
                return x + MakeConst(x.dtype(), by);
              },
              out, {}, out ? ".below" : "");
        };
        return {shifted(0, 1), shifted(1, -1)};
      },
  });
  return op;
}

/// Known to graphs, but not to kernels.
inline const OpDef* TestUnlowered() {
  static const OpDef* const op =
      OpRegistry::Register({.name = "TestUnlowered", .inputs = {{"x"}}, .infer = TestInferSame});
  return op;
}

inline Value TestTensor(const std::string& name, std::vector<Expr> shape, DataType dtype = kF32) {
  return Value(name, Type(TensorType{dtype, std::move(shape), {}, "", "global"}), name);
}

inline GraphFunction TestFunction(std::vector<Value> params, GraphBlock body, std::string name = "main") {
  GraphFunctionNode f;
  f.name = std::move(name);
  f.params = std::move(params);
  f.body = std::move(body);
  return GraphFunction(std::move(f));
}

inline NDArray TestFloats(std::vector<int64_t> shape, const std::vector<double>& values) {
  return NDArray::FromDoubles(kF32, std::move(shape), values);
}

inline void ExpectGraphError(const std::function<void()>& call, const std::string& id,
                             const std::string& text) {
  try {
    call();
    ADD_FAILURE() << "no error; expected " << id;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    EXPECT_THAT(e.what(), testing::HasSubstr(text));
  }
}

}  // namespace tilewright
