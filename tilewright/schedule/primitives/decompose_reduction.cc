// SPDX-License-Identifier: Apache-2.0
// DecomposeReduction: the initialisation becomes a block before a loop. Legal where every loop that reduces
// lies at or inside that loop, so that it runs once per element and before the first update.
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// The initialisation as a block of its own, over the spatial variables.
BlockNode InitBlock(const BlockNode& block, const std::string& name, const VarMap& at_start,
                    const Bounds& bounds) {
  BlockNode init;
  init.name = name;
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    if (block.iter_vars[i].kind != IterKind::kSpatial) continue;
    init.iter_vars.push_back(block.iter_vars[i]);
    init.bindings.push_back(block.bindings[i]);
  }
  std::vector<Expr> terms = Conjuncts(block.predicate);
  for (Expr& term : terms) term = Substitute(term, at_start);
  init.predicate = Conjunction(terms, bounds);
  init.body = block.init;
  init.writes = block.writes;
  RecomputeRegions(init);
  return init;
}

}  // namespace

BlockRef Schedule::DecomposeReduction(const BlockRef& ref, const LoopRef& loop) {
  Rewriter rw(*this, "decompose_reduction");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  rw.Find(loop);
  if (!block.init) {
    rw.Fail("TW1415", fmt::format("block '{}' has no initialisation", block.name), {&block},
            {"only a reduction can be decomposed, and only once"});
  }
  const size_t at = path.Find(loop.var);
  if (at == Path::npos || at < path.scope()) {
    rw.Fail("TW1412", fmt::format("loop '{}' is not around block '{}'", loop.var.name(), block.name),
            {&rw.Find(loop).loop(), &block});
  }

  Bounds bounds = Rewriter::BoundsAt(path, false);
  VarMap at_start;
  std::vector<const ForNode*> kept;
  bool inside = false;
  const std::vector<const ForNode*> loops = path.Loops();
  for (size_t i = 0; i < loops.size(); ++i) {
    const ForNode* l = loops[i];
    inside |= l->var == loop.var;
    const LoopRole role = RoleOf(block, l->var);
    if (role.reduce && !inside) {
      rw.Fail("TW1415",
              fmt::format(
                  "loop '{}' reduces and lies outside loop '{}': the initialisation would run in each of its "
                  "iterations",
                  l->var.name(), loop.var.name()),
              {l, &block}, {"choose a loop at or outside all loops that reduce, or reorder"});
    }
    if (role.reduce && role.spatial) {
      rw.Fail("TW1415", fmt::format("loop '{}' is spatial and reduces at once", l->var.name()), {l, &block},
              {"split it where the two were fused"});
    }
    if (!inside) continue;
    const std::vector<const ForNode*> inner(loops.begin() + std::ptrdiff_t(i) + 1, loops.end());
    if ((role.spatial && !Revisits(block, *l, inner, bounds)) ||
        (role.unused() && bounds.Prove(l->extent <= Expr(1)))) {
      kept.push_back(l);  // one that may not run keeps the initialisation from running too
    } else if (role.reduce) {
      at_start[l->var] = l->min;
    } else {
      rw.Fail(
          "TW1415",
          fmt::format("block '{}' is computed anew in each iteration of loop '{}': the initialisation would "
                      "run once for all",
                      block.name, l->var.name()),
          {l, &block}, {"choose a loop inside of it"});
    }
  }
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const IterVar& iv = block.iter_vars[i];
    if (iv.kind != IterKind::kReduce ||
        bounds.ProveEqual(Substitute(block.bindings[i], at_start), iv.dom.min))
      continue;
    rw.Fail("TW1415",
            fmt::format("the loops around block '{}' do not begin at the start of '{}'", block.name,
                        iv.var.name()),
            {&block}, {"decompose before the reduction is cut into parts"});
  }
  const BlockRef name{rw.FreshBlockName(block.name + "_init")};
  Stmt nest = CopyNest(kept, at_start, InitBlock(block, name.name, at_start, bounds));

  BlockNode update = block;
  update.init = nullptr;
  RecomputeRegions(update);
  Stmt body = path.Replace(MakeBlock(std::move(update)));
  Path changed = FindBlock(body, block.name);
  body = changed.ReplaceAt(at, MakeSeq({nest, changed.nodes[at]}));
  rw.Commit(body, {ref, loop}, {}, {name});
  return name;
}

}  // namespace tilewright
