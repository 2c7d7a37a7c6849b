// SPDX-License-Identifier: Apache-2.0
// Operators that rearrange elements and compute nothing.
#include <algorithm>

#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct ShapeAttrs {
  std::vector<Expr> shape;
  static constexpr auto Fields() {
    return std::tuple(AttrField("shape", &ShapeAttrs::shape, "the result's shape"));
  }
};
struct PermAttrs {
  std::vector<int64_t> perm;
  static constexpr auto Fields() {
    return std::tuple(AttrField("perm", &PermAttrs::perm, "axis of x for each axis of the result"));
  }
};
struct AxisAttrs {
  int64_t axis = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &AxisAttrs::axis, "the axis to join along"));
  }
};

OpDef Injective(std::string name, std::string doc) {
  OpDef def;
  def.name = std::move(name);
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.pattern = FusePattern::kInjective;
  return def;
}

void RequireDims(const InferContext& ctx, const std::vector<Expr>& shape) {
  for (const Expr& d : shape) {
    auto value = AsInt(d);
    if (value && *value < 0) ctx.Fail("TW2110", fmt::format("a dimension of {} is negative", *value));
  }
}

// ---- Reshape

Expr Linear(const std::vector<Expr>& shape, const Indices& index, size_t begin, size_t end) {
  Expr linear(0);
  for (size_t i = begin; i < end; ++i) linear = linear * shape[i] + index[i];
  return linear;
}

/// Index into `from` for an index into `to`. Runs of dimensions with equal products are converted apart, so
/// that splitting or joining neighbouring axes leaves the others' indices as they are.
Indices ReshapeIndex(const std::vector<Expr>& from, const std::vector<Expr>& to, const Indices& index) {
  Indices result(from.size(), Expr(0));
  if (IsInt(Product(from), 0)) return result;  // no element is ever read
  size_t f = 0, t = 0;
  while (f < from.size() || t < to.size()) {
    size_t f_end = f, t_end = t;
    Expr pf(1), pt(1);
    auto take_from = [&] { pf = pf * from[f_end++]; };
    auto take_to = [&] { pt = pt * to[t_end++]; };
    if (f_end < from.size()) take_from();
    if (t_end < to.size()) take_to();
    while (!StructuralEqual(pf, pt) && (f_end < from.size() || t_end < to.size())) {
      auto a = AsInt(pf), b = AsInt(pt);
      bool more_from = f_end < from.size() && (t_end == to.size() || (a && b && *a < *b));
      if (more_from) {
        take_from();
      } else if (t_end < to.size()) {
        take_to();
      } else {
        take_from();
      }
    }
    // Trailing ones belong to the last run.
    if (f_end == from.size()) t_end = to.size();
    if (t_end == to.size()) f_end = from.size();
    if (f_end - f == 1 && t_end - t == 1) {
      result[f] = index[t];
    } else {
      Expr linear = Linear(to, index, t, t_end);
      for (size_t d = f_end; d-- > f;) {
        bool outermost = true;
        for (size_t o = f; o < d; ++o) outermost = outermost && IsInt(from[o], 1);
        if (IsInt(from[d], 1)) continue;
        result[d] = outermost ? linear : FloorMod(linear, from[d]);
        if (outermost) break;
        linear = FloorDiv(linear, from[d]);
      }
    }
    f = f_end;
    t = t_end;
  }
  return result;
}

TW_OP(Reshape) = [] {
  OpDef def = Injective("Reshape", "the elements in row-major order under another shape");
  def.attrs = DescribeAttrs<ShapeAttrs>();
  def.infer = [](const InferContext& ctx) {
    const auto& shape = ctx.Attr<ShapeAttrs>().shape;
    RequireDims(ctx, shape);
    Expr before = ctx.Input(0).NumElements(), after = Product(shape);
    auto a = AsInt(before), b = AsInt(after);
    if (a && b && *a != *b) ctx.Fail("TW2102", fmt::format("{} elements cannot become {}", *a, *b));
    ctx.SameDim(before, after, "elements before and after");
    return OneResult(ctx.Input(0).dtype, shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) {
      return ctx.Read(0, ReshapeIndex(ctx.InputType(0).shape, ctx.OutputType().shape, i));
    })};
  };
  def.is_view = true;
  def.gradient = [](const GradientContext& ctx) -> std::vector<Value> {
    return {ctx.Reshape(ctx.Cotangent(), ctx.Shape(0))};
  };
  return def;
}();

