// SPDX-License-Identifier: Apache-2.0
// Schedules: how a kernel is computed. A Schedule rewrites a scheduled-stage PrimFunc by named primitives.
// Each primitive checks that it is legal and, where it is not, throws an Error (TW14xx) that shows the IR
// with the guilty loops or blocks marked; the function is then unchanged. Each is recorded in a trace that
// replays on another copy of the function and prints as the code a person would write.
//
// People, built-in rules, templates and automatic search all use this one class.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "tilewright/schedule/trace.h"
#include "tilewright/tir/prim_func.h"

namespace tilewright {

/// Names a block. Valid as long as a block of that name exists.
struct BlockRef {
  std::string name;
  friend bool operator==(const BlockRef&, const BlockRef&) = default;
};

/// Names a loop by its variable. Valid until a primitive replaces the loop.
struct LoopRef {
  Var var;
  friend bool operator==(const LoopRef& a, const LoopRef& b) { return a.var.get() == b.var.get(); }
};

class Schedule {
 public:
  explicit Schedule(PrimFunc func);

  const PrimFunc& func() const { return func_; }
  const Trace& trace() const { return trace_; }

  // ---- Looking around. None of these is recorded but GetBlock and GetLoops, whose results later steps use.

  /// The block of that name; Error TW1401 lists the names there are.
  BlockRef GetBlock(const std::string& name);
  /// Loops around a block, outermost first.
  std::vector<LoopRef> GetLoops(const BlockRef& block);
  /// All blocks but the root, in order of execution.
  std::vector<BlockRef> Blocks() const;
  std::vector<BlockRef> Producers(const BlockRef& block) const;  ///< blocks that write what it reads
  std::vector<BlockRef> Consumers(const BlockRef& block) const;  ///< blocks that read what it writes
  /// What a reference stands for now. The node lives as long as the schedule, also when a primitive replaces
  /// it.
  const BlockNode& Get(const BlockRef& block) const;
  const ForNode& Get(const LoopRef& loop) const;
  bool Exists(const BlockRef& block) const;
  /// Buffers of the function, parameters first, then what blocks allocate.
  std::vector<Buffer> Buffers() const;

  // ---- Loops.

  /// Splits a loop into nested ones of these extents, outermost first; one may be null: it is inferred
  /// (rounded up; a predicate guards the blocks below where the product exceeds the extent).
  std::vector<LoopRef> Split(const LoopRef& loop, const std::vector<Expr>& factors);
  /// Splits into `parts` outer iterations whose inner trip counts differ by at most one.
  std::vector<LoopRef> SplitNearEqual(const LoopRef& loop, int64_t parts);
  /// Joins directly nested loops into one, outermost first.
  LoopRef Fuse(const std::vector<LoopRef>& loops);
  /// Permutes loops of one chain; loops not named keep their places.
  void Reorder(const std::vector<LoopRef>& order);
  /// Cuts a loop at these points (iteration numbers) into loops one after the other; blocks below are copied
  /// and named after their part. Parts in which no block would run are left out.
  std::vector<LoopRef> LoopPartition(const LoopRef& loop, const std::vector<Expr>& points);
  /// Lengthens a loop that alone runs over an axis of an intermediate buffer to a multiple of `multiple`, so
  /// that tiles cover the axis without predicates; reads of the added iterations are clamped to the last
  /// element.
  void PadAxis(const BlockRef& block, const LoopRef& loop, int64_t multiple);
  void Parallel(const LoopRef& loop);
  void Vectorize(const LoopRef& loop);
  void Unroll(const LoopRef& loop);
  /// Binds to a hardware thread axis of the target ("blockIdx.x", "threadIdx.y", "vthread"). A loop inside of
  /// one that is bound alike is work that the threads share, as loading a tile that all of them read: each
  /// does the iteration of its own number, where all would have done all. That is for blocks that do not
  /// depend on the outer loop and write memory that the threads share.
  void Bind(const LoopRef& loop, const std::string& thread_tag);

  // ---- Where blocks compute.

