// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/flatten_rows.h"

#include <algorithm>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

class RowFlattener {
 public:
  explicit RowFlattener(const GraphFunction& f) : f_(f) {
    for (const Binding& b : f->body.bindings) {
      for (const Value& v : UsedValues(b.operation)) users_[v.get()].push_back(&b);
    }
  }

  GraphFunction Run() {
    return RewriteBindings(f_, [&](const Binding& b, GraphBuilder& builder) { return Rewrite(b, builder); });
  }

 private:
  std::optional<std::vector<Value>> Rewrite(const Binding& b, GraphBuilder& builder) {
    auto* call = b.operation.As<OpCallNode>();
    auto* result = call && b.results.size() == 1 ? b.results[0]->type.tensor() : nullptr;
    if (!result) return std::nullopt;
    std::vector<Value> args = call->args;
    if (IsProductOfRows(*call, *result) && SuitsUsers(b)) {
      args[0] = Flat(args[0], builder);
    } else if (IsPointwise(*call) && AnyIsFlat(args) && MayFlatten(args, *result)) {
      for (Value& arg : args) arg = arg ? FlatArgument(arg, *result, builder) : arg;
    } else {
      return std::nullopt;
    }
    const std::string& origin = b.results[0]->origin;
    const Value flat = builder.CallOp(call->op, std::move(args), call->attrs, origin).front();
    const Value whole = Reshape(flat, result->shape, builder);
    flat_[whole.get()] = flat;
    return std::vector{whole};
  }

  /// A product with one matrix whose rows lie along more axes than its lowering can join by itself
  /// (op/matmul.cc).
  bool IsProductOfRows(const OpCallNode& call, const TensorType& result) const {
    if (call.op != matmul_ || call.args[1].tensor().rank() != 2) return false;
    const std::vector<Expr>& shape = call.args[0].tensor().shape;
    // Without its own transposition an argument's rows are where the result's are.
    if (shape.size() != result.shape.size() || std::get<bool>(call.attrs.ToMap().at("transpose_a")))
      return false;
    size_t axes = 0;
    for (size_t d = 0; d + 1 < shape.size(); ++d) {
      const auto extent = AsInt(shape[d]);
      if (!extent || *extent < 1) return false;
      axes += *extent > 1 || d + 2 == shape.size();
    }
    return axes > 1 && shape.size() > 3;
  }

  /// Work that broadcasts its arguments by their last axes: none that knows a channel by its place.
  static bool IsPointwise(const OpCallNode& call) {
    return call.op->layout_agnostic && !call.op->channel_affine &&
           (call.op->pattern == FusePattern::kElementwise || call.op->pattern == FusePattern::kBroadcast);
  }

  /// Whether no element-wise work that could be done on the product's tiles would have to be done apart.
  bool SuitsUsers(const Binding& product) const {
    auto it = users_.find(product.results[0].get());
    if (it == users_.end()) return true;
    return std::all_of(it->second.begin(), it->second.end(), [](const Binding* user) {
      auto* call = user->operation.As<OpCallNode>();
      auto* result = call && user->results.size() == 1 ? user->results[0]->type.tensor() : nullptr;
      return !result || !IsPointwise(*call) || MayFlatten(call->args, *result);
    });
  }

  bool AnyIsFlat(const std::vector<Value>& args) const {
    return std::any_of(args.begin(), args.end(), [&](const Value& v) { return flat_.contains(v.get()); });
  }

  /// What an argument is beside rows of the result: all of them, one for all rows, or neither.
  enum class Reach { kRows, kOneRow, kOther };
  static Reach ReachOf(const TensorType& arg, const TensorType& result) {
    if (SameShape(arg.shape, result.shape)) return Reach::kRows;
    if (arg.shape.size() > result.shape.size()) return Reach::kOther;
    for (size_t d = 0; d + 1 < arg.shape.size(); ++d) {
      if (!IsInt(arg.shape[d], 1)) return Reach::kOther;
    }
    return Reach::kOneRow;
  }

  static bool MayFlatten(const std::vector<Value>& args, const TensorType& result) {
    return std::all_of(args.begin(), args.end(), [&](const Value& v) {
      return !v || (v->type.tensor() && ReachOf(v.tensor(), result) != Reach::kOther);
    });
  }

  Value FlatArgument(const Value& v, const TensorType& result, GraphBuilder& builder) {
    if (ReachOf(v.tensor(), result) == Reach::kRows) return Flat(v, builder);
    if (v.tensor().rank() <= 2) return v;
    return Reshape(v, {v.tensor().shape.back()}, builder);
  }

  /// The value with its rows in one axis.
  Value Flat(const Value& v, GraphBuilder& builder) {
    auto it = flat_.find(v.get());
    if (it != flat_.end()) return it->second;
    const std::vector<Expr>& shape = v.tensor().shape;
    Expr rows = 1;
    for (size_t d = 0; d + 1 < shape.size(); ++d) rows = rows * shape[d];
    const Value flat = Reshape(v, {rows, shape.back()}, builder);
    flat_[v.get()] = flat;
    return flat;
  }

  Value Reshape(const Value& v, std::vector<Expr> shape, GraphBuilder& builder) const {
    return builder.CallOp(reshape_, {v}, reshape_->attrs.from_map({{"shape", std::move(shape)}}), v->origin)
        .front();
  }

  const GraphFunction f_;
  const OpDef* matmul_ = OpRegistry::Get("MatMul");
  const OpDef* reshape_ = OpRegistry::Get("Reshape");
  std::unordered_map<const ValueNode*, std::vector<const Binding*>> users_;
  std::unordered_map<const ValueNode*, Value> flat_;  ///< by values, or their views in the former shape
};

}  // namespace

IRModule FlattenRows(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) { return RowFlattener(f).Run(); });
}

}  // namespace tilewright
