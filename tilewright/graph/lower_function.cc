// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/lower_function.h"

#include "tilewright/graph/op_def.h"

namespace tilewright {

namespace {

/// A name for a stage: the operator's, in the spelling of identifiers.
std::string StageName(const OpCallNode& call) {
  std::string name = call.op->name;
  for (char& c : name) c = char(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

te::Tensor CopyStage(const te::Tensor& t, const std::string& name) {
  return te::Compute(name, t.shape(), [&](const te::Axes& i) { return te::Body(t(i)); });
}

/// Notes which argument the result's memory has to hold when the kernel starts.
PrimFunc WithUpdatedArgument(const PrimFunc& kernel, const GraphFunction& f) {
  const Value updated = UpdatedArgument(f);
  if (!updated) return kernel;
  const auto at = std::find(f->params.begin(), f->params.end(), updated) - f->params.begin();
  PrimFuncNode copy = *kernel;
  copy.attrs["updates"] = int64_t(at);
  return PrimFunc(std::move(copy));
}

}  // namespace

Value UpdatedArgument(const GraphFunction& f) {
  for (const Binding& b : f->body.bindings) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || !call->op->updates_argument) continue;
    TW_CHECK(f->body.bindings.size() == 1, "@{} does more than update an argument", f.name());
    return call->args[0];
  }
  return nullptr;
}

PrimFunc LowerFunction(const GraphFunction& f) {
  std::unordered_map<const ValueNode*, te::Tensor> tensors;
  std::vector<te::Tensor> inputs;
  for (const Value& p : f->params) {
    te::Tensor t = te::Placeholder(p.name(), p.tensor().dtype, p.tensor().PhysicalShape());
    tensors[p.get()] = t;
    inputs.push_back(t);
  }
  for (const Binding& binding : f->body.bindings) {
    auto* call = binding.operation.As<OpCallNode>();
    TW_CHECK(call, "@{} holds something else than operator calls", f.name());
    if (!call->op->lower) {
      throw Error("TW2201", fmt::format("operator {} has no lowering to kernels", call->op->name),
                  "node " + binding.results.front()->origin);
    }
    std::vector<te::Tensor> args;
    std::vector<TensorType> arg_types, result_types;
    for (const Value& v : call->args) {
      args.push_back(v ? tensors.at(v.get()) : te::Tensor());
      arg_types.push_back(v ? v.tensor() : TensorType());
    }
    for (const Value& v : binding.results) result_types.push_back(v.tensor());
    LowerContext context(args, arg_types, result_types, call->attrs, StageName(*call));
    std::vector<te::Tensor> results = call->op->lower(context);
    TW_CHECK(results.size() == binding.results.size(), "{} lowers to {} tensors for {} results",
             call->op->name, results.size(), binding.results.size());
    for (size_t i = 0; i < results.size(); ++i) tensors[binding.results[i].get()] = results[i];
  }
  std::vector<te::Tensor> outputs;
  for (const Value& r : f->body.results) {
    te::Tensor t = tensors.at(r.get());
    // A parameter or a value returned twice still needs memory of its own.
    bool taken = !t.stage() || std::any_of(outputs.begin(), outputs.end(),
                                           [&](const te::Tensor& o) { return o.buffer() == t.buffer(); });
    outputs.push_back(taken ? CopyStage(t, "copy") : t);
  }
  return WithUpdatedArgument(te::CreatePrimFunc(f.name(), inputs, outputs), f);
}

}  // namespace tilewright
