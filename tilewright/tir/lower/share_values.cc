// SPDX-License-Identifier: Apache-2.0
// Three walks over a tree of scopes: Record numbers every expression, Use decides in program order where each
// value is bound, Emit writes the statements back with bindings before the statements that first need them.
#include "tilewright/tir/lower/share_values.h"

#include <algorithm>

#include "tilewright/tir/lower/threads.h"
#include "tilewright/tir/lower/value_table.h"

namespace tilewright {

namespace {

enum class ScopeKind : uint8_t {
  kRoot,
  kLoop,      ///< may run no iteration
  kSureLoop,  ///< runs at least one
  kBranch,    ///< of an If or IfThenElse
  kAlways,    ///< of an allocation: runs once
};

/// A statement of a scope: its expressions by number, in the order of ForEachExpr, and the scopes inside it.
struct Item {
  Stmt stmt;
  std::vector<ValueId> exprs;
  std::vector<ScopeId> inner;
};

struct Scope {
  ScopeKind kind = ScopeKind::kRoot;
  bool has_loop = false;
  std::vector<Item> items;
  size_t position = 0;                          ///< of the item being visited
  std::map<size_t, std::vector<ValueId>> bind;  ///< values to bind before an item
};

/// How often a value is needed in a scope.
struct Need {
  int uses = 0;
  bool from_inside = false;  ///< needed in a scope further in
  size_t position = 0;       ///< of the item that needs it first
  Var var;                   ///< the variable that holds it, once bound
};

class Sharer {
 public:
  Stmt Run(const Stmt& body) {
    scopes_.emplace_back();
    Record(body, 0);
    UseScope(0);
    PlaceBindings();
    return EmitScope(0);
  }

 private:
  // ---- Record.

  ScopeId AddScope(ScopeKind kind, ScopeId outer) {
    const bool loop = kind == ScopeKind::kLoop || kind == ScopeKind::kSureLoop;
    for (ScopeId s = outer; loop && s >= 0; s = tree_.parent[size_t(s)]) scopes_[size_t(s)].has_loop = true;
    scopes_.push_back({.kind = kind});
    return tree_.Add(outer);
  }

  void Record(Stmt s, ScopeId scope) {
    // Bindings come in chains of thousands: a loop, not recursion.
    while (auto* let = s.As<LetStmtNode>()) {
      Item item{s, {table_.Number(let->value)}, {}};
      table_.BindVar(let->var, scope);
      scopes_[size_t(scope)].items.push_back(std::move(item));
      s = Stmt(let->body);
    }
    if (auto* seq = s.As<SeqNode>()) {
      for (const Stmt& child : seq->stmts) Record(child, scope);
      return;
    }
    Item item{s, {}, {}};
    NumberExprs(s, item);
    if (auto* store = s.As<StoreNode>()) table_.Clobber(store->buffer, scope);
    if (auto* loop = s.As<ForNode>()) RecordFor(*loop, item, scope);
    if (auto* branch = s.As<IfNode>()) RecordIf(*branch, item, scope);
    if (auto* alloc = s.As<AllocateNode>()) RecordAllocate(*alloc, item, scope);
    TW_CHECK(s.kind() != StmtKind::kBlock, "block after lowering");
    scopes_[size_t(scope)].items.push_back(std::move(item));
  }

  void RecordAllocate(const AllocateNode& n, Item& item, ScopeId scope) {
    const ScopeId inner = AddScope(ScopeKind::kAlways, scope);
    item.inner = {inner};
    table_.Clobber(n.buffer, inner);
    Record(n.body, inner);
    ClobberStores(n.body, scope);
  }

  /// A prefetch names an address by a load, which must stay as it is: only the load's index is numbered.
  static const LoadNode* PrefetchedLoad(const Stmt& s) {
    auto* evaluate = s.As<EvaluateNode>();
    auto* call = evaluate ? evaluate->value.As<CallNode>() : nullptr;
    return call && call->op == Intrinsic::k_prefetch ? call->args[0].As<LoadNode>() : nullptr;
  }

