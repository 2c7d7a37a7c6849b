// SPDX-License-Identifier: Apache-2.0
// Names, shapes, functions, subgraphs and data of models.
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tilewright/frontend/onnx/test_import.h"
#include "tilewright/support/file.h"

namespace tilewright::onnx {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(Importer, InputsThenWeightsInOrderOfUse) {
  const ImportedModel model = ImportProto(GoodModel());
  EXPECT_THAT(model.inputs, ElementsAre("x"));
  std::vector<std::string> origins;
  for (const Value& p : GetGraphFunction(model.module)->params) origins.push_back(p->origin);
  EXPECT_THAT(origins, ElementsAre("x", "w", "b", "fc"));
  EXPECT_EQ(model.parameters.size(), 3u);
  EXPECT_THAT(OperatorsOf(model), ElementsAre("Conv", "Relu", "MaxPool", "Reshape", "MatMul"));
  EXPECT_THAT(GetGraphFunction(model.module)->result_names, ElementsAre("y"));
  EXPECT_EQ(model.opset, 17);
}

TEST(Importer, NodesComeInAnyOrder) {
  ModelProto m = GoodModel(), backwards = m;
  backwards.mutable_graph()->clear_node();
  for (int i = m.graph().node_size(); i-- > 0;) *backwards.mutable_graph()->add_node() = m.graph().node(i);
  const NDArray x = Counting({1, 3, 8, 8}, 0.01);
  EXPECT_TRUE(RunProto(m, {x})[0] == RunProto(backwards, {x})[0]);
}

TEST(Importer, WeightsMayBeListedAmongTheInputs) {
  ModelProto m = GoodModel();
  m.set_ir_version(3);
  AddInput(m, "w", {4, 3, 3, 3});
  EXPECT_THAT(ImportProto(m).inputs, ElementsAre("x"));
}

TEST(Importer, NamesThatAreNoIdentifiersStayApart) {
  ModelProto m = EmptyModel();
  AddInput(m, "a/b:0", {2});
  AddInput(m, "a_b_0", {2});
  AddNode(m, "Sub", {"a/b:0", "a_b_0"}, {"1"});
  AddOutput(m, "1");
  const ImportedModel model = ImportProto(m);
  EXPECT_THAT(model.inputs, ElementsAre("a/b:0", "a_b_0"));
  const auto& params = GetGraphFunction(model.module)->params;
  EXPECT_NE(params[0].name(), params[1].name());
  EXPECT_THAT(RunImported(model, {Floats({2}, {5, 7}), Floats({2}, {1, 2})})[0].ToDoubles(),
              ElementsAre(4, 5));
}

TEST(Importer, AResultMayBeAnInputOrAWeightOrComeTwice) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {2});
  AddTensor(m, "w", {2});
  for (const char* name : {"x", "w", "x"}) AddOutput(m, name);
  const std::vector<NDArray> out = RunProto(m, {Floats({2}, {3, 4})});
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(3, 4));
  EXPECT_THAT(out[1].ToDoubles(), ElementsAre(0, 0.125));
  EXPECT_THAT(out[2].ToDoubles(), ElementsAre(3, 4));
}

// ---- Shapes

ModelProto Symbolic() {
  ModelProto m = EmptyModel();
  for (const char* name : {"a", "b"}) {
    AddInput(m, name, {-1, -1})
        ->mutable_type()
        ->mutable_tensor_type()
        ->mutable_shape()
        ->mutable_dim(0)
        ->set_dim_param("batch");
  }
  AddNode(m, "Concat", {"a", "b"}, {"y"});
  SetInt(m.mutable_graph()->mutable_node(0), "axis", 1);
  AddOutput(m, "y");
  return m;
}

TEST(Importer, NamedDimensionsAreShared) {
  const ImportedModel model = ImportProto(Symbolic());
  EXPECT_EQ(GetGraphFunction(model.module)->body.results[0]->type.ToString(), "f32[batch, a_1 + b_1]");
}

