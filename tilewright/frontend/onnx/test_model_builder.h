// SPDX-License-Identifier: Apache-2.0
// Small ONNX models for tests, to be imported or to be spoilt.
#pragma once

#include <string>
#include <vector>

#include "tilewright/frontend/onnx/onnx.pb.h"

namespace tilewright::onnx {

/// A model file version and operator set that every model here uses unless it is about these.
inline ModelProto EmptyModel(int64_t opset = 17) {
  ModelProto m;
  m.set_ir_version(8);
  m.mutable_graph()->set_name("g");
  m.add_opset_import()->set_version(opset);
  return m;
}

/// A graph input or output of f32 elements; a dimension of -1 has no value.
inline ValueInfoProto* AddInput(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims,
                                int type = 1) {
  ValueInfoProto* v = m.mutable_graph()->add_input();
  v->set_name(name);
  auto* tensor = v->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(type);
  tensor->mutable_shape();
  for (int64_t d : dims) {
    auto* dim = tensor->mutable_shape()->add_dim();
    if (d != -1) dim->set_dim_value(d);
  }
  return v;
}

inline ValueInfoProto* AddOutput(ModelProto& m, const std::string& name) {
  ValueInfoProto* v = m.mutable_graph()->add_output();
  v->set_name(name);
  v->mutable_type()->mutable_tensor_type()->set_elem_type(1);
  return v;
}

inline NodeProto* AddNode(ModelProto& m, const std::string& op, const std::vector<std::string>& inputs,
                          const std::vector<std::string>& outputs) {
  NodeProto* n = m.mutable_graph()->add_node();
  n->set_op_type(op);
  n->set_name(op + "_" + std::to_string(m.graph().node_size()));
  for (auto& name : inputs) n->add_input(name);
  for (auto& name : outputs) n->add_output(name);
  return n;
}

/// An initialiser of f32 (typed data) or, with type 7, of i64.
inline TensorProto* AddTensor(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims,
                              int type = 1) {
  TensorProto* t = m.mutable_graph()->add_initializer();
  t->set_name(name);
  t->set_data_type(type);
  int64_t count = 1;
  for (int64_t d : dims) {
    t->add_dims(d);
    count *= d;
  }
  for (int64_t i = 0; i < count; ++i) {
    if (type == 7) {
      t->add_int64_data(i);
    } else {
      t->add_float_data(float(i) * 0.125f);
    }
  }
  return t;
}

inline AttributeProto* AddAttribute(NodeProto* n, const std::string& name, int type) {
  AttributeProto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(type);
  return a;
}

inline void SetInt(NodeProto* n, const std::string& name, int64_t value) {
  AddAttribute(n, name, 2)->set_i(value);
}
inline void SetFloat(NodeProto* n, const std::string& name, float value) {
  AddAttribute(n, name, 1)->set_f(value);
}
inline void SetString(NodeProto* n, const std::string& name, const std::string& value) {
  AddAttribute(n, name, 3)->set_s(value);
}
inline void SetInts(NodeProto* n, const std::string& name, const std::vector<int64_t>& values) {
  AttributeProto* a = AddAttribute(n, name, 7);
  for (int64_t v : values) a->add_ints(v);
}

/// x [1, 3, 8, 8] -> Conv (4 filters 3x3) -> Relu -> MaxPool -> Flatten -> Gemm -> y [1, 5]; imports without
/// error.
inline ModelProto GoodModel() {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {1, 3, 8, 8});
  AddTensor(m, "w", {4, 3, 3, 3});
  AddTensor(m, "b", {4});
  SetInts(AddNode(m, "Conv", {"x", "w", "b"}, {"c"}), "pads", {1, 1, 1, 1});
  AddNode(m, "Relu", {"c"}, {"r"});
  NodeProto* pool = AddNode(m, "MaxPool", {"r"}, {"p"});
  SetInts(pool, "kernel_shape", {2, 2});
  SetInts(pool, "strides", {2, 2});
  AddNode(m, "Flatten", {"p"}, {"f"});
  AddTensor(m, "fc", {64, 5});
  AddNode(m, "Gemm", {"f", "fc"}, {"y"});
  AddOutput(m, "y");
  return m;
}

}  // namespace tilewright::onnx
