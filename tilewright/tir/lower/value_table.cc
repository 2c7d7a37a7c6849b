// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/value_table.h"

#include <algorithm>
#include <bit>

namespace tilewright {

namespace {

int64_t TypeKey(DataType t) {
  return int64_t(t.code) | int64_t(t.bits) << 8 | int64_t(t.lanes) << 16 | int64_t(t.scalable) << 32 |
         int64_t(t.custom) << 40;
}

/// What tells nodes of one kind apart beside type and operands.
void AppendPayload(const Expr& e, std::vector<int64_t>& key) {
  Dispatch(e,
           Overloaded{
               [&](const VarNode& n) { key.push_back(int64_t(reinterpret_cast<intptr_t>(&n))); },
               [&](const IntImmNode& n) { key.push_back(n.value); },
               [&](const FloatImmNode& n) { key.push_back(std::bit_cast<int64_t>(n.value)); },
               [&](const StringImmNode& n) { key.push_back(int64_t(std::hash<std::string>()(n.value))); },
               [&](const CastNode&) {},
               [&](const BinaryNode& n) { key.push_back(int64_t(n.op)); },
               [&](const NotNode&) {},
               [&](const SelectNode&) {},
               [&](const IfThenElseNode&) {},
               [&](const LetNode&) { TW_CHECK(false, "let expressions dissolve"); },
               [&](const CallNode& n) { key.push_back(int64_t(n.op)); },
               [&](const LoadNode& n) { key.push_back(int64_t(reinterpret_cast<intptr_t>(n.buffer.get()))); },
               [&](const RampNode&) {},
               [&](const BroadcastNode&) {},
               [&](const ShuffleNode& n) { key.insert(key.end(), n.lanes.begin(), n.lanes.end()); },
           });
}

/// Whether the node itself may fault or act when evaluated out of turn.
bool IsUnsafe(const Expr& e) {
  if (e.As<LoadNode>()) return true;
  if (auto* call = e.As<CallNode>()) return !GetIntrinsicInfo(call->op).pure;
  auto* b = e.As<BinaryNode>();
  const bool division =
      b && b->dtype.is_integer() && b->op >= BinaryOp::kFloorDiv && b->op <= BinaryOp::kTruncMod;
  return division && AsInt(b->b).value_or(0) == 0;
}

bool IsIndexSum(const Expr& e) {
  auto* b = e.As<BinaryNode>();
  if (!b || b->dtype != DataType::Index()) return false;
  if (b->op == BinaryOp::kMul) return AsInt(b->a) || AsInt(b->b);
  return b->op == BinaryOp::kAdd || b->op == BinaryOp::kSub;
}

/// Sums wrap around in generated code, so their coefficients may.
int64_t WrapMul(int64_t a, int64_t b) { return int64_t(uint64_t(a) * uint64_t(b)); }
int64_t WrapAdd(int64_t a, int64_t b) { return int64_t(uint64_t(a) + uint64_t(b)); }

}  // namespace

ValueId ValueTable::Number(const Expr& e) {
  if (auto* let = e.As<LetNode>()) {
    alias_[let->var.get()] = Number(let->value);
    return Number(let->body);
  }
  if (e.kind() == ExprKind::kVar) {
    auto it = alias_.find(e.get());
    if (it != alias_.end()) return it->second;
  }
  if (IsIndexSum(e)) return NumberIndex(e);
  std::vector<ValueId> operands;
  ForEachChild(e, [&](const Expr& child) { operands.push_back(Number(child)); });
  return Intern(e, std::move(operands));
}

ValueId ValueTable::Intern(const Expr& node, std::vector<ValueId> operands) {
  Key key{int64_t(node.kind()), TypeKey(node.dtype())};
  AppendPayload(node, key);
  ScopeId home = 0;
  if (auto* load = node.As<LoadNode>()) {
    const State state = memory_[load->buffer];
    key.push_back(state.number);
    key.push_back(bool(load->predicate));
    home = state.scope;
  }
  key.insert(key.end(), operands.begin(), operands.end());
  auto [it, fresh] = ids_.try_emplace(std::move(key), ValueId(values_.size()));
  if (!fresh) return it->second;
  if (node.kind() == ExprKind::kVar) {
    auto scope = var_scope_.find(node.get());
    if (scope != var_scope_.end()) home = scope->second;
  }
  bool safe = !IsUnsafe(node);
  for (ValueId id : operands) {
    home = scopes_.Deeper(home, values_[size_t(id)].home);
    safe &= values_[size_t(id)].safe;
  }
  values_.push_back({node, std::move(operands), home, safe});
  return it->second;
}

ValueId ValueTable::NumberIndex(const Expr& e) {
  Sum sum;
  AddTerms(e, 1, sum);
  return BuildSum(sum);
}

void ValueTable::AddTerms(const Expr& e, int64_t factor, Sum& sum) {
  if (auto value = AsInt(e)) {
    sum.constant = WrapAdd(sum.constant, WrapMul(factor, *value));
    return;
  }
  if (!IsIndexSum(e)) {
    int64_t& coefficient = sum.terms[Number(e)];
    coefficient = WrapAdd(coefficient, factor);
    return;
  }
  auto* b = e.As<BinaryNode>();
  if (b->op == BinaryOp::kMul) {
    auto left = AsInt(b->a);
    return AddTerms(left ? b->b : b->a, WrapMul(factor, left ? *left : *AsInt(b->b)), sum);
  }
  AddTerms(b->a, factor, sum);
  AddTerms(b->b, b->op == BinaryOp::kSub ? WrapMul(factor, -1) : factor, sum);
}

ValueId ValueTable::Constant(int64_t value) { return Intern(Expr(value), {}); }

ValueId ValueTable::BuildSum(const Sum& sum) {
  std::vector<std::pair<ValueId, int64_t>> terms;
  for (auto [id, coefficient] : sum.terms) {
    if (coefficient) terms.emplace_back(id, coefficient);
  }
  auto order = [&](const auto& t) {
    return std::pair(scopes_.depth[size_t(values_[size_t(t.first)].home)], t.first);
  };
  std::ranges::sort(terms, {}, order);
  // Interning wants a node to take kind, type and operator from; the operands are given by number.
  static const Expr kAnyAdd(new BinaryNode(BinaryOp::kAdd, DataType::Index(), 0, 0));
  static const Expr kAnyMul(new BinaryNode(BinaryOp::kMul, DataType::Index(), 0, 0));
  ValueId result = -1;
  auto add = [&](ValueId id) { result = result < 0 ? id : Intern(kAnyAdd, {result, id}); };
  for (auto [id, coefficient] : terms)
    add(coefficient == 1 ? id : Intern(kAnyMul, {id, Constant(coefficient)}));
  if (sum.constant || result < 0) add(Constant(sum.constant));
  return result;
}

}  // namespace tilewright
