// SPDX-License-Identifier: Apache-2.0
// Which arguments of a kernel are constants, as an attribute of its function: so a kernel that is printed
// keeps what its schedule depends on.
#pragma once

#include <vector>

#include "tilewright/graph/graph.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// The attribute "constant_args", a list of positions, as one flag per argument up to the last that is
/// constant. Error TW3305 when it is not such a list.
std::vector<bool> ConstantArgs(const Function& f);

Function WithConstantArgs(const Function& f, const std::vector<bool>& constant_args);
PrimFunc WithConstantArgs(const PrimFunc& f, const std::vector<bool>& constant_args);
Function WithoutConstantArgs(const Function& f);

}  // namespace tilewright
