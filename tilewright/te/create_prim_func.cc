// SPDX-License-Identifier: Apache-2.0
// From a graph of stages to a scheduled-stage function: one block per stage below one loop per axis. A
// reduction over nothing gives its identity: its block is one that sets it, and where an extent may turn out
// to be 0, a block "_init" before it does.
#include <set>
#include <unordered_set>

#include "tilewright/arith/analyzer.h"
#include "tilewright/te/te.h"

namespace tilewright::te {

namespace {

/// Buffers that a stage reads, in order of first occurrence.
std::vector<Buffer> ReadBuffers(const Stage& stage) {
  std::vector<Buffer> result = stage.custom_inputs;
  std::unordered_set<Buffer> seen(result.begin(), result.end());
  auto scan = [&](const Expr& e) {
    if (!e) return;
    PreOrder(e, [&](const Expr& x) {
      if (auto* load = x.As<LoadNode>(); load && seen.insert(load->buffer).second)
        result.push_back(load->buffer);
      return true;
    });
  };
  if (!stage.custom) {
    for (const Expr& source : stage.body.sources) scan(source);
    scan(stage.body.condition);
  }
  return result;
}

/// Per buffer the box that the loads touch: a point per dimension where all loads agree, else all of it.
std::vector<BufferRegion> ReadRegions(const Stmt& body) {
  std::vector<BufferRegion> regions;
  std::unordered_map<Buffer, size_t> at;
  PreOrderExprs(body, [&](const Expr& x) {
    auto* load = x.As<LoadNode>();
    if (!load) return;
    auto [it, fresh] = at.try_emplace(load->buffer, regions.size());
    if (fresh) {
      BufferRegion region{load->buffer, {}};
      for (const Expr& i : load->indices) region.region.push_back({i, Expr(1)});
      regions.push_back(std::move(region));
      return;
    }
    std::vector<Range>& region = regions[it->second].region;
    for (size_t d = 0; d < region.size(); ++d) {
      if (!StructuralEqual(region[d].min, load->indices[d])) region[d] = {Expr(0), load->buffer.shape()[d]};
    }
  });
  return regions;
}

std::vector<Range> WholeRegion(const Buffer& buffer) {
  std::vector<Range> region;
  for (const Expr& extent : buffer.shape()) region.push_back({Expr(0), extent});
  return region;
}

class Builder {
 public:
  Builder(const std::vector<Tensor>& inputs, const std::vector<Tensor>& outputs) {
    for (const Tensor& t : inputs) known_.insert(t.buffer());
    for (const Tensor& t : outputs) outputs_.insert(t.buffer());
  }

  /// Stages in topological order, by the buffers that the outputs need.
  void Visit(const Buffer& buffer) {
    if (known_.contains(buffer)) return;
    Ref<Stage> stage = Tensor(buffer).stage();
    TW_CHECK(stage, "tensor {} is neither an input nor computed", buffer.name());
    known_.insert(buffer);
    results_[stage.get()].push_back(buffer);
    if (!visited_.insert(stage.get()).second) return;
    for (const Buffer& read : ReadBuffers(*stage)) Visit(read);
    order_.push_back(stage);
  }

  Stmt Body() {
    std::vector<Stmt> parts;
    for (const Ref<Stage>& stage : order_) parts.push_back(StageNest(*stage));
    BlockNode root;
    root.name = "root";
    root.allocs = std::move(allocs_);
    root.body = MakeSeq(std::move(parts));
    return MakeBlock(std::move(root));
  }

 private:
  /// The buffers of a stage's results. Results that nobody reads still need a place.
  std::vector<Buffer> OutputBuffers(const Stage& stage) {
    std::vector<Buffer> buffers(stage.dtypes.size());
    for (const Buffer& b : results_[&stage]) buffers[Tensor(b).result_index()] = b;
    for (size_t i = 0; i < buffers.size(); ++i) {
      if (!buffers[i])
        buffers[i] = Buffer(fmt::format("{}.{}", stage.name, i), stage.dtypes[i], stage.shapes[i]);
      if (!outputs_.contains(buffers[i])) allocs_.push_back(buffers[i]);
    }
    return buffers;
  }

  std::string UniqueName(const std::string& name) {
    std::string unique = name;
    for (int i = 1; unique == "root" || !names_.insert(unique).second; ++i)
      unique = fmt::format("{}_{}", name, i);
    return unique;
  }

