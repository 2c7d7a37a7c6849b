// SPDX-License-Identifier: Apache-2.0
// The C interface, called as a C program calls it.
#include <sys/wait.h>

#include <cstdio>
#include <fstream>
#include <tuple>

#include "tilewright/runtime/cpu_features.h"
#include "tilewright/runtime/test_support.h"
#include "tilewright/runtime/tilewright.h"

namespace tilewright::runtime {
namespace {

std::vector<std::byte> TestKernels() {
  std::ifstream file(TW_TEST_KERNELS_1, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

class CApi : public testing::Test {
 protected:
  void SetUp() override {
    std::vector<std::byte> elf = TestKernels();
    ModuleImage image;
    image.info = {"scale", "tilewright test", {}};
    VariantImage variant;
    variant.info = {"cpu test", std::string(HostArchitecture()), {}, TW_KERNEL_ABI_VERSION};
    variant.program = ScaleTwiceProgram();
    image.variants.push_back(variant);
    image.parameters = {{0, std::as_bytes(std::span(kScaleWeights))}};
    image.parameter_bytes = 16;
    WriteSharedObjectModule(folder_ / "m.so", elf, image);
    ASSERT_EQ(tw_module_load((folder_ / "m.so").c_str(), nullptr, &module_), TW_OK) << tw_last_error();
  }
  void TearDown() override {
    tw_context_release(context_);
    tw_module_release(module_);
  }
  void Create(const tw_context_options* options = nullptr) {
    ASSERT_EQ(tw_context_create(module_, options, &context_), TW_OK) << tw_last_error();
  }
  static void ExpectFailure(tw_status got, tw_status expected, const char* id) {
    EXPECT_EQ(got, expected) << tw_last_error();
    EXPECT_EQ(std::string(tw_last_error()).substr(0, 6), id) << tw_last_error();
  }

  ScratchFolder folder_;
  tw_module* module_ = nullptr;
  tw_context* context_ = nullptr;
};

TEST_F(CApi, LoadsSetsRunsReads) {
  Create();
  float x[32];
  for (int i = 0; i < 32; ++i) x[i] = static_cast<float>(i);
  ASSERT_EQ(tw_context_set_input(context_, 0, x, sizeof x), TW_OK);
  ASSERT_EQ(tw_context_run(context_), TW_OK);
  tw_tensor y;
  ASSERT_EQ(tw_context_get_output(context_, 0, &y), TW_OK);
  ASSERT_EQ(y.bytes, sizeof x);
  ASSERT_EQ(y.ndim, 2);
  EXPECT_EQ(y.shape[0], 8);
  EXPECT_EQ(y.shape[1], 4);
  for (int i = 0; i < 32; ++i) {
    float w = kScaleWeights[i % 4];
    EXPECT_EQ(static_cast<float*>(y.data)[i], x[i] * w * w);
  }
}

TEST_F(CApi, DescribesTheModule) {
  EXPECT_STREQ(tw_module_name(module_), "scale");
  EXPECT_STREQ(tw_module_producer(module_), "tilewright test");
  EXPECT_STREQ(tw_module_target(module_), "cpu test");
  EXPECT_EQ(tw_module_num_inputs(module_), 1);
  EXPECT_EQ(tw_module_num_outputs(module_), 1);
  EXPECT_EQ(tw_module_find_input(module_, "x"), 0);
  EXPECT_EQ(tw_module_find_output(module_, "y"), 0);
  EXPECT_EQ(tw_module_find_input(module_, "y"), -1);
  tw_tensor_info info;
  ASSERT_EQ(tw_module_input_info(module_, 0, &info), TW_OK);
  EXPECT_STREQ(info.name, "x");
  EXPECT_EQ(info.ndim, 2);
  EXPECT_EQ(info.shape[0], 8);
  EXPECT_EQ(info.dim_symbols[0], nullptr);
  EXPECT_TRUE(SameDType(info.dtype, kFloat32));
  ASSERT_EQ(tw_module_output_info(module_, 0, &info), TW_OK);
  EXPECT_STREQ(info.name, "y");
  EXPECT_EQ(tw_module_verify_parameters(module_), TW_OK);
  EXPECT_STREQ(tw_version(), TW_VERSION);
}

TEST_F(CApi, ReportsSymbolicDimensions) {
  ModuleImage image;
  VariantImage variant;
  ShapeExpr n = ShapeExpr::Symbol(0);
  variant.info = {"", std::string(HostArchitecture()), {}, TW_KERNEL_ABI_VERSION};
  variant.program.symbols = {{"batch", 1, 8, 1}};
  variant.program.inputs = {{"x", kFloat32, {n, 3, n * 2}}};
  image.variants.push_back(variant);
  WriteSharedObjectModule(folder_ / "s.so", TestKernels(), image);
  tw_module* module = nullptr;
  ASSERT_EQ(tw_module_load((folder_ / "s.so").c_str(), nullptr, &module), TW_OK) << tw_last_error();
  tw_tensor_info info;
  ASSERT_EQ(tw_module_input_info(module, 0, &info), TW_OK);
  EXPECT_EQ(info.shape[0], -1);
  EXPECT_STREQ(info.dim_symbols[0], "batch");
  EXPECT_EQ(info.shape[1], 3);
  EXPECT_EQ(info.dim_symbols[1], nullptr);
  EXPECT_EQ(info.shape[2], -1);
  EXPECT_STREQ(info.dim_symbols[2], "");
  tw_module_release(module);
}

TEST_F(CApi, NullArgumentsAreErrors) {
  Create();
  tw_tensor tensor;
  tw_tensor_info info;
  tw_profile_entry entry;
  DLTensor dl{};
  const char* kId = "TW5001";
  ExpectFailure(tw_module_load(nullptr, nullptr, &module_), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_module_load("m.so", nullptr, nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_module_load_memory(nullptr, 5, nullptr, &module_), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_module_verify_parameters(nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_module_input_info(nullptr, 0, &info), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_module_output_info(module_, 0, nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_create(nullptr, nullptr, &context_), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_set_input(nullptr, 0, &tensor, 4), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_set_input(context_, 0, nullptr, 128), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_set_input_tensor(context_, 0, nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_set_input_shape(context_, 0, nullptr, 2), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_bind_input(nullptr, 0, &dl), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_bind_output(nullptr, 0, &dl), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_feed(nullptr, 0, 0), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_input_buffer(context_, 0, nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_run(nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_get_output(context_, 0, nullptr), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_context_profile_entry(nullptr, 0, &entry), TW_INVALID_ARGUMENT, kId);
  ExpectFailure(tw_register_host_function("f", nullptr, nullptr), TW_INVALID_ARGUMENT, kId);
  EXPECT_EQ(tw_module_num_inputs(nullptr), 0);
  EXPECT_STREQ(tw_module_name(nullptr), "");
  EXPECT_EQ(tw_context_memory_bytes(nullptr), 0u);
  tw_context_release(nullptr);
  tw_module_release(nullptr);
}

TEST_F(CApi, IndicesAndOptionsAreChecked) {
  Create();
  tw_tensor tensor;
  tw_tensor_info info;
  tw_profile_entry entry;
  ExpectFailure(tw_module_input_info(module_, 1, &info), TW_INVALID_ARGUMENT, "TW5002");
  ExpectFailure(tw_module_output_info(module_, -1, &info), TW_INVALID_ARGUMENT, "TW5002");
  ExpectFailure(tw_context_input_buffer(context_, 7, &tensor), TW_INVALID_ARGUMENT, "TW5002");
  ExpectFailure(tw_context_get_output(context_, -7, &tensor), TW_INVALID_ARGUMENT, "TW5002");
  ExpectFailure(tw_context_profile_entry(context_, 0, &entry), TW_INVALID_ARGUMENT, "TW5002");
  ExpectFailure(tw_context_set_input_shape(context_, 0, nullptr, -1), TW_INVALID_ARGUMENT, "TW5001");
  tw_context_options options{};
  tw_context* other = nullptr;
  ExpectFailure(tw_context_create(module_, &options, &other), TW_INVALID_ARGUMENT, "TW5011");
  options.size = sizeof options;
  options.num_threads = -4;
  ExpectFailure(tw_context_create(module_, &options, &other), TW_INVALID_ARGUMENT, "TW5011");
  EXPECT_EQ(other, nullptr);
}

TEST_F(CApi, StatusesFollowTheError) {
  Create();
  tw_module* other = nullptr;
  ExpectFailure(tw_module_load((folder_ / "none.so").c_str(), nullptr, &other), TW_FILE_ERROR, "TW5101");
  ExpectFailure(tw_module_load(TW_TEST_KERNELS_1, nullptr, &other), TW_BAD_MODULE, "TW5102");
  EXPECT_EQ(other, nullptr);
  ExpectFailure(tw_context_run(context_), TW_INVALID_ARGUMENT, "TW5009");
  float x[32] = {};
  x[3] = -1;
  tw_context_set_input(context_, 0, x, sizeof x);
  ExpectFailure(tw_context_run(context_), TW_EXECUTION_ERROR, "TW5401");
  int64_t shape[] = {1, 2};
  ExpectFailure(tw_context_set_input_shape(context_, 0, shape, 2), TW_SHAPE_MISMATCH, "TW5005");
  EXPECT_STREQ(tw_status_name(TW_SHAPE_MISMATCH), "TW_SHAPE_MISMATCH");
}

TEST_F(CApi, ProfilesOnRequest) {
  tw_context_options options{};
  options.size = sizeof options;
  options.num_threads = 1;
  options.profile = 1;
  Create(&options);
  EXPECT_EQ(tw_context_num_threads(context_), 1);
  float x[32] = {};
  tw_context_set_input(context_, 0, x, sizeof x);
  ASSERT_EQ(tw_context_run(context_), TW_OK);
  ASSERT_EQ(tw_context_profile_size(context_), 3);
  tw_profile_entry entry;
  ASSERT_EQ(tw_context_profile_entry(context_, 1, &entry), TW_OK);
  EXPECT_STREQ(entry.name, "first");
  EXPECT_STREQ(entry.kind, "launch");
  EXPECT_EQ(entry.runs, 1u);
  tw_context_profile_reset(context_);
  ASSERT_EQ(tw_context_profile_entry(context_, 1, &entry), TW_OK);
  EXPECT_EQ(entry.runs, 0u);
}

TEST_F(CApi, BindsUserMemory) {
  Create();
  EXPECT_EQ(tw_context_bind_alignment(context_), 64u);
  alignas(64) float x[32], y[32] = {};
  for (float& v : x) v = 2;
  int64_t shape[] = {8, 4};
  DLTensor in{x, {kDLCPU, 0}, 2, {kDLFloat, 32, 1}, shape, nullptr, 0};
  DLTensor out = in;
  out.data = y;
  ASSERT_EQ(tw_context_bind_input(context_, 0, &in), TW_OK) << tw_last_error();
  ASSERT_EQ(tw_context_bind_output(context_, 0, &out), TW_OK) << tw_last_error();
  ASSERT_EQ(tw_context_run(context_), TW_OK);
  EXPECT_EQ(y[3], 32.0f);
}

TEST_F(CApi, FeedsOutputsBack) {
  Create();
  EXPECT_EQ(tw_module_donor(module_, 0), -1);
  EXPECT_EQ(tw_module_donor(nullptr, 0), -1);
  const std::vector<float> x(32, 1);
  ASSERT_EQ(tw_context_set_input(context_, 0, x.data(), 128), TW_OK);
  tw_tensor y{};
  for (float want : {16.0f, 256.0f, 4096.0f}) {
    ASSERT_EQ(tw_context_run(context_), TW_OK) << tw_last_error();
    ASSERT_EQ(tw_context_get_output(context_, 0, &y), TW_OK);
    EXPECT_EQ(static_cast<const float*>(y.data)[3], want);
    ASSERT_EQ(tw_context_feed(context_, 0, 0), TW_OK) << tw_last_error();
  }
}

#if defined(TW_DEPLOY_EXAMPLE)
// What a command prints on both channels, and its exit status.
std::pair<std::string, int> RunCommand(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  for (int c; pipe != nullptr && (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  int status = pipe != nullptr ? pclose(pipe) : -1;
  return {text, WEXITSTATUS(status)};
}

TEST_F(CApi, TheDeployedProgramRunsAModule) {
  auto [text, status] = RunCommand(TW_DEPLOY_EXAMPLE " " + (folder_ / "m.so"));
  EXPECT_EQ(status, 0);
  EXPECT_EQ(text, "     3  8\n     7  8\n    11  8\n    15  8\n    19  8\n");
  std::tie(text, status) = RunCommand(TW_DEPLOY_EXAMPLE " " + (folder_ / "absent.so"));
  EXPECT_EQ(status, 1);
  EXPECT_NE(text.find("error[TW_FILE_ERROR] TW5101: cannot open the module"), std::string::npos) << text;
}
#endif

}  // namespace
}  // namespace tilewright::runtime
