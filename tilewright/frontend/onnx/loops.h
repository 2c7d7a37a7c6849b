// SPDX-License-Identifier: Apache-2.0
// Loops over a known number of steps: what recurrent operators and Scan become.
#pragma once

#include <functional>
#include <vector>

#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {

/// One step: its number as a value of the graph, or as an integer where the loop is unrolled.
struct LoopStep {
  Value number;  ///< i64[]; null: unrolled
  int64_t index = 0;
};

/// The values of the next step, and then what is stacked.
using LoopBody = std::function<std::vector<Value>(const LoopStep& step, const std::vector<Value>& carried)>;

/// `steps` times `body`, which carries values from step to step. Returns what the last step carries on, then
/// each stacked value with the steps on a new axis 0. A few steps are unrolled; others are a GraphLoop.
/// TW2060 when a step changes the type of what is carried.
std::vector<Value> RepeatSteps(NodeContext& ctx, const Expr& steps, std::vector<Value> carried,
                               const LoopBody& body);

/// x[step] along axis 0, or counted from the end.
Value RowOf(NodeContext& ctx, const Value& x, const LoopStep& step, bool from_end = false);

/// An i64[] with this value.
Value IndexValue(NodeContext& ctx, const Expr& value);

/// TW2060 unless a carried value keeps its type.
void CheckCarried(const NodeContext& ctx, size_t i, const TensorType& before, const TensorType& after);

/// x with its first axis in reverse order.
Value ReverseRows(NodeContext& ctx, const Value& x);
/// x[begin, begin + extent) along an axis.
Value PartOf(NodeContext& ctx, const Value& x, size_t axis, const Expr& begin, const Expr& extent);
/// Values of equal type on a new axis 0.
Value StackRows(NodeContext& ctx, const std::vector<Value>& rows);

}  // namespace tilewright::onnx
