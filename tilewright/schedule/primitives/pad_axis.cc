// SPDX-License-Identifier: Apache-2.0
// PadAxis: a block computes a few elements more along one axis, so that tiles of a fixed size cover it
// without predicates. What it reads for them is clamped to the last element; nothing reads them. Legal where
// the block alone writes an intermediate buffer, element by element along the axis.
#include <algorithm>

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// The dimension of the store that the variable alone indexes; none where it is used otherwise.
std::optional<size_t> StoredAxis(const StoreNode& store, const Var& var) {
  std::optional<size_t> axis;
  for (size_t d = 0; d < store.indices.size(); ++d) {
    if (!UsesVar(store.indices[d], var)) continue;
    if (axis || store.indices[d].get() != var.get()) return std::nullopt;
    axis = d;
  }
  return axis;
}

/// The statement with buffers read at min(var, last) where they do not reach as far as the padded axis;
/// `bounds` knows the block's variables.
Stmt ClampReads(const Stmt& s, const Var& var, const Expr& last, const Bounds& bounds) {
  const VarMap clamp{{var, Min(var, last)}};
  return MapChildren(
      s, [&](const Stmt& child) { return ClampReads(child, var, last, bounds); },
      [&](const Expr& e) {
        return PostOrderRewrite(e, [&](const Expr& x) {
          auto* load = x.As<LoadNode>();
          if (!load) return x;
          std::vector<Expr> indices = load->indices;
          for (size_t d = 0; d < indices.size(); ++d) {
            if (!UsesVar(indices[d], var) || bounds.Prove(indices[d] < load->buffer.shape()[d])) continue;
            indices[d] = Substitute(indices[d], clamp);
          }
          return MakeLoad(load->buffer, indices, load->predicate);
        });
      });
}

/// The body with this loop of another extent and this block in the place of the one of its name.
Stmt WithLoopAndBlock(const Stmt& s, const Var& loop, const Expr& extent, const Stmt& block) {
  auto* old = s.As<BlockNode>();
  if (old && old->name == block.As<BlockNode>()->name) return block;
  Stmt inner = MapChildren(
      s, [&](const Stmt& child) { return WithLoopAndBlock(child, loop, extent, block); }, nullptr);
  auto* node = inner.As<ForNode>();
  if (!node || node->var.get() != loop.get()) return inner;
  return MakeFor(node->var, node->min, extent, node->for_kind, node->body, node->annotations);
}

}  // namespace

void Schedule::PadAxis(const BlockRef& ref, const LoopRef& loop_ref, int64_t multiple) {
  Rewriter rw(*this, "pad_axis");
  const Path path = rw.Find(ref), loop_path = rw.Find(loop_ref);
  const BlockNode& block = path.block();
  const ForNode& loop = loop_path.loop();
  rw.RequireSerial(loop);
  if (multiple < 1) rw.Fail("TW1404", fmt::format("{} is no multiple to pad to", multiple), {&loop});
  size_t which = block.iter_vars.size();
  for (size_t i = 0; i < block.iter_vars.size(); ++i) {
    if (block.bindings[i].get() == loop.var.get()) which = i;
  }
  auto* store = block.body.As<StoreNode>();
  const bool own_loop = which < block.iter_vars.size() && BlocksBelow(loop.body).size() == 1 &&
                        path.Find(loop.var) != Path::npos && IsInt(loop.min, 0) &&
                        StructuralEqual(loop.extent, block.iter_vars[which].dom.extent) && !block.predicate;
  if (!own_loop || !store || block.iter_vars[which].kind != IterKind::kSpatial ||
      !StoredAxis(*store, block.iter_vars[which].var)) {
    rw.Fail("TW1416",
            fmt::format("loop '{}' does not alone run over an axis of what block '{}' stores",
                        loop.var.name(), ref.name),
            {&loop, &block});
  }
  if (rw.IsParameter(store->buffer)) {
    rw.Fail("TW1414", fmt::format("{} is a parameter, whose shape is fixed", store->buffer.name()), {&block},
            {"cache_write it first"});
  }
  BlockNode padded = block;
  IterVar& axis = padded.iter_vars[which];
  Bounds bounds = Rewriter::BoundsAt(path, false);
  const Expr last = axis.dom.extent - Expr(1);
  const Expr extent = bounds.Simplify(CeilDiv(axis.dom.extent, Expr(multiple)) * Expr(multiple));
  axis.dom.extent = extent;
  BufferNode node = *store->buffer;
  node.shape[*StoredAxis(*store, axis.var)] = extent;
  const Buffer larger = MakeBuffer(std::move(node));
  for (const IterVar& iv : padded.iter_vars) bounds.Bind(iv.var, iv.dom);
  padded.body = ClampReads(ReplaceBuffers(block.body, {{store->buffer, larger}}), axis.var, last, bounds);
  if (padded.init) padded.init = ReplaceBuffers(padded.init, {{store->buffer, larger}});
  RecomputeRegions(padded);

  Stmt body = WithLoopAndBlock(rw.body(), loop.var, extent, MakeBlock(std::move(padded)));
  body = RemoveAlloc(body, store->buffer);
  body = ReplaceBuffers(body, {{store->buffer, larger}});
  body = AddAlloc(body, path.ScopeBlock().name, larger);
  rw.Commit(body, {ref, loop_ref}, {multiple});
}

}  // namespace tilewright