TEST(Importer, DimensionsCanBeFixed) {
  const ImportedModel model = ImportProto(Symbolic(), {.dims = {{"batch", 4}, {"a_1", 2}, {"b_1", 3}}});
  EXPECT_EQ(GetGraphFunction(model.module)->body.results[0]->type.ToString(), "f32[4, 5]");
}

TEST(Importer, ShapeArithmeticLeavesNoTrace) {
  // Flatten by hand: Reshape(x, Concat(Slice(Shape(x), 0, 1), [-1])).
  ModelProto m = EmptyModel();
  AddInput(m, "x", {-1, 3, 4});
  AddInts(m, "zero", {1}, {0});
  AddInts(m, "one", {1}, {1});
  AddInts(m, "rest", {1}, {-1});
  AddNode(m, "Shape", {"x"}, {"s"});
  AddNode(m, "Slice", {"s", "zero", "one"}, {"n"});
  SetInt(AddNode(m, "Concat", {"n", "rest"}, {"t"}), "axis", 0);
  AddNode(m, "Reshape", {"x", "t"}, {"y"});
  AddOutput(m, "y");
  const ImportedModel model = ImportProto(m);
  EXPECT_THAT(OperatorsOf(model), ElementsAre("Reshape"));
  EXPECT_EQ(GetGraphFunction(model.module)->body.results[0]->type.ToString(), "f32[x_0, 12]");
}

TEST(Importer, ShapesBeyondAnyMemoryAreNotFollowed) {
  // A known tensor's new shape whose product overflows; one with two free extents; one that is negative.
  const int64_t big = int64_t{1} << 40;
  for (const std::vector<int64_t>& shape :
       {std::vector<int64_t>{big, big, big}, {-1, -1}, {-7, -1}, {INT64_MIN}}) {
    for (const char* op : {"Reshape", "Expand"}) {
      ModelProto m = EmptyModel();
      AddInput(m, "x", {2, 3});
      AddInts(m, "t", {int64_t(shape.size())}, shape);
      AddNode(m, "Shape", {"x"}, {"s"});
      AddNode(m, op, {"s", "t"}, {"y"});
      AddOutput(m, "y");
      EXPECT_THROW(ImportProto(m), Error) << op << " to " << shape[0];
    }
  }
}

TEST(Importer, ShapeArithmeticChecksItsArguments) {
  for (const char* op : {"Add", "Mul", "Div", "Mod", "Equal", "And", "Or", "Where", "Concat", "Gather",
                         "Reshape", "Unsqueeze", "Expand", "Slice", "Range", "Less"}) {
    for (size_t count : {1, 2, 4}) {
      if (count == 2 && op[0] != 'W' && op[0] != 'R' && op[0] != 'S') continue;
      ModelProto m = EmptyModel();
      AddInput(m, "x", {2, 3});
      AddNode(m, "Shape", {"x"}, {"s"});
      NodeProto* n = AddNode(m, op, std::vector<std::string>(count, "s"), {"t"});
      if (op == std::string("Concat")) SetInt(n, "axis", count > 1 ? 7 : -3);
      AddNode(m, "ConstantOfShape", {"t"}, {"y"});
      AddOutput(m, "y");
      EXPECT_THROW(ImportProto(m), Error) << op << " of " << count;
    }
  }
}

TEST(Importer, ScalesBeyondAnyExtentAreRefused) {
  for (float scale : {6.77e22f, 1e30f, INFINITY, NAN, -1.0f}) {
    ModelProto m = EmptyModel();
    AddInput(m, "x", {1, 1, 2, 3});
    TensorProto* scales = AddTensor(m, "scales", {4});
    for (int i = 0; i < 4; ++i) scales->set_float_data(i, i == 3 ? scale : 1.0f);
    SetString(AddNode(m, "Resize", {"x", "", "scales"}, {"y"}), "mode", "linear");
    AddOutput(m, "y");
    EXPECT_THROW(ImportProto(m), Error) << scale;
  }
}

