// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/build_program.h"

#include <algorithm>
#include <unordered_set>

#include "tilewright/driver/dl_types.h"
#include "tilewright/driver/program_builder.h"
#include "tilewright/graph/op_def.h"
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

}  // namespace

BuiltProgram ProgramBuilder::Run() {
  DeclareSymbols();
  for (const Value& p : main_->params) AddInput(p);
  FindPlaces();
  EmitBlock(main_->body);
  CopyOutputs();
  PlaceArenas();
  CompleteLoops();
  BindSymbols();
  return std::move(built_);
}

// ---- Places

/// The dimensions that shapes of inputs tell.
void ProgramBuilder::DeclareSymbols() {
  for (const Value& p : main_->params) {
    for (const Expr& e : p.tensor().shape) {
      if (e.As<VarNode>()) symbols_.Declare(Var(e.As<VarNode>()));
    }
  }
  built_.program.symbols = symbols_.symbols();
}

void ProgramBuilder::AddInput(const Value& v) {
  const TensorType& t = v.tensor();
  built_.program.inputs.push_back(
      {v->origin.empty() ? v.name() : v->origin, ToDl(t.dtype), symbols_.Convert(t.shape, v.name())});
  places_[v.get()] = {.storage = runtime::Storage::kInput,
                      .index = uint32_t(built_.program.inputs.size() - 1)};
}

Value ProgramBuilder::Root(Value v) const {
  for (auto it = view_of_.find(v.get()); it != view_of_.end(); it = view_of_.find(v.get())) v = it->second;
  return v;
}

void ProgramBuilder::FindViews(const GraphBlock& block) {
  for (const Binding& b : block.bindings) {
    if (auto* c = b.operation.As<ConstantNode>()) {
      places_[b.results[0].get()] = {.storage = runtime::Storage::kParameter, .constant = &c->data};
    } else if (auto* call = b.operation.As<FunctionCallNode>()) {
      if (IsView(kernels_.units()[unit_of_.at(call->callee)].graph))
        view_of_[b.results[0].get()] = call->args[0];
    } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
      for (size_t i = 0; i < loop->carried.size(); ++i) {
        if (loop->body.results[i + 1] == loop->body.params[i + 2])
          view_of_[b.results[i].get()] = loop->carried[i];
      }
    }
  }
}

void ProgramBuilder::FindPlaces() {
  FindViews(main_->body);
  ReadDonations();
  // An output takes the memory of the value that makes it, unless that is an input, a constant or taken
  // already, or memory that a loop exchanges.
  for (size_t i = 0; i < main_->body.results.size(); ++i) {
    const Value& r = main_->body.results[i];
    const TensorType& t = r.tensor();
    const std::string name = i < main_->result_names.size() ? main_->result_names[i] : r.name();
    built_.program.outputs.push_back({name, ToDl(t.dtype), symbols_.Convert(t.shape, name)});
    if (donor_[i] != kNone && Root(r) == main_->params[donor_[i]]) continue;  // it stays what it is
    const bool in_time = donor_[i] == kNone || MayTakeDonor(i);
    if (!in_time || !Redirect(main_->body, r, {.storage = runtime::Storage::kOutput, .index = uint32_t(i)}))
      copies_.push_back(i);
  }
  OrderCopies();
  PlaceJoins(main_->body);
  VisitBlock(main_->body);
  for (size_t i : copies_) Use(main_->body.results[i], step_);
}

void ProgramBuilder::VisitBlock(const GraphBlock& block) {
  for (const Binding& b : block.bindings) {
    if (auto* branch = b.operation.As<GraphIfNode>()) {
      VisitIf(*branch, b);
    } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
      VisitLoop(*loop, b);
    } else if (auto* call = b.operation.As<FunctionCallNode>()) {
      if (view_of_.contains(b.results[0].get()) || ViewRow(*call, b)) continue;
      for (const Value& v : call->args) Use(v, step_);
      if (auto join = joins_.find(&b); join != joins_.end()) {
        for (const ValueCopy& c : join->second) Use(c.destination, step_);
      }
      if (const Value argument = UpdatedBy(b)) PlaceUpdate(block, b, argument);
      for (const Value& r : b.results) Define(r, step_);
      step_of_[&b] = step_++;
    } else {
      TW_CHECK(b.operation.As<ConstantNode>(), "@main holds an operation that is not lowered");
    }
  }
}

