// SPDX-License-Identifier: Apache-2.0
// Calls whose arguments lie one behind the other in the result's memory, so that what makes an argument can
// write its part of the result.
#pragma once

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// Where a part of a result may begin, in bytes: kernels expect their buffers to begin at such addresses.
inline constexpr int64_t kPartAlignment = 64;

/// Whether the operator puts its arguments one behind the other along an axis.
bool IsJoin(const OpCallNode& call);

/// Whether the result is the arguments as they lie in memory, one behind the other, each at a multiple of
/// kPartAlignment: a join along an axis outside of which there is one element only, where all have the
/// result's layout.
bool JoinsMemory(const OpCallNode& call, const TensorType& result);

/// Whether it is worth keeping a call apart from its users, so that what makes its arguments writes them
/// where they belong: JoinsMemory, and most of the result is made by calls of operators among `definitions`.
bool WorthJoining(const OpCallNode& call, const TensorType& result,
                  const std::unordered_map<const ValueNode*, const Binding*>& definitions);

}  // namespace tilewright
