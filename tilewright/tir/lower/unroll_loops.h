// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Repeats the body of every kUnrolled loop of constant extent; one of another extent becomes serial.
/// Before: VectorizeLoops. After: no kUnrolled loops; bound variables are still unique.
PrimFunc UnrollLoops(const PrimFunc& f);

}  // namespace tilewright
