// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/vectorize_loops.h"

#include <algorithm>

#include "tilewright/arith/analyzer.h"
#include "tilewright/tir/lower/fresh_copy.h"

namespace tilewright {

namespace {

/// A loop of at most this many iterations that cannot become vectors is unrolled; a longer one stays a loop.
constexpr int64_t kMaxUnrolled = 64;
/// Vectors longer than this many registers are cut into a loop over registers.
constexpr int kMaxRegisters = 8;

bool IsDivision(BinaryOp op) {
  return op == BinaryOp::kFloorDiv || op == BinaryOp::kFloorMod || op == BinaryOp::kTruncDiv ||
         op == BinaryOp::kTruncMod;
}

bool Loads(const Expr& e) {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    found |= x.kind() == ExprKind::kLoad;
    return !found;
  });
  return found;
}

bool LoadsFrom(const Expr& e, const Buffer& b) {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    auto* load = x.As<LoadNode>();
    found |= load && load->buffer == b;
    return !found;
  });
  return found;
}

/// Widens one loop. An expression is `uniform` while it is the same in all lanes; it then stays scalar.
class LoopVectorizer {
 public:
  LoopVectorizer(const ForNode& loop, int lanes, Analyzer& analyzer)
      : loop_(loop), lanes_(lanes), analyzer_(analyzer) {}

  /// The vector form of the loop's body; null when there is none.
  Stmt Run() {
    Stmt result = Widen(loop_.body);
    return failed_ ? nullptr : result;
  }

 private:
  bool Uniform(const Expr& e) const { return e.dtype().lanes == 1; }
  Expr Wide(const Expr& e) const { return Uniform(e) ? MakeBroadcast(e, lanes_) : e; }

  // ---- Expressions.

  Expr Widen(const Expr& e) {
    if (failed_) return e;
    if (e.dtype().lanes != 1) failed_ = true;  // vectors of vectors have no form
    if (failed_) return e;
    return Dispatch(e, Overloaded{
                           [&](const VarNode& n) { return WidenVar(e, n); },
                           [&](const IntImmNode&) { return e; },
                           [&](const FloatImmNode&) { return e; },
                           [&](const StringImmNode&) { return e; },
                           [&](const CastNode& n) { return WidenCast(n); },
                           [&](const BinaryNode& n) { return WidenBinary(n.op, Widen(n.a), Widen(n.b)); },
                           [&](const NotNode& n) { return MakeNot(Widen(n.value)); },
                           [&](const SelectNode& n) { return WidenSelect(n); },
                           [&](const IfThenElseNode& n) {
                             return WidenIfThenElse(n.condition, n.true_value, n.false_value);
                           },
                           [&](const LetNode& n) { return WidenLet(n); },
                           [&](const CallNode& n) { return WidenCall(n); },
                           [&](const LoadNode& n) { return WidenLoad(n); },
                           [&](const RampNode&) { return Unsupported(e); },
                           [&](const BroadcastNode&) { return Unsupported(e); },
                           [&](const ShuffleNode&) { return Unsupported(e); },
                       });
  }

  Expr Unsupported(const Expr& e) {
    failed_ = true;
    return e;
  }

  Expr WidenVar(const Expr& e, const VarNode& n) {
    if (&n == loop_.var.get()) return MakeRamp(loop_.min, 1, lanes_);
    auto it = lets_.find(&n);
    return it == lets_.end() ? e : it->second;
  }

  Expr WidenCast(const CastNode& n) {
    Expr value = Widen(n.value);
    auto* ramp = value.As<RampNode>();
    if (ramp && n.dtype.is_integer() && n.dtype.bits <= value.dtype().bits) {
      return MakeRamp(MakeCast(n.dtype, ramp->base), MakeCast(n.dtype, ramp->stride), lanes_);
    }
    return MakeCast(n.dtype.WithLanes(value.dtype().lanes), value);
  }

  Expr WidenBinary(BinaryOp op, const Expr& a, const Expr& b) {
    if (failed_) return a;
    if (Uniform(a) && Uniform(b)) return MakeBinary(op, a, b);
    if (Expr ramp = RampArithmetic(op, a, b)) return ramp;
    Expr divisor = Wide(b);
    // Lanes that are masked off may divide by what their condition rules out.
    if (IsDivision(op) && b.dtype().is_integer() && bool(mask_) && !AsInt(b)) {
      divisor = MakeSelect(mask_, divisor, MakeConst(divisor.dtype(), 1));
    }
    return MakeBinary(op, Wide(a), divisor);
  }

