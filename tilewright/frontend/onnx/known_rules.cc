// SPDX-License-Identifier: Apache-2.0
// Content of small tensors, followed through the operators from which models compute shapes. A rule does
// nothing (and the operator is converted as any other) where an argument's content is not known.
#include <cmath>

#include "tilewright/arith/eval.h"
#include "tilewright/frontend/onnx/slice_bounds.h"

namespace tilewright::onnx {
namespace {

/// Types that are followed: others wrap around or round in ways that nothing here imitates.
bool Followed(DataType t) { return t == kI64 || t == kI32 || t.is_bool() || t.is_float(); }

/// Content of arguments [first, ...) when all of it is known.
std::optional<std::vector<Known>> AllKnown(const NodeContext& ctx, size_t first = 0) {
  std::vector<Known> all;
  for (size_t i = first; i < ctx.size(); ++i) {
    auto known = ctx.KnownInput(i);
    if (!known || !Followed(known->dtype)) return std::nullopt;
    all.push_back(std::move(*known));
  }
  if (all.empty()) return std::nullopt;
  return all;
}

/// The value of a constant expression. Floats compute in double and are rounded to their type afterwards.
std::optional<double> ConstantValue(const Expr& e) {
  if (auto immediate = AsNumber(e)) return immediate;
  auto value = EvalScalar(e, {});
  if (!value) return std::nullopt;
  return std::visit([](auto v) { return double(v); }, *value);
}

/// Checks that elements are what the type can hold, and stores.
bool Store(NodeContext& ctx, size_t i, Known known) {
  if (int64_t(known.elements.size()) > Known::kMaxElements) return false;
  for (Expr& e : known.elements) {
    if (!e) return false;
    if (known.dtype.is_float()) {
      auto value = ConstantValue(e);
      if (!value) return false;
      e = KnownElement(known.dtype, *value);
    } else if (auto value = AsInt(e)) {
      bool fits = known.dtype != kI32 || (*value >= INT32_MIN && *value <= INT32_MAX);
      if (!fits) return false;
      e = Expr(*value);
    }
  }
  ctx.SetKnown(i, std::move(known));
  return true;
}

/// Calls f with each index of a shape, in row-major order.
void ForEachIndex(const std::vector<int64_t>& shape,
                  const std::function<void(const std::vector<int64_t>&)>& f) {
  std::vector<int64_t> index(shape.size(), 0);
  for (int64_t n = ElementCount(shape); n > 0; --n) {
    f(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

/// A tensor of `shape` whose elements are picked from `x` by index.
Known Pick(const Known& x, std::vector<int64_t> shape,
           const std::function<std::vector<int64_t>(const std::vector<int64_t>&)>& from) {
  Known result{x.dtype, shape, {}};
  std::vector<int64_t> strides = RowMajor(x.shape);
  ForEachIndex(shape, [&](const std::vector<int64_t>& i) {
    std::vector<int64_t> at = from(i);
    int64_t flat = 0;
    for (size_t d = 0; d < at.size(); ++d) flat += at[d] * strides[d];
    result.elements.push_back(x.elements[size_t(flat)]);
  });
  return result;
}

std::optional<std::vector<int64_t>> Broadcast(const std::vector<int64_t>& a, const std::vector<int64_t>& b) {
  std::vector<int64_t> shape(std::max(a.size(), b.size()), 1);
  for (size_t i = 0; i < shape.size(); ++i) {
    int64_t x = i + a.size() < shape.size() ? 1 : a[i + a.size() - shape.size()];
    int64_t y = i + b.size() < shape.size() ? 1 : b[i + b.size() - shape.size()];
    if (x != y && x != 1 && y != 1) return std::nullopt;
    shape[i] = x == 1 ? y : x;
  }
  const bool valid = std::all_of(shape.begin(), shape.end(), [](int64_t d) { return d >= 0; });
  if (!valid || ElementCount(shape) > Known::kMaxElements) return std::nullopt;
  return shape;
}

Known BroadcastTo(const Known& x, const std::vector<int64_t>& shape) {
  if (x.shape == shape) return x;
  return Pick(x, shape, [&](const std::vector<int64_t>& i) {
    std::vector<int64_t> at;
    for (size_t d = 0; d < x.shape.size(); ++d) {
      at.push_back(x.shape[d] == 1 ? 0 : i[i.size() - x.shape.size() + d]);
    }
    return at;
  });
}

// ---- Element-wise

using ElementRule = Expr (*)(const std::vector<Expr>& x);

/// Any number of arguments.
constexpr size_t kAny = 0;

/// f over `arity` broadcast arguments; the result has the last argument's type, or bool.
bool Elementwise(NodeContext& ctx, size_t arity, ElementRule f, bool to_bool = false) {
  auto all = AllKnown(ctx);
  if (!all || (arity != kAny && all->size() != arity)) return false;
  std::vector<int64_t> shape;
  for (const Known& k : *all) {
    auto joined = Broadcast(shape, k.shape);
    if (!joined || (k.dtype.is_float() && !k.constant())) return false;
    shape = *joined;
  }
  Known result{to_bool ? kBool : all->back().dtype, shape, {}};
  std::vector<Known> wide;
  for (const Known& k : *all) wide.push_back(BroadcastTo(k, shape));
  for (int64_t e = 0; e < ElementCount(shape); ++e) {
    std::vector<Expr> x;
    for (const Known& k : wide) x.push_back(k.elements[size_t(e)]);
    for (size_t k = 1; k < x.size(); ++k) {
      if (wide[k].dtype.is_float() != wide.back().dtype.is_float() && k + 1 < x.size()) return false;
    }
    result.elements.push_back(f(x));
  }
  return Store(ctx, 0, std::move(result));
}

bool SameTypes(const NodeContext& ctx) {
  for (size_t i = 1; i < ctx.size(); ++i) {
    if (!ctx.Has(i) || ctx.DType(i) != ctx.DType(0)) return false;
  }
  return true;
}

template <BinaryOp op>
bool Binary(NodeContext& ctx) {
  if (ctx.HasAttr("broadcast") || !SameTypes(ctx) || ctx.DType(0).is_bool()) return false;
  return Elementwise(ctx, 2, [](const std::vector<Expr>& x) { return MakeBinary(op, x[0], x[1]); });
}
template <BinaryOp op>
bool Fold(NodeContext& ctx) {
  if (!SameTypes(ctx)) return false;
  return Elementwise(ctx, kAny, [](const std::vector<Expr>& x) {
    Expr y = x[0];
    for (size_t i = 1; i < x.size(); ++i) y = MakeBinary(op, y, x[i]);
    return y;
  });
}
template <BinaryOp op, bool swap = false>
bool Compare(NodeContext& ctx) {
  if (ctx.HasAttr("broadcast") || !SameTypes(ctx)) return false;
  // A comparison of symbolic expressions is worth nothing to a shape unless it can be decided.
  auto all = AllKnown(ctx);
  if (!all || all->size() != 2 || !(*all)[0].constant() || !(*all)[1].constant()) return false;
  return Elementwise(
      ctx, 2,
      [](const std::vector<Expr>& x) {
        Expr c = swap ? MakeBinary(op, x[1], x[0]) : MakeBinary(op, x[0], x[1]);
        auto value = EvalInt(c, {});
        return value ? Expr(*value) : Expr(nullptr);
      },
      true);
}

bool Divide(NodeContext& ctx) {
  if (ctx.HasAttr("broadcast") || !SameTypes(ctx)) return false;
  return Elementwise(ctx, 2, [](const std::vector<Expr>& x) -> Expr {
    if (x[0].dtype().is_float()) return x[0] / x[1];
    auto divisor = AsInt(x[1]);
    if (!divisor || *divisor == 0) return nullptr;
    // Symbolic extents are not negative, so that both roundings agree; floor division simplifies better.
    return AsInt(x[0]) ? TruncDiv(x[0], x[1]) : FloorDiv(x[0], x[1]);
  });
}

bool Modulo(NodeContext& ctx) {
  if (!SameTypes(ctx) || ctx.Int("fmod", 0) != 0 || ctx.DType(0).is_float()) return false;
  return Elementwise(ctx, 2, [](const std::vector<Expr>& x) -> Expr {
    auto divisor = AsInt(x[1]);
    if (!divisor || *divisor == 0) return nullptr;
    return FloorMod(x[0], x[1]);
  });
}

template <double (*f)(double)>
bool FloatFunction(NodeContext& ctx) {
  if (!ctx.DType(0).is_float()) return false;
  return Elementwise(ctx, 1, [](const std::vector<Expr>& x) -> Expr {
    auto value = AsNumber(x[0]);
    return value ? MakeConst(kF64, f(*value)) : Expr(nullptr);
  });
}
double FloorOf(double x) { return std::floor(x); }
double CeilOf(double x) { return std::ceil(x); }
double RoundOf(double x) { return std::nearbyint(x); }
double SqrtOf(double x) { return std::sqrt(x); }

bool Negate(NodeContext& ctx) {
  return Elementwise(ctx, 1, [](const std::vector<Expr>& x) { return -x[0]; });
}
double ReluOf(double x) { return x < 0 ? 0 : x; }
bool Rectify(NodeContext& ctx) {
  if (ctx.DType(0).is_float()) return FloatFunction<ReluOf>(ctx);
  return Elementwise(ctx, 1,
                     [](const std::vector<Expr>& x) { return Max(x[0], MakeConst(x[0].dtype(), 0)); });
}
bool Absolute(NodeContext& ctx) {
  return Elementwise(ctx, 1, [](const std::vector<Expr>& x) { return Max(x[0], -x[0]); });
}

/// Logic on bools, which are integers 0 and 1 here.
bool LogicalAnd(NodeContext& ctx) {
  if (ctx.HasAttr("broadcast")) return false;
  return Elementwise(ctx, 2, [](const std::vector<Expr>& x) { return x[0] * x[1]; });
}
bool LogicalOr(NodeContext& ctx) {
  if (ctx.HasAttr("broadcast")) return false;
  return Elementwise(ctx, 2, [](const std::vector<Expr>& x) { return Max(x[0], x[1]); });
}
bool LogicalNot(NodeContext& ctx) {
  return Elementwise(ctx, 1, [](const std::vector<Expr>& x) { return Expr(1) - x[0]; });
}
bool Choose(NodeContext& ctx) {
  return Elementwise(ctx, 3, [](const std::vector<Expr>& x) -> Expr {
    auto c = AsInt(x[0]);
    if (!c) return nullptr;
    return *c ? x[1] : x[2];
  });
}

bool ConvertElements(NodeContext& ctx, DataType to) {
  auto x = ctx.KnownInput(0);
  if (!x || !Followed(x->dtype) || !Followed(to)) return false;
  for (Expr& e : x->elements) {
    auto value = AsNumber(e);
    if (to.is_bool()) {
      if (!value) return false;
      e = Expr(int64_t(*value != 0));
    } else if (to.is_float()) {
      if (!value) return false;
      e = MakeConst(kF64, *value);
    } else if (x->dtype.is_float()) {
      if (!value || !(std::abs(*value) < 9e15)) return false;
      e = Expr(int64_t(*value));
    }
  }
  x->dtype = to;
  return Store(ctx, 0, std::move(*x));
}

bool CastRule(NodeContext& ctx) {
  ctx.Ignore({"saturate", "round_mode"});
  if (ctx.opset() < 6) return false;
  return ConvertElements(ctx, ElementType(int32_t(ctx.Int("to")), "the result of Cast"));
}
bool CastLikeRule(NodeContext& ctx) {
  ctx.Ignore({"saturate", "round_mode"});
  return ctx.Has(1) && ConvertElements(ctx, ctx.DType(1));
}

// ---- Shapes

bool ShapeRule(NodeContext& ctx) {
  std::vector<Expr> shape = ctx.Shape(0);
  const int64_t rank = int64_t(shape.size());
  auto bound = [&](int64_t v) { return std::min(std::max(v < 0 ? v + rank : v, int64_t{0}), rank); };
  int64_t start = bound(ctx.Int("start", 0)), end = bound(ctx.Int("end", rank));
  if (end < start) end = start;
  std::vector<Expr> part(shape.begin() + start, shape.begin() + end);
  return Store(ctx, 0, {kI64, {int64_t(part.size())}, part});
}

bool SizeRule(NodeContext& ctx) { return Store(ctx, 0, {kI64, {}, {ctx.Type(0).NumElements()}}); }

bool IdentityRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  return x && Store(ctx, 0, std::move(*x));
}

/// Axes of Squeeze and Unsqueeze: an attribute up to operator set 12, then an argument.
std::optional<std::vector<int64_t>> AxesOf(const NodeContext& ctx) {
  if (ctx.opset() < 13) return ctx.HasAttr("axes") ? std::optional(ctx.Ints("axes")) : std::nullopt;
  auto known = ctx.KnownInput(1);
  return known ? known->Ints() : std::nullopt;
}

bool UnsqueezeRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  auto axes = AxesOf(ctx);
  if (!x || !axes) return false;
  const int64_t rank = int64_t(x->shape.size() + axes->size());
  std::set<int64_t> places;
  for (int64_t a : *axes) places.insert(AxisFromFront(ctx, a, rank));
  if (places.size() != axes->size()) return false;
  for (int64_t a : places) x->shape.insert(x->shape.begin() + a, 1);
  return Store(ctx, 0, std::move(*x));
}

bool SqueezeRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  if (!x || (ctx.Has(1) && !ctx.KnownInput(1))) return false;
  auto axes = AxesOf(ctx);
  std::vector<int64_t> shape;
  std::set<int64_t> dropped;
  for (int64_t a : axes.value_or(std::vector<int64_t>{})) {
    dropped.insert(AxisFromFront(ctx, a, int64_t(x->shape.size())));
  }
  for (size_t d = 0; d < x->shape.size(); ++d) {
    bool drop = axes ? dropped.count(int64_t(d)) > 0 : x->shape[d] == 1;
    if (drop && x->shape[d] != 1) return false;
    if (!drop) shape.push_back(x->shape[d]);
  }
  x->shape = shape;
  return Store(ctx, 0, std::move(*x));
}

bool ReshapeRule(NodeContext& ctx) {
  ctx.Ignore({"allowzero"});  // where no entry is 0
  auto x = ctx.KnownInput(0);
  auto target = ctx.opset() < 5 ? std::optional<Known>() : ctx.KnownInput(1);
  auto shape = target ? target->Ints() : std::nullopt;
  if (!x || !shape) return false;
  std::optional<size_t> free;
  for (size_t d = 0; d < shape->size(); ++d) {
    int64_t& v = (*shape)[d];
    if (v == 0 && ctx.Int("allowzero", 0) == 0 && d < x->shape.size()) v = x->shape[d];
    if (v < -1 || (v == -1 && free)) return false;
    if (v == -1) free = d;
  }
  const int64_t count = int64_t(x->elements.size());
  if (free) {
    (*shape)[*free] = 1;
    const int64_t known = ElementCount(*shape);
    if (known == 0) return false;
    (*shape)[*free] = count / known;
  }
  if (ElementCount(*shape) != count) return false;
  x->shape = *shape;
  return Store(ctx, 0, std::move(*x));
}

bool ConcatRule(NodeContext& ctx) {
  auto all = AllKnown(ctx);
  if (!all || (ctx.opset() < 4 && !ctx.HasAttr("axis")) || !SameTypes(ctx)) return false;
  const size_t rank = (*all)[0].shape.size();
  if (rank != 1) return false;
  AxisFromFront(ctx, ctx.Int("axis"), 1);
  Known result{(*all)[0].dtype, {0}, {}};
  for (Known& k : *all) {
    if (k.shape.size() != 1) return false;
    result.shape[0] += k.shape[0];
    result.elements.insert(result.elements.end(), k.elements.begin(), k.elements.end());
  }
  return Store(ctx, 0, std::move(result));
}

bool GatherRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0), which = ctx.KnownInput(1);
  auto indices = which ? which->Ints() : std::nullopt;
  if (!x || !indices) return false;
  const size_t axis = size_t(AxisFromFront(ctx, ctx.Int("axis", 0), int64_t(x->shape.size())));
  for (int64_t& i : *indices) {
    if (i < -x->shape[axis] || i >= x->shape[axis]) return false;
    if (i < 0) i += x->shape[axis];
  }
  const auto split = std::ptrdiff_t(axis), width = std::ptrdiff_t(which->shape.size());
  std::vector<int64_t> shape(x->shape.begin(), x->shape.begin() + split);
  shape.insert(shape.end(), which->shape.begin(), which->shape.end());
  shape.insert(shape.end(), x->shape.begin() + split + 1, x->shape.end());
  if (ElementCount(shape) > Known::kMaxElements) return false;
  std::vector<int64_t> strides = RowMajor(which->shape);
  return Store(ctx, 0, Pick(*x, shape, [&](const std::vector<int64_t>& i) {
                 std::vector<int64_t> at(i.begin(), i.begin() + split);
                 int64_t flat = 0;
                 for (std::ptrdiff_t k = 0; k < width; ++k) flat += i[size_t(split + k)] * strides[size_t(k)];
                 at.push_back((*indices)[size_t(flat)]);
                 at.insert(at.end(), i.begin() + split + width, i.end());
                 return at;
               }));
}

