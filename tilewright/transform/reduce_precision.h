// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// Gives products with constant weights their arguments in bf16 where the operator says that this is faster
/// on the target (graph/reduced.h): weights are rounded here, other arguments by a Cast, one for all products
/// that read a value; where all else that reads a large value is element-wise, that reads it rounded, too.
/// Results stay f32. `max_error`: of algorithms in f32 that it is compared with, as ChooseLayout has it.
/// Before: constants are bound, layouts are not chosen.
IRModule ReducePrecision(const IRModule& module, const Target& target, double max_error);

}  // namespace tilewright
