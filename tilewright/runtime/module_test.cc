// SPDX-License-Identifier: Apache-2.0
// Writing, reading and loading modules, whole and damaged.
#include "tilewright/runtime/module.h"

#include <cstring>
#include <fstream>

#include "tilewright/runtime/checksum.h"
#include "tilewright/runtime/context.h"
#include "tilewright/runtime/cpu_features.h"
#include "tilewright/runtime/module_reader.h"
#include "tilewright/runtime/test_support.h"

namespace tilewright::runtime {
namespace {

std::vector<std::byte> ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

void WriteFile(const std::string& path, std::span<const std::byte> bytes) {
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()), static_cast<std::streamsize>(bytes.size()));
}

// Bytes at an address that suits LoadFromMemory.
class AlignedCopy {
 public:
  explicit AlignedCopy(std::span<const std::byte> bytes)
      : memory_(std::aligned_alloc(64, (bytes.size() + 127) / 64 * 64), std::free), size_(bytes.size()) {
    std::memcpy(memory_.get(), bytes.data(), bytes.size());
  }
  std::span<std::byte> bytes() const { return {static_cast<std::byte*>(memory_.get()), size_}; }
  std::shared_ptr<const void> owner() const { return memory_; }

 private:
  std::shared_ptr<void> memory_;
  size_t size_;
};

const std::vector<std::byte>& Kernels(int factor) {
  static const std::vector<std::byte> one = ReadFile(TW_TEST_KERNELS_1), two = ReadFile(TW_TEST_KERNELS_2);
  return factor == 1 ? one : two;
}

// The module of ScaleTwiceProgram; `elf` empty for code in the enclosing file.
ModuleImage ScaleImage(std::span<const std::byte> elf = {}) {
  ModuleImage image;
  image.info = {"scale", "tilewright test", {{"source", "scale.onnx"}}};
  VariantImage variant;
  variant.info = {"cpu test", std::string(HostArchitecture()), {}, TW_KERNEL_ABI_VERSION};
  variant.program = ScaleTwiceProgram();
  variant.elf = elf;
  image.variants.push_back(variant);
  image.parameters = {{0, std::as_bytes(std::span(kScaleWeights))}};
  image.parameter_bytes = 100;
  return image;
}

// Runs a module of ScaleImage whose kernels multiply by `factor`.
void ExpectWorks(const std::shared_ptr<const Module>& module, float factor) {
  Context context(module, {.num_threads = 2});
  std::vector<float> x(32);
  for (size_t i = 0; i < x.size(); ++i) x[i] = static_cast<float>(i);
  context.SetInput(0, x.data(), 128);
  context.Run();
  const auto* y = static_cast<const float*>(context.Output(0).data);
  for (size_t i = 0; i < x.size(); ++i) {
    float w = kScaleWeights[i % 4] * factor;
    ASSERT_EQ(y[i], x[i] * w * w) << i;
  }
}

TEST(Module, PackagedSharedObject) {
  ScratchFolder folder;
  WriteSharedObjectModule(folder / "m.so", Kernels(1), ScaleImage());
  auto module = Module::Load(folder / "m.so", {.verify_parameters = true});
  EXPECT_EQ(module->info().name, "scale");
  EXPECT_EQ(module->info().producer, "tilewright test");
  EXPECT_EQ(module->info().attributes[0].second, "scale.onnx");
  EXPECT_EQ(module->variant().target, "cpu test");
  EXPECT_EQ(reinterpret_cast<uintptr_t>(module->parameters().data()) % 4096, 0u);
  EXPECT_EQ(module->parameters().size(), 100u);
  ExpectWorks(module, 1);
  module->VerifyParameters();
}

TEST(Module, FlatFile) {
  ScratchFolder folder;
  WriteFlatModule(folder / "m.twm", ScaleImage(Kernels(2)));
  ExpectWorks(Module::Load(folder / "m.twm"), 2);
}

