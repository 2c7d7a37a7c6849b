// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/reduce_precision.h"

#include <cstring>
#include <unordered_set>

#include "tilewright/graph/reduced.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/ir/float16.h"

namespace tilewright {

namespace {

NDArray RoundedToBFloat16(const NDArray& data) {
  NDArray result = NDArray::Empty(kBF16, data.shape());
  std::span<uint16_t> rounded = result.mutable_as<uint16_t>();
  // By bytes: views of files need not be aligned.
  const auto* bytes = static_cast<const char*>(data.data());
  for (size_t i = 0; i < rounded.size(); ++i) {
    float v;
    std::memcpy(&v, bytes + i * sizeof v, sizeof v);
    rounded[i] = FloatToBFloat16(v);
  }
  return result;
}

class Reducer {
 public:
  Reducer(const GraphFunction& f, const Target& target, double max_error)
      : f_(f), target_(target), max_error_(max_error), definitions_(Definitions(f->body)) {}

  GraphFunction Run() {
    for (const Binding& b : f_->body.bindings) {
      if (std::optional<Attrs> attrs = ReducedFormOf(b))
        reduced_.emplace(b.results[0].get(), std::move(*attrs));
    }
    if (reduced_.empty()) return f_;
    FindKeptRounded();
    return RewriteBindings(f_, [&](const Binding& b, GraphBuilder& builder) { return Rewrite(b, builder); });
  }

 private:
  /// The attributes of the operator in bf16, if it is to be that.
  std::optional<Attrs> ReducedFormOf(const Binding& b) const {
    auto* call = b.operation.As<OpCallNode>();
    const ReducedForm* form = call ? FindReduced(*call->op) : nullptr;
    if (!form || b.results[0].tensor().dtype != kF32) return std::nullopt;
    if (call->args[0].tensor().dtype != kF32 || !ConstantOf(call->args[1], definitions_)) return std::nullopt;
    return (*form)(InferContext(*call->op, call->args, call->attrs, b.results[0]->origin),
                   ChoiceContext{target_, max_error_, {false, true}});
  }

  /// Whether the tensor does not stay in the second level of cache until it is read.
  bool IsLarge(const TensorType& t) const {
    return AsInt(t.NumElements()).value_or(0) * t.dtype.element_bytes() > target_.CacheBytes(2) / 2;
  }

  /// Values that need not be there in f32: all who read them are such products, which round them, and
  /// element-wise work, which reads them rounded, too, where they are so large that memory is what it waits
  /// for. These are the sums of residual blocks on large maps.
  void FindKeptRounded() {
    std::unordered_map<const ValueNode*, bool> fits;
    for (const auto& [result, attrs] : reduced_) {
      const Value& v = definitions_.at(result)->operation.As<OpCallNode>()->args[0];
      auto it = definitions_.find(v.get());
      fits[v.get()] =
          IsLarge(v.tensor()) && it != definitions_.end() && it->second->operation.As<OpCallNode>();
    }
    for (const Value& r : f_->body.results) fits[r.get()] = false;
    for (const Binding& b : f_->body.bindings) {
      auto* call = b.operation.As<OpCallNode>();
      const bool pointwise =
          call && call->op->layout_agnostic && b.results.size() == 1 &&
          (call->op->pattern == FusePattern::kElementwise || call->op->pattern == FusePattern::kBroadcast);
      for (const Value& v : UsedValues(b.operation)) {
        if (!pointwise && !(reduced_.contains(b.results[0].get()) && v == call->args[0]))
          fits[v.get()] = false;
      }
    }
    for (const auto& [v, fit] : fits) {
      if (fit) kept_rounded_.insert(v);
    }
  }

  std::optional<std::vector<Value>> Rewrite(const Binding& b, GraphBuilder& builder) {
    auto* call = b.operation.As<OpCallNode>();
    auto reduced = reduced_.find(b.results[0].get());
    if (reduced == reduced_.end()) return ReadRounded(b, builder);
    std::vector<Value> args = call->args;
    Value& rounded = weights_[args[1].get()];
    if (!rounded) rounded = builder.Constant(RoundedToBFloat16(*ConstantOf(args[1], definitions_)));
    args[0] = Rounded(args[0], builder);
    args[1] = rounded;
    builder.Append({b.results, MakeOpCall(call->op, std::move(args), reduced->second)});
    return b.results;
  }

  /// Element-wise work on values that are there in bf16 alone. Each has a Cast of its own, to fuse with.
  std::optional<std::vector<Value>> ReadRounded(const Binding& b, GraphBuilder& builder) {
    const std::vector<Value> used = UsedValues(b.operation);
    if (std::none_of(used.begin(), used.end(),
                     [&](const Value& v) { return kept_rounded_.contains(v.get()); }))
      return std::nullopt;
    Operation operation = MapArgs(b.operation, [&](const Value& v) {
      return v && kept_rounded_.contains(v.get()) ? Cast(Rounded(v, builder), kF32, builder) : v;
    });
    builder.Append({b.results, operation});
    return b.results;
  }

  Value Rounded(const Value& v, GraphBuilder& builder) {
    Value& cast = casts_[v.get()];
    if (!cast) cast = Cast(v, kBF16, builder);
    return cast;
  }

  Value Cast(const Value& v, DataType to, GraphBuilder& builder) const {
    return builder.CallOp(cast_, {v}, cast_->attrs.from_map({{"to", to}}), v->origin).front();
  }

  const GraphFunction f_;
  const Target& target_;
  const double max_error_;
  const OpDef* cast_ = OpRegistry::Get("Cast");
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
  std::unordered_map<const ValueNode*, Attrs> reduced_;  ///< attributes of products in bf16, by their results
  std::unordered_set<const ValueNode*> kept_rounded_;    ///< values that are there in bf16 alone
  std::unordered_map<const ValueNode*, Value> casts_, weights_;  ///< by what was rounded
};

}  // namespace

IRModule ReducePrecision(const IRModule& module, const Target& target, double max_error) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return Reducer(f, target, max_error).Run(); });
}

}  // namespace tilewright
