// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/tiles.h"

#include <algorithm>

#include "tilewright/schedule/digits.h"
#include "tilewright/schedule/region.h"

namespace tilewright {

namespace {

/// binding = tile * size + inside, where `inside` runs over [0, size) with the loops of the tile.
struct Division {
  Expr tile, inside;
  Expr size;
};

class TileMaker {
 public:
  TileMaker(const Rewriter& rw, const Path& path)
      : rw_(rw), path_(path), bounds_(Rewriter::BoundsAt(path, true)) {
    Stmt s = path.stmt();
    while (auto* loop = s.As<ForNode>()) {
      loops_.push_back(loop);
      vars_.push_back(loop->var);
      bounds_.Bind(loop->var, {loop->min, loop->extent});
      s = loop->body;
    }
    inner_ = s.As<BlockNode>();
    if (!inner_) {
      rw_.Fail("TW1406", fmt::format("loop '{}' does not lead to a single block", path.loop().var.name()),
               {&path.loop()}, {"every loop of the tile must hold just the next one"});
    }
  }

  BlockNode Make(const std::string& name) {
    BlockNode outer;
    outer.name = name;
    BlockNode inner = *inner_;
    std::vector<Expr> tile_guards, point_guards;
    for (size_t i = 0; i < inner.iter_vars.size(); ++i) {
      const IterVar& iv = inner.iter_vars[i];
      const Division d = Divide(iv, inner.bindings[i]);
      Var tile(iv.var.name() + "_o");
      const Expr tiles = bounds_.Simplify(CeilDiv(iv.dom.extent, d.size));
      bounds_.Bind(tile, {Expr(0), tiles});
      outer.iter_vars.push_back({tile, {Expr(0), tiles}, iv.kind});
      outer.bindings.push_back(d.tile);
      tile_guards.push_back(d.tile < tiles);
      inner.bindings[i] = bounds_.Simplify(tile * d.size + d.inside);
      point_guards.push_back(inner.bindings[i] < iv.dom.extent);
    }
    outer.predicate = Conjunction(tile_guards, bounds_);
    inner.predicate = Conjunction(point_guards, bounds_);
    AddBodies(outer, std::move(inner));
    return outer;
  }

 private:
  Division Divide(const IterVar& iv, const Expr& binding) {
    auto sum = ParseDigits(bounds_.Simplify(binding), vars_);
    if (!sum || !IsInt(iv.dom.min, 0) || iv.kind == IterKind::kOpaque) FailTile(iv);
    auto& terms = sum->terms;
    std::sort(terms.begin(), terms.end(),
              [](const DigitTerm& a, const DigitTerm& b) { return a.coefficient < b.coefficient; });
    Division d{nullptr, Expr(0), Expr(1)};
    for (const DigitTerm& t : terms) {
      const auto count = bounds_.ConstExtent(t.digit.ToExpr());
      // A digit of a sum that reaches outside the tile is no position in it.
      const bool own = t.digit.source.kind() == ExprKind::kVar;
      if (!own || !count || !IsInt(d.size, t.coefficient)) FailTile(iv);
      d.inside = d.inside + t.digit.ToExpr() * Expr(t.coefficient);
      d.size = d.size * Expr(*count);
    }
    d.tile = bounds_.Simplify(FloorDiv(sum->constant, d.size));
    if (!bounds_.ProveEqual(d.tile * d.size, sum->constant)) FailTile(iv);
    return d;
  }

  void AddBodies(BlockNode& outer, BlockNode inner) {
    const Stmt init = inner.init;
    if (init) {
      BlockNode first = inner;
      first.name = rw_.FreshBlockName(inner.name + "_init");
      first.iter_vars.clear();
      first.bindings.clear();
      std::vector<const ForNode*> kept;
      for (size_t i = 0; i < inner.iter_vars.size(); ++i) {
        if (inner.iter_vars[i].kind != IterKind::kSpatial) continue;
        first.iter_vars.push_back(inner.iter_vars[i]);
        first.bindings.push_back(inner.bindings[i]);
      }
      VarMap fixed;
      for (const ForNode* l : loops_) {
        const LoopRole role = RoleOf(inner, l->var);
        if (role.spatial) {
          kept.push_back(l);
        } else {
          fixed[l->var] = l->min;
        }
      }
      if (first.predicate) first.predicate = Conjunction({Substitute(first.predicate, fixed)}, bounds_);
      first.init = nullptr;
      first.body = init;
      RecomputeRegions(first);
      outer.init = CopyNest(kept, fixed, std::move(first));
      inner.init = nullptr;
      RecomputeRegions(inner);
    }
    outer.reads = Regions(inner, inner.reads, Access::kRead);
    outer.writes = Regions(inner, inner.writes, Access::kWrite);
    if (init) {
      std::erase_if(outer.reads, [&](const BufferRegion& r) { return WritesBuffer(outer, r.buffer); });
    }
    Stmt body = MakeBlock(std::move(inner));
    for (size_t i = loops_.size(); i-- > 0;) body = WithBody(*loops_[i], body);
    outer.body = body;
  }

  /// What one tile touches, over the outer variables.
  std::vector<BufferRegion> Regions(const BlockNode& inner, const std::vector<BufferRegion>& of,
                                    Access access) const {
    std::vector<BufferRegion> result;
    for (const BufferRegion& r : of) {
      BufferRegion region{r.buffer, {}};
      for (const SymbolicInterval& side : TouchedBox({&inner, loops_}, r.buffer, access, bounds_)) {
        region.region.push_back({side.lo, bounds_.Simplify(side.hi - side.lo + Expr(1))});
      }
      result.push_back(std::move(region));
    }
    return result;
  }

  [[noreturn]] void FailTile(const IterVar& iv) const {
    rw_.Fail("TW1416",
             fmt::format("the loops from '{}' inwards are no tile of '{}' in block '{}'",
                         path_.loop().var.name(), iv.var.name(), inner_->name),
             {&path_.loop(), inner_},
             {"each variable must be tile * constant + position, with all positions inside the loop"});
  }

  const Rewriter& rw_;
  const Path& path_;
  Bounds bounds_;
  std::vector<const ForNode*> loops_;
  std::vector<Var> vars_;
  const BlockNode* inner_ = nullptr;
};

}  // namespace

BlockNode MakeTileBlock(const Rewriter& rw, const Path& loop, const std::string& name) {
  return TileMaker(rw, loop).Make(name);
}

}  // namespace tilewright
