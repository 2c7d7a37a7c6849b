// SPDX-License-Identifier: Apache-2.0
// Uses of every operator with a gradient, in double precision, for comparison with finite differences. Where
// a function has jumps or corners, the seeded arguments lie beside them.
#pragma once

#include "tilewright/op/test_op_case.h"

namespace tilewright {

inline TestInput Doubles(TestIndex shape, double low = -2, double high = 2) {
  return {kF64, std::move(shape), low, high};
}
inline TestInput Positive(TestIndex shape) { return Doubles(std::move(shape), 0.5, 2); }
inline TestInput Indices64(TestIndex shape, std::vector<double> values) {
  return {.dtype = kI64, .shape = std::move(shape), .values = std::move(values)};
}

inline OpCase GradientCase(const std::string& op, const std::string& name, std::vector<TestInput> inputs,
                           Annotations attrs = {}) {
  return {.name = name, .op = op, .inputs = std::move(inputs), .attrs = std::move(attrs)};
}

inline std::vector<OpCase> ElementwiseGradientCases() {
  std::vector<OpCase> cases;
  for (const char* op : {"Identity", "Abs", "Neg", "Sign", "Relu", "Exp", "Floor", "Ceil", "Round", "Sin",
                         "Cos", "Tanh", "Erf", "Sigmoid", "Softplus", "Gelu"})
    cases.push_back(GradientCase(op, "Matrix", {Doubles({3, 5})}));
  for (const char* op : {"Reciprocal", "Sqrt", "Log"})
    cases.push_back(GradientCase(op, "Positive", {Positive({3, 5})}));
  cases.push_back(GradientCase("LeakyRelu", "Tenth", {Doubles({3, 5})}, {{"alpha", 0.1}}));
  cases.push_back(GradientCase("Cast", "Same", {Doubles({3, 5})}, {{"to", kF64}}));
  for (const char* op : {"Add", "Sub", "Mul", "Div", "Minimum", "Maximum", "Pow"}) {
    cases.push_back(GradientCase(op, "Same", {Positive({3, 5}), Positive({3, 5})}));
    cases.push_back(GradientCase(op, "Row", {Positive({3, 5}), Positive({5})}));
    cases.push_back(GradientCase(op, "Crossed", {Positive({2, 3, 1}), Positive({1, 5})}));
    cases.push_back(GradientCase(op, "Scalar", {Positive({}), Positive({2, 3})}));
  }
  cases.push_back(GradientCase("Pow", "IntegerExponent", {Doubles({4}), Indices64({4}, {0, 1, 2, 3})}));
  const TestInput condition{.dtype = kBool, .shape = {3, 1}, .values = {1, 0, 1}};
  cases.push_back(GradientCase("Where", "Broadcast", {condition, Doubles({3, 5}), Doubles({5})}));
  return cases;
}

inline std::vector<OpCase> ReduceGradientCases() {
  using L = std::vector<int64_t>;
  std::vector<OpCase> cases;
  for (const char* op : {"ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"}) {
    cases.push_back(GradientCase(op, "All", {Doubles({3, 5})}, {{"axes", L{}}, {"keepdims", false}}));
    cases.push_back(GradientCase(op, "Last", {Doubles({3, 5})}, {{"axes", L{-1}}, {"keepdims", false}}));
    cases.push_back(GradientCase(op, "Kept", {Doubles({2, 3, 4})}, {{"axes", L{0, 2}}, {"keepdims", true}}));
  }
  cases.push_back(GradientCase("CumSum", "Forwards", {Doubles({3, 5})}, {{"axis", int64_t{1}}}));
  cases.push_back(GradientCase("CumSum", "ExclusiveReverse", {Doubles({3, 5})},
                               {{"axis", int64_t{0}}, {"exclusive", true}, {"reverse", true}}));
  for (const char* op : {"Softmax", "LogSoftmax"}) {
    cases.push_back(GradientCase(op, "Last", {Doubles({3, 5})}, {{"axis", int64_t{-1}}}));
    cases.push_back(GradientCase(op, "Middle", {Doubles({2, 3, 4})}, {{"axis", int64_t{1}}}));
  }
  for (const char* op : {"MeanVarianceNormalization", "RMSNormalization"}) {
    cases.push_back(GradientCase(op, "Last", {Doubles({3, 7})}, {{"axes", L{-1}}}));
    cases.push_back(GradientCase(op, "Two", {Doubles({2, 3, 4})}, {{"axes", L{1, 2}}, {"epsilon", 0.1}}));
  }
  return cases;
}

inline std::vector<OpCase> ProductGradientCases() {
  using L = std::vector<int64_t>;
  std::vector<OpCase> cases;
  for (bool a : {false, true}) {
    for (bool b : {false, true}) {
      const Annotations attrs = {{"transpose_a", a}, {"transpose_b", b}};
      const std::string name = std::string(a ? "T" : "N") + (b ? "T" : "N");
      const TestIndex x = a ? TestIndex{4, 3} : TestIndex{3, 4}, y = b ? TestIndex{5, 4} : TestIndex{4, 5};
      cases.push_back(GradientCase("MatMul", name, {Doubles(x), Doubles(y)}, attrs));
      const TestIndex batch = a ? TestIndex{2, 1, 4, 3} : TestIndex{2, 1, 3, 4};
      const TestIndex other = b ? TestIndex{3, 2, 4} : TestIndex{3, 4, 2};
      cases.push_back(GradientCase("MatMul", name + "Batch", {Doubles(batch), Doubles(other)}, attrs));
    }
  }
  auto conv = [&](const std::string& name, std::vector<TestInput> inputs, L strides, L dilations, L pads,
                  int64_t groups) {
    cases.push_back(
        GradientCase("Conv", name, std::move(inputs),
                     {{"strides", strides}, {"dilations", dilations}, {"pads", pads}, {"groups", groups}}));
  };
  conv("Plain", {Doubles({2, 3, 5, 6}), Doubles({4, 3, 3, 2}), Doubles({4})}, {1, 1}, {1, 1}, {0, 0, 0, 0},
       1);
  conv("Padded", {Doubles({1, 2, 4, 5}), Doubles({3, 2, 3, 3})}, {1, 1}, {1, 1}, {1, 0, 2, 1}, 1);
  conv("Strided", {Doubles({2, 2, 6, 7}), Doubles({3, 2, 3, 2}), Doubles({3})}, {2, 3}, {1, 1}, {1, 1, 0, 0},
       1);
  conv("Dilated", {Doubles({1, 2, 7, 6}), Doubles({2, 2, 2, 3})}, {2, 1}, {3, 2}, {0, 1, 1, 1}, 1);
  conv("Groups", {Doubles({2, 4, 5, 5}), Doubles({6, 2, 3, 3}), Doubles({6})}, {2, 2}, {1, 1}, {1, 1, 1, 1},
       2);
  conv("Depthwise", {Doubles({1, 3, 4, 4}), Doubles({3, 1, 3, 3})}, {1, 1}, {1, 1}, {1, 1, 1, 1}, 3);
  conv("OneAxis", {Doubles({2, 3, 8}), Doubles({2, 3, 4})}, {3}, {1}, {1, 0}, 1);
  return cases;
}

inline std::vector<OpCase> MovementGradientCases() {
  using L = std::vector<int64_t>;
  using E = std::vector<Expr>;
  const TestInput picks = Indices64({2, 3}, {0, -1, 2, 2, 1, 0}), axis0 = Indices64({2}, {2, 0});
  const TestInput pairs = Indices64({3, 2}, {0, 1, 2, -1, 0, 1}), differ = Indices64({2, 2}, {0, 1, 2, 3});
  const TestInput one = Indices64({}, {1});
  auto slice = [](const std::string& name, E begin, L stride, E shape) {
    return GradientCase("Slice", name, {Doubles({5, 7})},
                        {{"begin", begin}, {"stride", stride}, {"shape", shape}});
  };
  auto scatter = [](const std::string& op, const std::string& name, const TestInput& index, TestIndex updates,
                    const std::string& reduction) {
    return GradientCase(op, name, {Doubles({3, 4}), index, Doubles(std::move(updates))},
                        {{"axis", int64_t{1}}, {"reduction", reduction}});
  };
  return {
      GradientCase("Reshape", "Joined", {Doubles({3, 4})}, {{"shape", E{2, 6}}}),
      GradientCase("Transpose", "Rotated", {Doubles({2, 3, 4})}, {{"perm", L{2, 0, 1}}}),
      GradientCase("Expand", "Rows", {Doubles({3, 1})}, {{"shape", E{2, 3, 4}}}),
      GradientCase("Concat", "Three", {Doubles({2, 3}), Doubles({2, 1}), Doubles({2, 2})},
                   {{"axis", int64_t{-1}}}),
      slice("Inside", {1, 2}, {1, 1}, {3, 4}),
      slice("Backwards", {4, 5}, {-1, -2}, {5, 3}),
      slice("Strided", {1, 0}, {2, 3}, {2, 3}),
      GradientCase("Pad", "Around", {Doubles({2, 3}), Doubles({})}, {{"begin", E{1, 0}}, {"end", E{0, 2}}}),
      GradientCase("Pad", "Cut", {Doubles({4, 5}), Doubles({})}, {{"begin", E{-1, 2}}, {"end", E{1, -2}}}),
      GradientCase("Gather", "First", {Doubles({3, 4}), picks}, {{"axis", int64_t{0}}}),
      GradientCase("Gather", "Middle", {Doubles({2, 3, 2}), picks}, {{"axis", int64_t{1}}}),
      GradientCase("Gather", "Scalar", {Doubles({3, 4}), one}, {{"axis", int64_t{-1}}}),
      GradientCase("Row", "FromStart", {Doubles({3, 4}), one}, {{"from_end", false}}),
      GradientCase("Row", "FromEnd", {Doubles({4, 3}), one}, {{"from_end", true}}),
      GradientCase("GatherElements", "Columns", {Doubles({2, 3}), picks}, {{"axis", int64_t{1}}}),
      GradientCase("GatherND", "Elements", {Doubles({3, 4}), pairs}),
      GradientCase("GatherND", "Rows", {Doubles({3, 2, 2}), Indices64({2, 1}, {2, 2})}),
      scatter("ScatterElements", "Replaced", Indices64({2, 2}, {0, 2, 3, -3}), {2, 2}, "none"),
      scatter("ScatterElements", "Added", Indices64({2, 2}, {0, 0, 3, 1}), {2, 2}, "add"),
      scatter("ScatterND", "Replaced", differ, {2}, "none"),
      scatter("ScatterND", "Added", pairs, {3}, "add"),
  };
}

}  // namespace tilewright
