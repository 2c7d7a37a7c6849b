// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Exchanges an average pooling and the convolution of single elements next to it where the other order is
/// less work: both are linear, one along the image and one along channels, so that they commute up to
/// rounding. Pooling that makes images smaller comes first, a convolution that leaves fewer channels
/// otherwise. Runs behind FoldBatchNorm, which looks for convolutions in front of what it folds; for floats
/// of 32 bits and more.
IRModule OrderPooling(const IRModule& module);

}  // namespace tilewright
