// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// Makes plain convolutions of transposed ones with constant weights and biases. By strides of 1 that is one,
/// with the window mirrored. By others, elements of the result that are equal modulo the strides are a phase,
/// which is a plain convolution of its own: phases that meet equally many taps are filters of one, and
/// InterleavePhases puts their results together. Transposed convolutions stay where all phases meet equally
/// many taps and filters fill vectors, so that nothing would be saved. Runs before filters are padded and
/// layouts chosen.
IRModule TransposedConvolutions(const IRModule& module, const Target& target);

}  // namespace tilewright