// Variants from the most to the least demanding; which one runs is told by its factor.
TEST(Module, TheFirstVariantThatTheProcessorCanRun) {
  ScratchFolder folder;
  ModuleImage image = ScaleImage();
  image.variants.push_back(ScaleImage(Kernels(2)).variants[0]);
  image.variants.push_back(ScaleImage(Kernels(2)).variants[0]);
  const std::string name = folder / "m.so";
  const auto load = [&] {
    WriteSharedObjectModule(name, Kernels(1), image);
    return Module::Load(name);
  };
  ExpectWorks(load(), 1);
  image.variants[0].info.cpu_features = {"no-such-extension"};
  ExpectWorks(load(), 2);
  image.variants[1].info.architecture = "vax";
  image.variants[2].info.target = "name=third triple=x";
  EXPECT_EQ(load()->variant().target, "name=third triple=x");
  image.variants[2].info.cpu_features = {"another"};
  ExpectError(ErrorId::kWrongProcessor, "'cpu test': this processor lacks no-such-extension\n", load);
  ExpectError(ErrorId::kWrongProcessor, "'third': this processor lacks another", load);
  ExpectError(ErrorId::kWrongProcessor, "it is for vax", load);
}

TEST(Module, VariantsShareWhatTheyHaveAlike) {
  ModuleImage image = ScaleImage(Kernels(1));
  for (int factor : {1, 2}) image.variants.push_back(ScaleImage(Kernels(factor)).variants[0]);
  const std::vector<std::byte> bytes = SerializeModule(image);
  const ModuleReader reader(bytes, "m");
  ASSERT_EQ(reader.variants().size(), 3u);
  // Metadata, one program, two codes, one section of parameters.
  EXPECT_EQ(reader.sections().size(), 5u);
  EXPECT_EQ(reader.variants()[0].code_section, reader.variants()[1].code_section);
  EXPECT_NE(reader.variants()[0].code_section, reader.variants()[2].code_section);
  EXPECT_EQ(reader.variants()[0].program_section, reader.variants()[2].program_section);
}

// Only the code of the variant that runs is read.
TEST(Module, DamageInAnotherVariantDoesNotMatter) {
  ScratchFolder folder;
  ModuleImage image = ScaleImage(Kernels(1));
  image.variants.push_back(ScaleImage(Kernels(2)).variants[0]);
  std::vector<std::byte> bytes = SerializeModule(image);
  const ModuleReader reader(bytes, "m");
  bytes[reader.sections()[reader.variants()[1].code_section].offset + 100] ^= std::byte{1};
  const AlignedCopy copy(bytes);
  ExpectWorks(Module::LoadFromMemory(copy.bytes()), 1);
  image.variants[0].info.cpu_features = {"no-such-extension"};
  bytes = SerializeModule(image);
  const ModuleReader again(bytes, "m");
  bytes[again.sections()[again.variants()[1].code_section].offset + 100] ^= std::byte{1};
  const AlignedCopy damaged(bytes);
  ExpectError(ErrorId::kChecksum, "the code of", [&] { Module::LoadFromMemory(damaged.bytes()); });
}

TEST(Module, FromMemory) {
  ScratchFolder folder;
  WriteSharedObjectModule(folder / "m.so", Kernels(2), ScaleImage());
  std::vector<std::byte> bytes = ReadFile(folder / "m.so");
  AlignedCopy copy(bytes);
  ExpectWorks(Module::LoadFromMemory(copy.bytes(), {}, copy.owner()), 2);
  ExpectError(ErrorId::kMisaligned, "64 bytes", [&] { Module::LoadFromMemory(copy.bytes().subspan(1)); });
}

TEST(Module, OutlivedByContextsOnly) {
  ScratchFolder folder;
  WriteSharedObjectModule(folder / "m.so", Kernels(1), ScaleImage());
  auto module = Module::Load(folder / "m.so");
  auto context = std::make_unique<Context>(module);
  module.reset();
  std::filesystem::remove(folder / "m.so");
  std::vector<float> x(32, 1.0f);
  context->SetInput(0, x.data(), 128);
  context->Run();
  EXPECT_EQ(static_cast<const float*>(context->Output(0).data)[31], 16.0f);
}

// The system's loader would answer with the old file's code for the same name.
TEST(Module, ReplacedFileIsLoadedAnewWhileTheOldOneLives) {
  ScratchFolder folder;
  WriteSharedObjectModule(folder / "m.so", Kernels(1), ScaleImage());
  auto old_module = Module::Load(folder / "m.so");
  WriteSharedObjectModule(folder / "m.so", Kernels(2), ScaleImage());
  auto new_module = Module::Load(folder / "m.so");
  ExpectWorks(new_module, 2);
  ExpectWorks(old_module, 1);
  auto third = Module::Load(folder / "m.so");
  old_module.reset();
  new_module.reset();
  ExpectWorks(third, 2);
}

