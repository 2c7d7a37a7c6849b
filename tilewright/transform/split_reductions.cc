// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/split_reductions.h"

#include <algorithm>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

using Integers = std::vector<int64_t>;

/// The axes that a call reduces, in two parts: those that lie beside the innermost one, and the others.
struct Parts {
  Integers inner, outer;
  int64_t inner_count = 1, outer_count = 1;  ///< elements that become one
};

bool IsReduction(const OpCallNode& call) {
  const std::string& name = call.op->name;
  const DataType t = call.args.empty() || !call.args[0] ? DataType() : call.args[0].tensor().dtype;
  if (name == "ReduceMax" || name == "ReduceMin") return true;
  if (name == "ReduceMean") return t.is_float() && t.bits >= 32;
  return (name == "ReduceSum" || name == "ReduceProd") && (!t.is_float() || t.bits >= 32);
}

/// Nothing where all reduced axes lie side by side, or the innermost one is kept. Axes of one element are
/// nowhere between others.
std::optional<Parts> PartsOf(const OpCallNode& call) {
  if (!IsReduction(call)) return std::nullopt;
  const TensorType& x = call.args[0].tensor();
  const auto axes = std::get<Integers>(call.attrs.ToMap().at("axes"));
  std::vector<bool> reduced(x.shape.size(), axes.empty());
  for (int64_t axis : axes) reduced[size_t(axis < 0 ? axis + x.rank() : axis)] = true;
  Parts parts;
  bool beside = true;
  for (size_t d = x.shape.size(); d-- > 0;) {
    const auto extent = AsInt(x.shape[d]);
    if (!extent || *extent < 1) return std::nullopt;
    if (*extent == 1) continue;
    beside &= reduced[d];
    if (!reduced[d]) continue;
    (beside ? parts.inner : parts.outer).insert((beside ? parts.inner : parts.outer).begin(), int64_t(d));
    (beside ? parts.inner_count : parts.outer_count) *= *extent;
  }
  if (parts.inner.empty() || parts.outer.empty()) return std::nullopt;
  return parts;
}

class Splitter {
 public:
  explicit Splitter(const GraphFunction& f) : f_(f) {}

  GraphFunction Run() {
    return RewriteBindings(
        f_, [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
          auto* call = b.operation.As<OpCallNode>();
          const std::optional<Parts> parts = call ? PartsOf(*call) : std::nullopt;
          if (!parts) return std::nullopt;
          const bool outer_first = parts->outer_count > parts->inner_count;
          const Integers &first = outer_first ? parts->outer : parts->inner,
                         second = outer_first ? parts->inner : parts->outer;
          const std::string& origin = b.results[0]->origin;
          Value v = Reduced(*call, call->args[0], first, builder, origin);
          Integers left;
          for (int64_t axis : second) {
            left.push_back(axis -
                           std::count_if(first.begin(), first.end(), [&](int64_t a) { return a < axis; }));
          }
          v = Reduced(*call, v, left, builder, origin);
          const OpDef* reshape = OpRegistry::Get("Reshape");
          Attrs attrs = reshape->attrs.from_map({{"shape", b.results[0]->type.tensor()->shape}});
          return builder.CallOp(reshape, {v}, std::move(attrs), origin);
        });
  }

 private:
  static Value Reduced(const OpCallNode& call, const Value& x, const Integers& axes, GraphBuilder& builder,
                       const std::string& origin) {
    Attrs attrs = call.op->attrs.from_map({{"axes", axes}, {"keepdims", false}});
    return builder.CallOp(call.op, {x}, std::move(attrs), origin).front();
  }

  const GraphFunction f_;
};

}  // namespace

IRModule SplitReductions(const IRModule& module) {
  return OnMainAndBlocks(module, [](const GraphFunction& f) { return Splitter(f).Run(); });
}

}  // namespace tilewright
