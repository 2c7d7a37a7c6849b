// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/fold_batch_norm.h"

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

class Folder {
 public:
  explicit Folder(const GraphFunction& f)
      : f_(f), uses_(CountUses(f->body)), definitions_(Definitions(f->body)) {}

  GraphFunction Run() {
    return RewriteBindings(f_, [&](const Binding& b, GraphBuilder& builder) { return Fold(b, builder); });
  }

 private:
  std::optional<std::vector<Value>> Fold(const Binding& b, GraphBuilder& builder) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call) return std::nullopt;
    // Later folds see this call with its arguments as they are now, not as the pass found them.
    rebuilt_[b.results[0].get()] = b.operation;
    if (!call->op->channel_affine || !MayFold(*call)) return std::nullopt;
    const std::string& origin = b.results[0]->origin;
    const ChannelAffine affine = call->op->channel_affine(*call, builder, origin);
    const Value& x = call->args[0];
    if (Value folded = IntoConv(x, affine, builder, origin)) return std::vector{folded};

    std::vector<Expr> shape(size_t(x.tensor().rank()), Expr(1));
    shape[1] = x.tensor().shape[1];
    Value scaled = builder.Call1("Mul", {x, Reshape(affine.scale, shape, builder)}, {}, origin);
    return std::vector{builder.Call1("Add", {scaled, Reshape(affine.shift, shape, builder)}, {}, origin)};
  }

  /// All arguments but the first are constants, of its own type, which is what arithmetic runs in.
  bool MayFold(const OpCallNode& call) const {
    const DataType t = call.args[0].tensor().dtype;
    return t.bits >= 32 && std::all_of(call.args.begin() + 1, call.args.end(), [&](const Value& v) {
             return ConstantOf(v, definitions_) && v.tensor().dtype == t;
           });
  }

  static Value Reshape(const Value& v, std::vector<Expr> shape, GraphBuilder& builder) {
    const OpDef* op = OpRegistry::Get("Reshape");
    return builder.CallOp(op, {v}, op->attrs.from_map({{"shape", std::move(shape)}}), v->origin).front();
  }

  /// The convolution that makes `x`, with scaled weights; null when there is none to fold into.
  Value IntoConv(const Value& x, const ChannelAffine& affine, GraphBuilder& builder,
                 const std::string& origin) {
    auto it = rebuilt_.find(x.get());
    if (it == rebuilt_.end() || uses_[x.get()] != 1) return nullptr;
    auto* conv = it->second.As<OpCallNode>();
    if (!conv || !conv->op->filter_axis) return nullptr;
    const std::optional<int> axis = conv->op->filter_axis(conv->attrs);
    if (!axis) return nullptr;
    const Value& weight = conv->args[1];
    if (!ConstantOf(weight, definitions_)) return nullptr;

    std::vector<Expr> shape(size_t(weight.tensor().rank()), Expr(1));
    shape[size_t(*axis)] = x.tensor().shape[1];
    Value scaled = builder.Call1("Mul", {weight, Reshape(affine.scale, shape, builder)}, {}, origin);
    Value bias = affine.shift;
    if (conv->args.size() > 2 && conv->args[2]) {
      Value old = builder.Call1("Mul", {conv->args[2], affine.scale}, {}, origin);
      bias = builder.Call1("Add", {old, affine.shift}, {}, origin);
    }
    return builder.CallOp(conv->op, {conv->args[0], scaled, bias}, conv->attrs, origin).front();
  }

  GraphFunction f_;
  std::unordered_map<const ValueNode*, int> uses_;
  std::unordered_map<const ValueNode*, Operation> rebuilt_;  ///< calls so far, by their first result
  std::unordered_map<const ValueNode*, const Binding*> definitions_;
};

}  // namespace

IRModule FoldBatchNorm(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) { return Folder(f).Run(); });
}

}  // namespace tilewright
