// SPDX-License-Identifier: Apache-2.0
// A walk with an environment: the current value of each register, as an expression. Statements are emitted
// into a flat list in which a let-binding or an allocation encloses all that follows it, so that a value
// bound in one place is visible to the rest of the function.
#include "tilewright/tir/lower/promote_registers.h"

#include <algorithm>
#include <numeric>

#include "tilewright/ir/int_arith.h"

namespace tilewright {

namespace {

using Lanes = std::vector<int64_t>;

std::optional<Lanes> CombineLanes(const BinaryNode& n);

/// The elements that a constant index names, one per lane; none when it is not constant.
std::optional<Lanes> ConstantLanes(const Expr& index) {
  if (auto i = AsInt(index)) return Lanes{*i};
  if (auto* b = index.As<BroadcastNode>()) {
    if (auto i = AsInt(b->value)) return Lanes(b->dtype.lanes, *i);
  }
  if (auto* r = index.As<RampNode>()) {
    auto base = AsInt(r->base), stride = AsInt(r->stride);
    if (!base || !stride) return std::nullopt;
    Lanes lanes(r->dtype.lanes);
    for (size_t i = 0; i < lanes.size(); ++i) lanes[i] = *base + *stride * int64_t(i);
    return lanes;
  }
  // What the places of several rows in a line are: quotients and remainders of a ramp.
  if (auto* n = index.As<BinaryNode>()) return CombineLanes(*n);
  return std::nullopt;
}

std::optional<Lanes> CombineLanes(const BinaryNode& n) {
  auto a = ConstantLanes(n.a), b = ConstantLanes(n.b);
  if (!a || !b || a->size() != b->size()) return std::nullopt;
  for (size_t i = 0; i < a->size(); ++i) {
    const auto value = EvalIntBinary(n.op, n.a.dtype().WithLanes(1), (*a)[i], (*b)[i]);
    if (!value) return std::nullopt;
    (*a)[i] = *value;
  }
  return a;
}

/// Elements [begin, end) of a register buffer that live in one value.
struct Group {
  Buffer buffer;
  int64_t begin, end;

  DataType dtype() const { return buffer.dtype().WithLanes(int(end - begin)); }
  std::string name() const { return buffer.name() + (begin ? "_" + std::to_string(begin) : ""); }
};
using GroupId = size_t;

/// Finds the groups: accesses that overlap share one.
class GroupFinder {
 public:
  explicit GroupFinder(const Stmt& body) {
    PreOrder(body, [&](const Stmt& s) {
      if (auto* store = s.As<StoreNode>()) Access(store->buffer, store->indices);
      return true;
    });
    PreOrderExprs(body, [&](const Expr& e) {
      if (auto* load = e.As<LoadNode>()) Access(load->buffer, load->indices);
    });
    for (auto& [buffer, intervals] : intervals_) MakeGroups(buffer, intervals);
  }

  const std::vector<Group>& groups() const { return groups_; }

  GroupId Find(const Buffer& b, int64_t element) const {
    const auto& ids = by_buffer_.at(b);
    auto it = std::ranges::upper_bound(ids, element, {}, [&](GroupId id) { return groups_[id].begin; });
    return *std::prev(it);
  }
  std::vector<GroupId> Of(const Buffer& b) const {
    auto it = by_buffer_.find(b);
    return it == by_buffer_.end() ? std::vector<GroupId>() : it->second;
  }

 private:
  using Intervals = std::vector<std::pair<int64_t, int64_t>>;

  void Access(const Buffer& b, const std::vector<Expr>& indices) {
    if (b.scope() != "register") return;
    TW_CHECK(indices.size() == 1, "{} is not flat", b.name());
    auto lanes = ConstantLanes(indices[0]);
    if (!lanes) {
      throw Error("TW1301",
                  "register buffer " + b.name() + " is indexed by " + ToString(indices[0]) +
                      ", which is not constant",
                  "", {"unroll or vectorize every loop that the index depends on, or use another scope"});
    }
    auto [lo, hi] = std::ranges::minmax(*lanes);
    intervals_[b].emplace_back(lo, hi + 1);
  }

  void MakeGroups(const Buffer& b, Intervals& intervals) {
    std::ranges::sort(intervals);
    for (auto [lo, hi] : intervals) {
      auto& ids = by_buffer_[b];
      if (!ids.empty() && lo < groups_[ids.back()].end) {
        groups_[ids.back()].end = std::max(groups_[ids.back()].end, hi);
      } else {
        ids.push_back(groups_.size());
        groups_.push_back({b, lo, hi});
      }
    }
  }