  /// Base and stride of a ramp, or of a uniform value with stride 0.
  struct Affine {
    Expr base, stride;
  };
  std::optional<Affine> AsAffine(const Expr& e) const {
    if (Uniform(e)) return Affine{e, MakeConst(e.dtype(), 0)};
    if (auto* ramp = e.As<RampNode>()) return Affine{ramp->base, ramp->stride};
    return std::nullopt;
  }
  Expr FromAffine(const Expr& base, const Expr& stride) const {
    return IsInt(stride, 0) ? base : MakeRamp(base, stride, lanes_);
  }

  Expr RampArithmetic(BinaryOp op, const Expr& a, const Expr& b) {
    auto x = AsAffine(a), y = AsAffine(b);
    if (!x || !y || !a.dtype().is_integer()) return nullptr;
    switch (op) {
      case BinaryOp::kAdd:
        return FromAffine(x->base + y->base, x->stride + y->stride);
      case BinaryOp::kSub:
        return FromAffine(x->base - y->base, x->stride - y->stride);
      case BinaryOp::kMul:
        if (Uniform(b)) return FromAffine(x->base * b, x->stride * b);
        if (Uniform(a)) return FromAffine(a * y->base, a * y->stride);
        return nullptr;
      case BinaryOp::kFloorDiv:
      case BinaryOp::kFloorMod:
        return DivideRamp(op, *x, b);
      default:
        return nullptr;
    }
  }

  /// (base + stride * lane) // c and % c where all lanes have the same quotient.
  Expr DivideRamp(BinaryOp op, const Affine& ramp, const Expr& divisor) {
    auto stride = AsInt(ramp.stride), c = AsInt(divisor);
    if (!stride || !c || *stride < 0 || *c <= 0 || ramp.base.dtype() != DataType::Index()) return nullptr;
    Expr first = FloorMod(ramp.base, divisor);
    Interval bound = analyzer_.ConstBound(analyzer_.Simplify(first));
    if (SaturatingAdd(bound.max, *stride * (lanes_ - 1)) >= *c) return nullptr;
    return op == BinaryOp::kFloorDiv ? FloorDiv(ramp.base, divisor) : FromAffine(first, ramp.stride);
  }

  Expr WidenSelect(const SelectNode& n) {
    Expr c = Widen(n.condition), t = Widen(n.true_value), f = Widen(n.false_value);
    if (failed_) return c;
    if (Uniform(c) && Uniform(t) && Uniform(f)) return MakeSelect(c, t, f);
    return MakeSelect(c, Wide(t), Wide(f));
  }

  Expr WidenIfThenElse(const Expr& condition, const Expr& true_value, const Expr& false_value) {
    // `uniform && lanes` keeps the uniform part as a branch.
    auto* both = condition.As<BinaryNode>();
    if (both && both->op == BinaryOp::kAnd && !Loads(false_value)) {
      const bool a = Uniform(Widen(both->a)), b = Uniform(Widen(both->b));
      if (!failed_ && a != b) {
        return WidenIfThenElse(a ? both->a : both->b,
                               MakeIfThenElse(a ? both->b : both->a, true_value, false_value), false_value);
      }
    }
    Expr c = Widen(condition);
    if (failed_) return c;
    if (Uniform(c)) {
      Expr t = Widen(true_value), f = Widen(false_value);
      if (failed_ || (Uniform(t) && Uniform(f))) return failed_ ? c : MakeIfThenElse(c, t, f);
      return MakeIfThenElse(c, Wide(t), Wide(f));
    }
    Expr t = UnderMask(c, true_value), f = UnderMask(MakeNot(c), false_value);
    return failed_ ? c : MakeSelect(c, Wide(t), Wide(f));
  }

  Expr UnderMask(const Expr& condition, const Expr& e) {
    Expr saved = mask_;
    mask_ = AndMask(mask_, condition);
    Expr result = Widen(e);
    mask_ = saved;
    return result;
  }

  static Expr AndMask(const Expr& a, const Expr& b) { return !a ? b : !b ? a : a && b; }

