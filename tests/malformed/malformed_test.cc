// SPDX-License-Identifier: Apache-2.0
// Malformed models end in an Error with the right id: never in a crash, a hang, an internal error or a graph.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <random>

#include "tests/command/run_command.h"
#include "tilewright/frontend/onnx/import.h"
#include "tilewright/frontend/onnx/test_model_builder.h"

namespace tilewright::onnx {
namespace {

using Spoil = std::function<void(ModelProto&)>;

struct Case {
  std::string name;
  std::string id;
  Spoil spoil;
  /// Part of the report that has to name the culprit; empty: any.
  std::string mentions = "";
};

void PrintTo(const Case& c, std::ostream* out) { *out << c.name; }

/// Ends the graph in one operator over `inputs`, whatever was there before.
NodeProto* Only(ModelProto& m, const std::string& op, const std::vector<std::string>& inputs) {
  m.mutable_graph()->clear_node();
  return AddNode(m, op, inputs, {"y"});
}

NodeProto* Node(ModelProto& m, int i) { return m.mutable_graph()->mutable_node(i); }
TensorProto* Tensor(ModelProto& m, int i) { return m.mutable_graph()->mutable_initializer(i); }

/// Makes tensor `i` refer to a file.
void External(ModelProto& m, int i, const std::string& location, const std::string& offset = "",
              const std::string& length = "") {
  TensorProto* t = Tensor(m, i);
  t->clear_float_data();
  t->set_data_location(1);
  auto add = [&](const char* key, const std::string& value) {
    if (value.empty() && std::string(key) != "location") return;
    auto* entry = t->add_external_data();
    entry->set_key(key);
    entry->set_value(value);
  };
  add("location", location);
  add("offset", offset);
  add("length", length);
}

FunctionProto* AddFunction(ModelProto& m, const std::string& name, const std::string& calls) {
  FunctionProto* f = m.add_functions();
  f->set_name(name);
  f->set_domain("local");
  f->add_input("a");
  f->add_output("z");
  f->add_opset_import()->set_version(17);
  auto* own = f->add_opset_import();
  own->set_domain("local");
  own->set_version(1);
  NodeProto* n = f->add_node();
  n->set_op_type(calls);
  n->set_domain("local");
  n->add_input("a");
  n->add_output("z");
  return f;
}

void CallFunction(ModelProto& m, const std::string& name) {
  auto* own = m.add_opset_import();
  own->set_domain("local");
  own->set_version(1);
  Only(m, name, {"x"})->set_domain("local");
}

const Case kCases[] = {
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
    {"UnknownOperator", "TW2010", [](ModelProto& m) { Node(m, 1)->set_op_type("Frobnicate"); }, "Frobnicate"},
    {"UnknownOperatorsListed", "TW2010",
     [](ModelProto& m) {
       Node(m, 1)->set_op_type("Frobnicate");
       Node(m, 3)->set_op_type("Twiddle");
     },
     "Twiddle"},
    {"OperatorNewerThanOpset", "TW2010", [](ModelProto& m) { Node(m, 1)->set_op_type("Gelu"); }, "opset 17"},
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
    {"UndefinedArgument", "TW2012", [](ModelProto& m) { Node(m, 1)->set_input(0, "nowhere"); }, "'nowhere'"},
    {"UndefinedOutput", "TW2012",
     [](ModelProto& m) { m.mutable_graph()->mutable_output(0)->set_name("nowhere"); }},
    {"SelfCycle", "TW2013", [](ModelProto& m) { Node(m, 1)->set_input(0, "r"); }, "Relu_2"},
    {"LongCycle", "TW2013", [](ModelProto& m) { Node(m, 0)->set_input(0, "f"); }, "Conv_1"},

    // ---- Functions.
    {"FunctionCallsItself", "TW2014",
     [](ModelProto& m) {
       AddFunction(m, "F", "F");
       CallFunction(m, "F");
     }},
    {"FunctionsCallEachOther", "TW2014",
     [](ModelProto& m) {
       AddFunction(m, "F", "G");
       AddFunction(m, "G", "F");
       CallFunction(m, "F");
     }},
    {"FunctionTwice", "TW2011",
     [](ModelProto& m) {
       AddFunction(m, "F", "Relu");
       AddFunction(m, "F", "Relu");
     }},
    {"FunctionWithTooManyArguments", "TW2017",
     [](ModelProto& m) {
       AddFunction(m, "F", "Relu")->mutable_node(0)->clear_domain();
       CallFunction(m, "F");
       Node(m, 0)->add_input("x");
     }},

    // ---- Attributes.
    {"AttributeOfAnotherType", "TW2015",
     [](ModelProto& m) { SetInt(Only(m, "Transpose", {"x"}), "perm", 3); }, "perm"},
    {"AttributeMissing", "TW2015", [](ModelProto& m) { Only(m, "Concat", {"x", "x"}); }, "axis"},
    {"AttributeUnknown", "TW2015", [](ModelProto& m) { SetFloat(Node(m, 1), "slope", 2); }, "slope"},
    {"FlattenAxisTooLarge", "TW2015", [](ModelProto& m) { SetInt(Node(m, 3), "axis", 9); }},
    {"ConcatAxisTooLarge", "TW2110", [](ModelProto& m) { SetInt(Only(m, "Concat", {"x", "x"}), "axis", 4); }},
    {"TransposeRepeatsAxis", "TW2110",
     [](ModelProto& m) { SetInts(Only(m, "Transpose", {"x"}), "perm", {0, 1, 1, 2}); }},
    {"StrideZero", "TW2015", [](ModelProto& m) { SetInts(Node(m, 0), "strides", {0, 1}); }},
    {"DilationNegative", "TW2015", [](ModelProto& m) { SetInts(Node(m, 0), "dilations", {1, -2}); }},
    {"KernelContradictsWeight", "TW2015", [](ModelProto& m) { SetInts(Node(m, 0), "kernel_shape", {5, 5}); }},
    {"PadsTooFew", "TW2015",
     [](ModelProto& m) { Node(m, 0)->mutable_attribute(0)->mutable_ints()->RemoveLast(); }},
    {"PadsAbsurd", "TW2015", [](ModelProto& m) { Node(m, 0)->mutable_attribute(0)->set_ints(0, INT64_MAX); }},
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
    {"InputWithoutType", "TW2016", [](ModelProto& m) { m.mutable_graph()->mutable_input(0)->clear_type(); }},
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
    {"ConditionKnownAtRunTimeOnly", "TW2051",
     [](ModelProto& m) {
       AddInput(m, "c", {}, 9);
       Only(m, "If", {"c"});
     }},

    // ---- Data.
    {"RawDataShort", "TW2020",
     [](ModelProto& m) {
       Tensor(m, 0)->clear_float_data();
       Tensor(m, 0)->set_raw_data("abc");
     },
     "'w'"},
    {"RawDataLong", "TW2020",
     [](ModelProto& m) {
       Tensor(m, 0)->clear_float_data();
       Tensor(m, 0)->set_raw_data(std::string(1000000, 'a'));
     }},
    {"TypedDataShort", "TW2020", [](ModelProto& m) { Tensor(m, 0)->mutable_float_data()->RemoveLast(); }},
    {"TypedDataOfAnotherType", "TW2020", [](ModelProto& m) { Tensor(m, 0)->set_data_type(11); }},
    {"ExternalAbsolute", "TW2022", [](ModelProto& m) { External(m, 0, "/etc/passwd"); }},
    {"ExternalAbove", "TW2022", [](ModelProto& m) { External(m, 0, "../weights.bin"); }},
    {"ExternalHiddenAbove", "TW2022", [](ModelProto& m) { External(m, 0, "sub/../../weights.bin"); }},
    {"ExternalLinkOut", "TW2022", [](ModelProto& m) { External(m, 0, "link"); }},
    {"ExternalWithoutName", "TW2022", [](ModelProto& m) { External(m, 0, ""); }},
    {"ExternalMissing", "TW2023", [](ModelProto& m) { External(m, 0, "missing.bin"); }, "missing.bin"},
    {"ExternalTooShort", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin"); }},
    {"ExternalOffsetNegative", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin", "-8"); }},
    {"ExternalOffsetBeyond", "TW2023",
     [](ModelProto& m) { External(m, 0, "short.bin", "9223372036854775807"); }},
    {"ExternalOffsetNoNumber", "TW2023", [](ModelProto& m) { External(m, 0, "short.bin", "eight"); }},
    {"ExternalLengthContradicts", "TW2020", [](ModelProto& m) { External(m, 0, "short.bin", "0", "16"); }},
    {"ExternalIsFolder", "TW2001", [](ModelProto& m) { External(m, 0, "sub"); }},
};

/// A folder with a file that is too short and a link that leads out.
class Malformed : public testing::TestWithParam<Case> {
 protected:
  static void SetUpTestSuite() {
    namespace fs = std::filesystem;
    folder_ = fs::temp_directory_path() / ("tilewright_malformed_" + std::to_string(getpid()));
    fs::create_directories(folder_ / "model" / "sub");
    std::ofstream(folder_ / "outside.bin") << std::string(4096, 'x');
    std::ofstream(folder_ / "model" / "short.bin") << "abcd";
    fs::create_symlink(folder_ / "outside.bin", folder_ / "model" / "link");
  }
  static void TearDownTestSuite() { std::filesystem::remove_all(folder_); }
  static std::filesystem::path folder_;
};
std::filesystem::path Malformed::folder_;

TEST_P(Malformed, EndsInError) {
  ModelProto m = GoodModel();
  GetParam().spoil(m);
  try {
    ImportOnnxBytes(m.SerializeAsString(), (folder_ / "model").string());
    FAIL() << "the model was imported";
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), GetParam().id) << e.what();
    EXPECT_THAT(e.what(), testing::HasSubstr(GetParam().mentions));
  }
}

TEST_P(Malformed, TheCommandSaysSo) {
  ModelProto m = GoodModel();
  GetParam().spoil(m);
  const std::string path = (folder_ / "model" / (GetParam().name + ".onnx")).string();
  std::ofstream(path, std::ios::binary) << m.SerializeAsString();
  const CommandResult result = RunCommand("compile " + path + " -o " + path + ".so");
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, testing::HasSubstr("error[" + GetParam().id + "]"));
  EXPECT_FALSE(std::filesystem::exists(path + ".so"));
}

INSTANTIATE_TEST_SUITE_P(Models, Malformed, testing::ValuesIn(kCases),
                         [](const auto& info) { return info.param.name; });

std::string IdOf(std::string_view bytes) {
  try {
    ImportOnnxBytes(bytes);
    return "imported";
  } catch (const Error& e) {
    return e.id();
  }
}

TEST(MalformedFile, GoodModelIsGood) { EXPECT_EQ(IdOf(GoodModel().SerializeAsString()), "imported"); }

TEST(MalformedFile, Empty) { EXPECT_EQ(IdOf(""), "TW2002"); }
TEST(MalformedFile, Text) { EXPECT_EQ(IdOf("This is not the file that you are looking for."), "TW2002"); }

TEST(MalformedFile, MissingFile) {
  try {
    ImportOnnx("no_such_folder/no_such_model.onnx");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW2001");
    EXPECT_THAT(e.what(), testing::HasSubstr("no_such_model.onnx"));
  }
}

TEST(MalformedFile, TooLarge) {
  ImportOptions options;
  options.max_file_bytes = 100;
  try {
    ImportOnnxBytes(GoodModel().SerializeAsString(), "", options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW2003");
  }
}

TEST(MalformedFile, NestedTooDeep) {
  ModelProto m = GoodModel();
  GraphProto* g = m.mutable_graph();
  for (int i = 0; i < 200; ++i) {
    AttributeProto* a = g->add_node()->add_attribute();
    a->set_type(5);
    g = a->mutable_g();
  }
  EXPECT_EQ(IdOf(m.SerializeAsString()), "TW2002");
}

// A cut inside of the graph leaves a message that is not whole; one behind it may leave a model without
// operator sets.
TEST(MalformedFile, TruncatedAnywhere) {
  const std::string bytes = GoodModel().SerializeAsString();
  for (size_t n = 0; n < bytes.size(); n += 7) {
    EXPECT_THAT(IdOf(std::string_view(bytes).substr(0, n)), testing::AnyOf("TW2002", "TW2005", "TW2006"))
        << n;
  }
}

// Whatever is imported after the damage is a valid model; whatever is not ends in an Error, which IdOf
// catches.
TEST(MalformedFile, DamagedBytes) {
  const std::string bytes = GoodModel().SerializeAsString();
  std::mt19937 random(7);
  int refused = 0;
  for (int round = 0; round < 3000; ++round) {
    std::string damaged = bytes;
    for (int k = 0; k < 1 + round % 4; ++k) damaged[random() % damaged.size()] = char(random());
    refused += IdOf(damaged) != "imported";
  }
  EXPECT_GT(refused, 100);
}

TEST(MalformedInput, UnknownNameBound) {
  ImportOptions options;
  options.bound["nobody"] = NDArray::Zeros(kF32, {1});
  try {
    ImportOnnxBytes(GoodModel().SerializeAsString(), "", options);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW2018");
    EXPECT_THAT(e.what(), testing::HasSubstr("nobody"));
  }
}

TEST(MalformedInput, WrongTypeBound) {
  for (const NDArray& value : {NDArray::Zeros(kF32, {1, 3, 8}), NDArray::Zeros(kI32, {1, 3, 8, 8}),
                               NDArray::Zeros(kF32, {1, 3, 8, 9})}) {
    ImportOptions options;
    options.bound["x"] = value;
    try {
      ImportOnnxBytes(GoodModel().SerializeAsString(), "", options);
      FAIL();
    } catch (const Error& e) {
      EXPECT_EQ(e.id(), "TW2018");
    }
  }
}

TEST(MalformedInput, AllInputsThatDecideShapesAreListed) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {2, 3});
  AddInput(m, "shape", {2}, 7);
  AddInput(m, "repeats", {2}, 7);
  AddNode(m, "Reshape", {"x", "shape"}, {"r"});
  AddNode(m, "Tile", {"x", "repeats"}, {"t"});
  AddNode(m, "Add", {"r", "t"}, {"y"});
  AddOutput(m, "y");
  try {
    ImportOnnxBytes(m.SerializeAsString());
    FAIL();
  } catch (const NeedsBoundInputs& e) {
    EXPECT_EQ(e.id(), "TW2051");
    EXPECT_THAT(e.inputs, testing::UnorderedElementsAre("shape", "repeats"));
    EXPECT_THAT(e.all_inputs, testing::ElementsAre("x", "shape", "repeats"));
  }
}

}  // namespace
}  // namespace tilewright::onnx
