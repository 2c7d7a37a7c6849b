// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/device.h"

#include <algorithm>
#include <cstdlib>
#include <map>
#include <mutex>

#include "tilewright/runtime/status.h"

namespace tilewright::runtime {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, std::unique_ptr<Device>, std::less<>> devices;
};

Registry& TheRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

}  // namespace

void RegisterDevice(const std::string& kind, std::unique_ptr<Device> device) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  registry.devices.try_emplace(kind, std::move(device));
}

Device* FindDevice(std::string_view kind) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  auto it = registry.devices.find(kind);
  return it == registry.devices.end() ? nullptr : it->second.get();
}

DeviceMemory AllocateHost(uint64_t bytes) {
  constexpr uint64_t kAlignment = TW_MEMORY_ALIGNMENT;
  // Sizes beyond the address space would wrap when rounded up.
  void* data = nullptr;
  if (bytes < (uint64_t{1} << 48)) {
    data = std::aligned_alloc(kAlignment, std::max(kAlignment, (bytes + kAlignment - 1) & ~(kAlignment - 1)));
  }
  if (data == nullptr) {
    throw RuntimeError(ErrorId::kOutOfMemory,
                       "cannot allocate " + std::to_string(bytes) + " bytes of memory");
  }
  return {data, bytes};
}

void FreeHost(DeviceMemory memory) { std::free(memory.data); }

}  // namespace tilewright::runtime
