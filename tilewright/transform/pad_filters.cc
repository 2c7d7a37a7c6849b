// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pad_filters.h"

#include <algorithm>
#include <cstring>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

/// The constant with zeros behind it along an axis.
NDArray WithZeros(const NDArray& data, size_t axis, int64_t extent) {
  std::vector<int64_t> shape = data.shape();
  const int64_t own = shape[axis];
  shape[axis] = extent;
  NDArray padded = NDArray::Zeros(data.dtype(), std::move(shape));
  int64_t lines = 1;
  for (size_t d = 0; d < axis; ++d) lines *= data.shape()[d];
  const size_t from = size_t(data.bytes() / std::max<int64_t>(1, lines)),
               to = from / size_t(own) * size_t(extent);
  auto* source = static_cast<const std::byte*>(data.data());
  auto* target = static_cast<std::byte*>(padded.mutable_data());
  for (size_t i = 0; i < size_t(lines); ++i) std::memcpy(target + i * to, source + i * from, from);
  return padded;
}

/// The axis of an operator's weight that counts its filters, if it has one.
std::optional<int> FilterAxis(const OpCallNode& call) {
  return call.op->filter_axis ? call.op->filter_axis(call.attrs) : std::nullopt;
}

class Padder {
 public:
  Padder(const GraphFunction& f, const Target& target)
      : f_(f), target_(target), definitions_(Definitions(f->body)) {
    for (const Binding& b : f->body.bindings) {
      for (const Value& v : UsedValues(b.operation)) users_[v.get()].push_back(&b);
    }
    for (const Value& r : f->body.results) users_[r.get()].push_back(nullptr);
  }

  GraphFunction Run() {
    for (const Binding& b : f_->body.bindings) Plan(b);
    if (padded_.empty()) return f_;
    return RewriteBindings(f_, [&](const Binding& b, GraphBuilder& builder) { return Rewrite(b, builder); });
  }

 private:
  /// What happens to a binding: its result has this many channels, and the surplus is cut off here.
  struct Padded {
    int64_t channels = 0;
    bool is_filter = false, is_last = false;
  };

  /// How many filters it gets, if that saves vectors.
  std::optional<int64_t> FiltersFor(const Binding& b) const {
    auto* call = b.operation.As<OpCallNode>();
    const std::optional<int> axis = call ? FilterAxis(*call) : std::nullopt;
    if (!axis || !call->op->candidates) return std::nullopt;
    const Annotations attrs = call->attrs.ToMap();
    if (auto groups = attrs.find("groups"); groups != attrs.end() && std::get<int64_t>(groups->second) != 1)
      return std::nullopt;
    for (size_t i = 1; i < call->args.size(); ++i) {
      if (call->args[i] && !ConstantOf(call->args[i], definitions_)) return std::nullopt;
    }
    const TensorType& result = b.results[0].tensor();
    const int64_t filters = ConstantOf(call->args[1], definitions_)->shape()[size_t(*axis)];
    const int64_t lanes = target_.VectorLanes(int(result.dtype.element_bytes()));
    int64_t block = std::min(filters, lanes);
    while (block > 1 && filters % block) --block;
    const int64_t vectors = (filters + lanes - 1) / lanes;
    if (filters == 1 || vectors >= filters / block) return std::nullopt;
    return vectors * lanes;
  }

  /// The only binding that uses a value, if it is element-wise work on this value alone.
  const Binding* PointwiseUser(const Value& v) const {
    auto it = users_.find(v.get());
    if (it == users_.end() || it->second.size() != 1 || !it->second[0]) return nullptr;
    auto* call = it->second[0]->operation.As<OpCallNode>();
    if (!call || !call->op->layout_agnostic || it->second[0]->results.size() != 1) return nullptr;
    for (const Value& arg : call->args) {
      if (arg && arg != v && !IsInt(arg.tensor().NumElements(), 1)) return nullptr;
    }
    const Value& result = it->second[0]->results[0];
    return SameShape(result.tensor().shape, v.tensor().shape) ? it->second[0] : nullptr;
  }

  /// Whether all users read the natural order whatever the layout.
  bool ReadInNaturalOrder(const Value& v) const {
    auto it = users_.find(v.get());
    return it != users_.end() && std::all_of(it->second.begin(), it->second.end(), [](const Binding* b) {
             auto* call = b ? b->operation.As<OpCallNode>() : nullptr;
             return !b || (call && !call->op->candidates && !call->op->layout_agnostic &&
                           !call->op->follows_input_layout);
           });
  }

  void Plan(const Binding& b) {
    const std::optional<int64_t> filters = FiltersFor(b);
    if (!filters) return;
    std::vector<const Binding*> chain = {&b};
    while (const Binding* next = PointwiseUser(chain.back()->results[0])) chain.push_back(next);
    if (!ReadInNaturalOrder(chain.back()->results[0])) return;
    for (const Binding* link : chain)
      padded_[link->results[0].get()] = {*filters, link == chain.front(), link == chain.back()};
  }

  std::optional<std::vector<Value>> Rewrite(const Binding& b, GraphBuilder& builder) {
    auto it = padded_.find(b.results.empty() ? nullptr : b.results[0].get());
    if (it == padded_.end()) return std::nullopt;
    const Padded& plan = it->second;
    const auto& call = *b.operation.As<OpCallNode>();
    const std::string& origin = b.results[0]->origin;
    std::vector<Value> args = call.args;
    for (size_t i = 1; plan.is_filter && i < args.size(); ++i) {
      if (!args[i]) continue;
      const size_t axis = i == 1 ? size_t(*FilterAxis(call)) : 0;  // behind the weight comes the bias
      args[i] = builder.Constant(WithZeros(*ConstantOf(args[i], definitions_), axis, plan.channels));
    }
    std::vector<Value> results = builder.CallOp(call.op, std::move(args), call.attrs, origin);
    if (!plan.is_last) return results;
    const OpDef* slice = OpRegistry::Get("Slice");
    const std::vector<Expr>& shape = b.results[0].tensor().shape;
    Attrs attrs = slice->attrs.from_map({{"begin", std::vector<Expr>(shape.size(), Expr(0))},
                                         {"stride", std::vector<int64_t>(shape.size(), 1)},
                                         {"shape", shape}});
    builder.Append({b.results, MakeOpCall(slice, std::move(results), std::move(attrs))});
    return b.results;
  }

  const GraphFunction f_;
  const Target& target_;
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
  std::unordered_map<const ValueNode*, std::vector<const Binding*>> users_;  // null: a result of the block
  std::unordered_map<const ValueNode*, Padded> padded_;                      // by what was the result
};

}  // namespace

IRModule PadFilters(const IRModule& module, const Target& target) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return Padder(f, target).Run(); });
}

}  // namespace tilewright
