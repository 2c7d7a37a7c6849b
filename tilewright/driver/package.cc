// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/package.h"

#include <algorithm>
#include <map>
#include <tuple>
#include <unordered_map>

#include "tilewright/codegen/llvm/link.h"
#include "tilewright/driver/requirements.h"
#include "tilewright/runtime/checksum.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/module_writer.h"

namespace tilewright {

namespace {

std::span<const std::byte> Bytes(const void* data, size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

/// The constants of all variants, each content once.
class SharedParameters {
 public:
  explicit SharedParameters(runtime::ModuleImage& image) : image_(image) {}

  /// Adds the constants of a variant, and moves the windows of its program to where they are now.
  void Add(const CompiledModel& model, runtime::Program& program) {
    std::vector<int64_t> moved;
    for (size_t i = 0; i < model.constants.size(); ++i) {
      const int64_t begin = model.constants[i];
      const int64_t end = i + 1 < model.constants.size() ? model.constants[i + 1] : model.parameters.bytes();
      const auto* base = static_cast<const std::byte*>(model.parameters.data());
      moved.push_back(int64_t(Place({base + begin, size_t(end - begin)})));
    }
    for (runtime::Buffer& buffer : program.buffers) {
      if (buffer.storage != runtime::Storage::kParameter) continue;
      const int64_t offset = buffer.offset.constant();
      const auto after = std::upper_bound(model.constants.begin(), model.constants.end(), offset);
      TW_CHECK(after != model.constants.begin(), "no constant at byte {} of the parameters", offset);
      const size_t i = size_t(after - model.constants.begin()) - 1;
      buffer.offset = runtime::ShapeExpr(moved[i] + offset - model.constants[i]);
    }
  }

 private:
  /// The offset of a block of this content.
  uint64_t Place(std::span<const std::byte> bytes) {
    // What differs mostly differs at once; what does not is compared.
    constexpr size_t kLooked = 4096;
    const uint64_t digest =
        runtime::ComputeChecksum(bytes.first(std::min(bytes.size(), kLooked))) + bytes.size();
    auto [it, end] = known_.equal_range(digest);
    for (; it != end; ++it) {
      const runtime::ParameterBlock& block = image_.parameters[it->second];
      if (std::ranges::equal(block.bytes, bytes)) return block.offset;
    }
    const uint64_t offset = image_.parameter_bytes;
    known_.emplace(digest, image_.parameters.size());
    image_.parameters.push_back({offset, bytes});
    image_.parameter_bytes =
        (offset + bytes.size() + TW_MEMORY_ALIGNMENT - 1) / TW_MEMORY_ALIGNMENT * TW_MEMORY_ALIGNMENT;
    return offset;
  }

  runtime::ModuleImage& image_;
  std::unordered_multimap<uint64_t, size_t>
      known_;  ///< blocks by a digest of how they begin, and their sizes
};

struct Variant {
  const CompiledModel* model;
  Requirements needs;
};

/// The models in the order in which a loader is to consider them.
std::vector<Variant> ByPreference(std::span<const CompiledModel> models) {
  std::map<std::string, size_t> architectures;
  std::vector<Variant> order;
  for (const CompiledModel& model : models) {
    order.push_back({&model, RequirementsOf(model.target)});
    architectures.emplace(order.back().needs.architecture, architectures.size());
  }
  std::ranges::sort(order, {}, [&](const Variant& v) {
    return std::tuple(architectures.at(v.needs.architecture), -int64_t(v.needs.features.size()), v.model);
  });
  return order;
}

runtime::ModuleInfo InfoOf(const CompiledModel& model) {
  runtime::ModuleInfo info;
  info.name = model.name;
  info.producer = std::string("tilewright ") + TW_VERSION;
  info.attributes.emplace_back("flops", fmt::format("{:.0f}", model.flops));
  info.attributes.emplace_back("memory.lower_bound", std::to_string(model.memory.lower_bound));
  for (auto& [name, count] : model.operators)
    info.attributes.emplace_back("operator." + name, std::to_string(count));
  return info;
}

}  // namespace

void WriteSharedLibrary(const CompiledModel& model, const std::string& path) {
  WriteSharedLibrary(std::span(&model, 1), path);
}

void WriteSharedLibrary(std::span<const CompiledModel> variants, const std::string& path) {
  runtime::ModuleImage image;
  SharedParameters parameters(image);
  std::vector<std::string> libraries;
  libraries.reserve(variants.size());
  for (const auto& [model, needs] : ByPreference(variants)) {
    libraries.push_back(LinkSharedLibrary(model->objects, model->target, model->program.kernels));
    runtime::VariantImage variant;
    variant.info.target = model->target.ToString();
    variant.info.architecture = needs.architecture;
    variant.info.cpu_features = needs.features;
    variant.info.kernel_abi_version = TW_KERNEL_ABI_VERSION;
    variant.program = model->program;
    parameters.Add(*model, variant.program);
    // The first one's code is the file itself, which the system's loader maps; others have a section each.
    if (image.variants.empty()) {
      image.info = InfoOf(*model);
    } else {
      variant.elf = Bytes(libraries.back().data(), libraries.back().size());
    }
    image.variants.push_back(std::move(variant));
  }
  TW_CHECK(!libraries.empty(), "a module without a variant");
  for (const runtime::VariantImage& v : image.variants)
    image.info.attributes.emplace_back("variant", v.info.target);
  runtime::WriteSharedObjectModule(path, Bytes(libraries[0].data(), libraries[0].size()), image);
}

}  // namespace tilewright
