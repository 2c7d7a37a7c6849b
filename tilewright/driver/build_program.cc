// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/build_program.h"

#include <algorithm>

#include "tilewright/driver/dl_types.h"
#include "tilewright/driver/plan_memory.h"
#include "tilewright/driver/shape_symbols.h"
#include "tilewright/graph/dim_equalities.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

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
  ProgramBuilder(const IRModule& module, const KernelSet& kernels,
                 const std::map<std::string, size_t>& unit_of)
      : main_(GetGraphFunction(module)),
        equalities_(UnprovenEqualities(module)),
        kernels_(kernels),
        unit_of_(unit_of) {}

  BuiltProgram Run() {
    DeclareSymbols();
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
    PlaceArenas();
    BindSymbols();
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

  /// The dimensions that shapes of inputs tell.
  void DeclareSymbols() {
    for (const Value& p : main_->params) {
      for (const Expr& e : p.tensor().shape) {
        if (e.As<VarNode>()) symbols_.Declare(Var(e.As<VarNode>()));
      }
    }
    built_.program.symbols = symbols_.symbols();
  }

  void AddInput(const Value& v) {
    const TensorType& t = v.tensor();
    built_.program.inputs.push_back(
        {v->origin.empty() ? v.name() : v->origin, ToDl(t.dtype), symbols_.Convert(t.shape, v.name())});
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
      built_.program.outputs.push_back({name, ToDl(t.dtype), symbols_.Convert(t.shape, name)});
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
    requests_.push_back({symbols_.Bytes(t.layout.PhysicalShape(t.shape), t.dtype, v.name()), 0, step, step});
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
      op.num_chunks = symbols_.Convert(launch.num_chunks, launch.kernel.name());
      for (const Var& dim : launch.kernel->dims)
        op.dims.push_back(symbols_.Convert(dim, launch.kernel.name()));
      if (launch.workspace_bytes) {
        const runtime::ShapeExpr bytes =
            symbols_.Convert(launch.workspace_bytes, launch.kernel.name()) * op.num_chunks;
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

  using Shape = std::vector<runtime::ShapeExpr>;

  uint32_t AddBuffer(const std::string& name, const Place& place, DataType t, const Shape& shape,
                     const runtime::ShapeExpr& bytes, int64_t offset = 0) {
    runtime::Buffer buffer;
    buffer.name = name;
    buffer.storage = place.storage;
    buffer.index = place.index;
    buffer.dtype = ToDl(t);
    buffer.shape = shape;
    buffer.offset = offset;
    buffer.bytes = bytes;
    built_.program.buffers.push_back(std::move(buffer));
    const uint32_t id = uint32_t(built_.program.buffers.size() - 1);
    if (place.storage == runtime::Storage::kArena) arena_buffers_.emplace_back(id, place.request);
    return id;
  }

  uint32_t ArenaBuffer(const std::string& name, DataType t, const Shape& shape,
                       const runtime::ShapeExpr& bytes, int step) {
    requests_.push_back({bytes, 0, step, step});
    return AddBuffer(name, {runtime::Storage::kArena, 0, requests_.size() - 1, nullptr}, t, shape, bytes);
  }

  uint32_t Workspace(const Buffer& w, int step) {
    return ArenaBuffer(w.name(), w.dtype(), symbols_.Convert(w.shape(), w.name()),
                       symbols_.Bytes(w.shape(), w.dtype(), w.name()), step);
  }

  /// The buffer through which argument `i` of a unit reads or writes a value.
  uint32_t BufferFor(const Value& v, const KernelUnit& unit, size_t i) {
    auto found = places_.find(Root(v).get());
    TW_CHECK(found != places_.end(), "%{} has no place", v.name());
    const Place& place = found->second;
    const Buffer& seen = unit.scheduled->buffers[i];
    const Shape shape = symbols_.Convert(seen.shape(), v.name());
    const runtime::ShapeExpr bytes = symbols_.Bytes(seen.shape(), seen.dtype(), v.name());
    if (place.constant) return ConstantBuffer(v, *place.constant, unit, i, shape, bytes.constant());
    auto [it, fresh] = value_buffers_.try_emplace(v.get(), 0);
    if (fresh) it->second = AddBuffer(v.name(), place, seen.dtype(), shape, bytes);
    return it->second;
  }

  uint32_t ConstantBuffer(const Value& v, const NDArray& data, const KernelUnit& unit, size_t i,
                          const Shape& shape, int64_t bytes) {
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
      const Shape shape = symbols_.Convert(t.shape, r.name());
      const runtime::ShapeExpr bytes = symbols_.Bytes(t.shape, t.dtype, r.name());
      Place source = places_.at(Root(r).get());
      int64_t offset = 0;
      if (source.constant) {
        offset = built_.parameter_bytes;
        built_.constants.push_back({*source.constant, PrimFunc(), offset, bytes.constant()});
        built_.parameter_bytes += (bytes.constant() + 63) / 64 * 64;
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

  /// Memory of constant size is planned within one arena; what depends on symbols shares slots, each an arena
  /// that grows when a run needs more.
  void PlaceArenas() {
    std::vector<MemoryRequest> fixed;
    std::vector<SymbolicRequest> symbolic;
    std::vector<size_t> position(requests_.size());
    const std::vector<int64_t> typical = symbols_.TypicalValues();
    for (size_t i = 0; i < requests_.size(); ++i) {
      SymbolicRequest& r = requests_[i];
      if (r.bytes.is_constant()) {
        position[i] = fixed.size();
        fixed.push_back({r.bytes.constant(), r.first, r.last});
      } else {
        position[i] = symbolic.size();
        r.typical = r.bytes.Evaluate(typical);
        symbolic.push_back(r);
      }
    }
    const MemoryPlan plan = PlanMemory(fixed);
    const SlotPlan slots = PlanSlots(symbolic);
    if (!fixed.empty()) built_.program.arenas.push_back({.bytes = plan.arena_bytes});
    const uint32_t first_slot = uint32_t(built_.program.arenas.size());
    for (const runtime::ShapeExpr& bytes : slots.bytes) built_.program.arenas.push_back({.bytes = bytes});
    for (auto& [id, request] : arena_buffers_) {
      runtime::Buffer& buffer = built_.program.buffers[id];
      if (requests_[request].bytes.is_constant()) {
        buffer.offset = plan.offsets[position[request]];
      } else {
        buffer.index = first_slot + uint32_t(slots.slots[position[request]]);
      }
    }
    built_.memory = {plan.arena_bytes, plan.lower_bound, built_.parameter_bytes};
  }

  /// Before all else the shapes of inputs give symbols their values, and arenas their sizes.
  void BindSymbols() {
    std::vector<runtime::Instruction> first;
    auto add = [&](std::string name, auto op) {
      runtime::Instruction instruction;
      instruction.name = std::move(name);
      instruction.op = op;
      first.push_back(std::move(instruction));
    };
    for (uint32_t i = 0; i < built_.program.inputs.size(); ++i) {
      const runtime::TensorSpec& input = built_.program.inputs[i];
      const bool fixed = std::all_of(input.shape.begin(), input.shape.end(),
                                     [](const runtime::ShapeExpr& e) { return e.is_constant(); });
      if (!fixed) add("bind:" + input.name, runtime::BindShapeOp{i});
    }
    for (const DimEquality& e : equalities_) {
      const std::string what = e.origin.empty() ? e.what : fmt::format("{} of node '{}'", e.what, e.origin);
      add("check:" + e.what,
          runtime::CheckEqualOp{symbols_.Convert(e.left, what), symbols_.Convert(e.right, what), what});
    }
    for (uint32_t i = 0; i < built_.program.arenas.size(); ++i) {
      if (!built_.program.arenas[i].bytes.is_constant()) add(fmt::format("alloc:{}", i), runtime::AllocOp{i});
    }
    auto& all = built_.program.instructions;
    all.insert(all.begin(), std::make_move_iterator(first.begin()), std::make_move_iterator(first.end()));
  }

  const GraphFunction main_;
  const std::vector<DimEquality> equalities_;
  const KernelSet& kernels_;
  const std::map<std::string, size_t>& unit_of_;
  BuiltProgram built_;
  std::unordered_map<const ValueNode*, Place> places_;
  std::unordered_map<const ValueNode*, Value> view_of_;
  ShapeSymbols symbols_;
  std::vector<SymbolicRequest> requests_;
  std::vector<std::pair<uint32_t, size_t>> arena_buffers_;  ///< buffer and its request
  std::unordered_map<const ValueNode*, uint32_t> value_buffers_;
  std::map<std::pair<const ValueNode*, const PrimFuncNode*>, uint32_t> constant_buffers_;
  std::unordered_map<const PrimFuncNode*, uint32_t> kernel_index_;
  std::vector<size_t> copies_;  ///< outputs that no kernel writes
};

}  // namespace

BuiltProgram BuildProgram(const IRModule& module, const KernelSet& kernels,
                          const std::map<std::string, size_t>& unit_of) {
  return ProgramBuilder(module, kernels, unit_of).Run();
}

}  // namespace tilewright