  std::map<Buffer, Intervals> intervals_;
  std::vector<Group> groups_;
  std::unordered_map<Buffer, std::vector<GroupId>> by_buffer_;
};

/// Part of a statement list: a binding or an allocation whose scope is the rest of the list, or a statement.
struct Item {
  Var var;
  Expr value;
  Buffer allocated;
  Stmt stmt;
};

Stmt Fold(std::vector<Item> items, const Stmt& last) {
  std::vector<Stmt> rest;  // in reverse order
  if (last) rest.push_back(last);
  auto sequence = [&] {
    std::ranges::reverse(rest);
    Stmt s = MakeSeq(std::move(rest));
    rest.clear();
    return s;
  };
  for (auto it = items.rbegin(); it != items.rend(); ++it) {
    if (it->stmt) {
      rest.push_back(it->stmt);
    } else if (Stmt body = sequence()) {
      rest.push_back(it->var ? MakeLetStmt(it->var, it->value, body) : MakeAllocate(it->allocated, body));
    }
  }
  return sequence();
}

class Promoter {
 public:
  explicit Promoter(const Stmt& body) : finder_(body), groups_(finder_.groups()) {
    values_.resize(groups_.size());
    declared_.resize(groups_.size(), false);
  }

  Stmt Run(const Stmt& body) {
    std::vector<Item> items;
    Emit(body, items);
    return Fold(std::move(items), nullptr);
  }

 private:
  using Items = std::vector<Item>;

  // ---- Statements.

  void Emit(const Stmt& s, Items& out) {
    if (!s) return;
    Dispatch(s, Overloaded{
                    [&](const StoreNode& n) { EmitStore(s, n, out); },
                    [&](const ForNode& n) { EmitFor(n, out); },
                    [&](const BlockNode& n) { TW_CHECK(false, "block {} after lowering", n.name); },
                    [&](const SeqNode& n) {
                      for (const Stmt& child : n.stmts) Emit(child, out);
                    },
                    [&](const IfNode& n) { EmitIf(n, out); },
                    [&](const LetStmtNode& n) {
                      out.push_back({.var = n.var, .value = Rewrite(n.value)});
                      Emit(n.body, out);
                    },
                    [&](const AllocateNode& n) { EmitAllocate(n, out); },
                    [&](const EvaluateNode& n) { EmitStmt(MakeEvaluate(Rewrite(n.value)), out); },
                    [&](const YieldNode&) { EmitStmt(MapExprs(s), out); },
                });
  }

  static void EmitStmt(Stmt s, Items& out) { out.push_back({.stmt = std::move(s)}); }
  Stmt MapExprs(const Stmt& s) {
    return MapChildren(s, nullptr, [&](const Expr& e) { return Rewrite(e); });
  }

  void EmitAllocate(const AllocateNode& n, Items& out) {
    if (n.buffer.scope() != "register") {
      // Where no value leaves it, the allocation ends where it did.
      if (WrittenIn(n.body).empty()) {
        Stmt body = EmitNested(n.body);
        if (body) EmitStmt(MakeAllocate(n.buffer, body), out);
        return;
      }
      out.push_back({.allocated = n.buffer});
    } else {
      for (GroupId id : finder_.Of(n.buffer)) {
        values_[id] = MakeConst(groups_[id].dtype(), int64_t(0));
        declared_[id] = true;
      }
    }
    Emit(n.body, out);
  }

  void EmitStore(const Stmt& s, const StoreNode& n, Items& out) {
    if (n.buffer.scope() != "register") return EmitStmt(MapExprs(s), out);
    const Lanes lanes = *ConstantLanes(n.indices[0]);
    const GroupId id = finder_.Find(n.buffer, lanes.front());
    const Group& g = groups_[id];
    TW_CHECK(declared_[id], "{} is used outside its allocation", g.name());
    Expr value = Rewrite(n.value);
    if (value.dtype().lanes != int(lanes.size())) value = MakeBroadcast(value, int(lanes.size()));
    if (n.predicate) value = MakeSelect(Rewrite(n.predicate), value, Extract(id, lanes));
    SetValue(id, Insert(id, lanes, value), out);
  }

