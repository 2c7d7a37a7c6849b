// SPDX-License-Identifier: Apache-2.0
// The command as a whole: exit statuses, and kernels with address checks.
#include "tests/command/run_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>

#include "tilewright/frontend/onnx/test_model_builder.h"
#include "tilewright/support/file.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

class Command : public testing::Test {
 protected:
  Command()
      : folder_(std::filesystem::temp_directory_path() / ("tilewright_command_" + std::to_string(getpid()))) {
    std::filesystem::create_directories(folder_);
    std::ofstream(Path("good.onnx"), std::ios::binary) << onnx::GoodModel().SerializeAsString();
  }
  ~Command() override { std::filesystem::remove_all(folder_); }
  std::string Path(const std::string& name) const { return (folder_ / name).string(); }

  std::filesystem::path folder_;
};

TEST_F(Command, RunsAModelAndWhatWasCompiledOfIt) {
  const CommandResult run = RunCommand("run " + Path("good.onnx"));
  EXPECT_EQ(run.status, 0) << run.output;
  const CommandResult compile = RunCommand("compile " + Path("good.onnx") + " -o " + Path("good.so"));
  EXPECT_EQ(compile.status, 0) << compile.output;
  const CommandResult again = RunCommand("run " + Path("good.so"));
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(RunCommand("inspect " + Path("good.so")).status, 0);
}

TEST_F(Command, SaysHowItEnded) {
  EXPECT_EQ(RunCommand("--help").status, 0);
  EXPECT_EQ(RunCommand("no_such_command").status, 2);
  EXPECT_EQ(RunCommand("compile " + Path("good.onnx") + " --sanitize=everything").status, 2);
  const CommandResult missing = RunCommand("run " + Path("missing.onnx"));
  EXPECT_EQ(missing.status, 1);
  EXPECT_THAT(missing.output, HasSubstr("error[TW2001]"));
  const CommandResult unwritable =
      RunCommand("compile " + Path("good.onnx") + " -o " + Path("no/such/folder/x.so"));
  EXPECT_EQ(unwritable.status, 1);
  EXPECT_THAT(unwritable.output, HasSubstr("error[TW"));
}

TEST_F(Command, SanitizedKernelsRunWhereTheCheckerIs) {
  const CommandResult run = RunCommand("run " + Path("good.onnx") + " --sanitize=address");
  if (TW_HAS_ASAN) {
    EXPECT_EQ(run.status, 0) << run.output;
  } else {
    EXPECT_EQ(run.status, 1);
    EXPECT_THAT(run.output, HasSubstr("error[TW1703]"));
  }
}

TEST_F(Command, ProfilesEveryInstruction) {
  ASSERT_EQ(RunCommand("compile " + Path("good.onnx") + " -o " + Path("good.so")).status, 0);
  const CommandResult table = RunCommand("profile --seconds 0 " + Path("good.onnx"));
  EXPECT_EQ(table.status, 0) << table.output;
  EXPECT_THAT(table.output, HasSubstr("GFLOP/s"));
  EXPECT_THAT(table.output, HasSubstr("FuseOps")) << "passes and what they took";
  // A module knows the work of its launches as the compiler did.
  for (const std::string file : {"good.onnx", "good.so"}) {
    const CommandResult run =
        RunCommand("profile --seconds 0 --json --trace " + Path("trace.json") + " " + Path(file));
    ASSERT_EQ(run.status, 0) << run.output;
    const auto profile = nlohmann::json::parse(run.output);
    EXPECT_EQ(profile.contains("passes"), file == "good.onnx");
    ASSERT_FALSE(profile["instructions"].empty());
    double flops = 0, bytes = 0;
    for (const auto& row : profile["instructions"]) {
      flops += row["flops"].get<double>();
      bytes += row["bytes"].get<double>();
      EXPECT_EQ(row["executions"], 1);
    }
    EXPECT_EQ(profile["total"]["flops"], flops);
    EXPECT_GT(flops, 0);
    EXPECT_GT(bytes, 0);
    std::ifstream in(Path("trace.json"));
    const auto trace = nlohmann::json::parse(in);
    ASSERT_EQ(trace["traceEvents"].size(), profile["instructions"].size());
    for (const auto& event : trace["traceEvents"]) EXPECT_EQ(event["ph"], "X");
  }
}

