// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Turns buffers of scope "register" into values. Elements that are accessed together (as vectors) form one
/// value; a loop that writes a value carries it, a branch that writes one becomes a choice, or a loop of no
/// or one iteration that carries it. What was never written reads as zero. Throws Error TW1301 where an index
/// of a register buffer is not constant (unroll the loops that it depends on). Before: FlattenBuffers,
/// VectorizeLoops, UnrollLoops, Simplify (so that indices are constants). After: no buffer of scope
/// "register"; every variable is still bound once.
PrimFunc PromoteRegisters(const PrimFunc& f);

}  // namespace tilewright
