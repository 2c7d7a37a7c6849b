// SPDX-License-Identifier: Apache-2.0
// Small ONNX models, to be spoilt.
#pragma once

#include <string>
#include <vector>

#include "tilewright/frontend/onnx/onnx.pb.h"

namespace tilewright::onnx {

/// A model file version and operator set that every model here uses unless it is about these.
ModelProto EmptyModel(int64_t opset = 17);

/// A graph input or output of f32 elements; a dimension of -1 has no value.
ValueInfoProto* AddInput(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims,
                         int type = 1);
ValueInfoProto* AddOutput(ModelProto& m, const std::string& name);
NodeProto* AddNode(ModelProto& m, const std::string& op, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs);
/// An initialiser of f32 (typed data) or, with type 7, of i64.
TensorProto* AddTensor(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims,
                       int type = 1);
void SetInt(NodeProto* n, const std::string& name, int64_t value);
void SetInts(NodeProto* n, const std::string& name, const std::vector<int64_t>& values);
void SetFloat(NodeProto* n, const std::string& name, float value);
void SetString(NodeProto* n, const std::string& name, const std::string& value);

/// x [1, 3, 8, 8] -> Conv (4 filters 3x3) -> Relu -> MaxPool -> Flatten -> Gemm -> y [1, 5]; imports without
/// error.
ModelProto GoodModel();

}  // namespace tilewright::onnx
