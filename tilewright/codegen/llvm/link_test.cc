// SPDX-License-Identifier: Apache-2.0
// Shared libraries by LLD: for this machine, loaded and called; for others, their headers.
#include "tilewright/codegen/llvm/link.h"

#include <dlfcn.h>
#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

#include "tilewright/codegen/llvm/test_kernels.h"
#include "tilewright/support/error.h"

namespace tilewright {
namespace {

using namespace testing_kernels;

struct Entry {
  const char* name;
  KernelFn function;
};

PrimFunc Fill(const std::string& name, int64_t value) {
  Var i("i");
  Buffer out = FlatUnaligned("out", kI64, 4);
  return Kernel(name, {out}, Serial(i, 4, MakeStore(out, i * Expr(value), {i})));
}

std::vector<ObjectCode> Objects(const Target& target) {
  return CompileKernelGroups(std::vector{Fill("fill_1", 1), Fill("fill_2", 2), Fill("fill_3", 3)}, target,
                             {.kernels_per_object = 2});
}

/// A library in a file of its own, opened.
class Loaded {
 public:
  Loaded(const std::string& bytes, const std::string& name) : path_(testing::TempDir() + name) {
    std::ofstream(path_, std::ios::binary) << bytes;
    handle_ = dlopen(path_.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (!handle_) ADD_FAILURE() << dlerror();
  }
  ~Loaded() {
    if (handle_) dlclose(handle_);
    std::filesystem::remove(path_);
  }
  void* Find(const char* symbol) const { return handle_ ? dlsym(handle_, symbol) : nullptr; }

 private:
  std::string path_;
  void* handle_;
};

TEST(Link, LibraryHasTheTableAndNothingElse) {
  const std::vector<std::string> order{"fill_3", "fill_1"};
  const std::string bytes = LinkSharedLibrary(Objects(Target::Host()), Target::Host(), order, "my_table");
  Loaded library(bytes, "link_test_table.so");
  auto* table = static_cast<const Entry*>(library.Find("my_table"));
  ASSERT_NE(table, nullptr);
  EXPECT_EQ(library.Find("fill_1"), nullptr);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(table[i].name, order[i]);
    int64_t z[4];
    void* buffers[] = {z};
    table[i].function(buffers, nullptr, 0, 1, nullptr);
    EXPECT_EQ(z[3], i == 0 ? 9 : 3);
  }
}

TEST(Link, IsRepeatableAndSafeFromManyThreads) {
  const auto objects = Objects(Target::Host());
  const std::string first = LinkSharedLibrary(objects, Target::Host());
  std::vector<std::string> results(4);
  {
    std::vector<std::jthread> threads;
    for (std::string& result : results)
      threads.emplace_back([&] { result = LinkSharedLibrary(objects, Target::Host()); });
  }
  for (const std::string& result : results) EXPECT_EQ(result, first);
}

TEST(Link, DamagedObjectsAreRefused) {
  std::vector<ObjectCode> objects = Objects(Target::Host());
  EXPECT_THROW(LinkSharedLibrary(objects, Target::Host(), std::vector<std::string>{"missing"}),
               InternalError);
  objects[0].bytes.resize(100);
  EXPECT_THROW(LinkSharedLibrary(objects, Target::Host()), InternalError);
  EXPECT_THROW(JitModule::Load(objects), InternalError);
  // And the linker works on afterwards.
  EXPECT_FALSE(LinkSharedLibrary(Objects(Target::Host()), Target::Host()).empty());
}

TEST(Features, AreWhatTheCodeMayRelyOn) {
  const auto has = [](const std::string& target, const std::string& name) {
    return std::ranges::count(EnabledFeatures(Target::Parse(target)), name) == 1;
  };
  EXPECT_TRUE(has("x86-64-v3", "avx2"));
  EXPECT_FALSE(has("x86-64-v3", "avx512f"));
  EXPECT_FALSE(has("x86-64-v3,features=-movbe", "movbe"));
  // A processor's name stands for all that it has, but for what no kernel uses.
  EXPECT_FALSE(has("aarch64-linux-gnu", "dotprod"));
  EXPECT_TRUE(has("aarch64-linux-gnu,cpu=cortex-a76", "dotprod"));
  EXPECT_FALSE(has("aarch64-linux-gnu,cpu=cortex-a76", "aes"));
  EXPECT_FALSE(has("riscv64-linux-gnu", "v"));
  EXPECT_TRUE(has("riscv64-linux-gnu,features=+v", "zvl128b"));
  EXPECT_THROW(EnabledFeatures(Target::Parse("riscv64-linux-gnu,cpu=cortex-a76")), Error);
}

TEST(Link, OtherProcessors) {
  for (auto [name, machine] : {std::pair("aarch64-linux-gnu", EM_AARCH64),
                               std::pair("riscv64-linux-gnu", EM_RISCV), std::pair("x86-64-v2", EM_X86_64)}) {
    const Target target = Target::Parse(name);
    const auto objects = Objects(target);
    const std::string library = LinkSharedLibrary(objects, target);
    for (const std::string& bytes : {objects[0].bytes, library}) {
      Elf64_Ehdr header;
      ASSERT_GE(bytes.size(), sizeof header);
      std::memcpy(&header, bytes.data(), sizeof header);
      EXPECT_EQ(std::memcmp(header.e_ident, ELFMAG, SELFMAG), 0) << name;
      EXPECT_EQ(header.e_machine, machine) << name;
      EXPECT_EQ(header.e_type, &bytes == &library ? ET_DYN : header.e_type);
    }
  }
}

}  // namespace
}  // namespace tilewright
