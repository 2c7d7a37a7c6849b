// SPDX-License-Identifier: Apache-2.0
// TransformLayout: another order of a buffer's elements in memory. Legal for any bijective map (with padding
// also injective ones), as every access is rewritten; a parameter is changed for the caller too, by a prepare
// function.
#include <algorithm>

#include "tilewright/schedule/layout_map.h"
#include "tilewright/schedule/region.h"
#include "tilewright/schedule/rewriter.h"

namespace tilewright {

namespace {

/// Rewrites all that touches the buffer.
class AccessRewriter {
 public:
  AccessRewriter(const Rewriter& rw, const Buffer& from, const Buffer& to, const LayoutMap& map)
      : rw_(rw), from_(from), to_(to), map_(map) {}

  Stmt operator()(const Stmt& s) {
    if (auto* block = s.As<BlockNode>()) return OnBlock(*block);
    if (auto* loop = s.As<ForNode>()) bounds_.Bind(loop->var, {loop->min, loop->extent});
    Stmt inner = MapChildren(
        s, [&](const Stmt& child) { return (*this)(child); }, [&](const Expr& e) { return OnExpr(e); });
    auto* store = inner.As<StoreNode>();
    if (!store || store->buffer != from_) return inner;
    return MakeStore(to_, store->value, Map(store->indices), store->predicate);
  }

 private:
  Stmt OnBlock(const BlockNode& block) {
    BlockNode copy = block;
    std::replace(copy.allocs.begin(), copy.allocs.end(), from_, to_);
    for (const IterVar& iv : block.iter_vars) bounds_.Bind(iv.var, iv.dom);
    if (copy.init) copy.init = (*this)(copy.init);
    copy.body = (*this)(copy.body);
    if (ReadsBuffer(block, from_) || WritesBuffer(block, from_)) {
      for (auto* regions : {&copy.reads, &copy.writes}) {
        for (BufferRegion& r : *regions) {
          if (r.buffer == from_) r = OnRegion(r);
        }
      }
    }
    return MakeBlock(std::move(copy));
  }

  BufferRegion OnRegion(const BufferRegion& r) {
    const bool point =
        std::all_of(r.region.begin(), r.region.end(), [](const Range& x) { return IsInt(x.extent, 1); });
    BufferRegion result{to_, {}};
    if (point) {
      std::vector<Expr> indices;
      for (const Range& x : r.region) indices.push_back(x.min);
      for (Expr& i : Map(indices)) result.region.push_back({i, Expr(1)});
    } else {
      for (const Expr& extent : to_.shape()) result.region.push_back({Expr(0), extent});
    }
    return result;
  }

  Expr OnExpr(const Expr& e) {
    return PostOrderRewrite(e, [&](const Expr& x) {
      auto* load = x.As<LoadNode>();
      return load && load->buffer == from_ ? MakeLoad(to_, Map(load->indices), load->predicate) : x;
    });
  }

  std::vector<Expr> Map(const std::vector<Expr>& indices) {
    for (const Expr& i : indices) {
      if (!i.dtype().is_scalar())
        rw_.Fail("TW1420", fmt::format("{} is accessed by vectors", from_.name()), {});
    }
    std::vector<Expr> result = map_.Apply(indices);
    for (Expr& e : result) e = bounds_.Simplify(e);
    return result;
  }

