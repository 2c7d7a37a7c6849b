// SPDX-License-Identifier: Apache-2.0
// The command as a whole: exit statuses, and kernels with address checks.
#include "tests/command/run_command.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tilewright/frontend/onnx/test_model_builder.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

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

}  // namespace
}  // namespace tilewright