size_t ProgramBuilder::Request(const Value& v, int step) {
  const TensorType& t = v.tensor();
  requests_.push_back({symbols_.Bytes(t.layout.PhysicalShape(t.shape), t.dtype, v.name()), 0, step, step});
  return requests_.size() - 1;
}

void ProgramBuilder::Define(const Value& v, int step) {
  if (places_.contains(v.get())) return Use(v, step);
  places_[v.get()] = {.request = Request(v, step)};
}

void ProgramBuilder::Use(const Value& v, int step) {
  const Value root = Root(v);
  if (loop_of_.contains(root.get())) counted_.insert(root.get());
  auto it = places_.find(root.get());
  if (it == places_.end() || it->second.storage != runtime::Storage::kArena) return;
  SymbolicRequest& request = requests_[it->second.request];
  request.first = std::min(request.first, step);
  request.last = std::max(request.last, step);
  if (it->second.swap_loop != kNone) requests_[it->second.partner].last = step;
}

// ---- Instructions

uint32_t ProgramBuilder::KernelIndex(const PrimFunc& kernel) {
  auto [it, fresh] = kernel_index_.try_emplace(kernel.get(), uint32_t(built_.kernels.size()));
  if (fresh) {
    built_.kernels.push_back(kernel);
    built_.program.kernels.push_back(kernel.name());
  }
  return it->second;
}

void ProgramBuilder::Add(std::string name, decltype(runtime::Instruction::op) op) {
  runtime::Instruction instruction;
  instruction.name = std::move(name);
  instruction.op = std::move(op);
  built_.program.instructions.push_back(std::move(instruction));
}

void ProgramBuilder::EmitBlock(const GraphBlock& block) {
  for (const Binding& b : block.bindings) {
    if (auto* branch = b.operation.As<GraphIfNode>()) {
      EmitIf(*branch, b);
    } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
      EmitLoop(*loop, b);
    } else if (auto step = step_of_.find(&b); step != step_of_.end()) {
      if (auto join = joins_.find(&b); join != joins_.end()) {
        EmitCopies(join->second);
        continue;
      }
      if (auto copy = update_copies_.find(&b); copy != update_copies_.end()) EmitCopies({copy->second});
      Launch(*b.operation.As<FunctionCallNode>(), b, step->second);
    }
  }
}

void ProgramBuilder::Launch(const FunctionCallNode& call, const Binding& b, int step) {
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
    op.kernel = KernelIndex(launch.kernel);
    for (const Buffer& arg : launch.args) {
      auto it = buffers.find(arg);
      TW_CHECK(it != buffers.end(), "{} reads {}, which is no argument of {}", launch.kernel.name(),
               arg.name(), unit.scheduled.name());
      op.buffers.push_back(it->second);
    }
    op.num_chunks = symbols_.Convert(launch.num_chunks, launch.kernel.name());
    for (const Var& dim : launch.kernel->dims) op.dims.push_back(symbols_.Convert(dim, launch.kernel.name()));
    if (launch.workspace_bytes) {
      const runtime::ShapeExpr bytes =
          symbols_.Convert(launch.workspace_bytes, launch.kernel.name()) * op.num_chunks;
      op.buffers.push_back(ArenaBuffer(launch.kernel.name() + ".private", kU8, {bytes}, bytes, step));
    }
    // The product is what the last launch computes; those before it prepare its arguments.
    if (i + 1 == unit.lowered.launches.size()) op.flops = symbols_.Convert(unit.flops, launch.kernel.name());
    Add(fmt::format("{}:{}", launches_++, launch.kernel.name()), std::move(op));
  }
}

// ---- Buffers

uint32_t ProgramBuilder::AddBuffer(const std::string& name, const Place& place, DataType t,
                                   const Shape& shape, const runtime::ShapeExpr& bytes) {
  runtime::Buffer buffer;
  buffer.name = name;
  buffer.storage = place.storage;
  buffer.index = place.index;
  buffer.dtype = ToDl(t);
  buffer.shape = shape;
  buffer.offset = place.walk_loop == kNone ? place.offset : place.offset + place.walk_start;
  buffer.bytes = bytes;
  built_.program.buffers.push_back(buffer);
  const uint32_t id = uint32_t(built_.program.buffers.size() - 1);
  if (place.storage == runtime::Storage::kArena) arena_buffers_.emplace_back(id, place.request);
  if (place.walk_loop != kNone) loops_[place.walk_loop].walks.push_back({id, place.stride});
  if (place.swap_loop != kNone) {
    buffer.name += ".other";
    built_.program.buffers.push_back(std::move(buffer));
    arena_buffers_.emplace_back(id + 1, place.partner);
    loops_[place.swap_loop].swaps.push_back({id, id + 1});
  }
  return id;
}

