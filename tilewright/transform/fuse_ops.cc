// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/fuse_ops.h"

#include <set>

#include "tilewright/graph/joins.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/transform/row_groups.h"

namespace tilewright {

namespace {

/// Bindings that become one kernel; the last is the one whose results leave the group.
struct Group {
  std::vector<const Binding*> members;
  FusePattern pattern;  ///< of the member that decides what may still join
  bool open = true;     ///< whether the last member's result may be consumed inside
};

/// Calls between a value and the one result that all its users lead to.
constexpr size_t kMostMeeting = 16;

/// Calls of one kernel: what lowering and scheduling take grows faster than their number.
constexpr size_t kMostMembers = 64;

class Fuser {
 public:
  explicit Fuser(const GraphFunction& f)
      : f_(f), uses_(CountUses(f->body)), definitions_(Definitions(f->body)), joins_(FindJoins()) {
    for (size_t i = 0; i < f_->body.bindings.size(); ++i) {
      for (const Value& v : UsedValues(f_->body.bindings[i].operation)) users_[v.get()].insert(i);
    }
  }

  /// The function with calls of fused functions, which enter `module`; `count` numbers them.
  GraphFunction Run(IRModule& module, int& count) {
    std::unordered_map<const Binding*, std::vector<const Binding*>> row_groups;  // by their first call
    for (auto& group : FindRowGroups(f_->body)) {
      in_rows_.insert(group.begin(), group.end());
      row_groups[group.front()] = std::move(group);
    }
    for (const Binding& b : f_->body.bindings) {
      if (!b.operation.As<OpCallNode>() || group_of_.contains(&b)) continue;
      Place(b);
      if (auto it = row_groups.find(&b); it != row_groups.end()) {
        JoinRows(it->second);
      } else {
        JoinMeeting(b);
      }
    }
    GraphFunctionNode main = *f_;
    main.body.bindings.clear();
    for (const Binding& b : f_->body.bindings) {
      auto it = group_of_.find(&b);
      if (it == group_of_.end()) {
        main.body.bindings.push_back(b);
      } else if (groups_[it->second].members.back() == &b) {
        GraphFunction fused = Outline(groups_[it->second], fmt::format("fused{}", count++));
        main.body.bindings.push_back(
            {b.results, MakeFunctionCall(fused.name(), Inputs(groups_[it->second]))});
        module.Set(fused);
      }
    }
    return GraphFunction(std::move(main));
  }

 private:
  /// Calls that stay alone, since the memory plan lets their arguments be written in place; not where the
  /// only user puts a border around the result, which needs a copy anyway.
  std::unordered_set<const Binding*> FindJoins() const {
    std::unordered_set<const ValueNode*> bordered;
    for (const Binding& b : f_->body.bindings) {
      auto* call = b.operation.As<OpCallNode>();
      if (call && call->op->pattern == FusePattern::kBorder) bordered.insert(call->args[0].get());
    }
    std::unordered_set<const Binding*> joins;
    for (const Binding& b : f_->body.bindings) {
      auto* call = b.operation.As<OpCallNode>();
      if (call && IsJoin(*call) && !bordered.contains(b.results[0].get()) &&
          WorthJoining(*call, b.results[0].tensor(), definitions_))
        joins.insert(&b);
    }
    return joins;
  }

  /// Puts a call into the group of one of its producers, or into a new one.
  void Place(const Binding& b) {
    const auto& call = *b.operation.As<OpCallNode>();
    if (joins_.contains(&b)) {
      groups_.push_back({{}, FusePattern::kOpaque, true});
      return Join(groups_.size() - 1, b, FusePattern::kOpaque);
    }
    for (const Value& arg : call.args) {
      if (!arg) continue;
      auto producer = producer_.find(arg.get());
      if (producer == producer_.end() || uses_[arg.get()] != 1) continue;
      const size_t id = group_of_.at(producer->second);
      if (groups_[id].members.back() == producer->second && MayJoin(groups_[id], arg, call, b)) {
        for (const Value& other : call.args) {
          if (other && other != arg) Absorb(id, other, call, b);
        }
        Join(id, b, call.op->pattern);
        return;
      }
    }
    groups_.push_back({{}, call.op->pattern, true});
    Join(groups_.size() - 1, b, call.op->pattern);
  }