  Expr WidenLet(const LetNode& n) {
    Expr value = Widen(n.value);
    if (failed_) return value;
    Var var = BindLet(n.var, value);
    Expr body = Widen(n.body);
    return failed_ ? body : MakeLet(var, value, body);
  }

  /// A variable of the value's type; uses of `var` become it.
  Var BindLet(const Var& var, const Expr& value) {
    if (Uniform(value)) return var;
    Var wide(var.name(), value.dtype());
    lets_[var.get()] = wide;
    return wide;
  }

  Expr WidenCall(const CallNode& n) {
    if (!GetIntrinsicInfo(n.op).pure) failed_ = true;
    std::vector<Expr> args;
    bool uniform = true;
    for (const Expr& a : n.args) {
      args.push_back(Widen(a));
      if (failed_) return a;
      uniform &= Uniform(args.back());
    }
    if (failed_) return nullptr;
    if (uniform) return MakeCall(n.dtype, n.op, std::move(args));
    for (Expr& a : args) a = Wide(a);
    return MakeCall(n.dtype.WithLanes(lanes_), n.op, std::move(args));
  }

  /// False when the indices are uniform; otherwise all are made vectors.
  bool WidenIndices(const std::vector<Expr>& in, std::vector<Expr>& out) {
    bool uniform = true;
    for (const Expr& i : in) {
      out.push_back(Widen(i));
      if (failed_) return false;
      uniform &= Uniform(out.back());
    }
    if (uniform) return false;
    for (Expr& i : out) i = Wide(i);
    return true;
  }

  Expr WidenLoad(const LoadNode& n) {
    if (n.buffer.dtype().lanes != 1) failed_ = true;
    std::vector<Expr> indices;
    bool vector = WidenIndices(n.indices, indices);
    Expr predicate = n.predicate ? Widen(n.predicate) : nullptr;
    if (failed_) return n.indices.empty() ? Expr(0) : n.indices[0];
    const bool predicate_uniform = !predicate || Uniform(predicate);
    if (!vector && predicate_uniform && !bool(mask_))
      return MakeLoad(n.buffer, std::move(indices), predicate);
    const bool unguarded = !predicate && !bool(mask_);
    if (const Expr clamped = unguarded ? LoadClamped(n) : Expr()) return clamped;
    // A uniform address that only some lanes may touch is read as a masked gather.
    for (Expr& i : indices) i = Wide(i);
    Expr mask = AndMask(mask_, predicate ? Wide(predicate) : nullptr);
    return MakeLoad(n.buffer, std::move(indices), mask);
  }

  /// A line of a buffer up to an element that all lanes behind it read, too: a vector under a mask and that
  /// element, and not an address for each lane. Null for other indices.
  Expr LoadClamped(const LoadNode& n) {
    const BinaryNode* clamp = nullptr;
    PreOrder(n.indices.back(), [&](const Expr& e) {
      auto* binary = e.As<BinaryNode>();
      const bool varies = binary && binary->op == BinaryOp::kMin && !Uniform(Widen(e));
      if (varies && !clamp) clamp = binary;
      return !failed_ && !clamp;
    });
    if (!clamp || failed_) return nullptr;
    const Expr line = Widen(clamp->a), last = Widen(clamp->b);
    if (!line.As<RampNode>() || !Uniform(last)) return nullptr;
    auto load_at = [&](const Expr& element, Expr predicate) -> Expr {
      std::vector<Expr> indices = n.indices;
      indices.back() = PostOrderRewrite(
          indices.back(), [&](const Expr& e) { return e.As<BinaryNode>() == clamp ? element : e; });
      for (Expr& i : indices) i = Widen(i);
      auto* ramp = indices.back().As<RampNode>();
      const bool is_line = ramp && IsInt(ramp->stride, 1);
      for (size_t d = 0; d < indices.size(); ++d) {
        if (!Uniform(indices[d]) && (d + 1 < indices.size() || !predicate || !is_line)) return nullptr;
        if (predicate) indices[d] = Wide(indices[d]);
      }
      return MakeLoad(n.buffer, std::move(indices), std::move(predicate));
    };
    const Expr within = MakeBinary(BinaryOp::kLe, line, Wide(last));
    const Expr vector = load_at(clamp->a, within), element = load_at(clamp->b, nullptr);
    return bool(vector) && bool(element) ? MakeSelect(within, vector, Wide(element)) : Expr();
  }

  // ---- Statements.