uint32_t ProgramBuilder::ArenaBuffer(const std::string& name, DataType t, const Shape& shape,
                                     const runtime::ShapeExpr& bytes, int step) {
  requests_.push_back({bytes, 0, step, step});
  return AddBuffer(name, {.request = requests_.size() - 1}, t, shape, bytes);
}

uint32_t ProgramBuilder::Workspace(const Buffer& w, int step) {
  return ArenaBuffer(w.name(), w.dtype(), symbols_.Convert(w.shape(), w.name()),
                     symbols_.Bytes(w.shape(), w.dtype(), w.name()), step);
}

const ProgramBuilder::Place& ProgramBuilder::PlaceOf(const Value& v) const {
  auto own = places_.find(v.get());  // a row of a sequence has a place of its own in the sequence's memory
  if (own == places_.end()) own = places_.find(Root(v).get());
  TW_CHECK(own != places_.end(), "%{} has no place", v.name());
  return own->second;
}

uint32_t ProgramBuilder::BufferFor(const Value& v, const KernelUnit& unit, size_t i) {
  const Place& place = PlaceOf(v);
  const Buffer& seen = unit.scheduled->buffers[i];
  const Shape shape = symbols_.Convert(seen.shape(), v.name());
  const runtime::ShapeExpr bytes = symbols_.Bytes(seen.shape(), seen.dtype(), v.name());
  if (place.constant) {
    PrimFunc prepare;
    for (const Schedule::Prepare& p : unit.prepare) {
      if (p.buffer_index == int(i)) prepare = p.function;
    }
    return ConstantBuffer(v, *place.constant, prepare, seen.dtype(), shape, bytes);
  }
  auto [it, fresh] = value_buffers_.try_emplace(v.get(), 0);
  if (fresh) it->second = AddBuffer(v.name(), place, seen.dtype(), shape, bytes);
  return it->second;
}

uint32_t ProgramBuilder::PlainBuffer(const Value& v) {
  const Place& place = PlaceOf(v);
  const TensorType& t = v.tensor();
  const std::vector<Expr> physical = t.PhysicalShape();
  const Shape shape = symbols_.Convert(physical, v.name());
  const runtime::ShapeExpr bytes = symbols_.Bytes(physical, t.dtype, v.name());
  if (place.constant) return ConstantBuffer(v, *place.constant, PrimFunc(), t.dtype, shape, bytes);
  auto [it, fresh] = value_buffers_.try_emplace(v.get(), 0);
  if (fresh) it->second = AddBuffer(v.name(), place, t.dtype, shape, bytes);
  return it->second;
}

uint32_t ProgramBuilder::ConstantBuffer(const Value& v, const NDArray& data, const PrimFunc& prepare,
                                        DataType t, const Shape& shape, const runtime::ShapeExpr& bytes) {
  // Prepare functions belong to their unit, so that identity tells whether two uses agree.
  auto [it, fresh] = constant_buffers_.try_emplace({Root(v).get(), prepare.get()}, 0);
  if (!fresh) return it->second;
  const int64_t offset = built_.parameter_bytes;
  // A view of a constant may have symbolic extents, which are checked against it at run time.
  const int64_t stored = bytes.is_constant() ? bytes.constant() : data.bytes();
  built_.constants.push_back({data, prepare, offset, stored});
  built_.parameter_bytes += (stored + 63) / 64 * 64;
  it->second = AddBuffer(v->origin.empty() ? v.name() : v->origin,
                         {.storage = runtime::Storage::kParameter, .offset = offset}, t, shape, bytes);
  return it->second;
}

