// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/kernel_cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "tilewright/driver/compile.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/package.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/context.h"
#include "tilewright/support/file.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

namespace fs = std::filesystem;

class KernelCacheTest : public testing::Test {
 protected:
  void TearDown() override { fs::remove_all(folder_); }

  std::vector<fs::path> Files() const {
    std::vector<fs::path> files;
    for (const auto& entry : fs::directory_iterator(folder_)) files.push_back(entry.path());
    return files;
  }

  const std::string folder_ =
      (fs::temp_directory_path() / fmt::format("tilewright-cache-test-{}", getpid())).string();
};

TEST_F(KernelCacheTest, KeepsValuesByTheirKeys) {
  const KernelCache cache(folder_ + "/deeper");
  EXPECT_EQ(cache.Load("a"), std::nullopt);
  cache.Store("a", std::string("one\0two", 7));
  cache.Store("b", "");
  EXPECT_EQ(cache.Load("a"), std::string("one\0two", 7));
  EXPECT_EQ(cache.Load("b"), "");
  cache.Store("a", "three");
  EXPECT_EQ(KernelCache(folder_ + "/deeper").Load("a"), "three");
  EXPECT_EQ(cache.Measure().entries, 2);
  EXPECT_TRUE(cache.Clear());
  EXPECT_EQ(cache.Measure().entries, 0);
  EXPECT_EQ(cache.Load("a"), std::nullopt);
}

TEST_F(KernelCacheTest, IgnoresWhatIsDamaged) {
  const KernelCache cache(folder_);
  cache.Store("key", "some value");
  const fs::path file = Files().at(0);
  const std::string good = ReadFile(file);
  for (size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = char(bad[i] ^ 1);
    WriteFile(file, bad);
    EXPECT_EQ(cache.Load("key"), std::nullopt) << "byte " << i;
    WriteFile(file, good.substr(0, i));
    EXPECT_EQ(cache.Load("key"), std::nullopt) << "cut to " << i;
  }
  cache.Store("key", "some value");
  EXPECT_EQ(cache.Load("key"), "some value");
}

// Two keys may have the same digest, and with it the same file.
TEST_F(KernelCacheTest, ComparesWholeKeys) {
  const KernelCache cache(folder_);
  cache.Store("a", "of a");
  const fs::path of_a = Files().at(0);
  cache.Store("b", "of b");
  for (const fs::path& file : Files()) {
    if (file != of_a) fs::copy_file(of_a, file, fs::copy_options::overwrite_existing);
  }
  EXPECT_EQ(cache.Load("b"), std::nullopt);
  EXPECT_EQ(cache.Load("a"), "of a");
}

TEST_F(KernelCacheTest, RemovesWhatWasNotUsedForTheLongestTime) {
  const KernelCache cache(folder_, 2500);
  const std::string value(1000, 'v');
  for (const char* key : {"first", "second", "third"}) {
    cache.Store(key, value);
    // File systems may tell no two moments within some milliseconds apart.
    for (const fs::path& file : Files())
      fs::last_write_time(file, fs::last_write_time(file) - std::chrono::hours(1));
  }
  EXPECT_TRUE(cache.Load("first"));  // used now
  cache.Trim();
  EXPECT_TRUE(cache.Load("first"));
  EXPECT_FALSE(cache.Load("second"));
  EXPECT_FALSE(cache.Load("third"));  // the key and the build take some bytes, too
  EXPECT_LE(cache.Measure().bytes, 2500);
}

TEST_F(KernelCacheTest, WithoutAFolderNothingIsKept) {
  WriteFile(folder_, "a file where the folder should be");
  const KernelCache cache(folder_);
  cache.Store("key", "value");
  EXPECT_EQ(cache.Load("key"), std::nullopt);
  cache.Trim();
  EXPECT_EQ(cache.Measure().entries, 0);
}

