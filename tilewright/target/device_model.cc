// SPDX-License-Identifier: Apache-2.0
#include "tilewright/target/device_model.h"

#include <algorithm>

namespace tilewright {

namespace {

struct Device {
  const char* triple;  ///< and name
  std::vector<MemoryScope> scopes;
  DeviceModel model;
};

const std::vector<Device>& Devices() {
  static const std::vector<Device> devices = {
      // A processor of graphics: a grid of blocks of threads, and memory that the threads of a block share.
      {"model-gpu",
       {{"global", 0, 64}, {"shared", 48 << 10, 16}, {"local", 0, 16}, {"register", 1 << 10, 4}},
       {{{"blockIdx", 0}, {"threadIdx", 1024}},
        {},
        {{"shared", "blockIdx"}, {"local", "threadIdx"}, {"register", "threadIdx"}}}},
      // An accelerator with memories of its own, a matrix unit of 16 x 16 bytes and units for copies to and
      // from memory, which run beside each other (after VTA: Moreau et al., 2018).
      {"model-accelerator",
       {{"global", 0, 64},
        {"input", 4 << 10, 16},
        {"weight", 4 << 10, 16},
        {"accumulator", 8 << 10, 64},
        {"output", 4 << 10, 16}},
       {{{"core", 1}},
        {"load", "compute", "store"},
        {{"input", "core"}, {"weight", "core"}, {"accumulator", "core"}, {"output", "core"}}}},
  };
  return devices;
}

}  // namespace

int DeviceModel::FamilyOf(std::string_view thread_tag) const {
  const std::string_view family = thread_tag.substr(0, thread_tag.find('.'));
  const auto it =
      std::find_if(threads.begin(), threads.end(), [&](const auto& f) { return f.name == family; });
  return it == threads.end() ? -1 : int(it - threads.begin());
}

int DeviceModel::OwnerOf(std::string_view scope) const {
  const auto it = owners.find(scope);
  return it == owners.end() ? -1 : FamilyOf(it->second);
}

const DeviceModel& DeviceModelOf(const Target& target) {
  static const DeviceModel none;
  for (const Device& device : Devices()) {
    if (target.triple == device.triple) return device.model;
  }
  return none;
}

bool ThreadsShare(std::string_view thread_tag, std::string_view scope) {
  return std::any_of(Devices().begin(), Devices().end(), [&](const Device& d) {
    return d.model.owners.contains(scope) && d.model.FamilyOf(thread_tag) > d.model.OwnerOf(scope);
  });
}

const MemoryScope* FindScope(const Target& target, std::string_view scope) {
  const auto it = std::find_if(target.scopes.begin(), target.scopes.end(),
                               [&](const MemoryScope& s) { return s.name == scope; });
  return it == target.scopes.end() ? nullptr : &*it;
}

std::vector<std::string> DeviceNames() {
  std::vector<std::string> names;
  for (const Device& device : Devices()) names.emplace_back(device.triple);
  return names;
}

bool FindDevice(std::string_view name, Target& target) {
  for (const Device& device : Devices()) {
    if (name != device.triple) continue;
    target = Target();
    target.name = target.triple = device.triple;
    target.caches = {{16 << 10, 64, 1}, {128 << 10, 64, 1}};
    target.scopes = device.scopes;
    return true;
  }
  return false;
}

}  // namespace tilewright
