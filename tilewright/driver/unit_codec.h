// SPDX-License-Identifier: Apache-2.0
// A compiled kernel unit as bytes, for the kernel cache: its code, and what a program must know to launch it.
// Bodies of kernels are not kept.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "tilewright/driver/kernel_set.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// All that the compiled unit depends on. Before: the unit has its name.
std::string UnitKey(const KernelUnit& unit, const Target& target);

/// Before: the unit is lowered; its code is kept if it has any. Null when its launches depend on dimensions
/// that the fused function's types do not name.
std::optional<std::string> EncodeUnit(const KernelUnit& unit);

/// Puts what was encoded into a unit with the same key. False, with the unit unchanged, when the bytes are
/// not of such a unit.
bool DecodeUnit(std::string_view bytes, KernelUnit& unit);

}  // namespace tilewright
