// SPDX-License-Identifier: Apache-2.0
#include <limits>

#include "tilewright/tir/interpret/code.h"

namespace tilewright::interpret {

namespace {

struct ConstCode : Code {
  Lane value;
  ConstCode(DataType t, Lane v) : Code(t), value(v) {}
  Lane Eval(Frame&) const override { return value; }
};

struct VarCode : Code {
  int slot;
  VarCode(DataType t, int s) : Code(t), slot(s) {}
  Lane Eval(Frame& f) const override { return f.slots[size_t(slot)]; }
  void EvalLanes(Frame& f, Lane* out) const override { std::copy_n(f.slots.begin() + slot, lanes(), out); }
};

/// One operand, lane by lane.
template <class F>
struct UnaryCode : Code {
  CodePtr a;
  F apply;
  UnaryCode(DataType t, CodePtr x, F f) : Code(t), a(std::move(x)), apply(f) {}
  Lane Eval(Frame& f) const override { return apply(a->Eval(f)); }
  void EvalLanes(Frame& f, Lane* out) const override {
    a->EvalLanes(f, out);
    for (int i = 0; i < lanes(); ++i) out[i] = apply(out[i]);
  }
};

template <class F>
CodePtr MakeUnary(DataType t, CodePtr a, F f) {
  return std::make_unique<UnaryCode<F>>(t, std::move(a), f);
}

struct BinaryCode : Code {
  BinaryOp op;
  DataType operand;  ///< element type of the operands
  CodePtr a, b;
  BinaryCode(DataType t, BinaryOp o, DataType u, CodePtr x, CodePtr y)
      : Code(t), op(o), operand(u), a(std::move(x)), b(std::move(y)) {}
  Lane Eval(Frame& f) const override {
    const Lane x = a->Eval(f);
    return ApplyBinary(op, operand, x, b->Eval(f));
  }
  void EvalLanes(Frame& f, Lane* out) const override {
    LaneArray right(lanes());
    a->EvalLanes(f, out);
    b->EvalLanes(f, right.data());
    for (int i = 0; i < lanes(); ++i) out[i] = ApplyBinary(op, operand, out[i], right[i]);
  }
};

/// Both sides are evaluated; the chosen value counts.
struct SelectCode : Code {
  CodePtr condition, t, f;
  SelectCode(DataType type, CodePtr c, CodePtr x, CodePtr y)
      : Code(type), condition(std::move(c)), t(std::move(x)), f(std::move(y)) {}
  static Lane Choose(Lane c, Lane x, Lane y) {
    Lane r = c.i ? x : y;
    r.poison |= c.poison;
    return r;
  }
  Lane Eval(Frame& frame) const override {
    const Lane c = condition->Eval(frame), x = t->Eval(frame);
    return Choose(c, x, f->Eval(frame));
  }
  void EvalLanes(Frame& frame, Lane* out) const override {
    LaneArray c(condition->lanes()), y(lanes());
    condition->EvalLanes(frame, c.data());
    t->EvalLanes(frame, out);
    f->EvalLanes(frame, y.data());
    const bool lane_wise = condition->lanes() > 1;
    for (int i = 0; i < lanes(); ++i) out[i] = Choose(c[lane_wise ? i : 0], out[i], y[i]);
  }
};

struct IfThenElseCode : Code {
  CodePtr condition, t, f;
  IfThenElseCode(DataType type, CodePtr c, CodePtr x, CodePtr y)
      : Code(type), condition(std::move(c)), t(std::move(x)), f(std::move(y)) {}
  const Code& Chosen(Frame& frame) const {
    return frame.Decide(condition->Eval(frame), "a condition") ? *t : *f;
  }
  Lane Eval(Frame& frame) const override { return Chosen(frame).Eval(frame); }
  void EvalLanes(Frame& frame, Lane* out) const override { Chosen(frame).EvalLanes(frame, out); }
};

struct LetCode : Code {
  int slot;
  CodePtr value, body;
  LetCode(int s, CodePtr v, CodePtr b) : Code(b->dtype), slot(s), value(std::move(v)), body(std::move(b)) {}
  void Bind(Frame& f) const {
    LaneArray v(value->lanes());
    value->EvalLanes(f, v.data());
    std::copy_n(v.data(), value->lanes(), f.slots.begin() + slot);
  }
  Lane Eval(Frame& f) const override { return Bind(f), body->Eval(f); }
  void EvalLanes(Frame& f, Lane* out) const override { Bind(f), body->EvalLanes(f, out); }
};

/// A lane-wise intrinsic.
struct CallCode : Code {
  Intrinsic op;
  std::vector<CodePtr> args;
  CallCode(DataType t, Intrinsic o, std::vector<CodePtr> a) : Code(t), op(o), args(std::move(a)) {}
  Lane Eval(Frame& f) const override {
    Lane values[3];
    for (size_t i = 0; i < args.size(); ++i) values[i] = args[i]->Eval(f);
    return ApplyCall(op, dtype, args[0]->dtype, {values, args.size()});
  }
  void EvalLanes(Frame& f, Lane* out) const override {
    const int n = lanes(), count = int(args.size());
    LaneArray values(n * count);
    for (int a = 0; a < count; ++a) args[size_t(a)]->EvalLanes(f, values.data() + a * n);
    for (int i = 0; i < n; ++i) {
      Lane lane[3];
      for (int a = 0; a < count; ++a) lane[a] = values[a * n + i];
      out[i] = ApplyCall(op, dtype.element(), args[0]->dtype.element(), {lane, args.size()});
    }
  }
};

/// vector_reduce_*: from the first lane to the last.
struct VectorReduceCode : Code {
  BinaryOp op;
  CodePtr a;
  VectorReduceCode(DataType t, BinaryOp o, CodePtr x) : Code(t), op(o), a(std::move(x)) {}
  Lane Eval(Frame& f) const override {
    LaneArray v(a->lanes());
    a->EvalLanes(f, v.data());
    Lane r = v[0];
    for (int i = 1; i < a->lanes(); ++i) r = ApplyBinary(op, dtype, r, v[i]);
    return r;
  }
};

/// dot_*: products of neighbouring lanes are summed exactly and added to the accumulator with one rounding.
struct DotCode : Code {
  CodePtr acc, a, b;
  DotCode(CodePtr c, CodePtr x, CodePtr y)
      : Code(c->dtype), acc(std::move(c)), a(std::move(x)), b(std::move(y)) {}
  Lane Eval(Frame& f) const override {
    Lane out;
    return EvalLanes(f, &out), out;
  }
  void EvalLanes(Frame& f, Lane* out) const override {
    const int ways = a->lanes() / lanes();
    LaneArray x(a->lanes()), y(a->lanes());
    acc->EvalLanes(f, out);
    a->EvalLanes(f, x.data());
    b->EvalLanes(f, y.data());
    const bool is_float = dtype.is_float();
    const DataType wide = is_float ? kF64 : kI64;
    for (int i = 0; i < lanes(); ++i) {
      Lane sum = ApplyCast(wide, dtype.element(), out[i]);
      for (int k = i * ways; k < (i + 1) * ways; ++k) {
        sum = ApplyBinary(BinaryOp::kAdd, wide, sum, ApplyBinary(BinaryOp::kMul, wide, x[k], y[k]));
      }
      out[i] = ApplyCast(dtype.element(), wide, sum);
    }
  }
};

struct RampCode : Code {
  CodePtr base, stride;
  RampCode(DataType t, CodePtr b, CodePtr s) : Code(t), base(std::move(b)), stride(std::move(s)) {}
  Lane Eval(Frame& f) const override { return base->Eval(f); }
  void EvalLanes(Frame& f, Lane* out) const override {
    const DataType t = dtype.element();
    out[0] = base->Eval(f);
    const Lane step = stride->Eval(f);
    for (int i = 1; i < lanes(); ++i) out[i] = ApplyBinary(BinaryOp::kAdd, t, out[i - 1], step);
  }
};

struct BroadcastCode : Code {
  CodePtr value;
  BroadcastCode(DataType t, CodePtr v) : Code(t), value(std::move(v)) {}
  Lane Eval(Frame& f) const override { return value->Eval(f); }
  void EvalLanes(Frame& f, Lane* out) const override { std::fill_n(out, lanes(), value->Eval(f)); }
};

struct ShuffleCode : Code {
  std::vector<CodePtr> vectors;
  std::vector<int> picks;
  int total = 0;
  ShuffleCode(DataType t, std::vector<CodePtr> v, std::vector<int> l)
      : Code(t), vectors(std::move(v)), picks(std::move(l)) {
    for (const CodePtr& x : vectors) total += x->lanes();
  }
  Lane Eval(Frame& f) const override {
    Lane out;
    return EvalLanes(f, &out), out;
  }
  void EvalLanes(Frame& f, Lane* out) const override {
    LaneArray all(total);
    int at = 0;
    for (const CodePtr& v : vectors) {
      v->EvalLanes(f, all.data() + at);
      at += v->lanes();
    }
    for (int i = 0; i < lanes(); ++i) out[i] = all[picks[size_t(i)]];
  }
};

struct LoadCode : Code {
  Access access;
  explicit LoadCode(Access a) : Code(a.dtype), access(std::move(a)) {}
  Lane Read(Frame& f, int64_t at) const {
    if (at < 0) return dtype.is_float() ? Lane::Float(0) : Lane::Int(0);
    BufferState& buffer = f.buffers[size_t(access.buffer)];
    if (f.watches()) f.NoteRead(buffer, at);
    return buffer.Read(at);
  }
  Lane Eval(Frame& f) const override { return Read(f, access.Position(f)); }
  void EvalLanes(Frame& f, Lane* out) const override {
    if (access.scalar()) {
      *out = Eval(f);
      return;
    }
    std::vector<int64_t> at(static_cast<size_t>(lanes()));
    access.Positions(f, at.data());
    for (int i = 0; i < lanes(); ++i) out[i] = Read(f, at[size_t(i)]);
  }
};

CodePtr CompileCall(Compiler& c, const CallNode& n) {
  const IntrinsicInfo& info = GetIntrinsicInfo(n.op);
  if (!info.pure)
    throw Problem{"TW1605", fmt::format("{} cannot be interpreted within an expression", info.name)};
  std::vector<CodePtr> args = c.Compile(n.args);
  if (IsLaneWise(n.op)) return std::make_unique<CallCode>(n.dtype, n.op, std::move(args));
  switch (n.op) {
    case Intrinsic::k_vector_reduce_add:
      return std::make_unique<VectorReduceCode>(n.dtype, BinaryOp::kAdd, std::move(args[0]));
    case Intrinsic::k_vector_reduce_max:
      return std::make_unique<VectorReduceCode>(n.dtype, BinaryOp::kMax, std::move(args[0]));
    case Intrinsic::k_vector_reduce_min:
      return std::make_unique<VectorReduceCode>(n.dtype, BinaryOp::kMin, std::move(args[0]));
    default:
      return std::make_unique<DotCode>(std::move(args[0]), std::move(args[1]), std::move(args[2]));
  }
}

struct ExprCompiler {
  Compiler& c;
  CodePtr operator()(const VarNode& n) { return std::make_unique<VarCode>(n.dtype, c.SlotOf(Var(&n))); }
  CodePtr operator()(const IntImmNode& n) { return std::make_unique<ConstCode>(n.dtype, Lane::Int(n.value)); }
  CodePtr operator()(const FloatImmNode& n) {
    return std::make_unique<ConstCode>(n.dtype, ApplyCast(n.dtype, kF64, Lane::Float(n.value)));
  }
  CodePtr operator()(const StringImmNode& n) {
    throw Problem{"TW1605", fmt::format("the string \"{}\" is not a value", n.value)};
  }
  CodePtr operator()(const CastNode& n) {
    const DataType to = n.dtype.element(), from = n.value.dtype().element();
    return MakeUnary(n.dtype, c.Compile(n.value), [=](Lane v) { return ApplyCast(to, from, v); });
  }
  CodePtr operator()(const BinaryNode& n) {
    return std::make_unique<BinaryCode>(n.dtype, n.op, n.a.dtype().element(), c.Compile(n.a), c.Compile(n.b));
  }
  CodePtr operator()(const NotNode& n) {
    return MakeUnary(n.dtype, c.Compile(n.value), [](Lane v) { return Lane::Int(!v.i, v.poison); });
  }
  CodePtr operator()(const SelectNode& n) {
    return std::make_unique<SelectCode>(n.dtype, c.Compile(n.condition), c.Compile(n.true_value),
                                        c.Compile(n.false_value));
  }
  CodePtr operator()(const IfThenElseNode& n) {
    return std::make_unique<IfThenElseCode>(n.dtype, c.Compile(n.condition), c.Compile(n.true_value),
                                            c.Compile(n.false_value));
  }
  CodePtr operator()(const LetNode& n) {
    CodePtr value = c.Compile(n.value);
    const int slot = c.DeclareVar(n.var);
    return std::make_unique<LetCode>(slot, std::move(value), c.Compile(n.body));
  }
  CodePtr operator()(const CallNode& n) { return CompileCall(c, n); }
  CodePtr operator()(const LoadNode& n) {
    return std::make_unique<LoadCode>(c.CompileAccess(n.buffer, n.indices, n.predicate));
  }
  CodePtr operator()(const RampNode& n) {
    return std::make_unique<RampCode>(n.dtype, c.Compile(n.base), c.Compile(n.stride));
  }
  CodePtr operator()(const BroadcastNode& n) {
    return std::make_unique<BroadcastCode>(n.dtype, c.Compile(n.value));
  }
  CodePtr operator()(const ShuffleNode& n) {
    return std::make_unique<ShuffleCode>(n.dtype, c.Compile(n.vectors), n.lanes);
  }
};

[[noreturn]] void FailBounds(const BufferState& b, size_t dim, std::span<const int64_t> index) {
  throw Problem{"TW1601",
                fmt::format("{}[{}] is out of bounds: index {} of dimension {} is not in [0, {})",
                            b.node().buffer_name, fmt::join(index, ", "), index[dim], dim, b.shape()[dim])};
}

int64_t Locate(const BufferState& b, std::span<const int64_t> index) {
  int64_t at = b.offset();
  for (size_t d = 0; d < index.size(); ++d) {
    if (index[d] < 0 || index[d] >= b.shape()[d]) FailBounds(b, d, index);
    at += index[d] * b.stride(d);
  }
  return at;
}

}  // namespace

CodePtr Compiler::Compile(const Expr& e) {
  TW_CHECK(bool(e), "a null expression");
  if (e.dtype().scalable) throw Problem{"TW1605", "vectors of a length that the machine decides"};
  return Dispatch(e, ExprCompiler{*this});
}

std::vector<CodePtr> Compiler::Compile(const std::vector<Expr>& list) {
  std::vector<CodePtr> out;
  for (const Expr& e : list) out.push_back(Compile(e));
  return out;
}

Access Compiler::CompileAccess(const Buffer& buffer, const std::vector<Expr>& indices,
                               const Expr& predicate) {
  const DataType dtype = MakeLoad(buffer, indices).dtype();
  return {SlotOf(buffer), dtype, Compile(indices), CompileOptional(predicate)};
}

int64_t Access::Position(Frame& f) const {
  if (predicate && !f.Decide(predicate->Eval(f), "a predicate")) return -1;
  constexpr size_t kInline = 8;
  int64_t few[kInline];
  std::vector<int64_t> many;
  if (indices.size() > kInline) many.resize(indices.size());
  const std::span<int64_t> index(many.empty() ? few : many.data(), indices.size());
  for (size_t d = 0; d < index.size(); ++d) index[d] = f.Decide(indices[d]->Eval(f), "an index");
  return Locate(f.buffers[size_t(buffer)], index);
}

void Access::Positions(Frame& f, int64_t* out) const {
  const BufferState& b = f.buffers[size_t(buffer)];
  const int inner = b.node().dtype.lanes, outer = dtype.lanes / inner;
  LaneArray on(dtype.lanes), lane(outer);
  std::fill_n(on.data(), dtype.lanes, Lane::Int(1));
  if (predicate) predicate->EvalLanes(f, on.data());
  const size_t rank = indices.size();
  std::vector<int64_t> index(size_t(outer) * rank);
  for (size_t d = 0; d < rank; ++d) {
    const bool same = indices[d]->lanes() == 1;
    indices[d]->EvalLanes(f, lane.data());
    for (int l = 0; l < outer; ++l) index[size_t(l) * rank + d] = f.Decide(lane[same ? 0 : l], "an index");
  }
  for (int l = 0; l < outer; ++l) {
    int64_t at = -1;
    for (int i = 0; i < inner; ++i) {
      const int to = l * inner + i;
      out[to] = -1;
      if (!f.Decide(on[to], "a predicate")) continue;
      if (at < 0) at = Locate(b, std::span(index).subspan(size_t(l) * rank, rank));
      out[to] = at + i;
    }
  }
}

}  // namespace tilewright::interpret