  Stmt StageNest(const Stage& stage) {
    std::vector<Buffer> outputs = OutputBuffers(stage);
    BlockNode block;
    block.name = UniqueName(stage.name);
    block.annotations = stage.annotations;
    if (stage.custom) {
      block.body = stage.custom(outputs);
      for (const Buffer& b : stage.custom_inputs) block.reads.push_back({b, WholeRegion(b)});
      for (const Buffer& b : outputs) block.writes.push_back({b, WholeRegion(b)});
      return MakeBlock(std::move(block));
    }
    const Trips trips = TripsOf(stage.body.axes);
    if (trips == Trips::kSome) {
      FillComputation(stage, outputs, block);
      return NestAround(std::move(block));
    }
    // No instance of a reduction over nothing would set its initial value: a block of its own does.
    BlockNode init;
    init.name = trips == Trips::kNone ? block.name : UniqueName(block.name + "_init");
    init.iter_vars = stage.axes;
    init.body = Stores(outputs, Identity(stage.body.combiner, stage.dtypes), Indices(stage));
    init.writes = Point(outputs, Indices(stage));
    if (trips == Trips::kNone) return NestAround(std::move(init));
    FillComputation(stage, outputs, block);
    RenameAxes(init);
    block.init = nullptr;
    return MakeSeq({NestAround(std::move(init)), NestAround(std::move(block))});
  }

  /// How often a reduction combines.
  enum class Trips { kNone, kMaybeNone, kSome };
  static Trips TripsOf(const std::vector<IterVar>& axes) {
    Analyzer analyzer;
    Trips trips = Trips::kSome;
    for (const IterVar& axis : axes) {
      if (analyzer.CanProve(axis.dom.extent <= Expr(0))) return Trips::kNone;
      if (!analyzer.CanProve(Expr(0) < axis.dom.extent)) trips = Trips::kMaybeNone;
    }
    return trips;
  }

  /// Gives a block variables of its own, for names bind once in a function.
  static void RenameAxes(BlockNode& block) {
    VarMap fresh;
    for (IterVar& iv : block.iter_vars) {
      Var var(iv.var.name(), iv.var.dtype());
      fresh[iv.var] = var;
      iv.var = var;
    }
    block.body = Substitute(block.body, fresh);
    for (BufferRegion& r : block.writes) {
      for (Range& range : r.region) range.min = Substitute(range.min, fresh);
    }
  }

  /// One serial loop per variable of the block, which they bind.
  static Stmt NestAround(BlockNode block) {
    std::vector<std::pair<Var, IterVar>> loops;
    for (const IterVar& iv : block.iter_vars) {
      Var loop(fmt::format("{}{}", iv.kind == IterKind::kReduce ? "r" : "i", loops.size()));
      block.bindings.push_back(loop);
      loops.emplace_back(loop, iv);
    }
    Stmt nest = MakeBlock(std::move(block));
    for (size_t i = loops.size(); i-- > 0;) {
      nest = MakeFor(loops[i].first, loops[i].second.dom.min, loops[i].second.dom.extent, ForKind::kSerial,
                     nest);
    }
    return nest;
  }

  static std::vector<Expr> Indices(const Stage& stage) {
    std::vector<Expr> indices;
    for (const IterVar& iv : stage.axes) indices.push_back(iv.var);
    return indices;
  }

  static std::vector<BufferRegion> Point(const std::vector<Buffer>& buffers,
                                         const std::vector<Expr>& indices) {
    std::vector<Range> point;
    for (const Expr& i : indices) point.push_back({i, Expr(1)});
    std::vector<BufferRegion> regions;
    for (const Buffer& b : buffers) regions.push_back({b, point});
    return regions;
  }

  void FillComputation(const Stage& stage, const std::vector<Buffer>& outputs, BlockNode& block) {
    block.iter_vars = stage.axes;
    block.iter_vars.insert(block.iter_vars.end(), stage.body.axes.begin(), stage.body.axes.end());
    const std::vector<Expr> indices = Indices(stage);
    block.writes = Point(outputs, indices);

    // Indices through layouts simplify only where the ranges of the axes are known, which is here.
    Analyzer analyzer;
    for (const IterVar& iv : block.iter_vars) analyzer.Bind(iv.var, iv.dom);
    std::vector<Expr> values;
    for (const Expr& source : stage.body.sources) values.push_back(analyzer.Simplify(source));
    if (stage.body.axes.empty()) {
      block.body = Stores(outputs, values, indices);
      block.reads = ReadRegions(block.body);
      return;
    }
    std::vector<Expr> acc;
    for (const Buffer& b : outputs) acc.push_back(b(indices));
    block.init = Stores(outputs, Identity(stage.body.combiner, stage.dtypes), indices);
    // What a reduction reads excludes its own accumulators: they are what it writes.
    Stmt sources = Stores(outputs, values, indices);
    block.reads = ReadRegions(stage.body.condition ? MakeIf(stage.body.condition, sources) : sources);
    Stmt update = Update(outputs, Combine(stage.body.combiner, acc, values), indices);
    block.body = stage.body.condition ? MakeIf(stage.body.condition, update) : update;
  }