TEST(Module, PicksTheFirstVariantThatRuns) {
  ModuleImage image = ScaleImage(Kernels(1));
  image.variants.push_back(image.variants[0]);
  image.variants[1].elf = Kernels(2);
  image.variants[0].info.cpu_features = {"no-such-extension"};
  ScratchFolder folder;
  WriteFlatModule(folder / "m.twm", image);
  ExpectWorks(Module::Load(folder / "m.twm"), 2);
  image.variants[1].info.architecture = "pdp11";
  WriteFlatModule(folder / "m.twm", image);
  ExpectError(ErrorId::kWrongProcessor, "lacks no-such-extension", [&] { Module::Load(folder / "m.twm"); });
  ExpectError(ErrorId::kWrongProcessor, "it is for pdp11", [&] { Module::Load(folder / "m.twm"); });
}

TEST(Module, RefusesAnotherKernelAbi) {
  ModuleImage image = ScaleImage(Kernels(1));
  image.variants[0].info.kernel_abi_version = 99;
  ScratchFolder folder;
  WriteFlatModule(folder / "m.twm", image);
  ExpectError(ErrorId::kKernelAbi, "version 99", [&] { Module::Load(folder / "m.twm"); });
}

TEST(Module, RefusesCodeThatDoesNotFitTheProgram) {
  ScratchFolder folder;
  auto expect = [&](const ModuleImage& image, const std::string& text) {
    WriteFlatModule(folder / "m.twm", image);
    ExpectError(ErrorId::kCannotLoadCode, text, [&] { Module::Load(folder / "m.twm"); });
  };
  ModuleImage image = ScaleImage(Kernels(1));
  image.variants[0].program.kernels[1] = "other";
  expect(image, "is 'check', expected 'other'");
  image = ScaleImage(Kernels(1));
  image.variants[0].program.kernels.push_back("third");
  expect(image, "expected 3 entries");
  image = ScaleImage(Kernels(1));
  image.variants[0].kernel_table = "nothing";
  expect(image, "kernel table 'nothing'");
  std::string_view text = "this is no library";
  expect(ScaleImage(std::as_bytes(std::span(text))), "too short");
  std::string longer(100, 'x');
  expect(ScaleImage(std::as_bytes(std::span(longer))), "not a 64-bit little-endian ELF");
}

TEST(Module, RefusesFilesThatAreNotModules) {
  ScratchFolder folder;
  ExpectError(ErrorId::kCannotOpen, "No such file", [&] { Module::Load(folder / "absent.so"); });
  ExpectError(ErrorId::kCannotOpen, "not a regular file", [&] { Module::Load(folder / ""); });
  WriteFile(folder / "empty", {});
  ExpectError(ErrorId::kNotAModule, "0 bytes", [&] { Module::Load(folder / "empty"); });
  std::string text(1000, 'a');
  WriteFile(folder / "text", std::as_bytes(std::span(text)));
  ExpectError(ErrorId::kNotAModule, "not a Tilewright module", [&] { Module::Load(folder / "text"); });
  ExpectError(ErrorId::kNotAModule, "ELF file without a Tilewright module",
              [&] { Module::Load(TW_TEST_KERNELS_1); });
}

TEST(Module, RefusesAnotherFormatVersion) {
  std::vector<std::byte> bytes = SerializeModule(ScaleImage(Kernels(1)));
  bytes[8] = std::byte{2};
  ExpectError(ErrorId::kFormatVersion, "version 2.0", [&] { ModuleReader(bytes, "m"); });
}

TEST(Module, EveryTruncationIsRefused) {
  ScratchFolder folder;
  WriteFlatModule(folder / "whole", ScaleImage(Kernels(1)));
  WriteSharedObjectModule(folder / "whole.so", Kernels(1), ScaleImage());
  for (const char* name : {"whole", "whole.so"}) {
    std::vector<std::byte> bytes = ReadFile(folder / name);
    AlignedCopy copy(bytes);
    for (size_t length = 0; length < bytes.size(); ++length) {
      EXPECT_THROW(Module::LoadFromMemory(copy.bytes().first(length)), RuntimeError) << name << " " << length;
    }
    for (size_t length = 0; length < bytes.size(); length += 997) {
      WriteFile(folder / "cut", std::span(bytes).first(length));
      EXPECT_THROW(Module::Load(folder / "cut"), RuntimeError) << name << " " << length;
    }
    bytes.push_back(std::byte{0});
    WriteFile(folder / "longer", bytes);
    EXPECT_THROW(Module::Load(folder / "longer"), RuntimeError) << name;
  }
}

