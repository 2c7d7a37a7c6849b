// SPDX-License-Identifier: Apache-2.0
#include "tests/malformed/model_builder.h"

namespace tilewright::onnx {

ModelProto EmptyModel(int64_t opset) {
  ModelProto m;
  m.set_ir_version(8);
  m.mutable_graph()->set_name("g");
  m.add_opset_import()->set_version(opset);
  return m;
}

ValueInfoProto* AddInput(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims, int type) {
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

ValueInfoProto* AddOutput(ModelProto& m, const std::string& name) {
  ValueInfoProto* v = m.mutable_graph()->add_output();
  v->set_name(name);
  v->mutable_type()->mutable_tensor_type()->set_elem_type(1);
  return v;
}

NodeProto* AddNode(ModelProto& m, const std::string& op, const std::vector<std::string>& inputs,
                   const std::vector<std::string>& outputs) {
  NodeProto* n = m.mutable_graph()->add_node();
  n->set_op_type(op);
  n->set_name(op + "_" + std::to_string(m.graph().node_size()));
  for (auto& name : inputs) n->add_input(name);
  for (auto& name : outputs) n->add_output(name);
  return n;
}

TensorProto* AddTensor(ModelProto& m, const std::string& name, const std::vector<int64_t>& dims, int type) {
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

namespace {
AttributeProto* Attribute(NodeProto* n, const std::string& name, int type) {
  AttributeProto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(type);
  return a;
}
}  // namespace

void SetInt(NodeProto* n, const std::string& name, int64_t value) { Attribute(n, name, 2)->set_i(value); }
void SetFloat(NodeProto* n, const std::string& name, float value) { Attribute(n, name, 1)->set_f(value); }
void SetString(NodeProto* n, const std::string& name, const std::string& value) {
  Attribute(n, name, 3)->set_s(value);
}
void SetInts(NodeProto* n, const std::string& name, const std::vector<int64_t>& values) {
  AttributeProto* a = Attribute(n, name, 7);
  for (int64_t v : values) a->add_ints(v);
}

ModelProto GoodModel() {
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
