// SPDX-License-Identifier: Apache-2.0
// How BuildProgram works: one pass over the bindings finds out where every value lives and for how long, a
// second writes the instructions; both number the steps of the program alike. Straight lines are in
// build_program.cc, branches and loops in build_control.cc, arguments that are parts of results in
// build_joins.cc.
#pragma once

#include <map>
#include <optional>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tilewright/driver/build_program.h"
#include "tilewright/driver/plan_memory.h"
#include "tilewright/driver/shape_symbols.h"
#include "tilewright/graph/dim_equalities.h"
#include "tilewright/graph/graph.h"

namespace tilewright {

/// The binding of the block that makes a value, or null.
const Binding* BindingOf(const GraphBlock& block, const Value& v);

class ProgramBuilder {
 public:
  ProgramBuilder(const IRModule& module, const KernelSet& kernels,
                 const std::map<std::string, size_t>& unit_of)
      : module_(module), main_(GetGraphFunction(module)), kernels_(kernels), unit_of_(unit_of) {}

  BuiltProgram Run();

 private:
  using Shape = std::vector<runtime::ShapeExpr>;
  static constexpr size_t kNone = SIZE_MAX;

  /// Where the memory of a value is: one storage for a value and its views.
  struct Place {
    runtime::Storage storage = runtime::Storage::kArena;
    uint32_t index = 0;
    size_t request = 0;             ///< of the arena
    runtime::ShapeExpr offset = 0;  ///< bytes into the storage, or what was requested of the arena
    const NDArray* constant = nullptr;
    /// Of what a loop carries: the loop, and the memory with which it exchanges this one.
    size_t swap_loop = kNone, partner = 0;
    /// Of a row of a sequence: the loop that moves it, where the first row lies, and from row to row.
    size_t walk_loop = kNone;
    runtime::ShapeExpr walk_start, stride;
  };

  /// A copy of one value's memory to another's.
  struct ValueCopy {
    Value source, destination;
  };

  /// An argument that is a part of a result: where it begins there, and how long it is, in bytes.
  struct Part {
    Value value;
    runtime::ShapeExpr offset, bytes;
  };

  /// What the first pass finds out about a loop.
  struct LoopPlan {
    size_t number = 0;           ///< in loops_
    int first = 0;               ///< the step of the copies before it
    Value iteration, condition;  ///< the body's parameters where memory is needed for them; else null
    Value trips;                 ///< read when the loop starts; null: trip_count tells
    runtime::ShapeExpr trip_count = INT64_MAX;
    std::vector<ValueCopy> before, after_body;
  };

  /// What the emitted loop moves; buffers may be added until the program is complete.
  struct EmittedLoop {
    std::vector<runtime::LoopSwap> swaps;
    std::vector<runtime::LoopWalk> walks;
  };

  // ---- First pass: places and lifetimes.
  void DeclareSymbols();
  void AddInput(const Value& v);
  void FindPlaces();
  /// Constants and views of a block; what a loop carries and never changes is a view of what it starts with.
  void FindViews(const GraphBlock& block);
  void VisitBlock(const GraphBlock& block);
  void VisitIf(const GraphIfNode& n, const Binding& b);
  void VisitLoop(const GraphLoopNode& n, const Binding& b);
  /// Memory for what the loop carries, and copies of what does not come to lie there by itself.
  void PlaceCarried(const GraphLoopNode& n, const Binding& b, LoopPlan& plan);
  void PlaceScanned(const GraphLoopNode& n, const Binding& b, LoopPlan& plan);
  void PlaceCondition(const GraphLoopNode& n, LoopPlan& plan);
  void PlanTrips(const GraphLoopNode& n, const Binding& b, LoopPlan& plan);
  /// Gives a block's result `from` the place, where something in the block can write there; else false.
  bool Redirect(const GraphBlock& block, const Value& from, const Place& place);
  /// Redirect, or else a copy to `to`, which has the place.
  void Deliver(const GraphBlock& block, const Value& from, const Value& to, std::vector<ValueCopy>& copies);
  /// What a loop uses from outside, and what it carries, lives until its last step.
  void KeepThroughLoop(const GraphLoopNode& n, const Binding& b, const LoopPlan& plan, int start);
  /// A value that the graph does not have, in a place of its own.
  Value MakeValue(const std::string& name, const Type& type, const Place& place);
  Value TrueConstant();
  /// The Row that a call computes, or null.
  const OpCallNode* RowOf(const FunctionCallNode& call) const;
  /// Makes a row of a sequence a view, where kernels may read it in place.
  bool ViewRow(const FunctionCallNode& call, const Binding& b);
  /// Whether rows of this many bytes begin where kernels expect arrays to begin.
  bool RowsAligned(const std::vector<Expr>& row, DataType t);

  // ---- Memory that results take over (build_updates.cc).
  /// The attribute "donate" of @main: which inputs give their memory to outputs. Error TW3102.
  void ReadDonations();
  /// Whether output `i` may be written in its donor's memory while the program runs: the donor is not needed
  /// any more then. Notes where it is updated in place.
  bool MayTakeDonor(size_t i);
  /// The argument that a call updates (OpDef::updates_argument), or null.
  Value UpdatedBy(const Binding& b) const;
  /// Whether something behind `b`, or the block's results, needs the memory of `root`.
  bool NeededAfter(const GraphBlock& block, const Binding& b, const Value& root) const;
  /// Whether the update in `b` is the last to need its argument, which the block made.
  bool MayUpdateInPlace(const GraphBlock& block, const Binding& b, const Value& argument) const;
  /// Places an update's result in its argument's memory, or notes a copy before it.
  void PlaceUpdate(const GraphBlock& block, const Binding& b, const Value& argument);
  /// The outputs that no kernel writes, in an order in which none overwrites what another one still reads.
  void OrderCopies();

