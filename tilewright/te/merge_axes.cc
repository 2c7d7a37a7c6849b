// SPDX-License-Identifier: Apache-2.0
// Every pair of neighbouring axes, of blocks and of buffers, begins as one that may be joined; what uses one
// axis of a pair without the other takes it out, until nothing changes.
#include "tilewright/te/merge_axes.h"

#include <algorithm>
#include <optional>

namespace tilewright::te {

namespace {

/// One block below its loops, outermost first.
struct Nest {
  std::vector<const ForNode*> loops;
  const BlockNode* block;
};

std::optional<Nest> NestOf(const Stmt& s) {
  Nest nest{};
  Stmt at = s;
  while (auto* loop = at.As<ForNode>()) {
    if (loop->for_kind != ForKind::kSerial || !IsInt(loop->min, 0) || !loop->carried.empty()) return {};
    nest.loops.push_back(loop);
    at = loop->body;
  }
  nest.block = at.As<BlockNode>();
  if (!nest.block || bool(nest.block->predicate) || !nest.block->allocs.empty()) return {};
  const size_t rank = nest.block->iter_vars.size();
  if (nest.loops.size() != rank || nest.block->bindings.size() != rank) return {};
  for (size_t i = 0; i < rank; ++i) {
    const Range& dom = nest.block->iter_vars[i].dom;
    if (nest.block->bindings[i].get() != nest.loops[i]->var.get() || !IsInt(dom.min, 0)) return {};
    if (!StructuralEqual(dom.extent, nest.loops[i]->extent)) return {};
  }
  return nest;
}

/// Pairs (i, i + 1) of axes, by i.
using Pairs = std::vector<bool>;

class AxisMerger {
 public:
  explicit AxisMerger(const PrimFunc& f) : f_(f) {}

  PrimFunc Run() {
    auto* root = f_->body.As<BlockNode>();
    if (!root || !Collect(*root)) return f_;
    do {
      changed_ = false;
      for (size_t b = 0; b < nests_.size(); ++b) Restrict(b);
    } while (changed_);
    bool any = false;
    for (const Pairs& pairs : axes_) any |= std::find(pairs.begin(), pairs.end(), true) != pairs.end();
    return any ? Rebuild(*root) : f_;
  }

 private:
  bool Collect(const BlockNode& root) {
    std::vector<Stmt> stmts = {root.body};
    if (auto* seq = root.body.As<SeqNode>()) stmts = seq->stmts;
    for (const Stmt& s : stmts) {
      std::optional<Nest> nest = NestOf(s);
      if (!nest || nest->block->annotations.contains("rule")) return false;
      const std::vector<IterVar>& axes = nest->block->iter_vars;
      Pairs pairs(axes.size(), false);
      for (size_t k = 0; k + 1 < axes.size(); ++k) {
        pairs[k] = axes[k].kind == axes[k + 1].kind && axes[k].kind != IterKind::kOpaque &&
                   AsInt(axes[k].dom.extent).has_value() && AsInt(axes[k + 1].dom.extent).has_value();
      }
      nests_.push_back(std::move(*nest));
      axes_.push_back(std::move(pairs));
    }
    for (const Buffer& b : f_->buffers) AddBuffer(b);
    for (const Buffer& b : root.allocs) AddBuffer(b);
    return true;
  }

  void AddBuffer(const Buffer& b) {
    const bool plain = b->strides.empty() && !bool(b->offset) && b->axis_separators.empty();
    Pairs pairs(b.shape().size(), false);
    for (size_t d = 0; d + 1 < pairs.size(); ++d) pairs[d] = plain;
    dims_[b] = std::move(pairs);
  }

  // ---- What stays apart.

  void Part(Pairs& pairs, size_t i) {
    changed_ |= pairs[i];
    pairs[i] = false;
  }
  /// Axis k of the block is used alone.
  void PartAxis(size_t block, size_t k) {
    Part(axes_[block], k);
    if (k > 0) Part(axes_[block], k - 1);
  }

