// SPDX-License-Identifier: Apache-2.0
#include "tilewright/schedule/rewriter.h"

#include <algorithm>

#include "tilewright/tir/printer.h"

namespace tilewright {

size_t Path::scope() const {
  for (size_t i = nodes.size() - 1; i-- > 0;) {
    if (nodes[i].kind() == StmtKind::kBlock) return i;
  }
  return 0;
}

size_t Path::top() const {
  size_t i = scope() + 1;
  while (i + 1 < nodes.size() && nodes[i].kind() == StmtKind::kSeq) ++i;
  return i;
}

std::vector<const ForNode*> Path::Loops() const {
  std::vector<const ForNode*> loops;
  for (size_t i = scope(); i + 1 < nodes.size(); ++i) {
    if (auto* loop = nodes[i].As<ForNode>()) loops.push_back(loop);
  }
  return loops;
}

size_t Path::Find(const Var& loop_var) const {
  for (size_t i = 0; i < nodes.size(); ++i) {
    if (auto* loop = nodes[i].As<ForNode>(); loop && loop->var == loop_var) return i;
  }
  return npos;
}

Stmt Path::ReplaceAt(size_t position, const Stmt& replacement) const {
  Stmt current = replacement;
  for (size_t i = position; i-- > 0;) {
    const StmtNode* old = nodes[i + 1].get();
    current = MapChildren(
        nodes[i], [&](const Stmt& child) { return child.get() == old ? current : child; }, nullptr);
  }
  return current;
}

namespace {

/// Finds the first statement that satisfies `test`; statements inside are searched before those after.
template <class Test>
bool Search(const Stmt& s, const Test& test, std::vector<Stmt>& path) {
  path.push_back(s);
  if (test(s)) return true;
  auto in = [&](const Stmt& child) { return child && Search(child, test, path); };
  bool found =
      Dispatch(s, Overloaded{
                      [&](const ForNode& n) { return in(n.body); },
                      [&](const BlockNode& n) { return in(n.init) || in(n.body); },
                      [&](const SeqNode& n) { return std::any_of(n.stmts.begin(), n.stmts.end(), in); },
                      [&](const IfNode& n) { return in(n.then_case) || in(n.else_case); },
                      [&](const LetStmtNode& n) { return in(n.body); },
                      [&](const AllocateNode& n) { return in(n.body); },
                      [&](const auto&) { return false; },
                  });
  if (!found) path.pop_back();
  return found;
}

}  // namespace

Path FindBlock(const Stmt& body, const std::string& name) {
  Path path;
  Search(
      body,
      [&](const Stmt& s) {
        auto* block = s.As<BlockNode>();
        return block && block->name == name;
      },
      path.nodes);
  return path;
}

Path FindLoop(const Stmt& body, const Var& var) {
  Path path;
  Search(
      body,
      [&](const Stmt& s) {
        auto* loop = s.As<ForNode>();
        return loop && loop->var == var;
      },
      path.nodes);
  return path;
}

namespace {

void CollectSites(const Stmt& s, std::vector<const ForNode*>& loops, std::vector<BlockSite>& sites) {
  if (auto* block = s.As<BlockNode>()) {
    sites.push_back({block, loops});
  } else if (auto* loop = s.As<ForNode>()) {
    loops.push_back(loop);
    CollectSites(loop->body, loops, sites);
    loops.pop_back();
  } else {
    ForEachChild(s, [&](const Stmt& child) { CollectSites(child, loops, sites); });
  }
}

}  // namespace

std::vector<BlockSite> BlocksBelow(const Stmt& s) {
  std::vector<BlockSite> sites;
  std::vector<const ForNode*> loops;
  CollectSites(s, loops, sites);
  return sites;
}

LoopRole RoleOf(const BlockNode& block, const Var& loop_var) {
  LoopRole role;
  for (size_t i = 0; i < block.bindings.size(); ++i) {
    if (!UsesVar(block.bindings[i], loop_var)) continue;
    switch (block.iter_vars[i].kind) {
      case IterKind::kSpatial:
        role.spatial = true;
        break;
      case IterKind::kReduce:
        role.reduce = true;
        break;
      case IterKind::kOpaque:
        role.opaque = true;
        break;
    }
  }
  return role;
}

bool IsReduction(const BlockNode& block) {
  return std::any_of(block.iter_vars.begin(), block.iter_vars.end(),
                     [](const IterVar& iv) { return iv.kind == IterKind::kReduce; });
}

namespace {

bool Mentions(const std::vector<BufferRegion>& regions, const Buffer& buffer) {
  return std::any_of(regions.begin(), regions.end(),
                     [&](const BufferRegion& r) { return r.buffer == buffer; });
}

}  // namespace

bool ReadsBuffer(const BlockNode& block, const Buffer& buffer) { return Mentions(block.reads, buffer); }
bool WritesBuffer(const BlockNode& block, const Buffer& buffer) { return Mentions(block.writes, buffer); }

std::vector<Expr> Conjuncts(const Expr& predicate) {
  if (!predicate) return {};
  auto* both = predicate.As<BinaryNode>();
  if (!both || both->op != BinaryOp::kAnd) return {predicate};
  std::vector<Expr> terms = Conjuncts(both->a);
  for (Expr& term : Conjuncts(both->b)) terms.push_back(std::move(term));
  return terms;
}

Expr Conjunction(const std::vector<Expr>& terms, const Bounds& bounds) {
  std::vector<Expr> kept;
  for (const Expr& term : terms) {
    Expr simple = bounds.Simplify(term);
    if (IsInt(simple, 1)) continue;
    bool known =
        std::any_of(kept.begin(), kept.end(), [&](const Expr& k) { return StructuralEqual(k, simple); });
    if (!known) kept.push_back(std::move(simple));
  }
  Expr result;
  for (Expr& term : kept) result = result ? MakeBinary(BinaryOp::kAnd, result, term) : term;
  return result;
}

namespace {

class LoopSubstituter {
 public:
  LoopSubstituter(const VarMap& map, const Expr& predicate, Bounds& bounds)
      : map_(map), predicate_(predicate), bounds_(bounds) {}