bool SliceRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  if (!x) return false;
  for (size_t i = 1; i < ctx.size(); ++i) {
    auto known = ctx.KnownInput(i);
    if (ctx.Has(i) && (!known || !known->constant())) return false;
  }
  SliceBounds bounds = SliceOf(ctx);
  std::vector<int64_t> shape, begin;
  for (size_t d = 0; d < x->shape.size(); ++d) {
    shape.push_back(*AsInt(bounds.count[d]));
    begin.push_back(*AsInt(bounds.begin[d]));
  }
  return Store(ctx, 0, Pick(*x, shape, [&](const std::vector<int64_t>& i) {
                 std::vector<int64_t> at;
                 for (size_t d = 0; d < i.size(); ++d) at.push_back(begin[d] + i[d] * bounds.step[d]);
                 return at;
               }));
}

bool SplitRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  if (!x || x->shape.empty()) return false;
  if (auto sizes = ctx.KnownInput(1); ctx.Has(1) && (!sizes || !sizes->constant())) return false;
  const SplitParts parts = SplitOf(ctx);
  int64_t begin = 0;
  for (size_t k = 0; k < parts.sizes.size(); ++k) {
    std::vector<int64_t> shape = x->shape;
    shape[parts.axis] = *AsInt(parts.sizes[k]);
    Known part = Pick(*x, shape, [&](std::vector<int64_t> i) {
      i[parts.axis] += begin;
      return i;
    });
    if (!Store(ctx, k, std::move(part))) return false;
    begin += *AsInt(parts.sizes[k]);
  }
  return true;
}

