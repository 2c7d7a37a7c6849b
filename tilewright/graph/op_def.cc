// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/op_def.h"

#include <map>

namespace tilewright {

namespace {

std::map<std::string, OpDef>& Registry() {
  static std::map<std::string, OpDef> ops;
  return ops;
}

std::string DescribeCall(const OpDef& op, const std::vector<Value>& args) {
  std::string text = op.name + "(";
  for (size_t i = 0; i < args.size(); ++i) {
    if (i) text += ", ";
    text += args[i] ? args[i]->type.ToString() : "none";
  }
  return text + ")";
}

}  // namespace

const OpDef* OpRegistry::Find(const std::string& name) {
  auto it = Registry().find(name);
  return it == Registry().end() ? nullptr : &it->second;
}

const OpDef* OpRegistry::Get(const std::string& name) {
  const OpDef* op = Find(name);
  TW_CHECK(op, "no operator {}", name);
  return op;
}

std::vector<const OpDef*> OpRegistry::All() {
  std::vector<const OpDef*> ops;
  for (auto& [name, op] : Registry()) ops.push_back(&op);
  return ops;
}

const OpDef* OpRegistry::Register(OpDef def) {
  std::string name = def.name;
  auto [it, fresh] = Registry().emplace(name, std::move(def));
  TW_CHECK(fresh, "operator {} is defined twice", name);
  return &it->second;
}

const TensorType& InferContext::Input(size_t i) const {
  if (!Has(i)) Fail("TW2103", fmt::format("argument {} of {} is missing", i, op_.name));
  const TensorType* t = args_[i]->type.tensor();
  if (!t)
    Fail("TW2104",
         fmt::format("argument {} of {} is {}, not a tensor", i, op_.name, args_[i]->type.ToString()));
  return *t;
}

void InferContext::Fail(const std::string& id, const std::string& message,
                        std::vector<std::string> notes) const {
  notes.push_back("in " + DescribeCall(op_, args_));
  throw Error(id, message, origin_.empty() ? "" : "node " + origin_, std::move(notes));
}

Expr InferContext::SameDim(const Expr& a, const Expr& b, const std::string& what) const {
  auto x = AsInt(a), y = AsInt(b);
  if (x && y && *x != *y) Fail("TW2102", fmt::format("{}: {} and {} differ", what, *x, *y));
  if (equalities_ && !(x && y) && !StructuralEqual(a, b)) equalities_->push_back({a, b, what, origin_});
  return x ? a : b;
}

Expr LowerContext::Read(size_t i, const Indices& logical) const {
  return inputs_[i](input_types_[i].layout.ToPhysical(logical));
}

Expr LowerContext::ReadBroadcast(size_t i, const Indices& logical_out) const {
  const TensorType& type = input_types_[i];
  const size_t skip = logical_out.size() - type.shape.size();
  Indices indices;
  for (size_t d = 0; d < type.shape.size(); ++d) {
    indices.push_back(IsInt(type.shape[d], 1) ? Expr(0) : logical_out[skip + d]);
  }
  return Read(i, indices);
}

te::Tensor LowerContext::Compute(const std::function<te::Body(const Indices&)>& f, size_t out,
                                 Annotations annotations, const std::string& suffix) const {
  const TensorType& type = output_types_[out];
  return te::Compute(
      name_ + suffix, type.PhysicalShape(),
      [&](const te::Axes& physical) { return f(type.layout.ToLogical(physical, type.rank())); },
      std::move(annotations));
}

te::Tensor LowerContext::Intermediate(const std::string& suffix, std::vector<Expr> shape,
                                      const std::function<te::Body(const Indices&)>& f,
                                      Annotations annotations) const {
  return te::Compute(name_ + "." + suffix, std::move(shape), f, std::move(annotations));
}

}  // namespace tilewright
