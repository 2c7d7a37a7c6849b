// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/lower/lower.h"

namespace tilewright {

/// Moves allocations that do not fit the stack (more than `stack_bytes` together on any path, or of a size
/// known only at run time) to the call's private memory: their scope becomes "workspace" and
/// `workspace_bytes` is set. Before: SplitLaunches, FlattenBuffers. After: every other allocation has a
/// constant size.
void PlaceWorkspaces(KernelLaunch& launch, int64_t stack_bytes);

}  // namespace tilewright
