// SPDX-License-Identifier: Apache-2.0
// The properties of a target by name, in their text forms.
#pragma once

#include <string>
#include <string_view>

#include "tilewright/target/target.h"

namespace tilewright {

/// Error TW1102 for a property that there is not, TW1103 for a value that is not valid.
void SetTargetField(Target& target, const std::string& key, const std::string& value);
/// The value of a property that there is.
std::string TargetField(const Target& target, std::string_view key);

}  // namespace tilewright