// ---- Transpose, Expand, Tile

TW_OP(Transpose) = [] {
  OpDef def = Injective("Transpose", "axes in another order");
  def.attrs = DescribeAttrs<PermAttrs>();
  def.infer = [](const InferContext& ctx) {
    const auto& perm = ctx.Attr<PermAttrs>().perm;
    const TensorType& x = ctx.Input(0);
    if (CheckedAxes(ctx, perm, x.rank()).size() != size_t(x.rank())) {
      ctx.Fail("TW2110", fmt::format("perm has {} axes for a tensor of rank {}", perm.size(), x.rank()));
    }
    std::vector<Expr> shape;
    for (int64_t axis : perm) shape.push_back(x.shape[size_t(FromFront(axis, x.rank()))]);
    return OneResult(x.dtype, shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) {
      const auto& perm = ctx.Attr<PermAttrs>().perm;
      Indices from(i.size(), Expr(0));
      for (size_t d = 0; d < i.size(); ++d) from[size_t(FromFront(perm[d], int(i.size())))] = i[d];
      return ctx.Read(0, from);
    })};
  };
  def.gradient = [](const GradientContext& ctx) -> std::vector<Value> {
    const auto& perm = ctx.Attr<PermAttrs>().perm;
    std::vector<int64_t> inverse(perm.size());
    for (size_t d = 0; d < perm.size(); ++d)
      inverse[size_t(FromFront(perm[d], int(perm.size())))] = int64_t(d);
    return {ctx.Transpose(ctx.Cotangent(), inverse)};
  };
  return def;
}();

TW_OP(Expand) = [] {
  OpDef def = Injective("Expand", "x broadcast to a shape");
  def.attrs = DescribeAttrs<ShapeAttrs>();
  def.infer = [](const InferContext& ctx) {
    RequireDims(ctx, ctx.Attr<ShapeAttrs>().shape);
    return OneResult(ctx.Input(0).dtype,
                     BroadcastShape(ctx, ctx.Input(0).shape, ctx.Attr<ShapeAttrs>().shape));
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) { return ctx.ReadBroadcast(0, i); })};
  };
  def.gradient = [](const GradientContext& ctx) -> std::vector<Value> {
    return {ctx.SumTo(ctx.Cotangent(), ctx.Shape(0))};
  };
  return def;
}();

struct TileAttrs {
  std::vector<Expr> repeats;
  static constexpr auto Fields() {
    return std::tuple(AttrField("repeats", &TileAttrs::repeats, "copies along each axis"));
  }
};

TW_OP(Tile) = [] {
  OpDef def = Injective("Tile", "x repeated along each axis");
  def.attrs = DescribeAttrs<TileAttrs>();
  def.infer = [](const InferContext& ctx) {
    const auto& repeats = ctx.Attr<TileAttrs>().repeats;
    const TensorType& x = ctx.Input(0);
    RequireDims(ctx, repeats);
    if (repeats.size() != x.shape.size()) {
      ctx.Fail("TW2110", fmt::format("{} repeats for a tensor of rank {}", repeats.size(), x.rank()));
    }
    std::vector<Expr> shape;
    for (size_t d = 0; d < repeats.size(); ++d) shape.push_back(x.shape[d] * repeats[d]);
    return OneResult(x.dtype, shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) {
      Indices from;
      for (size_t d = 0; d < i.size(); ++d) {
        bool once = IsInt(ctx.Attr<TileAttrs>().repeats[d], 1);
        from.push_back(once ? i[d] : FloorMod(i[d], ctx.InputType(0).shape[d]));
      }
      return ctx.Read(0, from);
    })};
  };
  return def;
}();

/// g with zeros around it (cut where negative).
Value PadWithZeros(const GradientContext& ctx, const Value& g, std::vector<Expr> begin,
                   std::vector<Expr> end) {
  auto is_zero = [](const Expr& e) { return IsInt(e, 0); };
  if (std::all_of(begin.begin(), begin.end(), is_zero) && std::all_of(end.begin(), end.end(), is_zero))
    return g;
  return ctx.Call("Pad", {g}, {{"begin", std::move(begin)}, {"end", std::move(end)}});
}

