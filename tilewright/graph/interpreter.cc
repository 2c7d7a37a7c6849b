// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/interpreter.h"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "tilewright/graph/lower_function.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/tir/interpreter.h"

namespace tilewright {

namespace {

class GraphInterpreter {
 public:
  explicit GraphInterpreter(const IRModule& module) : module_(module) {}

  std::vector<NDArray> Run(const GraphFunction& f, const std::vector<NDArray>& arguments) {
    if (arguments.size() != f->params.size()) {
      throw Error("TW2301", fmt::format("@{} takes {} arguments, {} are given", f.name(), f->params.size(),
                                        arguments.size()));
    }
    for (size_t i = 0; i < arguments.size(); ++i) {
      BindDims(f->params[i], arguments[i]);
      values_[f->params[i].get()] = arguments[i];
    }
    return RunBlock(f->body);
  }

 private:
  /// Takes the values of symbolic dimensions from an argument, and checks all others.
  void BindDims(const Value& param, const NDArray& array) {
    const TensorType& type = param.tensor();
    const std::vector<Expr> shape = type.PhysicalShape();
    bool fits = array.dtype() == type.dtype && array.rank() == int(shape.size());
    for (size_t d = 0; fits && d < shape.size(); ++d) {
      const int64_t extent = array.shape()[d];
      if (auto* var = shape[d].As<VarNode>()) {
        auto [it, fresh] = dims_.emplace(Var(var), extent);
        fits = it->second == extent;
      } else {
        auto expected = EvalInt(shape[d], dims_);
        fits = !expected || *expected == extent;
      }
    }
    if (!fits) {
      throw Error(
          "TW2301", fmt::format("an array does not fit parameter %{}", param.name()), "",
          {fmt::format("expected {}", param->type.ToString()), fmt::format("found {}", array.ToString(0))});
    }
  }

  std::vector<NDArray> RunBlock(const GraphBlock& block) {
    for (const Binding& binding : block.bindings) {
      std::vector<NDArray> results = Evaluate(binding);
      for (size_t i = 0; i < results.size(); ++i) values_[binding.results[i].get()] = results[i];
    }
    std::vector<NDArray> results;
    for (const Value& v : block.results) results.push_back(At(v));
    return results;
  }

  const NDArray& At(const Value& v) const {
    auto it = values_.find(v.get());
    TW_CHECK(it != values_.end(), "%{} is used before it is bound", v.name());
    return it->second;
  }

  std::vector<NDArray> Evaluate(const Binding& binding) {
    return Dispatch(
        binding.operation,
        Overloaded{
            [&](const OpCallNode& n) { return RunKernel(LowerOne(binding, n), n.args, binding.results); },
            [&](const FunctionCallNode& n) { return CallFunction(n, binding.results); },
            [&](const HostCallNode& n) -> std::vector<NDArray> {
              throw Error("TW2302", fmt::format("host routine '{}' cannot be interpreted", n.routine));
            },
            [&](const ConstantNode& n) { return std::vector{n.data}; },
            [&](const GraphIfNode& n) {
              return RunBlock(At(n.condition).AsInt(0) ? n.then_block : n.else_block);
            },
            [&](const GraphLoopNode& n) { return RunLoop(n, binding.results); },
        });
  }

  /// The call alone as a function of its arguments, lowered.
  static PrimFunc LowerOne(const Binding& binding, const OpCallNode& call) {
    GraphFunctionNode f;
    f.name = call.op->name;
    for (const Value& v : call.args) {
      if (v && std::find(f.params.begin(), f.params.end(), v) == f.params.end()) f.params.push_back(v);
    }
    f.body.bindings = {binding};
    f.body.results = binding.results;
    return LowerFunction(GraphFunction(std::move(f)));
  }

