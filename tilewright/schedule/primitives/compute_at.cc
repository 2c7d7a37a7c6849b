// SPDX-License-Identifier: Apache-2.0
// ComputeAt and ReverseComputeAt: a block moves under a loop of those that it exchanges data with, and runs
// there over the part of its domain that one iteration needs or makes. Its own loops are replaced by one per
// iteration variable, in the order of the variables, also where the extent is 1.
#include <algorithm>

#include "tilewright/schedule/digits.h"
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"
#include "tilewright/target/device_model.h"

namespace tilewright {

namespace {

/// For each iteration variable the interval that one iteration of the loop runs over; empty: all of the
/// domain.
using Domains = std::vector<std::optional<SymbolicInterval>>;

/// Narrows domains so that index expressions over the variables of a block fall into a box.
class DomainSolver {
 public:
  DomainSolver(const BlockNode& block, const Bounds& bounds)
      : bounds_(bounds), domains_(block.iter_vars.size()) {
    for (const IterVar& iv : block.iter_vars) vars_.push_back(iv.var);
  }

  void Require(const std::vector<Expr>& indices, const Box& box) {
    std::vector<std::pair<Digit, SymbolicInterval>> digits;
    for (size_t d = 0; d < indices.size(); ++d) {
      auto sum = ParseDigits(indices[d], vars_);
      if (!sum || sum->terms.size() != 1) continue;
      const DigitTerm& term = sum->terms[0];
      if (term.coefficient <= 0 || term.digit.source.kind() != ExprKind::kVar) continue;
      SymbolicInterval range{box[d].lo - sum->constant, box[d].hi - sum->constant};
      if (term.coefficient > 1) {
        range = {CeilDiv(range.lo, Expr(term.coefficient)), FloorDiv(range.hi, Expr(term.coefficient))};
      }
      if (!term.digit.upper.get() && IsInt(term.digit.lower, 1)) {
        Set(term.digit.source, range);
      } else {
        digits.emplace_back(term.digit, range);
      }
    }
    RequireDigits(digits);
  }

  const Domains& domains() const { return domains_; }
  /// Variables on which two requirements disagree: what they allow together may leave gaps between
  /// iterations.
  bool conflicting() const { return conflicting_; }
  /// Whether the domains may hold more than what was required.
  bool exceeding() const { return exceeding_; }

 private:
  void Set(const Expr& var, SymbolicInterval range) {
    for (size_t i = 0; i < vars_.size(); ++i) {
      if (vars_[i].get() != var.get()) continue;
      range = {bounds_.Simplify(range.lo), bounds_.Simplify(range.hi)};
      if (domains_[i]) {
        conflicting_ |=
            !bounds_.ProveEqual(domains_[i]->lo, range.lo) || !bounds_.ProveEqual(domains_[i]->hi, range.hi);
        range = {bounds_.Simplify(Min(domains_[i]->lo, range.lo)),
                 bounds_.Simplify(Max(domains_[i]->hi, range.hi))};
      }
      domains_[i] = range;
    }
  }

  /// x // c in [a, b] bounds x; where a == b, x % c in a range does so closer.
  void RequireDigits(const std::vector<std::pair<Digit, SymbolicInterval>>& digits) {
    for (const auto& [quotient, range] : digits) {
      if (quotient.upper) continue;
      SymbolicInterval values{range.lo * quotient.lower,
                              range.hi * quotient.lower + quotient.lower - Expr(1)};
      const bool one = bounds_.ProveEqual(range.lo, range.hi);
      for (const auto& [rest, within] : digits) {
        if (!rest.upper || rest.source != quotient.source) continue;
        if (one && IsInt(rest.lower, 1) && bounds_.ProveEqual(rest.upper, quotient.lower)) {
          values = {range.lo * quotient.lower + within.lo, range.lo * quotient.lower + within.hi};
        } else {
          // Of several quotients with some of the rests, the hull is more than there is.
          const Expr last = FloorDiv(rest.upper, rest.lower) - Expr(1);
          exceeding_ |= !bounds_.Prove(within.lo <= Expr(0)) || !bounds_.Prove(within.hi >= last);
        }
      }
      Set(quotient.source, values);
    }
  }

