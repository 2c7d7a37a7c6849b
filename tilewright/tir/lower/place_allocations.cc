// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/place_allocations.h"

#include <unordered_map>
#include <unordered_set>

#include "tilewright/tir/lower/threads.h"

namespace tilewright {

namespace {

using Path = std::vector<Stmt>;

/// Finds for each allocated buffer the common prefix of the paths to the blocks that use it.
class PlaceFinder {
 public:
  explicit PlaceFinder(const Target& target) : device_(DeviceModelOf(target)) {}

  void Visit(const Stmt& s) {
    if (!s) return;
    path_.push_back(s);
    if (auto* loop = s.As<ForNode>()) {
      loops_of_[loop->var.get()] = {loop};
      Enter(s);
    } else if (auto* block = s.As<BlockNode>()) {
      EnterBlock(*block, s);
    } else {
      Enter(s);
    }
    path_.pop_back();
  }

  /// The place of a buffer; empty when nothing uses it.
  const Path* Find(const Buffer& b) const {
    auto it = places_.find(b);
    return it == places_.end() ? nullptr : &it->second;
  }

 private:
  using Loops = std::unordered_set<const ForNode*>;

  void Enter(const Stmt& s) {
    if (auto* store = s.As<StoreNode>()) Use(store->buffer, true);
    ForEachExpr(s, [&](const Expr& e) { UseLoads(e); });
    ForEachChild(s, [&](const Stmt& child) { Visit(child); });
  }

  void UseLoads(const Expr& e) {
    PreOrder(e, [&](const Expr& x) {
      if (auto* load = x.As<LoadNode>()) Use(load->buffer, false);
      return true;
    });
  }

  void EnterBlock(const BlockNode& block, const Stmt& s) {
    BlockInfo info{path_.size(), {}};
    for (size_t i = 0; i < block.iter_vars.size(); ++i) {
      const IterVar& iv = block.iter_vars[i];
      Loops loops = LoopsOf(block.bindings[i]);
      if (iv.kind != IterKind::kSpatial) info.carrying.insert(loops.begin(), loops.end());
      loops_of_[iv.var.get()] = std::move(loops);
    }
    for (const Expr& e : block.bindings) UseLoads(e);
    if (block.predicate) UseLoads(block.predicate);
    for (const Buffer& b : block.allocs) alloc_depth_[b] = path_.size();
    blocks_.push_back(std::move(info));
    Visit(block.init);
    Visit(block.body);
    blocks_.pop_back();
  }

  Loops LoopsOf(const Expr& e) const {
    Loops result;
    for (const Var& v : FreeVars(e)) {
      auto it = loops_of_.find(v.get());
      if (it != loops_of_.end()) result.insert(it->second.begin(), it->second.end());
    }
    return result;
  }

  void Use(const Buffer& b, bool write) {
    auto depth = alloc_depth_.find(b);
    if (depth == alloc_depth_.end()) return;
    // Loops inside a block's body are its own business: the block is the unit that uses the buffer.
    size_t length = std::max(blocks_.back().path_length, depth->second);
    for (size_t i = depth->second; i < length; ++i) {
      auto* loop = path_[i].As<ForNode>();
      if (!loop) continue;
      const bool together =
          loop->for_kind == ForKind::kVectorized || (IsThread(*loop) && device_.OwnerOf(b.scope()) < 0);
      if (together || (write && Carries(loop, depth->second))) {
        length = i;
        break;
      }
    }
    Path path(path_.begin(), path_.begin() + std::ptrdiff_t(length));
    auto [it, fresh] = places_.try_emplace(b, path);
    if (fresh) return;
    Path& common = it->second;
    size_t n = 0;
    while (n < common.size() && n < path.size() && common[n] == path[n]) ++n;
    common.resize(n);
  }

  /// Whether a block below the allocation updates the same elements in several iterations of the loop.
  bool Carries(const ForNode* loop, size_t alloc_depth) const {
    for (const BlockInfo& b : blocks_) {
      if (b.path_length > alloc_depth && b.carrying.contains(loop)) return true;
    }
    return false;
  }

  struct BlockInfo {
    size_t path_length;  ///< of the path that ends with the block
    Loops carrying;      ///< loops that its reduce and opaque variables depend on
  };
  const DeviceModel& device_;
  Path path_;
  std::vector<BlockInfo> blocks_;
  std::unordered_map<const ExprNode*, Loops> loops_of_;
  std::unordered_map<Buffer, size_t>
      alloc_depth_;  ///< length of the path that ends with the allocating block
  std::unordered_map<Buffer, Path> places_;
};

Stmt Wrap(const std::vector<Buffer>& buffers, Stmt body) {
  for (auto it = buffers.rbegin(); it != buffers.rend(); ++it) body = MakeAllocate(*it, std::move(body));
  return body;
}

}  // namespace

PrimFunc PlaceAllocations(const PrimFunc& f, const Target& target) {
  PlaceFinder finder(target);
  finder.Visit(f->body);
  std::unordered_map<Stmt, std::vector<Buffer>, std::hash<Ref<StmtNode>>> at;
  PreOrder(f->body, [&](const Stmt& s) {
    auto* block = s.As<BlockNode>();
    if (!block) return true;
    for (const Buffer& b : block->allocs) {
      if (const Path* place = finder.Find(b)) at[place->back()].push_back(b);
    }
    return true;
  });
  std::function<Stmt(const Stmt&)> rewrite = [&](const Stmt& s) -> Stmt {
    Stmt result = MapChildren(s, rewrite, nullptr);
    auto it = at.find(s);
    if (auto* block = result.As<BlockNode>(); block && (it != at.end() || !block->allocs.empty())) {
      BlockNode b = *block;
      b.allocs.clear();
      if (it != at.end()) b.body = Wrap(it->second, b.body);
      return MakeBlock(std::move(b));
    }
    if (it == at.end()) return result;
    if (auto* loop = result.As<ForNode>()) return WithBody(*loop, Wrap(it->second, loop->body));
    return Wrap(it->second, result);
  };
  return f.WithBody(rewrite(f->body));
}

}  // namespace tilewright
