// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Turns every operator of @main that is affine per channel by constants (batch normalisation) into
/// arithmetic on constants: into the weights and bias of the convolution before it where nobody else reads
/// that, else into one multiply and one add. Operators of 16-bit floats stay as they are, since they round
/// once where two operators would round twice. Differentiation must have run before. After: FoldConstants
/// computes what was made.
IRModule FoldBatchNorm(const IRModule& module);

}  // namespace tilewright
