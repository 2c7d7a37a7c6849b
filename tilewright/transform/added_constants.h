// SPDX-License-Identifier: Apache-2.0
// What an algorithm stores in place of the constants that it reads.
#pragma once

#include <vector>

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// How many bytes longer constants become by what a candidate of a call computes from them alone, which is
/// stored in their place: the results of stages of its lowering that read nothing but constants, as far as
/// other stages read them. `constant` says of each argument of the call whether it is one; `result` is the
/// call's.
int64_t AddedConstantBytes(const OpCallNode& call, const Value& result, const Candidate& candidate,
                           const std::vector<bool>& constant);

}  // namespace tilewright