  /// Takes in the group whose result `v` is, where only `reader` reads that: of plain work into plain work,
  /// if each element is still computed once; into others a lone conversion between floats.
  void Absorb(size_t id, const Value& v, const OpCallNode& reader, const Binding& b) {
    auto it = producer_.find(v.get());
    if (it == producer_.end() || uses_[v.get()] != 1) return;
    const size_t own = group_of_.at(it->second);
    Group &from = groups_[own], &to = groups_[id];
    if (own == id || !from.open || from.members.back() != it->second) return;
    const auto* call = it->second->operation.As<OpCallNode>();
    const bool lone_cast = from.members.size() == 1 && call->op == cast_ && v.tensor().dtype.is_float() &&
                           call->args[0].tensor().dtype.is_float();
    const bool once =
        IsPointwise(reader.op->pattern) && SameShape(v.tensor().shape, b.results.front().tensor().shape);
    const bool plain = once && IsPlain(from.pattern) && IsPlain(to.pattern) &&
                       from.members.size() + to.members.size() < kMostMembers;
    if (!lone_cast && !plain) return;
    for (const Binding* member : from.members) {
      to.members.push_back(member);
      group_of_[member] = id;
    }
    from = {{}, FusePattern::kOpaque, false};
  }

  static bool IsPointwise(FusePattern p) {
    return p == FusePattern::kElementwise || p == FusePattern::kBroadcast;
  }
  static bool IsPlain(FusePattern p) { return IsPointwise(p) || p == FusePattern::kInjective; }

  /// The other calls of a row group join its first.
  void JoinRows(const std::vector<const Binding*>& group) {
    const size_t id = group_of_.at(group.front());
    for (size_t i = 1; i < group.size(); ++i) {
      Join(id, *group[i], group[i]->operation.As<OpCallNode>()->op->pattern);
    }
  }

  /// What reads the result of a group's last call several times joins, where all of it meets again.
  void JoinMeeting(const Binding& b) {
    const size_t id = group_of_.at(&b);
    for (const Binding* last = &b; groups_[id].open && last;) {
      const std::vector<const Binding*> meeting = FindMeeting(groups_[id], last->results[0]);
      for (const Binding* member : meeting)
        Join(id, *member, member->operation.As<OpCallNode>()->op->pattern);
      last = meeting.empty() ? nullptr : meeting.back();
    }
  }

  /// Element-wise calls of x's shape, in order, that all uses of x lead through to the last of them, whose
  /// result alone others use. Only x is read more than once, so that nothing is computed twice. Empty where
  /// there are none.
  std::vector<const Binding*> FindMeeting(const Group& g, const Value& x) const {
    if (uses_.contains(x.get()) == 0 || uses_.at(x.get()) < 2) return {};
    std::unordered_set<const ValueNode*> inside = {x.get()};
    std::vector<const Binding*> members;
    std::set<size_t> next = users_.contains(x.get()) ? users_.at(x.get()) : std::set<size_t>();
    int pending = uses_.at(x.get());
    while (!next.empty() && members.size() < kMostMeeting) {
      const Binding& b = f_->body.bindings[*next.begin()];
      next.erase(next.begin());
      auto* call = b.operation.As<OpCallNode>();
      if (!call || group_of_.contains(&b) || in_rows_.contains(&b) || joins_.contains(&b)) return {};
      const FusePattern pattern = call->op->pattern;
      if (!IsPointwise(pattern)) return {};
      if (!MayJoin(g, x, *call, b) || !SameShape(x.tensor().shape, b.results[0].tensor().shape)) return {};
      for (const Value& arg : call->args) pending -= arg && inside.contains(arg.get());
      members.push_back(&b);
      if (pending == 0) return members;
      const ValueNode* result = b.results[0].get();
      if (!uses_.contains(result) || uses_.at(result) != 1 || !users_.contains(result)) return {};
      inside.insert(result);
      ++pending;
      next.insert(users_.at(result).begin(), users_.at(result).end());
    }
    return {};
  }

  void Join(size_t id, const Binding& b, FusePattern pattern) {
    Group& g = groups_[id];
    g.members.push_back(&b);
    g.open = b.results.size() == 1 && pattern != FusePattern::kOpaque && pattern != FusePattern::kBorder;
    if (pattern == FusePattern::kReduction || pattern == FusePattern::kHeavy) g.pattern = pattern;
    group_of_[&b] = id;
    for (const Value& r : b.results) producer_[r.get()] = &b;
  }

