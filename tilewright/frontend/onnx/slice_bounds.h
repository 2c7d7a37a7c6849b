// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {

/// What a Slice node takes along each axis: first index, step, number of elements.
struct SliceBounds {
  std::vector<Expr> begin;
  std::vector<int64_t> step;
  std::vector<Expr> count;
};

/// From the attributes (up to operator set 9) or arguments of a Slice node, clamped as ONNX defines it.
SliceBounds SliceOf(const NodeContext& ctx);

/// What each result of a Split node takes of an axis, one behind the other.
struct SplitParts {
  size_t axis = 0;
  std::vector<Expr> sizes;  ///< as many as the node has results
};

/// From the attributes or arguments of a Split node; TW2017 where the parts are not the whole axis.
SplitParts SplitOf(NodeContext& ctx);

}  // namespace tilewright::onnx
