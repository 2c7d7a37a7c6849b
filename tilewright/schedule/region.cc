// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/region.h"

#include <algorithm>
#include <unordered_set>

#include "tilewright/schedule/digits.h"

namespace tilewright {

void Relaxation::Add(const Var& var, const Range& range) {
  auto lo = Eval(range.min);
  auto hi = Eval(range.min + range.extent - Expr(1));
  // Without a bound the variable stays symbolic to itself; who asks checks Touches.
  if (lo && hi)
    ranges_[var] = {lo->lo, hi->hi};
  else
    ranges_[var] = {nullptr, nullptr};
}

bool Relaxation::Touches(const Expr& e) const {
  bool found = false;
  PreOrder(e, [&](const Expr& x) {
    if (auto* var = x.As<VarNode>()) found |= ranges_.contains(Var(var));
    return !found;
  });
  return found;
}

std::optional<SymbolicInterval> Relaxation::Eval(const Expr& e) const {
  if (auto* var = e.As<VarNode>()) {
    auto it = ranges_.find(Var(var));
    if (it == ranges_.end()) return SymbolicInterval{e, e};
    if (!it->second.lo) return std::nullopt;
    return it->second;
  }
  if (!Touches(e)) return SymbolicInterval{e, e};
  if (auto* binary = e.As<BinaryNode>()) return EvalBinary(*binary);
  if (auto* select = e.As<SelectNode>()) {
    auto t = Eval(select->true_value), f = Eval(select->false_value);
    if (!t || !f) return std::nullopt;
    return SymbolicInterval{Min(t->lo, f->lo), Max(t->hi, f->hi)};
  }
  return std::nullopt;
}

std::optional<SymbolicInterval> Relaxation::EvalBinary(const BinaryNode& n) const {
  auto a = Eval(n.a), b = Eval(n.b);
  if (!a || !b) return std::nullopt;
  switch (n.op) {
    case BinaryOp::kAdd:
      return SymbolicInterval{a->lo + b->lo, a->hi + b->hi};
    case BinaryOp::kSub:
      return SymbolicInterval{a->lo - b->hi, a->hi - b->lo};
    case BinaryOp::kMin:
      return SymbolicInterval{Min(a->lo, b->lo), Min(a->hi, b->hi)};
    case BinaryOp::kMax:
      return SymbolicInterval{Max(a->lo, b->lo), Max(a->hi, b->hi)};
    case BinaryOp::kMul:
      if (auto left = AsInt(n.a)) {
        if (*left >= 0) return SymbolicInterval{n.a * b->lo, n.a * b->hi};
        return SymbolicInterval{n.a * b->hi, n.a * b->lo};
      }
      if (Touches(n.b)) return std::nullopt;
      if (bounds_.Prove(n.b >= Expr(0))) return SymbolicInterval{a->lo * n.b, a->hi * n.b};
      if (bounds_.Prove(n.b <= Expr(0))) return SymbolicInterval{a->hi * n.b, a->lo * n.b};
      return std::nullopt;
    case BinaryOp::kFloorDiv:
      if (Touches(n.b) || !bounds_.Prove(n.b >= Expr(1))) return std::nullopt;
      return SymbolicInterval{FloorDiv(a->lo, n.b), FloorDiv(a->hi, n.b)};
    case BinaryOp::kFloorMod: {
      if (Touches(n.b) || !bounds_.Prove(n.b >= Expr(1))) return std::nullopt;
      // Within one multiple of the divisor the remainder is a shift.
      Expr lo_quotient = FloorDiv(a->lo, n.b);
      if (bounds_.ProveEqual(lo_quotient, FloorDiv(a->hi, n.b))) {
        return SymbolicInterval{a->lo - lo_quotient * n.b, a->hi - lo_quotient * n.b};
      }
      return SymbolicInterval{Expr(0), n.b - Expr(1)};
    }
    default:
      return std::nullopt;
  }
}

namespace {

/// Loads and stores of a block body that holds no loops and no blocks, or nothing if it holds some.
class Accesses {
 public:
  explicit Accesses(const BlockNode& block) {
    Scan(block.body);
    if (block.init) Scan(block.init);
  }
  bool simple() const { return simple_; }