void ProgramBuilder::CopyOutputs() {
  for (size_t i : copies_) {
    const Value& r = main_->body.results[i];
    const TensorType& t = r.tensor();
    runtime::CopyOp copy;
    copy.source = PlainBuffer(r);
    copy.destination =
        AddBuffer(r.name() + ".out", {.storage = runtime::Storage::kOutput, .index = uint32_t(i)}, t.dtype,
                  symbols_.Convert(t.shape, r.name()), symbols_.Bytes(t.shape, t.dtype, r.name()));
    Add(fmt::format("copy:{}", built_.program.outputs[i].name), copy);
  }
}

// Memory of constant size is planned within one arena; what depends on symbols shares slots, each an arena
// that grows when a run needs more.
void ProgramBuilder::PlaceArenas() {
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
      buffer.offset = buffer.offset + runtime::ShapeExpr(plan.offsets[position[request]]);
    } else {
      buffer.index = first_slot + uint32_t(slots.slots[position[request]]);
    }
  }
  built_.memory = {plan.arena_bytes, plan.lower_bound, built_.parameter_bytes};
}

namespace {

/// The inputs whose shape is not constant, each behind those that give values to what its extents are
/// computed from.
std::vector<uint32_t> InputsInOrderOfBinding(const GraphFunctionNode& main) {
  std::vector<uint32_t> left, order;
  for (uint32_t i = 0; i < main.params.size(); ++i) {
    const std::vector<Expr>& shape = main.params[i].tensor().shape;
    if (!std::all_of(shape.begin(), shape.end(), [](const Expr& e) { return AsInt(e).has_value(); }))
      left.push_back(i);
  }
  std::unordered_set<const ExprNode*> bound;
  while (!left.empty()) {
    const auto ready = std::find_if(left.begin(), left.end(), [&](uint32_t i) {
      const std::vector<Expr>& shape = main.params[i].tensor().shape;
      return std::all_of(shape.begin(), shape.end(), [&](const Expr& e) {
        if (e.kind() == ExprKind::kVar) return true;
        const std::vector<Var> vars = FreeVars(e);
        return std::all_of(vars.begin(), vars.end(), [&](const Var& v) {
          return bound.contains(v.get()) || std::any_of(shape.begin(), shape.end(), [&](const Expr& own) {
                   return own.get() == v.get();
                 });
        });
      });
    });
    if (ready == left.end()) {
      throw Error("TW3101",
                  fmt::format("the shapes of inputs '{}' and '{}' are computed from each other's",
                              main.params[left.front()].name(), main.params[left.back()].name()),
                  "", {"declare an input of which each symbolic dimension is an extent"});
    }
    for (const Expr& e : main.params[*ready].tensor().shape) bound.insert(e.get());
    order.push_back(*ready);
    left.erase(ready);
  }
  return order;
}

}  // namespace

// Before all else the shapes of inputs give symbols their values, and arenas their sizes.
void ProgramBuilder::BindSymbols() {
  std::vector<runtime::Instruction> first;
  auto add = [&](std::string name, auto op) {
    runtime::Instruction instruction;
    instruction.name = std::move(name);
    instruction.op = op;
    first.push_back(std::move(instruction));
  };
  for (uint32_t i = 0; i < donor_.size(); ++i) {
    if (donor_[i] == kNone) continue;
    add("donate:" + built_.program.outputs[i].name, runtime::DonateOp{uint32_t(donor_[i]), i});
  }
  for (uint32_t i : InputsInOrderOfBinding(*main_))
    add("bind:" + built_.program.inputs[i].name, runtime::BindShapeOp{i});
  // Checks of what holds wherever the program goes stand next, and make errors of shapes clear ones.
  auto& all = built_.program.instructions;
  const std::vector<runtime::Instruction> rest = std::exchange(all, {});
  AddChecks(main_->body);
  first.insert(first.end(), std::make_move_iterator(all.begin()), std::make_move_iterator(all.end()));
  all = rest;
  for (uint32_t i = 0; i < built_.program.arenas.size(); ++i) {
    if (!built_.program.arenas[i].bytes.is_constant()) add(fmt::format("alloc:{}", i), runtime::AllocOp{i});
  }
  all.insert(all.begin(), std::make_move_iterator(first.begin()), std::make_move_iterator(first.end()));
}

BuiltProgram BuildProgram(const IRModule& module, const KernelSet& kernels,
                          const std::map<std::string, size_t>& unit_of) {
  return ProgramBuilder(module, kernels, unit_of).Run();
}

}  // namespace tilewright
