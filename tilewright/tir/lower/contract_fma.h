// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Writes a * b + c and c + a * b on f32 and f64 as fma(a, b, c), which rounds once (docs/ir.md permits it).
/// Before: ExpandMath; for targets with fused multiply-add only. After: as before.
PrimFunc ContractFma(const PrimFunc& f);

}  // namespace tilewright
