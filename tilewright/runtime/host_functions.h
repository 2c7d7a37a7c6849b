// SPDX-License-Identifier: Apache-2.0
// Host functions that programs call by name.
#pragma once

#include <optional>
#include <string>

#include "tilewright/runtime/tilewright.h"

namespace tilewright::runtime {

struct HostFunction {
  tw_host_function function = nullptr;
  void* user_data = nullptr;
};

// Makes a function known; the last registration of a name holds for contexts created afterwards.
void RegisterHostFunction(const std::string& name, HostFunction function);

// The function of that name, if any.
std::optional<HostFunction> FindHostFunction(const std::string& name);

}  // namespace tilewright::runtime