  void SetValue(GroupId id, const Expr& value, Items& out) {
    const bool trivial = value.kind() == ExprKind::kVar || AsNumber(value).has_value() ||
                         (value.As<BroadcastNode>() && AsNumber(value.As<BroadcastNode>()->value));
    if (trivial) {
      values_[id] = value;
      return;
    }
    Var var(groups_[id].name(), value.dtype());
    out.push_back({.var = var, .value = value});
    values_[id] = var;
  }

  /// The groups declared out here that the statement writes.
  std::vector<GroupId> WrittenIn(const Stmt& s) const {
    std::vector<bool> written(groups_.size(), false);
    PreOrder(s, [&](const Stmt& x) {
      auto* store = x.As<StoreNode>();
      if (!store || store->buffer.scope() != "register") return true;
      written[finder_.Find(store->buffer, ConstantLanes(store->indices[0])->front())] = true;
      return true;
    });
    std::vector<GroupId> ids;
    for (GroupId id = 0; id < written.size(); ++id) {
      if (written[id] && declared_[id]) ids.push_back(id);
    }
    return ids;
  }

  void EmitFor(const ForNode& n, Items& out) {
    TW_CHECK(n.carried.empty(), "loop {} carries values already", n.var.name());
    EmitCarrying(n.var, Rewrite(n.min), Rewrite(n.extent), n.for_kind, n.annotations, n.body,
                 WrittenIn(n.body), out, n.thread_tag);
  }

  /// A loop over `body` that carries the groups `ids`.
  void EmitCarrying(const Var& var, const Expr& min, const Expr& extent, ForKind kind,
                    const Annotations& annotations, const Stmt& body, const std::vector<GroupId>& ids,
                    Items& out, const std::string& thread_tag = {}) {
    TW_CHECK(ids.empty() || kind == ForKind::kSerial, "loop {} carries values but is {}", var.name(),
             ForKindName(kind));
    std::vector<CarriedValue> carried;
    for (GroupId id : ids) {
      const Group& g = groups_[id];
      CarriedValue c{Var(g.name(), g.dtype()), values_[id], Var(g.name(), g.dtype())};
      values_[id] = c.var;
      carried.push_back(std::move(c));
    }
    const std::vector<bool> declared = declared_;
    Items inner;
    Emit(body, inner);
    declared_ = declared;
    std::vector<Expr> next;
    for (GroupId id : ids) next.push_back(values_[id]);
    Stmt inside = Fold(std::move(inner), next.empty() ? Stmt() : MakeYield(std::move(next)));
    for (size_t i = 0; i < ids.size(); ++i) values_[ids[i]] = carried[i].result;
    if (inside)
      EmitStmt(MakeFor(var, min, extent, kind, inside, annotations, thread_tag, std::move(carried)), out);
  }

  void EmitIf(const IfNode& n, Items& out) {
    Expr condition = Rewrite(n.condition);
    std::vector<GroupId> then_ids = WrittenIn(n.then_case);
    std::vector<GroupId> else_ids = n.else_case ? WrittenIn(n.else_case) : std::vector<GroupId>();
    if (then_ids.empty() && else_ids.empty()) {
      Stmt t = EmitNested(n.then_case), e = n.else_case ? EmitNested(n.else_case) : Stmt();
      return EmitStmt(MakeIf(condition, t, e), out);
    }
    Var c("cond", kBool);
    out.push_back({.var = c, .value = condition});
    if (OnlySetsRegisters(n.then_case) && (!n.else_case || OnlySetsRegisters(n.else_case))) {
      return EmitChoice(c, n, then_ids, else_ids, out);
    }
    // A loop of no or one iteration is a branch that yields values.
    auto branch = [&](const Expr& taken, const Stmt& body, const std::vector<GroupId>& ids) {
      Expr extent = MakeSelect(taken, Expr(1), Expr(0));
      EmitCarrying(Var("once"), 0, extent, ForKind::kSerial, {}, body, ids, out);
    };
    branch(c, n.then_case, then_ids);
    if (n.else_case) branch(MakeNot(c), n.else_case, else_ids);
  }

  Stmt EmitNested(const Stmt& s) {
    Items items;
    const std::vector<bool> declared = declared_;
    Emit(s, items);
    declared_ = declared;
    return Fold(std::move(items), nullptr);
  }

