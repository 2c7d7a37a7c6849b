// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pad_groups.h"

#include <algorithm>
#include <cstring>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/ir/int_arith.h"

namespace tilewright {

namespace {

using Integers = std::vector<int64_t>;

/// To write and to read an element, in cycles of a core.
constexpr double kMemoryCycles = 0.5;
/// Loads, in multiply-adds, for each of a convolution in natural order, as ChooseLayout takes it
/// (op/conv.cc).
constexpr double kNaturalLoads = 3;

struct Groups {
  int64_t groups = 1, filters = 0, wide = 0;  ///< filters of a group, without and with those of zeros
};

class GroupPadder {
 public:
  GroupPadder(const GraphFunction& f, const Target& target)
      : f_(f), target_(target), definitions_(Definitions(f->body)) {}

  GraphFunction Run() {
    return RewriteBindings(f_,
                           [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
                             const auto groups = GroupsOf(b);
                             if (!groups) return std::nullopt;
                             return std::vector{Rewritten(b, *groups, builder)};
                           });
  }

 private:
  std::optional<Groups> GroupsOf(const Binding& b) const {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || call->op->name != "Conv" || b.results[0].tensor().dtype != call->args[0].tensor().dtype)
      return std::nullopt;
    for (size_t i = 1; i < call->args.size(); ++i) {
      if (call->args[i] && !ConstantOf(call->args[i], definitions_)) return std::nullopt;
    }
    const Annotations attrs = call->attrs.ToMap();
    const NDArray& w = *ConstantOf(call->args[1], definitions_);
    Groups g{.groups = std::get<int64_t>(attrs.at("groups"))};
    const std::vector<Expr>&x = call->args[0].tensor().shape, &y = b.results[0].tensor().shape;
    const auto channels = AsInt(x[1]), line = AsInt(y.back());
    g.filters = w.shape()[0] / g.groups;
    const int64_t lanes = target_.VectorLanes(int(b.results[0].tensor().dtype.element_bytes()));
    // Filters of a single channel have rules of their own.
    if (g.groups == 1 || !channels || *channels == g.groups || g.filters <= lanes || !line || *line == 0)
      return std::nullopt;
    const int64_t vectors = (g.filters + lanes - 1) / lanes;
    g.wide = vectors * lanes;
    const bool strided = std::get<Integers>(attrs.at("strides")).back() > 1;
    const double depth = double(w.size() / w.shape()[0]), pipes = std::max(1, target_.fma_per_cycle);
    const double saved = (VectorsNow(g.filters, *line, strided, lanes) - double(vectors)) * depth / pipes;
    return saved > double(g.filters + g.wide) * kMemoryCycles ? std::optional(g) : std::nullopt;
  }

  /// Vectors that a place of the result takes for a group without more filters: of as many lanes as divide
  /// them, or along the line, where places that lie apart are read one by one.
  static double VectorsNow(int64_t filters, int64_t line, bool strided, int64_t lanes) {
    const int64_t block = LargestDivisor(filters, lanes);
    const double vectors = double((line + lanes - 1) / lanes);
    const double along = strided ? 1 : std::min(1.0, kNaturalLoads * vectors / double(line));
    return double(filters) * std::min(1 / double(block), along);
  }

  /// A constant whose outermost axis counts the filters, group by group, with zeros behind those of each.
  static NDArray WithZeros(const NDArray& data, const Groups& g) {
    Integers shape = data.shape();
    shape[0] = g.groups * g.wide;
    NDArray padded = NDArray::Zeros(data.dtype(), std::move(shape));
    const size_t own = size_t(data.bytes() / g.groups), wide = size_t(padded.bytes() / g.groups);
    for (size_t i = 0; i < size_t(g.groups); ++i)
      std::memcpy(static_cast<std::byte*>(padded.mutable_data()) + i * wide,
                  static_cast<const std::byte*>(data.data()) + i * own, own);
    return padded;
  }

  Value Rewritten(const Binding& b, const Groups& g, GraphBuilder& builder) const {
    const auto& call = *b.operation.As<OpCallNode>();
    const std::string& origin = b.results[0]->origin;
    std::vector<Value> args = call.args;
    for (size_t i = 1; i < args.size(); ++i) {
      if (args[i]) args[i] = builder.Constant(WithZeros(*ConstantOf(args[i], definitions_), g));
    }
    const Value padded = builder.CallOp(call.op, std::move(args), call.attrs, origin).front();
    const std::vector<Expr>& shape = b.results[0].tensor().shape;
    std::vector<Expr> grouped = shape;
    grouped[1] = Expr(g.wide);
    grouped.insert(grouped.begin() + 1, Expr(g.groups));
    auto reshaped = [&](const Value& v, const std::vector<Expr>& to) {
      const OpDef* reshape = OpRegistry::Get("Reshape");
      return builder.CallOp(reshape, {v}, reshape->attrs.from_map({{"shape", to}}), origin).front();
    };
    const Value apart = reshaped(padded, grouped);
    grouped[2] = Expr(g.filters);
    const OpDef* slice = OpRegistry::Get("Slice");
    Attrs cut = slice->attrs.from_map({{"begin", std::vector<Expr>(grouped.size(), Expr(0))},
                                       {"stride", Integers(grouped.size(), 1)},
                                       {"shape", grouped}});
    return reshaped(builder.CallOp(slice, {apart}, std::move(cut), origin).front(), shape);
  }

  const GraphFunction f_;
  const Target& target_;
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
};

}  // namespace

IRModule PadGroups(const IRModule& module, const Target& target) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return GroupPadder(f, target).Run(); });
}

}  // namespace tilewright
