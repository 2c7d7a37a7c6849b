// SPDX-License-Identifier: Apache-2.0
// ComputeInline and ReverseComputeInline: a block disappears into those that read it, or into the one it
// reads.
#include <algorithm>

#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// The single store of a block that computes one value per element; null where it is another kind of block.
const StoreNode* SoleStore(const BlockNode& block) {
  auto* store = block.body.As<StoreNode>();
  if (!store || block.init || bool(store->predicate) || !block.allocs.empty()) return nullptr;
  const bool spatial = std::all_of(block.iter_vars.begin(), block.iter_vars.end(),
                                   [](const IterVar& iv) { return iv.kind == IterKind::kSpatial; });
  return spatial ? store : nullptr;
}

/// Position of each iteration variable among the indices, which must be distinct variables of the block, or
/// constants; every variable with more than one value must be among them.
std::optional<VarMap> InvertIndices(const BlockNode& block, const std::vector<Expr>& indices,
                                    const std::vector<Expr>& by) {
  VarMap map;
  for (size_t d = 0; d < indices.size(); ++d) {
    auto* var = indices[d].As<VarNode>();
    if (!var) {
      if (AsInt(indices[d])) continue;
      return std::nullopt;
    }
    if (!map.emplace(Var(var), by[d]).second) return std::nullopt;
  }
  for (const IterVar& iv : block.iter_vars) {
    if (map.contains(iv.var)) continue;
    if (!IsInt(iv.dom.extent, 1)) return std::nullopt;
    map[iv.var] = iv.dom.min;
  }
  return map;
}

/// Replaces loads of one buffer.
Stmt ReplaceLoads(const Stmt& s, const Buffer& buffer, const std::function<Expr(const LoadNode&)>& by) {
  auto rewrite = [&](const Expr& e) {
    return PostOrderRewrite(e, [&](const Expr& x) {
      auto* load = x.As<LoadNode>();
      return load && load->buffer == buffer ? by(*load) : x;
    });
  };
  return PostOrderRewrite(s, nullptr, rewrite);
}

/// Rewrites the blocks that read the buffer, inner ones first.
Stmt RewriteReaders(const Stmt& s, const Buffer& buffer, const std::function<Stmt(BlockNode)>& f) {
  auto* block = s.As<BlockNode>();
  Stmt inside = MapChildren(s, [&](const Stmt& child) { return RewriteReaders(child, buffer, f); }, nullptr);
  if (!block || !ReadsBuffer(*block, buffer)) return inside;
  return f(*inside.As<BlockNode>());
}

[[noreturn]] void FailInline(const Rewriter& rw, const BlockNode& block, const std::string& why,
                             std::vector<std::string> notes = {}) {
  rw.Fail("TW1411", fmt::format("block '{}' cannot be inlined: {}", block.name, why), {&block},
          std::move(notes));
}

/// What both directions ask of the block whose value is moved into others.
const StoreNode& RequireInlinable(const Rewriter& rw, const Path& path) {
  const BlockNode& block = path.block();
  const StoreNode* store = SoleStore(block);
  if (!store) {
    FailInline(rw, block, "it does not store one value per point of spatial variables",
               {"a reduction, an opaque block or one with several stores stays where it is"});
  }
  if (rw.IsParameter(store->buffer))
    FailInline(rw, block, store->buffer.name() + " is a parameter of the function");
  bool shared = false;
  PreOrder(rw.body(), [&](const Stmt& s) {
    auto* other = s.As<BlockNode>();
    shared |= other && other != &block && WritesBuffer(*other, store->buffer) &&
              std::find(path.nodes.begin(), path.nodes.end(), s) == path.nodes.end();
    return true;
  });
  if (shared) FailInline(rw, block, store->buffer.name() + " is written by other blocks too");
  return *store;
}

}  // namespace

