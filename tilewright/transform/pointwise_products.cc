// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/pointwise_products.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"

namespace tilewright {

namespace {

using Integers = std::vector<int64_t>;

/// Cycles in which a core moves a line of the cache from and to another layout: what a load, a shuffle and a
/// store for each element of a few take together.
constexpr double kRelayoutCycles = 8;

/// Cycles of a core for a vector of columns that is added to the image, or an element that is put there.
constexpr double kGatherCycles = 2;

/// How much longer a product takes whose second matrix is read as it lies.
constexpr double kUnpacked = 1.1;

class ProductMaker {
 public:
  ProductMaker(const GraphFunction& f, const Target& target)
      : f_(f), target_(target), definitions_(Definitions(f->body)) {
    for (const Binding& b : f->body.bindings) {
      for (const Value& v : UsedValues(b.operation)) users_[v.get()].push_back(&b);
    }
  }

  GraphFunction Run() {
    return RewriteBindings(f_,
                           [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
                             const auto product = ProductOf(b);
                             if (!product) return std::nullopt;
                             return std::vector{Rewritten(b, *product, builder)};
                           });
  }

 private:
  struct Product {
    bool transposed = false, single = false;        ///< single: windows of one element
    bool places_first = false;                      ///< rows of the product are the places of the image
    int64_t groups = 1, filters = 0, channels = 0;  ///< filters and channels of one group
    Integers image, result, kernel, strides, pads;

    int64_t Places() const { return CountOf(image); }
    int64_t Outputs() const { return CountOf(result); }
    /// How many taps a transposed convolution takes for one filter and channel at all places, phase by phase
    /// where it has phases (transposed_convolutions.h).
    double TapsByPhase() const {
      bool phases = true;
      for (size_t d = 0; d < kernel.size(); ++d) phases &= kernel[d] >= strides[d];
      double all = 1;
      for (size_t d = 0; d < kernel.size(); ++d) {
        const int64_t s = strides[d];
        all *= double(kernel[d] * (phases ? (pads[d] + result[d] - 1) / s - pads[d] / s + 1 : result[d]));
      }
      return all;
    }
    bool ByStrides() const {
      return std::any_of(strides.begin(), strides.end(), [](int64_t s) { return s > 1; });
    }
  };

  static int64_t CountOf(const Integers& extents) {
    int64_t n = 1;
    for (int64_t e : extents) n *= e;
    return n;
  }

  /// Whether an operator reads and writes the natural order whatever the layouts around it.
  static bool IsNatural(const Binding& b) {
    auto* call = b.operation.As<OpCallNode>();
    return !call || (!call->op->candidates && !call->op->layout_agnostic && !call->op->follows_input_layout);
  }

  bool IsMadeNatural(const Value& v) const {
    auto it = definitions_.find(v.get());
    return it == definitions_.end() || IsNatural(*it->second);
  }
  bool IsReadNatural(const Value& v) const {
    auto it = users_.find(v.get());
    return it == users_.end() ||
           std::all_of(it->second.begin(), it->second.end(), [](const Binding* b) { return IsNatural(*b); });
  }

