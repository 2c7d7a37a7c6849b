// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/graph/graph.h"

namespace tilewright {

/// Lets products of one matrix with rows that lie along several axes (images with channels last, windows)
/// see all rows in one axis: [1, 7, 7, 768] by [768, 3072] are 49 rows by that matrix, not 7 products of 7,
/// each of which reads the matrix again. Element-wise work behind such a product is done in the same two
/// axes, so that it still fuses with it; what comes after reads a view of the former shape. Before: views may
/// be chains. After: they may be longer ones (MergeViews), and views that nobody reads are left.
IRModule FlattenRows(const IRModule& module);

}  // namespace tilewright
