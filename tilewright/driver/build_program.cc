// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/build_program.h"

#include "tilewright/driver/dl_types.h"
#include "tilewright/driver/plan_memory.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

int64_t ConstantExtent(const Expr& e, const std::string& what) {
  auto value = AsInt(e);
  if (!value) {
    throw Error("TW3101", fmt::format("the shape of {} is not constant: {}", what, ToString(e)), "",
                {"give its symbolic dimensions values with --dim NAME=N"});
  }
  return *value;
}

std::vector<int64_t> ConstantShape(const std::vector<Expr>& shape, const std::string& what) {
  std::vector<int64_t> result;
  for (const Expr& e : shape) result.push_back(ConstantExtent(e, what));
  return result;
}

std::vector<runtime::ShapeExpr> ToShapeExprs(const std::vector<int64_t>& shape) {
  return {shape.begin(), shape.end()};
}

int64_t BufferBytes(const std::vector<int64_t>& shape, DataType t) {
  return CheckedSize(shape, t.element_bytes()) * t.element_bytes();
}

/// Whether a fused function only renames the shape of its argument's memory.
bool IsView(const GraphFunction& f) {
  if (f->params.size() != 1 || !f->params[0].tensor().layout.natural()) return false;
  for (const Binding& b : f->body.bindings) {
    auto& call = *b.operation.As<OpCallNode>();
    if (!call.op->is_view || !b.results[0].tensor().layout.natural()) return false;
  }
  return f->body.results.size() == 1;
}

class ProgramBuilder {
 public:
  ProgramBuilder(const GraphFunction& main, const KernelSet& kernels,
                 const std::map<std::string, size_t>& unit_of)
      : main_(main), kernels_(kernels), unit_of_(unit_of) {}

  BuiltProgram Run() {
    for (const Value& p : main_->params) AddInput(p);
    FindPlaces();
    for (const KernelUnit& unit : kernels_.units()) AddKernels(unit);
    int step = 0;
    for (const Binding& b : main_->body.bindings) {
      auto* call = b.operation.As<FunctionCallNode>();
      TW_CHECK(call || b.operation.As<ConstantNode>(), "@main holds an operation that is not lowered");
      if (call) Launch(*call, b, step++);
    }
    CopyOutputs();
    PlaceArena();
    return std::move(built_);
  }

 private:
  /// Where the memory of a value is: one storage for a value and its views.
  struct Place {
    runtime::Storage storage = runtime::Storage::kArena;
    uint32_t index = 0;
    size_t request = 0;  ///< of the arena
    const NDArray* constant = nullptr;
  };

  void AddInput(const Value& v) {
    const TensorType& t = v.tensor();
    built_.program.inputs.push_back({v->origin.empty() ? v.name() : v->origin, ToDl(t.dtype),
                                     ToShapeExprs(ConstantShape(t.shape, v.name()))});
    places_[v.get()] = {runtime::Storage::kInput, uint32_t(built_.program.inputs.size() - 1), 0, nullptr};
  }

  /// Follows views to the value that owns the memory.
  Value Root(Value v) const {
    for (auto it = view_of_.find(v.get()); it != view_of_.end(); it = view_of_.find(v.get())) v = it->second;
    return v;
  }

  void FindPlaces() {
    for (const Binding& b : main_->body.bindings) {
      if (auto* c = b.operation.As<ConstantNode>()) {
        places_[b.results[0].get()] = {runtime::Storage::kParameter, 0, 0, &c->data};
      } else if (auto* call = b.operation.As<FunctionCallNode>()) {
        if (IsView(kernels_.units()[unit_of_.at(call->callee)].graph))
          view_of_[b.results[0].get()] = call->args[0];
      }
    }
    // An output takes the memory of the value that makes it, unless that is an input, a constant or taken
    // already.
    for (size_t i = 0; i < main_->body.results.size(); ++i) {
      const Value& r = main_->body.results[i];
      const TensorType& t = r.tensor();
      const std::string name = i < main_->result_names.size() ? main_->result_names[i] : r.name();
      built_.program.outputs.push_back({name, ToDl(t.dtype), ToShapeExprs(ConstantShape(t.shape, name))});
      const Value root = Root(r);
      if (!places_.try_emplace(root.get(), Place{runtime::Storage::kOutput, uint32_t(i), 0, nullptr})
               .second) {
        copies_.push_back(i);
      }
    }
    int step = 0;
    for (const Binding& b : main_->body.bindings) {
      auto* call = b.operation.As<FunctionCallNode>();
      if (!call) continue;
      for (const Value& v : call->args) Use(v, step);
      if (!view_of_.contains(b.results[0].get())) {
        for (const Value& r : b.results) Define(r, step);
      }
      ++step;
    }
    for (size_t i : copies_) Use(main_->body.results[i], step);
  }