// ---- Concat

std::vector<Value> ConcatGradient(const GradientContext& ctx) {
  const Value& g = ctx.Cotangent();
  const size_t rank = g.tensor().shape.size();
  const size_t axis = size_t(FromFront(ctx.Attr<AxisAttrs>().axis, int(rank)));
  std::vector<Expr> begin(rank, Expr(0));
  std::vector<Value> parts(ctx.size());
  for (size_t k = 0; k < ctx.size(); ++k) {
    if (ctx.Wanted(k)) {
      parts[k] =
          ctx.Call("Slice", {g},
                   {{"begin", begin}, {"stride", std::vector<int64_t>(rank, 1)}, {"shape", ctx.Shape(k)}});
    }
    begin[axis] = begin[axis] + ctx.Shape(k)[axis];
  }
  return parts;
}

TW_OP(Concat) = [] {
  OpDef def = Injective("Concat", "the arguments one behind the other along an axis");
  def.inputs = {{.name = "x", .variadic = true}};
  def.attrs = DescribeAttrs<AxisAttrs>();
  def.infer = [](const InferContext& ctx) {
    const TensorType& first = ctx.Input(0);
    const size_t axis = size_t(CheckedAxis(ctx, ctx.Attr<AxisAttrs>().axis, first.rank()));
    std::vector<Expr> shape = first.shape;
    for (size_t k = 1; k < ctx.size(); ++k) {
      RequireRank(ctx, k, first.rank(), first.rank());
      RequireSameDType(ctx, 0, k);
      for (size_t d = 0; d < shape.size(); ++d) {
        const Expr& mine = ctx.Input(k).shape[d];
        shape[d] = d == axis ? shape[d] + mine : ctx.SameDim(shape[d], mine, fmt::format("dimension {}", d));
      }
    }
    return OneResult(first.dtype, shape);
  };
  def.follows_input_layout = true;
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    const size_t axis = size_t(FromFront(ctx.Attr<AxisAttrs>().axis, ctx.OutputType().rank()));
    return {ctx.Compute([&](const Indices& i) {
      std::vector<Expr> starts = {Expr(0)};
      for (size_t k = 0; k + 1 < ctx.size(); ++k) {
        starts.push_back(starts.back() + ctx.InputType(k).shape[axis]);
      }
      auto part = [&](size_t k) {
        Indices at = i;
        at[axis] = i[axis] - starts[k];
        return ctx.Read(k, at);
      };
      Expr value = part(ctx.size() - 1);
      for (size_t k = ctx.size() - 1; k-- > 0;) {
        value = MakeIfThenElse(i[axis] < starts[k + 1], part(k), value);
      }
      return value;
    })};
  };
  def.gradient = ConcatGradient;
  return def;
}();

// ---- Slice

struct SliceAttrs {
  std::vector<Expr> begin;
  std::vector<int64_t> stride;
  std::vector<Expr> shape;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("begin", &SliceAttrs::begin, "first index along each axis"),
        AttrField("stride", &SliceAttrs::stride, "step along each axis, not 0; may be negative"),
        AttrField("shape", &SliceAttrs::shape, "the result's shape"));
  }
};

/// TW2110 where a constant first or last index lies outside of the argument.
void CheckSlice(const InferContext& ctx, const SliceAttrs& attrs) {
  const TensorType& x = ctx.Input(0);
  const size_t rank = x.shape.size();
  if (attrs.begin.size() != rank || attrs.stride.size() != rank || attrs.shape.size() != rank) {
    ctx.Fail("TW2110", fmt::format("begin, stride and shape must have {} entries", rank));
  }
  RequireDims(ctx, attrs.shape);
  for (size_t d = 0; d < rank; ++d) {
    auto extent = AsInt(x.shape[d]), begin = AsInt(attrs.begin[d]), n = AsInt(attrs.shape[d]);
    if (attrs.stride[d] == 0) ctx.Fail("TW2110", "a stride is 0");
    if (!extent || !begin || !n) {
      const Expr far = attrs.begin[d] + (attrs.shape[d] - Expr(1)) * Expr(attrs.stride[d]);
      const bool forwards = attrs.stride[d] > 0;
      RequireAtMost(ctx, forwards ? far : attrs.begin[d], x.shape[d] - Expr(1),
                    fmt::format("last index and axis {}", d));
      RequireAtMost(ctx, -(forwards ? attrs.begin[d] : far), Expr(0),
                    fmt::format("first index of axis {}", d));
      continue;
    }
    if (*n == 0) continue;
    int64_t last = *begin + (*n - 1) * attrs.stride[d];
    if (*begin < 0 || *begin >= *extent || last < 0 || last >= *extent) {
      ctx.Fail("TW2110", fmt::format("indices {} to {} of axis {} are outside of its extent {}", *begin, last,
                                     d, *extent));
    }
  }
}

