// SPDX-License-Identifier: Apache-2.0
// Compiled form of a function for the reference interpreter: trees of small objects with one virtual call per
// node, variables and buffers resolved to slots.
#pragma once

#include <memory>
#include <vector>

#include "tilewright/tir/interpret/frame.h"

namespace tilewright::interpret {

/// An expression.
struct Code {
  DataType dtype;
  explicit Code(DataType t) : dtype(t) {}
  virtual ~Code() = default;
  int lanes() const { return dtype.lanes; }
  /// The value of a scalar.
  virtual Lane Eval(Frame& f) const = 0;
  /// All lanes, of a scalar or a vector.
  virtual void EvalLanes(Frame& f, Lane* out) const { *out = Eval(f); }
};
using CodePtr = std::unique_ptr<const Code>;

/// A statement.
struct Action {
  virtual ~Action() = default;
  virtual void Run(Frame& f) const = 0;
};
using ActionPtr = std::unique_ptr<const Action>;

/// An element or several of a buffer.
struct Access {
  int buffer;
  DataType dtype;  ///< of the access: the buffer's element type with all lanes
  std::vector<CodePtr> indices;
  CodePtr predicate;  ///< or null

  bool scalar() const { return dtype.lanes == 1; }
  /// The position of a scalar access in the buffer's memory; -1 when the predicate is false. Out of bounds is
  /// Problem TW1601.
  int64_t Position(Frame& f) const;
  /// The same for every lane.
  void Positions(Frame& f, int64_t* out) const;
};

/// Resolves variables and buffers, and turns expressions and statements into code.
class Compiler {
 public:
  CodePtr Compile(const Expr& e);
  /// A null expression gives null.
  CodePtr CompileOptional(const Expr& e) { return e ? Compile(e) : nullptr; }
  std::vector<CodePtr> Compile(const std::vector<Expr>& list);
  ActionPtr Compile(const Stmt& s);
  Access CompileAccess(const Buffer& buffer, const std::vector<Expr>& indices, const Expr& predicate);

  int DeclareVar(const Var& var);
  int DeclareBuffer(const Buffer& buffer);
  int SlotOf(const Var& var) const;
  int SlotOf(const Buffer& buffer) const;
  int num_slots() const { return num_slots_; }
  int num_buffers() const { return num_buffers_; }

  /// Consecutive slots without a name.
  int Reserve(int count);
  /// The variables that `Place`s name, innermost last.
  std::vector<std::pair<std::string, int>>& place_vars() { return place_vars_; }
  /// The units that instructions of the program being compiled name; null outside of such a program.
  std::vector<std::string>*& units() { return units_; }
  /// Where Yield puts the values of the innermost carrying loop: first slots, one per value.
  std::vector<std::vector<int>>& yields() { return yields_; }

 private:
  std::unordered_map<const Object*, int> slots_, buffers_;
  int num_slots_ = 0, num_buffers_ = 0;
  std::vector<std::pair<std::string, int>> place_vars_;
  std::vector<std::vector<int>> yields_;
  std::vector<std::string>* units_ = nullptr;
};

/// Shape, strides and offset of a buffer, to be evaluated when it comes into being.
struct BufferCode {
  Buffer buffer;
  int slot;
  std::vector<CodePtr> shape, strides;
  CodePtr offset;

  BufferCode(Compiler& c, const Buffer& b);
  void Allocate(Frame& f) const;
  /// `data` has `elements` elements of the buffer's element type.
  void Bind(Frame& f, char* data, int64_t elements, bool defined) const;
};

/// Whether the loop is the outermost of the threads that the barriers in it hold together: a nest of
/// thread-bound loops of one family ("threadIdx.y", "threadIdx.x"), with no threads that meet further inside.
bool MeetAtBarriers(const ForNode& loop);
/// Such a nest (threads.cc).
ActionPtr CompileThreads(Compiler& c, const ForNode& outermost);
bool HoldsBarrier(const Stmt& s);

/// Whether the loop is the innermost over threads of which each is a program for units that run beside each
/// other: loops with the annotation "unit" inside are their instructions. In the scheduled stage such loops
/// stand in blocks, and are nothing but loops.
bool RunsUnits(const ForNode& loop);
/// Such a loop (units.cc).
ActionPtr CompileUnits(Compiler& c, const ForNode& loop);
/// A part of such a program that is for a unit, an instruction or a token; null for what is not.
ActionPtr CompileForUnit(Compiler& c, const Stmt& s);

/// Lanes on the stack where they are few.
class LaneArray {
 public:
  explicit LaneArray(int n) {
    if (n > kInline) heap_.resize(size_t(n));
    data_ = n > kInline ? heap_.data() : inline_;
  }
  LaneArray(const LaneArray&) = delete;
  LaneArray& operator=(const LaneArray&) = delete;
  Lane& operator[](int i) { return data_[i]; }
  Lane* data() { return data_; }

 private:
  static constexpr int kInline = 16;
  Lane inline_[kInline];
  std::vector<Lane> heap_;
  Lane* data_;
};

}  // namespace tilewright::interpret
