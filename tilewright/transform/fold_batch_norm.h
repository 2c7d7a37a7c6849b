// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Turns every BatchNormalization of @main whose statistics are constants into arithmetic on constants: into
/// the weights and bias of the convolution before it where nobody else reads that, else into one multiply and
/// one add. Differentiation must have run before. After: FoldConstants computes what was made.
IRModule FoldBatchNorm(const IRModule& module);

}  // namespace tilewright