  // ---- Results that are their arguments one behind the other (build_joins.cc).
  /// Lets what a block joins be written where it belongs, in place of kernels that copy. Before: results of
  /// the block have their places.
  void PlaceJoins(const GraphBlock& block);
  void PlaceJoin(const GraphBlock& block, const Binding& b, const std::vector<Part>& parts);
  /// The parts of the result of a call that only joins its arguments; else none.
  std::vector<Part> PartsOf(const Binding& b) const;
  /// Whether parts of a value may be written there at different times.
  bool IsShareable(const Place& place) const;
  /// Whether the parts lie already as the result has them.
  bool LieBehindOneAnother(const std::vector<Part>& parts) const;

  Value Root(Value v) const;  ///< follows views to the value that owns the memory
  size_t Request(const Value& v, int step);
  void Define(const Value& v, int step);
  void Use(const Value& v, int step);

  // ---- Second pass: instructions.
  /// The number of a kernel in the program, which holds those that are launched.
  uint32_t KernelIndex(const PrimFunc& kernel);
  void EmitBlock(const GraphBlock& block);
  void EmitIf(const GraphIfNode& n, const Binding& b);
  void EmitLoop(const GraphLoopNode& n, const Binding& b);
  /// The instructions of a block, then the copies; how many they are.
  uint32_t EmitRange(const GraphBlock& block, const std::vector<ValueCopy>& copies);
  void EmitCopies(const std::vector<ValueCopy>& copies);
  void Launch(const FunctionCallNode& call, const Binding& b, int step);
  void Add(std::string name, decltype(runtime::Instruction::op) op);
  uint32_t AddBuffer(const std::string& name, const Place& place, DataType t, const Shape& shape,
                     const runtime::ShapeExpr& bytes);
  uint32_t ArenaBuffer(const std::string& name, DataType t, const Shape& shape,
                       const runtime::ShapeExpr& bytes, int step);
  uint32_t Workspace(const Buffer& w, int step);
  /// The buffer through which argument `i` of a unit reads or writes a value.
  uint32_t BufferFor(const Value& v, const KernelUnit& unit, size_t i);
  /// The buffer of a value as the graph has it.
  uint32_t PlainBuffer(const Value& v);
  uint32_t ConstantBuffer(const Value& v, const NDArray& data, const PrimFunc& prepare, DataType t,
                          const Shape& shape, const runtime::ShapeExpr& bytes);
  const Place& PlaceOf(const Value& v) const;
  void CopyOutputs();
  void PlaceArenas();
  /// Checks of the equalities of shapes on which calls rely; those in branches apart, since they hold there.
  void AddChecks(const GraphBlock& block);
  void CollectCallees(const GraphBlock& block, IRModule& callees) const;
  void CompleteLoops();
  void BindSymbols();

  const IRModule& module_;
  const GraphFunction main_;
  const KernelSet& kernels_;
  const std::map<std::string, size_t>& unit_of_;
  BuiltProgram built_;
  size_t launches_ = 0;  ///< emitted
  std::unordered_map<const ValueNode*, Place> places_;
  std::unordered_map<const ValueNode*, Value> view_of_;
  ShapeSymbols symbols_;
  std::vector<SymbolicRequest> requests_;
  int step_ = 0;
  std::unordered_map<const Binding*, int> step_of_;
  std::unordered_map<const GraphBlock*, std::vector<ValueCopy>> branch_copies_;
  std::unordered_map<const Binding*, std::vector<ValueCopy>> joins_;  ///< parts that are not written in place
  std::unordered_map<const GraphLoopNode*, LoopPlan> plans_;
  std::vector<const ValueNode*> iterations_;  ///< of the loops around the present block, the innermost last
  std::unordered_map<const ValueNode*, size_t> loop_of_;  ///< by the body's iteration
  std::unordered_set<const ValueNode*> counted_;          ///< iterations whose numbers are read from memory
  std::vector<Value> made_;                               ///< keeps values that are in no graph
  NDArray true_;                                          ///< the constant; null until it is needed
  std::vector<EmittedLoop> loops_;
  std::vector<std::pair<size_t, size_t>> loop_instructions_;  ///< instruction and number of the loop
  std::vector<std::pair<uint32_t, size_t>> arena_buffers_;    ///< buffer and its request
  std::unordered_map<const ValueNode*, uint32_t> value_buffers_;
  std::map<std::pair<const ValueNode*, const PrimFuncNode*>, uint32_t> constant_buffers_;
  std::unordered_map<const PrimFuncNode*, uint32_t> kernel_index_;
  std::vector<size_t> copies_;                   ///< outputs that no kernel writes
  std::vector<size_t> donor_;                    ///< per output: the input whose memory it has, or kNone
  std::unordered_set<const Binding*> in_place_;  ///< updates whose argument lies where the result is
  std::unordered_map<const Binding*, ValueCopy> update_copies_;  ///< before other updates
};

}  // namespace tilewright
