// SPDX-License-Identifier: Apache-2.0
// What differs between operator sets, and defaults of attributes.
#include <gtest/gtest.h>

#include "tilewright/frontend/onnx/test_import.h"

namespace tilewright::onnx {
namespace {

using testing::ElementsAre;
using testing::ElementsAreArray;
using testing::FloatEq;
using testing::FloatNear;

std::vector<double> Result(const ModelProto& m, const std::vector<NDArray>& in) {
  return RunProto(m, in)[0].ToDoubles();
}

TEST(Opset, ClipTakesAttributesAndLaterArguments) {
  const NDArray x = Floats({3}, {-5, 0.5, 5});
  NodeProto* n;
  ModelProto early = OneNode(6, "Clip", {{3}}, &n);
  SetFloat(n, "min", -1);
  SetFloat(n, "max", 2);
  EXPECT_THAT(Result(early, {x}), ElementsAre(-1, 0.5, 2));
  ModelProto late = OneNode(13, "Clip", {{3}, {}, {}});
  EXPECT_THAT(Result(late, {x, Floats({}, {-1}), Floats({}, {2})}), ElementsAre(-1, 0.5, 2));
  ModelProto upper = OneNode(13, "Clip", {{3}}, &n);
  AddInput(upper, "high", {});
  n->add_input("");
  n->add_input("high");
  EXPECT_THAT(Result(upper, {x, Floats({}, {2})}), ElementsAre(-5, 0.5, 2));
  EXPECT_THAT(Result(OneNode(13, "Clip", {{3}}), {x}), ElementsAre(-5, 0.5, 5));
}

TEST(Opset, SoftmaxJoinsAxesUpTo12) {
  const NDArray x = Floats({1, 2, 2}, {0, 0, 0, 0});
  EXPECT_THAT(Result(OneNode(11, "Softmax", {{1, 2, 2}}), {x}), ElementsAre(0.25, 0.25, 0.25, 0.25));
  EXPECT_THAT(Result(OneNode(13, "Softmax", {{1, 2, 2}}), {x}), ElementsAre(0.5, 0.5, 0.5, 0.5));
}

TEST(Opset, ReduceSumTakesAxesAsAttributeAndLaterAsArgument) {
  const NDArray x = Counting({2, 3});
  NodeProto* n;
  ModelProto early = OneNode(11, "ReduceSum", {{2, 3}}, &n);
  SetInts(n, "axes", {1});
  SetInt(n, "keepdims", 0);
  EXPECT_THAT(Result(early, {x}), ElementsAre(3, 12));
  ModelProto late = OneNode(13, "ReduceSum", {{2, 3}}, &n);
  AddInts(late, "axes", {1}, {-1});
  n->add_input("axes");
  EXPECT_THAT(Result(late, {x}), ElementsAre(3, 12));
  ModelProto none = OneNode(13, "ReduceSum", {{2, 3}}, &n);
  EXPECT_THAT(Result(none, {x}), ElementsAre(15));
  SetInt(n, "noop_with_empty_axes", 1);
  EXPECT_THAT(Result(none, {x}), ElementsAreArray(x.ToDoubles()));
}

TEST(Opset, BinaryOperatorsBroadcastByAxisUpTo6) {
  NodeProto* n;
  ModelProto m = OneNode(6, "Add", {{2, 3, 2}, {3}}, &n);
  SetInt(n, "broadcast", 1);
  SetInt(n, "axis", 1);
  const NDArray x = NDArray::Zeros(kF32, {2, 3, 2}), b = Floats({3}, {1, 2, 3});
  EXPECT_THAT(Result(m, {x, b}), ElementsAre(1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3));
  ExpectImportError([&] { ImportProto(OneNode(7, "Add", {{2, 3, 2}, {3}})); }, "TW2102", {"Add"});
}

TEST(Opset, SmallPowersAreProducts) {
  for (auto [power, operators] : std::vector<std::pair<double, size_t>>{{2, 1}, {3, 2}, {2.5, 1}, {-1, 1}}) {
    ModelProto m = EmptyModel(13);
    AddInput(m, "x", {2});
    AddTensor(m, "power", {1})->set_float_data(0, float(power));
    AddNode(m, "Pow", {"x", "power"}, {"y"});
    AddOutput(m, "y");
    const ImportedModel imported = ImportProto(m);
    EXPECT_EQ(OperatorsOf(imported), power == 2 || power == 3 ? std::vector<std::string>(operators, "Mul")
                                                              : std::vector<std::string>{"Pow"});
    EXPECT_THAT(RunImported(imported, {Floats({2}, {1.5, 4})})[0].ToDoubles(),
                ElementsAre(testing::DoubleNear(std::pow(1.5, power), 1e-5),
                            testing::DoubleNear(std::pow(4, power), 1e-4)));
  }
}

TEST(Opset, SliceSqueezeAndUnsqueeze) {
  const NDArray x = Counting({4, 1});
  NodeProto* n;
  ModelProto m = OneNode(1, "Slice", {{4, 1}}, &n);
  SetInts(n, "starts", {1});
  SetInts(n, "ends", {-1});
  EXPECT_THAT(Result(m, {x}), ElementsAre(1, 2));
  m = OneNode(13, "Slice", {{4, 1}}, &n);
  AddInts(m, "starts", {1}, {-1});
  AddInts(m, "ends", {1}, {INT64_MIN});
  AddInts(m, "axes", {1}, {0});
  AddInts(m, "steps", {1}, {-2});
  for (const char* name : {"starts", "ends", "axes", "steps"}) n->add_input(name);
  EXPECT_THAT(Result(m, {x}), ElementsAre(3, 1));
  m = OneNode(11, "Squeeze", {{4, 1}}, &n);
  SetInts(n, "axes", {1});
  EXPECT_THAT(RunProto(m, {x})[0].shape(), ElementsAre(4));
  m = OneNode(13, "Unsqueeze", {{4, 1}}, &n);
  AddInts(m, "axes", {2}, {0, -1});
  n->add_input("axes");
  EXPECT_THAT(RunProto(m, {x})[0].shape(), ElementsAre(1, 4, 1, 1));
}

TEST(Opset, PadTakesAttributesAndLaterArguments) {
  const NDArray x = Floats({2}, {1, 2});
  NodeProto* n;
  ModelProto m = OneNode(1, "Pad", {{2}}, &n);
  SetInts(n, "paddings", {1, 0});
  SetFloat(n, "value", 7);
  EXPECT_THAT(Result(m, {x}), ElementsAre(7, 1, 2));
  m = OneNode(2, "Pad", {{2}}, &n);
  SetInts(n, "pads", {0, 2});
  SetString(n, "mode", "edge");
  EXPECT_THAT(Result(m, {x}), ElementsAre(1, 2, 2, 2));
  m = OneNode(18, "Pad", {{2}}, &n);
  AddInts(m, "pads", {2}, {-1, 1});
  n->add_input("pads");
  EXPECT_THAT(Result(m, {x}), ElementsAre(2, 0));
}

TEST(Opset, GemmBroadcastsItsThirdArgument) {
  const NDArray a = Counting({2, 2}), c = Floats({2}, {10, 20});
  EXPECT_THAT(Result(OneNode(13, "Gemm", {{2, 2}, {2, 2}, {2}}), {a, a, c}), ElementsAre(12, 23, 16, 31));
  NodeProto* n;
  ModelProto m = OneNode(13, "Gemm", {{2, 2}, {2, 2}, {2}}, &n);
  SetFloat(n, "alpha", 2);
  SetFloat(n, "beta", 0.5);
  SetInt(n, "transA", 1);
  EXPECT_THAT(Result(m, {a, a, c}), ElementsAre(13, 22, 17, 30));
  m = OneNode(6, "Gemm", {{2, 2}, {2, 2}, {2}}, &n);
  SetInt(n, "broadcast", 1);
  EXPECT_THAT(Result(m, {a, a, c}), ElementsAre(12, 23, 16, 31));
}

TEST(Opset, TopKAndSplitOfAllSets) {
  const NDArray x = Floats({4}, {1, 4, 2, 3});
  NodeProto* n;
  ModelProto m = OneNode(1, "TopK", {{4}}, &n);
  SetInt(n, "k", 2);
  n->add_output("indices");
  EXPECT_THAT(Result(m, {x}), ElementsAre(4, 3));
  m = OneNode(11, "TopK", {{4}}, &n);
  AddInts(m, "k", {1}, {2});
  n->add_input("k");
  SetInt(n, "largest", 0);
  EXPECT_THAT(Result(m, {x}), ElementsAre(1, 2));
  for (int64_t opset : {2, 13, 18}) {
    m = OneNode(opset, "Split", {{4}}, &n);
    n->add_output("z");
    AddOutput(m, "z");
    if (opset == 2) SetInts(n, "split", {1, 3});
    if (opset == 13) AddInts(m, "sizes", {2}, {1, 3});
    if (opset == 13) n->add_input("sizes");
    if (opset == 18) SetInt(n, "num_outputs", 2);
    EXPECT_EQ(RunProto(m, {x})[1].ToDoubles(),
              (opset == 18 ? std::vector<double>{2, 3} : std::vector<double>{4, 2, 3}));
  }
}

TEST(Opset, DefaultsOfActivations) {
  struct Row {
    const char* op;
    int64_t opset;
    double at_minus_one, at_two;
  };
  // By hand from the operators' documentation.
  const Row rows[] = {
      {"LeakyRelu", 6, -0.01, 2},
      {"Elu", 6, std::exp(-1) - 1, 2},
      {"HardSigmoid", 6, 0.3, 0.9},
      {"ThresholdedRelu", 10, 0, 2},
      {"Shrink", 9, -1, 2},
      {"Celu", 12, std::exp(-1) - 1, 2},
      {"Selu", 6, -1.1113307, 2.101402},
      {"Softplus", 1, std::log1p(std::exp(-1)), std::log1p(std::exp(2))},
      {"Gelu", 20, -0.15865526, 1.9544997},
  };
  for (const Row& r : rows) {
    EXPECT_THAT(Result(OneNode(r.opset, r.op, {{2}}), {Floats({2}, {-1, 2})}),
                ElementsAre(testing::DoubleNear(r.at_minus_one, 1e-6), testing::DoubleNear(r.at_two, 1e-6)))
        << r.op;
  }
}

TEST(Opset, OperatorsBeginWithTheirSet) {
  ExpectImportError([] { ImportProto(OneNode(19, "Gelu", {{2}})); }, "TW2010", {"Gelu (opset 19)"});
  ExpectImportError([] { ImportProto(OneNode(22, "Attention", {{1, 1, 1, 1}})); }, "TW2010",
                    {"Attention (opset 22)"});
  ExpectImportError([] { ImportProto(OneNode(12, "Mod", {{2}, {2}})); }, "TW2015", {"fmod"});
}

TEST(Opset, DropoutAtInferenceHandsThrough) {
  NodeProto* n;
  ModelProto m = OneNode(13, "Dropout", {{2}}, &n);
  n->add_output("mask");
  AddOutput(m, "mask")->clear_type();
  const std::vector<NDArray> out = RunProto(m, {Floats({2}, {1, 2})});
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(1, 2));
  EXPECT_THAT(out[1].ToInts(), ElementsAre(1, 1));
}

}  // namespace
}  // namespace tilewright::onnx