bool TransposeRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  if (!x) return false;
  const int64_t rank = int64_t(x->shape.size());
  std::vector<int64_t> reversed;
  for (int64_t d = rank; d-- > 0;) reversed.push_back(d);
  std::vector<int64_t> perm = ctx.Ints("perm", reversed), shape;
  if (std::set<int64_t>(perm.begin(), perm.end()).size() != size_t(rank)) return false;
  for (int64_t p : perm) {
    if (p < 0 || p >= rank) return false;
    shape.push_back(x->shape[size_t(p)]);
  }
  return Store(ctx, 0, Pick(*x, shape, [&](const std::vector<int64_t>& i) {
                 std::vector<int64_t> at(i.size());
                 for (size_t d = 0; d < i.size(); ++d) at[size_t(perm[d])] = i[d];
                 return at;
               }));
}

bool ExpandRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0), target = ctx.KnownInput(1);
  auto shape = target ? target->Ints() : std::nullopt;
  auto joined = x && shape ? Broadcast(x->shape, *shape) : std::nullopt;
  return joined && Store(ctx, 0, BroadcastTo(*x, *joined));
}

bool ConstantOfShapeRule(NodeContext& ctx) {
  auto target = ctx.KnownInput(0);
  auto shape = target ? target->Ints() : std::nullopt;
  if (!shape) return false;
  for (int64_t d : *shape) {
    if (d < 0) return false;
  }
  NDArray value = ctx.HasAttr("value") ? ctx.Tensor("value") : NDArray::Zeros(kF32, {1});
  if (value.size() != 1 || !Followed(value.dtype())) return false;
  double count = 1;
  for (int64_t d : *shape) count *= double(d);
  if (count > double(Known::kMaxElements)) return false;
  Known result{value.dtype(), *shape, {}};
  result.elements.assign(size_t(ElementCount(*shape)), Known::FromArray(value)->elements[0]);
  return Store(ctx, 0, std::move(result));
}

