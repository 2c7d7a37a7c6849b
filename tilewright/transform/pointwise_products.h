// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"
#include "tilewright/target/target.h"

namespace tilewright {

/// Makes matrix products of convolutions that stand between values in natural order: of those of single
/// elements, the constant weight times the image as a matrix of channels and places; of transposed ones such
/// a product with all taps, and ColumnsToImage. As convolutions they would be computed in blocks of channels,
/// with a pass over argument and result to change the layout, and, transposed, with taps that meet no
/// element; they stay where that costs less than the places of the image that fill no vector. Runs before
/// layouts are chosen.
IRModule PointwiseProducts(const IRModule& module, const Target& target);

}  // namespace tilewright