  Stmt Widen(const Stmt& s) {
    if (failed_ || !s) return s;
    return Dispatch(s, Overloaded{
                           [&](const StoreNode& n) { return WidenStore(n); },
                           [&](const ForNode& n) { return WidenFor(n); },
                           [&](const BlockNode&) { return Give(s); },
                           [&](const SeqNode& n) { return WidenSeq(n); },
                           [&](const IfNode& n) { return WidenIf(n); },
                           [&](const LetStmtNode& n) { return WidenLetStmt(n); },
                           [&](const AllocateNode&) { return Give(s); },
                           [&](const EvaluateNode& n) { return WidenEvaluate(s, n); },
                           [&](const YieldNode&) { return Give(s); },
                       });
  }

  Stmt Give(const Stmt& s) {
    failed_ = true;
    return s;
  }

  Stmt WidenStore(const StoreNode& n) {
    std::vector<Expr> indices;
    bool vector = WidenIndices(n.indices, indices);
    Expr value = Widen(n.value);
    Expr predicate = n.predicate ? Widen(n.predicate) : nullptr;
    if (failed_) return nullptr;
    if (!vector) return UniformStore(n, std::move(indices), value, predicate);
    Expr mask = AndMask(mask_, predicate ? Wide(predicate) : nullptr);
    return MakeStore(n.buffer, Wide(value), std::move(indices), mask);
  }

  /// All lanes store to one element: once is enough when they store the same. Under a condition there may be
  /// one lane alone that does (the rest of a tile, in a buffer of its size); copies of the body show which.
  Stmt UniformStore(const StoreNode& n, std::vector<Expr> indices, const Expr& value, const Expr& predicate) {
    const bool updates = LoadsFrom(n.value, n.buffer);
    const bool guarded = bool(mask_) || (bool(predicate) && !Uniform(predicate));
    if (updates && !Uniform(value) && !guarded) {
      throw Error("TW1304",
                  "loop " + loop_.var.name() + " is vectorized, but its lanes all update one element of " +
                      n.buffer.name(),
                  "", {"a reduction over a vectorized loop needs rfactor, or another loop to vectorize"});
    }
    if (updates || guarded || !Uniform(value)) {
      failed_ = true;
      return nullptr;
    }
    return MakeStore(n.buffer, value, std::move(indices), predicate);
  }

  Stmt WidenFor(const ForNode& n) {
    Expr min = Widen(n.min), extent = Widen(n.extent);
    if (failed_ || !Uniform(min) || !Uniform(extent) || n.for_kind == ForKind::kVectorized ||
        !n.carried.empty()) {
      failed_ = true;
      return nullptr;
    }
    Stmt body = Widen(n.body);
    if (failed_ || !body) return nullptr;
    return MakeFor(n.var, min, extent, n.for_kind, body, n.annotations, n.thread_tag);
  }

  Stmt WidenSeq(const SeqNode& n) {
    std::vector<Stmt> stmts;
    for (const Stmt& s : n.stmts) stmts.push_back(Widen(s));
    return failed_ ? nullptr : MakeSeq(std::move(stmts));
  }

  Stmt WidenIf(const IfNode& n) {
    auto* both = n.condition.As<BinaryNode>();
    if (both && both->op == BinaryOp::kAnd && !bool(n.else_case)) {
      const bool a = Uniform(Widen(both->a)), b = Uniform(Widen(both->b));
      if (!failed_ && a != b) {
        Stmt inner = MakeIf(a ? both->b : both->a, n.then_case);
        return Widen(MakeIf(a ? both->a : both->b, inner));
      }
    }
    Expr c = Widen(n.condition);
    if (failed_) return nullptr;
    if (Uniform(c)) {
      Stmt t = Widen(n.then_case), e = Widen(n.else_case);
      return failed_ ? nullptr : MakeIf(c, t, e);
    }
    // The condition is bound once: what the branches store may change what it reads.
    Var mask("mask", c.dtype());
    Stmt t = UnderMask(mask, n.then_case);
    Stmt e = n.else_case ? UnderMask(MakeNot(mask), n.else_case) : nullptr;
    Stmt both_cases = MakeSeq({t, e});
    return failed_ || !both_cases ? nullptr : MakeLetStmt(mask, c, both_cases);
  }

  Stmt UnderMask(const Expr& condition, const Stmt& s) {
    Expr saved = mask_;
    mask_ = AndMask(mask_, condition);
    Stmt result = Widen(s);
    mask_ = saved;
    return result;
  }