  void Restrict(size_t block) {
    const BlockNode& node = *nests_[block].block;
    for (const Stmt& s : {node.init, node.body}) {
      if (!s) continue;
      PreOrder(s, [&](const Stmt& inner) {
        if (auto* store = inner.As<StoreNode>()) RestrictAccess(block, store->buffer, store->indices);
        ForEachExpr(inner, [&](const Expr& e) {
          auto* store = inner.As<StoreNode>();
          const bool index = store && std::any_of(store->indices.begin(), store->indices.end(),
                                                  [&](const Expr& i) { return i.get() == e.get(); });
          // A variable may be an index and the value that is stored.
          if (!index || e.get() == store->value.get()) RestrictValue(block, e);
        });
        return true;
      });
    }
  }

  void RestrictValue(size_t block, const Expr& e) {
    if (!e) return;
    PreOrder(e, [&](const Expr& x) {
      if (auto* load = x.As<LoadNode>()) {
        RestrictAccess(block, load->buffer, load->indices);
        if (load->predicate) RestrictValue(block, load->predicate);
        return false;
      }
      if (const auto k = AxisOf(block, x)) PartAxis(block, *k);
      return true;
    });
  }

  std::optional<size_t> AxisOf(size_t block, const Expr& e) const {
    const std::vector<IterVar>& axes = nests_[block].block->iter_vars;
    for (size_t k = 0; k < axes.size(); ++k) {
      if (axes[k].var.get() == e.get()) return k;
    }
    return std::nullopt;
  }

  void RestrictAccess(size_t block, const Buffer& buffer, const std::vector<Expr>& indices) {
    Pairs& dims = dims_.at(buffer);
    const std::vector<IterVar>& axes = nests_[block].block->iter_vars;
    std::vector<std::optional<size_t>> axis(indices.size());
    for (size_t d = 0; d < indices.size(); ++d) {
      axis[d] = AxisOf(block, indices[d]);
      if (axis[d] && !StructuralEqual(axes[*axis[d]].dom.extent, buffer.shape()[d])) {
        PartAxis(block, *axis[d]);
        axis[d].reset();
      }
      if (!axis[d]) RestrictValue(block, indices[d]);
    }
    for (size_t d = 0; d < indices.size(); ++d) {
      const bool joined = d + 1 < indices.size() && axis[d] && axis[d + 1] == *axis[d] + 1;
      if (!joined || !axes_[block][*axis[d]]) Part(dims, d);
      if (!axis[d]) continue;
      if (!dims[d]) Part(axes_[block], *axis[d]);
      if (*axis[d] > 0 && (d == 0 || axis[d - 1] != *axis[d] - 1 || !dims[d - 1]))
        Part(axes_[block], *axis[d] - 1);
    }
  }

  // ---- The function with joined axes: a group goes by the variable of its first.

  template <class T>
  static std::vector<T> FirstOfGroups(const std::vector<T>& all, const Pairs& pairs) {
    std::vector<T> kept;
    for (size_t i = 0; i < all.size(); ++i) {
      if (i == 0 || !pairs[i - 1]) kept.push_back(all[i]);
    }
    return kept;
  }

  static std::vector<Expr> Extents(const std::vector<Expr>& all, const Pairs& pairs) {
    std::vector<Expr> merged;
    for (size_t i = 0; i < all.size(); ++i) {
      if (i > 0 && pairs[i - 1]) {
        merged.back() = merged.back() * all[i];
      } else {
        merged.push_back(all[i]);
      }
    }
    return merged;
  }

  Buffer Merged(const Buffer& b) {
    const auto found = merged_.find(b);
    if (found != merged_.end()) return found->second;
    const Pairs& pairs = dims_.at(b);
    Buffer result = b;
    if (std::find(pairs.begin(), pairs.end(), true) != pairs.end()) {
      auto* node = new BufferNode(*b);
      node->shape = Extents(b.shape(), pairs);
      result = Buffer(node);
    }
    return merged_[b] = result;
  }