  const Bounds& bounds_;
  std::vector<Var> vars_;
  Domains domains_;
  bool conflicting_ = false, exceeding_ = false;
};

/// The block below new loops that run over these domains; with `only_within`, not beyond them.
Stmt NestOver(const BlockNode& block, const Domains& domains, Bounds& bounds, bool only_within) {
  BlockNode copy = block;
  std::vector<std::pair<Var, Expr>> loops;
  std::vector<Expr> terms;
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const IterVar& iv = block.iter_vars[i];
    Expr min = iv.dom.min, extent = iv.dom.extent;
    if (domains[i]) {
      Expr needed = bounds.Simplify(domains[i]->hi - domains[i]->lo + Expr(1));
      // A part as large as the whole is the whole; of what was made, only where it is there.
      const bool whole = bounds.Prove(needed >= extent) &&
                         (!only_within || (bounds.Prove(domains[i]->lo <= min) &&
                                           bounds.Prove(min + extent - Expr(1) <= domains[i]->hi)));
      if (!whole) min = domains[i]->lo, extent = needed;
    }
    Var loop(iv.var.name());
    bounds.Bind(loop, {Expr(0), extent});
    loops.emplace_back(loop, extent);
    copy.bindings[i] = bounds.Simplify(min + loop);
    terms.push_back(copy.bindings[i] >= iv.dom.min);
    terms.push_back(copy.bindings[i] < iv.dom.min + iv.dom.extent);
  }
  // The predicate it had kept its loops within the domain; so do these terms.
  copy.predicate = Conjunction(terms, bounds);
  return MakeNest(loops, MakeBlock(std::move(copy)));
}

struct Move {
  const Rewriter& rw;
  Path block_path, loop_path;
  const BlockNode& block() const { return block_path.block(); }
  const ForNode& loop() const { return loop_path.loop(); }

  Move(const Rewriter& r, const BlockRef& b, const LoopRef& l)
      : rw(r), block_path(r.Find(b)), loop_path(r.Find(l)) {
    if (block_path.nodes[block_path.scope()] != loop_path.nodes[loop_path.scope()]) {
      rw.Fail("TW1412",
              fmt::format("block '{}' and loop '{}' are not in the same block", b.name, l.var.name()),
              {&loop(), &block()});
    }
    if (loop().for_kind == ForKind::kVectorized) {
      rw.Fail("TW1405",
              fmt::format("loop '{}' is vectorized: it cannot take in further blocks", l.var.name()),
              {&loop()});
    }
    for (const IterVar& iv : block().iter_vars) {
      if (iv.kind == IterKind::kOpaque) {
        rw.Fail("TW1407",
                fmt::format("block '{}' has an order in '{}' and cannot be cut up", b.name, iv.var.name()),
                {&block()});
      }
    }
    if (block().iter_vars.empty()) {
      rw.Fail("TW1407", fmt::format("block '{}' is opaque and cannot be cut up", b.name), {&block()});
    }
  }

  /// Error where the block's loops do not run over all of its domain, as parts of a loop do not: the new ones
  /// would. Values that are computed again elsewhere do no harm, additions to a sum do.
  void RequireWhole(bool reductions_only) const {
    const std::vector<const ForNode*> loops = block_path.Loops();
    const Bounds bounds = Rewriter::BoundsAt(block_path, false);
    Relaxation all(bounds);
    for (const ForNode* l : loops) all.Add(*l);
    for (size_t i = 0; i < block().iter_vars.size(); ++i) {
      const IterVar& iv = block().iter_vars[i];
      if (reductions_only && iv.kind != IterKind::kReduce) continue;
      const auto range = all.Eval(block().bindings[i]);
      if (!range) continue;
      if (bounds.Prove(range->lo > iv.dom.min) ||
          bounds.Prove(range->hi < iv.dom.min + iv.dom.extent - Expr(1))) {
        rw.Fail("TW1412",
                fmt::format("the loops around block '{}' run over part of '{}' only", block().name,
                            iv.var.name()),
                {&block()}, {"move it before a loop around it is cut into parts"});
      }
    }
  }

  std::vector<BlockSite> ScopeSites() const { return BlocksBelow(block_path.ScopeBlock().body); }
  std::vector<BlockSite> SitesUnderLoop() const { return BlocksBelow(loop().body); }

  Bounds LoopBounds() const {
    Bounds bounds = Rewriter::BoundsAt(loop_path, true);
    PreOrder(loop().body, [&](const Stmt& s) {
      if (auto* l = s.As<ForNode>()) bounds.Bind(l->var, {l->min, l->extent});
      return s.kind() != StmtKind::kBlock;
    });
    return bounds;
  }