  /// A barrier or token: each stands for itself, however many are alike.
  static bool IsSignal(const Stmt& s) {
    auto* evaluate = s.As<EvaluateNode>();
    auto* call = evaluate ? evaluate->value.As<CallNode>() : nullptr;
    return call && !GetIntrinsicInfo(call->op).pure &&
           std::ranges::all_of(call->args, [](const Expr& e) { return e.kind() == ExprKind::kStringImm; });
  }

  void NumberExprs(const Stmt& s, Item& item) {
    if (IsSignal(s)) return;
    if (auto* load = PrefetchedLoad(s)) {
      for (const Expr& i : load->indices) item.exprs.push_back(table_.Number(i));
      return;
    }
    ForEachExpr(s, [&](const Expr& e) { item.exprs.push_back(table_.Number(e)); });
  }

  void ClobberStores(const Stmt& s, ScopeId scope) {
    PreOrder(s, [&](const Stmt& x) {
      if (auto* store = x.As<StoreNode>()) table_.Clobber(store->buffer, scope);
      return true;
    });
  }

  void RecordFor(const ForNode& n, Item& item, ScopeId scope) {
    auto extent = AsInt(n.extent);
    const ScopeId inner = AddScope(extent && *extent > 0 ? ScopeKind::kSureLoop : ScopeKind::kLoop, scope);
    item.inner = {inner};
    // What an instruction reads it reads when it runs.
    if (!UnitOf(n).empty()) scopes_[size_t(inner)].has_loop = true;
    table_.BindVar(n.var, inner);
    for (const CarriedValue& c : n.carried) table_.BindVar(c.var, inner), table_.BindVar(c.result, scope);
    ClobberStores(n.body, inner);
    Record(n.body, inner);
    ClobberStores(n.body, scope);
  }

  void RecordIf(const IfNode& n, Item& item, ScopeId scope) {
    const ValueTable::Memory before = table_.memory();
    for (const Stmt& branch : {n.then_case, n.else_case}) {
      if (!branch) continue;
      item.inner.push_back(AddScope(ScopeKind::kBranch, scope));
      table_.set_memory(before);
      Record(branch, item.inner.back());
    }
    ClobberStores(n.then_case, scope);
    if (n.else_case) ClobberStores(n.else_case, scope);
  }

  // ---- Use.

  /// Values that are cheaper to write out than to keep, and the shapes that code generators look for in an
  /// index.
  bool IsInline(ValueId id) const {
    const NumberedValue& v = table_[id];
    switch (v.node.kind()) {
      case ExprKind::kVar:
      case ExprKind::kIntImm:
      case ExprKind::kFloatImm:
      case ExprKind::kStringImm:
      case ExprKind::kRamp:
        return true;
      case ExprKind::kBroadcast:
        return AsNumber(table_[v.operands[0]].node).has_value();
      case ExprKind::kBinary:
        return v.node.dtype() == DataType::Index() && v.node.As<BinaryNode>()->op == BinaryOp::kAdd &&
               table_[v.operands[1]].node.As<IntImmNode>();
      default:
        return false;
    }
  }

  bool MayLeave(const NumberedValue& v, ScopeId scope) const {
    const Scope& s = scopes_[size_t(scope)];
    const bool index = v.node.dtype() == DataType::Index();
    switch (s.kind) {
      case ScopeKind::kRoot:
        return false;
      // Data leaves innermost loops only: kept across a loop further in, it would take a register from it.
      case ScopeKind::kLoop:
        return v.safe && (index || !s.has_loop);
      case ScopeKind::kSureLoop:
        return index || !s.has_loop;
      case ScopeKind::kAlways:
        return true;
      case ScopeKind::kBranch:
        return v.safe && index;
    }
    return false;
  }

  /// The outermost scope in which a value that `scope` needs can be computed.
  ScopeId PlaceOf(ValueId id, ScopeId scope) const {
    const NumberedValue& v = table_[id];
    while (scope != v.home && MayLeave(v, scope)) scope = tree_.parent[size_t(scope)];
    return scope;
  }

