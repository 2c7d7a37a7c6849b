// SPDX-License-Identifier: Apache-2.0
// Tensorize: a tile that computes what an intrinsic describes is done by the intrinsic. Legal where both are
// the same statement up to the names of loops and the place of the tile in its buffers.
#include <algorithm>

#include "tilewright/schedule/rewriter.h"
#include "tilewright/schedule/tensor_intrin.h"
#include "tilewright/schedule/tiles.h"

namespace tilewright {

namespace {

/// Compares the description of an intrinsic with a tile, finding where each described buffer lies.
class Matcher {
 public:
  explicit Matcher(const Bounds& bounds) : bounds_(bounds) {}

  /// Loops and block of both sides; on failure `why` says what differs.
  bool Match(Stmt described, Stmt tile) {
    while (described.kind() == StmtKind::kFor && tile.kind() == StmtKind::kFor) {
      const ForNode &d = *described.As<ForNode>(), &t = *tile.As<ForNode>();
      auto want = AsInt(d.extent), have = AsInt(t.extent);
      if (!want || want != have || !IsInt(d.min, 0) || !IsInt(t.min, 0)) {
        return Differ(fmt::format("loop '{}' does not run {} times", t.var.name(), ToString(d.extent)));
      }
      vars_[d.var] = t.var;
      tile_vars_.push_back(t.var);
      described = d.body;
      tile = t.body;
    }
    auto *d = described.As<BlockNode>(), *t = tile.As<BlockNode>();
    if (!d || !t) return Differ("the number of loops differs");
    if (t->predicate) return Differ(fmt::format("block '{}' has a predicate", t->name));
    VarMap described_points, tile_points;
    for (size_t i = 0; i < d->iter_vars.size(); ++i) described_points[d->iter_vars[i].var] = d->bindings[i];
    for (size_t i = 0; i < t->iter_vars.size(); ++i) tile_points[t->iter_vars[i].var] = t->bindings[i];
    auto *a = d->body.As<StoreNode>(), *b = t->body.As<StoreNode>();
    if (!a || !b) return Differ("one of them is not a single store");
    auto at = [&](const std::vector<Expr>& indices, const VarMap& points) {
      std::vector<Expr> result;
      for (const Expr& i : indices) result.push_back(Substitute(i, points));
      return result;
    };
    return Access(a->buffer, at(a->indices, described_points), b->buffer, at(b->indices, tile_points)) &&
           Same(Substitute(a->value, described_points), Substitute(b->value, tile_points));
  }

  struct Place {
    Buffer buffer;
    std::vector<Expr> offsets;  ///< per dimension of `buffer`; the described dimensions are the last
  };
  const std::unordered_map<Buffer, Place>& places() const { return places_; }
  const std::string& why() const { return why_; }

 private:
  bool Differ(std::string why) {
    if (why_.empty()) why_ = std::move(why);
    return false;
  }

  bool UsesTile(const Expr& e) const {
    return std::any_of(tile_vars_.begin(), tile_vars_.end(), [&](const Var& v) { return UsesVar(e, v); });
  }

  bool Access(const Buffer& described, const std::vector<Expr>& d, const Buffer& buffer,
              const std::vector<Expr>& t) {
    if (described.dtype() != buffer.dtype() || d.size() > t.size()) {
      return Differ(fmt::format("{} is not like {}", buffer.name(), described.name()));
    }
    if (described.scope() != "global" && described.scope() != buffer.scope()) {
      return Differ(fmt::format("{} is in scope {}, the instruction's {} in {}", buffer.name(),
                                buffer.scope(), described.name(), described.scope()));
    }
    Place place{buffer, {}};
    const size_t lead = t.size() - d.size();
    for (size_t i = 0; i < t.size(); ++i) {
      Expr offset = i < lead ? t[i] : t[i] - Substitute(d[i - lead], vars_);
      place.offsets.push_back(bounds_.Simplify(offset));
      if (UsesTile(place.offsets.back())) {
        return Differ(fmt::format("dimension {} of {} is accessed another way", i, buffer.name()));
      }
    }
    auto [it, fresh] = places_.try_emplace(described, place);
    const bool same = it->second.buffer == buffer &&
                      std::equal(place.offsets.begin(), place.offsets.end(), it->second.offsets.begin(),
                                 [&](const Expr& x, const Expr& y) { return bounds_.ProveEqual(x, y); });
    return same || Differ(fmt::format("{} is accessed in several places", buffer.name()));
  }

