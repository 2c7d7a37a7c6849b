// SPDX-License-Identifier: Apache-2.0
// What schedule primitives share: finding loops and blocks, replacing them by copying the path above, the
// facts that legality rests on, errors that mark the guilty lines, and the commit that records a step.
//
// Errors of schedules:
//   TW1401 no such block                       TW1412 a producer or consumer is in the wrong place
//   TW1402 a trace step does not apply         TW1413 the block does not access that buffer
//   TW1403 no such loop                        TW1414 not possible for a parameter of the function
//   TW1404 bad split factors or cut points     TW1415 a reduction loop is in the way
//   TW1405 the loop has a kind already         TW1416 the region that is needed cannot be derived
//   TW1406 loops are not one chain             TW1417 not a padding block
//   TW1407 the loop orders a computation       TW1418 no such intrinsic
//   TW1408 the extent is not constant          TW1419 the computation is not the intrinsic's
//   TW1409 bounds depend on another loop       TW1420 not a bijective layout
//   TW1410 data flows between iterations       TW1421 a trace cannot be read
//   TW1411 the block cannot be inlined         TW1422 bad attribute
#pragma once

#include <string>
#include <vector>

#include "tilewright/schedule/bounds.h"
#include "tilewright/schedule/schedule.h"

namespace tilewright {

/// The way from the function's root block down to a statement.
struct Path {
  std::vector<Stmt> nodes;  ///< nodes.front() is the body of the function, nodes.back() the statement

  const Stmt& stmt() const { return nodes.back(); }
  const ForNode& loop() const { return *nodes.back().As<ForNode>(); }
  const BlockNode& block() const { return *nodes.back().As<BlockNode>(); }
  /// Position of the innermost block that holds the statement.
  size_t scope() const;
  /// Loops of the scope above the statement, outermost first.
  std::vector<const ForNode*> Loops() const;
  const BlockNode& ScopeBlock() const { return *nodes[scope()].As<BlockNode>(); }
  /// Position of the outermost statement of the scope that holds the target (below its sequence).
  size_t top() const;
  /// Position of a loop on the path, or npos.
  size_t Find(const Var& loop_var) const;
  /// The function's body with nodes[position] replaced; null removes it, and what it leaves empty.
  Stmt ReplaceAt(size_t position, const Stmt& replacement) const;
  Stmt Replace(const Stmt& replacement) const { return ReplaceAt(nodes.size() - 1, replacement); }

  static constexpr size_t npos = size_t(-1);
};

Path FindBlock(const Stmt& body, const std::string& name);  ///< empty path when there is none
Path FindLoop(const Stmt& body, const Var& var);            ///< empty path when there is none

/// A block below some statement with the loops between.
struct BlockSite {
  const BlockNode* block;
  std::vector<const ForNode*> loops;  ///< below the statement, outermost first
};
/// Blocks of one scope below `s` (not those inside blocks), in order of execution.
std::vector<BlockSite> BlocksBelow(const Stmt& s);

/// What a loop variable means to a block: the kinds of the iteration variables that it feeds.
struct LoopRole {
  bool spatial = false, reduce = false, opaque = false;
  bool unused() const { return !spatial && !reduce && !opaque; }
};
LoopRole RoleOf(const BlockNode& block, const Var& loop_var);
bool IsReduction(const BlockNode& block);
bool ReadsBuffer(const BlockNode& block, const Buffer& buffer);
bool WritesBuffer(const BlockNode& block, const Buffer& buffer);

/// The terms of a conjunction; none for null.
std::vector<Expr> Conjuncts(const Expr& predicate);
/// Their conjunction after simplification; null when all hold.
Expr Conjunction(const std::vector<Expr>& terms, const Bounds& bounds);

/// Copies a statement of loops and blocks with loop variables replaced in bounds, bindings and conditions,
/// and `predicate` (or null) added to the blocks. `bounds` knows the loops outside; bounds of loops met are
/// added.
Stmt SubstituteLoops(const Stmt& s, const VarMap& map, const Expr& predicate, Bounds& bounds);

/// A copy in which every loop and iteration variable is new; `rename` gives names of the copied blocks (null:
/// kept).
Stmt FreshCopy(const Stmt& s, VarMap map, const std::function<std::string(const std::string&)>& rename);

/// Loops [0, extent) around a statement, outermost first.
Stmt MakeNest(const std::vector<std::pair<Var, Expr>>& loops, Stmt body);
/// A copy of these loops, their kinds and notes kept, around a block; `fixed` gives values of loops left out.
/// All variables are new.
Stmt CopyNest(const std::vector<const ForNode*>& loops, const VarMap& fixed, BlockNode block);
/// A buffer like this one under another name, in another scope.
Buffer WithScope(const Buffer& buffer, std::string name, const std::string& scope);
/// The body with buffers added to those that the block of that name allocates.
Stmt AddAlloc(const Stmt& body, const std::string& block, const Buffer& buffer);
/// The body without the allocation of this buffer.
Stmt RemoveAlloc(const Stmt& body, const Buffer& buffer);

/// An argument of a step.
using StepInput = std::variant<BlockRef, LoopRef>;

/// One application of a primitive to a schedule.
class Rewriter {
 public:
  Rewriter(Schedule& schedule, std::string primitive) : s_(schedule), primitive_(std::move(primitive)) {}

  const PrimFunc& func() const { return s_.func_; }
  const Stmt& body() const { return s_.func_->body; }
  Path Find(const BlockRef& block) const;  ///< Error TW1401
  Path Find(const LoopRef& loop) const;    ///< Error TW1403

  /// What is known inside a statement's loops: their bounds, and ranges of the symbols.
  static Bounds BoundsAt(const Path& path, bool with_target);

  /// Throws with the IR and these statements marked in it.
  [[noreturn]] void Fail(std::string id, std::string message, const std::vector<const StmtNode*>& guilty,
                         std::vector<std::string> notes = {}) const;
  /// Error TW1405 unless the loop is serial.
  void RequireSerial(const ForNode& loop) const;
  /// Error TW1408 unless the extent is constant.
  int64_t RequireConstantExtent(const ForNode& loop) const;
  bool IsParameter(const Buffer& buffer) const;
  /// Buffers of the function, parameters first, then what blocks allocate, in order.
  std::vector<Buffer> Buffers() const;

  std::string FreshBlockName(const std::string& base) const;
  std::string FreshBufferName(const std::string& base) const;

  /// Makes `body` the function's body and records the step.
  void Commit(Stmt body, const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
              const std::vector<StepInput>& outputs = {});
  /// As above for a changed function.
  void Commit(PrimFunc func, const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
              const std::vector<StepInput>& outputs = {});
  void AddPrepare(Schedule::Prepare prepare) { s_.prepare_.push_back(std::move(prepare)); }
  /// Records a step that looks something up, unless all its outputs have names.
  void RecordLookup(const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
                    const std::vector<StepInput>& outputs);

 private:
  std::string NameOf(const StepInput& input);
  std::string DefineName(const StepInput& output);
  void Record(const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
              const std::vector<StepInput>& outputs);

  Schedule& s_;
  std::string primitive_;
};

}  // namespace tilewright