  Need& NeedOf(ValueId id, ScopeId place) { return needs_[{id, place}]; }

  void Use(ValueId id, ScopeId scope) {
    if (IsInline(id)) {
      for (ValueId operand : table_[id].operands) Use(operand, scope);
      return;
    }
    const ScopeId place = PlaceOf(id, scope);
    Need& need = NeedOf(id, place);
    need.from_inside |= place != scope;
    if (need.uses++) return;
    need.position = scopes_[size_t(place)].position;
    UseOperands(id, place);
  }

  void UseOperands(ValueId id, ScopeId place) {
    const std::vector<ValueId> operands = table_[id].operands;
    if (table_[id].node.kind() != ExprKind::kIfThenElse) {
      for (ValueId operand : operands) Use(operand, place);
      return;
    }
    Use(operands[0], place);
    auto& branches = branches_[{id, place}];
    for (ScopeId& branch : branches) branch = AddScope(ScopeKind::kBranch, place);
    const auto [t, f] = branches;
    Use(operands[1], t);
    Use(operands[2], f);
  }

  void UseScope(ScopeId scope) {
    for (size_t i = 0; i < scopes_[size_t(scope)].items.size(); ++i) {
      scopes_[size_t(scope)].position = i;
      const Item item = scopes_[size_t(scope)].items[i];
      if (auto* let = item.stmt.As<LetStmtNode>()) {
        UseLet(*let, item.exprs[0], scope);
        continue;
      }
      for (ValueId id : item.exprs) Use(id, scope);
      for (ScopeId inner : item.inner) UseScope(inner);
    }
  }

  /// The variable of a LetStmt holds the value for all later uses, unless one came before.
  void UseLet(const LetStmtNode& let, ValueId id, ScopeId scope) {
    const bool known = IsInline(id) || PlaceOf(id, scope) != scope || NeedOf(id, scope).uses > 0;
    Use(id, scope);
    if (!known) NeedOf(id, scope).var = let.var;
  }

  void PlaceBindings() {
    for (auto& [key, need] : needs_) {
      auto [id, place] = key;
      if (bool(need.var) || (need.uses < 2 && !need.from_inside)) continue;
      need.var = Var(NameOf(table_[id]), table_[id].node.dtype());
      scopes_[size_t(place)].bind[need.position].push_back(id);
    }
  }

  static std::string NameOf(const NumberedValue& v) {
    if (auto* load = v.node.As<LoadNode>()) return load->buffer.name() + "_v";
    return v.node.dtype() == DataType::Index() ? "i" : "v";
  }

  // ---- Emit.

  Expr Build(ValueId id, ScopeId scope) {
    if (IsInline(id)) return Rebuild(id, scope);
    const ScopeId place = PlaceOf(id, scope);
    const Need& need = NeedOf(id, place);
    if (need.var) return need.var;
    TW_CHECK(place == scope && need.uses == 1, "value {} is not bound where it is needed", id);
    return Rebuild(id, place);
  }

  /// The expression itself; its operands may be variables.
  Expr Rebuild(ValueId id, ScopeId scope) {
    const NumberedValue v = table_[id];
    if (v.operands.empty()) return v.node;
    if (v.node.kind() == ExprKind::kIfThenElse) {
      const auto [t, f] = branches_.at({id, scope});
      return MakeIfThenElse(Build(v.operands[0], scope), BuildBranch(v.operands[1], t),
                            BuildBranch(v.operands[2], f));
    }
    if (auto* b = v.node.As<BinaryNode>()) {
      Expr lhs = Build(v.operands[0], scope), rhs = Build(v.operands[1], scope);
      return Expr(new BinaryNode(b->op, b->dtype, lhs, rhs));
    }
    size_t next = 0;
    return MapChildren(v.node, [&](const Expr&) { return Build(v.operands[next++], scope); });
  }

  Expr BuildBranch(ValueId id, ScopeId branch) {
    Expr body = Build(id, branch);
    auto& bind = scopes_[size_t(branch)].bind;
    if (bind.empty()) return body;
    std::vector<ValueId> ids = bind.begin()->second;
    std::ranges::sort(ids, std::greater());
    for (ValueId bound : ids) body = MakeLet(NeedOf(bound, branch).var, Rebuild(bound, branch), body);
    return body;
  }

