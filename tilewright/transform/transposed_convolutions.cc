// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/transposed_convolutions.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

using Integers = std::vector<int64_t>;

/// To write and to read an element once more, in cycles of a core.
constexpr double kMemoryCycles = 0.5;

/// Neighbouring phases of an axis that meet equally many taps.
struct Phases {
  int64_t first, count, taps;
};

/// One spatial axis. Index h of the result counts as u = h + pad = q * stride + r; phase r sums the taps
/// r + j * stride, each at q - j.
struct Axis {
  int64_t extent = 0, result = 0, kernel = 0, stride = 1, pad = 0;

  std::vector<Phases> Classes() const {
    const int64_t longer = kernel % stride, taps = kernel / stride;
    if (longer == 0) return {{0, stride, taps}};
    return {{0, longer, taps + 1}, {longer, stride - longer, taps}};
  }
  int64_t First() const { return pad / stride; }
  int64_t Places() const { return (pad + result - 1) / stride - First() + 1; }
  int64_t Before(int64_t taps) const { return taps - 1 - First(); }
  int64_t Behind() const { return Places() + First() - extent; }
  bool Fits() const {
    return extent > 0 && result > 0 && kernel >= stride && Before(kernel / stride) >= 0 && Behind() >= 0;
  }
};

struct Transposed {
  std::vector<Axis> axes;
  int64_t channels = 0, filters = 0;
  int64_t wide = 0;  ///< filters of a phase with those of zeros

  bool ByStrides() const {
    return std::any_of(axes.begin(), axes.end(), [](const Axis& a) { return a.stride > 1; });
  }
  Integers Each(int64_t Axis::* member) const {
    Integers list;
    for (const Axis& a : axes) list.push_back(a.*member);
    return list;
  }
};

/// Calls visit with each choice of one element of each list, the last list's first.
template <typename T, typename Visit>
void ForEachChoice(const std::vector<std::vector<T>>& lists, const Visit& visit, std::vector<T> chosen = {}) {
  if (chosen.size() == lists.size()) return visit(chosen);
  for (const T& t : lists[chosen.size()]) {
    chosen.push_back(t);
    ForEachChoice(lists, visit, chosen);
    chosen.pop_back();
  }
}

Integers Counted(int64_t first, int64_t count) {
  Integers list;
  for (int64_t i = 0; i < count; ++i) list.push_back(first + i);
  return list;
}

class PhaseMaker {
 public:
  PhaseMaker(const GraphFunction& f, const Target& target)
      : f_(f), target_(target), definitions_(Definitions(f->body)) {}

  GraphFunction Run() {
    return RewriteBindings(f_,
                           [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
                             auto transposed = TransposedOf(b);
                             if (!transposed) return std::nullopt;
                             if (!HasConstants(b)) return Completed(b, *transposed, builder);
                             transposed->wide = WideFilters(*transposed);
                             if (!Saves(*transposed)) return std::nullopt;
                             return std::vector{Rewritten(b, *transposed, builder)};
                           });
  }

