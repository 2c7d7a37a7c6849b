// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Gives every buffer its physical shape: the dimensions between two axis separators become one, row-major,
/// or by the buffer's strides and offset where it is a view. Parameters keep their order and names.
/// Before: LowerBlocks, CompactBuffers. After: compact buffers of physical rank, indices of type i64.
PrimFunc FlattenBuffers(const PrimFunc& f);

}  // namespace tilewright