void Schedule::ComputeInline(const BlockRef& ref) {
  Rewriter rw(*this, "compute_inline");
  const Path path = rw.Find(ref);
  const BlockNode& block = path.block();
  const StoreNode& store = RequireInlinable(rw, path);
  if (!InvertIndices(block, store.indices, store.indices)) {
    FailInline(rw, block, "its store is not indexed by its variables, each once");
  }
  // The value is computed where it is read: nothing it reads may have changed by then.
  bool after = false;
  for (const BlockSite& site : BlocksBelow(path.nodes[path.scope()].As<BlockNode>()->body)) {
    if (site.block == &block) {
      after = true;
    } else if (after) {
      for (const BufferRegion& r : block.reads) {
        if (WritesBuffer(*site.block, r.buffer)) {
          FailInline(rw, block,
                     fmt::format("block '{}' writes {} after it", site.block->name, r.buffer.name()));
        }
      }
    }
  }

  bool read = false;
  auto value_at = [&](const LoadNode& load) {
    if (bool(load.predicate) || !load.dtype.is_scalar()) FailInline(rw, block, "it is read by vectors");
    read = true;
    return Substitute(store.value, *InvertIndices(block, store.indices, load.indices));
  };
  const Stmt without = path.Replace(nullptr);
  if (!without) FailInline(rw, block, "nobody reads it");
  Stmt body = RewriteReaders(without, store.buffer, [&](BlockNode reader) {
    if (reader.init) reader.init = ReplaceLoads(reader.init, store.buffer, value_at);
    reader.body = ReplaceLoads(reader.body, store.buffer, value_at);
    InlineRegions(reader, block);
    return MakeBlock(std::move(reader));
  });
  if (!read) FailInline(rw, block, "nobody reads it");
  rw.Commit(RemoveAlloc(body, store.buffer), {ref}, {});
}

void Schedule::ReverseComputeInline(const BlockRef& ref) {
  Rewriter rw(*this, "reverse_compute_inline");
  const Path path = rw.Find(ref);
  const BlockNode& consumer = path.block();
  const StoreNode* store = SoleStore(consumer);
  if (!store) FailInline(rw, consumer, "it does not store one value per point of spatial variables");

  // The producer is the one that writes what the consumer reads by its own variables.
  std::vector<BlockRef> producers = Producers(ref);
  if (producers.size() != 1) {
    FailInline(rw, consumer, fmt::format("it has {} producers", producers.size()),
               {"one block must write what it reads"});
  }
  const Path producer_path = rw.Find(producers[0]);
  const BlockNode& producer = producer_path.block();
  const StoreNode& made = RequireInlinable(rw, producer_path);
  if (Consumers(producers[0]).size() != 1) {
    FailInline(rw, consumer, fmt::format("block '{}' has other consumers", producer.name));
  }
  const Bounds bounds;
  std::optional<VarMap> to_producer;
  PreOrderExprs(consumer.body, [&](const Expr& e) {
    auto* load = e.As<LoadNode>();
    if (!load || load->buffer != made.buffer) return;
    auto map = load->predicate ? std::nullopt : InvertIndices(consumer, load->indices, made.indices);
    if (!map) {
      FailInline(rw, consumer, fmt::format("it does not read {} element by element", made.buffer.name()));
    }
    if (!to_producer) {
      // Each point of the consumer is one of the producer, and the other way round.
      for (size_t d = 0; d < load->indices.size(); ++d) {
        for (const IterVar& iv : consumer.iter_vars) {
          if (load->indices[d].get() == iv.var.get() &&
              !(IsInt(iv.dom.min, 0) && bounds.ProveEqual(iv.dom.extent, made.buffer.shape()[d]))) {
            FailInline(rw, consumer, fmt::format("it reads only a part of {}", made.buffer.name()));
          }
        }
        if (AsInt(load->indices[d]) && !IsInt(made.buffer.shape()[d], 1)) {
          FailInline(rw, consumer, fmt::format("it reads only a part of {}", made.buffer.name()));
        }
      }
      to_producer = std::move(map);
    } else if (!std::equal(
                   map->begin(), map->end(), to_producer->begin(), to_producer->end(),
                   [](const auto& a, const auto& b) { return a.first == b.first && a.second == b.second; })) {
      FailInline(rw, consumer, fmt::format("it reads several elements of {} at a point", made.buffer.name()));
    }
  });
  if (!to_producer) FailInline(rw, consumer, fmt::format("it does not read {}", made.buffer.name()));

  BlockNode merged = producer;
  std::vector<Expr> indices = store->indices;
  for (Expr& i : indices) i = Substitute(i, *to_producer);
  Expr value = PostOrderRewrite(Substitute(store->value, *to_producer), [&](const Expr& x) {
    auto* load = x.As<LoadNode>();
    return load && load->buffer == made.buffer ? made.value : x;
  });
  merged.body = MakeStore(store->buffer, value, indices);
  for (const auto& [key, annotation] : consumer.annotations) merged.annotations.emplace(key, annotation);
  RecomputeRegions(merged);
  Stmt body = path.Replace(nullptr);
  body = FindBlock(body, producer.name).Replace(MakeBlock(std::move(merged)));
  rw.Commit(RemoveAlloc(body, made.buffer), {ref}, {});
}

}  // namespace tilewright