TEST(Importer, RangesNearTheEndOfTheIntegersAreCounted) {
  ModelProto m = EmptyModel();
  AddInts(m, "begin", {}, {INT64_MIN});
  AddInts(m, "end", {}, {INT64_MAX});
  AddInts(m, "step", {}, {int64_t{1} << 62});
  AddNode(m, "Range", {"begin", "end", "step"}, {"y"});
  AddOutput(m, "y")->mutable_type()->mutable_tensor_type()->set_elem_type(7);
  EXPECT_THAT(RunProto(m, {})[0].shape(), ElementsAre(4));
}

TEST(Importer, SlicesToTheEndKeepAnOpenAxis) {
  for (const auto& [start, end, step] :
       {std::tuple{int64_t(0), INT64_MAX, int64_t(1)}, std::tuple{INT64_MIN, int64_t(1) << 60, int64_t(1)},
        std::tuple{INT64_MAX, INT64_MIN, int64_t(-1)}}) {
    ModelProto m = EmptyModel();
    AddInput(m, "x", {-1, 4});
    AddInts(m, "start", {1}, {start});
    AddInts(m, "end", {1}, {end});
    AddInts(m, "axis", {1}, {0});
    AddInts(m, "step", {1}, {step});
    AddNode(m, "Slice", {"x", "start", "end", "axis", "step"}, {"y"});
    AddOutput(m, "y");
    EXPECT_EQ(GetGraphFunction(ImportProto(m).module)->body.results[0]->type.ToString(), "f32[x_0, 4]");
    EXPECT_THAT(RunProto(m, {Counting({2, 4})})[0].shape(), ElementsAre(2, 4));
  }
}

TEST(Importer, ShapesMayBeSplit) {
  // The two dimensions of x exchanged.
  ModelProto m = EmptyModel(18);
  AddInput(m, "x", {2, 3});
  AddNode(m, "Shape", {"x"}, {"s"});
  NodeProto* n = AddNode(m, "Split", {"s"}, {"h", "w"});
  SetInt(n, "num_outputs", 2);
  SetInt(AddNode(m, "Concat", {"w", "h"}, {"t"}), "axis", 0);
  AddNode(m, "Reshape", {"x", "t"}, {"y"});
  AddOutput(m, "y");
  EXPECT_THAT(OperatorsOf(ImportProto(m)), ElementsAre("Reshape"));
  EXPECT_THAT(RunProto(m, {Counting({2, 3})})[0].shape(), ElementsAre(3, 2));
}

TEST(Importer, ShapesMayBeComputedInFloats) {
  // Half of the dimensions of x, rounded up, by way of floats as exporters compute sizes.
  ModelProto m = EmptyModel();
  AddInput(m, "x", {5, 6});
  AddTensor(m, "half", {1})->set_float_data(0, 0.5f);
  AddNode(m, "Shape", {"x"}, {"s"});
  SetInt(AddNode(m, "Cast", {"s"}, {"f"}), "to", 1);
  AddNode(m, "Mul", {"f", "half"}, {"h"});
  AddNode(m, "Ceil", {"h"}, {"c"});
  AddNode(m, "Relu", {"c"}, {"r"});
  SetInt(AddNode(m, "Cast", {"r"}, {"t"}), "to", 7);
  AddNode(m, "ConstantOfShape", {"t"}, {"y"});
  AddOutput(m, "y");
  EXPECT_THAT(RunProto(m, {Counting({5, 6})})[0].shape(), ElementsAre(3, 3));
}