TEST_F(KernelCacheTest, ManyMayUseItAtOnce) {
  const KernelCache cache(folder_, 20000);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 200; ++i) {
        const std::string key = std::to_string((i + t) % 20);
        if (auto value = cache.Load(key)) EXPECT_EQ(*value, std::string(2000, key[0]));
        cache.Store(key, std::string(2000, key[0]));
        if (i % 50 == t) cache.Trim();
      }
    });
  }
  for (std::thread& t : threads) t.join();
}

// ---- Compiling with it.

NDArray Counting(std::vector<int64_t> shape) {
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  int i = 0;
  for (float& x : a.mutable_as<float>()) x = float((i++ * 7) % 23 - 11) / 16;
  return a;
}

TensorType TypeOf(std::vector<Expr> shape) { return {kF32, std::move(shape), {}, "", "global"}; }

struct TestModel {
  IRModule module;
  std::map<std::string, NDArray> parameters;
  std::vector<NDArray> inputs;
};

Attrs ConvAttrs() {
  const std::vector<int64_t> ones{1, 1};
  return OpRegistry::Get("Conv")->attrs.from_map(
      {{"strides", ones}, {"dilations", ones}, {"pads", std::vector<int64_t>(4, 1)}, {"groups", int64_t(1)}});
}

/// Convolutions with prepared filters (three alike), a concatenation and rows.
TestModel Images() {
  TestModel m;
  m.inputs = {Counting({1, 32, 14, 14})};
  m.parameters = {{"w", Counting({32, 32, 3, 3})}, {"v", Counting({32, 32, 3, 3})}};
  std::vector<Value> params{Value("x", TypeOf({1, 32, 14, 14}), "x"), Value("w", TypeOf({32, 32, 3, 3}), "w"),
                            Value("v", TypeOf({32, 32, 3, 3}), "v")};
  GraphBuilder g;
  Value a = g.Call1("Relu", {g.Call1("Conv", {params[0], params[1], nullptr}, ConvAttrs())});
  Value b = g.Call1("Relu", {g.Call1("Conv", {a, params[2], nullptr}, ConvAttrs())});
  Value c = g.Call1("Relu", {g.Call1("Conv", {b, params[1], nullptr}, ConvAttrs())});
  Value joined = g.Call1("Concat", {a, c}, OpRegistry::Get("Concat")->attrs.from_map({{"axis", int64_t(1)}}));
  Value soft =
      g.Call1("Softmax", {joined}, OpRegistry::Get("Softmax")->attrs.from_map({{"axis", int64_t(3)}}));
  m.module = MainModule(params, g, {soft});
  return m;
}

/// A product of open rows.
TestModel Rows() {
  TestModel m;
  m.inputs = {Counting({37, 64})};
  m.parameters = {{"w", Counting({64, 96})}};
  std::vector<Value> params{Value("x", TypeOf({Var::Symbol("n", 1, 512), 64}), "x"),
                            Value("w", TypeOf({64, 96}), "w")};
  GraphBuilder g;
  Value y = g.Call1(
      "Tanh", {g.Call1("MatMul", {params[0], params[1]}, OpRegistry::Get("MatMul")->attrs.from_map({}))});
  m.module = MainModule(
      params, g,
      {y, g.Call1("Softmax", {y}, OpRegistry::Get("Softmax")->attrs.from_map({{"axis", int64_t(1)}}))});
  return m;
}

