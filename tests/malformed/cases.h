// SPDX-License-Identifier: Apache-2.0
// Malformed models by name: what is wrong with each, and the id of the error that it ends in.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tilewright/frontend/onnx/test_model_builder.h"

namespace tilewright::onnx {

using Spoil = std::function<void(ModelProto&)>;

struct MalformedCase {
  std::string name;
  std::string id;
  Spoil spoil;  ///< makes a good model a malformed one
  /// Part of the report that has to name the culprit; empty: any.
  std::string mentions = "";
};

/// Files, names, types, shapes and data.
std::vector<MalformedCase> ModelCases();
/// Uses of operators that make no sense.
std::vector<MalformedCase> OperatorCases();
/// Branches, loops and functions.
std::vector<MalformedCase> ControlCases();
/// Tensors and the files that they refer to.
std::vector<MalformedCase> DataCases();

/// Ends the graph in one operator over `inputs`, whatever was there before.
inline NodeProto* Only(ModelProto& m, const std::string& op, const std::vector<std::string>& inputs) {
  m.mutable_graph()->clear_node();
  return AddNode(m, op, inputs, {"y"});
}

inline NodeProto* Node(ModelProto& m, int i) { return m.mutable_graph()->mutable_node(i); }
inline TensorProto* Tensor(ModelProto& m, int i) { return m.mutable_graph()->mutable_initializer(i); }

}  // namespace tilewright::onnx