TEST(Importer, WhatShapesDependOnMustBeKnown) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {6});
  AddInput(m, "shape", {2}, 7);
  AddNode(m, "Identity", {"shape"}, {"same"});
  AddNode(m, "Reshape", {"x", "same"}, {"y"});
  AddNode(m, "Relu", {"y"}, {"z"});
  AddOutput(m, "z");
  try {
    ImportProto(m);
    ADD_FAILURE();
  } catch (const NeedsBoundInputs& e) {
    EXPECT_EQ(e.id(), "TW2051");
    EXPECT_THAT(e.what(), HasSubstr("Reshape"));
    EXPECT_THAT(e.inputs, ElementsAre("shape"));
    EXPECT_THAT(e.all_inputs, ElementsAre("x", "shape"));
  }
  ImportOptions options;
  options.bound["shape"] = NDArray::FromInts(kI64, {2}, std::vector<int64_t>{2, 3});
  const ImportedModel model = ImportProto(m, options);
  EXPECT_THAT(model.inputs, ElementsAre("x"));
  EXPECT_THAT(RunImported(model, {Counting({6})})[0].shape(), ElementsAre(2, 3));
  options.bound["shape"] = Floats({2}, {2, 3});
  ExpectImportError([&] { ImportProto(m, options); }, "TW2018", {"'shape'", "i64[2]", "f32[2]"});
  options.bound = {{"nobody", Floats({1}, {1})}};
  ExpectImportError([&] { ImportProto(m, options); }, "TW2018", {"'nobody'"});
}

// ---- Functions and subgraphs

/// local.Scale(a; by = 2) = Elu(a * by), by through a nested function that hands its attribute on.
ModelProto WithFunction() {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {2});
  auto* set = m.add_opset_import();
  set->set_domain("local");
  set->set_version(1);
  for (const char* name : {"Outer", "Inner"}) {
    FunctionProto* f = m.add_functions();
    f->set_name(name);
    f->set_domain("local");
    f->add_input("a");
    f->add_output("r");
    f->add_attribute("slope");
    f->add_opset_import()->set_version(17);
    auto* own = f->add_opset_import();
    own->set_domain("local");
    own->set_version(1);
    NodeProto* n = f->add_node();
    n->add_input("a");
    n->add_output("r");
    n->set_op_type(std::string(name) == "Outer" ? "Inner" : "LeakyRelu");
    if (std::string(name) == "Outer") n->set_domain("local");
    AttributeProto* reference = n->add_attribute();
    reference->set_name(std::string(name) == "Outer" ? "slope" : "alpha");
    reference->set_ref_attr_name("slope");
    reference->set_type(1);
  }
  AddNode(m, "Outer", {"x"}, {"y"})->set_domain("local");
  AddOutput(m, "y");
  return m;
}

TEST(Importer, FunctionsTakeAttributesOfTheCall) {
  ModelProto m = WithFunction();
  // The node's own default where the call gives nothing.
  EXPECT_THAT(RunProto(m, {Floats({2}, {-100, 3})})[0].ToDoubles(),
              ElementsAre(testing::DoubleNear(-1, 1e-6), 3));
  SetFloat(m.mutable_graph()->mutable_node(0), "slope", 0.5);
  EXPECT_THAT(RunProto(m, {Floats({2}, {-4, 3})})[0].ToDoubles(), ElementsAre(-2, 3));
}

TEST(Importer, FunctionsMayDeclareDefaults) {
  ModelProto m = WithFunction();
  AttributeProto* d = m.mutable_functions(0)->add_attribute_proto();
  d->set_name("slope");
  d->set_type(1);
  d->set_f(0.25);
  EXPECT_THAT(RunProto(m, {Floats({2}, {-4, 3})})[0].ToDoubles(), ElementsAre(-1, 3));
}

TEST(Importer, AFunctionOfTheModelStandsForAnOperatorThatIsMissing) {
  ModelProto m = WithFunction();
  m.mutable_functions(0)->set_name("Frobnicate");
  m.mutable_graph()->mutable_node(0)->set_op_type("Frobnicate");
  EXPECT_THAT(OperatorsOf(ImportProto(m)), testing::Contains("LeakyRelu"));
}

