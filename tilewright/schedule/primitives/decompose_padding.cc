// SPDX-License-Identifier: Apache-2.0
// DecomposePadding: a block that stores `condition ? copy : constant` becomes one that fills with the
// constant where the condition does not hold, placed before a loop, and one that copies where it does. Legal
// where the condition is a box of the block's variables.
#include <algorithm>

#include "tilewright/schedule/digits.h"
#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

struct Padding {
  Expr condition, inside, outside;
};

/// The parts of a padding value; none where it is no such value.
std::optional<Padding> ParsePadding(const BlockNode& block) {
  auto* store = block.body.As<StoreNode>();
  if (!store || block.init) return std::nullopt;
  std::optional<Padding> padding;
  if (auto* n = store->value.As<IfThenElseNode>())
    padding = Padding{n->condition, n->true_value, n->false_value};
  if (auto* n = store->value.As<SelectNode>()) padding = Padding{n->condition, n->true_value, n->false_value};
  if (!padding || !AsNumber(padding->outside)) return std::nullopt;
  return padding;
}

/// Intersects the domains of variables with a conjunction of comparisons; false where a term bounds no
/// variable.
bool Interior(const BlockNode& block, const Expr& condition, const Bounds& bounds, Box& box) {
  std::vector<Var> vars;
  for (const IterVar& iv : block.iter_vars) {
    vars.push_back(iv.var);
    box.push_back({iv.dom.min, iv.dom.min + iv.dom.extent - Expr(1)});
  }
  for (const Expr& term : Conjuncts(condition)) {
    auto* comparison = term.As<BinaryNode>();
    if (!comparison || (comparison->op != BinaryOp::kLt && comparison->op != BinaryOp::kLe)) return false;
    // a < b is 0 <= b - a - 1.
    Expr slack = comparison->b - comparison->a;
    if (comparison->op == BinaryOp::kLt) slack = slack - Expr(1);
    auto sum = ParseDigits(bounds.Simplify(slack), vars);
    if (!sum || sum->terms.size() != 1) return false;
    const DigitTerm& t = sum->terms[0];
    const auto at =
        std::find_if(vars.begin(), vars.end(), [&](const Var& v) { return v.get() == t.digit.source.get(); });
    if (at == vars.end() || t.digit.upper.get() || !IsInt(t.digit.lower, 1) || std::abs(t.coefficient) != 1)
      return false;
    SymbolicInterval& side = box[size_t(at - vars.begin())];
    if (t.coefficient == 1) {
      side.lo = bounds.Simplify(Max(side.lo, Expr(0) - sum->constant));
    } else {
      side.hi = bounds.Simplify(Min(side.hi, sum->constant));
    }
  }
  return true;
}

/// The copying block and the loops around it, narrowed to the interior.
class InteriorNest {
 public:
  InteriorNest(const Path& path, size_t first, const BlockNode& block, const Box& box, const Bounds& bounds)
      : path_(path), first_(first), block_(block), box_(box), bounds_(bounds) {}

  /// The statement that takes the place of the one at `first`.
  Stmt Make(Expr value) {
    auto* store = block_.body.As<StoreNode>();
    block_.body = MakeStore(store->buffer, std::move(value), store->indices);
    std::vector<Expr> terms = Conjuncts(block_.predicate);
    for (size_t i = 0; i < block_.iter_vars.size(); ++i) Narrow(i, terms);
    block_.predicate = Conjunction(terms, bounds_);
    RecomputeRegions(block_);
    Stmt current = MakeBlock(std::move(block_));
    for (size_t at = path_.nodes.size() - 1; at-- > first_;) {
      const StmtNode* old = path_.nodes[at + 1].get();
      if (auto* loop = path_.nodes[at].As<ForNode>(); loop && narrowed_.contains(loop)) {
        current = MakeFor(loop->var, Expr(0), narrowed_.at(loop), loop->for_kind, current, loop->annotations,
                          loop->thread_tag);
      } else {
        current = MapChildren(
            path_.nodes[at], [&](const Stmt& child) { return child.get() == old ? current : child; },
            nullptr);
      }
    }
    return current;
  }

