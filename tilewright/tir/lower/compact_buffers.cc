// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/compact_buffers.h"

#include <algorithm>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

namespace {

/// Bounds, both included, over the loops inside an allocation, as expressions over what is outside.
struct Bounds {
  Expr lo, hi;
};
using BoundsMap = std::unordered_map<const ExprNode*, std::optional<Bounds>>;

/// Bounds of an index while the variables in `inner` run over their loops; none when it cannot be told.
class BoundsFinder {
 public:
  BoundsFinder(Analyzer& analyzer, const BoundsMap& inner) : analyzer_(analyzer), inner_(inner) {}

  std::optional<Bounds> Find(const Expr& e) const {
    if (auto* var = e.As<VarNode>()) {
      auto it = inner_.find(var);
      return it == inner_.end() ? Bounds{e, e} : it->second;
    }
    if (e.As<IntImmNode>()) return Bounds{e, e};
    if (auto* b = e.As<BinaryNode>()) return FindBinary(*b);
    if (auto* s = e.As<SelectNode>()) return Hull(Find(s->true_value), Find(s->false_value));
    if (auto* s = e.As<IfThenElseNode>()) return Hull(Find(s->true_value), Find(s->false_value));
    return std::nullopt;
  }

 private:
  static std::optional<Bounds> Hull(const std::optional<Bounds>& a, const std::optional<Bounds>& b) {
    if (!a || !b) return std::nullopt;
    return Bounds{Min(a->lo, b->lo), Max(a->hi, b->hi)};
  }

  std::optional<Bounds> FindBinary(const BinaryNode& n) const {
    auto a = Find(n.a), b = Find(n.b);
    if (!a || !b || n.dtype != DataType::Index()) return std::nullopt;
    switch (n.op) {
      case BinaryOp::kAdd:
        return Bounds{a->lo + b->lo, a->hi + b->hi};
      case BinaryOp::kSub:
        return Bounds{a->lo - b->hi, a->hi - b->lo};
      case BinaryOp::kMul:
        return AsInt(n.b) ? Scale(*a, *AsInt(n.b)) : AsInt(n.a) ? Scale(*b, *AsInt(n.a)) : Fixed(n, *a, *b);
      case BinaryOp::kFloorDiv:
        if (AsInt(n.b).value_or(0) > 0) return Bounds{FloorDiv(a->lo, n.b), FloorDiv(a->hi, n.b)};
        return Fixed(n, *a, *b);
      case BinaryOp::kFloorMod:
        return Remainder(n, *a, *b);
      case BinaryOp::kMin:
        return Bounds{Min(a->lo, b->lo), Min(a->hi, b->hi)};
      case BinaryOp::kMax:
        return Bounds{Max(a->lo, b->lo), Max(a->hi, b->hi)};
      default:
        return Fixed(n, *a, *b);
    }
  }

  /// The node itself when its operands do not vary.
  static std::optional<Bounds> Fixed(const BinaryNode& n, const Bounds& a, const Bounds& b) {
    if (a.lo != a.hi || b.lo != b.hi) return std::nullopt;
    Expr e(&n);
    return Bounds{e, e};
  }

  static Bounds Scale(const Bounds& b, int64_t factor) {
    return factor >= 0 ? Bounds{b.lo * factor, b.hi * factor} : Bounds{b.hi * factor, b.lo * factor};
  }

  std::optional<Bounds> Remainder(const BinaryNode& n, const Bounds& a, const Bounds& b) const {
    auto c = AsInt(n.b);
    if (!c || *c <= 0) return Fixed(n, a, b);
    // Where the range does not cross a multiple, the remainder rises with it.
    if (analyzer_.CanProveEqual(FloorDiv(a.lo, n.b), FloorDiv(a.hi, n.b))) {
      return Bounds{FloorMod(a.lo, n.b), FloorMod(a.hi, n.b)};
    }
    return Bounds{0, *c - 1};
  }

  Analyzer& analyzer_;
  const BoundsMap& inner_;
};

/// The box of a buffer that a statement accesses.
class BoxFinder {
 public:
  BoxFinder(Analyzer& analyzer, Buffer buffer)
      : analyzer_(analyzer),
        buffer_(std::move(buffer)),
        box_(buffer_.shape().size()),
        known_(box_.size(), true) {}

  void Visit(const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) {
      BoundsFinder find(analyzer_, inner_);
      auto min = find.Find(loop->min), last = find.Find(loop->extent);
      if (min && last)
        inner_[loop->var.get()] = Bounds{min->lo, min->hi + last->hi - 1};
      else
        inner_[loop->var.get()] = std::nullopt;
    }
    if (auto* let = s.As<LetStmtNode>()) inner_[let->var.get()] = std::nullopt;
    if (auto* store = s.As<StoreNode>(); store && store->buffer == buffer_) Access(store->indices);
    ForEachExpr(s, [&](const Expr& e) { VisitExpr(e); });
    ForEachChild(s, [&](const Stmt& child) { Visit(child); });
  }