  static Stmt Stores(const std::vector<Buffer>& outputs, const std::vector<Expr>& values,
                     const std::vector<Expr>& indices) {
    std::vector<Stmt> stores;
    for (size_t i = 0; i < outputs.size(); ++i) stores.push_back(MakeStore(outputs[i], values[i], indices));
    return MakeSeq(std::move(stores));
  }

  /// Several accumulators depend on each other, so that all new values are computed before any is stored.
  static Stmt Update(const std::vector<Buffer>& outputs, const std::vector<Expr>& values,
                     const std::vector<Expr>& indices) {
    if (outputs.size() == 1) return MakeStore(outputs[0], values[0], indices);
    std::vector<Expr> vars;
    for (size_t i = 0; i < values.size(); ++i)
      vars.push_back(Var(fmt::format("next{}", i), values[i].dtype()));
    Stmt body = Stores(outputs, vars, indices);
    for (size_t i = values.size(); i-- > 0;) {
      body = MakeLetStmt(Var(static_cast<const VarNode*>(vars[i].get())), values[i], body);
    }
    return body;
  }

  std::unordered_set<Buffer> known_, outputs_;
  std::unordered_set<const Stage*> visited_;
  std::unordered_map<const Stage*, std::vector<Buffer>> results_;
  std::vector<Ref<Stage>> order_;
  std::vector<Buffer> allocs_;
  std::set<std::string> names_;
};

/// Variables that a statement uses and does not bind.
std::vector<Var> FreeVarsOf(const Stmt& body) {
  std::unordered_set<const ExprNode*> bound;
  std::vector<Var> used;
  PreOrder(body, [&](const Stmt& s) {
    if (auto* loop = s.As<ForNode>()) bound.insert(loop->var.get());
    if (auto* let = s.As<LetStmtNode>()) bound.insert(let->var.get());
    if (auto* block = s.As<BlockNode>()) {
      for (const IterVar& iv : block->iter_vars) bound.insert(iv.var.get());
    }
    ForEachExpr(s, [&](const Expr& e) {
      const std::vector<Var> free = FreeVars(e);
      used.insert(used.end(), free.begin(), free.end());
    });
    return true;
  });
  std::erase_if(used, [&](const Var& v) { return bound.contains(v.get()); });
  return used;
}

/// Symbolic dimensions of the shapes, then those that only elements hold, in order of first occurrence.
std::vector<Var> SymbolicDims(const std::vector<Buffer>& buffers, const Stmt& body) {
  std::vector<Var> dims;
  auto add = [&](const std::vector<Var>& vars) {
    for (const Var& v : vars) {
      if (std::none_of(dims.begin(), dims.end(), [&](const Var& d) { return d.get() == v.get(); })) {
        dims.push_back(v);
      }
    }
  };
  for (const Buffer& b : buffers) {
    for (const Expr& extent : b.shape()) add(FreeVars(extent));
  }
  add(FreeVarsOf(body));
  return dims;
}

}  // namespace

PrimFunc CreatePrimFunc(std::string name, const std::vector<Tensor>& inputs,
                        const std::vector<Tensor>& outputs) {
  Builder builder(inputs, outputs);
  PrimFuncNode f;
  f.name = std::move(name);
  for (const Tensor& t : inputs) f.buffers.push_back(t.buffer());
  for (const Tensor& t : outputs) {
    TW_CHECK(std::find(f.buffers.begin(), f.buffers.end(), t.buffer()) == f.buffers.end(),
             "{} is an output twice, or an input too", t.name());
    f.buffers.push_back(t.buffer());
    builder.Visit(t.buffer());
  }
  f.num_outputs = int(outputs.size());
  f.body = builder.Body();
  f.dims = SymbolicDims(f.buffers, f.body);
  return PrimFunc(std::move(f));
}

}  // namespace tilewright::te