  Expr RewriteExpr(const Expr& e) {
    return PostOrderRewrite(e, [&](const Expr& x) -> Expr {
      auto* load = x.As<LoadNode>();
      if (!load) return x;
      return MakeLoad(Merged(load->buffer), FirstOfGroups(load->indices, dims_.at(load->buffer)),
                      load->predicate);
    });
  }

  Stmt Rewrite(const Stmt& s) {
    if (!s) return s;
    return PostOrderRewrite(
        s,
        [&](const Stmt& x) -> Stmt {
          auto* store = x.As<StoreNode>();
          if (!store) return x;
          return MakeStore(Merged(store->buffer), store->value,
                           FirstOfGroups(store->indices, dims_.at(store->buffer)), store->predicate);
        },
        [&](const Expr& e) { return RewriteExpr(e); });
  }

  std::vector<BufferRegion> Rewrite(const std::vector<BufferRegion>& regions) {
    std::vector<BufferRegion> result;
    for (const BufferRegion& r : regions) {
      const Pairs& pairs = dims_.at(r.buffer);
      const Buffer buffer = Merged(r.buffer);
      BufferRegion merged{buffer, FirstOfGroups(r.region, pairs)};
      // Where one buffer says where another is read.
      for (Range& range : merged.region) range = Range{RewriteExpr(range.min), RewriteExpr(range.extent)};
      for (size_t d = 0, group = 0; d < pairs.size(); ++d) {
        // A pair's axes are read at the block's, or both from end to end.
        if (d > 0 && pairs[d - 1]) continue;
        if (pairs[d] && IsInt(merged.region[group].min, 0))
          merged.region[group].extent = buffer.shape()[group];
        ++group;
      }
      result.push_back(std::move(merged));
    }
    return result;
  }

  Stmt RebuildNest(size_t index) {
    const Nest& nest = nests_[index];
    const Pairs& pairs = axes_[index];
    std::vector<Expr> extents;
    for (const ForNode* loop : nest.loops) extents.push_back(loop->extent);
    extents = Extents(extents, pairs);
    BlockNode block = *nest.block;
    block.iter_vars = FirstOfGroups(block.iter_vars, pairs);
    block.bindings = FirstOfGroups(block.bindings, pairs);
    for (size_t i = 0; i < extents.size(); ++i) block.iter_vars[i].dom.extent = extents[i];
    block.reads = Rewrite(block.reads);
    block.writes = Rewrite(block.writes);
    block.init = Rewrite(block.init);
    block.body = Rewrite(block.body);
    Stmt stmt = MakeBlock(std::move(block));
    const std::vector<const ForNode*> loops = FirstOfGroups(nest.loops, pairs);
    for (size_t i = loops.size(); i-- > 0;)
      stmt = MakeFor(loops[i]->var, 0, extents[i], ForKind::kSerial, stmt, loops[i]->annotations);
    return stmt;
  }

  PrimFunc Rebuild(const BlockNode& root) {
    BlockNode block = root;
    std::vector<Stmt> stmts;
    for (size_t i = 0; i < nests_.size(); ++i) stmts.push_back(RebuildNest(i));
    block.body = MakeSeq(std::move(stmts));
    for (Buffer& b : block.allocs) b = Merged(b);
    PrimFuncNode copy = *f_;
    for (Buffer& b : copy.buffers) b = Merged(b);
    copy.body = MakeBlock(std::move(block));
    return PrimFunc(std::move(copy));
  }

  const PrimFunc f_;
  std::vector<Nest> nests_;
  std::vector<Pairs> axes_;                 ///< by nest
  std::unordered_map<Buffer, Pairs> dims_;  ///< by buffer
  std::unordered_map<Buffer, Buffer> merged_;
  bool changed_ = false;
};

}  // namespace

PrimFunc MergeAxes(const PrimFunc& f) { return AxisMerger(f).Run(); }

}  // namespace tilewright::te