  void Define(const Value& v, int step) {
    if (places_.contains(v.get())) return;
    const TensorType& t = v.tensor();
    requests_.push_back({BufferBytes(ConstantShape(t.shape, v.name()), t.dtype), step, step});
    places_[v.get()] = {runtime::Storage::kArena, 0, requests_.size() - 1, nullptr};
  }

  void Use(const Value& v, int step) {
    auto it = places_.find(Root(v).get());
    if (it != places_.end() && it->second.storage == runtime::Storage::kArena) {
      requests_[it->second.request].last = step;
    }
  }

  void AddKernels(const KernelUnit& unit) {
    for (const KernelLaunch& launch : unit.lowered.launches) {
      kernel_index_[launch.kernel.get()] = uint32_t(built_.kernels.size());
      built_.kernels.push_back(launch.kernel);
      built_.program.kernels.push_back(launch.kernel.name());
    }
  }

  void Launch(const FunctionCallNode& call, const Binding& b, int step) {
    if (view_of_.contains(b.results[0].get())) return;
    const KernelUnit& unit = kernels_.units()[unit_of_.at(call.callee)];
    std::vector<Value> values = call.args;
    values.insert(values.end(), b.results.begin(), b.results.end());
    TW_CHECK(values.size() == unit.scheduled->buffers.size(), "@{} has {} buffers for {} values", call.callee,
             unit.scheduled->buffers.size(), values.size());
    std::unordered_map<Buffer, uint32_t> buffers;
    for (size_t i = 0; i < values.size(); ++i) {
      buffers[unit.scheduled->buffers[i]] = BufferFor(values[i], unit, i);
    }
    for (const Buffer& w : unit.lowered.workspaces) buffers[w] = Workspace(w, step);
    for (size_t i = 0; i < unit.lowered.launches.size(); ++i) {
      const KernelLaunch& launch = unit.lowered.launches[i];
      runtime::LaunchOp op;
      op.kernel = kernel_index_.at(launch.kernel.get());
      for (const Buffer& arg : launch.args) {
        auto it = buffers.find(arg);
        TW_CHECK(it != buffers.end(), "{} reads {}, which is no argument of {}", launch.kernel.name(),
                 arg.name(), unit.scheduled.name());
        op.buffers.push_back(it->second);
      }
      const int64_t chunks = ConstantExtent(launch.num_chunks, launch.kernel.name());
      op.num_chunks = chunks;
      if (launch.workspace_bytes) {
        const int64_t bytes = ConstantExtent(launch.workspace_bytes, launch.kernel.name()) * chunks;
        op.buffers.push_back(ArenaBuffer(launch.kernel.name() + ".private", kU8, {bytes}, bytes, step));
      }
      runtime::Instruction instruction;
      instruction.name = fmt::format("{}:{}", built_.infos.size(), launch.kernel.name());
      instruction.op = std::move(op);
      // The product is what the last launch computes; those before it prepare its arguments.
      const bool main_launch = i + 1 == unit.lowered.launches.size();
      built_.infos.push_back({instruction.name, unit.operators, main_launch ? unit.flops : 0});
      built_.program.instructions.push_back(std::move(instruction));
    }
  }

  uint32_t AddBuffer(const std::string& name, const Place& place, DataType t,
                     const std::vector<int64_t>& shape, int64_t bytes, int64_t offset = 0) {
    runtime::Buffer buffer;
    buffer.name = name;
    buffer.storage = place.storage;
    buffer.index = place.index;
    buffer.dtype = ToDl(t);
    buffer.shape = ToShapeExprs(shape);
    buffer.offset = offset;
    buffer.bytes = bytes;
    built_.program.buffers.push_back(std::move(buffer));
    const uint32_t id = uint32_t(built_.program.buffers.size() - 1);
    if (place.storage == runtime::Storage::kArena) arena_buffers_.emplace_back(id, place.request);
    return id;
  }

  uint32_t ArenaBuffer(const std::string& name, DataType t, const std::vector<int64_t>& shape, int64_t bytes,
                       int step) {
    requests_.push_back({bytes, step, step});
    return AddBuffer(name, {runtime::Storage::kArena, 0, requests_.size() - 1, nullptr}, t, shape, bytes);
  }

  uint32_t Workspace(const Buffer& w, int step) {
    const std::vector<int64_t> shape = ConstantShape(w.shape(), w.name());
    return ArenaBuffer(w.name(), w.dtype(), shape, BufferBytes(shape, w.dtype()), step);
  }

