// SPDX-License-Identifier: Apache-2.0
// The activation functions of LSTM, GRU and RNN nodes.
#pragma once

#include <string>
#include <vector>

#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {

/// One of the functions that the specification of RNN lists.
struct RecurrentActivation {
  std::string
      core;  ///< the core operator; empty: alpha * x + beta, or with `scaled_tanh` alpha * tanh(beta x)
  bool scaled_tanh = false;
  double alpha = 0, beta = 0;

  Value Apply(NodeContext& ctx, const Value& x) const;
};

/// The functions of all directions, `defaults` for each where the node lists none. TW2015 for a name or a
/// number of functions that the operator does not have.
std::vector<RecurrentActivation> RecurrentActivations(const NodeContext& ctx, int64_t directions,
                                                      const std::vector<std::string>& defaults);

}  // namespace tilewright::onnx