 private:
  void Narrow(size_t i, std::vector<Expr>& terms) {
    IterVar& iv = block_.iter_vars[i];
    const Range dom = iv.dom;
    const Expr extent = bounds_.Simplify(box_[i].hi - box_[i].lo + Expr(1));
    if (bounds_.ProveEqual(extent, dom.extent)) return;
    iv.dom = {box_[i].lo, extent};
    if (const ForNode* loop = OwnLoop(block_.bindings[i], dom)) {
      narrowed_[loop] = extent;
      block_.bindings[i] = bounds_.Simplify(box_[i].lo + loop->var);
      return;
    }
    terms.push_back(block_.bindings[i] >= box_[i].lo);
    terms.push_back(block_.bindings[i] <= box_[i].hi);
  }

  /// The loop that alone runs over the domain, around nothing else.
  const ForNode* OwnLoop(const Expr& binding, const Range& dom) const {
    for (size_t at = first_; at + 1 < path_.nodes.size(); ++at) {
      auto* loop = path_.nodes[at].As<ForNode>();
      if (!loop || loop->var.get() != binding.get()) continue;
      const bool alone = BlocksBelow(loop->body).size() == 1;
      return alone && bounds_.ProveEqual(loop->min, dom.min) && bounds_.ProveEqual(loop->extent, dom.extent)
                 ? loop
                 : nullptr;
    }
    return nullptr;
  }

  const Path& path_;
  size_t first_;
  BlockNode block_;
  const Box& box_;
  const Bounds& bounds_;
  std::unordered_map<const ForNode*, Expr> narrowed_;
};

/// The block's predicate where its bindings lie outside of the box.
Expr Outside(const BlockNode& block, const Box& box, const Bounds& bounds) {
  Expr outside;
  auto add = [&](const Expr& term) { outside = outside ? outside || term : term; };
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const Expr& at = block.bindings[i];
    if (!bounds.Prove(at >= box[i].lo)) add(at < box[i].lo);
    if (!bounds.Prove(at <= box[i].hi)) add(at > box[i].hi);
  }
  if (!outside) outside = MakeConst(kBool, 0);
  std::vector<Expr> terms = Conjuncts(block.predicate);
  terms.push_back(outside);
  return Conjunction(terms, bounds);
}

}  // namespace

BlockRef Schedule::DecomposePadding(const BlockRef& ref, const LoopRef& loop) {
  Rewriter rw(*this, "decompose_padding");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  const ForNode& outermost = rw.Find(loop).loop();
  const size_t at = path.Find(loop.var);
  if (at == Path::npos || at < path.scope()) {
    rw.Fail("TW1412", fmt::format("loop '{}' is not around block '{}'", loop.var.name(), block.name),
            {&outermost, &block});
  }
  const auto padding = ParsePadding(block);
  const Bounds bounds = Rewriter::BoundsAt(path, false);
  Box box;
  if (!padding || !Interior(block, padding->condition, bounds, box)) {
    rw.Fail("TW1417", fmt::format("block '{}' does not pad", block.name), {&block},
            {"it must store a choice between a value and a constant by bounds on its variables"});
  }
  BlockNode fill = block;
  const BlockRef name{rw.FreshBlockName(block.name + "_fill")};
  fill.name = name.name;
  auto* store = block.body.As<StoreNode>();
  fill.body = MakeStore(store->buffer, padding->outside, store->indices);
  fill.predicate = Outside(block, box, bounds);
  RecomputeRegions(fill);
  std::vector<const ForNode*> loops;
  for (const ForNode* l : path.Loops()) {
    if (l == &outermost || !loops.empty()) loops.push_back(l);
  }
  Stmt fill_nest = CopyNest(loops, {}, std::move(fill));
  Stmt interior = InteriorNest(path, at, block, box, bounds).Make(padding->inside);
  rw.Commit(path.ReplaceAt(at, MakeSeq({fill_nest, interior})), {ref, loop}, {}, {name});
  return name;
}

}  // namespace tilewright
