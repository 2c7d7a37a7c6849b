// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/compact_buffers.h"

#include <unordered_set>

#include "tilewright/arith/interval_set.h"
#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

/// The box of a buffer that a statement accesses, over the loops inside the statement.
class BoxFinder {
 public:
  BoxFinder(Analyzer& analyzer, Buffer buffer)
      : analyzer_(analyzer), buffer_(std::move(buffer)), box_(buffer_.shape().size()) {}

  /// A loop whose iterations all access the buffer.
  void BindLoop(const ForNode& loop) {
    IndexInterval min = Eval(loop.min), extent = Eval(loop.extent);
    if (min.bounded() && extent.bounded()) {
      inner_[loop.var] = {min.min, analyzer_.Simplify(min.max - min.min + extent.max)};
    } else {
      unknown_.insert(loop.var.get());
    }
  }

  void Visit(const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) BindLoop(*loop);
    if (auto* let = s.As<LetStmtNode>()) unknown_.insert(let->var.get());
    if (auto* store = s.As<StoreNode>(); store && store->buffer == buffer_) Access(store->indices);
    ForEachExpr(s, [&](const Expr& e) { VisitExpr(e); });
    ForEachChild(s, [&](const Stmt& child) { Visit(child); });
  }

  /// The box along a dimension; not bounded when nothing is known.
  IndexInterval operator[](size_t dim) const { return box_[dim].value_or(IndexInterval()); }

 private:
  /// The elements that an index names; vectors are those of tensor intrinsics.
  IndexInterval Eval(const Expr& e) {
    if (auto* copies = e.As<BroadcastNode>()) return Eval(copies->value);
    if (auto* ramp = e.As<RampNode>()) {
      const IndexInterval base = Eval(ramp->base);
      const auto stride = AsInt(ramp->stride);
      if (!base.bounded() || !stride || *stride < 0) return IndexInterval();
      return {base.min, analyzer_.Simplify(base.max + Expr(*stride * (ramp->dtype.lanes - 1)))};
    }
    bool known = e.dtype() == DataType::Index();
    PreOrder(e, [&](const Expr& x) {
      known &= x.kind() != ExprKind::kLoad && x.kind() != ExprKind::kLet && !unknown_.contains(x.get());
      return known;
    });
    return known ? EvalRange(e, inner_, analyzer_) : IndexInterval();
  }

  void VisitExpr(const Expr& e) {
    PreOrder(e, [&](const Expr& x) {
      if (auto* let = x.As<LetNode>()) unknown_.insert(let->var.get());
      if (auto* load = x.As<LoadNode>(); load && load->buffer == buffer_) Access(load->indices);
      return true;
    });
  }

  void Access(const std::vector<Expr>& indices) {
    for (size_t d = 0; d < indices.size(); ++d) {
      IndexInterval found = Eval(indices[d]);
      if (box_[d] && found.bounded() && box_[d]->bounded()) found = Union(*box_[d], found, analyzer_);
      if (!box_[d] || box_[d]->bounded()) box_[d] = found;
    }
  }

  Analyzer& analyzer_;
  Buffer buffer_;
  VarRanges inner_;
  std::unordered_set<const ExprNode*> unknown_;  ///< variables inside that have no range
  std::vector<std::optional<IndexInterval>> box_;
};

class Compactor {
 public:
  explicit Compactor(const Target& target) : device_(DeviceModelOf(target)) {}

  Stmt Rewrite(const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) {
      analyzer_.Bind(loop->var, Range{loop->min, loop->extent});
      Constraint runs = analyzer_.Assume(Expr(0) < loop->extent);
      around_.push_back(loop);
      Stmt result = MapChildren(s, [&](const Stmt& x) { return Rewrite(x); }, nullptr);
      around_.pop_back();
      return result;
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
    if (device_.OwnerOf(old.scope()) >= 0) {
      for (const ForNode* loop : around_) {
        if (SharesMemory(device_, *loop, old.scope())) box.BindLoop(*loop);
      }
    }
    box.Visit(alloc.body);
    BufferNode node = *old;
    std::vector<Expr> origin(node.shape.size(), Expr(0));
    bool changed = false;
    for (size_t d = 0; d < origin.size(); ++d) {
      auto extent = ConstantExtent(box[d], old.shape()[d]);
      if (!extent) continue;
      node.shape[d] = *extent;
      origin[d] = box[d].min;
      changed = true;
    }
    if (!changed) return same;
    Buffer compact = MakeBuffer(std::move(node));
    return MakeAllocate(compact, Rebase(alloc.body, old, compact, origin));
  }

  /// The box's extent where it is bounded by a constant below the whole dimension.
  std::optional<int64_t> ConstantExtent(const IndexInterval& b, const Expr& whole) {
    if (!b.bounded()) return std::nullopt;
    const int64_t extent = analyzer_.ConstBound(analyzer_.Simplify(b.max - b.min + 1)).max;
    if (extent == INT64_MAX || extent < 1) return std::nullopt;
    const int64_t least = analyzer_.ConstBound(analyzer_.Simplify(whole)).min;
    return extent < least || !AsInt(whole) ? std::optional(extent) : std::nullopt;
  }

  static Stmt Rebase(const Stmt& s, const Buffer& old, const Buffer& compact,
                     const std::vector<Expr>& origin) {
    auto rebase = [&](std::vector<Expr> indices) {
      for (size_t d = 0; d < indices.size(); ++d) {
        const DataType t = indices[d].dtype();
        const Expr begin = MakeCast(t.element(), origin[d]);
        if (auto* ramp = indices[d].As<RampNode>()) {
          indices[d] = MakeRamp(ramp->base - begin, ramp->stride, t.lanes);
        } else {
          indices[d] = indices[d] - (t.lanes > 1 ? MakeBroadcast(begin, t.lanes) : begin);
        }
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

  const DeviceModel& device_;
  Analyzer analyzer_;
  std::vector<const ForNode*> around_;
};

}  // namespace

PrimFunc CompactBuffers(const PrimFunc& f, const Target& target) {
  return f.WithBody(Compactor(target).Rewrite(f->body));
}

}  // namespace tilewright
