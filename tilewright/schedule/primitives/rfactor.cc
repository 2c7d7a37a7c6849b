// SPDX-License-Identifier: Apache-2.0
// RFactor: a reduction in two steps. Each iteration of one reduction loop gets an accumulator of its own, so
// that the loop may become lanes, threads or chains; a second reduction adds up the accumulators (Suriana,
// Adams, Kamil, "Parallel associative reductions in Halide", CGO 2017). Changes the order of the reduction.
#include <algorithm>

#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// `result[indices] = result[indices] op source`.
struct Update {
  const StoreNode* store;
  BinaryOp op;
  Expr source;
};

bool LoadsWhatItStores(const Expr& e, const StoreNode& store) {
  auto* load = e.As<LoadNode>();
  return load && load->buffer == store.buffer &&
         std::equal(load->indices.begin(), load->indices.end(), store.indices.begin(), store.indices.end(),
                    StructuralEqual);
}

std::optional<Update> FindUpdate(const BlockNode& block) {
  auto* store = block.body.As<StoreNode>();
  auto* binary = store ? store->value.As<BinaryNode>() : nullptr;
  if (!binary || !block.init || !block.init.As<StoreNode>()) return std::nullopt;
  switch (binary->op) {
    case BinaryOp::kAdd:
    case BinaryOp::kMul:
    case BinaryOp::kMin:
    case BinaryOp::kMax:
    case BinaryOp::kAnd:
    case BinaryOp::kOr:
      break;
    default:
      return std::nullopt;
  }
  if (LoadsWhatItStores(binary->a, *store)) return Update{store, binary->op, binary->b};
  if (LoadsWhatItStores(binary->b, *store)) return Update{store, binary->op, binary->a};
  return std::nullopt;
}

class Factoring {
 public:
  Factoring(const Rewriter& rw, const BlockRef& ref, const LoopRef& loop)
      : rw_(rw), path_(rw.Find(ref)), block_(path_.block()), at_(path_.Find(loop.var)) {
    const Path found = rw.Find(loop);
    if (at_ == Path::npos || at_ < path_.scope()) {
      rw.Fail("TW1412", fmt::format("loop '{}' is not around block '{}'", loop.var.name(), block_.name),
              {&found.loop(), &block_});
    }
    update_ = FindUpdate(block_);
    if (!update_ || block_.writes.size() != 1) {
      rw.Fail("TW1415", fmt::format("block '{}' is no reduction into one result", block_.name), {&block_},
              {"factor a reduction before its initialisation becomes a block of its own"});
    }
    for (const ForNode* l : path_.Loops()) Sort(*l);
    if (!at_start_.contains(Loop().var)) {
      rw.Fail("TW1415", fmt::format("loop '{}' does not reduce", loop.var.name()), {&Loop(), &block_});
    }
    rw.RequireSerial(Loop());
    CheckOnlyWriter(rw, path_);  // the sum of some parts would overwrite the others
  }

  const Path& path() const { return path_; }
  size_t outermost() const { return outermost_; }
  /// A buffer for the accumulators.
  Buffer Partials() const {
    const Buffer& result = update_->store->buffer;
    std::vector<Expr> shape = result.shape();
    shape.push_back(Loop().extent);
    return Buffer(rw_.FreshBufferName(result.name() + "_rf"), result.dtype(), std::move(shape));
  }

  /// The first step, in the place of the block: the loop is spatial, the others reduce.
  Stmt Partial(const std::string& name, const Buffer& partials) const {
    BlockNode partial;
    partial.name = name;
    partial.annotations = block_.annotations;
    VarMap to_iter;  // loop variables as the block's own
    auto add = [&](const ForNode& l, IterKind kind) {
      Var var(l.var.name());
      to_iter[l.var] = var;
      partial.iter_vars.push_back({var, {l.min, l.extent}, kind});
      partial.bindings.push_back(l.var);
      return var;
    };
    CopySpatial(partial);
    const Var lane = add(Loop(), IterKind::kSpatial);
    for (const ForNode* l : reduced_) add(*l, IterKind::kReduce);
    VarMap map;
    for (size_t i = 0; i < block_.iter_vars.size(); ++i) {
      if (block_.iter_vars[i].kind == IterKind::kReduce)
        map[block_.iter_vars[i].var] = Substitute(block_.bindings[i], to_iter);
    }
    std::vector<Expr> indices = update_->store->indices;
    indices.push_back(lane - Loop().min);
    const Expr identity = block_.init.As<StoreNode>()->value;
    Expr source = Substitute(update_->source, map);
    if (const Expr within = TakePredicate(partial, to_iter))
      source = MakeIfThenElse(within, source, identity);
    partial.init = MakeStore(partials, identity, indices);
    partial.body = MakeStore(partials, MakeBinary(update_->op, partials(indices), source), indices);
    RecomputeRegions(partial);
    return MakeBlock(std::move(partial));
  }

