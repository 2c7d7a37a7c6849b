// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/flow.h"

#include <algorithm>

#include "tilewright/schedule/digits.h"

namespace tilewright {

namespace {

bool IsTrivial(const ForNode& loop) { return IsInt(loop.extent, 1); }

std::vector<const ForNode*> Concat(std::vector<const ForNode*> a, const std::vector<const ForNode*>& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace

namespace {

/// Whether different iterations of `loop` may run an instance of the block for the same values of these
/// bindings of it.
bool Repeats(const std::vector<Expr>& bindings, const ForNode& loop, const std::vector<const ForNode*>& inner,
             const Bounds& bounds) {
  if (IsTrivial(loop)) return false;
  std::vector<Var> vars = {loop.var};
  for (const ForNode* l : inner) vars.push_back(l->var);
  if (Determined(bindings, vars, bounds)[0]) return false;
  // Parts of uneven size: the ranges of successive iterations must follow each other.
  Relaxation relax(bounds);
  for (const ForNode* l : inner) relax.Add(*l);
  for (const Expr& binding : bindings) {
    if (!UsesVar(binding, loop.var)) continue;
    auto range = relax.Eval(binding);
    if (!range) continue;
    Expr next = Substitute(range->lo, {{loop.var, loop.var + Expr(1)}});
    if (bounds.Prove(range->hi < next)) return false;
  }
  return true;
}

}  // namespace

bool Revisits(const BlockNode& block, const ForNode& loop, const std::vector<const ForNode*>& inner,
              const Bounds& bounds) {
  std::vector<Expr> bindings;
  for (size_t i = 0; i < block.bindings.size(); ++i) {
    if (block.iter_vars[i].kind == IterKind::kSpatial) bindings.push_back(block.bindings[i]);
  }
  return Repeats(bindings, loop, inner, bounds);
}

namespace {

/// The blocks in one iteration of some loops, and what flows between them.
class Iteration {
 public:
  /// One iteration of `loops` (adjacent on a path) runs `body`; `bounds` knows all loops outside body.
  Iteration(const Rewriter& rw, const Stmt& scope_body, std::vector<const ForNode*> loops, const Stmt& body,
            const Bounds& bounds)
      : rw_(rw), loops_(std::move(loops)), sites_(BlocksBelow(body)), bounds_(bounds) {
    std::unordered_set<const BlockNode*> inside;
    for (const BlockSite& site : sites_) inside.insert(site.block);
    for (const BlockSite& site : BlocksBelow(scope_body)) {
      if (!inside.contains(site.block)) outside_.push_back(site.block);
    }
  }

  const std::vector<BlockSite>& sites() const { return sites_; }

  /// Whether nothing outside the iteration sees the buffer, so that each may have its own.
  bool IsLocal(const Buffer& buffer) const {
    return !rw_.IsParameter(buffer) &&
           std::none_of(outside_.begin(), outside_.end(), [&](const BlockNode* b) {
             return ReadsBuffer(*b, buffer) || WritesBuffer(*b, buffer);
           });
  }

  /// Error TW1410 where an iteration uses what another makes.
  void CheckFlows() const {
    for (size_t w = 0; w < sites_.size(); ++w) {
      for (const BufferRegion& written : sites_[w].block->writes) {
        for (size_t other = 0; other < sites_.size(); ++other) {
          if (other == w) continue;
          if (ReadsBuffer(*sites_[other].block, written.buffer)) CheckRead(w, other, written.buffer);
          if (other > w && WritesBuffer(*sites_[other].block, written.buffer))
            CheckOverwrite(w, other, written.buffer);
        }
      }
    }
  }

 private:
  Box Touched(const BlockSite& site, const Buffer& buffer, Access access) const {
    return TouchedBox(site, buffer, access, bounds_);
  }
  /// What all iterations together touch.
  Box TouchedByAll(const BlockSite& site, const Buffer& buffer, Access access) const {
    return TouchedBox({site.block, Concat(loops_, site.loops)}, buffer, access, bounds_);
  }

  void CheckRead(size_t writer, size_t reader, const Buffer& buffer) const {
    const BlockSite &w = sites_[writer], &r = sites_[reader];
    const Box written_by_all = TouchedByAll(w, buffer, Access::kWrite);
    if (Disjoint(written_by_all, TouchedByAll(r, buffer, Access::kRead), bounds_)) return;
    if (writer < reader && Covers(Touched(w, buffer, Access::kWrite), Touched(r, buffer, Access::kRead),
                                  written_by_all, bounds_)) {
      return;
    }
    Fail(w, r, buffer, "reads");
  }

  void CheckOverwrite(size_t first, size_t second, const Buffer& buffer) const {
    const BlockSite &a = sites_[first], &b = sites_[second];
    // Who reads an own copy reads what its own iteration wrote: CheckRead sees to that.
    if (IsLocal(buffer)) return;
    const Box all_a = TouchedByAll(a, buffer, Access::kWrite),
              all_b = TouchedByAll(b, buffer, Access::kWrite);
    if (Disjoint(all_a, all_b, bounds_)) return;
    const Box one_a = Touched(a, buffer, Access::kWrite), one_b = Touched(b, buffer, Access::kWrite);
    const bool aligned = Covers(one_a, one_b, all_a, bounds_) || Covers(one_b, one_a, all_b, bounds_);
    if (aligned && !RevisitsAny(a) && !RevisitsAny(b)) return;
    Fail(a, b, buffer, "overwrites");
  }

  bool RevisitsAny(const BlockSite& site) const {
    for (size_t i = 0; i < loops_.size(); ++i) {
      auto inner = Concat({loops_.begin() + std::ptrdiff_t(i) + 1, loops_.end()}, site.loops);
      if (Revisits(*site.block, *loops_[i], inner, bounds_)) return true;
    }
    return false;
  }

  [[noreturn]] void Fail(const BlockSite& w, const BlockSite& r, const Buffer& buffer,
                         const char* what) const {
    std::vector<const StmtNode*> guilty(loops_.begin(), loops_.end());
    guilty.push_back(w.block);
    guilty.push_back(r.block);
    rw_.Fail("TW1410",
             fmt::format("block '{}' {} elements of {} that block '{}' may write in another iteration",
                         r.block->name, what, buffer.name(), w.block->name),
             guilty, {"only loops whose iterations do not need each other may change their order"});
  }

  const Rewriter& rw_;
  std::vector<const ForNode*> loops_;
  std::vector<BlockSite> sites_;
  std::vector<const BlockNode*> outside_;
  const Bounds& bounds_;
};

/// What is known inside the loops of a path, of `more`, and of all loops below `body`.
Bounds BoundsInside(const Path& path, const std::vector<const ForNode*>& more, const Stmt& body) {
  Bounds bounds = Rewriter::BoundsAt(path, true);
  for (const ForNode* loop : more) bounds.Bind(loop->var, {loop->min, loop->extent});
  PreOrder(body, [&](const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) bounds.Bind(loop->var, {loop->min, loop->extent});
    return s.kind() != StmtKind::kBlock;
  });
  return bounds;
}

/// Error TW1407 where the block has an order in the loop.
void RequireNoOrder(const Rewriter& rw, const ForNode& loop, const BlockNode& block) {
  const LoopRole role = RoleOf(block, loop.var);
  if (!role.reduce && !role.opaque) return;
  rw.Fail("TW1407",
          fmt::format("the iterations of loop '{}' are not independent: block '{}' {} in it", loop.var.name(),
                      block.name, role.reduce ? "reduces" : "has an order"),
          {&loop, &block},
          {role.reduce ? "only loops over spatial variables may be parallel or vectorized"
                       : "the block is opaque"});
}

}  // namespace

void CheckIndependent(const Rewriter& rw, const Path& path, bool lanes) {
  const ForNode& loop = path.loop();
  const Bounds bounds = BoundsInside(path, {}, loop.body);
  const Stmt& scope_body = path.nodes[path.scope()].As<BlockNode>()->body;
  Iteration iteration(rw, scope_body, {&loop}, loop.body, bounds);
  for (const BlockSite& site : iteration.sites()) {
    RequireNoOrder(rw, loop, *site.block);
    if (IsTrivial(loop)) continue;
    const bool shared = std::any_of(site.block->writes.begin(), site.block->writes.end(),
                                    [&](const BufferRegion& r) { return !iteration.IsLocal(r.buffer); });
    if ((shared || (lanes && IsReduction(*site.block))) && Revisits(*site.block, loop, site.loops, bounds)) {
      rw.Fail("TW1410",
              fmt::format("iterations of loop '{}' may write the same elements in block '{}'",
                          loop.var.name(), site.block->name),
              {&loop, site.block});
    }
  }
  if (!IsTrivial(loop)) iteration.CheckFlows();
}

void CheckLoopsAround(const Rewriter& rw, const Stmt& body, const std::string& block) {
  for (const ForNode* loop : FindBlock(body, block).Loops()) {
    if (loop->for_kind == ForKind::kSerial || loop->for_kind == ForKind::kUnrolled) continue;
    CheckIndependent(rw, FindLoop(body, loop->var), loop->for_kind == ForKind::kVectorized);
  }
}

void CheckRolesAround(const Rewriter& rw, const Stmt& body, const LoopRef& changed) {
  const Path path = FindLoop(body, changed.var);
  for (const ForNode* loop : path.Loops()) {
    if (loop->for_kind == ForKind::kSerial || loop->for_kind == ForKind::kUnrolled) continue;
    for (const BlockSite& site : BlocksBelow(path.stmt())) RequireNoOrder(rw, *loop, *site.block);
  }
}

void CheckReorder(const Rewriter& rw, const Path& top, const std::vector<const ForNode*>& chain,
                  const std::vector<const ForNode*>& permuted) {
  const Stmt& body = chain.back()->body;
  const Bounds bounds = BoundsInside(top, chain, body);
  const Stmt& scope_body = top.nodes[top.scope()].As<BlockNode>()->body;
  Iteration iteration(rw, scope_body, chain, body, bounds);
  auto position = [&](const ForNode* loop) { return std::find(permuted.begin(), permuted.end(), loop); };
  for (size_t i = 0; i < chain.size(); ++i) {
    for (size_t j = i + 1; j < chain.size(); ++j) {
      const ForNode &outer = *chain[i], &inner = *chain[j];
      if (position(&outer) < position(&inner) || IsTrivial(outer) || IsTrivial(inner)) continue;
      for (const BlockSite& site : iteration.sites()) {
        const LoopRole a = RoleOf(*site.block, outer.var), b = RoleOf(*site.block, inner.var);
        if (a.opaque || b.opaque) {
          rw.Fail("TW1407",
                  fmt::format("block '{}' has an order in the loops that would move", site.block->name),
                  {&outer, &inner, site.block}, {"loops that feed opaque variables keep their order"});
        }
        if ((a.reduce && a.spatial) || (b.reduce && b.spatial)) {
          rw.Fail("TW1407",
                  fmt::format("a loop is spatial and reduces at once: block '{}' would go on before it began",
                              site.block->name),
                  {&outer, &inner, site.block}, {"reorder before the two are fused"});
        }
        // A reduction over one loop would be begun again for, or go on in, each iteration of the other.
        auto restarts = [&](const ForNode& loop, size_t at) {
          auto inside = Concat({chain.begin() + std::ptrdiff_t(at) + 1, chain.end()}, site.loops);
          return Revisits(*site.block, loop, inside, bounds);
        };
        if ((a.reduce && !b.reduce && restarts(inner, j)) || (b.reduce && !a.reduce && restarts(outer, i))) {
          rw.Fail(
              "TW1407",
              fmt::format("block '{}' would update elements once for each iteration of a loop in which it is "
                          "computed afresh",
                          site.block->name),
              {&outer, &inner, site.block});
        }
      }
    }
  }
  if (iteration.sites().size() > 1) iteration.CheckFlows();
}

void CheckInputsReady(const Rewriter& rw, const Stmt& body, const std::string& name) {
  const Path path = FindBlock(body, name);
  const std::vector<BlockSite> sites = BlocksBelow(path.nodes[path.scope()].As<BlockNode>()->body);
  const auto self =
      std::find_if(sites.begin(), sites.end(), [&](const BlockSite& s) { return s.block == &path.block(); });
  for (auto other = sites.begin(); other != sites.end(); ++other) {
    if (other == self) continue;
    for (const BufferRegion& read : self->block->reads) {
      if (!WritesBuffer(*other->block, read.buffer)) continue;
      size_t shared = 0;
      while (shared < self->loops.size() && shared < other->loops.size() &&
             self->loops[shared] == other->loops[shared]) {
        ++shared;
      }
      auto below = [&](const BlockSite& s) {
        return BlockSite{s.block, {s.loops.begin() + std::ptrdiff_t(shared), s.loops.end()}};
      };
      if (other < self) {
        if (shared == 0) continue;
        Bounds bounds = BoundsInside(path, {}, body);
        const bool complete = std::none_of(
            self->loops.begin(), self->loops.begin() + std::ptrdiff_t(shared),
            [&](const ForNode* l) { return !IsTrivial(*l) && RoleOf(*other->block, l->var).reduce; });
        if (complete && HoldsInDomain(below(*other)) && ReachesAllOfBox(below(*other), read.buffer, bounds) &&
            Covers(TouchedBox(below(*other), read.buffer, Access::kWrite, bounds),
                   TouchedBox(below(*self), read.buffer, Access::kRead, bounds),
                   TouchedBox(*other, read.buffer, Access::kWrite, bounds), bounds)) {
          continue;
        }
      }
      Bounds bounds = BoundsInside(path, {}, body);
      if (Disjoint(TouchedBox(*other, read.buffer, Access::kWrite, bounds),
                   TouchedBox(*self, read.buffer, Access::kRead, bounds), bounds)) {
        continue;
      }
      rw.Fail("TW1412",
              fmt::format("block '{}' would run before block '{}' has written all that it reads of {}", name,
                          other->block->name, read.buffer.name()),
              {other->block});
    }
  }
}

void CheckOnlyWriter(const Rewriter& rw, const Path& path) {
  const BlockNode& block = path.block();
  const Stmt& scope_body = path.ScopeBlock().body;
  const Bounds bounds = BoundsInside(FindBlock(rw.body(), path.ScopeBlock().name), {}, scope_body);
  const BlockSite self{&block, path.Loops()};
  for (const BlockSite& other : BlocksBelow(scope_body)) {
    if (other.block == &block) continue;
    for (const BufferRegion& written : block.writes) {
      if (!WritesBuffer(*other.block, written.buffer) ||
          Disjoint(TouchedBox(self, written.buffer, Access::kWrite, bounds),
                   TouchedBox(other, written.buffer, Access::kWrite, bounds), bounds)) {
        continue;
      }
      rw.Fail("TW1412",
              fmt::format("block '{}' may write the same elements of {} as block '{}'", other.block->name,
                          written.buffer.name(), block.name),
              {other.block, &block}, {"apply this before a loop is cut into parts"});
    }
  }
}

void CheckRunsOnce(const Rewriter& rw, const Stmt& body, const std::string& name) {
  const Path path = FindBlock(body, name);
  const BlockNode& block = path.block();
  const std::vector<const ForNode*> loops = path.Loops();
  // Updates of one element that lie together within the loops that revisit it begin with its initialisation.
  size_t last_revisit = 0;
  bool revisits = false;
  const Bounds bounds = Rewriter::BoundsAt(path, false);
  for (size_t i = 0; i < loops.size(); ++i) {
    const std::vector<const ForNode*> inner(loops.begin() + std::ptrdiff_t(i) + 1, loops.end());
    if (RoleOf(block, loops[i]->var).reduce) {
      if (!Repeats(block.bindings, *loops[i], inner, bounds)) continue;
      rw.Fail("TW1407",
              fmt::format("block '{}' would add the same terms in several iterations of loop '{}'", name,
                          loops[i]->var.name()),
              {loops[i]});
    }
    if (Revisits(block, *loops[i], inner, bounds)) last_revisit = i, revisits = true;
  }
  if (!revisits) return;
  for (size_t i = 0; i < last_revisit; ++i) {
    if (!RoleOf(block, loops[i]->var).reduce || IsTrivial(*loops[i])) continue;
    rw.Fail("TW1407",
            fmt::format("block '{}' would add to the same elements in several iterations of loop '{}'", name,
                        loops[last_revisit]->var.name()),
            {loops[last_revisit], loops[i]});
  }
}

}  // namespace tilewright
