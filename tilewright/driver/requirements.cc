// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/requirements.h"

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/runtime/cpu_features.h"
#include "tilewright/support/error.h"

namespace tilewright {

Requirements RequirementsOf(const Target& target) {
  Requirements r;
  r.architecture = target.triple.substr(0, target.triple.find('-'));
  r.features = EnabledFeatures(target);
  std::erase_if(r.features,
                [&](const std::string& name) { return !runtime::IsKnownCpuFeature(r.architecture, name); });
  return r;
}

void CheckRunsHere(const Target& target) {
  const Requirements r = RequirementsOf(target);
  std::string missing;
  for (const std::string& name : r.features) {
    if (!runtime::HostHasCpuFeature(name)) missing += (missing.empty() ? "" : ", ") + name;
  }
  if (r.architecture == runtime::HostArchitecture() && missing.empty()) return;
  throw Error("TW3203", fmt::format("code for the target '{}' cannot run on this machine", target.name), "",
              {r.architecture == runtime::HostArchitecture()
                   ? "this processor lacks " + missing
                   : fmt::format("it is for {}, this is {}", r.architecture, runtime::HostArchitecture()),
               "`tilewright compile` writes a module for such a machine"});
}

}  // namespace tilewright