  /// The box along a dimension; none when nothing is known.
  const std::optional<Bounds>& operator[](size_t dim) const { return box_[dim]; }

 private:
  void VisitExpr(const Expr& e) {
    PreOrder(e, [&](const Expr& x) {
      if (auto* let = x.As<LetNode>()) inner_[let->var.get()] = std::nullopt;
      if (auto* load = x.As<LoadNode>(); load && load->buffer == buffer_) Access(load->indices);
      return true;
    });
  }

  void Access(const std::vector<Expr>& indices) {
    for (size_t d = 0; d < indices.size(); ++d) {
      if (!known_[d]) continue;
      auto found = BoundsFinder(analyzer_, inner_).Find(indices[d]);
      if (!found) {
        known_[d] = false;
        box_[d].reset();
        continue;
      }
      Bounds b{analyzer_.Simplify(found->lo), analyzer_.Simplify(found->hi)};
      if (box_[d]) b = {Lower(box_[d]->lo, b.lo), Upper(box_[d]->hi, b.hi)};
      box_[d] = b;
    }
  }

  Expr Lower(const Expr& a, const Expr& b) {
    if (analyzer_.CanProve(a <= b)) return a;
    return analyzer_.CanProve(b <= a) ? b : Min(a, b);
  }
  Expr Upper(const Expr& a, const Expr& b) {
    if (analyzer_.CanProve(b <= a)) return a;
    return analyzer_.CanProve(a <= b) ? b : Max(a, b);
  }

  Analyzer& analyzer_;
  Buffer buffer_;
  BoundsMap inner_;
  std::vector<std::optional<Bounds>> box_;
  std::vector<bool> known_;
};

class Compactor {
 public:
  Stmt Rewrite(const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) {
      analyzer_.Bind(loop->var, Range{loop->min, loop->extent});
      Constraint runs = analyzer_.Assume(Expr(0) < loop->extent);
      return MapChildren(s, [&](const Stmt& x) { return Rewrite(x); }, nullptr);
    }
    if (auto* alloc = s.As<AllocateNode>()) {
      Stmt compact = Compact(*alloc);
      auto* result = compact.As<AllocateNode>();
      return MakeAllocate(result->buffer, Rewrite(result->body));
    }
    return MapChildren(s, [&](const Stmt& x) { return Rewrite(x); }, nullptr);
  }

 private:
  Stmt Compact(const AllocateNode& alloc) {
    const Buffer& old = alloc.buffer;
    Stmt same = MakeAllocate(old, alloc.body);
    if (!old->strides.empty()) return same;
    BoxFinder box(analyzer_, old);
    box.Visit(alloc.body);
    BufferNode node = *old;
    std::vector<Expr> origin(node.shape.size(), Expr(0));
    bool changed = false;
    for (size_t d = 0; d < origin.size(); ++d) {
      auto extent = box[d] ? ConstantExtent(*box[d], old.shape()[d]) : std::nullopt;
      if (!extent) continue;
      node.shape[d] = *extent;
      origin[d] = box[d]->lo;
      changed = true;
    }
    if (!changed) return same;
    Buffer compact = MakeBuffer(std::move(node));
    return MakeAllocate(compact, Rebase(alloc.body, old, compact, origin));
  }

  /// The box's extent where it is bounded by a constant below the whole dimension.
  std::optional<int64_t> ConstantExtent(const Bounds& b, const Expr& whole) {
    const int64_t extent = analyzer_.ConstBound(analyzer_.Simplify(b.hi - b.lo + 1)).max;
    if (extent == INT64_MAX || extent < 1) return std::nullopt;
    const int64_t least = analyzer_.ConstBound(analyzer_.Simplify(whole)).min;
    return extent < least || !AsInt(whole) ? std::optional(extent) : std::nullopt;
  }

  static Stmt Rebase(const Stmt& s, const Buffer& old, const Buffer& compact,
                     const std::vector<Expr>& origin) {
    auto rebase = [&](std::vector<Expr> indices) {
      for (size_t d = 0; d < indices.size(); ++d) {
        indices[d] = indices[d] - MakeCast(indices[d].dtype(), origin[d]);
      }
      return indices;
    };
    auto on_expr = [&](const Expr& e) {
      return PostOrderRewrite(e, [&](const Expr& x) {
        auto* load = x.As<LoadNode>();
        if (!load || load->buffer != old) return x;
        return MakeLoad(compact, rebase(load->indices), load->predicate);
      });
    };
    auto on_stmt = [&](const Stmt& x) -> Stmt {
      auto* store = x.As<StoreNode>();
      if (!store || store->buffer != old) return x;
      return MakeStore(compact, store->value, rebase(store->indices), store->predicate);
    };
    return PostOrderRewrite(s, on_stmt, on_expr);
  }

  Analyzer analyzer_;
};

}  // namespace

PrimFunc CompactBuffers(const PrimFunc& f) { return f.WithBody(Compactor().Rewrite(f->body)); }

}  // namespace tilewright