  std::optional<Product> ProductOf(const Binding& b) const {
    auto* call = b.operation.As<OpCallNode>();
    if (!call || (call->op->name != "Conv" && call->op->name != "ConvTranspose")) return std::nullopt;
    if (call->args[0].tensor().dtype != kF32 || !(b.results[0].tensor().dtype == kF32)) return std::nullopt;
    const bool transposed = call->op->name == "ConvTranspose";
    const Annotations attrs = call->attrs.ToMap();
    auto all = [&](const char* name, int64_t value) {
      auto it = attrs.find(name);
      if (it == attrs.end()) return true;
      const auto& list = std::get<Integers>(it->second);
      return std::all_of(list.begin(), list.end(), [&](int64_t v) { return v == value; });
    };
    const int64_t groups = std::get<int64_t>(attrs.at("groups"));
    const std::vector<Expr>&w = call->args[1].tensor().shape, &x = call->args[0].tensor().shape;
    if (!ConstantOf(call->args[1], definitions_)) return std::nullopt;
    const auto channels = AsInt(x[1]), filters = AsInt(w[transposed ? 1 : 0]);
    Product product{.transposed = transposed, .groups = groups};
    for (size_t d = 2; d < x.size(); ++d) {
      product.image.push_back(AsInt(x[d]).value_or(0));
      product.result.push_back(AsInt(b.results[0].tensor().shape[d]).value_or(0));
      product.kernel.push_back(*AsInt(w[d]));
    }
    product.strides = std::get<Integers>(attrs.at("strides"));
    product.pads = std::get<Integers>(attrs.at("pads"));
    product.pads.resize(product.kernel.size());
    // A factor per channel is no product.
    if (!channels || !filters || !*channels || !*filters || product.Outputs() == 0 ||
        (groups > 1 && *channels == groups))
      return std::nullopt;
    product.channels = *channels / groups;
    product.filters = transposed ? *filters : *filters / groups;
    product.single =
        CountOf(product.kernel) == 1 && all("strides", 1) && all("pads", 0) && all("output_padding", 0);
    if (!product.single && (!transposed || groups != 1 || !all("dilations", 1))) return std::nullopt;
    if (product.single && product.Places() == 1) return std::nullopt;
    product.places_first = product.Places() < target_.VectorLanes(4) && !product.single;
    if (!IsMadeNatural(call->args[0]) || !IsReadNatural(b.results[0]) || !Saves(product)) return std::nullopt;
    return product;
  }

  /// Cycles of the product and of what follows it, and of the convolution in blocks.
  bool Saves(const Product& p) const {
    const double lanes = double(target_.VectorLanes(4)), pipes = double(std::max(1, target_.fma_per_cycle));
    auto vectors = [&](int64_t n) { return std::ceil(double(n) / lanes); };
    const double places = double(p.Places()), outputs = double(p.Outputs()), channels = double(p.channels);
    const double taps = double(CountOf(p.kernel)), filters = double(p.filters);
    double product = vectors(p.Places()) * filters * taps * channels / pipes;
    if (p.places_first) product = places * vectors(p.filters * CountOf(p.kernel)) * channels / pipes;
    if (p.single) {
      // Vectors of filters span no two groups.
      const double blocks = outputs * vectors(p.filters) * channels / pipes;
      return product < blocks + (places * channels + outputs * filters) * 4 / 64 * kRelayoutCycles;
    }
    // What a core writes and reads of the columns comes back from memory where the caches do not hold it.
    const double columns = places * filters * taps * 4 / 64;
    const bool leaves = columns * 64 > double(target_.CacheBytes(2));
    double terms = 1;
    for (size_t d = 0; d < p.kernel.size(); ++d)
      terms *= std::min(double(p.image[d]), double(p.kernel[d]) / double(p.strides[d]));
    product = product * kUnpacked + columns * (leaves ? 3 * target_.memory_line_cycles : kRelayoutCycles) +
              outputs * filters * (p.places_first ? terms + 1 : terms / lanes + 1) * kGatherCycles;
    // Few filters share vectors with those of other phases.
    const bool shared = p.ByStrides() && filters * 2 <= lanes;
    const double blocks =
        p.TapsByPhase() * (shared ? filters / lanes : vectors(p.filters)) * channels / pipes;
    const double moved = (places * channels + outputs * filters * (p.ByStrides() ? 2 : 1)) * 4 / 64;
    return product < blocks + moved * kRelayoutCycles;
  }

  static Value Reshaped(const Value& v, std::vector<Expr> shape, const std::string& origin,
                        GraphBuilder& builder) {
    const OpDef* reshape = OpRegistry::Get("Reshape");
    return builder.CallOp(reshape, {v}, reshape->attrs.from_map({{"shape", std::move(shape)}}), origin)
        .front();
  }