  Stmt EmitItem(const Item& item, ScopeId scope) {
    size_t next_inner = 0, next_expr = 0;
    if (IsSignal(item.stmt)) return item.stmt;
    if (auto* load = PrefetchedLoad(item.stmt)) {
      std::vector<Expr> indices;
      for (ValueId id : item.exprs) indices.push_back(Build(id, scope));
      auto* call = item.stmt.As<EvaluateNode>()->value.As<CallNode>();
      Expr address = MakeLoad(load->buffer, std::move(indices), load->predicate);
      return MakeEvaluate(MakeCall(call->dtype, call->op, {address, call->args[1]}));
    }
    // Numbers are in the order of ForEachExpr, which MapChildren may not visit in.
    std::vector<Expr> built;
    for (ValueId id : item.exprs) built.push_back(Build(id, scope));
    std::unordered_map<const ExprNode*, Expr> by_node;
    ForEachExpr(item.stmt, [&](const Expr& e) { by_node[e.get()] = built[next_expr++]; });
    return MapChildren(
        item.stmt, [&](const Stmt&) { return EmitScope(item.inner[next_inner++]); },
        [&](const Expr& e) { return by_node.at(e.get()); });
  }

  Stmt EmitScope(ScopeId scope) {
    const size_t n = scopes_[size_t(scope)].items.size();
    std::vector<Stmt> rest;  // in reverse order
    auto enclose = [&](const Var& var, const Expr& value) {
      std::ranges::reverse(rest);
      Stmt body = MakeSeq(std::move(rest));
      rest.clear();
      if (body) rest.push_back(MakeLetStmt(var, value, body));
    };
    for (size_t i = n; i-- > 0;) {
      const Item& item = scopes_[size_t(scope)].items[i];
      if (auto* let = item.stmt.As<LetStmtNode>()) {
        const ValueId id = item.exprs[0];
        const bool holds = !IsInline(id) && PlaceOf(id, scope) == scope && NeedOf(id, scope).var == let->var;
        enclose(let->var, holds ? Rebuild(id, scope) : Build(id, scope));
      } else if (Stmt s = EmitItem(item, scope)) {
        rest.push_back(s);
      }
      auto it = scopes_[size_t(scope)].bind.find(i);
      if (it == scopes_[size_t(scope)].bind.end()) continue;
      std::vector<ValueId> ids = it->second;
      std::ranges::sort(ids, std::greater());
      for (ValueId id : ids) enclose(NeedOf(id, scope).var, Rebuild(id, scope));
    }
    std::ranges::reverse(rest);
    return MakeSeq(std::move(rest));
  }

  ScopeTree tree_;
  ValueTable table_{tree_};
  std::vector<Scope> scopes_;
  std::map<std::pair<ValueId, ScopeId>, Need> needs_;
  std::map<std::pair<ValueId, ScopeId>, std::array<ScopeId, 2>> branches_;
};

/// Shares within what one chunk or thread runs: the loops over them, and what is allocated for them there,
/// stay as they are.
Stmt ShareInside(const Stmt& s, bool of_threads) {
  auto* loop = s.As<ForNode>();
  if (loop && (loop->for_kind == ForKind::kParallel || IsThread(*loop))) {
    Stmt body = ShareInside(loop->body, IsThread(*loop));
    return body ? WithBody(*loop, body) : nullptr;
  }
  auto* alloc = s.As<AllocateNode>();
  if (alloc && of_threads) {
    Stmt body = ShareInside(alloc->body, true);
    return body ? MakeAllocate(alloc->buffer, body) : nullptr;
  }
  return Sharer().Run(s);
}

}  // namespace

PrimFunc ShareValues(const PrimFunc& f) {
  Stmt body = ShareInside(f->body, HoldsThreads(f->body));
  return f.WithBody(body ? body : MakeEvaluate(MakeConst(kI32, 0)));
}

}  // namespace tilewright