 private:
  std::optional<Transposed> TransposedOf(const Binding& b) const {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || call->op->name != "ConvTranspose") return std::nullopt;
    const Annotations attrs = call->attrs.ToMap();
    const auto& strides = std::get<Integers>(attrs.at("strides"));
    const auto& dilations = std::get<Integers>(attrs.at("dilations"));
    const auto& pads = std::get<Integers>(attrs.at("pads"));
    const bool dilated = std::any_of(dilations.begin(), dilations.end(), [](int64_t d) { return d != 1; });
    if (dilated || std::get<int64_t>(attrs.at("groups")) != 1) return std::nullopt;
    const std::vector<Expr>&x = call->args[0].tensor().shape, &y = b.results[0].tensor().shape;
    const std::vector<Expr>& w = call->args[1].tensor().shape;
    Transposed t{.axes = {}, .channels = AsInt(w[0]).value_or(0), .filters = AsInt(w[1]).value_or(0)};
    for (size_t d = 0; d + 2 < x.size(); ++d) {
      t.axes.push_back({AsInt(x[d + 2]).value_or(0), AsInt(y[d + 2]).value_or(0), AsInt(w[d + 2]).value_or(0),
                        strides[d], pads[d]});
      if (!t.axes.back().Fits()) return std::nullopt;
    }
    return t.channels == 0 || t.filters == 0 ? std::nullopt : std::optional(t);
  }

  bool HasConstants(const Binding& b) const {
    const auto& args = b.operation.As<OpCallNode>()->args;
    return std::all_of(args.begin() + 1, args.end(),
                       [&](const Value& v) { return !v || ConstantOf(v, definitions_); });
  }

  /// Zeros behind a kernel that is no constant, and results that are cut off, make both whole multiples of
  /// the strides: the convolution can then be computed by phase (op/conv.cc).
  static std::optional<std::vector<Value>> Completed(const Binding& b, const Transposed& t,
                                                     GraphBuilder& builder) {
    const auto& call = *b.operation.As<OpCallNode>();
    const size_t spatial = t.axes.size();
    Annotations attrs = call.attrs.ToMap();
    Integers pads = t.Each(&Axis::pad), behind, padding;
    std::vector<Expr> begin(spatial + 2, Expr(0)), end = begin;
    bool more = false;
    for (size_t d = 0; d < spatial; ++d) {
      const Axis& a = t.axes[d];
      const int64_t zeros = (a.stride - a.kernel % a.stride) % a.stride;
      const int64_t surplus = (a.stride - a.result % a.stride) % a.stride;
      const int64_t cut = (a.extent - 1) * a.stride + a.kernel + zeros - a.pad - a.result - surplus;
      behind.push_back(std::max<int64_t>(0, cut));
      padding.push_back(std::max<int64_t>(0, -cut));
      end[d + 2] = Expr(zeros);
      more |= zeros + surplus > 0;
    }
    if (!more) return std::nullopt;
    pads.insert(pads.end(), behind.begin(), behind.end());
    attrs["pads"] = pads;
    attrs["output_padding"] = padding;
    const std::string& origin = b.results[0]->origin;
    const OpDef* pad = OpRegistry::Get("Pad");
    std::vector<Value> args = call.args;
    args[1] =
        builder.CallOp(pad, {args[1]}, pad->attrs.from_map({{"begin", begin}, {"end", end}}), origin).front();
    const Value all =
        builder.CallOp(call.op, std::move(args), call.op->attrs.from_map(attrs), origin).front();
    return std::vector{Cut(all, b.results[0].tensor().shape, origin, builder)};
  }

  /// The first elements along each axis.
  static Value Cut(const Value& v, const std::vector<Expr>& shape, const std::string& origin,
                   GraphBuilder& builder) {
    const OpDef* slice = OpRegistry::Get("Slice");
    Attrs cut = slice->attrs.from_map({{"begin", std::vector<Expr>(shape.size(), Expr(0))},
                                       {"stride", Integers(shape.size(), 1)},
                                       {"shape", shape}});
    return builder.CallOp(slice, {v}, std::move(cut), origin).front();
  }

  /// Vectors of results that hold filters of one phase are put in their place as they are; few filters share
  /// vectors with those of other phases.
  int64_t WideFilters(const Transposed& t) const {
    const int64_t lanes = target_.VectorLanes(4);
    return !t.ByStrides() || t.filters * 2 <= lanes ? t.filters : (t.filters + lanes - 1) / lanes * lanes;
  }

  /// Compares cycles of a core for the products; the convolution that stays takes all taps, or those of a
  /// phase where all meet equally many.
  bool Saves(const Transposed& t) const {
    if (!t.ByStrides()) return true;
    const double lanes = double(target_.VectorLanes(4)), pipes = double(std::max(1, target_.fma_per_cycle));
    double outputs = 1, taps = 1, met = 1;
    bool equal = true;
    std::vector<std::vector<Phases>> classes;
    for (const Axis& a : t.axes) {
      classes.push_back(a.Classes());
      outputs *= double(a.result);
      taps *= double(a.kernel);
      met *= double(a.kernel / a.stride);
      equal &= a.kernel % a.stride == 0 && a.result % a.stride == 0;
    }
    const double stays = outputs * std::ceil(double(t.filters) / lanes) * (equal ? met : taps);
    double made = 0;
    ForEachChoice(classes, [&](const std::vector<Phases>& chosen) {
      double products = 1, filters = double(t.wide);
      for (size_t d = 0; d < chosen.size(); ++d) {
        products *= double(t.axes[d].Places() * chosen[d].taps);
        filters *= double(chosen[d].count);
      }
      made += products * std::ceil(filters / lanes);
    });
    const double moved = outputs * double(t.wide) * kMemoryCycles;
    return made * double(t.channels) / pipes + moved < stays * double(t.channels) / pipes;
  }

  /// The weight of a convolution that computes some phases: [phases and filters, channels, taps], each
  /// phase's taps mirrored.
  static NDArray WeightOf(const NDArray& weight, const Transposed& t, const std::vector<Phases>& chosen) {
    Integers shape = {t.wide, t.channels};
    std::vector<Integers> phases, taps;
    for (const Phases& p : chosen) {
      shape[0] *= p.count;
      shape.push_back(p.taps);
      phases.push_back(Counted(p.first, p.count));
      taps.push_back(Counted(0, p.taps));
    }
    NDArray made = NDArray::Zeros(weight.dtype(), std::move(shape));
    const size_t bytes = size_t(weight.dtype().element_bytes());
    auto* from = static_cast<const std::byte*>(weight.data());
    auto* to = static_cast<std::byte*>(made.mutable_data());
    int64_t window = 1;
    for (const Axis& a : t.axes) window *= a.kernel;
    ForEachChoice(phases, [&](const Integers& phase) {
      Integers sources;
      ForEachChoice(taps, [&](const Integers& tap) {
        int64_t source = 0;
        for (size_t d = 0; d < tap.size(); ++d) {
          source = source * t.axes[d].kernel + phase[d] + t.axes[d].stride * (chosen[d].taps - 1 - tap[d]);
        }
        sources.push_back(source);
      });
      for (int64_t f = 0; f < t.filters; ++f) {
        for (int64_t c = 0; c < t.channels; ++c) {
          const std::byte* own = from + size_t((c * t.filters + f) * window) * bytes;
          for (int64_t source : sources) {
            std::memcpy(to, own + size_t(source) * bytes, bytes);
            to += bytes;
          }
        }
      }
      to += size_t((t.wide - t.filters) * t.channels) * sources.size() * bytes;
    });
    return made;
  }

  /// A bias for so many times the filters.
  static NDArray BiasOf(const NDArray& bias, const Transposed& t, int64_t phases) {
    NDArray made = NDArray::Zeros(bias.dtype(), {phases * t.wide});
    const size_t step = size_t(t.wide) * size_t(bias.dtype().element_bytes());
    for (int64_t i = 0; i < phases; ++i)
      std::memcpy(static_cast<std::byte*>(made.mutable_data()) + size_t(i) * step, bias.data(),
                  size_t(bias.bytes()));
    return made;
  }

  Value Rewritten(const Binding& b, const Transposed& t, GraphBuilder& builder) const {
    const auto& call = *b.operation.As<OpCallNode>();
    const std::string& origin = b.results[0]->origin;
    const NDArray& weight = *ConstantOf(call.args[1], definitions_);
    const NDArray* bias = call.args.size() > 2 ? ConstantOf(call.args[2], definitions_) : nullptr;
    const OpDef* conv = OpRegistry::Get("Conv");
    std::vector<std::vector<Phases>> classes;
    for (const Axis& a : t.axes) classes.push_back(a.Classes());
    std::vector<Value> parts;
    ForEachChoice(classes, [&](const std::vector<Phases>& chosen) {
      Integers before, behind;
      int64_t phases = 1;
      for (size_t d = 0; d < chosen.size(); ++d) {
        before.push_back(t.axes[d].Before(chosen[d].taps));
        behind.push_back(t.axes[d].Behind());
        phases *= chosen[d].count;
      }
      before.insert(before.end(), behind.begin(), behind.end());
      const Integers ones(t.axes.size(), 1);
      Attrs attrs = conv->attrs.from_map({{"strides", ones},
                                          {"dilations", ones},
                                          {"pads", before},
                                          {"groups", int64_t(1)},
                                          {"wide", false}});
      const Value own = builder.Constant(WeightOf(weight, t, chosen));
      const Value terms = bias ? builder.Constant(BiasOf(*bias, t, phases)) : Value();
      parts.push_back(builder.CallOp(conv, {call.args[0], own, terms}, std::move(attrs), origin).front());
    });
    if (!t.ByStrides()) return parts.front();
    const OpDef* interleave = OpRegistry::Get("InterleavePhases");
    Attrs attrs = interleave->attrs.from_map({{"filters", t.wide},
                                              {"result", t.Each(&Axis::result)},
                                              {"kernel", t.Each(&Axis::kernel)},
                                              {"strides", t.Each(&Axis::stride)},
                                              {"pads", t.Each(&Axis::pad)}});
    const Value all = builder.CallOp(interleave, std::move(parts), std::move(attrs), origin).front();
    return t.wide == t.filters ? all : Cut(all, b.results[0].tensor().shape, origin, builder);
  }

  const GraphFunction f_;
  const Target& target_;
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
};

}  // namespace

IRModule TransposedConvolutions(const IRModule& module, const Target& target) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return PhaseMaker(f, target).Run(); });
}

}  // namespace tilewright