bool RangeRule(NodeContext& ctx) {
  auto all = AllKnown(ctx);
  if (!all || all->size() != 3 || !SameTypes(ctx) || (*all)[0].dtype.is_float()) return false;
  std::vector<int64_t> v;
  for (Known& k : *all) {
    auto ints = k.Ints();
    if (!ints || ints->size() != 1) return false;
    v.push_back(ints->front());
  }
  for (int64_t n : v) {
    // What double holds exactly.
    if (n < -(int64_t{1} << 53) || n > int64_t{1} << 53) return false;
  }
  if (v[2] == 0) return false;
  double count = std::max(0.0, std::ceil((double(v[1]) - double(v[0])) / double(v[2])));
  if (count > double(Known::kMaxElements)) return false;
  Known result{(*all)[0].dtype, {int64_t(count)}, {}};
  for (int64_t i = 0; i < int64_t(count); ++i) result.elements.push_back(Expr(v[0] + i * v[2]));
  return Store(ctx, 0, std::move(result));
}

bool NonZeroRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  auto numbers = x ? x->Numbers() : std::nullopt;
  if (!numbers) return false;
  std::vector<std::vector<int64_t>> found;
  size_t flat = 0;
  ForEachIndex(x->shape, [&](const std::vector<int64_t>& i) {
    if ((*numbers)[flat++] != 0) found.push_back(i);
  });
  Known result{kI64, {int64_t(x->shape.size()), int64_t(found.size())}, {}};
  for (size_t d = 0; d < x->shape.size(); ++d) {
    for (auto& i : found) result.elements.push_back(Expr(i[d]));
  }
  return Store(ctx, 0, std::move(result));
}