  struct Item {
    const Buffer* buffer;
    const std::vector<Expr>* indices;
    Access access;
  };
  const std::vector<Item>& items() const { return items_; }

 private:
  void Scan(const Stmt& s) {
    if (s.kind() == StmtKind::kFor || s.kind() == StmtKind::kBlock || s.kind() == StmtKind::kLetStmt) {
      // A bound variable may stand in an index.
      simple_ &= s.kind() == StmtKind::kLetStmt;
    }
    if (!simple_) return;
    if (auto* store = s.As<StoreNode>()) Add({&store->buffer, &store->indices, Access::kWrite});
    ForEachExpr(s, [&](const Expr& e) {
      PreOrder(e, [&](const Expr& x) {
        if (auto* load = x.As<LoadNode>()) Add({&load->buffer, &load->indices, Access::kRead});
        return true;
      });
    });
    ForEachChild(s, [&](const Stmt& child) { Scan(child); });
  }

  void Add(Item item) {
    // A vector index touches more than a point; what the block declares is better.
    for (const Expr& i : *item.indices) simple_ &= i.dtype().is_scalar();
    items_.push_back(item);
  }

  bool simple_ = true;
  std::vector<Item> items_;
};

SymbolicInterval WholeDimension(const Buffer& buffer, size_t dim) {
  return {Expr(0), buffer.shape()[dim] - Expr(1)};
}

/// Variables that an index may use: those of the block, and what is defined outside it.
bool UsesOnly(const Expr& e, const std::unordered_set<const ExprNode*>& local) {
  bool ok = true;
  PreOrder(e, [&](const Expr& x) {
    ok &= x.kind() != ExprKind::kLoad && !local.contains(x.get());
    return ok;
  });
  return ok;
}

std::unordered_set<const ExprNode*> LocalVars(const BlockNode& block) {
  std::unordered_set<const ExprNode*> local;
  auto scan = [&](const Stmt& s) {
    PreOrder(s, [&](const Stmt& x) {
      if (auto* let = x.As<LetStmtNode>()) local.insert(let->var.get());
      if (auto* loop = x.As<ForNode>()) local.insert(loop->var.get());
      return true;
    });
    PreOrderExprs(s, [&](const Expr& x) {
      if (auto* let = x.As<LetNode>()) local.insert(let->var.get());
    });
  };
  scan(block.body);
  if (block.init) scan(block.init);
  return local;
}

Box Simplified(Box box, const Bounds& bounds) {
  for (SymbolicInterval& dim : box) dim = {bounds.Simplify(dim.lo), bounds.Simplify(dim.hi)};
  return box;
}

/// Collects accesses of one buffer into a hull.
class BoxBuilder {
 public:
  BoxBuilder(const BlockSite& site, const Buffer& buffer, const Bounds& outer)
      : buffer_(buffer), relax_(outer), bounds_(outer) {
    for (const ForNode* loop : site.loops) relax_.Add(*loop);
    for (size_t i = 0; i < site.block->iter_vars.size(); ++i)
      map_[site.block->iter_vars[i].var] = site.block->bindings[i];
  }

  void AddPoint(const std::vector<Expr>& indices, const std::unordered_set<const ExprNode*>& local) {
    Box box;
    for (size_t d = 0; d < indices.size(); ++d) {
      auto interval = UsesOnly(indices[d], local) ? Interval(indices[d]) : std::nullopt;
      box.push_back(interval ? *interval : WholeDimension(buffer_, d));
    }
    Merge(std::move(box));
  }

  void AddRegion(const std::vector<Range>& region) {
    Box box;
    for (size_t d = 0; d < region.size(); ++d) {
      auto lo = Interval(region[d].min), hi = Interval(region[d].min + region[d].extent - Expr(1));
      box.push_back(lo && hi ? SymbolicInterval{lo->lo, hi->hi} : WholeDimension(buffer_, d));
    }
    Merge(std::move(box));
  }