  /// A weight of f32 as matrices of these extents, one for each group, transposed on request.
  static NDArray Matrices(const NDArray& weight, int64_t groups, int64_t rows, int64_t columns,
                          bool transpose) {
    Integers shape = {rows, columns};
    if (transpose) std::swap(shape[0], shape[1]);
    if (groups > 1) shape.insert(shape.begin(), groups);
    NDArray made = NDArray::Empty(weight.dtype(), std::move(shape));
    // Elements by bytes: views of files need not be aligned.
    auto* from = static_cast<const char*>(weight.data());
    auto* to = static_cast<char*>(made.mutable_data());
    if (!transpose) std::memcpy(to, from, size_t(weight.bytes()));
    for (int64_t g = 0; transpose && g < groups; ++g) {
      for (int64_t c = 0; c < columns; ++c) {
        for (int64_t r = 0; r < rows; ++r, to += sizeof(float))
          std::memcpy(to, from + ((g * rows + r) * columns + c) * int64_t(sizeof(float)), sizeof(float));
      }
    }
    return made;
  }

  Value Rewritten(const Binding& b, const Product& p, GraphBuilder& builder) const {
    const auto& call = *b.operation.As<OpCallNode>();
    const std::string& origin = b.results[0]->origin;
    const Expr images = call.args[0].tensor().shape[0];
    auto by_group = [&](std::vector<Expr> shape) {
      if (p.groups > 1) shape.insert(shape.end() - 2, Expr(p.groups));
      return shape;
    };
    const Value matrix =
        Reshaped(call.args[0], by_group({images, Expr(p.channels), Expr(p.Places())}), origin, builder);
    // The rows that a product broadcasts lie in memory along its depth.
    const int64_t columns = p.filters * CountOf(p.kernel);
    const NDArray& data = *ConstantOf(call.args[1], definitions_);
    const Value weight =
        builder.Constant(p.transposed ? Matrices(data, p.groups, p.channels, columns, !p.places_first)
                                      : Matrices(data, p.groups, columns, p.channels, false));
    const OpDef* matmul = OpRegistry::Get("MatMul");
    Attrs attrs =
        matmul->attrs.from_map({{"transpose_a", p.places_first}, {"transpose_b", false}, {"wide", false}});
    std::vector<Value> factors = {weight, matrix};
    if (p.places_first) std::swap(factors[0], factors[1]);
    Value y = builder.CallOp(matmul, std::move(factors), std::move(attrs), origin).front();
    const Value bias = call.args.size() > 2 ? call.args[2] : Value();
    if (!p.single) return ToImage(y, bias, p, origin, builder);
    if (bias)
      y = builder.Call1("Add", {y, Reshaped(bias, by_group({Expr(p.filters), Expr(1)}), origin, builder)}, {},
                        origin);
    return Reshaped(y, b.results[0].tensor().shape, origin, builder);
  }

  static Value ToImage(const Value& columns, const Value& bias, const Product& p, const std::string& origin,
                       GraphBuilder& builder) {
    const OpDef* op = OpRegistry::Get("ColumnsToImage");
    Attrs attrs = op->attrs.from_map({{"filters", p.filters},
                                      {"image", p.image},
                                      {"result", p.result},
                                      {"kernel", p.kernel},
                                      {"strides", p.strides},
                                      {"pads", p.pads},
                                      {"places_first", p.places_first}});
    return builder.CallOp(op, {columns, bias}, std::move(attrs), origin).front();
  }

  const GraphFunction f_;
  const Target& target_;
  const std::unordered_map<const ValueNode*, const Binding*> definitions_;
  std::unordered_map<const ValueNode*, std::vector<const Binding*>> users_;
};

}  // namespace

IRModule PointwiseProducts(const IRModule& module, const Target& target) {
  return OnMainAndBlocks(module, [&](const GraphFunction& f) { return ProductMaker(f, target).Run(); });
}

}  // namespace tilewright