  Stmt operator()(const Stmt& s) {
    if (auto* block = s.As<BlockNode>()) return OnBlock(*block);
    if (auto* loop = s.As<ForNode>()) {
      Expr min = Rewrite(loop->min), extent = Rewrite(loop->extent);
      bounds_.Bind(loop->var, {min, extent});
      return MakeFor(loop->var, min, extent, loop->for_kind, (*this)(loop->body), loop->annotations,
                     loop->thread_tag);
    }
    return MapChildren(
        s, [&](const Stmt& child) { return (*this)(child); }, [&](const Expr& e) { return Rewrite(e); });
  }

 private:
  Expr Rewrite(const Expr& e) {
    Expr replaced = Substitute(e, map_);
    return IsInt(replaced, 0) || replaced.kind() == ExprKind::kVar ? replaced : bounds_.Simplify(replaced);
  }

  Stmt OnBlock(const BlockNode& block) {
    BlockNode copy = block;
    for (Expr& binding : copy.bindings) binding = Rewrite(binding);
    std::vector<Expr> terms = Conjuncts(block.predicate);
    for (Expr& term : terms) term = Substitute(term, map_);
    for (const Expr& term : Conjuncts(predicate_)) terms.push_back(term);
    copy.predicate = Conjunction(terms, bounds_);
    return MakeBlock(std::move(copy));
  }