/// Each element goes back to where it came from. Along a reversed axis g is reversed first; of a stride
/// beyond 1 each element of g gets zeros behind it.
std::vector<Value> SliceGradient(const GradientContext& ctx) {
  const auto& attrs = ctx.Attr<SliceAttrs>();
  const std::vector<Expr>& x = ctx.Shape(0);
  const size_t rank = x.size();
  Value g = ctx.Cotangent();
  std::vector<Expr> begin = attrs.begin, first(rank, Expr(0)), end;
  std::vector<int64_t> direction(rank, 1);
  for (size_t d = 0; d < rank; ++d) {
    if (attrs.stride[d] > 0) continue;
    direction[d] = -1;
    first[d] = attrs.shape[d] - Expr(1);
    begin[d] = begin[d] + first[d] * Expr(attrs.stride[d]);
  }
  if (std::count(direction.begin(), direction.end(), -1)) {
    g = ctx.Call("Slice", {g}, {{"begin", first}, {"stride", direction}, {"shape", attrs.shape}});
  }
  std::vector<Expr> shape = attrs.shape;
  for (size_t d = 0; d < rank; ++d) {
    const int64_t step = std::abs(attrs.stride[d]);
    if (step == 1) continue;
    std::vector<Expr> apart = shape, none(rank + 1, Expr(0)), behind = none;
    apart.insert(apart.begin() + std::ptrdiff_t(d) + 1, Expr(1));
    behind[d + 1] = Expr(step - 1);
    shape[d] = shape[d] * Expr(step);
    g = ctx.Reshape(PadWithZeros(ctx, ctx.Reshape(g, apart), none, behind), shape);
  }
  for (size_t d = 0; d < rank; ++d) end.push_back(x[d] - begin[d] - shape[d]);
  return {PadWithZeros(ctx, g, begin, end)};
}

TW_OP(Slice) = [] {
  OpDef def = Injective("Slice", "x[begin + i * stride]");
  def.attrs = DescribeAttrs<SliceAttrs>();
  def.infer = [](const InferContext& ctx) {
    CheckSlice(ctx, ctx.Attr<SliceAttrs>());
    return OneResult(ctx.Input(0).dtype, ctx.Attr<SliceAttrs>().shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    const auto& attrs = ctx.Attr<SliceAttrs>();
    return {ctx.Compute([&](const Indices& i) {
      Indices from;
      for (size_t d = 0; d < i.size(); ++d) from.push_back(attrs.begin[d] + i[d] * Expr(attrs.stride[d]));
      return ctx.Read(0, from);
    })};
  };
  def.gradient = SliceGradient;
  return def;
}();

// ---- RepeatElements

struct RepeatAttrs {
  int64_t axis = 0, times = 1;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &RepeatAttrs::axis, "the axis along which elements are repeated"),
                      AttrField("times", &RepeatAttrs::times, "how often each comes"));
  }
};

