// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/stmt.h"

namespace tilewright {

/// A copy of the statement with `map` applied and with new variables and buffers wherever it binds or
/// allocates, so that two copies in one function keep every name unique. Null when
/// conditions that `map` decides leave nothing of it.
Stmt FreshCopy(const Stmt& s, const VarMap& map);

}  // namespace tilewright