  const VarMap& map_;
  const Expr& predicate_;
  Bounds& bounds_;
};

}  // namespace

Stmt SubstituteLoops(const Stmt& s, const VarMap& map, const Expr& predicate, Bounds& bounds) {
  return LoopSubstituter(map, predicate, bounds)(s);
}

Stmt FreshCopy(const Stmt& s, VarMap map, const std::function<std::string(const std::string&)>& rename) {
  auto substitute = [&](const Expr& e) { return Substitute(e, map); };
  if (auto* loop = s.As<ForNode>()) {
    Var var(loop->var.name());
    Expr min = substitute(loop->min), extent = substitute(loop->extent);
    map[loop->var] = var;
    return MakeFor(var, min, extent, loop->for_kind, FreshCopy(loop->body, map, rename), loop->annotations,
                   loop->thread_tag);
  }
  if (auto* let = s.As<LetStmtNode>()) {
    Var var(let->var.name(), let->var.dtype());
    Expr value = substitute(let->value);
    map[let->var] = var;
    return MakeLetStmt(var, value, FreshCopy(let->body, map, rename));
  }
  if (auto* block = s.As<BlockNode>()) {
    BlockNode copy = *block;
    for (Expr& binding : copy.bindings) binding = substitute(binding);
    if (copy.predicate) copy.predicate = substitute(copy.predicate);
    for (IterVar& iv : copy.iter_vars) {
      Var var(iv.var.name(), iv.var.dtype());
      iv.dom = {substitute(iv.dom.min), substitute(iv.dom.extent)};
      map[iv.var] = var;
      iv.var = var;
    }
    for (auto* regions : {&copy.reads, &copy.writes}) {
      for (BufferRegion& r : *regions) {
        for (Range& range : r.region) range = {substitute(range.min), substitute(range.extent)};
      }
    }
    if (rename) copy.name = rename(copy.name);
    if (copy.init) copy.init = FreshCopy(copy.init, map, rename);
    copy.body = FreshCopy(copy.body, map, rename);
    return MakeBlock(std::move(copy));
  }
  return MapChildren(s, [&](const Stmt& child) { return FreshCopy(child, map, rename); }, substitute);
}

Stmt MakeNest(const std::vector<std::pair<Var, Expr>>& loops, Stmt body) {
  for (size_t i = loops.size(); i-- > 0;) {
    body = MakeFor(loops[i].first, Expr(0), loops[i].second, ForKind::kSerial, std::move(body));
  }
  return body;
}

Stmt CopyNest(const std::vector<const ForNode*>& loops, const VarMap& fixed, BlockNode block) {
  Stmt nest = MakeBlock(std::move(block));
  for (size_t i = loops.size(); i-- > 0;) {
    const ForNode& l = *loops[i];
    nest = MakeFor(l.var, Substitute(l.min, fixed), Substitute(l.extent, fixed), l.for_kind, nest,
                   l.annotations, l.thread_tag);
  }
  return FreshCopy(nest, {}, nullptr);
}

Buffer WithScope(const Buffer& buffer, std::string name, const std::string& scope) {
  BufferNode copy = *buffer;
  copy.buffer_name = std::move(name);
  copy.scope = scope;
  return MakeBuffer(std::move(copy));
}

Stmt AddAlloc(const Stmt& body, const std::string& block, const Buffer& buffer) {
  Path path = FindBlock(body, block);
  BlockNode copy = path.block();
  copy.allocs.push_back(buffer);
  return path.Replace(MakeBlock(std::move(copy)));
}

Stmt RemoveAlloc(const Stmt& body, const Buffer& buffer) {
  return PostOrderRewrite(body, [&](const Stmt& s) {
    auto* block = s.As<BlockNode>();
    if (!block || std::find(block->allocs.begin(), block->allocs.end(), buffer) == block->allocs.end())
      return s;
    BlockNode copy = *block;
    std::erase(copy.allocs, buffer);
    return MakeBlock(std::move(copy));
  });
}

// ---- Rewriter.

Path Rewriter::Find(const BlockRef& block) const {
  Path path = FindBlock(body(), block.name);
  if (!path.nodes.empty()) return path;
  std::string names;
  for (const BlockRef& b : s_.Blocks()) names += (names.empty() ? "" : ", ") + b.name;
  throw Error("TW1401", fmt::format("{}: there is no block '{}'", primitive_, block.name), func().name(),
              {names.empty() ? "the function has no blocks" : "blocks of the function: " + names});
}

Path Rewriter::Find(const LoopRef& loop) const {
  Path path = loop.var ? FindLoop(body(), loop.var) : Path();
  if (!path.nodes.empty()) return path;
  throw Error("TW1403",
              fmt::format("{}: there is no loop '{}' in the function", primitive_,
                          loop.var ? loop.var.name() : "null"),
              func().name(),
              {"a loop stays valid until a primitive replaces it; ask get_loops for the loops there are"});
}

Bounds Rewriter::BoundsAt(const Path& path, bool with_target) {
  Bounds bounds;
  for (size_t i = 0; i < path.nodes.size(); ++i) {
    const bool target = i + 1 == path.nodes.size();
    if (auto* loop = path.nodes[i].As<ForNode>(); loop && (!target || with_target)) {
      bounds.Bind(loop->var, {loop->min, loop->extent});
      bounds.Enter({loop->min, loop->extent});
    }
    if (auto* block = path.nodes[i].As<BlockNode>(); block && !target) {
      for (const IterVar& iv : block->iter_vars) bounds.Bind(iv.var, iv.dom);
    }
  }
  return bounds;
}

void Rewriter::Fail(std::string id, std::string message, const std::vector<const StmtNode*>& guilty,
                    std::vector<std::string> notes) const {
  PrintOptions options;
  for (const StmtNode* node : guilty) options.marks[node] = "here";
  notes.push_back("the function:\n" + Print(func(), options));
  throw Error(std::move(id), primitive_ + ": " + message, func().name(), std::move(notes));
}

void Rewriter::RequireSerial(const ForNode& loop) const {
  if (loop.for_kind == ForKind::kSerial) return;
  Fail("TW1405", fmt::format("loop '{}' is {} already", loop.var.name(), ForKindName(loop.for_kind)), {&loop},
       {"apply this primitive before the loop is given a kind"});
}

int64_t Rewriter::RequireConstantExtent(const ForNode& loop) const {
  if (auto extent = AsInt(loop.extent)) return *extent;
  Fail("TW1408", fmt::format("the extent of loop '{}' is not constant", loop.var.name()), {&loop},
       {"split the loop by a constant first"});
}

bool Rewriter::IsParameter(const Buffer& buffer) const {
  const auto& buffers = func()->buffers;
  return std::find(buffers.begin(), buffers.end(), buffer) != buffers.end();
}

std::vector<Buffer> Rewriter::Buffers() const {
  std::vector<Buffer> buffers = func()->buffers;
  PreOrder(body(), [&](const Stmt& s) {
    if (auto* block = s.As<BlockNode>())
      buffers.insert(buffers.end(), block->allocs.begin(), block->allocs.end());
    return true;
  });
  return buffers;
}

namespace {

template <class Taken>
std::string FreshName(const std::string& base, const Taken& taken) {
  std::string name = base;
  for (int i = 1; taken(name); ++i) name = fmt::format("{}_{}", base, i);
  return name;
}

}  // namespace

std::string Rewriter::FreshBlockName(const std::string& base) const {
  std::unordered_set<std::string> names;
  PreOrder(body(), [&](const Stmt& s) {
    if (auto* block = s.As<BlockNode>()) names.insert(block->name);
    return true;
  });
  return FreshName(base, [&](const std::string& name) { return names.contains(name); });
}

std::string Rewriter::FreshBufferName(const std::string& base) const {
  std::unordered_set<std::string> names;
  for (const Buffer& b : Buffers()) names.insert(b.name());
  return FreshName(base, [&](const std::string& name) { return names.contains(name); });
}

void Rewriter::Commit(Stmt body, const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
                      const std::vector<StepInput>& outputs) {
  Commit(func().WithBody(std::move(body)), inputs, std::move(attributes), outputs);
}

void Rewriter::Commit(PrimFunc func, const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
                      const std::vector<StepInput>& outputs) {
  // Names of the inputs may have to be looked up in the function as it was.
  Record(inputs, std::move(attributes), outputs);
  s_.func_ = std::move(func);
}

void Rewriter::RecordLookup(const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
                            const std::vector<StepInput>& outputs) {
  bool known = std::all_of(outputs.begin(), outputs.end(), [&](const StepInput& o) {
    auto* loop = std::get_if<LoopRef>(&o);
    return loop ? s_.loop_names_.contains(loop->var) : s_.block_names_.contains(std::get<BlockRef>(o).name);
  });
  if (!known) Record(inputs, std::move(attributes), outputs);
}

void Rewriter::Record(const std::vector<StepInput>& inputs, std::vector<AttrValue> attributes,
                      const std::vector<StepInput>& outputs) {
  TraceStep step{primitive_, {}, std::move(attributes), {}};
  for (const StepInput& input : inputs) step.inputs.push_back(NameOf(input));
  for (const StepInput& output : outputs) step.outputs.push_back(DefineName(output));
  s_.trace_.steps.push_back(std::move(step));
}

std::string Rewriter::NameOf(const StepInput& input) {
  if (auto* block = std::get_if<BlockRef>(&input)) {
    if (!s_.block_names_.contains(block->name)) s_.GetBlock(block->name);
    return s_.block_names_.at(block->name);
  }
  const LoopRef& loop = std::get<LoopRef>(input);
  if (!s_.loop_names_.contains(loop.var)) {
    Path path = Find(loop);
    std::vector<BlockSite> sites = BlocksBelow(path.stmt());
    if (sites.empty())
      Fail("TW1403", fmt::format("there is no block below loop '{}'", loop.var.name()), {&path.loop()});
    s_.GetLoops({sites.front().block->name});
  }
  return s_.loop_names_.at(loop.var);
}

std::string Rewriter::DefineName(const StepInput& output) {
  if (auto* block = std::get_if<BlockRef>(&output)) {
    std::string& name = s_.block_names_[block->name];
    if (name.empty()) name = fmt::format("b{}", s_.next_block_++);
    return name;
  }
  std::string& name = s_.loop_names_[std::get<LoopRef>(output).var];
  if (name.empty()) name = fmt::format("l{}", s_.next_loop_++);
  return name;
}

}  // namespace tilewright
