// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/package.h"

#include "tilewright/codegen/llvm/link.h"
#include "tilewright/runtime/cpu_features.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/runtime/module_writer.h"

namespace tilewright {

namespace {

std::span<const std::byte> Bytes(const void* data, size_t size) {
  return {static_cast<const std::byte*>(data), size};
}

/// Extensions that the code may use, as far as the runtime can check for them.
std::vector<std::string> RequiredFeatures(const Target& target) {
  std::vector<std::string> required;
  std::string_view rest = target.features;
  while (!rest.empty()) {
    const size_t comma = rest.find(',');
    std::string_view one = rest.substr(0, comma);
    rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
    if (one.starts_with('+') && runtime::IsKnownCpuFeature(one.substr(1)))
      required.emplace_back(one.substr(1));
  }
  return required;
}

runtime::ModuleInfo InfoOf(const CompiledModel& model) {
  runtime::ModuleInfo info;
  info.name = model.name;
  info.producer = std::string("tilewright ") + TW_VERSION;
  info.attributes.emplace_back("flops", fmt::format("{:.0f}", model.flops));
  for (auto& [name, count] : model.operators)
    info.attributes.emplace_back("operator." + name, std::to_string(count));
  return info;
}

}  // namespace

void WriteSharedLibrary(const CompiledModel& model, const std::string& path) {
  const std::string elf = LinkSharedLibrary(model.objects, model.target, model.program.kernels);
  runtime::ModuleImage image;
  image.info = InfoOf(model);
  runtime::VariantImage variant;
  variant.info.target = model.target.ToString();
  variant.info.architecture = model.target.triple.substr(0, model.target.triple.find('-'));
  variant.info.cpu_features = RequiredFeatures(model.target);
  variant.info.kernel_abi_version = TW_KERNEL_ABI_VERSION;
  variant.program = model.program;
  image.variants.push_back(std::move(variant));
  image.parameter_bytes = model.parameters ? uint64_t(model.parameters.bytes()) : 0;
  if (image.parameter_bytes)
    image.parameters.push_back({0, Bytes(model.parameters.data(), image.parameter_bytes)});
  runtime::WriteSharedObjectModule(path, Bytes(elf.data(), elf.size()), image);
}

}  // namespace tilewright