class CachedCompile : public KernelCacheTest, public testing::WithParamInterface<TestModel (*)()> {
 protected:
  CompiledModel Compile(bool cached, double max_error = kDefaultMaxError) const {
    const TestModel m = GetParam()();
    CompileOptions options;
    options.target = TestTarget();
    options.max_error = max_error;
    if (cached) options.cache = std::make_shared<KernelCache>(folder_);
    return CompileModel(m.module, m.parameters, options);
  }
  static std::string Packaged(const CompiledModel& model) {
    const TemporaryFile file(".so");
    WriteSharedLibrary(model, file.path());
    return ReadFile(file.path());
  }
  static std::vector<std::vector<char>> Outputs(const CompiledModel& model,
                                                const std::vector<NDArray>& inputs) {
    runtime::Context context(LoadInProcess(model), {});
    for (size_t i = 0; i < inputs.size(); ++i) {
      context.SetInputShape(i, inputs[i].shape());
      context.SetInput(i, inputs[i].data(), uint64_t(inputs[i].bytes()));
    }
    context.Run();
    std::vector<std::vector<char>> outputs;
    for (size_t i = 0; i < model.program.outputs.size(); ++i) {
      const runtime::TensorView view = context.Output(i);
      const char* data = static_cast<const char*>(view.data);
      outputs.emplace_back(data, data + view.bytes);
    }
    return outputs;
  }
  static bool Ran(const CompiledModel& model, const std::string& pass) {
    return std::ranges::any_of(model.times, [&](const PassRecord& r) { return r.name == pass; });
  }
};

TEST_P(CachedCompile, GivesTheSameModule) {
  const CompiledModel plain = Compile(false), cold = Compile(true), warm = Compile(true);
  EXPECT_TRUE(Ran(cold, "ShareValues"));
  EXPECT_FALSE(Ran(warm, "ShareValues")) << "no kernel is to be lowered again";
  const std::string expected = Packaged(plain);
  EXPECT_TRUE(Packaged(cold) == expected);
  EXPECT_TRUE(Packaged(warm) == expected);
  const std::vector<NDArray> inputs = GetParam()().inputs;
  EXPECT_EQ(Outputs(warm, inputs), Outputs(plain, inputs));
}

TEST_P(CachedCompile, CompilesAnewWhatIsDamaged) {
  const std::string expected = Packaged(Compile(true));
  const std::vector<fs::path> files = Files();
  for (const fs::path& file : files) {
    std::string bytes = ReadFile(file);
    bytes[bytes.size() / 2] = char(bytes[bytes.size() / 2] + 1);
    WriteFile(file, bytes);
  }
  const CompiledModel again = Compile(true);
  EXPECT_TRUE(Ran(again, "ShareValues"));
  EXPECT_TRUE(Packaged(again) == expected);
  EXPECT_FALSE(Ran(Compile(true), "ShareValues"));
  EXPECT_EQ(Files().size(), files.size());
}

TEST_P(CachedCompile, IsNotUsedWhereKernelsAreLookedAt) {
  Compile(true);
  const TestModel m = GetParam()();
  CompileOptions options;
  options.target = TestTarget();
  options.cache = std::make_shared<KernelCache>(folder_);
  options.stop_after = Phase::kLowerKernels;
  EXPECT_TRUE(Ran(CompileModel(m.module, m.parameters, options), "ShareValues"));
}

INSTANTIATE_TEST_SUITE_P(Models, CachedCompile, testing::Values(Images, Rows),
                         [](const auto& info) { return info.index == 0 ? "Images" : "Rows"; });

// Donated memory depends on how a kernel goes through its arguments, which must be known without its body.
TEST_F(KernelCacheTest, KnowsWhichKernelsWorkInPlace) {
  auto compile = [&](bool cached) {
    std::vector<Value> params{Value("x", TypeOf({64}), "x"), Value("y", TypeOf({64}), "y")};
    GraphBuilder g;
    Value sum = g.Call1("Add", {params[0], params[1]});
    CompileOptions options;
    options.target = TestTarget();
    options.donate = {{"x", "y0"}};
    if (cached) options.cache = std::make_shared<KernelCache>(folder_);
    return CompileModel(MainModule(params, g, {sum}), {}, options);
  };
  const size_t plain = compile(false).program.instructions.size();
  EXPECT_EQ(compile(true).program.instructions.size(), plain);
  EXPECT_EQ(compile(true).program.instructions.size(), plain);
}

}  // namespace
}  // namespace tilewright
