// SPDX-License-Identifier: Apache-2.0
// Operators that rearrange elements.
#include "tilewright/frontend/onnx/slice_bounds.h"

namespace tilewright::onnx {
namespace {

Expr Product(const std::vector<Expr>& shape, size_t begin, size_t end) {
  Expr product(1);
  for (size_t i = begin; i < end; ++i) product = product * shape[i];
  return product;
}

/// The quotient of two products of extents: common factors cancel, so that symbols do too.
Expr Quotient(const std::vector<Expr>& numerator, std::vector<Expr> denominator) {
  std::vector<Expr> rest;
  for (const Expr& n : numerator) {
    auto it = std::find_if(denominator.begin(), denominator.end(),
                           [&](const Expr& d) { return StructuralEqual(n, d); });
    if (it != denominator.end()) {
      denominator.erase(it);
    } else {
      rest.push_back(n);
    }
  }
  return FloorDiv(Product(rest, 0, rest.size()), Product(denominator, 0, denominator.size()));
}

void Reshape(NodeContext& ctx) {
  std::vector<Expr> target =
      ctx.opset() < 5 ? ToExprs(ctx.Ints("shape")) : ctx.RequireExprs(1, "the shape of Reshape");
  const std::vector<Expr> shape = ctx.Shape(0);
  const bool keep_zero = ctx.opset() >= 14 && ctx.Int("allowzero", 0) != 0;
  std::optional<size_t> free;
  std::vector<Expr> known;
  for (size_t d = 0; d < target.size(); ++d) {
    auto v = AsInt(target[d]);
    if (v == 0 && !keep_zero) {
      if (d >= shape.size())
        ctx.Fail("TW2017", fmt::format("0 at position {} refers to no dimension of the argument", d));
      target[d] = shape[d];
    } else if (v == -1) {
      if (free) ctx.Fail("TW2017", "the shape has -1 twice");
      free = d;
      continue;
    } else if (v && *v < 0) {
      ctx.Fail("TW2017", fmt::format("the shape has an entry of {}", *v));
    }
    known.push_back(target[d]);
  }
  if (free) {
    Expr divisor = Product(known, 0, known.size());
    if (IsInt(divisor, 0)) ctx.Fail("TW2017", "-1 beside a dimension of 0 has no value");
    target[*free] = Quotient(shape, known);
  }
  ctx.Set(0, ctx.Reshape(ctx.Arg(0), target));
}

void Flatten(NodeContext& ctx) {
  const std::vector<Expr> shape = ctx.Shape(0);
  const int64_t rank = int64_t(shape.size());
  int64_t axis = ctx.Int("axis", 1);
  if (axis < -rank || axis > rank)
    ctx.Fail("TW2015", fmt::format("axis {} is outside of [{}, {}]", axis, -rank, rank));
  const size_t at = size_t(axis < 0 ? axis + rank : axis);
  ctx.Set(0, ctx.Reshape(ctx.Arg(0), {Product(shape, 0, at), Product(shape, at, shape.size())}));
}

std::vector<int64_t> AxesArgument(const NodeContext& ctx, const char* what) {
  return ctx.opset() < 13 ? ctx.Ints("axes") : ctx.RequireInts(1, what);
}

void Squeeze(NodeContext& ctx) {
  const std::vector<Expr> shape = ctx.Shape(0);
  const bool listed = ctx.opset() < 13 ? ctx.HasAttr("axes") : ctx.Has(1);
  std::set<int64_t> drop;
  if (listed) {
    for (int64_t a : AxesArgument(ctx, "the axes of Squeeze")) {
      int64_t axis = AxisFromFront(ctx, a, int64_t(shape.size()));
      auto extent = AsInt(shape[size_t(axis)]);
      if (extent && *extent != 1)
        ctx.Fail("TW2017", fmt::format("axis {} has extent {}, expected 1", axis, *extent));
      drop.insert(axis);
    }
  } else {
    for (size_t d = 0; d < shape.size(); ++d) {
      if (IsInt(shape[d], 1)) drop.insert(int64_t(d));
    }
  }
  std::vector<Expr> result;
  for (size_t d = 0; d < shape.size(); ++d) {
    if (!drop.count(int64_t(d))) result.push_back(shape[d]);
  }
  ctx.Set(0, ctx.Reshape(ctx.Arg(0), result));
}

void Unsqueeze(NodeContext& ctx) {
  std::vector<Expr> shape = ctx.Shape(0);
  std::vector<int64_t> axes = AxesArgument(ctx, "the axes of Unsqueeze");
  const int64_t rank = int64_t(shape.size() + axes.size());
  std::set<int64_t> places;
  for (int64_t a : axes) {
    if (!places.insert(AxisFromFront(ctx, a, rank)).second)
      ctx.Fail("TW2015", fmt::format("axis {} is given twice", a));
  }
  for (int64_t a : places) shape.insert(shape.begin() + a, Expr(1));
  ctx.Set(0, ctx.Reshape(ctx.Arg(0), shape));
}

void Transpose(NodeContext& ctx) {
  std::vector<int64_t> reversed;
  for (int64_t d = ctx.Rank(0); d-- > 0;) reversed.push_back(d);
  ctx.Set(0, ctx.Call("Transpose", {ctx.Arg(0)}, {{"perm", ctx.Ints("perm", reversed)}}));
}

void Expand(NodeContext& ctx) {
  ctx.Set(0, ctx.Call("Expand", {ctx.Arg(0)}, {{"shape", ctx.RequireExprs(1, "the shape of Expand")}}));
}

void Concat(NodeContext& ctx) {
  int64_t axis = ctx.opset() < 4 ? ctx.Int("axis", 1) : ctx.Int("axis");
  std::vector<Value> args;
  for (size_t i = 0; i < ctx.size(); ++i) args.push_back(ctx.Arg(i));
  if (args.empty()) ctx.Fail("TW2017", "there are no arguments");
  ctx.Set(0, args.size() == 1 ? ctx.Call("Identity", args) : ctx.Call("Concat", args, {{"axis", axis}}));
}

Value SliceAxis(NodeContext& ctx, const Value& x, size_t axis, const Expr& begin, const Expr& count) {
  std::vector<Expr> shape = x.tensor().shape, begins(shape.size(), Expr(0));
  begins[axis] = begin;
  shape[axis] = count;
  return ctx.Call("Slice", {x},
                  {{"begin", begins}, {"stride", std::vector<int64_t>(shape.size(), 1)}, {"shape", shape}});
}

void Split(NodeContext& ctx) {
  const SplitParts parts = SplitOf(ctx);
  Expr begin(0);
  for (size_t i = 0; i < parts.sizes.size(); ++i) {
    if (ctx.Wants(i)) ctx.Set(i, SliceAxis(ctx, ctx.Arg(0), parts.axis, begin, parts.sizes[i]));
    begin = begin + parts.sizes[i];
  }
}

void Slice(NodeContext& ctx) {
  SliceBounds bounds = SliceOf(ctx);
  ctx.Set(0, ctx.Call("Slice", {ctx.Arg(0)},
                      {{"begin", bounds.begin}, {"stride", bounds.step}, {"shape", bounds.count}}));
}

void Pad(NodeContext& ctx) {
  const std::vector<Expr> shape = ctx.Shape(0);
  const size_t rank = shape.size();
  std::vector<Expr> pads;
  std::vector<Value> args = {ctx.Arg(0)};
  if (ctx.opset() < 11) {
    pads = ToExprs(ctx.Ints(ctx.opset() < 2 ? "paddings" : "pads"));
    double value = ctx.Float("value", 0);
    if (value != 0) args.push_back(ctx.Scalar(ctx.DType(0), value));
  } else {
    pads = ctx.RequireExprs(1, "the pads of Pad");
    if (ctx.Has(2)) args.push_back(ctx.Reshape(ctx.Arg(2), {}));
  }
  std::vector<int64_t> axes;
  if (ctx.Has(3)) {
    for (int64_t a : ctx.RequireInts(3, "the axes of Pad"))
      axes.push_back(AxisFromFront(ctx, a, int64_t(rank)));
  } else {
    for (size_t d = 0; d < rank; ++d) axes.push_back(int64_t(d));
  }
  if (pads.size() != 2 * axes.size()) {
    ctx.Fail("TW2017", fmt::format("{} pads for {} axes", pads.size(), axes.size()));
  }
  std::vector<Expr> begin(rank, Expr(0)), end(rank, Expr(0));
  for (size_t i = 0; i < axes.size(); ++i) {
    begin[size_t(axes[i])] = pads[i];
    end[size_t(axes[i])] = pads[i + axes.size()];
  }
  std::string mode = ctx.String("mode", "constant");
  if (mode != "constant") args.resize(1);
  ctx.Set(0, ctx.Call("Pad", args, {{"begin", begin}, {"end", end}, {"mode", mode}}));
}

void Tile(NodeContext& ctx) {
  std::vector<Expr> repeats;
  if (ctx.opset() < 6) {
    repeats.assign(size_t(ctx.Rank(0)), Expr(1));
    auto tiles = ctx.RequireExprs(1, "the tiles of Tile");
    int64_t axis = AxisFromFront(ctx, ctx.RequireInts(2, "the axis of Tile").at(0), ctx.Rank(0));
    repeats[size_t(axis)] = tiles.at(0);
  } else {
    repeats = ctx.RequireExprs(1, "the repeats of Tile");
  }
  ctx.Set(0, ctx.Call("Tile", {ctx.Arg(0)}, {{"repeats", repeats}}));
}

// ---- Space and depth: reshape, transpose, reshape.

int64_t BlockSize(const NodeContext& ctx) {
  int64_t b = ctx.Int("blocksize");
  if (b < 1 || b > INT32_MAX || ctx.Rank(0) != 4)
    ctx.Fail("TW2015", fmt::format("blocksize {} and rank {}", b, ctx.Rank(0)));
  return b;
}

void DepthToSpace(NodeContext& ctx) {
  const Expr b(BlockSize(ctx));
  const std::vector<Expr> s = ctx.Shape(0);
  std::string mode = ctx.String("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    ctx.Fail("TW2015", fmt::format("mode is '{}', expected DCR or CRD", mode));
  const Expr c = FloorDiv(s[1], b * b);
  const bool depth_first = mode == "DCR";
  Value split = ctx.Reshape(ctx.Arg(0), depth_first ? std::vector<Expr>{s[0], b, b, c, s[2], s[3]}
                                                    : std::vector<Expr>{s[0], c, b, b, s[2], s[3]});
  std::vector<int64_t> perm =
      depth_first ? std::vector<int64_t>{0, 3, 4, 1, 5, 2} : std::vector<int64_t>{0, 1, 4, 2, 5, 3};
  Value moved = ctx.Call("Transpose", {split}, {{"perm", perm}});
  ctx.Set(0, ctx.Reshape(moved, {s[0], c, s[2] * b, s[3] * b}));
}

void SpaceToDepth(NodeContext& ctx) {
  const Expr b(BlockSize(ctx));
  const std::vector<Expr> s = ctx.Shape(0);
  std::string mode = ctx.String("mode", "DCR");
  if (mode != "DCR" && mode != "CRD")
    ctx.Fail("TW2015", fmt::format("mode is '{}', expected DCR or CRD", mode));
  const Expr h = FloorDiv(s[2], b), w = FloorDiv(s[3], b);
  Value split = ctx.Reshape(ctx.Arg(0), {s[0], s[1], h, b, w, b});
  std::vector<int64_t> perm =
      mode == "DCR" ? std::vector<int64_t>{0, 3, 5, 1, 2, 4} : std::vector<int64_t>{0, 1, 3, 5, 2, 4};
  Value moved = ctx.Call("Transpose", {split}, {{"perm", perm}});
  ctx.Set(0, ctx.Reshape(moved, {s[0], s[1] * b * b, h, w}));
}

// ---- Shapes as values; the content of small ones is followed by known_rules.cc, so that these see only what
// is too large or of another type.

void ConstantOfShape(NodeContext& ctx) {
  std::vector<Expr> shape = ctx.RequireExprs(0, "the shape of ConstantOfShape");
  NDArray value = ctx.HasAttr("value") ? ctx.Tensor("value") : NDArray::Zeros(kF32, {1});
  if (value.size() != 1) ctx.Fail("TW2015", fmt::format("value has {} elements, expected 1", value.size()));
  if (value.dtype().is_integer() && value.dtype().bits == 64 && std::abs(value.AsDouble(0)) > 9e15) {
    ctx.Unsupported("an integer beyond 2^53");
  }
  ctx.Set(0,
          ctx.Call("Full", {}, {{"dtype", value.dtype()}, {"shape", shape}, {"value", value.AsDouble(0)}}));
}

void Identity(NodeContext& ctx) {
  ctx.SetEntry(0, std::make_shared<Entry>(ctx.Input(0)));
  if (!ctx.outputs().empty() && ctx.outputs()[0]) {
    ctx.Arg(0);
    ctx.outputs()[0]->value = ctx.Arg(0);
    ctx.outputs()[0]->depends = nullptr;
  }
}

/// Never called: content of results is always known. The rows state that the operators exist.
void AlwaysKnown(NodeContext& ctx) { ctx.Unsupported("a tensor of that size or type"); }

void Constant(NodeContext& ctx) {
  NDArray value;
  if (ctx.HasAttr("value")) {
    value = ctx.Tensor("value");
  } else if (ctx.HasAttr("value_float")) {
    value = NDArray::FromDoubles(kF32, {}, std::vector<double>{ctx.Float("value_float")});
  } else if (ctx.HasAttr("value_int")) {
    value = NDArray::FromInts(kI64, {}, std::vector<int64_t>{ctx.Int("value_int")});
  } else if (ctx.HasAttr("value_floats")) {
    auto list = ctx.Floats("value_floats");
    value = NDArray::FromDoubles(kF32, {int64_t(list.size())}, list);
  } else if (ctx.HasAttr("value_ints")) {
    auto list = ctx.Ints("value_ints");
    value = NDArray::FromInts(kI64, {int64_t(list.size())}, list);
  } else {
    ctx.Unsupported("a constant of strings, of sparse data or without value");
  }
  auto entry = std::make_shared<Entry>();
  entry->data = std::move(value);
  ctx.SetEntry(0, std::move(entry));
}

void Dropout(NodeContext& ctx) {
  ctx.Ignore({"seed", "ratio", "is_test", "training_mode"});
  if (ctx.opset() < 7 && ctx.Int("is_test", 0) == 0 && ctx.opset() >= 7) ctx.Unsupported("training");
  if (ctx.Has(2) && ctx.RequireNumber(2, "training_mode of Dropout") != 0) {
    double ratio = ctx.Has(1) ? ctx.RequireNumber(1, "the ratio of Dropout") : 0.5;
    if (ratio != 0) ctx.Unsupported("Dropout in training");
  }
  ctx.Set(0, ctx.Call("Identity", {ctx.Arg(0)}));
  if (ctx.Wants(1)) {
    DataType mask = ctx.opset() < 10 ? ctx.DType(0) : kBool;
    ctx.Set(1, ctx.Call("Full", {}, {{"dtype", mask}, {"shape", ctx.Shape(0)}, {"value", 1.0}}));
  }
}

void Trilu(NodeContext& ctx) {
  int64_t k = ctx.Has(1) ? int64_t(ctx.RequireNumber(1, "the diagonal of Trilu")) : 0;
  ctx.Set(0, ctx.Call("Trilu", {ctx.Arg(0)}, {{"upper", ctx.Int("upper", 1) != 0}, {"k", k}}));
}

/// Elements of what becomes a constant on import, though the file does not hold it.
constexpr int64_t kMostListed = 1 << 24;

void EyeLike(NodeContext& ctx) {
  std::vector<int64_t> shape = ctx.StaticShape(0);
  if (shape.size() != 2) ctx.Fail("TW2017", fmt::format("argument 0 has rank {}, expected 2", shape.size()));
  DataType t =
      ctx.HasAttr("dtype") ? ElementType(int32_t(ctx.Int("dtype")), "the result of EyeLike") : ctx.DType(0);
  int64_t k = ctx.Int("k", 0);
  if (CheckedSize(shape) > kMostListed)
    ctx.Unsupported(fmt::format("EyeLike of {} by {}", shape[0], shape[1]));
  NDArray eye = NDArray::Zeros(t, shape);
  for (int64_t i = 0; i < shape[0]; ++i) {
    if (i + k >= 0 && i + k < shape[1]) eye.SetInt(i * shape[1] + i + k, 1);
  }
  ctx.Set(0, ctx.Constant(eye));
}

void Range(NodeContext& ctx) {
  double start = ctx.RequireNumber(0, "the start of Range"),
         limit = ctx.RequireNumber(1, "the limit of Range");
  double delta = ctx.RequireNumber(2, "the delta of Range");
  ctx.Ignore({"stash_type"});
  if (delta == 0) ctx.Fail("TW2017", "the delta of Range is 0");
  double count = std::max(0.0, std::ceil((limit - start) / delta));
  if (!(count <= double(kMostListed))) ctx.Unsupported(fmt::format("a Range of {} elements", count));
  NDArray range = NDArray::Empty(ctx.DType(0), {int64_t(count)});
  for (int64_t i = 0; i < range.size(); ++i) range.SetDouble(i, start + double(i) * delta);
  ctx.Set(0, ctx.Constant(range));
}

void CenterCropPad(NodeContext& ctx) {
  const std::vector<int64_t> shape = ctx.StaticShape(0);
  const int64_t rank = int64_t(shape.size());
  std::vector<int64_t> axes, target = ctx.RequireInts(1, "the shape of CenterCropPad");
  if (ctx.HasAttr("axes")) {
    for (int64_t a : ctx.Ints("axes")) axes.push_back(AxisFromFront(ctx, a, rank));
  } else {
    for (int64_t d = 0; d < rank; ++d) axes.push_back(d);
  }
  if (axes.size() != target.size())
    ctx.Fail("TW2017", fmt::format("{} extents for {} axes", target.size(), axes.size()));
  std::vector<Expr> begin(shape.size(), Expr(0)), end(shape.size(), Expr(0));
  for (size_t i = 0; i < axes.size(); ++i) {
    int64_t grow = target[i] - shape[size_t(axes[i])];
    int64_t before = grow >= 0 ? grow / 2 : -((-grow) / 2);
    begin[size_t(axes[i])] = Expr(before);
    end[size_t(axes[i])] = Expr(grow - before);
  }
  ctx.Set(0, ctx.Call("Pad", {ctx.Arg(0)}, {{"begin", begin}, {"end", end}}));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Reshape", 1, 0, Reshape},
    {"Flatten", 1, 0, Flatten},
    {"Squeeze", 1, 0, Squeeze},
    {"Unsqueeze", 1, 0, Unsqueeze},
    {"Transpose", 1, 0, Transpose},
    {"Expand", 8, 0, Expand},
    {"Concat", 1, 0, Concat},
    {"Split", 1, 0, Split},
    {"Slice", 1, 0, Slice},
    {"Pad", 1, 0, Pad},
    {"Tile", 1, 0, Tile},
    {"DepthToSpace", 1, 0, DepthToSpace},
    {"SpaceToDepth", 1, 0, SpaceToDepth},
    {"Shape", 1, 0, AlwaysKnown},
    {"Size", 1, 0, AlwaysKnown},
    {"ConstantOfShape", 9, 0, ConstantOfShape},
    {"Constant", 1, 0, Constant},
    {"Identity", 1, 0, Identity},
    {"Dropout", 1, 0, Dropout},
    {"Trilu", 14, 0, Trilu},
    {"EyeLike", 9, 0, EyeLike},
    {"Range", 11, 0, Range},
    {"CenterCropPad", 18, 0, CenterCropPad},
});

}  // namespace
}  // namespace tilewright::onnx
