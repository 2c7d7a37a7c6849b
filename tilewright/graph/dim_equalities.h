// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// What the operators of all graph functions need to be equal and the ranges of symbols do not prove, each
/// once: the program checks it at run time, before any kernel relies on it.
std::vector<DimEquality> UnprovenEqualities(const IRModule& module);

}  // namespace tilewright
