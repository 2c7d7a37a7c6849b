// SPDX-License-Identifier: Apache-2.0
// Instructions of a device with units beside each other and memories of its own (target "model-accelerator").
#pragma once

#include <vector>

#include "tilewright/schedule/tensor_intrin.h"

namespace tilewright {

/// Copies of tiles of 16 x 16 between memory and the scratchpads, of any row length there
/// ("load_input_16x16", "load_weight_16x16", "store_output_16x16"), clearing accumulators ("clear_16x16") and
/// the product of the matrix unit ("gemm_16x16x16"). An instruction stays the loops that say what it does;
/// the outermost has its name and its unit as annotations, which is what a code generator goes by.
std::vector<TensorIntrinsic> UnitIntrinsics();

}  // namespace tilewright