  std::vector<NDArray> RunKernel(const PrimFunc& f, const std::vector<Value>& args,
                                 const std::vector<Value>& results) {
    std::vector<NDArray> buffers;
    std::vector<Value> distinct;
    for (const Value& v : args) {
      if (!v || std::find(distinct.begin(), distinct.end(), v) != distinct.end()) continue;
      distinct.push_back(v);
      buffers.push_back(At(v));
    }
    const size_t inputs = buffers.size();
    for (const Value& v : results) buffers.push_back(NDArray::Empty(v.tensor().dtype, ShapeOf(v)));
    InterpretOptions options;
    if (auto updates = f->attrs.find("updates"); updates != f->attrs.end()) {
      buffers[inputs] = buffers[size_t(std::get<int64_t>(updates->second))].Copy();
      options.outputs_start_undefined = false;
    }
    std::vector<int64_t> dims;
    for (const Var& d : f->dims) dims.push_back(dims_.at(d));
    Interpret(f, buffers, dims, options);
    return {buffers.begin() + std::ptrdiff_t(inputs), buffers.end()};
  }

  std::vector<int64_t> ShapeOf(const Value& v) const {
    std::vector<int64_t> shape;
    for (const Expr& d : v.tensor().PhysicalShape()) {
      auto extent = EvalInt(d, dims_);
      TW_CHECK(extent, "an extent of %{} has no value", v.name());
      shape.push_back(*extent);
    }
    return shape;
  }

  std::vector<NDArray> CallFunction(const FunctionCallNode& call, const std::vector<Value>& results) {
    Function callee = module_.Find(call.callee);
    TW_CHECK(callee, "no function @{}", call.callee);
    if (callee->kind == FunctionKind::kPrim) {
      return RunKernel(PrimFunc(static_cast<const PrimFuncNode*>(callee.get())), call.args, results);
    }
    std::vector<NDArray> arguments;
    for (const Value& v : call.args) arguments.push_back(At(v));
    GraphInterpreter inner(module_);
    inner.dims_ = dims_;
    return inner.Run(GraphFunction(static_cast<const GraphFunctionNode*>(callee.get())), arguments);
  }

  /// Carried values after the last iteration, then each scanned value stacked on a new axis 0.
  std::vector<NDArray> RunLoop(const GraphLoopNode& loop, const std::vector<Value>& results) {
    std::vector<NDArray> carried;
    for (const Value& v : loop.carried) carried.push_back(At(v));
    const int64_t trips = loop.trip_count ? At(loop.trip_count).AsInt(0) : INT64_MAX;
    bool go = !loop.condition || At(loop.condition).AsInt(0) != 0;
    std::vector<std::vector<NDArray>> scanned(results.size() - carried.size());
    for (int64_t i = 0; go && i < trips; ++i) {
      values_[loop.body.params[0].get()] = NDArray::FromInts(kI64, {}, std::vector<int64_t>{i});
      values_[loop.body.params[1].get()] = NDArray::FromInts(kBool, {}, std::vector<int64_t>{go});
      for (size_t c = 0; c < carried.size(); ++c) values_[loop.body.params[c + 2].get()] = carried[c];
      std::vector<NDArray> out = RunBlock(loop.body);
      go = out[0].AsInt(0) != 0;
      for (size_t c = 0; c < carried.size(); ++c) carried[c] = out[c + 1];
      for (size_t s = 0; s < scanned.size(); ++s) scanned[s].push_back(out[carried.size() + 1 + s]);
    }
    for (size_t s = 0; s < scanned.size(); ++s) {
      carried.push_back(Stack(scanned[s], results[loop.carried.size() + s].tensor()));
    }
    return carried;
  }

  NDArray Stack(const std::vector<NDArray>& parts, const TensorType& type) const {
    std::vector<int64_t> shape = {int64_t(parts.size())};
    for (size_t d = 1; d < type.shape.size(); ++d) {
      shape.push_back(parts.empty() ? EvalInt(type.shape[d], dims_).value_or(0) : parts[0].shape()[d - 1]);
    }
    NDArray all = NDArray::Empty(type.dtype, shape);
    char* to = static_cast<char*>(all.mutable_data());
    for (const NDArray& p : parts) {
      if (p.bytes() > 0) std::memcpy(to, p.data(), size_t(p.bytes()));
      to += p.bytes();
    }
    return all;
  }

  const IRModule& module_;
  std::unordered_map<const ValueNode*, NDArray> values_;
  VarValues dims_;
};

}  // namespace

std::vector<NDArray> Interpret(const GraphFunction& f, const std::vector<NDArray>& arguments,
                               const IRModule& module) {
  return GraphInterpreter(module).Run(f, arguments);
}

}  // namespace tilewright