  Box Take() {
    if (box_) return std::move(*box_);
    Box whole;
    for (size_t d = 0; d < buffer_.shape().size(); ++d) whole.push_back(WholeDimension(buffer_, d));
    return whole;
  }

 private:
  std::optional<SymbolicInterval> Interval(const Expr& over_iter_vars) {
    return relax_.Eval(bounds_.Simplify(Substitute(over_iter_vars, map_)));
  }
  void Merge(Box box) {
    box = Simplified(std::move(box), bounds_);
    box_ = box_ ? Hull(*box_, box, bounds_) : std::move(box);
  }

  const Buffer& buffer_;
  Relaxation relax_;
  const Bounds& bounds_;
  VarMap map_;
  std::optional<Box> box_;
};

}  // namespace

Box TouchedBox(const BlockSite& site, const Buffer& buffer, Access access, const Bounds& bounds) {
  BoxBuilder builder(site, buffer, bounds);
  Accesses accesses(*site.block);
  if (accesses.simple()) {
    const auto local = LocalVars(*site.block);
    for (const Accesses::Item& item : accesses.items()) {
      if (*item.buffer == buffer && item.access == access) builder.AddPoint(*item.indices, local);
    }
    return builder.Take();
  }
  for (const BufferRegion& r : access == Access::kRead ? site.block->reads : site.block->writes) {
    if (r.buffer == buffer) builder.AddRegion(r.region);
  }
  return builder.Take();
}

namespace {

/// Whether an index takes every value between its least and its greatest as the loops run, none of which is
/// in `used`; adds those that it depends on.
bool IsGapless(const Expr& index, const std::vector<const ForNode*>& loops,
               std::unordered_set<const ExprNode*>& used) {
  std::vector<Var> vars;
  for (const ForNode* l : loops) vars.push_back(l->var);
  auto sum = ParseDigits(index, vars);
  if (!sum) return false;
  std::sort(sum->terms.begin(), sum->terms.end(),
            [](const DigitTerm& a, const DigitTerm& b) { return a.coefficient < b.coefficient; });
  int64_t covered = 1;  // values in a row that the terms so far take
  bool known = true;
  for (const DigitTerm& t : sum->terms) {
    const auto loop = std::find_if(loops.begin(), loops.end(),
                                   [&](const ForNode* l) { return l->var.get() == t.digit.source.get(); });
    if (loop == loops.end() || bool(t.digit.upper) || !IsInt(t.digit.lower, 1) || t.coefficient <= 0)
      return false;
    if (!known || t.coefficient > covered || !used.insert((*loop)->var.get()).second) return false;
    const auto extent = AsInt((*loop)->extent);
    known = extent.has_value();
    covered += t.coefficient * (extent.value_or(1) - 1);
  }
  return true;
}

}  // namespace

bool HoldsInDomain(const BlockSite& site) {
  const BlockNode& block = *site.block;
  if (!block.predicate) return true;
  Bounds bounds;
  for (const ForNode* loop : site.loops) bounds.Bind(loop->var, {loop->min, loop->extent});
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    const Range& dom = block.iter_vars[i].dom;
    bounds.Assume(block.bindings[i] >= dom.min);
    bounds.Assume(block.bindings[i] < dom.min + dom.extent);
  }
  const std::vector<Expr> terms = Conjuncts(block.predicate);
  return std::all_of(terms.begin(), terms.end(), [&](const Expr& t) { return bounds.Prove(t); });
}

