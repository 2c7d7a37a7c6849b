// SPDX-License-Identifier: Apache-2.0
// Modules with several variants, and code that this machine must not run.
#include "tilewright/driver/package.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/requirements.h"
#include "tilewright/driver/test_main_module.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/runtime/module_reader.h"
#include "tilewright/support/error.h"
#include "tilewright/support/file.h"

namespace tilewright {
namespace {

NDArray Ramp(std::vector<int64_t> shape, float step) {
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  float next = -1;
  for (float& x : a.mutable_as<float>()) x = next, next = next > 1 ? -1 : next + step;
  return a;
}

constexpr int64_t kRows = 4, kDepth = 48, kColumns = 96;

/// x w + b, for a target: w is packed as the target's vectors want it, b is read as it is.
CompiledModel Product(const std::string& target) {
  const NDArray x = Ramp({kRows, kDepth}, 0.01F), w = Ramp({kDepth, kColumns}, 0.013F),
                b = Ramp({kColumns}, 0.1F);
  std::vector<Value> params;
  for (const auto& [name, like] : {std::pair("x", x), std::pair("w", w), std::pair("b", b)}) {
    TensorType t{like.dtype(), {}, {}, "", "global"};
    for (int64_t d : like.shape()) t.shape.push_back(Expr(d));
    params.emplace_back(name, t, name);
  }
  GraphBuilder g;
  const Attrs attrs = OpRegistry::Get("MatMul")->attrs.from_map({});
  Value y = g.Call1("Add", {g.Call1("MatMul", {params[0], params[1]}, attrs), params[2]});
  CompileOptions options;
  options.target = Target::Parse(target);
  return CompileModel(MainModule(params, g, {y}), {{"w", w}, {"b", b}}, options);
}

std::vector<std::string> TargetNames(const runtime::ModuleReader& reader) {
  std::vector<std::string> names;
  for (const runtime::VariantRecord& v : reader.variants())
    names.push_back(Target::Parse(v.info.target).name);
  return names;
}

TEST(Package, VariantsAreInOrderAndShareConstants) {
  const std::vector<CompiledModel> models = {Product("x86-64-v2"), Product("aarch64-linux-gnu"),
                                             Product("x86-64-v4"), Product("x86-64-v3")};
  const TemporaryFile file(".so");
  WriteSharedLibrary(models, file.path());
  const std::string text = ReadFile(file.path());
  const runtime::ModuleReader reader(std::as_bytes(std::span(text)), "test");
  EXPECT_THAT(TargetNames(reader),
              testing::ElementsAre("x86-64-v4", "x86-64-v3", "x86-64-v2", "aarch64-linux-gnu"));
  size_t apart = 0;
  for (const CompiledModel& m : models) apart += size_t(m.parameters.bytes());
  EXPECT_LE(reader.parameters().size(), apart - 3 * size_t(kColumns) * sizeof(float));

  // Wherever a constant is now, it is what the variant was compiled with.
  for (size_t i = 0; i < models.size(); ++i) {
    const size_t at = std::vector<size_t>{2, 3, 0, 1}[i];
    const runtime::Program program = reader.ReadProgram(reader.variants()[i]);
    const CompiledModel& model = models[at];
    ASSERT_EQ(program.buffers.size(), model.program.buffers.size());
    for (size_t j = 0; j < program.buffers.size(); ++j) {
      const runtime::Buffer &moved = program.buffers[j], &own = model.program.buffers[j];
      if (own.storage != runtime::Storage::kParameter) continue;
      const auto* expected = static_cast<const std::byte*>(model.parameters.data()) + own.offset.constant();
      EXPECT_EQ(std::memcmp(reader.parameters().data() + moved.offset.constant(), expected,
                            size_t(own.bytes.constant())),
                0)
          << own.name;
    }
  }
}

TEST(Package, TheMachineRunsItsVariant) {
  const std::vector<CompiledModel> models = {Product("aarch64-linux-gnu"), Product("riscv64-linux-gnu"),
                                             Product("host")};
  const TemporaryFile file(".so");
  WriteSharedLibrary(models, file.path());
  const NDArray x = Ramp({kRows, kDepth}, 0.01F);
  const NDArray found = RunModule(runtime::Module::Load(file.path()), {x}).at(0);
  const NDArray expected = RunModule(LoadInProcess(models[2]), {x}).at(0);
  EXPECT_EQ(std::memcmp(found.data(), expected.data(), size_t(expected.bytes())), 0);
}

TEST(Package, CodeForAnotherMachineIsNotRun) {
  const std::string other = Target::Host().triple.starts_with("riscv64") ? "aarch64" : "riscv64";
  try {
    LoadInProcess(Product(other + "-linux-gnu"));
    ADD_FAILURE() << "it was loaded";
  } catch (const Error& e) {
    EXPECT_THAT(e.what(), testing::HasSubstr("TW3203"));
    EXPECT_THAT(e.what(), testing::HasSubstr("it is for " + other));
  }
  EXPECT_NO_THROW(CheckRunsHere(Target::Host()));
}

TEST(Package, RequirementsAreThoseOfTheProcessorToo) {
  const Requirements r = RequirementsOf(Target::Parse("aarch64-linux-gnu,cpu=cortex-a76"));
  EXPECT_EQ(r.architecture, "aarch64");
  EXPECT_THAT(r.features, testing::Contains("dotprod"));
  EXPECT_THAT(r.features, testing::Not(testing::Contains("aes")));
}

}  // namespace
}  // namespace tilewright
