// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/flatten_buffers.h"

namespace tilewright {

namespace {

/// The logical dimensions [begin, end) that form one physical dimension.
struct Group {
  size_t begin, end;
};

std::vector<Group> GroupsOf(const BufferNode& b) {
  std::vector<Group> groups;
  size_t begin = 0;
  for (int separator : b.axis_separators) {
    groups.push_back({begin, size_t(separator)});
    begin = size_t(separator);
  }
  groups.push_back({begin, b.shape.size()});
  return groups;
}

Expr Scale(const Expr& index, const Expr& factor) {
  const int lanes = index.dtype().lanes;
  return index * (lanes == 1 ? factor : MakeBroadcast(factor, lanes));
}

Expr AddIndex(Expr a, Expr b) {
  const int lanes = std::max(a.dtype().lanes, b.dtype().lanes);
  if (a.dtype().lanes != lanes) a = MakeBroadcast(a, lanes);
  if (b.dtype().lanes != lanes) b = MakeBroadcast(b, lanes);
  return a + b;
}

class Flattener {
 public:
  Buffer Flat(const Buffer& b) {
    auto it = flat_.find(b);
    if (it != flat_.end()) return it->second;
    BufferNode node = *b;
    node.shape.clear();
    for (const Group& g : GroupsOf(*b)) node.shape.push_back(PhysicalExtent(*b, g));
    node.axis_separators.clear();
    for (size_t i = 1; i < node.shape.size(); ++i) node.axis_separators.push_back(int(i));
    node.strides.clear();
    node.offset = nullptr;
    const bool same = b->strides.empty() && !b->offset && b->shape.size() == node.shape.size();
    return flat_[b] = same ? b : MakeBuffer(std::move(node));
  }

  std::vector<Expr> Indices(const Buffer& b, const std::vector<Expr>& indices) {
    std::vector<Expr> result;
    for (const Group& g : GroupsOf(*b)) {
      Expr flat = 0;
      for (size_t i = g.begin; i < g.end; ++i) {
        Expr index = MakeCast(DataType::Index().WithLanes(indices[i].dtype().lanes), indices[i]);
        if (!b->strides.empty()) {
          flat = AddIndex(flat, Scale(index, b->strides[i]));
        } else {
          flat = i == g.begin ? index : AddIndex(Scale(flat, b->shape[i]), index);
        }
      }
      // A view has one physical dimension; its offset is in that one.
      if (result.empty() && bool(b->offset)) flat = AddIndex(flat, b->offset);
      result.push_back(flat);
    }
    return result;
  }

  Expr Rewrite(const Expr& e) {
    return PostOrderRewrite(e, [&](const Expr& x) {
      auto* load = x.As<LoadNode>();
      if (!load) return x;
      return MakeLoad(Flat(load->buffer), Indices(load->buffer, load->indices), load->predicate);
    });
  }

  Stmt Rewrite(const Stmt& s) {
    auto on_stmt = [&](const Stmt& x) -> Stmt {
      if (auto* store = x.As<StoreNode>()) {
        return MakeStore(Flat(store->buffer), store->value, Indices(store->buffer, store->indices),
                         store->predicate);
      }
      if (auto* alloc = x.As<AllocateNode>()) return MakeAllocate(Flat(alloc->buffer), alloc->body);
      return x;
    };
    return PostOrderRewrite(s, on_stmt, [&](const Expr& e) { return Rewrite(e); });
  }

 private:
  static Expr PhysicalExtent(const BufferNode& b, const Group& g) {
    if (b.strides.empty()) {
      Expr extent = 1;
      for (size_t i = g.begin; i < g.end; ++i) extent = extent * b.shape[i];
      return b.offset ? extent + b.offset : extent;
    }
    Expr last = b.offset ? b.offset : Expr(0);
    for (size_t i = g.begin; i < g.end; ++i) last = last + (b.shape[i] - 1) * b.strides[i];
    return last + 1;
  }

  BufferMap flat_;
};

}  // namespace

PrimFunc FlattenBuffers(const PrimFunc& f) {
  Flattener flattener;
  PrimFuncNode node = *f;
  for (Buffer& b : node.buffers) b = flattener.Flat(b);
  node.body = flattener.Rewrite(f->body);
  return PrimFunc(std::move(node));
}

}  // namespace tilewright