// Every byte of the file but padding is covered by a checksum.
TEST(Module, EveryChangedByteIsRefused) {
  ModuleImage image = ScaleImage(Kernels(1));
  std::vector<std::byte> bytes = SerializeModule(image);
  ModuleReader reader(bytes, "m");
  std::vector<bool> covered(bytes.size(), false);
  std::fill_n(covered.begin(), kHeaderBytes + reader.sections().size() * kSectionEntryBytes, true);
  for (const SectionRecord& s : reader.sections()) {
    std::fill_n(covered.begin() + static_cast<ptrdiff_t>(s.offset), s.length, true);
  }
  AlignedCopy copy(bytes);
  std::span<std::byte> span = copy.bytes();
  size_t checked = 0;
  for (size_t i = 0; i < span.size(); ++i) {
    if (!covered[i]) continue;
    ++checked;
    span[i] ^= std::byte{0x10};
    EXPECT_THROW(Module::LoadFromMemory(span, {.verify_parameters = true}), RuntimeError) << i;
    span[i] ^= std::byte{0x10};
  }
  EXPECT_GT(checked, 3000u);
  ExpectWorks(Module::LoadFromMemory(span, {.verify_parameters = true}), 1);
}

void Patch64(std::span<std::byte> bytes, size_t at, uint64_t value) {
  std::memcpy(bytes.data() + at, &value, sizeof value);
}

// Makes the checksums of section 0 and of the header right again.
void Reseal(std::span<std::byte> bytes, const SectionRecord& section, size_t table_end) {
  Patch64(bytes, kHeaderBytes + 24, ComputeChecksum(bytes.subspan(section.offset, section.length)));
  Patch64(bytes, 24, 0);
  Patch64(bytes, 24, ComputeChecksum(bytes.first(table_end)));
}

// Wrong numbers under right checksums, as a broken writer might make them.
TEST(Module, ReaderChecksWhatChecksumsCannot) {
  std::vector<std::byte> bytes = SerializeModule(ScaleImage(Kernels(1)));
  const std::vector<SectionRecord> sections = ModuleReader(bytes, "m").sections();
  size_t table_end = kHeaderBytes + sections.size() * kSectionEntryBytes;
  std::vector<size_t> places;
  for (size_t i = kContainerMagic.size(); i < table_end; ++i) places.push_back(i);
  for (size_t i = 0; i < sections[0].length; ++i) places.push_back(sections[0].offset + i);
  int refused = 0;
  for (size_t at : places) {
    for (int flip : {0x01, 0x80, 0xff}) {
      std::vector<std::byte> damaged = bytes;
      damaged[at] ^= static_cast<std::byte>(flip);
      Reseal(damaged, sections[0], table_end);
      try {
        ModuleReader reader(damaged, "m");
        for (const VariantRecord& variant : reader.variants()) {
          reader.ReadProgram(variant);
          reader.ReadCode(variant);
        }
        reader.VerifyParameters();
      } catch (const RuntimeError&) {
        ++refused;
      }
    }
  }
  EXPECT_GT(refused, 300);
}

TEST(Module, DamagedLibraryOrFooterIsRefused) {
  ScratchFolder folder;
  WriteSharedObjectModule(folder / "m.so", Kernels(1), ScaleImage());
  std::vector<std::byte> bytes = ReadFile(folder / "m.so");
  auto expect = [&](size_t at, ErrorId id, const char* text) {
    bytes[at] ^= std::byte{0x10};
    WriteFile(folder / "d.so", bytes);
    ExpectError(id, text, [&] { Module::Load(folder / "d.so"); });
    bytes[at] ^= std::byte{0x10};
  };
  for (size_t at = 0; at < Kernels(1).size(); at += 61) expect(at, ErrorId::kChecksum, "code");
  for (size_t i = 1; i <= kFooterBytes - 8; ++i) expect(bytes.size() - i, ErrorId::kChecksum, "footer");
  for (size_t i = kFooterBytes - 7; i <= kFooterBytes; ++i)
    expect(bytes.size() - i, ErrorId::kNotAModule, "end");
}

