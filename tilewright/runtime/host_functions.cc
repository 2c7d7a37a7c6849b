// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/host_functions.h"

#include <map>
#include <mutex>

namespace tilewright::runtime {
namespace {

struct Registry {
  std::mutex mutex;
  std::map<std::string, HostFunction> functions;
};

Registry& TheRegistry() {
  static Registry* registry = new Registry;
  return *registry;
}

}  // namespace

void RegisterHostFunction(const std::string& name, HostFunction function) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  registry.functions[name] = function;
}

std::optional<HostFunction> FindHostFunction(const std::string& name) {
  Registry& registry = TheRegistry();
  std::lock_guard lock(registry.mutex);
  auto it = registry.functions.find(name);
  if (it == registry.functions.end()) return std::nullopt;
  return it->second;
}

}  // namespace tilewright::runtime
