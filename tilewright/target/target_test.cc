// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/target.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "tilewright/support/error.h"
#include "tilewright/target/code_generator.h"
#include "tilewright/target/host.h"
#include "tilewright/target/known.h"
#include "tilewright/target/target_file.h"

namespace tilewright {
namespace {

using testing::AllOf;
using testing::HasSubstr;

std::string ErrorOf(const std::string& text) {
  try {
    Target::Parse(text);
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(Target, EveryKnownNameRoundTrips) {
  for (const std::string& name : KnownTargetNames()) {
    const Target target = Target::Parse(name);
    EXPECT_EQ(target.name, name);
    EXPECT_EQ(Target::Parse(target.ToString()).ToString(), target.ToString());
    EXPECT_FALSE(target.triple.empty());
    EXPECT_EQ(target.cpu.empty(), CodeGeneratorOf(target) != CodeGenerator::kLlvm);
    EXPECT_EQ(target.vector_bytes % 8, 0);
    EXPECT_GE(target.vector_registers, 16);
    EXPECT_GE(target.caches.size(), 2u);
  }
}

TEST(Target, LevelsOfX86) {
  EXPECT_EQ(Target::Parse("x86-64-v2").vector_bytes, 16);
  EXPECT_FALSE(Target::Parse("x86-64-v2").has_fma);
  EXPECT_EQ(Target::Parse("x86-64-v3").VectorLanes(4), 8);
  EXPECT_TRUE(Target::Parse("x86-64-v3").has_fma);
  EXPECT_EQ(Target::Parse("x86-64-v4").VectorLanes(4), 16);
  EXPECT_EQ(Target::Parse("x86-64-v4").vector_registers, 32);
  EXPECT_FALSE(Target::Parse("x86-64-v4").has_dot_u8s8);
}

TEST(Target, Overrides) {
  const Target t = Target::Parse("x86-64-v3,cores=8,sanitize=address,caches=1024/32/2:4096/64/4");
  EXPECT_EQ(t.cores, 8);
  EXPECT_TRUE(t.sanitize_address);
  EXPECT_EQ(t.CacheBytes(1), 512);
  EXPECT_EQ(t.CacheBytes(2), 1024);
  EXPECT_EQ(t.CacheBytes(3), 0);
  EXPECT_EQ(Target::Parse(t.ToString()).ToString(), t.ToString());
}

TEST(Target, FeaturesDecideVectorFacts) {
  const Target t = Target::Parse("x86-64-v3,features=+avx2,+avxvnni,-movbe,cores=2");
  EXPECT_TRUE(t.has_dot_u8s8);
  EXPECT_TRUE(t.has_fma);
  EXPECT_EQ(t.cores, 2);
  EXPECT_TRUE(t.features.ends_with(",+avx2,+avxvnni,-movbe")) << t.features;
  EXPECT_EQ(t.features.find("+movbe"), std::string::npos);
  EXPECT_EQ(t.features.find("+avx2"), t.features.rfind("+avx2"));
  EXPECT_FALSE(Target::Parse("x86-64-v3,features=-fma").has_fma);
}

TEST(Target, RiscvVectorsAreAsked) {
  const Target scalar = Target::Parse("riscv64-linux-gnu");
  EXPECT_EQ(scalar.VectorLanes(8), 1);
  EXPECT_FALSE(scalar.has_masked_memory);
  const Target vector = Target::Parse("riscv64-linux-gnu,features=+v");
  EXPECT_EQ(vector.VectorLanes(4), 4);
  EXPECT_EQ(vector.vector_registers, 32);
  EXPECT_TRUE(vector.has_masked_memory);
  EXPECT_EQ(Target::Parse("riscv64-linux-gnu,features=+v,+zvl256b").VectorLanes(4), 8);
}

TEST(Target, Lists) {
  const std::vector<Target> list =
      ParseTargets("x86-64-v2,cores=2,x86-64-v3,features=+avxvnni,-movbe,x86-64-v4");
  ASSERT_EQ(list.size(), 3u);
  EXPECT_EQ(list[0].ToString(), Target::Parse("x86-64-v2,cores=2").ToString());
  EXPECT_EQ(list[1].ToString(), Target::Parse("x86-64-v3,features=+avxvnni,-movbe").ToString());
  EXPECT_EQ(list[2].ToString(), Target::Parse("x86-64-v4").ToString());
  const std::string described = list[1].ToString();
  ASSERT_EQ(ParseTargets(described).size(), 1u);
  EXPECT_EQ(ParseTargets(described)[0].ToString(), described);
  EXPECT_THAT(ErrorOf("x86-64-v2,x86-64-v3"), HasSubstr("not KEY=VALUE"));
  for (const char* bad : {"x86-64-v2,vax", "x86-64-v2,", ""}) {
    EXPECT_THROW(ParseTargets(bad), Error) << bad;
  }
  try {
    ParseTargets("x86-64-v2,x86-64-v3,x86-64-v2");
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), HasSubstr("TW1105"));
  }
}

TEST(Target, Errors) {
  EXPECT_THAT(ErrorOf("vax"), HasSubstr("TW1101"));
  EXPECT_THAT(ErrorOf("vax"), HasSubstr("x86-64-v4, aarch64-linux-gnu"));
  EXPECT_THAT(ErrorOf(""), HasSubstr("TW1101"));
  EXPECT_THAT(ErrorOf("x86-64-v3,colour=red"), HasSubstr("TW1102"));
  EXPECT_THAT(ErrorOf("x86-64-v3,cores"), HasSubstr("TW1102"));
  EXPECT_THAT(ErrorOf("x86-64-v3,cores=0"), HasSubstr("TW1103"));
  EXPECT_THAT(ErrorOf("x86-64-v3,cores=99999999999999999999"), HasSubstr("TW1103"));
  EXPECT_THAT(ErrorOf("x86-64-v3,caches=12"), HasSubstr("TW1103"));
  EXPECT_THAT(ErrorOf("x86-64-v3,sanitize=maybe"), HasSubstr("address or none"));
  EXPECT_THAT(ErrorOf("name=x cpu=y"), HasSubstr("TW1104"));
}

/// A file that holds the target, with one line in place of the one that begins like it.
std::string WithLine(const std::string& line, const std::string& key) {
  std::string text = TargetFileText(Target::Parse("x86-64-v3,caches=32768/64/1/0.6:524288/64/1/2.5"), {});
  const size_t begin = text.find(key), end = text.find('\n', begin);
  return text.replace(begin, end - begin, line);
}

std::string FileErrorOf(const std::string& text) {
  try {
    ParseTargetFile(text, "some.target");
  } catch (const Error& e) {
    return e.what();
  }
  return "no error";
}

TEST(TargetFile, RoundTrips) {
  Target target = Target::Parse("x86-64-v3,caches=32768/64/1/0.6:524288/64/1/2.5,clock_mhz=3100,cores=6");
  target.memory_line_cycles = 12.25, target.launch_cycles = 777;
  const std::string text = TargetFileText(target, {"measured", "by hand"});
  EXPECT_THAT(text, HasSubstr("# measured\n# by hand\n"));
  EXPECT_EQ(ParseTargetFile(text, "some.target").ToString(), target.ToString());
  EXPECT_EQ(ParseTargetFile("# first\n\n" + text + "\n# last", "some.target").ToString(), target.ToString());
}

TEST(TargetFile, IsATargetByItsPath) {
  const std::string path = testing::TempDir() + "/machine.target";
  const Target target = Target::Parse("x86-64-v3,caches=32768/64/1/0.6:524288/64/1/2.5");
  std::ofstream(path) << TargetFileText(target, {});
  EXPECT_EQ(Target::Parse(path).ToString(), target.ToString());
  const std::vector<Target> list = ParseTargets("x86-64-v2," + path + ",cores=3,features=-movbe");
  ASSERT_EQ(list.size(), 2u);
  EXPECT_EQ(list[1].cores, 3);
  EXPECT_TRUE(list[1].features.ends_with(",-movbe"));
  std::filesystem::remove(path);
  EXPECT_THAT(ErrorOf(path), HasSubstr("TW1101"));
}

TEST(TargetFile, VectorFactsFollowFromFeatures) {
  const Target t =
      ParseTargetFile(WithLine("features = +avx512f,+avx512vl,+avx512bw,+avx512dq", "features"), "x");
  EXPECT_EQ(t.vector_bytes, 64);
  EXPECT_EQ(t.vector_registers, 32);
  EXPECT_THAT(FileErrorOf(WithLine("vector_bytes = 64", "cpu")), HasSubstr("TW1102"));
}

TEST(TargetFile, RefusesWhatIsNone) {
  const std::string good = WithLine("cores = 4", "cores");
  ASSERT_EQ(FileErrorOf(good), "no error");
  for (size_t n = 0; n + 1 < good.size(); ++n) {
    EXPECT_THAT(FileErrorOf(good.substr(0, n)), HasSubstr("error[TW11")) << n;
  }
  EXPECT_THAT(FileErrorOf(good + "cores = 2"), HasSubstr("behind the line 'end'"));
  EXPECT_THAT(FileErrorOf(WithLine("tilewright-target 2", "tilewright-target")),
              HasSubstr("version '2' is not known"));
  EXPECT_THAT(FileErrorOf(WithLine("tilewright-target", "tilewright-target")),
              HasSubstr("no target description"));
  EXPECT_THAT(FileErrorOf("\x7f"
                          "ELF"),
              HasSubstr("TW1106"));
  EXPECT_THAT(FileErrorOf(good + std::string(1, '\0')), HasSubstr("TW1106"));
  EXPECT_THAT(FileErrorOf(std::string(2 << 20, ' ')), HasSubstr("TW1106"));
}

TEST(TargetFile, NamesTheLineThatIsWrong) {
  EXPECT_THAT(
      FileErrorOf(WithLine("colour = red", "cores")),
      AllOf(HasSubstr("TW1102"), HasSubstr("unknown property 'colour'"), HasSubstr("some.target, line ")));
  EXPECT_THAT(FileErrorOf(WithLine("cores = many", "cores")), AllOf(HasSubstr("TW1103"), HasSubstr("line ")));
  EXPECT_THAT(FileErrorOf(WithLine("cores = 0", "cores")), HasSubstr("TW1103"));
  EXPECT_THAT(FileErrorOf(WithLine("cores", "cores")), HasSubstr("not KEY = VALUE"));
  EXPECT_THAT(FileErrorOf(WithLine("cores = 2\ncores = 2", "cores")), HasSubstr("'cores' is there twice"));
  EXPECT_THAT(FileErrorOf(WithLine("", "cores")), HasSubstr("'cores' is missing"));
  EXPECT_THAT(FileErrorOf(WithLine("cpu = a b", "cpu")), HasSubstr("characters"));
  EXPECT_THAT(FileErrorOf(WithLine("triple = vax-dec-vms", "triple")), HasSubstr("no known target"));
  EXPECT_THAT(FileErrorOf(WithLine("clock_mhz = 50000", "clock_mhz")), HasSubstr("TW1106"));
  for (const char* value : {"0", "-1", "nan", "inf", "1e9", "3x", ""}) {
    EXPECT_THAT(FileErrorOf(WithLine(std::string("memory_line_cycles = ") + value, "memory_line")),
                HasSubstr("error[TW110"))
        << value;
  }
  for (const char* value : {"", "32768/64/1/1:16384/64/1/2", "32768/64/1:65536/64/1", "1/64/1/1:2/64/1/2"}) {
    EXPECT_THAT(FileErrorOf(WithLine(std::string("caches = ") + value, "caches")), HasSubstr("error[TW110"))
        << value;
  }
}

TEST(Host, IsPlausible) {
  const Target host = Target::Host();
  EXPECT_EQ(host.name, "host");
  EXPECT_GE(host.cores, 1);
  EXPECT_GE(host.CacheBytes(1), 8 << 10);
  EXPECT_LE(host.CacheBytes(1), 1 << 20);
  EXPECT_GE(host.CacheBytes(2), 64 << 10);
  EXPECT_LE(host.CacheBytes(2), 64 << 20);
#if defined(__x86_64__)
  EXPECT_EQ(HasFeature(host, "avx2"), bool(__builtin_cpu_supports("avx2")));
  EXPECT_EQ(HasFeature(host, "fma"), bool(__builtin_cpu_supports("fma")));
  EXPECT_EQ(HasFeature(host, "avx512f"), bool(__builtin_cpu_supports("avx512f")));
  EXPECT_EQ(HasFeature(host, "avx512vnni"), bool(__builtin_cpu_supports("avx512vnni")));
  EXPECT_EQ(HasFeature(host, "avx512bf16"), bool(__builtin_cpu_supports("avx512bf16")));
#endif
}

/// A folder of small files that is removed in the end.
class HostFiles : public testing::Test {
 protected:
  void SetUp() override {
    root_ = std::filesystem::path(testing::TempDir()) /
            ("host_files_" + std::string(testing::UnitTest::GetInstance()->current_test_info()->name()));
    std::filesystem::remove_all(root_);
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::filesystem::path root_;
};

TEST_F(HostFiles, CgroupVersion2TakesTheTightestOfAllLevels) {
  Write("cpu.max", "max 100000\n");
  Write("a/cpu.max", "250000 100000\n");
  Write("a/b/cpu.max", "400000 100000\n");
  EXPECT_EQ(CgroupCores("0::/a/b\n", root_), 3);
  EXPECT_EQ(CgroupCores("0::/\n", root_), 0);
  EXPECT_EQ(CgroupCores("", root_), 0);
  EXPECT_EQ(CgroupCores("nonsense", root_), 0);
}

TEST_F(HostFiles, CgroupVersion1) {
  Write("cpu/box/cpu.cfs_quota_us", "150000\n");
  Write("cpu/box/cpu.cfs_period_us", "100000\n");
  Write("cpu/free/cpu.cfs_quota_us", "-1\n");
  Write("cpu/free/cpu.cfs_period_us", "100000\n");
  EXPECT_EQ(CgroupCores("4:memory:/x\n3:cpu,cpuacct:/box\n", root_), 2);
  EXPECT_EQ(CgroupCores("3:cpu:/free\n", root_), 0);
}

TEST_F(HostFiles, CachesThatCannotBeReadAreLeftOut) { EXPECT_TRUE(ReadCaches(root_).empty()); }

}  // namespace
}  // namespace tilewright