TEST(Module, ParametersAreCheckedOnRequest) {
  ModuleImage image = ScaleImage();
  ScratchFolder folder;
  WriteSharedObjectModule(folder / "m.so", Kernels(1), image);
  std::vector<std::byte> bytes = ReadFile(folder / "m.so");
  bytes[bytes.size() - kFooterBytes - 1] ^= std::byte{1};  // parameters come last
  WriteFile(folder / "m.so", bytes);
  auto module = Module::Load(folder / "m.so");
  ExpectError(ErrorId::kParametersDamaged, "do not match", [&] { module->VerifyParameters(); });
  ExpectError(ErrorId::kParametersDamaged, "do not match",
              [&] { Module::Load(folder / "m.so", {.verify_parameters = true}); });
}

TEST(Module, WriterRefusesBrokenImages) {
  auto expect = [](const ModuleImage& image, const char* text) {
    ExpectError(ErrorId::kCannotWrite, text, [&] { SerializeModule(image); });
  };
  ModuleImage image = ScaleImage(Kernels(1));
  image.parameters[0].offset = 8;
  expect(image, "not aligned");
  image = ScaleImage(Kernels(1));
  image.parameters.push_back(image.parameters[0]);
  expect(image, "overlap");
  image = ScaleImage(Kernels(1));
  image.parameter_bytes = 15;
  expect(image, "outside");
  image = ScaleImage(Kernels(1));
  image.variants.clear();
  expect(image, "no variant");
  image = ScaleImage(Kernels(1));
  image.variants[0].program.buffers[1].offset = 1000;
  ExpectError(ErrorId::kBadProgram, "ends at byte", [&] { SerializeModule(image); });
}

TEST(Module, UnwritablePlacesAreReportedAndLeaveNothing) {
  ScratchFolder folder;
  ExpectError(ErrorId::kCannotWrite, "No such file",
              [&] { WriteFlatModule(folder / "no/such/m.twm", ScaleImage(Kernels(1))); });
  std::filesystem::create_directory(folder / "taken");
  ExpectError(ErrorId::kCannotWrite, "cannot create",
              [&] { WriteFlatModule(folder / "taken", ScaleImage(Kernels(1))); });
  size_t entries = 0;
  for ([[maybe_unused]] const auto& entry : std::filesystem::directory_iterator(folder / "")) ++entries;
  EXPECT_EQ(entries, 1u);
  ExpectError(ErrorId::kCannotWrite, "no enclosing library",
              [&] { WriteFlatModule(folder / "m.twm", ScaleImage()); });
}

TEST(CpuFeatures, HostListsOnlyKnownNames) {
  for (const std::string& name : HostCpuFeatures()) {
    EXPECT_TRUE(IsKnownCpuFeature(HostArchitecture(), name));
    EXPECT_TRUE(HostHasCpuFeature(name));
  }
  EXPECT_FALSE(IsKnownCpuFeature(HostArchitecture(), "no-such-extension"));
  EXPECT_TRUE(IsKnownCpuFeature("aarch64", "neon"));
  EXPECT_TRUE(IsKnownCpuFeature("riscv64", "zvl256b"));
  EXPECT_FALSE(IsKnownCpuFeature("riscv64", "neon"));
  EXPECT_FALSE(IsKnownCpuFeature("vax", "neon"));
  EXPECT_FALSE(HostHasCpuFeature("no-such-extension"));
#if defined(__x86_64__)
  EXPECT_TRUE(HostHasCpuFeature("sse2"));
#define TW_SAME(name) EXPECT_EQ(HostHasCpuFeature(name), __builtin_cpu_supports(name) != 0) << name
  TW_SAME("avx2");
  TW_SAME("fma");
  TW_SAME("bmi2");
  TW_SAME("avx512f");
  TW_SAME("avx512vl");
  TW_SAME("avx512vnni");
  TW_SAME("avx512bf16");
#undef TW_SAME
#endif
}

}  // namespace
}  // namespace tilewright::runtime
