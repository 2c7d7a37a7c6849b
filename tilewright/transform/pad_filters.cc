// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pad_filters.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/ir/int_arith.h"

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

/// What lets a binding's result have more channels than it declares.
enum class Role {
  kNone,
  kFilters,    ///< a convolution, whose filters are padded
  kDepthwise,  ///< a convolution of each channel by itself: as many as its argument
  kKeeps,      ///< other work within channels: as many as its argument, zeros from zeros
  kPointwise,  ///< as many as its arguments
};

/// Values that have the surplus channels together, and what that saves and costs, in cycles.
struct Region {
  double saved = 0, cut = 0;  ///< the latter with all that further channels cost
  bool worthwhile() const { return saved > cut; }
};

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
    for (const Binding& b : f_->body.bindings) Visit(b);
    for (const auto& [b, role] : roles_) Weigh(*b->results[0].get(), *b, role);
    for (const Binding& b : f_->body.bindings) WeighArgument(b);
    const bool any =
        std::any_of(regions_.begin(), regions_.end(), [](auto& r) { return r.second.worthwhile(); });
    if (!any && arguments_.empty()) return f_;
    return RewriteBindings(f_, [&](const Binding& b, GraphBuilder& builder) { return Rewrite(b, builder); });
  }

 private:
  /// Channels that fill whole vectors, where that takes fewer of them than blocks of a divisor's width;
  /// nothing for other tensors.
  std::optional<int64_t> Wanted(const TensorType& t) const {
    const auto channels = t.shape.size() < 3 ? std::nullopt : AsInt(t.shape[1]);
    if (!channels || *channels < 2 || !t.dtype.is_float()) return std::nullopt;
    const int64_t lanes = target_.VectorLanes(int(t.dtype.element_bytes()));
    const int64_t vectors = (*channels + lanes - 1) / lanes;
    if (double(vectors) >= VectorsOf(t, 1)) return std::nullopt;
    return vectors * lanes;
  }
  /// What blocks of channels, of the widest divisor that a vector holds, cost in vectors: each is one to
  /// compute with, and moves in as many pieces as its width has powers of two. `reuse` results share what a
  /// piece holds.
  double VectorsOf(const TensorType& t, double reuse) const {
    const int64_t channels = *AsInt(t.shape[1]);
    const int64_t block = LargestDivisor(channels, target_.VectorLanes(int(t.dtype.element_bytes())));
    return double(channels / block) * (1 + (std::popcount(uint64_t(block)) - 1) / reuse);
  }
  /// Results of a convolution's tile that share a vector of weights, about.
  double Reuse() const { return std::max(1.0, double(target_.vector_registers) / 4); }

  static int64_t GroupsOf(const OpCallNode& call) {
    const Annotations attrs = call.attrs.ToMap();
    auto groups = attrs.find("groups");
    return groups == attrs.end() ? 1 : std::get<int64_t>(groups->second);
  }

  Role RoleOf(const OpCallNode& call, const TensorType& result) const {
    const TensorType* x = call.args.empty() || !call.args[0] ? nullptr : call.args[0]->type.tensor();
    if (!x) return Role::kNone;
    if (auto axis = FilterAxis(call); axis && call.op->candidates) {
      for (size_t i = 1; i < call.args.size(); ++i) {
        if (call.args[i] && !ConstantOf(call.args[i], definitions_)) return Role::kNone;
      }
      const int64_t groups = GroupsOf(call),
                    filters = ConstantOf(call.args[1], definitions_)->shape()[size_t(*axis)];
      if (groups == 1) return Role::kFilters;
      const bool depthwise = groups == filters && *axis == 0 && IsInt(x->shape[1], groups);
      return depthwise && Surplus(call.args[0]) ? Role::kDepthwise : Role::kNone;
    }
    if (x->shape.size() != result.shape.size()) return Role::kNone;
    if (call.op->layout_agnostic) return PointwiseArguments(call) ? Role::kPointwise : Role::kNone;
    return KeepsChannels(call, *x, result) ? Role::kKeeps : Role::kNone;
  }

  /// Whether arguments that are not constant scalars can all have the surplus.
  bool PointwiseArguments(const OpCallNode& call) const {
    return std::all_of(call.args.begin(), call.args.end(), [&](const Value& arg) {
      return !arg || IsScalarConstant(arg) || (Surplus(arg) && IsInt(arg.tensor().shape[1], Channels(call)));
    });
  }
  static int64_t Channels(const OpCallNode& call) {
    return AsInt(call.args[0].tensor().shape[1]).value_or(-1);
  }
  bool IsScalarConstant(const Value& v) const {
    const NDArray* data = ConstantOf(v, definitions_);
    return data && data->size() == 1;
  }

  /// Pooling, borders, reductions over space: what they do to a channel does not depend on the others.
  bool KeepsChannels(const OpCallNode& call, const TensorType& x, const TensorType& result) const {
    const double* surplus = Surplus(call.args[0]);
    if (!surplus || *surplus != 0 || !StructuralEqual(x.shape[1], result.shape[1])) return false;
    for (size_t i = 1; i < call.args.size(); ++i) {
      if (call.args[i]) return false;
    }
    if (call.op->pattern == FusePattern::kReduction) {
      const Annotations attrs = call.attrs.ToMap();
      auto it = attrs.find("axes");
      auto* axes = it == attrs.end() ? nullptr : std::get_if<std::vector<int64_t>>(&it->second);
      return axes && std::all_of(axes->begin(), axes->end(), [](int64_t a) { return a >= 2; });
    }
    if (!call.op->follows_input_layout) return false;
    try {
      GraphBuilder trial;
      TensorType wide = x;
      wide.shape[1] = Expr(*Wanted(x));
      const Value y = trial.CallOp(call.op, {Value("x", wide)}, call.attrs)[0];
      return StructuralEqual(y.tensor().shape[1], wide.shape[1]);
    } catch (const Error&) {
      return false;  // an attribute holds the number of channels
    }
  }

  /// What the surplus channels of a value hold; null for a value that cannot have any.
  const double* Surplus(const Value& v) const {
    auto it = surplus_.find(v.get());
    return it == surplus_.end() ? nullptr : &it->second;
  }

  /// What element-wise work makes of the surplus of its arguments.
  double SurplusOf(const OpCallNode& call, DataType dtype) const {
    GraphBuilder builder;
    std::vector<Value> args;
    for (const Value& arg : call.args) {
      const double* held = arg ? Surplus(arg) : nullptr;
      if (held) {
        args.push_back(
            builder.Constant(NDArray::FromDoubles(arg.tensor().dtype, {1}, std::vector<double>{*held})));
      } else {
        args.push_back(arg ? builder.Constant(*ConstantOf(arg, definitions_)) : arg);
      }
    }
    GraphFunctionNode f;
    f.name = "surplus";
    const Value y = builder.CallOp(call.op, std::move(args), call.attrs)[0];
    f.body = builder.Finish({y});
    TW_CHECK(y.tensor().dtype == dtype, "an operator of other types than where it stands");
    return Interpret(GraphFunction(std::move(f)), {})[0].AsDouble(0);
  }

  void Visit(const Binding& b) {
    auto* call = b.operation.As<OpCallNode>();
    auto* result = call && b.results.size() == 1 ? b.results[0]->type.tensor() : nullptr;
    if (!result || !Wanted(*result)) return;
    const Role role = RoleOf(*call, *result);
    if (role == Role::kNone) return;
    const double surplus = role == Role::kPointwise ? SurplusOf(*call, result->dtype) : 0;
    // What follows multiplies it by zeros.
    if (!std::isfinite(surplus)) return;
    surplus_[b.results[0].get()] = surplus;
    roles_.push_back({&b, role});
    role_of_[b.results[0].get()] = role;
    if (role == Role::kFilters) return;
    for (const Value& arg : call->args) {
      if (!arg || !Surplus(arg)) continue;
      const ValueNode *from = Root(arg.get()), *to = Root(b.results[0].get());
      if (from != to) parent_[from] = to;
    }
  }

  const ValueNode* Root(const ValueNode* v) const {
    for (auto it = parent_.find(v); it != parent_.end(); it = parent_.find(v)) v = it->second;
    return v;
  }

  /// Whether a user takes a value with its surplus: work of the same region, or a convolution, whose weights
  /// for the surplus are zeros.
  bool Takes(const Binding* user, const ValueNode& v) const {
    auto* call = user ? user->operation.As<OpCallNode>() : nullptr;
    if (!call || user->results.size() != 1) return false;
    auto role = role_of_.find(user->results[0].get());
    if (role != role_of_.end() && role->second != Role::kFilters) return true;
    auto* result = user->results[0]->type.tensor();
    const auto args =
        std::count_if(call->args.begin(), call->args.end(), [&](const Value& a) { return a.get() == &v; });
    return result && args == 1 && call->args[0].get() == &v && RoleOf(*call, *result) == Role::kFilters;
  }

  bool NeedsCut(const ValueNode& v) const {
    auto it = users_.find(&v);
    return it != users_.end() &&
           std::any_of(it->second.begin(), it->second.end(), [&](const Binding* b) { return !Takes(b, v); });
  }

  /// Whether a user reads the natural order whatever the layout, so that the cut is part of a change of
  /// layout.
  static bool ReadsNaturalOrder(const Binding* b) {
    auto* call = b ? b->operation.As<OpCallNode>() : nullptr;
    return !b ||
           (call && !call->op->candidates && !call->op->layout_agnostic && !call->op->follows_input_layout);
  }

  static double PlacesOf(const TensorType& t) {
    double places = 1;
    for (size_t d = 0; d < t.shape.size(); ++d) {
      if (d != 1) places *= double(AsInt(t.shape[d]).value_or(kTypicalExtent));
    }
    return places;
  }

  /// What a convolution that reads a value takes for each further channel of it.
  double ChannelCycles(const Binding& user) const {
    auto* call = user.operation.As<OpCallNode>();
    const TensorType& result = user.results[0].tensor();
    const double filters = double(AsInt(result.shape[1]).value_or(1));
    const double taps = double(ConstantOf(call->args[1], definitions_)->size()) /
                        (filters * double(*AsInt(call->args[0].tensor().shape[1])));
    const double lanes = target_.VectorLanes(int(result.dtype.element_bytes()));
    return PlacesOf(result) * taps * std::ceil(filters / lanes) / std::max(1, target_.fma_per_cycle);
  }

  /// Adds what a padded result saves, and what it and its cut cost, to its region.
  void Weigh(const ValueNode& v, const Binding& b, Role role) {
    const TensorType& t = b.results[0].tensor();
    const double places = PlacesOf(t), own = double(*AsInt(t.shape[1]));
    const double more = double(*Wanted(t)) - own;
    Region& region = regions_[Root(&v)];
    const double lanes = target_.VectorLanes(int(t.dtype.element_bytes()));
    if (role == Role::kFilters || role == Role::kDepthwise) {
      const NDArray& weight = *ConstantOf(b.operation.As<OpCallNode>()->args[1], definitions_);
      const double fewer = VectorsOf(t, role == Role::kDepthwise ? 1 : Reuse()) - double(*Wanted(t)) / lanes;
      region.saved += places * fewer * (double(weight.size()) / own) / std::max(1, target_.fma_per_cycle);
    }
    region.cut += places * more * kMemoryCycles;
    bool cut = false;
    for (const Binding* user : users_.contains(&v) ? users_.at(&v) : std::vector<const Binding*>()) {
      if (!Takes(user, v)) {
        cut |= !ReadsNaturalOrder(user);
      } else if (FilterAxis(*user->operation.As<OpCallNode>()) &&
                 GroupsOf(*user->operation.As<OpCallNode>()) == 1) {
        region.cut += more * ChannelCycles(*user);
      }
    }
    if (cut) region.cut += places * own;
  }

  /// Whether a convolution's argument that no region gives a surplus gets one by a copy: where no divisor of
  /// its channels makes half of a vector, blocks would hold few of them, so that those of a place lie in many
  /// lines, and in natural order in many pages.
  void WeighArgument(const Binding& b) {
    auto* call = b.operation.As<OpCallNode>();
    auto* result = call && b.results.size() == 1 ? b.results[0]->type.tensor() : nullptr;
    if (!result || RoleOf(*call, *result) != Role::kFilters || IsPadded(call->args[0])) return;
    const TensorType& x = call->args[0].tensor();
    const auto channels = AsInt(x.shape[1]);
    const int64_t lanes = target_.VectorLanes(int(x.dtype.element_bytes()));
    if (!channels || *channels < lanes || !x.layout.natural() || !AsInt(result->shape[1])) return;
    if (LargestDivisor(*channels, lanes) * 2 > lanes) return;
    const int64_t wanted = (*channels + lanes - 1) / lanes * lanes;
    const double each = ChannelCycles(b);
    const double copied = PlacesOf(x) * double(*channels + wanted) * kMemoryCycles;
    if (double(*channels) * each * kScattered > copied + double(wanted - *channels) * each)
      arguments_[call->args[0].get()] = wanted;
  }

  /// The argument with channels of zeros behind its own, once for all that read it so.
  Value WithChannels(const Value& x, const Value& now, GraphBuilder& builder) {
    Value& padded = copies_[x.get()];
    if (!padded) {
      std::vector<Expr> begin(x.tensor().shape.size(), Expr(0)), end = begin;
      end[1] = Expr(arguments_.at(x.get())) - x.tensor().shape[1];
      const OpDef* pad = OpRegistry::Get("Pad");
      padded =
          builder.CallOp(pad, {now}, pad->attrs.from_map({{"begin", begin}, {"end", end}}), x->origin)[0];
    }
    return padded;
  }

  bool IsPadded(const Value& v) const {
    if (!surplus_.contains(v.get())) return false;
    auto it = regions_.find(Root(v.get()));
    return it != regions_.end() && it->second.worthwhile();
  }

  std::optional<std::vector<Value>> Rewrite(const Binding& b, GraphBuilder& builder) {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || b.results.size() != 1) return std::nullopt;
    const Value& result = b.results[0];
    const bool padded = IsPadded(result);
    std::vector<Value> args = call->args;
    bool wide = false;
    for (Value& arg : args) {
      auto it = arg ? wide_.find(arg.get()) : wide_.end();
      if (it == wide_.end()) continue;
      // A cut value is cut for those that do not take the whole.
      if (!padded && !TakesAsFilters(b, args[0])) continue;
      arg = it->second, wide = true;
    }
    if (!args.empty() && args[0] && !wide && arguments_.contains(call->args[0].get()) &&
        RoleOf(*call, result.tensor()) == Role::kFilters) {
      args[0] = WithChannels(call->args[0], args[0], builder), wide = true;
    }
    if (!padded && !wide) return std::nullopt;
    Attrs attrs = call->attrs;
    if (auto axis = FilterAxis(*call); axis && call->op->candidates) {
      const int64_t filters = padded ? *Wanted(result.tensor()) : *AsInt(result.tensor().shape[1]);
      const bool depthwise = GroupsOf(*call) != 1;
      if (depthwise) {
        Annotations map = attrs.ToMap();
        map["groups"] = filters;
        attrs = call->op->attrs.from_map(map);
      }
      PadConstants(args, size_t(*axis), depthwise ? 0 : *AsInt(args[0].tensor().shape[1]), filters, builder);
    }
    std::vector<Value> results = builder.CallOp(call->op, std::move(args), std::move(attrs), result->origin);
    if (!padded) return results;
    wide_[result.get()] = wide_[results[0].get()] = results[0];
    if (!NeedsCut(*result.get())) return results;
    const OpDef* slice = OpRegistry::Get("Slice");
    const std::vector<Expr>& shape = result.tensor().shape;
    Attrs cut = slice->attrs.from_map({{"begin", std::vector<Expr>(shape.size(), Expr(0))},
                                       {"stride", std::vector<int64_t>(shape.size(), 1)},
                                       {"shape", shape}});
    builder.Append({b.results, MakeOpCall(slice, std::move(results), std::move(cut))});
    return b.results;
  }

  /// Whether the binding is a convolution that takes `x`, as mapped by now, with its surplus.
  bool TakesAsFilters(const Binding& b, const Value& x) const {
    const auto& call = *b.operation.As<OpCallNode>();
    auto* result = b.results[0]->type.tensor();
    return result && x && wide_.contains(x.get()) && RoleOf(call, *result) == Role::kFilters;
  }

  /// Puts zeros behind the weight's filters and, but for 0, channels of its argument, and behind the bias.
  void PadConstants(std::vector<Value>& args, size_t axis, int64_t channels, int64_t filters,
                    GraphBuilder& builder) {
    for (size_t i = 1; i < args.size(); ++i) {
      if (!args[i]) continue;
      NDArray data = *ConstantOf(args[i], definitions_);
      const size_t own = i == 1 ? axis : 0;
      if (data.shape()[own] != filters) data = WithZeros(data, own, filters);
      if (i == 1 && channels != 0 && data.shape()[1 - axis] != channels)
        data = WithZeros(data, 1 - axis, channels);
      args[i] = builder.Constant(std::move(data));
    }
  }

  /// To write and to read an element, about: a core and the caches beyond its first exchange 16 bytes in a
  /// cycle.
  static constexpr double kMemoryCycles = 0.5;
  /// What extents that are known at run time only are taken for.
  static constexpr int64_t kTypicalExtent = 64;

  /// The part of a convolution's time, about, that it takes longer where channels of a place are not
  /// neighbours: 1219 channels on maps of 67 x 67 took ten times as long as predicted, 122 in blocks of two
  /// on 99 x 99 three times.
  static constexpr double kScattered = 1;

  const GraphFunction f_;
  const Target& target_;
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
  std::unordered_map<const ValueNode*, std::vector<const Binding*>> users_;  // null: a result of the block
  std::vector<std::pair<const Binding*, Role>> roles_;                       // of bindings that may be padded
  std::unordered_map<const ValueNode*, Role> role_of_;                       // by their results
  std::unordered_map<const ValueNode*, double> surplus_;
  std::unordered_map<const ValueNode*, const ValueNode*> parent_;  // within regions, towards their roots
  std::unordered_map<const ValueNode*, Region> regions_;           // by their roots
  std::unordered_map<const ValueNode*, int64_t> arguments_;  // channels of copies, where these are worth it
  std::unordered_map<const ValueNode*, Value> copies_;       // made of them
  std::unordered_map<const ValueNode*, Value> wide_;         // with their surplus: what was, or is, a value
};

}  // namespace

IRModule PadFilters(const IRModule& module, const Target& target) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return Padder(f, target).Run(); });
}

}  // namespace tilewright
