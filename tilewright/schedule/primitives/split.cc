// SPDX-License-Identifier: Apache-2.0
// Split and SplitNearEqual: one loop becomes nested ones that visit the same iterations in the same order, so
// they are always legal, but that a parallel loop around, on which the extent depends, must not come to order
// what it encloses.
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// Extents of the new loops with the one that is left open inferred.
std::vector<Expr> InferFactors(const Rewriter& rw, const ForNode& loop, const std::vector<Expr>& factors,
                               const Bounds& bounds) {
  if (factors.empty()) rw.Fail("TW1404", "no factors are given", {&loop});
  std::vector<Expr> extents = factors;
  Expr product(1);
  Expr* open = nullptr;
  for (Expr& e : extents) {
    if (!e) {
      if (open) rw.Fail("TW1404", "more than one factor is left open", {&loop}, {"give all factors but one"});
      open = &e;
      continue;
    }
    if (e.dtype() != DataType::Index() || !bounds.Prove(e >= Expr(1))) {
      rw.Fail("TW1404", "a factor is not known to be positive", {&loop},
              {"factors are index expressions of at least 1"});
    }
    product = product * e;
  }
  if (open) {
    *open = bounds.Simplify(CeilDiv(loop.extent, product));
  } else if (!bounds.Prove(bounds.Simplify(product) >= loop.extent)) {
    rw.Fail("TW1404",
            fmt::format("the product of the factors is less than the extent of loop '{}'", loop.var.name()),
            {&loop}, {"leave one factor open: it is inferred"});
  }
  return extents;
}

}  // namespace

std::vector<LoopRef> Schedule::Split(const LoopRef& loop, const std::vector<Expr>& factors) {
  Rewriter rw(*this, "split");
  Path path = rw.Find(loop);
  const ForNode& old = path.loop();
  rw.RequireSerial(old);
  Bounds bounds = Rewriter::BoundsAt(path, false);
  std::vector<Expr> extents = InferFactors(rw, old, factors, bounds);

  std::vector<LoopRef> loops;
  Expr iteration(0), product(1);
  for (size_t i = 0; i < extents.size(); ++i) {
    Var var(fmt::format("{}_{}", old.var.name(), i));
    bounds.Bind(var, {Expr(0), extents[i]});
    iteration = iteration * extents[i] + var;
    product = product * extents[i];
    loops.push_back({var});
  }
  Expr guard;
  if (!bounds.ProveEqual(product, old.extent)) guard = iteration < old.extent;
  Stmt nest = SubstituteLoops(old.body, {{old.var, old.min + iteration}}, guard, bounds);
  for (size_t i = extents.size(); i-- > 0;) {
    // What was said about the loop stays with the outermost part.
    nest = MakeFor(loops[i].var, Expr(0), extents[i], ForKind::kSerial, nest,
                   i == 0 ? old.annotations : Annotations());
  }
  Stmt changed = path.Replace(nest);
  CheckRolesAround(rw, changed, loops.front());
  rw.Commit(changed, {loop}, {factors}, {loops.begin(), loops.end()});
  return loops;
}

std::vector<LoopRef> Schedule::SplitNearEqual(const LoopRef& loop, int64_t parts) {
  Rewriter rw(*this, "split_near_equal");
  Path path = rw.Find(loop);
  const ForNode& old = path.loop();
  rw.RequireSerial(old);
  if (parts < 1)
    rw.Fail("TW1404", fmt::format("{} parts are asked for", parts), {&old}, {"ask for at least one"});
  Bounds bounds = Rewriter::BoundsAt(path, false);

  // The first `rest` parts have one iteration more than the others.
  Expr size = bounds.Simplify(FloorDiv(old.extent, parts)),
       rest = bounds.Simplify(FloorMod(old.extent, parts));
  Var outer(old.var.name() + "_0"), inner(old.var.name() + "_1");
  Expr start = outer * size, trips = size;
  if (!IsInt(rest, 0)) {
    start = start + Min(outer, rest);
    trips = MakeSelect(outer < rest, size + Expr(1), size);
  }
  bounds.Bind(outer, {Expr(0), Expr(parts)});
  bounds.Bind(inner, {Expr(0), trips});
  Stmt nest = SubstituteLoops(old.body, {{old.var, old.min + start + inner}}, nullptr, bounds);
  nest = MakeFor(inner, Expr(0), trips, ForKind::kSerial, nest);
  nest = MakeFor(outer, Expr(0), Expr(parts), ForKind::kSerial, nest, old.annotations);
  Stmt changed = path.Replace(nest);
  CheckRolesAround(rw, changed, {outer});
  rw.Commit(changed, {loop}, {parts}, {LoopRef{outer}, LoopRef{inner}});
  return {{outer}, {inner}};
}

}  // namespace tilewright
