// SPDX-License-Identifier: Apache-2.0
#include "tests/malformed/cases.h"

namespace tilewright::onnx {

std::vector<MalformedCase> ModelCases() {
  return {
      // ---- The file.
      {"NoGraph", "TW2005", [](ModelProto& m) { m.clear_graph(); }},
      {"NoOutputs", "TW2005", [](ModelProto& m) { m.mutable_graph()->clear_output(); }},
      {"IrVersionZero", "TW2004", [](ModelProto& m) { m.set_ir_version(0); }},
      {"IrVersionFuture", "TW2004", [](ModelProto& m) { m.set_ir_version(999); }, "999"},
      {"IrVersionNegative", "TW2004", [](ModelProto& m) { m.set_ir_version(-3); }},
      {"NoOpset", "TW2006", [](ModelProto& m) { m.clear_opset_import(); }},
      {"OpsetZero", "TW2006", [](ModelProto& m) { m.mutable_opset_import(0)->set_version(0); }},
      {"OpsetFuture", "TW2006", [](ModelProto& m) { m.mutable_opset_import(0)->set_version(4000); }, "4000"},
      {"OpsetTwice", "TW2006", [](ModelProto& m) { m.add_opset_import()->set_version(13); }},
      {"DomainNotImported", "TW2006", [](ModelProto& m) { Node(m, 1)->set_domain("somebody.else"); },
       "somebody.else"},

      // ---- Operators.
      {"UnknownOperator", "TW2010", [](ModelProto& m) { Node(m, 1)->set_op_type("Frobnicate"); },
       "Frobnicate"},
      {"UnknownOperatorsListed", "TW2010",
       [](ModelProto& m) {
         Node(m, 1)->set_op_type("Frobnicate");
         Node(m, 3)->set_op_type("Twiddle");
       },
       "Twiddle"},
      {"OperatorNewerThanOpset", "TW2010", [](ModelProto& m) { Node(m, 1)->set_op_type("Gelu"); },
       "opset 17"},
      {"UnknownDomain", "TW2010",
       [](ModelProto& m) {
         auto* set = m.add_opset_import();
         set->set_domain("somebody.else");
         set->set_version(1);
         Node(m, 1)->set_domain("somebody.else");
       },
       "somebody.else.Relu"},
      {"EmptyOperatorName", "TW2010", [](ModelProto& m) { Node(m, 1)->clear_op_type(); }},

      // ---- Names and order.
      {"ResultMadeTwice", "TW2011", [](ModelProto& m) { Node(m, 1)->set_output(0, "c"); }, "'c'"},
      {"ResultNamedLikeInput", "TW2011", [](ModelProto& m) { AddNode(m, "Relu", {"b"}, {"x"}); }, "'x'"},
      {"InitialiserTwice", "TW2011", [](ModelProto& m) { AddTensor(m, "w", {1}); }, "'w'"},
      {"InputTwice", "TW2011", [](ModelProto& m) { AddInput(m, "x", {1}); }, "'x'"},
      {"InputWithoutName", "TW2011", [](ModelProto& m) { AddInput(m, "", {1}); }},
      {"InitialiserWithoutName", "TW2011", [](ModelProto& m) { AddTensor(m, "", {1}); }},
      {"UndefinedArgument", "TW2012", [](ModelProto& m) { Node(m, 1)->set_input(0, "nowhere"); },
       "'nowhere'"},
      {"UndefinedOutput", "TW2012",
       [](ModelProto& m) { m.mutable_graph()->mutable_output(0)->set_name("nowhere"); }},
      {"SelfCycle", "TW2013", [](ModelProto& m) { Node(m, 1)->set_input(0, "r"); }, "Relu_2"},
      {"LongCycle", "TW2013", [](ModelProto& m) { Node(m, 0)->set_input(0, "f"); }, "Conv_1"},

      // ---- Attributes.
      {"AttributeOfAnotherType", "TW2015",
       [](ModelProto& m) { SetInt(Only(m, "Transpose", {"x"}), "perm", 3); }, "perm"},
      {"AttributeMissing", "TW2015", [](ModelProto& m) { Only(m, "Concat", {"x", "x"}); }, "axis"},
      {"AttributeUnknown", "TW2015", [](ModelProto& m) { SetFloat(Node(m, 1), "slope", 2); }, "slope"},
      {"FlattenAxisTooLarge", "TW2015", [](ModelProto& m) { SetInt(Node(m, 3), "axis", 9); }},
      {"ConcatAxisTooLarge", "TW2110",
       [](ModelProto& m) { SetInt(Only(m, "Concat", {"x", "x"}), "axis", 4); }},
      {"TransposeRepeatsAxis", "TW2110",
       [](ModelProto& m) { SetInts(Only(m, "Transpose", {"x"}), "perm", {0, 1, 1, 2}); }},
      {"StrideZero", "TW2015", [](ModelProto& m) { SetInts(Node(m, 0), "strides", {0, 1}); }},
      {"DilationNegative", "TW2015", [](ModelProto& m) { SetInts(Node(m, 0), "dilations", {1, -2}); }},
      {"KernelContradictsWeight", "TW2015",
       [](ModelProto& m) { SetInts(Node(m, 0), "kernel_shape", {5, 5}); }},
      {"PadsTooFew", "TW2015",
       [](ModelProto& m) { Node(m, 0)->mutable_attribute(0)->mutable_ints()->RemoveLast(); }},
      {"PadsAbsurd", "TW2015",
       [](ModelProto& m) { Node(m, 0)->mutable_attribute(0)->set_ints(0, INT64_MAX); }},
      {"WindowLargerThanInput", "TW2110",
       [](ModelProto& m) { Node(m, 2)->mutable_attribute(0)->set_ints(0, 90); }},
      {"GroupsDoNotDivide", "TW2110", [](ModelProto& m) { SetInt(Node(m, 0), "group", 2); }},
      {"GroupsZero", "TW2110", [](ModelProto& m) { SetInt(Node(m, 0), "group", 0); }},
      {"AutoPadUnknown", "TW2015", [](ModelProto& m) { SetString(Node(m, 0), "auto_pad", "MOSTLY"); },
       "MOSTLY"},
      {"CastToNothing", "TW2016", [](ModelProto& m) { SetInt(Only(m, "Cast", {"x"}), "to", 77); }},
      {"EinsumWithoutSense", "TW2015",
       [](ModelProto& m) { SetString(Only(m, "Einsum", {"x"}), "equation", "ij->k"); }},

      // ---- Types and arguments.
      {"InputOfStrings", "TW2016",
       [](ModelProto& m) {
         m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(8);
       },
       "string"},
      {"InputWithoutElementType", "TW2016",
       [](ModelProto& m) {
         m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(0);
       }},
      {"InputIsSequence", "TW2016",
       [](ModelProto& m) { m.mutable_graph()->mutable_input(0)->mutable_type()->mutable_sequence_type(); }},
      {"InputWithoutType", "TW2016",
       [](ModelProto& m) { m.mutable_graph()->mutable_input(0)->clear_type(); }},
      {"InitialiserOfUnknownType", "TW2016", [](ModelProto& m) { Tensor(m, 0)->set_data_type(12345); }},
      {"InitialiserSparse", "TW2016",
       [](ModelProto& m) { m.mutable_graph()->add_sparse_initializer()->mutable_values()->set_name("s"); }},
      {"OutputOfAnotherType", "TW2016",
       [](ModelProto& m) {
         m.mutable_graph()->mutable_output(0)->mutable_type()->mutable_tensor_type()->set_elem_type(7);
       }},
      {"ArgumentMissing", "TW2017", [](ModelProto& m) { Node(m, 0)->mutable_input()->DeleteSubrange(1, 2); },
       "Conv_1"},
      {"AddOfTwoTypes", "TW2112",
       [](ModelProto& m) {
         AddTensor(m, "i", {1}, 7);
         Only(m, "Add", {"x", "i"});
       }},
      {"SqrtOfIntegers", "TW2112",
       [](ModelProto& m) {
         AddInput(m, "i", {4}, 7);
         Only(m, "Sqrt", {"i"});
       }},

      // ---- Shapes.
      {"DimensionNegative", "TW2021",
       [](ModelProto& m) {
         m.mutable_graph()
             ->mutable_input(0)
             ->mutable_type()
             ->mutable_tensor_type()
             ->mutable_shape()
             ->mutable_dim(0)
             ->set_dim_value(-4);
       }},
      {"DimensionAbsurd", "TW2021",
       [](ModelProto& m) {
         m.mutable_graph()
             ->mutable_input(0)
             ->mutable_type()
             ->mutable_tensor_type()
             ->mutable_shape()
             ->mutable_dim(0)
             ->set_dim_value(INT64_MAX);
       }},
      {"TensorDimensionNegative", "TW2021", [](ModelProto& m) { Tensor(m, 0)->set_dims(0, -4); }, "'w'"},
      {"TensorDimensionsOverflow", "TW2021",
       [](ModelProto& m) {
         for (int i = 0; i < 4; ++i) Tensor(m, 0)->set_dims(i, int64_t{1} << 31);
       }},
      {"AddDoesNotBroadcast", "TW2102", [](ModelProto& m) { Only(m, "Add", {"x", "b"}); }, "Add"},
      {"MatMulExtentsDiffer", "TW2102", [](ModelProto& m) { Only(m, "MatMul", {"x", "fc"}); }},
      {"MatMulOfScalar", "TW2111",
       [](ModelProto& m) {
         AddTensor(m, "s", {});
         Only(m, "MatMul", {"x", "s"});
       }},
      {"ConvChannelsDiffer", "TW2102",
       [](ModelProto& m) { Tensor(m, 0)->set_dims(1, 2), Tensor(m, 0)->mutable_float_data()->Truncate(72); }},
      {"ReshapeLosesElements", "TW2102",
       [](ModelProto& m) {
         AddTensor(m, "shape", {2}, 7)->set_int64_data(0, 7);
         Only(m, "Reshape", {"x", "shape"});
       }},
      {"ReshapeTwoFree", "TW2017",
       [](ModelProto& m) {
         TensorProto* shape = AddTensor(m, "shape", {2}, 7);
         shape->set_int64_data(0, -1);
         shape->set_int64_data(1, -1);
         Only(m, "Reshape", {"x", "shape"});
       }},
      {"SplitSizesDoNotAddUp", "TW2017",
       [](ModelProto& m) {
         AddTensor(m, "sizes", {2}, 7)->set_int64_data(0, 5);
         NodeProto* n = Only(m, "Split", {"x", "sizes"});
         n->add_output("z");
       }},
      {"ShapeKnownAtRunTimeOnly", "TW2051",
       [](ModelProto& m) {
         AddInput(m, "shape", {2}, 7);
         Only(m, "Reshape", {"x", "shape"});
       },
       "shape"},
      {"InputOfManyAxes", "TW2021",
       [](ModelProto& m) { AddInput(m, "deep", std::vector<int64_t>(1000, 1)); }},
      {"InputDimensionsOverflow", "TW2021",
       [](ModelProto& m) { AddInput(m, "wide", std::vector<int64_t>(4, int64_t{1} << 20)); }},
      {"AxesWithoutEnd", "TW2114",
       [](ModelProto& m) {
         m.mutable_graph()->clear_node();
         AddTensor(m, "zero", {1}, 7);
         std::string last = "x";
         for (int i = 0; i < 100; ++i) {
           const std::string next = i == 99 ? "y" : "u" + std::to_string(i);
           AddNode(m, "Unsqueeze", {last, "zero"}, {next});
           last = next;
         }
       }},
      {"DoubledWithoutEnd", "TW2114",
       [](ModelProto& m) {
         m.mutable_graph()->clear_node();
         std::string last = "x";
         for (int i = 0; i < 64; ++i) {
           const std::string next = i == 63 ? "y" : "d" + std::to_string(i);
           SetInt(AddNode(m, "Concat", {last, last}, {next}), "axis", 0);
           last = next;
         }
       }},
      {"ReshapeToAnOverflow", "TW2114",
       [](ModelProto& m) {
         TensorProto* shape = AddTensor(m, "shape", {3}, 7);
         for (int i = 0; i < 3; ++i) shape->set_int64_data(i, int64_t{1} << 31);
         Only(m, "ConstantOfShape", {"shape"});
       }},
  };
}

}  // namespace tilewright::onnx