  /// Whether running the statement where it should not run has no effect but on the registers it sets.
  static bool OnlySetsRegisters(const Stmt& s) {
    bool ok = true;
    PreOrder(s, [&](const Stmt& x) {
      auto* store = x.As<StoreNode>();
      ok &= x.kind() == StmtKind::kSeq || (store && store->buffer.scope() == "register");
      return ok;
    });
    PreOrderExprs(s, [&](const Expr& e) {
      auto* load = e.As<LoadNode>();
      ok &= !load || load->buffer.scope() == "register";
      auto* call = e.As<CallNode>();
      ok &= !call || GetIntrinsicInfo(call->op).pure;
      auto* binary = e.As<BinaryNode>();  // integer division may trap
      ok &= !binary || !binary->dtype.is_integer() || binary->op < BinaryOp::kFloorDiv ||
            binary->op > BinaryOp::kTruncMod;
    });
    return ok;
  }

  void EmitChoice(const Var& c, const IfNode& n, const std::vector<GroupId>& then_ids,
                  const std::vector<GroupId>& else_ids, Items& out) {
    const std::vector<Expr> before = values_;
    Emit(n.then_case, out);
    const std::vector<Expr> after_then = values_;
    values_ = before;
    if (n.else_case) Emit(n.else_case, out);
    const std::vector<Expr> after_else = values_;
    std::vector<GroupId> ids = then_ids;
    for (GroupId id : else_ids) {
      if (std::ranges::find(ids, id) == ids.end()) ids.push_back(id);
    }
    for (GroupId id : ids) SetValue(id, MakeSelect(c, after_then[id], after_else[id]), out);
  }

  // ---- Expressions.

  Expr Rewrite(const Expr& e) {
    return PostOrderRewrite(e, [&](const Expr& x) {
      auto* load = x.As<LoadNode>();
      if (!load || load->buffer.scope() != "register") return x;
      const Lanes lanes = *ConstantLanes(load->indices[0]);
      const GroupId id = finder_.Find(load->buffer, lanes.front());
      TW_CHECK(declared_[id], "{} is used outside its allocation", groups_[id].name());
      Expr value = Extract(id, lanes);
      if (!load->predicate) return value;
      return MakeSelect(load->predicate, value, MakeConst(value.dtype(), int64_t(0)));
    });
  }

  std::vector<int> Offsets(GroupId id, const Lanes& lanes) const {
    std::vector<int> offsets;
    for (int64_t lane : lanes) offsets.push_back(int(lane - groups_[id].begin));
    return offsets;
  }

  bool IsWhole(GroupId id, const std::vector<int>& offsets) const {
    for (size_t i = 0; i < offsets.size(); ++i) {
      if (offsets[i] != int(i)) return false;
    }
    return int64_t(offsets.size()) == groups_[id].end - groups_[id].begin;
  }

  /// The elements `lanes` of a group's value.
  Expr Extract(GroupId id, const Lanes& lanes) {
    const std::vector<int> offsets = Offsets(id, lanes);
    const Expr& value = values_[id];
    if (IsWhole(id, offsets)) return value;
    if (value.dtype().lanes == 1) return MakeBroadcast(value, int(lanes.size()));
    if (auto* b = value.As<BroadcastNode>()) return MakeBroadcast(b->value, int(lanes.size()));
    return MakeShuffle({value}, offsets);
  }

  /// The group's value after `part` was written to the elements `lanes`.
  Expr Insert(GroupId id, const Lanes& lanes, const Expr& part) {
    const std::vector<int> offsets = Offsets(id, lanes);
    if (IsWhole(id, offsets)) return part;
    const int n = int(groups_[id].end - groups_[id].begin);
    // Both operands of a shuffle have the group's type, so `part` is spread first.
    std::vector<int> spread(size_t(n), 0), pick(static_cast<size_t>(n));
    std::iota(pick.begin(), pick.end(), 0);
    for (size_t i = 0; i < offsets.size(); ++i) {
      spread[size_t(offsets[i])] = int(i);
      pick[size_t(offsets[i])] = n + offsets[i];
    }
    if (n == 1) return MakeShuffle({part}, {spread[0]});
    Expr wide = part.dtype().lanes == 1 ? MakeBroadcast(part, n) : MakeShuffle({part}, spread);
    return MakeShuffle({values_[id], wide}, pick);
  }

  GroupFinder finder_;
  const std::vector<Group>& groups_;
  std::vector<Expr> values_;    ///< by group
  std::vector<bool> declared_;  ///< groups whose allocation encloses the current statement
};

}  // namespace

PrimFunc PromoteRegisters(const PrimFunc& f) {
  Stmt body = Promoter(f->body).Run(f->body);
  return f.WithBody(body ? body : MakeEvaluate(MakeConst(kI32, 0)));
}

}  // namespace tilewright