TW_OP(RepeatElements) = [] {
  OpDef def =
      Injective("RepeatElements", "each element `times` times in a row: nearest-neighbour enlargement");
  def.attrs = DescribeAttrs<RepeatAttrs>();
  def.follows_input_layout = true;
  def.infer = [](const InferContext& ctx) {
    const auto& attrs = ctx.Attr<RepeatAttrs>();
    if (attrs.times < 1) ctx.Fail("TW2110", fmt::format("elements are repeated {} times", attrs.times));
    std::vector<Expr> shape = ctx.Input(0).shape;
    Expr& extent = shape[size_t(CheckedAxis(ctx, attrs.axis, ctx.Input(0).rank()))];
    extent = extent * Expr(attrs.times);
    return OneResult(ctx.Input(0).dtype, shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    const auto& attrs = ctx.Attr<RepeatAttrs>();
    const size_t axis = size_t(FromFront(attrs.axis, ctx.InputType(0).rank()));
    return {ctx.Compute([&](const Indices& i) -> te::Body {
      Indices from = i;
      from[axis] = FloorDiv(i[axis], Expr(attrs.times));
      return ctx.Read(0, from);
    })};
  };
  return def;
}();

// ---- Pad

struct PadAttrs {
  std::vector<Expr> begin, end;
  std::string mode = "constant";
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("begin", &PadAttrs::begin, "elements added before each axis; negative: cut off"),
        AttrField("end", &PadAttrs::end, "elements added behind each axis; negative: cut off"),
        AttrField("mode", &PadAttrs::mode, "constant, edge, reflect or wrap"));
  }
};

/// Index into an axis of `extent` for position `i`, which may lie outside.
Expr PadIndex(const std::string& mode, const Expr& i, const Expr& extent) {
  Expr last = extent - Expr(1);
  if (mode == "edge") return Max(Min(i, last), Expr(0));
  if (mode == "wrap") return FloorMod(i, extent);
  // Reflection has the period 2 * (extent - 1); an axis of one element repeats it.
  if (IsInt(extent, 1)) return Expr(0);
  Expr period = Expr(2) * last;
  Expr phase = FloorMod(i, Max(period, Expr(1)));
  return Min(phase, period - phase);
}

std::vector<te::Tensor> LowerPad(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<PadAttrs>();
  const TensorType& x = ctx.InputType(0);
  return {ctx.Compute([&](const Indices& i) -> te::Body {
    Indices from = i;
    std::vector<Expr> inside;
    for (size_t d = 0; d < i.size(); ++d) {
      if (IsInt(attrs.begin[d], 0) && IsInt(attrs.end[d], 0)) continue;
      from[d] = i[d] - attrs.begin[d];
      if (attrs.mode != "constant") {
        from[d] = PadIndex(attrs.mode, from[d], x.shape[d]);
        continue;
      }
      if (!IsInt(attrs.begin[d], 0)) inside.push_back(from[d] >= Expr(0));
      if (!IsInt(attrs.end[d], 0)) inside.push_back(from[d] < x.shape[d]);
    }
    Expr value = ctx.Read(0, from);
    if (inside.empty()) return value;
    Expr fill = ctx.Has(1) ? ctx.Read(1, {}) : MakeConst(x.dtype, 0);
    return MakeIfThenElse(AllOf(inside), value, fill);
  })};
}

std::vector<Value> PadGradient(const GradientContext& ctx) {
  const auto& attrs = ctx.Attr<PadAttrs>();
  if (attrs.mode != "constant") ctx.Fail(fmt::format("padding of mode '{}' repeats elements", attrs.mode));
  std::vector<Expr> begin, end;
  for (const Expr& e : attrs.begin) begin.push_back(Expr(0) - e);
  for (const Expr& e : attrs.end) end.push_back(Expr(0) - e);
  Value inside = PadWithZeros(ctx, ctx.Cotangent(), begin, end), border;
  if (ctx.Wanted(1)) {
    // What was cut off has no part in the result.
    auto cut = [](const Expr& e) { return Max(e, Expr(0)); };
    std::vector<Expr> kept_begin, kept_end;
    for (const Expr& e : attrs.begin) kept_begin.push_back(Expr(0) - cut(e));
    for (const Expr& e : attrs.end) kept_end.push_back(Expr(0) - cut(e));
    Value kept = PadWithZeros(ctx, ctx.Cotangent(), kept_begin, kept_end);
    border = ctx.Sub(ctx.SumTo(ctx.Cotangent(), {}), ctx.SumTo(kept, {}));
  }
  if (ctx.size() == 1) return {inside};
  return {inside, border};
}

