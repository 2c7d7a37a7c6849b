// SPDX-License-Identifier: Apache-2.0
// Fuse: nested loops become one that visits the same iterations in the same order; always legal where the
// loops are directly nested and their bounds do not depend on each other, but that a parallel loop around, on
// which their bounds depend, must not come to order what it encloses.
#include "tilewright/schedule/flow.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// The loops, checked to be directly nested and serial.
std::vector<const ForNode*> Nest(const Rewriter& rw, const Path& outer, const std::vector<LoopRef>& loops) {
  std::vector<const ForNode*> nest;
  Stmt next = outer.stmt();
  for (const LoopRef& ref : loops) {
    auto* loop = next.As<ForNode>();
    if (!loop || loop->var != ref.var) {
      rw.Fail("TW1406", "the loops are not directly nested in the order given", {&rw.Find(ref).loop()},
              {"name loops outermost first; reorder what lies between them first"});
    }
    rw.RequireSerial(*loop);
    for (const ForNode* above : nest) {
      if (UsesVar(loop->min, above->var) || UsesVar(loop->extent, above->var)) {
        rw.Fail(
            "TW1409",
            fmt::format("the bounds of loop '{}' depend on loop '{}'", loop->var.name(), above->var.name()),
            {above, loop});
      }
    }
    nest.push_back(loop);
    next = loop->body;
  }
  return nest;
}

}  // namespace

LoopRef Schedule::Fuse(const std::vector<LoopRef>& loops) {
  Rewriter rw(*this, "fuse");
  if (loops.empty()) rw.Fail("TW1406", "no loops are given", {});
  Path path = rw.Find(loops.front());
  std::vector<const ForNode*> nest = Nest(rw, path, loops);

  Bounds bounds = Rewriter::BoundsAt(path, false);
  std::string name;
  Expr extent(1);
  for (const ForNode* loop : nest) {
    name += (name.empty() ? "" : "_") + loop->var.name();
    extent = extent * loop->extent;
  }
  extent = bounds.Simplify(extent);
  Var fused(name + "_f");
  bounds.Bind(fused, {Expr(0), extent});
  VarMap map;
  Expr inside(1);
  for (size_t i = nest.size(); i-- > 0;) {
    Expr position = FloorDiv(fused, inside);
    if (i > 0) position = FloorMod(position, nest[i]->extent);
    map[nest[i]->var] = nest[i]->min + position;
    inside = bounds.Simplify(inside * nest[i]->extent);
  }
  Stmt body = SubstituteLoops(nest.back()->body, map, nullptr, bounds);
  Annotations annotations = nest.front()->annotations;
  Stmt result = MakeFor(fused, Expr(0), extent, ForKind::kSerial, body, annotations);
  Stmt changed = path.Replace(result);
  CheckRolesAround(rw, changed, {fused});
  rw.Commit(changed, {loops.begin(), loops.end()}, {}, {LoopRef{fused}});
  return {fused};
}

}  // namespace tilewright