TEST_F(Command, BindsInputsToValues) {
  onnx::ModelProto model = onnx::EmptyModel();
  onnx::AddInput(model, "x", {3});
  onnx::AddInput(model, "times", {}, 7);
  onnx::AddTensor(model, "axes", {1}, 7);
  onnx::AddNode(model, "Unsqueeze", {"times", "axes"}, {"repeats"});
  onnx::AddNode(model, "Tile", {"x", "repeats"}, {"y"});
  onnx::AddOutput(model, "y");
  const std::string file = Path("tile.onnx"), module = Path("tile.so"), value = Path("times.pb");
  std::ofstream(file, std::ios::binary) << model.SerializeAsString();
  onnx::TensorProto four;
  four.set_data_type(7);
  four.add_int64_data(4);
  std::ofstream(value, std::ios::binary) << four.SerializeAsString();

  const CommandResult open = RunCommand("compile " + file + " -o " + module);
  EXPECT_EQ(open.status, 1);
  EXPECT_THAT(open.output,
              AllOf(HasSubstr("error[TW2051]"), HasSubstr("--bind NAME=VALUE"), HasSubstr("times")));
  for (const auto& [bind, shape] : {std::pair{std::string("2"), "f32[6]"}, std::pair{value, "f32[12]"}}) {
    const CommandResult compile = RunCommand("compile " + file + " -o " + module + " --bind times=" + bind);
    ASSERT_EQ(compile.status, 0) << compile.output;
    const CommandResult inspect = RunCommand("inspect " + module);
    EXPECT_THAT(inspect.output, AllOf(HasSubstr(shape), Not(HasSubstr("times"))));
    EXPECT_EQ(RunCommand("run " + module).status, 0);
  }
  for (const std::string command : {"run ", "inspect ", "bench --seconds 0 ", "profile --seconds 0 "})
    EXPECT_EQ(RunCommand(command + file + " --bind times=2").status, 0) << command;

  for (const auto& [arguments, error] : {std::pair{file + " --bind times=0.5", "error[TW2018]"},
                                         std::pair{file + " --bind nobody=1", "error[TW2018]"},
                                         std::pair{file + " --bind times", "error[TW4002]"},
                                         std::pair{file + " --bind times=" + Path("no.npy"), "error[TW1007]"},
                                         std::pair{module + " --bind times=2", "error[TW4002]"}}) {
    const CommandResult run = RunCommand("inspect " + arguments);
    EXPECT_EQ(run.status, 1) << arguments;
    EXPECT_THAT(run.output, HasSubstr(error)) << arguments;
  }
}

TEST_F(Command, DamagedModulesAreRefused) {
  ASSERT_EQ(RunCommand("compile " + Path("good.onnx") + " -o " + Path("good.so")).status, 0);
  std::ifstream in(Path("good.so"), std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), {});
  for (size_t part = 1; part < 8; ++part) {
    std::ofstream(Path("cut.so"), std::ios::binary) << bytes.substr(0, bytes.size() * part / 8);
    const CommandResult run = RunCommand("run " + Path("cut.so"));
    EXPECT_EQ(run.status, 1) << run.output;
    EXPECT_THAT(run.output, HasSubstr("error[TW"));
  }
}

TEST_F(Command, CalibratesForATarget) {
  const std::string file = Path("machine.target"), model = Path("good.onnx");
  const CommandResult calibrate = RunCommand("calibrate --threads 1 -o " + file);
  ASSERT_EQ(calibrate.status, 0) << calibrate.output;
  EXPECT_THAT(calibrate.output, AllOf(HasSubstr("GFLOP/s"), HasSubstr("L1: "), HasSubstr("memory: ")));
  const std::string flags = " --target " + file + " --no-cache";
  EXPECT_EQ(RunCommand("compile " + model + flags + " -o " + Path("m.so")).status, 0);
  const CommandResult again = RunCommand("compile " + model + " --target " + file + " -o " + Path("n.so"));
  EXPECT_EQ(again.status, 0) << again.output;
  EXPECT_EQ(ReadFile(Path("m.so")), ReadFile(Path("n.so")));
  for (const char* command : {"run ", "inspect ", "bench --seconds 0.01 ", "profile --seconds 0.01 "}) {
    const CommandResult result = RunCommand(command + model + flags);
    EXPECT_EQ(result.status, 0) << command << result.output;
  }
  // What the code needs of a processor follows from the file's features.
  const CommandResult inspect = RunCommand("inspect " + Path("m.so"));
  EXPECT_THAT(inspect.output, HasSubstr("target: name=calibrated "));
}

TEST_F(Command, RefusesBadTargetFiles) {
  const std::string file = Path("machine.target");
  std::ofstream(file) << "tilewright-target 1\nname = x\n";
  const CommandResult cut = RunCommand("compile " + Path("good.onnx") + " -o x.so --target " + file);
  EXPECT_EQ(cut.status, 1);
  EXPECT_THAT(cut.output, AllOf(HasSubstr("error[TW1106]"), HasSubstr("machine.target, line 2")));
  EXPECT_THAT(RunCommand("run " + Path("good.onnx") + " --target no.target").output,
              HasSubstr("error[TW1101]"));
  EXPECT_THAT(RunCommand("calibrate --threads -1").output, HasSubstr("error[TW4002]"));
}

TEST_F(Command, ProfileExplainsKernels) {
  const std::string model = Path("good.onnx");
  const CommandResult text = RunCommand("profile --explain --seconds 0.01 " + model);
  EXPECT_EQ(text.status, 0) << text.output;
  EXPECT_THAT(text.output, AllOf(HasSubstr("predicted"), HasSubstr("rule ")));
  const CommandResult result = RunCommand("profile --explain --json --seconds 0.01 " + model);
  ASSERT_EQ(result.status, 0) << result.output;
  const auto json = nlohmann::json::parse(result.output);
  ASSERT_FALSE(json["kernels"].empty());
  for (const auto& kernel : json["kernels"]) {
    EXPECT_GT(kernel["predicted_us"], 0) << kernel;
    EXPECT_GT(kernel["measured_us"], 0) << kernel;
    EXPECT_FALSE(kernel["rules"].empty()) << kernel;
  }
  ASSERT_EQ(RunCommand("compile " + model + " -o " + Path("m.so")).status, 0);
  EXPECT_THAT(RunCommand("profile --explain " + Path("m.so")).output, HasSubstr("error[TW4002]"));
}

}  // namespace
}  // namespace tilewright
