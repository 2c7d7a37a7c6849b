// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/order_pooling.h"

#include <algorithm>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

using Integers = std::vector<int64_t>;

bool AllAre(const Integers& list, int64_t value) {
  return std::all_of(list.begin(), list.end(), [&](int64_t v) { return v == value; });
}

/// Elements of a shape behind its batch and channels; nothing where they are not known.
std::optional<int64_t> Positions(const TensorType& t) {
  int64_t n = 1;
  for (size_t d = 2; d < t.shape.size(); ++d) {
    const auto extent = AsInt(t.shape[d]);
    if (!extent) return std::nullopt;
    n *= *extent;
  }
  return n;
}

class Orderer {
 public:
  explicit Orderer(const GraphFunction& f)
      : f_(f), uses_(CountUses(f->body)), definitions_(Definitions(f->body)) {}

  GraphFunction Run() {
    return RewriteBindings(
        f_, [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
          auto* second = b.operation.As<OpCallNode>();
          if (!second || second->args.empty() || !second->args[0]) return std::nullopt;
          auto* first = OnlyFor(second->args[0]);
          if (!first) return std::nullopt;
          const std::string& origin = b.results[0]->origin;
          if (IsAverage(*first) && IsPointwise(*second) && Saves(*second, *first, b, false))
            return std::vector{ConvolveFirst(*first, *second, builder, origin)};
          if (IsPointwise(*first) && IsAverage(*second) && KeepsBias(*first, *second) &&
              Saves(*first, *second, b, true))
            return std::vector{PoolFirst(*first, *second, builder, origin)};
          return std::nullopt;
        });
  }

 private:
  /// The call that makes a value for this use alone.
  const OpCallNode* OnlyFor(const Value& v) const {
    auto it = definitions_.find(v.get());
    auto use = uses_.find(v.get());
    if (it == definitions_.end() || use == uses_.end() || use->second != 1) return nullptr;
    return it->second->operation.As<OpCallNode>();
  }

  static bool IsAverage(const OpCallNode& call) {
    return call.op->name == "AveragePool" && call.args[0].tensor().dtype.bits >= 32;
  }

  /// A convolution that sees one position at a time, and all channels.
  static bool IsPointwise(const OpCallNode& call) {
    if (call.op->name != "Conv" || call.args[0].tensor().dtype.bits < 32) return false;
    const Annotations attrs = call.attrs.ToMap();
    const std::vector<Expr>& weight = call.args[1].tensor().shape;
    return std::get<int64_t>(attrs.at("groups")) == 1 && AllAre(std::get<Integers>(attrs.at("strides")), 1) &&
           AllAre(std::get<Integers>(attrs.at("pads")), 0) &&
           std::all_of(weight.begin() + 2, weight.end(), [](const Expr& e) { return IsInt(e, 1); });
  }

  static Value BiasOf(const OpCallNode& conv) { return conv.args.size() > 2 ? conv.args[2] : nullptr; }

  /// Whether the mean of results with the bias is the mean without, and then the bias: not where zeros that
  /// the convolution has not seen count.
  static bool KeepsBias(const OpCallNode& conv, const OpCallNode& pool) {
    const Annotations attrs = pool.attrs.ToMap();
    return !BiasOf(conv) || !std::get<bool>(attrs.at("count_include_pad")) ||
           (AllAre(std::get<Integers>(attrs.at("pads")), 0) && !std::get<bool>(attrs.at("ceil_mode")));
  }

  /// Whether the exchange makes less work; `conv_first`: as it is now.
  static bool Saves(const OpCallNode& conv, const OpCallNode& pool, const Binding& b, bool conv_first) {
    const std::vector<Expr>& weight = conv.args[1].tensor().shape;
    const auto filters = AsInt(weight[0]), channels = AsInt(weight[1]);
    const TensorType& before = conv_first ? conv.args[0].tensor() : pool.args[0].tensor();
    const auto large = Positions(before), small = Positions(b.results[0].tensor());
    if (!filters || !channels || !large || !small) return false;
    const Annotations attrs = pool.attrs.ToMap();
    int64_t taps = 1;
    for (int64_t k : std::get<Integers>(attrs.at("kernel"))) taps *= k;
    const int64_t conv_outside = 2 * *filters * *channels * *large + taps * *filters * *small;
    const int64_t pool_outside = 2 * *filters * *channels * *small + taps * *channels * *small;
    return conv_first ? pool_outside < conv_outside : conv_outside < pool_outside;
  }

  static Value PoolFirst(const OpCallNode& conv, const OpCallNode& pool, GraphBuilder& builder,
                         const std::string& origin) {
    std::vector<Value> args = conv.args;
    args[0] = builder.CallOp(pool.op, {args[0]}, pool.attrs, origin).front();
    return builder.CallOp(conv.op, std::move(args), conv.attrs, origin).front();
  }

  static Value ConvolveFirst(const OpCallNode& pool, const OpCallNode& conv, GraphBuilder& builder,
                             const std::string& origin) {
    Value y = builder.CallOp(conv.op, {pool.args[0], conv.args[1], nullptr}, conv.attrs, origin).front();
    y = builder.CallOp(pool.op, {y}, pool.attrs, origin).front();
    const Value bias = BiasOf(conv);
    if (!bias) return y;
    std::vector<Expr> shape(size_t(y.tensor().rank()), Expr(1));
    shape[1] = y.tensor().shape[1];
    const OpDef* reshape = OpRegistry::Get("Reshape");
    Attrs attrs = reshape->attrs.from_map({{"shape", std::move(shape)}});
    return builder.Call1("Add", {y, builder.CallOp(reshape, {bias}, std::move(attrs), origin).front()}, {},
                         origin);
  }

  const GraphFunction f_;
  const std::unordered_map<const ValueNode*, int> uses_;
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
};

}  // namespace

IRModule OrderPooling(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) { return Orderer(f).Run(); });
}

}  // namespace tilewright