TEST(Importer, AKnownConditionTakesItsBranch) {
  for (int64_t taken : {0, 1}) {
    ModelProto m = EmptyModel();
    AddInput(m, "x", {2});
    AddInts(m, "c", {}, {taken});
    SetInt(AddNode(m, "Cast", {"c"}, {"condition"}), "to", 9);
    NodeProto* n = AddNode(m, "If", {"condition"}, {"y"});
    for (const char* branch : {"then_branch", "else_branch"}) {
      AttributeProto* a = n->add_attribute();
      a->set_name(branch);
      a->set_type(5);
      NodeProto* inner = a->mutable_g()->add_node();
      inner->set_op_type(std::string(branch) == "then_branch" ? "Neg" : "Abs");
      inner->add_input("x");  // from outside
      inner->add_output("r");
      a->mutable_g()->add_output()->set_name("r");
    }
    AddOutput(m, "y");
    EXPECT_THAT(RunProto(m, {Floats({2}, {-1, 2})})[0].ToDoubles(),
                taken ? ElementsAre(1, -2) : ElementsAre(1, 2));
  }
}

// ---- Data

TEST(Importer, ReadsEveryFormOfData) {
  ModelProto m = EmptyModel();
  TensorProto* typed = AddTensor(m, "typed", {2});
  typed->set_data_type(10);  // f16 as bits
  typed->clear_float_data();
  typed->add_int32_data(0x3C00);
  typed->add_int32_data(0xC000);
  TensorProto* raw = AddTensor(m, "raw", {2});
  raw->set_data_type(3);
  raw->clear_float_data();
  raw->set_raw_data(std::string("\xFF\x02", 2));
  TensorProto* doubles = AddTensor(m, "doubles", {1});
  doubles->set_data_type(11);
  doubles->clear_float_data();
  doubles->add_double_data(0.1);
  TensorProto* unsigned_ = AddTensor(m, "unsigned", {1});
  unsigned_->set_data_type(13);
  unsigned_->clear_float_data();
  unsigned_->add_uint64_data(UINT64_MAX);
  TensorProto* empty = AddTensor(m, "empty", {0, 3});
  empty->clear_float_data();
  for (const char* name : {"typed", "raw", "doubles", "unsigned", "empty"}) AddOutput(m, name)->clear_type();
  const std::vector<NDArray> out = RunProto(m, {});
  EXPECT_EQ(out[0].dtype(), kF16);
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(1, -2));
  EXPECT_THAT(out[1].ToInts(), ElementsAre(-1, 2));
  EXPECT_THAT(out[2].ToDoubles(), ElementsAre(0.1));
  EXPECT_EQ(uint64_t(out[3].AsInt(0)), UINT64_MAX);
  EXPECT_THAT(out[4].shape(), ElementsAre(0, 3));
}

TEST(Importer, ReadsDataBesideTheModel) {
  const TemporaryFile file(".bin");
  const float values[] = {9, 9, 1, 2, 3, 9};
  std::ofstream(file.path(), std::ios::binary).write(reinterpret_cast<const char*>(values), sizeof(values));
  const std::filesystem::path path(file.path());
  ModelProto m = EmptyModel();
  TensorProto* t = AddTensor(m, "w", {3});
  t->clear_float_data();
  t->set_data_location(1);
  for (auto [key, value] : std::map<std::string, std::string>{
           {"location", path.filename().string()}, {"offset", "8"}, {"length", "12"}}) {
    auto* entry = t->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  }
  AddOutput(m, "w");
  const ImportedModel model = ImportProto(m, {}, path.parent_path().string());
  EXPECT_THAT(RunImported(model, {})[0].ToDoubles(), ElementsAre(1, 2, 3));
}

// ---- What is missing

