// SPDX-License-Identifier: Apache-2.0
// Malformed models end in an Error with the right id: never in a crash, a hang, an internal error or a graph.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <random>

#include "tests/command/run_command.h"
#include "tests/malformed/cases.h"
#include "tilewright/frontend/onnx/import.h"

namespace tilewright::onnx {
namespace {

/// A folder with a file that is too short and a link that leads out.
class Malformed : public testing::TestWithParam<MalformedCase> {
 protected:
  static void SetUpTestSuite() {
    namespace fs = std::filesystem;
    folder_ = fs::temp_directory_path() / ("tilewright_malformed_" + std::to_string(getpid()));
    fs::create_directories(folder_ / "model" / "sub");
    std::ofstream(folder_ / "outside.bin") << std::string(4096, 'x');
    std::ofstream(folder_ / "model" / "short.bin") << "abcd";
    fs::create_symlink(folder_ / "outside.bin", folder_ / "model" / "link");
    fs::create_directory_symlink(folder_, folder_ / "model" / "linked");
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

/// Of the processes that this one has waited for: the largest memory of one, the time of all.
rusage ChildrenUsage() {
  rusage usage{};
  getrusage(RUSAGE_CHILDREN, &usage);
  return usage;
}
double Seconds(const rusage& usage) {
  return double(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         double(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) * 1e-6;
}

// Memory is measured where no sanitizer takes its share of it.
#if defined(__SANITIZE_ADDRESS__)
#define TW_ADDRESS_SANITIZER 1
#elif defined(__has_feature)
#define TW_ADDRESS_SANITIZER __has_feature(address_sanitizer)
#else
#define TW_ADDRESS_SANITIZER 0
#endif

TEST_P(Malformed, TheCommandSaysSo) {
  ModelProto m = GoodModel();
  GetParam().spoil(m);
  const std::string path = (folder_ / "model" / (GetParam().name + ".onnx")).string();
  std::ofstream(path, std::ios::binary) << m.SerializeAsString();
  const rusage before = ChildrenUsage();
  const CommandResult result = RunCommand("compile " + path + " -o " + path + ".so");
  const rusage after = ChildrenUsage();
  EXPECT_LT(Seconds(after) - Seconds(before), 5);
  if (!TW_ADDRESS_SANITIZER) {
    EXPECT_LT(double(after.ru_maxrss) * 1024, 256e6 + 4 * double(std::filesystem::file_size(path)));
  }
  EXPECT_EQ(result.status, 1) << result.output;
  EXPECT_THAT(result.output, testing::HasSubstr("error[" + GetParam().id + "]"));
  EXPECT_FALSE(std::filesystem::exists(path + ".so"));
}

std::string CaseName(const testing::TestParamInfo<MalformedCase>& info) { return info.param.name; }
INSTANTIATE_TEST_SUITE_P(Model, Malformed, testing::ValuesIn(ModelCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Operator, Malformed, testing::ValuesIn(OperatorCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Control, Malformed, testing::ValuesIn(ControlCases()), CaseName);
INSTANTIATE_TEST_SUITE_P(Data, Malformed, testing::ValuesIn(DataCases()), CaseName);

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
  for (size_t n = 0; n < bytes.size(); ++n) {
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