/// A reduction of a one-dimensional tensor of integers.
template <BinaryOp op>
bool ReduceRule(NodeContext& ctx) {
  auto x = ctx.KnownInput(0);
  if (!x || x->dtype.is_float() || x->dtype.is_bool() || x->shape.size() != 1 || x->elements.empty())
    return false;
  if (ctx.Has(1)) {
    auto known = ctx.KnownInput(1);
    auto axes = known ? known->Ints() : std::nullopt;
    if (!axes) return false;
    if (axes->empty() && ctx.Int("noop_with_empty_axes", 0)) return false;
  }
  ctx.Ignore({"axes", "noop_with_empty_axes"});
  Expr total = x->elements[0];
  for (size_t i = 1; i < x->elements.size(); ++i) total = MakeBinary(op, total, x->elements[i]);
  std::vector<int64_t> shape;
  if (ctx.Int("keepdims", 1)) shape = {1};
  return Store(ctx, 0, {x->dtype, shape, {total}});
}

[[maybe_unused]] const bool kRegistered = RegisterKnownRules({
    {"Shape", ShapeRule},
    {"Size", SizeRule},
    {"Identity", IdentityRule},
    {"Cast", CastRule},
    {"CastLike", CastLikeRule},
    {"Gather", GatherRule},
    {"Slice", SliceRule},
    {"Split", SplitRule},
    {"Concat", ConcatRule},
    {"Unsqueeze", UnsqueezeRule},
    {"Squeeze", SqueezeRule},
    {"Reshape", ReshapeRule},
    {"Transpose", TransposeRule},
    {"Expand", ExpandRule},
    {"ConstantOfShape", ConstantOfShapeRule},
    {"Range", RangeRule},
    {"NonZero", NonZeroRule},
    {"Add", Binary<BinaryOp::kAdd>},
    {"Sub", Binary<BinaryOp::kSub>},
    {"Mul", Binary<BinaryOp::kMul>},
    {"Div", Divide},
    {"Mod", Modulo},
    {"Min", Fold<BinaryOp::kMin>},
    {"Max", Fold<BinaryOp::kMax>},
    {"Neg", Negate},
    {"Abs", Absolute},
    {"Relu", Rectify},
    {"Floor", FloatFunction<FloorOf>},
    {"Ceil", FloatFunction<CeilOf>},
    {"Round", FloatFunction<RoundOf>},
    {"Sqrt", FloatFunction<SqrtOf>},
    {"Equal", Compare<BinaryOp::kEq>},
    {"Less", Compare<BinaryOp::kLt>},
    {"LessOrEqual", Compare<BinaryOp::kLe>},
    {"Greater", Compare<BinaryOp::kLt, true>},
    {"GreaterOrEqual", Compare<BinaryOp::kLe, true>},
    {"And", LogicalAnd},
    {"Or", LogicalOr},
    {"Not", LogicalNot},
    {"Where", Choose},
    {"ReduceProd", ReduceRule<BinaryOp::kMul>},
    {"ReduceSum", ReduceRule<BinaryOp::kAdd>},
    {"ReduceMax", ReduceRule<BinaryOp::kMax>},
    {"ReduceMin", ReduceRule<BinaryOp::kMin>},
});

}  // namespace
}  // namespace tilewright::onnx
