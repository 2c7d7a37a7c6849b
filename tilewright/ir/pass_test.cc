// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/pass.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>

#include "tilewright/support/file.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Modules here are lists of names of functions; a pass adds one.
IRModule With(IRModule module, const std::string& name) {
  auto* f = new FunctionNode(FunctionKind::kGraph);
  f->name = name;
  module.Set(Function(f));
  return module;
}

std::string Names(const IRModule& module) {
  std::string names;
  for (const auto& [name, f] : module.functions()) names += name;
  return names;
}

/// Runs the passes a, b, b.2, c, and gives what the module then is.
std::string RunAll(PassRunner& passes) {
  IRModule module;
  for (const char* name : {"a", "b", "b.2", "c"})
    module = passes.Run(name, module, [&](const IRModule& m) { return With(m, name); });
  return Names(module);
}

PassRunner::Options Printing(std::vector<std::string>& printed) {
  PassRunner::Options options;
  options.print = Names;
  options.print_sink = [&](const std::string& text) { printed.push_back(text); };
  return options;
}

TEST(PassRunner, RunsAndTimesInOrder) {
  PassRunner passes;
  EXPECT_EQ(RunAll(passes), "abb.2c");
  std::vector<std::string> names;
  for (const PassRecord& r : passes.records()) names.push_back(r.name);
  EXPECT_THAT(names, ElementsAre("a", "b", "b.2", "c"));
  EXPECT_EQ(passes.last_pass(), "c");
  EXPECT_EQ(Names(passes.last_input()), "abb.2");
  EXPECT_FALSE(passes.stopped());
}

TEST(PassRunner, BeginsLateAndStopsEarly) {
  PassRunner passes({.start_at = "b", .stop_after = "b.2"});
  EXPECT_TRUE(passes.skipping());
  EXPECT_EQ(RunAll(passes), "bb.2");
  EXPECT_FALSE(passes.skipping());
  EXPECT_TRUE(passes.stopped());
  EXPECT_EQ(passes.records().size(), 2u);
}

TEST(PassRunner, PrintsAfterOneRunOrAllOfThem) {
  auto printed_after = [](std::set<std::string> wanted) {
    std::vector<std::string> printed;
    PassRunner::Options options = Printing(printed);
    options.print_after = std::move(wanted);
    PassRunner passes(options);
    RunAll(passes);
    return printed;
  };
  EXPECT_THAT(printed_after({"b"}), ElementsAre("# after b\nab", "# after b.2\nabb.2"));
  EXPECT_THAT(printed_after({"b.2"}), ElementsAre("# after b.2\nabb.2"));
  EXPECT_EQ(printed_after({"all"}).size(), 4u);
  EXPECT_THAT(printed_after({}), IsEmpty());
}

TEST(PassRunner, DumpsAreNumberedByWhatIsShown) {
  const TemporaryFile folder("-dump");
  std::vector<std::string> printed;
  PassRunner::Options options = Printing(printed);
  options.dump_dir = folder.path();
  options.start_at = "b";
  PassRunner passes(options);
  RunAll(passes);
  passes.Show("code", [] { return std::string("text"); }, "ll");
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  EXPECT_THAT(names, ElementsAre("01-b.tw", "02-b.2.tw", "03-c.tw", "04-code.ll"));
  EXPECT_EQ(ReadFile(folder.path() + "/02-b.2.tw"), "bb.2");
  EXPECT_EQ(ReadFile(folder.path() + "/04-code.ll"), "text");
  EXPECT_THAT(printed, IsEmpty());
  std::filesystem::remove_all(folder.path());
}

TEST(PassRunner, KeepsWhatAFailingPassWasGiven) {
  PassRunner::Options options;
  options.verify_each = true;
  options.verify = [](const IRModule& m) {
    if (m.Find("b.2")) throw InternalError("malformed");
  };
  PassRunner passes(options);
  EXPECT_THROW(RunAll(passes), InternalError);
  EXPECT_EQ(passes.last_pass(), "b.2");
  EXPECT_EQ(Names(passes.last_input()), "ab");
}

}  // namespace
}  // namespace tilewright