  /// The buffer through which argument `i` of a unit reads or writes a value.
  uint32_t BufferFor(const Value& v, const KernelUnit& unit, size_t i) {
    auto found = places_.find(Root(v).get());
    TW_CHECK(found != places_.end(), "%{} has no place", v.name());
    const Place& place = found->second;
    const Buffer& seen = unit.scheduled->buffers[i];
    const std::vector<int64_t> shape = ConstantShape(seen.shape(), v.name());
    const int64_t bytes = BufferBytes(shape, seen.dtype());
    if (place.constant) return ConstantBuffer(v, *place.constant, unit, i, shape, bytes);
    auto [it, fresh] = value_buffers_.try_emplace(v.get(), 0);
    if (fresh) it->second = AddBuffer(v.name(), place, seen.dtype(), shape, bytes);
    return it->second;
  }

  uint32_t ConstantBuffer(const Value& v, const NDArray& data, const KernelUnit& unit, size_t i,
                          const std::vector<int64_t>& shape, int64_t bytes) {
    PrimFunc prepare;
    for (const Schedule::Prepare& p : unit.prepare) {
      if (p.buffer_index == int(i)) prepare = p.function;
    }
    // Prepare functions belong to their unit, so that identity tells whether two uses agree.
    auto [it, fresh] = constant_buffers_.try_emplace({Root(v).get(), prepare.get()}, 0);
    if (!fresh) return it->second;
    const int64_t offset = built_.parameter_bytes;
    built_.constants.push_back({data, prepare, offset, bytes});
    built_.parameter_bytes += (bytes + 63) / 64 * 64;
    it->second =
        AddBuffer(v->origin.empty() ? v.name() : v->origin, {runtime::Storage::kParameter, 0, 0, nullptr},
                  unit.scheduled->buffers[i].dtype(), shape, bytes, offset);
    return it->second;
  }

  void CopyOutputs() {
    for (size_t i : copies_) {
      const Value& r = main_->body.results[i];
      const TensorType& t = r.tensor();
      const std::vector<int64_t> shape = ConstantShape(t.shape, r.name());
      const int64_t bytes = BufferBytes(shape, t.dtype);
      Place source = places_.at(Root(r).get());
      int64_t offset = 0;
      if (source.constant) {
        offset = built_.parameter_bytes;
        built_.constants.push_back({*source.constant, PrimFunc(), offset, bytes});
        built_.parameter_bytes += (bytes + 63) / 64 * 64;
      }
      runtime::CopyOp copy;
      copy.source = AddBuffer(r.name(), source, t.dtype, shape, bytes, offset);
      copy.destination = AddBuffer(r.name() + ".out", {runtime::Storage::kOutput, uint32_t(i), 0, nullptr},
                                   t.dtype, shape, bytes);
      runtime::Instruction instruction;
      instruction.name = fmt::format("copy:{}", built_.program.outputs[i].name);
      instruction.op = copy;
      built_.program.instructions.push_back(std::move(instruction));
    }
  }

  void PlaceArena() {
    MemoryPlan plan = PlanMemory(requests_);
    if (!requests_.empty()) {
      runtime::Arena arena;
      arena.bytes = plan.arena_bytes;
      built_.program.arenas.push_back(arena);
    }
    for (auto& [buffer, request] : arena_buffers_)
      built_.program.buffers[buffer].offset = plan.offsets[request];
    built_.memory = {plan.arena_bytes, plan.lower_bound, built_.parameter_bytes};
  }

  const GraphFunction main_;
  const KernelSet& kernels_;
  const std::map<std::string, size_t>& unit_of_;
  BuiltProgram built_;
  std::unordered_map<const ValueNode*, Place> places_;
  std::unordered_map<const ValueNode*, Value> view_of_;
  std::vector<MemoryRequest> requests_;
  std::vector<std::pair<uint32_t, size_t>> arena_buffers_;  ///< buffer and its request
  std::unordered_map<const ValueNode*, uint32_t> value_buffers_;
  std::map<std::pair<const ValueNode*, const PrimFuncNode*>, uint32_t> constant_buffers_;
  std::unordered_map<const PrimFuncNode*, uint32_t> kernel_index_;
  std::vector<size_t> copies_;  ///< outputs that no kernel writes
};

}  // namespace

BuiltProgram BuildProgram(const GraphFunction& main, const KernelSet& kernels,
                          const std::map<std::string, size_t>& unit_of) {
  return ProgramBuilder(main, kernels, unit_of).Run();
}

}  // namespace tilewright
