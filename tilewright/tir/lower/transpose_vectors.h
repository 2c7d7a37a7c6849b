// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/target/target.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Makes loads of whole vectors, and shuffles, of unrolled loops that store vectors whose elements lie apart
/// in memory, where those of the next iteration are their neighbours: a square is transposed in registers.
/// Runs on vectorized loops, before unrolled ones are copied.
PrimFunc TransposeVectors(const PrimFunc& f, const Target& target);

}  // namespace tilewright