  bool Same(const Expr& d, const Expr& t) {
    if (d.kind() != t.kind() || d.dtype() != t.dtype()) return Differ("the expressions differ");
    if (auto* load = d.As<LoadNode>()) {
      return Access(load->buffer, load->indices, t.As<LoadNode>()->buffer, t.As<LoadNode>()->indices);
    }
    if (auto* x = d.As<BinaryNode>()) {
      auto* y = t.As<BinaryNode>();
      if (x->op != y->op) return Differ("the operators differ");
      const auto saved = places_;
      if (Same(x->a, y->a) && Same(x->b, y->b)) return true;
      if (x->op != BinaryOp::kAdd && x->op != BinaryOp::kMul) return false;
      places_ = saved;
      return Same(x->a, y->b) && Same(x->b, y->a);
    }
    if (auto* x = d.As<CastNode>()) return Same(x->value, t.As<CastNode>()->value);
    if (auto* x = d.As<CallNode>()) {
      auto* y = t.As<CallNode>();
      if (x->op != y->op) return Differ("the functions differ");
      for (size_t i = 0; i < x->args.size(); ++i) {
        if (!Same(x->args[i], y->args[i])) return false;
      }
      return true;
    }
    return StructuralEqual(Substitute(d, vars_), t) || Differ("the expressions differ");
  }

  const Bounds& bounds_;
  VarMap vars_;  ///< loops of the description -> of the tile
  std::vector<Var> tile_vars_;
  std::unordered_map<Buffer, Place> places_;
  std::string why_;
};

/// The implementation's body, working on the places of the tile.
Stmt Placed(const TensorIntrinsic& intrinsic, const std::unordered_map<Buffer, Matcher::Place>& places) {
  std::unordered_map<Buffer, const Matcher::Place*> at;
  for (size_t i = 0; i < intrinsic.description->buffers.size(); ++i) {
    auto it = places.find(intrinsic.description->buffers[i]);
    if (it != places.end()) at[intrinsic.implementation->buffers[i]] = &it->second;
  }
  auto indices = [](const Matcher::Place& place, const std::vector<Expr>& relative) {
    std::vector<Expr> result = place.offsets;
    const size_t lead = result.size() - relative.size();
    for (size_t i = 0; i < relative.size(); ++i) {
      Expr offset = result[lead + i];
      const int lanes = relative[i].dtype().lanes;
      result[lead + i] = (lanes > 1 ? MakeBroadcast(offset, lanes) : offset) + relative[i];
      if (auto* ramp = relative[i].As<RampNode>())
        result[lead + i] = MakeRamp(offset + ramp->base, ramp->stride, lanes);
    }
    return result;
  };
  auto on_expr = [&](const Expr& e) {
    return PostOrderRewrite(e, [&](const Expr& x) {
      auto* load = x.As<LoadNode>();
      if (!load || !at.contains(load->buffer)) return x;
      const Matcher::Place& place = *at.at(load->buffer);
      return MakeLoad(place.buffer, indices(place, load->indices), load->predicate);
    });
  };
  auto on_stmt = [&](const Stmt& s) {
    auto* store = s.As<StoreNode>();
    if (!store || !at.contains(store->buffer)) return s;
    const Matcher::Place& place = *at.at(store->buffer);
    return MakeStore(place.buffer, store->value, indices(place, store->indices), store->predicate);
  };
  const Stmt fresh = FreshCopy(intrinsic.implementation->body.As<BlockNode>()->body, {}, nullptr);
  return PostOrderRewrite(fresh, on_stmt, on_expr);
}

}  // namespace

void Schedule::Tensorize(const LoopRef& loop, const std::string& name) {
  Rewriter rw(*this, "tensorize");
  const Path path = rw.Find(loop);
  const TensorIntrinsic* intrinsic = FindTensorIntrinsic(name);
  if (!intrinsic) {
    std::string known;
    for (const std::string& n : TensorIntrinsicNames()) known += (known.empty() ? "" : ", ") + n;
    rw.Fail("TW1418", fmt::format("there is no tensor intrinsic '{}'", name), {}, {"known are: " + known});
  }
  const std::vector<BlockSite> below = BlocksBelow(path.stmt());
  const std::string base = below.empty() ? name : below.front().block->name;
  BlockNode tile = MakeTileBlock(rw, path, rw.FreshBlockName(base + "_o"));
  Bounds bounds = Rewriter::BoundsAt(path, false);
  for (const IterVar& iv : tile.iter_vars) bounds.Bind(iv.var, iv.dom);
  for (auto* l = tile.body.As<ForNode>(); l; l = l->body.As<ForNode>())
    bounds.Bind(l->var, {l->min, l->extent});
  Matcher matcher(bounds);
  if (!matcher.Match(intrinsic->description->body.As<BlockNode>()->body, tile.body)) {
    rw.Fail("TW1419",
            fmt::format("what lies below loop '{}' is not '{}': {}", loop.var.name(), name, matcher.why()),
            {&path.loop()}, {"the intrinsic computes:\n" + ToString(intrinsic->description)});
  }
  tile.body = Placed(*intrinsic, matcher.places());
  tile.annotations["tensor_intrinsic"] = name;
  rw.Commit(path.Replace(MakeBlock(std::move(tile))), {loop}, {name});
}

}  // namespace tilewright