  static bool MayJoin(const Group& g, const Value& arg, const OpCallNode& call, const Binding& b) {
    if (!g.open || b.results.size() != 1 || g.members.size() >= kMostMembers) return false;
    const FusePattern next = call.op->pattern;
    const bool pointwise = IsPointwise(next);
    if (next == FusePattern::kBorder) return g.pattern != FusePattern::kReduction;
    if (g.pattern == FusePattern::kHeavy && JoinsBlocks(g, arg.tensor(), b.results.front().tensor()))
      return true;
    switch (g.pattern) {
      case FusePattern::kHeavy:
      case FusePattern::kReduction:
        return pointwise && SameShape(arg.tensor().shape, b.results.front().tensor().shape) &&
               arg.tensor().layout == b.results.front().tensor().layout;
      case FusePattern::kElementwise:
      case FusePattern::kBroadcast:
      case FusePattern::kInjective:
        // What a reduction reads more than once would be computed more than once.
        return pointwise || next == FusePattern::kInjective ||
               (next == FusePattern::kReduction && call.args.size() == 1);
      case FusePattern::kBorder:
      case FusePattern::kOpaque:
        return false;
    }
    return false;
  }

  /// Whether it is a product of 16-bit floats whose result goes to blocks of twice as many channels, as the
  /// next such product reads them: its schedule stores them so (ScheduleConvOnUnit).
  static bool JoinsBlocks(const Group& g, const TensorType& from, const TensorType& to) {
    const auto* first = g.members.front()->operation.As<OpCallNode>();
    if (!first->op->candidates || first->op->pattern != FusePattern::kHeavy ||
        first->args[0].tensor().rank() != 4)
      return false;
    const DataType argument = first->args[0].tensor().dtype;
    const bool wide =
        argument.is_float() && argument.bits == 16 && g.members.front()->results[0].tensor().dtype == kF32;
    return wide && from.layout.BlockOf(1) > 1 && to.layout.BlockOf(1) == 2 * from.layout.BlockOf(1) &&
           SameShape(from.shape, to.shape);
  }

  /// Values that a group takes from outside, in order of first use.
  static std::vector<Value> Inputs(const Group& g) {
    std::unordered_set<const ValueNode*> inside, seen;
    std::vector<Value> inputs;
    for (const Binding* b : g.members) {
      for (const Value& v : UsedValues(b->operation)) {
        if (!inside.contains(v.get()) && seen.insert(v.get()).second) inputs.push_back(v);
      }
      for (const Value& r : b->results) inside.insert(r.get());
    }
    return inputs;
  }

  static GraphFunction Outline(const Group& g, std::string name) {
    GraphFunctionNode fused;
    fused.name = std::move(name);
    fused.attrs["primitive"] = true;
    std::unordered_map<const ValueNode*, Value> params;
    for (const Value& v : Inputs(g)) {
      Value param(fmt::format("p{}", fused.params.size()), v->type, v->origin);
      params[v.get()] = param;
      fused.params.push_back(param);
    }
    auto map = [&](const Value& v) {
      auto it = params.find(v.get());
      return it == params.end() ? v : it->second;
    };
    for (const Binding* b : g.members)
      fused.body.bindings.push_back({b->results, MapArgs(b->operation, map)});
    fused.body.results = g.members.back()->results;
    return GraphFunction(std::move(fused));
  }

  GraphFunction f_;
  const OpDef* cast_ = OpRegistry::Get("Cast");
  std::unordered_map<const ValueNode*, int> uses_;
  std::unordered_map<const ValueNode*, const Binding*> definitions_;
  std::unordered_set<const Binding*> joins_, in_rows_;
  std::unordered_map<const ValueNode*, std::set<size_t>>
      users_;  // positions of the bindings that use a value
  std::vector<Group> groups_;
  std::unordered_map<const Binding*, size_t> group_of_;
  std::unordered_map<const ValueNode*, const Binding*> producer_;
};

}  // namespace

IRModule FuseOps(const IRModule& module) {
  IRModule fused;
  int count = 0;
  IRModule result =
      OnMainAndBlocks(module, [&](const GraphFunction& f) { return Fuser(f).Run(fused, count); });
  for (auto& [name, f] : fused.functions()) result.Set(f);
  return result;
}

}  // namespace tilewright