TW_OP(Pad) = [] {
  OpDef def = Injective("Pad", "x with a border");
  def.inputs = {{"x"}, {.name = "value", .optional = true}};
  def.attrs = DescribeAttrs<PadAttrs>();
  def.infer = [](const InferContext& ctx) {
    const auto& attrs = ctx.Attr<PadAttrs>();
    const TensorType& x = ctx.Input(0);
    static const std::vector<std::string> kModes = {"constant", "edge", "reflect", "wrap"};
    if (std::find(kModes.begin(), kModes.end(), attrs.mode) == kModes.end()) {
      ctx.Fail("TW2110", fmt::format("there is no padding mode '{}'", attrs.mode));
    }
    if (attrs.begin.size() != x.shape.size() || attrs.end.size() != x.shape.size()) {
      ctx.Fail("TW2110", fmt::format("paddings must have {} entries", x.rank()));
    }
    if (ctx.Has(1)) {
      RequireRank(ctx, 1, 0, 0);
      RequireSameDType(ctx, 0, 1);
    }
    std::vector<Expr> shape;
    for (size_t d = 0; d < x.shape.size(); ++d) {
      shape.push_back(x.shape[d] + attrs.begin[d] + attrs.end[d]);
      bool grows = !IsInt(attrs.begin[d], 0) || !IsInt(attrs.end[d], 0);
      if (grows && IsInt(x.shape[d], 0) && attrs.mode != "constant") {
        ctx.Fail("TW2110", fmt::format("axis {} is empty: mode {} has nothing to repeat", d, attrs.mode));
      }
    }
    RequireDims(ctx, shape);
    return OneResult(x.dtype, shape);
  };
  def.lower = LowerPad;
  def.gradient = PadGradient;
  return def;
}();

// ---- Without arguments

struct FullAttrs {
  DataType dtype = kF32;
  std::vector<Expr> shape;
  double value = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("dtype", &FullAttrs::dtype, "element type"),
                      AttrField("shape", &FullAttrs::shape, "the result's shape"),
                      AttrField("value", &FullAttrs::value, "every element"));
  }
};

TW_OP(Full) = [] {
  OpDef def = Injective("Full", "a tensor of one value");
  def.inputs = {};
  def.attrs = DescribeAttrs<FullAttrs>();
  def.infer = [](const InferContext& ctx) {
    RequireDims(ctx, ctx.Attr<FullAttrs>().shape);
    return OneResult(ctx.Attr<FullAttrs>().dtype, ctx.Attr<FullAttrs>().shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices&) {
      const auto& attrs = ctx.Attr<FullAttrs>();
      return attrs.dtype.is_bool() ? MakeBool(attrs.value != 0) : MakeConst(attrs.dtype, attrs.value);
    })};
  };
  return def;
}();

struct ListAttrs {
  std::vector<Expr> elements;
  std::vector<int64_t> shape;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("elements", &ListAttrs::elements, "integer expressions over symbolic dimensions"),
        AttrField("shape", &ListAttrs::shape, "the result's shape"));
  }
};

// What a model computes from symbolic dimensions and then uses as data.
TW_OP(IndexList) = [] {
  OpDef def = Injective("IndexList", "a tensor of i64 that holds shape expressions");
  def.inputs = {};
  def.attrs = DescribeAttrs<ListAttrs>();
  def.infer = [](const InferContext& ctx) {
    const auto& attrs = ctx.Attr<ListAttrs>();
    std::vector<Expr> shape;
    for (int64_t d : attrs.shape) shape.push_back(Expr(d));
    if (!IsInt(Product(shape), int64_t(attrs.elements.size())) || attrs.elements.empty()) {
      ctx.Fail("TW2110", "the shape does not hold the elements");
    }
    return OneResult(kI64, shape);
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {ctx.Compute([&](const Indices& i) {
      const auto& elements = ctx.Attr<ListAttrs>().elements;
      Expr linear = Linear(ctx.OutputType().shape, i, 0, i.size());
      Expr value = elements.back();
      for (size_t k = elements.size() - 1; k-- > 0;) {
        value = MakeSelect(Eq(linear, Expr(int64_t(k))), elements[k], value);
      }
      return value;
    })};
  };
  return def;
}();

}  // namespace
}  // namespace tilewright