bool ReachesAllOfBox(const BlockSite& site, const Buffer& buffer, const Bounds& bounds) {
  Accesses accesses(*site.block);
  if (!accesses.simple()) return true;
  VarMap map;
  for (size_t i = 0; i < site.block->iter_vars.size(); ++i)
    map[site.block->iter_vars[i].var] = site.block->bindings[i];
  for (const Accesses::Item& item : accesses.items()) {
    if (*item.buffer != buffer || item.access != Access::kWrite) continue;
    std::unordered_set<const ExprNode*> used;
    if (!std::all_of(item.indices->begin(), item.indices->end(), [&](const Expr& index) {
          return IsGapless(bounds.Simplify(Substitute(index, map)), site.loops, used);
        }))
      return false;
    // A loop that no index depends on may keep the block from running at all.
    for (const ForNode* l : site.loops) {
      if (!used.contains(l->var.get()) && !bounds.Prove(l->extent >= Expr(1))) return false;
    }
  }
  return true;
}

void RecomputeRegions(BlockNode& block) {
  Accesses accesses(block);
  if (!accesses.simple()) return;
  const auto local = LocalVars(block);
  Bounds bounds;
  for (const IterVar& iv : block.iter_vars) bounds.Bind(iv.var, iv.dom);
  // Over the iteration variables themselves: they stand for their bindings.
  BlockNode at_iters;
  at_iters.name = block.name;
  const BlockSite site{&at_iters, {}};
  std::vector<std::pair<Buffer, BoxBuilder>> boxes[2];
  for (const Accesses::Item& item : accesses.items()) {
    auto& list = boxes[size_t(item.access)];
    auto it = std::find_if(list.begin(), list.end(),
                           [&](const auto& entry) { return entry.first == *item.buffer; });
    if (it == list.end()) {
      list.emplace_back(*item.buffer, BoxBuilder(site, *item.buffer, bounds));
      it = list.end() - 1;
    }
    it->second.AddPoint(*item.indices, local);
  }
  auto regions = [&](auto& list) {
    std::vector<BufferRegion> result;
    for (auto& [buffer, builder] : list) {
      BufferRegion region{buffer, {}};
      for (const SymbolicInterval& dim : builder.Take()) {
        region.region.push_back({dim.lo, bounds.Simplify(dim.hi - dim.lo + Expr(1))});
      }
      result.push_back(std::move(region));
    }
    return result;
  };
  block.writes = regions(boxes[size_t(Access::kWrite)]);
  block.reads = regions(boxes[size_t(Access::kRead)]);
  if (block.init) {
    std::erase_if(block.reads, [&](const BufferRegion& r) { return WritesBuffer(block, r.buffer); });
  }
}

void InlineRegions(BlockNode& reader, const BlockNode& inlined) {
  // Where the body is too rich to be read, all of what the inlined block reads is safe.
  std::erase_if(reader.reads, [&](const BufferRegion& r) {
    return WritesBuffer(inlined, r.buffer) || ReadsBuffer(inlined, r.buffer);
  });
  for (const BufferRegion& needed : inlined.reads) {
    BufferRegion whole{needed.buffer, {}};
    for (const Expr& extent : needed.buffer.shape()) whole.region.push_back({Expr(0), extent});
    reader.reads.push_back(std::move(whole));
  }
  RecomputeRegions(reader);
}

bool Covers(const Box& outer, const Box& inner, const Box& domain, const Bounds& bounds) {
  for (size_t d = 0; d < outer.size(); ++d) {
    if (!bounds.Prove(outer[d].lo <= inner[d].lo) && !bounds.Prove(outer[d].lo <= domain[d].lo)) return false;
    if (!bounds.Prove(inner[d].hi <= outer[d].hi) && !bounds.Prove(domain[d].hi <= outer[d].hi)) return false;
  }
  return true;
}

bool Disjoint(const Box& a, const Box& b, const Bounds& bounds) {
  for (size_t d = 0; d < a.size(); ++d) {
    if (bounds.Prove(a[d].hi < b[d].lo) || bounds.Prove(b[d].hi < a[d].lo)) return true;
  }
  return false;
}

Box Hull(const Box& a, const Box& b, const Bounds& bounds) {
  Box hull;
  for (size_t d = 0; d < a.size(); ++d) {
    hull.push_back({bounds.Simplify(Min(a[d].lo, b[d].lo)), bounds.Simplify(Max(a[d].hi, b[d].hi))});
  }
  return hull;
}

}  // namespace tilewright