  /// Moves a producer block under a loop of its consumers, computing there just what they need; of a buffer
  /// that threads around the loop share, what they need together. Also from further inside of that loop
  /// outwards.
  void ComputeAt(const BlockRef& block, const LoopRef& loop);
  /// Moves a consumer block under a loop of its producers, consuming there just what they made.
  void ReverseComputeAt(const BlockRef& block, const LoopRef& loop);
  /// Puts the value of an element-wise or injective block into its consumers.
  void ComputeInline(const BlockRef& block);
  /// Puts a consumer that reads its producer element by element into the producer.
  void ReverseComputeInline(const BlockRef& block);

  // ---- Memory.

  /// Copies a buffer that the block reads into `scope`; the block reads the copy. Returns the copying block,
  /// placed before the block's outermost loop.
  BlockRef CacheRead(const BlockRef& block, const Buffer& buffer, const std::string& scope);
  /// The block writes a copy in `scope`; a new block copies it to the buffer afterwards. Returns the new
  /// block.
  BlockRef CacheWrite(const BlockRef& block, const Buffer& buffer, const std::string& scope);
  void SetScope(const BlockRef& block, int write_index, const std::string& scope);
  /// Lays out a buffer by an index map (old indices -> new indices, bijective; with `pad` the new shape may
  /// hold elements that no old index reaches: they are zero). An intermediate buffer is rewritten in place;
  /// for a parameter of the function the parameter takes the new shape and a prepare function (old -> new
  /// layout) is recorded in `prepare()`: the driver runs it at compile time for constants.
  void TransformLayout(const Buffer& buffer, const std::vector<Var>& old_indices,
                       const std::vector<Expr>& new_indices, bool pad = false);
  /// Takes out a block that computes an intermediate buffer from one parameter alone: the intermediate
  /// becomes the parameter, and what the block did a prepare function.
  void MoveToPrepare(const BlockRef& block);
  /// Fetches a buffer's region of the coming iteration (`distance` ahead) into the cache level `locality`.
  void Prefetch(const BlockRef& block, const Buffer& buffer, const LoopRef& loop, int64_t distance,
                int locality);
  /// Fetches what the coming iteration of `loop` reads of a buffer, one run of memory, in equal shares spread
  /// over the iterations of `over`, a loop inside of it.
  void PrefetchSpread(const BlockRef& block, const Buffer& buffer, const LoopRef& loop, const LoopRef& over,
                      int locality);

  // ---- Blocks.

  /// Moves the initialisation of a reduction into a block of its own before `loop`. Returns that block.
  BlockRef DecomposeReduction(const BlockRef& block, const LoopRef& loop);
  /// Gives every iteration of a reduction loop an accumulator of its own, in a new intermediate buffer whose
  /// last axis is the loop; the block then adds these up. Returns the block that makes them, in which the
  /// loop is spatial. Changes the order of the reduction.
  BlockRef RFactor(const BlockRef& block, const LoopRef& loop);
  /// Splits a padding block into one that fills the border with the constant, placed before `loop`, and one
  /// that copies the interior. Returns the first.
  BlockRef DecomposePadding(const BlockRef& block, const LoopRef& loop);
  /// Makes the loops from `loop` inwards one block over tiles. Returns the outer block.
  BlockRef Blockize(const LoopRef& loop);
  /// Replaces the computation below `loop` by a registered tensor intrinsic (schedule/tensor_intrin.h).
  void Tensorize(const LoopRef& loop, const std::string& intrinsic);
  void Annotate(const LoopRef& loop, const std::string& key, AttrValue value);
  void Annotate(const BlockRef& block, const std::string& key, AttrValue value);

  /// How parameters must be prepared, in the order of TransformLayout and MoveToPrepare: index of the buffer
  /// in the function's `buffers` as it was given, and the function that copies old to new layout.
  struct Prepare {
    int buffer_index;
    PrimFunc function;
  };
  const std::vector<Prepare>& prepare() const { return prepare_; }

 private:
  friend class Rewriter;  // schedule/rewriter.h: what primitives share
  PrimFunc func_;
  Trace trace_;
  std::vector<Prepare> prepare_;
  // Names in the trace. Loop variables are held, so that an address is not used again.
  std::unordered_map<std::string, std::string> block_names_;
  std::unordered_map<Var, std::string> loop_names_;
  int next_block_ = 0, next_loop_ = 0;
  mutable std::vector<Stmt> handed_out_;  ///< nodes that Get has returned
};

}  // namespace tilewright
