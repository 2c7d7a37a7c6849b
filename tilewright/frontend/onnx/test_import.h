// SPDX-License-Identifier: Apache-2.0
// Importing and running small models in tests.
#pragma once

#include <gmock/gmock.h>

#include "tilewright/frontend/onnx/import.h"
#include "tilewright/frontend/onnx/test_model_builder.h"
#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/verify.h"

namespace tilewright::onnx {

inline ImportedModel ImportProto(const ModelProto& m, const ImportOptions& options = {},
                                 const std::string& folder = {}) {
  ImportedModel imported = ImportOnnxBytes(m.SerializeAsString(), folder, options);
  VerifyGraph(GetGraphFunction(imported.module), imported.module);
  return imported;
}

inline std::vector<NDArray> RunImported(const ImportedModel& model, std::vector<NDArray> inputs) {
  const GraphFunction main = GetGraphFunction(model.module);
  for (size_t i = inputs.size(); i < main->params.size(); ++i) {
    inputs.push_back(model.parameters.at(main->params[i]->origin));
  }
  return Interpret(main, inputs, model.module);
}

/// Imports the model and runs it.
inline std::vector<NDArray> RunProto(const ModelProto& m, const std::vector<NDArray>& inputs,
                                     const ImportOptions& options = {}) {
  return RunImported(ImportProto(m, options), inputs);
}

inline NDArray Floats(std::vector<int64_t> shape, const std::vector<double>& values) {
  return NDArray::FromDoubles(kF32, std::move(shape), values);
}
/// 0, 1, 2, ...
inline NDArray Counting(std::vector<int64_t> shape, double step = 1) {
  NDArray a = NDArray::Empty(kF32, std::move(shape));
  for (int64_t i = 0; i < a.size(); ++i) a.SetDouble(i, step * double(i));
  return a;
}

inline TensorProto* AddInts(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims,
                            const std::vector<int64_t>& values) {
  TensorProto* t = AddTensor(m, name, dims, 7);
  t->clear_int64_data();
  for (int64_t v : values) t->add_int64_data(v);
  return t;
}

/// A model whose one node takes the inputs named so and makes y.
inline ModelProto OneNode(int64_t opset, const std::string& op,
                          const std::vector<std::vector<int64_t>>& inputs, NodeProto** node = nullptr) {
  ModelProto m = EmptyModel(opset);
  std::vector<std::string> names;
  for (const auto& dims : inputs) {
    names.push_back("x" + std::to_string(names.size()));
    AddInput(m, names.back(), dims);
  }
  NodeProto* n = AddNode(m, op, names, {"y"});
  AddOutput(m, "y")->clear_type();
  if (node) *node = n;
  return m;
}

/// The names of the operators of @main, in order.
inline std::vector<std::string> OperatorsOf(const ImportedModel& model) {
  std::vector<std::string> names;
  for (const Binding& b : GetGraphFunction(model.module)->body.bindings) {
    if (auto* call = b.operation.As<OpCallNode>()) names.push_back(call->op->name);
  }
  return names;
}

/// The import ends in an error of this id that holds every one of the texts.
inline void ExpectImportError(const std::function<void()>& import, const std::string& id,
                              const std::vector<std::string>& texts) {
  try {
    import();
    ADD_FAILURE() << "no error; expected " << id;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    for (const std::string& text : texts) EXPECT_THAT(e.what(), testing::HasSubstr(text));
  }
}

}  // namespace tilewright::onnx
