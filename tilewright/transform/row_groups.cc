// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/row_groups.h"

#include <algorithm>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

using Values = std::unordered_set<const ValueNode*>;

bool IsNatural(const Value& v) { return v->type.tensor() && v.tensor().layout.natural(); }

/// How many of the last axes a call reduces to 1, where it does just that; else 0.
size_t ReducedAxes(const Binding& b) {
  auto* call = b.operation.As<OpCallNode>();
  if (!call || call->op->pattern != FusePattern::kReduction || call->args.size() != 1 ||
      b.results.size() != 1) {
    return 0;
  }
  const std::vector<Expr>&from = call->args[0].tensor().shape, &to = b.results[0].tensor().shape;
  if (from.size() != to.size() || !IsNatural(call->args[0]) || !IsNatural(b.results[0])) return 0;
  size_t kept = 0;
  while (kept < from.size() && StructuralEqual(from[kept], to[kept])) ++kept;
  for (size_t i = kept; i < to.size(); ++i) {
    if (!IsInt(to[i], 1)) return 0;
  }
  return from.size() - kept;
}

/// Grows a set from one reduction on, in the order of the block.
class RowGroup {
 public:
  RowGroup(const Binding& seed, const std::unordered_map<const ValueNode*, int>& uses)
      : uses_(uses),
        reduced_(ReducedAxes(seed)),
        whole_(seed.operation.As<OpCallNode>()->args[0].tensor().shape) {
    Take(seed);
  }

  /// Looks at the next binding of the block; one that is in another set already is not free.
  void Visit(const Binding& b, bool free) {
    const std::vector<Value> used = UsedValues(b.operation);
    const bool depends =
        std::any_of(used.begin(), used.end(), [&](const Value& v) { return inside_.contains(v.get()); });
    const bool late =
        std::any_of(used.begin(), used.end(), [&](const Value& v) { return late_.contains(v.get()); });
    if (!depends && !late) return;
    if (free && depends && !late && Fits(b)) {
      Take(b);
    } else {
      for (const Value& r : b.results) late_.insert(r.get());
    }
  }

  /// The largest beginning of the set that leads to one result.
  std::vector<const Binding*> Best() const {
    return {members_.begin(), members_.begin() + std::ptrdiff_t(best_)};
  }

 private:
  /// The shape of a row's element for each row, or of one value for each.
  bool OverRows(const std::vector<Expr>& shape) const {
    if (shape.size() != whole_.size()) return false;
    const size_t rows = whole_.size() - reduced_;
    bool ones = true, same = true;
    for (size_t i = 0; i < shape.size(); ++i) {
      const bool equal = StructuralEqual(shape[i], whole_[i]);
      if (i < rows && !equal) return false;
      same &= equal;
      ones &= i < rows || IsInt(shape[i], 1);
    }
    return ones || same;
  }

  bool Fits(const Binding& b) const {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || b.results.size() != 1 || !IsNatural(b.results[0])) return false;
    if (!OverRows(b.results[0].tensor().shape)) return false;
    for (const Value& arg : call->args) {
      if (arg && !IsNatural(arg)) return false;
    }
    if (call->op->pattern == FusePattern::kReduction) {
      return ReducedAxes(b) == reduced_ && inside_.contains(call->args[0].get());
    }
    return call->op->pattern == FusePattern::kElementwise || call->op->pattern == FusePattern::kBroadcast;
  }

  void Take(const Binding& b) {
    members_.push_back(&b);
    for (const Value& v : UsedValues(b.operation)) {
      auto it = open_.find(v.get());
      if (it != open_.end() && --it->second == 0) open_.erase(it);
    }
    const ValueNode* result = b.results[0].get();
    inside_.insert(result);
    auto it = uses_.find(result);
    open_[result] = it == uses_.end() ? 0 : it->second;
    if (open_.size() == 1) best_ = members_.size();
  }

  const std::unordered_map<const ValueNode*, int>& uses_;
  const size_t reduced_;
  const std::vector<Expr> whole_;  ///< the shape that is reduced
  std::vector<const Binding*> members_;
  size_t best_ = 0;
  Values inside_;                                   ///< results of members
  Values late_;                                     ///< results that depend on members and are none
  std::unordered_map<const ValueNode*, int> open_;  ///< results of members with uses that are not members
};

}  // namespace

std::vector<std::vector<const Binding*>> FindRowGroups(const GraphBlock& block) {
  const auto uses = CountUses(block);
  std::vector<std::vector<const Binding*>> groups;
  std::unordered_set<const Binding*> taken;
  for (size_t i = 0; i < block.bindings.size(); ++i) {
    if (taken.contains(&block.bindings[i]) || ReducedAxes(block.bindings[i]) == 0) continue;
    RowGroup group(block.bindings[i], uses);
    for (size_t k = i + 1; k < block.bindings.size(); ++k) {
      group.Visit(block.bindings[k], !taken.contains(&block.bindings[k]));
    }
    std::vector<const Binding*> members = group.Best();
    if (members.size() < 2) continue;
    taken.insert(members.begin(), members.end());
    groups.push_back(std::move(members));
  }
  return groups;
}

}  // namespace tilewright