  const Rewriter& rw_;
  const Buffer &from_, &to_;
  const LayoutMap& map_;
  Bounds bounds_;
};

/// Whether the new indices stand for old ones; null: all do.
Expr InRange(const LayoutMap& map, const std::vector<Expr>& shape, const Bounds& bounds) {
  std::vector<Expr> terms;
  for (size_t i = 0; i < shape.size(); ++i) terms.push_back(map.inverse[i] < shape[i]);
  return Conjunction(terms, bounds);
}

/// Loops over the new shape around a block whose body `make` gives, over the new variables.
Stmt NestOverNew(const std::string& name, const Buffer& to, const LayoutMap& map,
                 const std::function<Stmt(const std::vector<Expr>&)>& make, std::vector<BufferRegion> reads) {
  BlockNode block;
  block.name = name;
  std::vector<std::pair<Var, Expr>> loops;
  std::vector<Expr> indices;
  BufferRegion write{to, {}};
  for (size_t d = 0; d < map.new_vars.size(); ++d) {
    Var loop(fmt::format("i{}", d));
    loops.emplace_back(loop, map.new_shape[d]);
    block.iter_vars.push_back({map.new_vars[d], {Expr(0), map.new_shape[d]}, IterKind::kSpatial});
    block.bindings.push_back(loop);
    indices.push_back(map.new_vars[d]);
    write.region.push_back({map.new_vars[d], Expr(1)});
  }
  block.reads = std::move(reads);
  block.writes = {write};
  block.body = make(indices);
  return MakeNest(loops, MakeBlock(std::move(block)));
}

Bounds NewBounds(const LayoutMap& map) {
  Bounds bounds;
  for (size_t d = 0; d < map.new_vars.size(); ++d) bounds.Bind(map.new_vars[d], {Expr(0), map.new_shape[d]});
  return bounds;
}

/// The function that copies the parameter from the old layout to the new one.
PrimFunc PrepareFunction(const PrimFunc& func, const Buffer& from, const Buffer& to, const LayoutMap& map) {
  const Bounds bounds = NewBounds(map);
  const Expr in_range = InRange(map, from.shape(), bounds);
  BufferRegion read{from, {}};
  for (const Expr& i : map.inverse) read.region.push_back({i, Expr(1)});
  Stmt nest = NestOverNew(to.name(), to, map,
                          [&](const std::vector<Expr>& indices) {
                            Expr value = from(map.inverse);
                            if (in_range) value = MakeIfThenElse(in_range, value, MakeConst(from.dtype(), 0));
                            return MakeStore(to, value, indices);
                          },
                          {read});
  BlockNode root;
  root.name = "root";
  root.body = nest;
  PrimFuncNode prepare;
  prepare.name = fmt::format("{}_prepare_{}", func.name(), from.name());
  prepare.buffers = {from, to};
  for (const Var& dim : func->dims) {
    const auto& shape = from.shape();
    if (std::any_of(shape.begin(), shape.end(), [&](const Expr& e) { return UsesVar(e, dim); })) {
      prepare.dims.push_back(dim);
    }
  }
  prepare.num_outputs = 1;
  prepare.body = MakeBlock(std::move(root));
  return PrimFunc(std::move(prepare));
}

/// The body with a block before the first that writes the buffer: zeros where no old index reaches.
Stmt WithZeroPadding(const Rewriter& rw, const Stmt& body, const Buffer& from, const Buffer& to,
                     const LayoutMap& map) {
  std::string writer;
  PreOrder(body, [&](const Stmt& s) {
    auto* block = s.As<BlockNode>();
    if (block && writer.empty() && WritesBuffer(*block, to) && block->name != "root") writer = block->name;
    return writer.empty();
  });
  if (writer.empty()) return body;
  LayoutMap fresh = map;
  const Bounds bounds = NewBounds(fresh);
  const Expr in_range = InRange(fresh, from.shape(), bounds);
  if (!in_range) return body;
  Stmt nest =
      NestOverNew(rw.FreshBlockName(to.name() + "_pad"), to, fresh,
                  [&](const std::vector<Expr>& indices) {
                    return MakeIf(MakeNot(in_range), MakeStore(to, MakeConst(to.dtype(), 0), indices));
                  },
                  {});
  Path path = FindBlock(body, writer);
  const size_t top = path.top();
  return path.ReplaceAt(top, MakeSeq({nest, path.nodes[top]}));
}

}  // namespace

void Schedule::TransformLayout(const Buffer& buffer, const std::vector<Var>& old_indices,
                               const std::vector<Expr>& new_indices, bool pad) {
  Rewriter rw(*this, "transform_layout");
  const std::vector<Buffer> known = rw.Buffers();
  if (!buffer || std::find(known.begin(), known.end(), buffer) == known.end()) {
    rw.Fail("TW1413", fmt::format("the function has no such buffer '{}'", buffer ? buffer.name() : "null"),
            {}, {"give a buffer as the function has it now"});
  }
  const auto& params = func_->buffers;
  const size_t param = size_t(std::find(params.begin(), params.end(), buffer) - params.begin());
  const bool is_param = param < params.size();
  if (is_param && param + size_t(func_->num_outputs) >= params.size()) {
    rw.Fail("TW1414", fmt::format("{} is an output: its reader expects its layout", buffer.name()), {},
            {"compute the output in the layout that is wanted"});
  }
  std::string why;
  auto map = MakeLayoutMap(buffer.shape(), old_indices, new_indices, pad, why);
  if (!map) rw.Fail("TW1420", fmt::format("no layout of {}: {}", buffer.name(), why), {});
  if (map->padded && !pad) {
    rw.Fail("TW1420", fmt::format("the layout of {} would have more elements than it has", buffer.name()), {},
            {"pass pad, or choose factors that divide the shape"});
  }
  BufferNode node = *buffer;
  node.shape = map->new_shape;
  node.axis_separators.clear();
  node.strides.clear();
  const Buffer laid_out = MakeBuffer(std::move(node));

  PrimFuncNode changed = *func_;
  changed.body = AccessRewriter(rw, buffer, laid_out, *map)(func_->body);
  std::vector<Expr> old_exprs(old_indices.begin(), old_indices.end());
  if (is_param) {
    changed.buffers[param] = laid_out;
    rw.AddPrepare({int(param), PrepareFunction(func_, buffer, laid_out, *map)});
  } else if (map->padded) {
    changed.body = WithZeroPadding(rw, changed.body, buffer, laid_out, *map);
  }
  rw.Commit(PrimFunc(std::move(changed)), {}, {buffer.name(), old_exprs, new_indices, pad});
}

}  // namespace tilewright