  Stmt WidenLetStmt(const LetStmtNode& n) {
    Expr value = Widen(n.value);
    if (failed_) return nullptr;
    Var var = BindLet(n.var, value);
    Stmt body = Widen(n.body);
    return failed_ || !body ? nullptr : MakeLetStmt(var, value, body);
  }

  /// A prefetch of the first lane's address stands for all; other effects are not vectorized.
  Stmt WidenEvaluate(const Stmt& s, const EvaluateNode& n) {
    auto* call = n.value.As<CallNode>();
    if (!call || call->op != Intrinsic::k_prefetch || bool(mask_)) return Give(s);
    return Substitute(s, {{loop_.var, loop_.min}});
  }

  const ForNode& loop_;
  int lanes_;
  Analyzer& analyzer_;
  std::unordered_map<const ExprNode*, Var> lets_;
  Expr mask_;  ///< lanes that run the current statement; null for all
  bool failed_ = false;
};

/// Bytes of the widest element that the statement stores, for cutting long vectors.
int64_t WidestStore(const Stmt& s) {
  int64_t bytes = 1;
  PreOrder(s, [&](const Stmt& x) {
    if (auto* store = x.As<StoreNode>()) bytes = std::max(bytes, store->buffer.dtype().element_bytes());
    return true;
  });
  return bytes;
}

class Pass {
 public:
  explicit Pass(const Target& target) : target_(target) {}

  Stmt Rewrite(const Stmt& s) {
    if (!s) return s;
    auto* loop = s.As<ForNode>();
    if (!loop) return MapChildren(s, [&](const Stmt& x) { return Rewrite(x); }, nullptr);
    if (loop->for_kind != ForKind::kVectorized) {
      analyzer_.Bind(loop->var, Range{loop->min, loop->extent});
      Stmt body = Rewrite(loop->body);
      return body ? WithBody(*loop, body) : nullptr;
    }
    auto extent = AsInt(loop->extent);
    if (!extent) {
      throw Error("TW1303", "loop " + loop->var.name() + " is vectorized, but its extent is not constant", "",
                  {"split it by a constant factor and vectorize the inner loop"});
    }
    return Vectorize(*loop, *extent);
  }

 private:
  Stmt Vectorize(const ForNode& loop, int64_t extent) {
    if (extent <= 0) return nullptr;
    if (extent == 1) return Rewrite(Substitute(loop.body, {{loop.var, loop.min}}));
    const int64_t native = std::max<int64_t>(1, target_.vector_bytes / WidestStore(loop.body));
    if (native > 1 && extent > kMaxRegisters * native) return Cut(loop, extent, native);
    if (Stmt result = LoopVectorizer(loop, int(extent), analyzer_).Run()) return result;
    const ForKind kind = extent <= kMaxUnrolled ? ForKind::kUnrolled : ForKind::kSerial;
    analyzer_.Bind(loop.var, Range{loop.min, loop.extent});
    Stmt body = Rewrite(loop.body);
    return body ? MakeFor(loop.var, loop.min, loop.extent, kind, body, loop.annotations) : nullptr;
  }

  /// A loop over whole registers, and the rest.
  Stmt Cut(const ForNode& loop, int64_t extent, int64_t native) {
    auto piece = [&](Stmt body, Expr min, int64_t lanes) {
      Var lane(loop.var.name());
      body = FreshCopy(body, {{loop.var, lane}});
      return MakeFor(lane, std::move(min), lanes, ForKind::kVectorized, body);
    };
    const int64_t whole = extent / native, rest = extent % native;
    Var outer(loop.var.name() + "_o");
    Stmt main =
        MakeFor(outer, 0, whole, ForKind::kSerial, piece(loop.body, loop.min + outer * native, native));
    Stmt tail = rest ? piece(loop.body, loop.min + whole * native, rest) : Stmt();
    return Rewrite(MakeSeq({main, tail}));
  }

  const Target& target_;
  Analyzer analyzer_;
};

}  // namespace

PrimFunc VectorizeLoops(const PrimFunc& f, const Target& target) {
  Stmt body = Pass(target).Rewrite(f->body);
  return f.WithBody(body ? body : MakeEvaluate(MakeConst(kI32, 0)));
}

}  // namespace tilewright
