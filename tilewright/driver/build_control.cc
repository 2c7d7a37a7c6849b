// SPDX-License-Identifier: Apache-2.0
// Branches and loops of the graph as instructions. The results of both branches of an If lie in one place.
// What a loop carries has two places, which the loop exchanges, so that an iteration reads one and writes the
// other; what it stacks is written row by row where it belongs, and rows of a sequence are read where they
// lie.
#include <algorithm>

#include "tilewright/arith/analyzer.h"
#include "tilewright/driver/program_builder.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/runtime/kernel_abi.h"

namespace tilewright {

const Binding* BindingOf(const GraphBlock& block, const Value& v) {
  for (const Binding& b : block.bindings) {
    if (std::find(b.results.begin(), b.results.end(), v) != b.results.end()) return &b;
  }
  return nullptr;
}

namespace {

bool Uses(const GraphBlock& block, const Value& v) {
  return std::any_of(block.bindings.begin(), block.bindings.end(), [&](const Binding& b) {
    const std::vector<Value> used = UsedValues(b.operation);
    return std::find(used.begin(), used.end(), v) != used.end();
  });
}

}  // namespace

Value ProgramBuilder::MakeValue(const std::string& name, const Type& type, const Place& place) {
  Value v(name, type);
  made_.push_back(v);
  places_[v.get()] = place;
  return v;
}

Value ProgramBuilder::TrueConstant() {
  if (!true_) true_ = NDArray::FromInts(kBool, {}, std::vector<int64_t>{1});
  return MakeValue("true", Type(TensorType{kBool, {}, {}, "", "global"}),
                   {.storage = runtime::Storage::kParameter, .constant = &true_});
}

bool ProgramBuilder::Redirect(const GraphBlock& block, const Value& from, const Place& place) {
  const Value root = Root(from);
  if (places_.contains(root.get())) return false;
  const Binding* b = BindingOf(block, root);
  if (!b) return false;
  if (auto* loop = b->operation.As<GraphLoopNode>()) {
    // What is carried has places that the loop exchanges. What is stacked moves with the loop, and cannot
    // move with another.
    const auto result = std::find(b->results.begin(), b->results.end(), root) - b->results.begin();
    if (size_t(result) < loop->carried.size() || place.swap_loop != kNone || place.walk_loop != kNone)
      return false;
  }
  places_[root.get()] = place;
  if (const Value argument = UpdatedBy(*b); argument && MayUpdateInPlace(block, *b, argument)) {
    if (Redirect(block, argument, place)) in_place_.insert(b);
  }
  return true;
}

void ProgramBuilder::Deliver(const GraphBlock& block, const Value& from, const Value& to,
                             std::vector<ValueCopy>& copies) {
  if (!Redirect(block, from, Place(places_.at(to.get())))) copies.push_back({from, to});
}

bool ProgramBuilder::RowsAligned(const std::vector<Expr>& row, DataType t) {
  Expr bytes(t.element_bytes());
  for (const Expr& extent : row) bytes = bytes * extent;
  Analyzer analyzer;
  return analyzer.CanProveEqual(FloorMod(bytes, Expr(int64_t{TW_MEMORY_ALIGNMENT})), Expr(0));
}

const OpCallNode* ProgramBuilder::RowOf(const FunctionCallNode& call) const {
  const GraphFunction& f = kernels_.units()[unit_of_.at(call.callee)].graph;
  auto* row = f->body.bindings.size() == 1 ? f->body.bindings[0].operation.As<OpCallNode>() : nullptr;
  return row && row->op->name == "Row" ? row : nullptr;
}

bool ProgramBuilder::ViewRow(const FunctionCallNode& call, const Binding& b) {
  if (iterations_.empty()) return false;
  const OpCallNode* row = RowOf(call);
  const Value& result = b.results[0];
  if (!row || places_.contains(result.get())) return false;
  if (Root(call.args[1]).get() != iterations_.back()) return false;
  const Value& x = call.args[0];
  const Place& sequence = PlaceOf(x);
  const TensorType& t = result.tensor();
  if (sequence.constant || sequence.swap_loop != kNone || sequence.walk_loop != kNone ||
      !x.tensor().layout.natural() || !RowsAligned(t.shape, t.dtype)) {
    return false;
  }
  Place place = sequence;
  place.walk_loop = loop_of_.at(iterations_.back());
  const runtime::ShapeExpr bytes = symbols_.Bytes(t.shape, t.dtype, result.name());
  place.stride = bytes;
  if (std::get<bool>(row->attrs.ToMap().at("from_end"))) {
    place.walk_start = bytes * (symbols_.Convert(x.tensor().shape[0], x.name()) - runtime::ShapeExpr(1));
    place.stride = bytes * runtime::ShapeExpr(-1);
  }
  Use(x, step_);
  places_[result.get()] = std::move(place);
  return true;
}

// ---- First pass

void ProgramBuilder::VisitIf(const GraphIfNode& n, const Binding& b) {
  Use(n.condition, step_);
  for (const Value& r : b.results) Define(r, step_);
  ++step_;
  for (const GraphBlock* block : {&n.then_block, &n.else_block}) {
    std::vector<ValueCopy>& copies = branch_copies_[block];
    FindViews(*block);
    for (size_t i = 0; i < b.results.size(); ++i) Deliver(*block, block->results[i], b.results[i], copies);
    PlaceJoins(*block);
    VisitBlock(*block);
    for (const ValueCopy& c : copies) Use(c.source, step_);
    for (const Value& r : b.results) Use(r, step_);
    ++step_;
  }
}

void ProgramBuilder::PlanTrips(const GraphLoopNode& n, const Binding& b, LoopPlan& plan) {
  if (!n.trip_count) return;
  const Place& place = PlaceOf(n.trip_count);
  if (place.constant) {
    plan.trip_count = place.constant->AsInt(0);
  } else if (b.results.size() > n.carried.size()) {
    // Where results are stacked, their shape tells.
    plan.trip_count = symbols_.Convert(b.results.back().tensor().shape[0], b.results.back().name());
  } else {
    plan.trips = n.trip_count;
    Use(n.trip_count, step_);
  }
}

void ProgramBuilder::PlaceCarried(const GraphLoopNode& n, const Binding& b, LoopPlan& plan) {
  for (size_t i = 0; i < n.carried.size(); ++i) {
    const Value &inside = n.body.params[i + 2], &next = n.body.results[i + 1], &initial = n.carried[i];
    if (next == inside) {
      view_of_[inside.get()] = initial;
      continue;
    }
    const size_t one = Request(inside, plan.first), other = Request(inside, plan.first);
    const Place read{.request = one, .swap_loop = plan.number, .partner = other};
    const Place written{.request = other, .swap_loop = plan.number, .partner = one};
    places_[inside.get()] = places_[b.results[i].get()] = read;
    plan.before.push_back({initial, inside});
    Deliver(n.body, next, MakeValue(next.name() + ".next", inside->type, written), plan.after_body);
  }
}

void ProgramBuilder::PlaceScanned(const GraphLoopNode& n, const Binding& b, LoopPlan& plan) {
  for (size_t i = n.carried.size(); i < b.results.size(); ++i) {
    Define(b.results[i], plan.first);
    const Value& row = n.body.results[i + 1];
    const TensorType& t = row.tensor();
    Place place = places_.at(b.results[i].get());
    place.walk_loop = plan.number;
    place.stride = symbols_.Bytes(t.shape, t.dtype, row.name());
    Value to = MakeValue(row.name() + ".row", row->type, place);
    if (RowsAligned(t.shape, t.dtype)) {
      Deliver(n.body, row, to, plan.after_body);
    } else {
      plan.after_body.push_back({row, to});
    }
  }
}

void ProgramBuilder::PlaceCondition(const GraphLoopNode& n, LoopPlan& plan) {
  const Value &inside = n.body.params[1], &next = n.body.results[0];
  const bool read =
      Uses(n.body, inside) || std::count(n.body.results.begin() + 1, n.body.results.end(), inside);
  if (!n.condition && next == inside && !read) return;  // it holds forever
  plan.condition = inside;
  const Place place{.request = Request(inside, plan.first)};
  places_[inside.get()] = place;
  plan.before.push_back({n.condition ? n.condition : TrueConstant(), inside});
  if (next == inside) return;
  if (read || !Redirect(n.body, next, place)) plan.after_body.push_back({next, inside});
}

void ProgramBuilder::KeepThroughLoop(const GraphLoopNode& n, const Binding& b, const LoopPlan& plan,
                                     int start) {
  for (const ValueCopy& c : plan.after_body) Use(c.source, step_), Use(c.destination, step_);
  for (const Value& r : b.results) Use(r, step_);
  for (const Value& p : n.body.params) Use(p, step_);
  for (SymbolicRequest& r : requests_) {
    if (r.first < start && r.last >= start) r.last = std::max(r.last, step_);
  }
}

void ProgramBuilder::VisitLoop(const GraphLoopNode& n, const Binding& b) {
  LoopPlan plan;
  plan.number = loops_.size();
  plan.first = step_;
  loops_.emplace_back();
  const Value& iteration = n.body.params[0];
  PlanTrips(n, b, plan);
  FindViews(n.body);
  PlaceCarried(n, b, plan);
  PlaceScanned(n, b, plan);
  PlaceCondition(n, plan);
  for (const ValueCopy& c : plan.before) Use(c.source, step_), Use(c.destination, step_);
  const int start = ++step_;
  iterations_.push_back(iteration.get());
  loop_of_[iteration.get()] = plan.number;
  PlaceJoins(n.body);
  VisitBlock(n.body);
  iterations_.pop_back();
  for (const ValueCopy& c : plan.after_body) Use(c.source, step_);
  if (counted_.contains(iteration.get())) {
    plan.iteration = iteration;
    places_[iteration.get()] = {.request = Request(iteration, plan.first)};
  }
  KeepThroughLoop(n, b, plan, start);
  ++step_;
  plans_[&n] = std::move(plan);
}

// ---- Second pass

void ProgramBuilder::EmitCopies(const std::vector<ValueCopy>& copies) {
  for (const ValueCopy& c : copies) {
    runtime::CopyOp copy;
    copy.source = PlainBuffer(c.source);
    copy.destination = PlainBuffer(c.destination);
    Add("copy:" + c.destination.name(), copy);
  }
}

uint32_t ProgramBuilder::EmitRange(const GraphBlock& block, const std::vector<ValueCopy>& copies) {
  const size_t before = built_.program.instructions.size();
  EmitBlock(block);
  EmitCopies(copies);
  return uint32_t(built_.program.instructions.size() - before);
}

void ProgramBuilder::EmitIf(const GraphIfNode& n, const Binding& b) {
  const size_t at = built_.program.instructions.size();
  Add("if:" + b.results[0]->origin, runtime::IfOp{PlainBuffer(n.condition), 0, 0});
  uint32_t counts[2] = {};
  for (const GraphBlock* block : {&n.then_block, &n.else_block}) {
    const size_t before = built_.program.instructions.size();
    AddChecks(*block);
    EmitRange(*block, branch_copies_.at(block));
    counts[block == &n.else_block] = uint32_t(built_.program.instructions.size() - before);
  }
  auto& op = std::get<runtime::IfOp>(built_.program.instructions[at].op);
  op.then_count = counts[0];
  op.else_count = counts[1];
}

void ProgramBuilder::EmitLoop(const GraphLoopNode& n, const Binding& b) {
  const LoopPlan& plan = plans_.at(&n);
  EmitCopies(plan.before);
  runtime::LoopOp op;
  op.trip_count = plan.trip_count;
  if (plan.trips) op.trip_buffer = PlainBuffer(plan.trips);
  if (plan.condition) op.condition = PlainBuffer(plan.condition);
  if (plan.iteration) op.iteration = PlainBuffer(plan.iteration);
  const size_t at = built_.program.instructions.size();
  Add("loop:" + b.results[0]->origin, op);
  loop_instructions_.emplace_back(at, plan.number);
  const uint32_t count = EmitRange(n.body, plan.after_body);
  std::get<runtime::LoopOp>(built_.program.instructions[at].op).body_count = count;
}

void ProgramBuilder::CompleteLoops() {
  for (auto& [at, number] : loop_instructions_) {
    auto& op = std::get<runtime::LoopOp>(built_.program.instructions[at].op);
    op.swaps = std::move(loops_[number].swaps);
    op.walks = std::move(loops_[number].walks);
  }
}

// ---- Equalities of shapes

void ProgramBuilder::CollectCallees(const GraphBlock& block, IRModule& callees) const {
  for (const Binding& b : block.bindings) {
    if (auto* call = b.operation.As<FunctionCallNode>()) {
      callees.Set(module_.Find(call->callee));
    } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
      CollectCallees(loop->body, callees);
    }
  }
}

void ProgramBuilder::AddChecks(const GraphBlock& block) {
  IRModule callees;
  CollectCallees(block, callees);
  for (const DimEquality& e : UnprovenEqualities(callees)) {
    const std::string what = e.origin.empty() ? e.what : fmt::format("{} of node '{}'", e.what, e.origin);
    Add("check:" + e.what,
        runtime::CheckEqualOp{symbols_.Convert(e.left, what), symbols_.Convert(e.right, what), what});
  }
}

}  // namespace tilewright
