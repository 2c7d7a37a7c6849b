// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/device.h"

#include <sys/mman.h>

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

/// Large arrays lie on pages of this size where the system grants them: kernels walk over more memory than
/// the processor has addresses of small pages at hand for.
constexpr uint64_t kHugePage = uint64_t{1} << 21;

DeviceMemory AllocateHost(uint64_t bytes) {
  constexpr uint64_t kAlignment = TW_MEMORY_ALIGNMENT;
  // Sizes beyond the address space would wrap when rounded up.
  void* data = nullptr;
  if (bytes < (uint64_t{1} << 48)) {
    const uint64_t alignment = bytes >= 2 * kHugePage ? kHugePage : kAlignment;
    const uint64_t size = std::max(alignment, (bytes + kAlignment - 1) & ~(kAlignment - 1));
    data = std::aligned_alloc(alignment, (size + alignment - 1) & ~(alignment - 1));
#ifdef MADV_HUGEPAGE
    // Where the system has none, or gives them unasked, nothing is lost.
    if (data != nullptr && alignment == kHugePage) madvise(data, size / kHugePage * kHugePage, MADV_HUGEPAGE);
#endif
  }
  if (data == nullptr) {
    throw RuntimeError(ErrorId::kOutOfMemory,
                       "cannot allocate " + std::to_string(bytes) + " bytes of memory");
  }
  return {data, bytes};
}

void FreeHost(DeviceMemory memory) { std::free(memory.data); }

}  // namespace tilewright::runtime