  /// The body with the block's nest taken away and `nest` put into the loop: before the first of its
  /// statements that holds one of `others`, or after the last.
  Stmt Apply(const Stmt& nest, const std::unordered_set<const BlockNode*>& others, bool before) const {
    Stmt body = block_path.Replace(nullptr);
    Path path = FindLoop(body, loop().var);
    const Stmt& inside = path.loop().body;
    std::vector<Stmt> parts{inside};
    if (auto* seq = inside.As<SeqNode>()) parts = seq->stmts;
    auto holds = [&](const Stmt& s) {
      std::vector<BlockSite> sites = BlocksBelow(s);
      return std::any_of(sites.begin(), sites.end(),
                         [&](const BlockSite& x) { return others.contains(x.block); });
    };
    if (before) {
      parts.insert(std::find_if(parts.begin(), parts.end(), holds), nest);
    } else {
      parts.insert(std::find_if(parts.rbegin(), parts.rend(), holds).base(), nest);
    }
    return path.Replace(WithBody(path.loop(), MakeSeq(std::move(parts))));
  }
};

/// What all threads around the loop need together of a buffer of which they see one.
Box NeededByThreads(const Move& move, const Buffer& buffer, Box needed, const Bounds& bounds) {
  std::vector<const ForNode*> around = move.loop_path.Loops();
  around.push_back(&move.loop());
  Relaxation relax(bounds);
  bool any = false;
  for (const ForNode* loop : around) {
    if (loop->for_kind != ForKind::kThreadBound || !ThreadsShare(loop->thread_tag, buffer.scope())) continue;
    relax.Add(*loop);
    any = true;
  }
  if (!any) return needed;
  for (size_t d = 0; d < needed.size(); ++d) {
    const auto lo = relax.Eval(needed[d].lo), hi = relax.Eval(needed[d].hi);
    needed[d] = lo && hi ? SymbolicInterval{bounds.Simplify(lo->lo), bounds.Simplify(hi->hi)}
                         : SymbolicInterval{Expr(0), buffer.shape()[d] - Expr(1)};
  }
  return needed;
}

/// Nothing that the block reads or writes may be written on the way that it moves later by.
void CheckNotOverwritten(const Move& move) {
  bool after = false;
  for (const BlockSite& site : move.ScopeSites()) {
    if (site.block == &move.block()) {
      after = true;
    } else if (after) {
      for (const BufferRegion& w : site.block->writes) {
        if (!ReadsBuffer(move.block(), w.buffer) && !WritesBuffer(move.block(), w.buffer)) continue;
        move.rw.Fail("TW1412",
                     fmt::format("block '{}' writes {} after block '{}'", site.block->name, w.buffer.name(),
                                 move.block().name),
                     {site.block, &move.block()});
      }
    }
  }
}

/// All that writes the buffer lies under the loop, below which these blocks are.
void RequireAllUnder(const Move& move, const Buffer& buffer, const std::vector<BlockSite>& under) {
  for (const BlockSite& site : move.ScopeSites()) {
    if (site.block == &move.block() || !WritesBuffer(*site.block, buffer) ||
        std::any_of(under.begin(), under.end(), [&](const BlockSite& s) { return s.block == site.block; })) {
      continue;
    }
    move.rw.Fail("TW1412",
                 fmt::format("block '{}' writes {} too but is not under loop '{}'", site.block->name,
                             buffer.name(), move.loop().var.name()),
                 {site.block, &move.loop()}, {"move the block before a loop is cut into parts"});
  }
}

std::vector<std::vector<Expr>> IndicesOf(const BlockNode& block, const Buffer& buffer, Access access) {
  std::vector<std::vector<Expr>> result;
  auto add = [&](const std::vector<Expr>& indices) {
    for (const auto& known : result) {
      if (std::equal(known.begin(), known.end(), indices.begin(), StructuralEqual)) return;
    }
    result.push_back(indices);
  };
  PreOrder(block.body, [&](const Stmt& s) {
    auto* store = s.As<StoreNode>();
    if (store && access == Access::kWrite && store->buffer == buffer) add(store->indices);
    return true;
  });
  if (access == Access::kRead) {
    PreOrderExprs(block.body, [&](const Expr& e) {
      auto* load = e.As<LoadNode>();
      if (load && load->buffer == buffer) add(load->indices);
    });
  }
  return result;
}

}  // namespace