  /// The second step: a nest over the loops that the result has inside of the outermost reduction loop.
  Stmt Total(const Buffer& partials, const Bounds& bounds) const {
    BlockNode total;
    total.name = block_.name;
    std::vector<Expr> terms = Conjuncts(block_.predicate);
    for (Expr& term : terms) term = Substitute(Substitute(term, at_start_), unused_);
    total.predicate = Conjunction(terms, bounds);
    CopySpatial(total);
    Var loop(Loop().var.name()), lane(Loop().var.name());
    total.iter_vars.push_back({lane, {Expr(0), Loop().extent}, IterKind::kReduce});
    total.bindings.push_back(loop);
    const StoreNode& store = *update_->store;
    std::vector<Expr> indices = store.indices;
    indices.push_back(lane);
    total.init = block_.init;
    total.body = MakeStore(
        store.buffer, MakeBinary(update_->op, store.buffer(store.indices), partials(indices)), store.indices);
    RecomputeRegions(total);
    const Stmt over = MakeFor(loop, Expr(0), Loop().extent, ForKind::kSerial, path_.stmt());
    std::vector<const ForNode*> loops = kept_;
    loops.push_back(over.As<ForNode>());
    return CopyNest(loops, at_start_, std::move(total));
  }

 private:
  const ForNode& Loop() const { return *path_.nodes[at_].As<ForNode>(); }

  void Sort(const ForNode& l) {
    const LoopRole role = RoleOf(block_, l.var);
    if (role.reduce && role.spatial) {
      rw_.Fail("TW1415", fmt::format("loop '{}' is spatial and reduces at once", l.var.name()), {&l, &block_},
               {"split it where the two were fused"});
    }
    if (role.reduce) {
      for (const Var& v : FreeVars(l.extent)) {
        if (path_.Find(v) == Path::npos) continue;
        rw_.Fail("TW1409", fmt::format("the extent of loop '{}' depends on another loop", l.var.name()),
                 {&l});
      }
      if (outermost_ == Path::npos) outermost_ = path_.Find(l.var);
      at_start_[l.var] = l.min;
      if (path_.Find(l.var) != at_) reduced_.push_back(&l);
    } else if (role.spatial && outermost_ != Path::npos) {
      kept_.push_back(&l);
    } else if (role.unused() && outermost_ != Path::npos) {
      if (!AsInt(l.extent)) {
        rw_.Fail("TW1409", fmt::format("whether loop '{}' runs depends on another loop", l.var.name()), {&l});
      }
      unused_[l.var] = l.min;
    }
  }

  /// Gives the block the terms of the predicate on spatial loops. What keeps the reduction within its domain
  /// holds for pairs of the block's variables: it becomes a condition, which is returned, on the source.
  Expr TakePredicate(BlockNode& partial, const VarMap& to_iter) const {
    Expr predicate = nullptr, within = nullptr;
    for (const Expr& term : Conjuncts(block_.predicate)) {
      const std::vector<Var> vars = FreeVars(term);
      auto reduces = [&](const Var& v) { return to_iter.contains(v); };
      if (std::none_of(vars.begin(), vars.end(), reduces)) {
        predicate = predicate ? predicate && term : term;
        continue;
      }
      for (const Var& v : vars) {
        if (reduces(v) || path_.Find(v) == Path::npos) continue;
        rw_.Fail(
            "TW1409",
            fmt::format("what block '{}' reduces depends on the spatial loop '{}'", block_.name, v.name()),
            {&block_});
      }
      const Expr condition = Substitute(term, to_iter);
      within = within ? within && condition : condition;
    }
    partial.predicate = predicate;
    return within;
  }

  void CopySpatial(BlockNode& to) const {
    for (size_t i = 0; i < block_.iter_vars.size(); ++i) {
      if (block_.iter_vars[i].kind == IterKind::kReduce) continue;
      to.iter_vars.push_back(block_.iter_vars[i]);
      to.bindings.push_back(block_.bindings[i]);
    }
  }

  const Rewriter& rw_;
  Path path_;
  const BlockNode& block_;
  size_t at_;
  std::optional<Update> update_;
  size_t outermost_ = Path::npos;        ///< of the loops that reduce
  VarMap unused_;                        ///< loops inside of it that the block does not use, at their start
  std::vector<const ForNode*> kept_;     ///< spatial loops inside of it
  std::vector<const ForNode*> reduced_;  ///< loops that reduce, without the one factored
  VarMap at_start_;                      ///< loops that reduce, at their first iteration
};

}  // namespace

BlockRef Schedule::RFactor(const BlockRef& ref, const LoopRef& loop) {
  Rewriter rw(*this, "rfactor");
  const Factoring factoring(rw, ref, loop);
  const Path& path = factoring.path();
  const Buffer partials = factoring.Partials();
  const BlockRef partial{rw.FreshBlockName(ref.name + "_rf")};
  const Bounds bounds = Rewriter::BoundsAt(path, false);
  const Stmt total = factoring.Total(partials, bounds);
  Stmt body = path.Replace(factoring.Partial(partial.name, partials));
  const Path changed = FindBlock(body, partial.name);
  const size_t at = factoring.outermost();
  body = changed.ReplaceAt(at, MakeSeq({changed.nodes[at], total}));
  rw.Commit(AddAlloc(body, path.ScopeBlock().name, partials), {ref, loop}, {}, {partial});
  return partial;
}

}  // namespace tilewright