TEST(Importer, NamesAllUnsupportedOperatorsAtOnce) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {2});
  for (int i = 0; i < 7; ++i) AddNode(m, "Frobnicate", {"x"}, {"f" + std::to_string(i)});
  NodeProto* hidden = AddNode(m, "If", {"x"}, {"y"});
  AttributeProto* branch = hidden->add_attribute();
  branch->set_name("then_branch");
  branch->set_type(5);
  NodeProto* inner = branch->mutable_g()->add_node();
  inner->set_op_type("Twiddle");
  inner->add_output("t");
  AddOutput(m, "y");
  ExpectImportError(
      [&] { ImportProto(m); }, "TW2010",
      {"2 operators", "(8 nodes)", "Frobnicate (opset 17), 7 times: 'Frobnicate_1', 'Frobnicate_2'",
       "'Frobnicate_5' and 2 more", "Twiddle (opset 17), 1 times: making 't'"});
}

TEST(Importer, ErrorsOfInferenceNameNodeAndOperatorSet) {
  ModelProto m = OneNode(13, "MatMul", {{2, 3}, {4, 5}});
  ExpectImportError([&] { ImportProto(m); }, "TW2102",
                    {"node 'MatMul_1' (MatMul, opset 13)", "3 and 4 differ"});
  NodeProto* n;
  m = OneNode(13, "Relu", {{2}}, &n);
  SetInt(n, "frobs", 3);
  ExpectImportError([&] { ImportProto(m); }, "TW2015", {"node 'Relu_1'", "'frobs'"});
  m = OneNode(13, "Add", {{2}});
  ExpectImportError([&] { ImportProto(m); }, "TW2017", {"node 'Add_1'", "argument 1 is missing"});
}

/// A node with a map x of 1..n and a kernel w of 1..k, along one axis.
ModelProto OverALine(const std::string& op, int64_t n, int64_t k, int64_t stride, std::vector<int64_t> pads) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {1, 1, n});
  AddInput(m, "w", {1, 1, k});
  NodeProto* node = AddNode(m, op, {"x", "w"}, {"y"});
  SetInts(node, "strides", {stride});
  SetInts(node, "pads", pads);
  AddOutput(m, "y");
  return m;
}

TEST(Importer, TapsThatMeetOnlyPadsAreCutOff) {
  const ModelProto one = OverALine("Conv", 1, 7, 2, {3, 3});
  EXPECT_THAT(OperatorsOf(ImportProto(one)), ElementsAre("Slice", "Conv"));
  EXPECT_THAT(RunProto(one, {Floats({1, 1, 1}, {2}), Counting({1, 1, 7})})[0].ToDoubles(), ElementsAre(6));
  // Positions 0 and 3 over two elements: of seven taps the first and the last two meet none.
  const ModelProto two = OverALine("Conv", 2, 7, 3, {4, 5});
  EXPECT_THAT(OperatorsOf(ImportProto(two)), ElementsAre("Slice", "Conv"));
  EXPECT_THAT(RunProto(two, {Floats({1, 1, 2}, {1, 10}), Counting({1, 1, 7})})[0].ToDoubles(),
              ElementsAre(54, 21));
  EXPECT_THAT(OperatorsOf(ImportProto(OverALine("Conv", 4, 7, 1, {3, 3}))), ElementsAre("Conv"));
}

TEST(Importer, AllOfATensorIsReducedAsOneRow) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {3, 5});
  SetInt(AddNode(m, "ReduceSum", {"x"}, {"y"}), "keepdims", 0);
  AddOutput(m, "y");
  const ImportedModel model = ImportProto(m);
  EXPECT_THAT(OperatorsOf(model), ElementsAre("ReduceSum", "Reshape"));
  EXPECT_EQ(GetGraphFunction(model.module)->body.results[0]->type.ToString(), "f32[]");
}

}  // namespace
}  // namespace tilewright::onnx