void Schedule::ComputeAt(const BlockRef& ref, const LoopRef& loop) {
  Rewriter rw(*this, "compute_at");
  const Move move(rw, ref, loop);
  const BlockNode& block = move.block();
  std::unordered_set<const BlockNode*> under;
  const std::vector<BlockSite> sites = move.SitesUnderLoop();
  for (const BlockSite& site : sites) {
    if (site.block != &block) under.insert(site.block);
  }

  std::unordered_set<const BlockNode*> consumers;
  for (const BufferRegion& made : block.writes) {
    if (rw.IsParameter(made.buffer)) {
      rw.Fail(
          "TW1414",
          fmt::format("block '{}' writes {}, which the caller reads whole", block.name, made.buffer.name()),
          {&block}, {"compute_at is for intermediate results"});
    }
    for (const BlockSite& site : move.ScopeSites()) {
      if (site.block == &block) continue;
      if (WritesBuffer(*site.block, made.buffer)) {
        rw.Fail("TW1412", fmt::format("block '{}' writes {} too", site.block->name, made.buffer.name()),
                {site.block, &block}, {"move the block before its initialisation is decomposed"});
      }
      if (!ReadsBuffer(*site.block, made.buffer)) continue;
      if (!under.contains(site.block)) {
        rw.Fail("TW1412",
                fmt::format("block '{}' reads {} but is not under loop '{}'", site.block->name,
                            made.buffer.name(), loop.var.name()),
                {site.block, &move.loop()});
      }
      consumers.insert(site.block);
    }
  }
  if (consumers.empty()) {
    rw.Fail("TW1412",
            fmt::format("no block under loop '{}' reads what block '{}' writes", loop.var.name(), block.name),
            {&move.loop(), &block});
  }
  CheckNotOverwritten(move);
  move.RequireWhole(true);

  Bounds bounds = move.LoopBounds();
  DomainSolver solver(block, bounds);
  for (const BufferRegion& made : block.writes) {
    std::optional<Box> needed;
    for (const BlockSite& site : sites) {
      if (!ReadsBuffer(*site.block, made.buffer)) continue;
      Box box = TouchedBox(site, made.buffer, Access::kRead, bounds);
      needed = needed ? Hull(*needed, box, bounds) : std::move(box);
    }
    if (!needed) continue;
    needed = NeededByThreads(move, made.buffer, std::move(*needed), bounds);
    for (const auto& indices : IndicesOf(block, made.buffer, Access::kWrite))
      solver.Require(indices, *needed);
  }
  Stmt body = move.Apply(NestOver(block, solver.domains(), bounds, false), consumers, true);
  CheckInputsReady(rw, body, ref.name);
  CheckLoopsAround(rw, body, ref.name);
  rw.Commit(body, {ref, loop}, {});
}

void Schedule::ReverseComputeAt(const BlockRef& ref, const LoopRef& loop) {
  Rewriter rw(*this, "reverse_compute_at");
  const Move move(rw, ref, loop);
  const BlockNode& block = move.block();
  if (move.block_path.Find(loop.var) != Path::npos) {
    rw.Fail("TW1412", fmt::format("block '{}' is under loop '{}' already", ref.name, loop.var.name()),
            {&move.loop(), &block});
  }
  move.RequireWhole(false);
  CheckOnlyWriter(rw, move.block_path);
  Bounds bounds = move.LoopBounds();

  std::unordered_set<const BlockNode*> producers;
  DomainSolver solver(block, bounds), all(block, bounds);
  std::vector<const ForNode*> around = move.loop_path.Loops();
  around.push_back(&move.loop());
  const std::vector<BlockSite> sites = move.SitesUnderLoop();
  for (const BufferRegion& read : block.reads) {
    std::optional<Box> made, made_by_all;
    for (const BlockSite& site : sites) {
      if (!WritesBuffer(*site.block, read.buffer)) continue;
      producers.insert(site.block);
      Box box = TouchedBox(site, read.buffer, Access::kWrite, bounds);
      made = made ? Hull(*made, box, bounds) : std::move(box);
      BlockSite whole{site.block, around};
      whole.loops.insert(whole.loops.end(), site.loops.begin(), site.loops.end());
      box = TouchedBox(whole, read.buffer, Access::kWrite, bounds);
      made_by_all = made_by_all ? Hull(*made_by_all, box, bounds) : std::move(box);
    }
    if (!made) continue;
    RequireAllUnder(move, read.buffer, sites);
    for (const auto& indices : IndicesOf(block, read.buffer, Access::kRead)) {
      solver.Require(indices, *made);
      all.Require(indices, *made_by_all);
    }
  }
  if (producers.empty()) {
    rw.Fail("TW1412",
            fmt::format("no block under loop '{}' writes what block '{}' reads", loop.var.name(), block.name),
            {&move.loop(), &block});
  }
  // All iterations together must cover the domain: every element is read where it was made.
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const Range& dom = block.iter_vars[i].dom;
    const auto& covered = all.domains()[i];
    if (!covered) continue;
    if (solver.conflicting() || all.exceeding() || !bounds.Prove(covered->lo <= dom.min) ||
        !bounds.Prove(dom.min + dom.extent - Expr(1) <= covered->hi)) {
      rw.Fail("TW1416",
              fmt::format("iterations of loop '{}' do not make all that block '{}' needs at once for '{}'",
                          loop.var.name(), block.name, block.iter_vars[i].var.name()),
              {&move.loop(), &block}, {"the block must read the elements of its producer one by one"});
    }
  }
  Stmt body = move.Apply(NestOver(block, solver.domains(), bounds, true), producers, false);
  CheckInputsReady(rw, body, ref.name);
  CheckLoopsAround(rw, body, ref.name);
  CheckRunsOnce(rw, body, ref.name);
  rw.Commit(body, {ref, loop}, {});
}

}  // namespace tilewright
