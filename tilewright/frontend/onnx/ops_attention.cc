// SPDX-License-Identifier: Apache-2.0
// Attention and what stands around it in language models, as ONNX's operator documentation defines them.
#include <cmath>
#include <limits>

#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();

// ---- Masks

/// Which keys a query sees: conditions that all must hold, and numbers added to the scores. Each broadcasts
/// to [batch, heads, queries, keys], or is null for no restriction.
struct Mask {
  Value allowed, bias;
  /// A row may turn out to allow nothing.
  bool may_be_empty = false;
};

void Require(NodeContext& ctx, Mask& mask, const Value& condition) {
  mask.allowed = mask.allowed ? ctx.Call("And", {mask.allowed, condition}) : condition;
}

/// 0, 1, ... along axis `axis` of a tensor of rank `rank`.
Value Positions(NodeContext& ctx, const Expr& extent, int rank, int axis) {
  auto n = AsInt(extent);
  if (!n) ctx.Unsupported("a sequence of symbolic length");
  std::vector<int64_t> numbers, shape(size_t(rank), 1);
  for (int64_t i = 0; i < *n; ++i) numbers.push_back(i);
  shape[size_t(axis)] = *n;
  return ctx.Constant(NDArray::FromInts(kI64, shape, numbers));
}

/// Where the queries stand among the keys: after `past` keys, or, per batch, at the end of those that are
/// valid.
struct Place {
  Expr past = Expr(0);
  Value valid;  ///< i64 [batch], or null
};

/// Keys up to `ahead` behind the query's own position (`upper`), or from `ahead` on; both counted from there.
Value Band(NodeContext& ctx, const Place& place, const Expr& queries, const Expr& keys, bool upper,
           int64_t ahead) {
  if (!place.valid) {
    auto past = AsInt(place.past);
    if (!past) ctx.Unsupported("a past of symbolic length under a causal mask or a window");
    Value full =
        ctx.Call("Full", {}, {{"dtype", kBool}, {"shape", std::vector<Expr>{queries, keys}}, {"value", 1.0}});
    return ctx.Call("Trilu", {full}, {{"upper", !upper}, {"k", *past + ahead}});
  }
  Value start = ctx.Call("Sub", {place.valid, ctx.Scalar(kI64, double(*AsInt(queries)))});
  start = ctx.Reshape(start, {start.tensor().shape[0], Expr(1), Expr(1), Expr(1)});
  Value own = ctx.Call("Add", {start, Positions(ctx, queries, 4, 2)});
  Value limit = ctx.Call("Add", {own, ctx.Scalar(kI64, double(ahead))}), key = Positions(ctx, keys, 4, 3);
  return upper ? ctx.Call("LessEqual", {key, limit}) : ctx.Call("LessEqual", {limit, key});
}

/// Argument 3, with what it lacks behind its last key disallowed.
void AddMaskArgument(NodeContext& ctx, const Expr& keys, Mask& mask) {
  Value given = ctx.OptionalArg(3);
  if (!given) return;
  const TensorType type = given.tensor();
  if (type.rank() < 1 || type.rank() > 4)
    ctx.Fail("TW2017", fmt::format("the mask has rank {}, expected 1 to 4", type.rank()));
  auto have = AsInt(type.shape.back()), want = AsInt(keys);
  if (have && want && *have > *want)
    ctx.Fail("TW2017", fmt::format("the mask covers {} keys, there are {}", *have, *want));
  if (have && want && *have < *want) {
    std::vector<Expr> begin(size_t(type.rank()), Expr(0)), end = begin;
    end.back() = Expr(*want - *have);
    Value fill = ctx.Scalar(type.dtype, type.dtype.is_bool() ? 0 : -kInf);
    given = ctx.Call("Pad", {given, fill}, {{"begin", begin}, {"end", end}});
  }
  mask.may_be_empty = true;
  if (type.dtype.is_bool()) return Require(ctx, mask, given);
  mask.bias = given;
}

Mask MaskOf(NodeContext& ctx, const Place& place, const Expr& queries, const Expr& keys) {
  Mask mask;
  AddMaskArgument(ctx, keys, mask);
  const int64_t left = ctx.Int("left_window_size", -1), right = ctx.Int("right_window_size", -1);
  if (left < -1 || right < -1)
    ctx.Fail("TW2015", fmt::format("windows of {} and {}, expected -1 or more", left, right));
  if (ctx.Int("is_causal", 0) != 0) Require(ctx, mask, Band(ctx, place, queries, keys, true, 0));
  if (right >= 0) Require(ctx, mask, Band(ctx, place, queries, keys, true, right));
  if (left >= 0) Require(ctx, mask, Band(ctx, place, queries, keys, false, -left));
  if (place.valid) {
    Value count = ctx.Reshape(place.valid, {place.valid.tensor().shape[0], Expr(1), Expr(1), Expr(1)});
    Require(ctx, mask, ctx.Call("Less", {Positions(ctx, keys, 4, 3), count}));
  }
  mask.may_be_empty |= left >= 0 || place.valid;
  return mask;
}

/// Whether a row allows any key: bool [..., queries, 1].
Value RowHasKeys(NodeContext& ctx, const Mask& mask, DataType t) {
  const Annotations last = {{"axes", std::vector<int64_t>{-1}}, {"keepdims", true}};
  if (!mask.bias) return ctx.Call("ReduceMax", {mask.allowed}, last);
  Value bias = mask.bias, least = ctx.Scalar(t, -kInf);
  if (mask.allowed) bias = ctx.Call("Where", {mask.allowed, bias, least});
  return ctx.Call("Less", {least, ctx.Call("ReduceMax", {bias}, last)});
}

// ---- Attention

/// [batch, sequence, heads * size] as [batch, heads, sequence, size]; what has four axes stays.
Value SplitHeads(NodeContext& ctx, size_t i, const char* count) {
  Value x = ctx.Arg(i);
  const std::vector<Expr> shape = x.tensor().shape;
  if (shape.size() == 4) return x;
  if (shape.size() != 3)
    ctx.Fail("TW2017", fmt::format("argument {} has rank {}, expected 3 or 4", i, shape.size()));
  const int64_t heads = ctx.Int(count);
  auto width = AsInt(shape[2]);
  if (heads < 1 || (width && *width % heads))
    ctx.Fail("TW2015", fmt::format("{} is {}, which does not divide argument {}", count, heads, i));
  x = ctx.Reshape(x, {shape[0], shape[1], Expr(heads), FloorDiv(shape[2], Expr(heads))});
  return ctx.Call("Transpose", {x}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
}

/// Queries of a group share a head of keys: they become rows of one product.
struct Groups {
  int64_t per_head = 1;
  std::vector<Expr> joined,
      apart;  ///< leading shapes [batch, key heads, group * queries], [batch, heads, queries]
};

Groups GroupsOf(NodeContext& ctx, const Value& q, const Value& k, const Value& v) {
  const auto &qs = q.tensor().shape, &ks = k.tensor().shape;
  Groups groups{1, {ks[0], ks[1], qs[2]}, {qs[0], qs[1], qs[2]}};
  auto heads = AsInt(qs[1]), shared = AsInt(ks[1]), values = AsInt(v.tensor().shape[1]);
  if (!heads || !shared || !values) ctx.Unsupported("a symbolic number of heads");
  if (*shared < 1 || *heads % *shared || *shared != *values) {
    ctx.Fail("TW2017", fmt::format("{} heads of queries, {} of keys and {} of values do not go together",
                                   *heads, *shared, *values));
  }
  groups.per_head = *heads / *shared;
  groups.joined = {qs[0], ks[1], Expr(groups.per_head) * qs[2]};
  return groups;
}

Value WithLast(NodeContext& ctx, const Value& x, std::vector<Expr> leading) {
  leading.push_back(x.tensor().shape.back());
  return ctx.Reshape(x, leading);
}

/// q k^T times the scale. Narrow floats take its root on both sides, so that products stay in range.
Value Scores(NodeContext& ctx, const Value& q, const Value& k, const Groups& groups) {
  const DataType t = q.tensor().dtype;
  auto size = AsInt(q.tensor().shape[3]);
  if (!size && !ctx.HasAttr("scale")) ctx.Unsupported("a symbolic head size without scale");
  const double scale = ctx.HasAttr("scale") ? ctx.Float("scale") : 1 / std::sqrt(double(*size));
  const bool narrow = t.bits < 32;
  const Value factor = ctx.Scalar(t, narrow ? std::sqrt(scale) : scale);
  Value rows = WithLast(ctx, ctx.Call("Mul", {q, factor}), groups.joined);
  Value keys = narrow ? ctx.Call("Mul", {k, factor}) : k;
  return WithLast(ctx, ctx.Call("MatMul", {rows, keys}, {{"transpose_b", true}}), groups.apart);
}

/// The probabilities, 0 in rows that allow nothing; `scores` become what the softmax takes.
Value Probabilities(NodeContext& ctx, Value& scores, const Mask& mask) {
  const DataType t = scores.tensor().dtype;
  if (mask.bias) scores = ctx.Call("Add", {scores, ctx.Cast(mask.bias, t)});
  if (mask.allowed) scores = ctx.Call("Where", {mask.allowed, scores, ctx.Scalar(t, -kInf)});
  Value x = scores;
  if (ctx.HasAttr("softmax_precision")) {
    const DataType wide = ElementType(int32_t(ctx.Int("softmax_precision")), "softmax_precision");
    if (!wide.is_float()) ctx.Fail("TW2015", "softmax_precision is no floating-point type");
    x = ctx.Cast(x, wide);
  }
  Value p = ctx.Cast(ctx.Call("Softmax", {x}, {{"axis", int64_t(-1)}}), t);
  if (!mask.may_be_empty) return p;
  return ctx.Call("Where",
                  {RowHasKeys(ctx, mask, mask.bias ? mask.bias.tensor().dtype : t), p, ctx.Scalar(t, 0)});
}

Value Cached(NodeContext& ctx, size_t i, const Value& now) {
  Value past = ctx.OptionalArg(i);
  return past ? ctx.Call("Concat", {past, now}, {{"axis", int64_t(2)}}) : now;
}

void Attention(NodeContext& ctx) {
  const bool packed = ctx.Rank(0) == 3;
  if (!packed) ctx.Ignore({"q_num_heads", "kv_num_heads"});
  Value q = SplitHeads(ctx, 0, "q_num_heads"), k = SplitHeads(ctx, 1, "kv_num_heads"),
        v = SplitHeads(ctx, 2, "kv_num_heads");
  const DataType t = q.tensor().dtype;
  Place place;
  place.valid = ctx.OptionalArg(6);
  if (ctx.Has(4) != ctx.Has(5)) ctx.Fail("TW2017", "one of past_key and past_value is missing");
  if (ctx.Has(4) && place.valid) ctx.Fail("TW2017", "past_key and nonpad_kv_seqlen exclude each other");
  if (ctx.Has(4)) {
    if (ctx.Rank(4) != 4) ctx.Fail("TW2017", fmt::format("past_key has rank {}, expected 4", ctx.Rank(4)));
    place.past = ctx.Shape(4)[2];
  }
  if (place.valid && (!AsInt(q.tensor().shape[2]) || place.valid.tensor().rank() != 1))
    ctx.Unsupported("nonpad_kv_seqlen that is no vector, or beside a symbolic number of queries");
  k = Cached(ctx, 4, k);
  v = Cached(ctx, 5, v);
  const Groups groups = GroupsOf(ctx, q, k, v);
  const Mask mask = MaskOf(ctx, place, q.tensor().shape[2], k.tensor().shape[2]);

  Value scores = Scores(ctx, q, k, groups), shown = scores;
  const int64_t mode = ctx.Int("qk_matmul_output_mode", 0);
  if (const double cap = ctx.Float("softcap", 0); cap > 0) {
    const Value limit = ctx.Scalar(t, cap);
    scores = ctx.Call("Mul", {ctx.Call("Tanh", {ctx.Call("Div", {scores, limit})}), limit});
  }
  if (mode == 1) shown = scores;
  Value p = Probabilities(ctx, scores, mask);
  if (mode == 2) shown = scores;
  if (mode == 3) shown = p;
  Value y = ctx.Call("MatMul", {WithLast(ctx, p, groups.joined), ctx.Cast(v, t)});
  y = WithLast(ctx, y, groups.apart);
  if (packed) {
    y = ctx.Call("Transpose", {y}, {{"perm", std::vector<int64_t>{0, 2, 1, 3}}});
    const auto& s = y.tensor().shape;
    y = ctx.Reshape(y, {s[0], s[1], s[2] * s[3]});
  }
  ctx.Set(0, y);
  ctx.Set(1, k);
  ctx.Set(2, v);
  ctx.Set(3, shown);
}

// ---- Rotary embedding

Value SliceLast(NodeContext& ctx, const Value& x, int64_t begin, int64_t stride, const Expr& count) {
  std::vector<Expr> shape = x.tensor().shape, begins(shape.size(), Expr(0));
  std::vector<int64_t> strides(shape.size(), 1);
  begins.back() = Expr(begin);
  strides.back() = stride;
  shape.back() = count;
  return ctx.Call("Slice", {x}, {{"begin", begins}, {"stride", strides}, {"shape", shape}});
}

/// Pairs of elements turned by angles that the caches give: (a, b) becomes (a cos - b sin, a sin + b cos). A
/// pair is an element of the first half and one of the second, or two neighbours (interleaved).
void RotaryEmbedding(NodeContext& ctx) {
  Value x = ctx.Arg(0);
  const std::vector<Expr> shape = x.tensor().shape;
  const bool packed = shape.size() == 3;
  if (packed) {
    const int64_t heads = ctx.Int("num_heads");
    auto width = AsInt(shape[2]);
    if (heads < 1 || (width && *width % heads)) ctx.Fail("TW2015", fmt::format("num_heads is {}", heads));
    x = ctx.Reshape(x, {shape[0], shape[1], Expr(heads), FloorDiv(shape[2], Expr(heads))});
  } else if (shape.size() != 4) {
    ctx.Fail("TW2017", fmt::format("x has rank {}, expected 3 or 4", shape.size()));
  }
  ctx.Ignore({"num_heads"});
  auto size = AsInt(x.tensor().shape[3]);
  if (!size) ctx.Unsupported("a symbolic head size");
  const int64_t given = ctx.Int("rotary_embedding_dim", 0), turned = given ? given : *size;
  if (turned < 0 || turned > *size || turned % 2)
    ctx.Fail("TW2015", fmt::format("{} of {} elements are to be rotated", turned, *size));
  const bool interleaved = ctx.Int("interleaved", 0) != 0;
  const Expr half(turned / 2);
  auto angles = [&](size_t i) {
    Value cache = ctx.Arg(i);
    if (ctx.Has(3)) cache = ctx.Call("Gather", {cache, ctx.Arg(3)}, {{"axis", int64_t(0)}});
    if (cache.tensor().rank() != 3)
      ctx.Fail("TW2017", fmt::format("the cache has rank {}", cache.tensor().rank()));
    std::vector<Expr> s = cache.tensor().shape;
    s.insert(s.begin() + (packed ? 2 : 1), Expr(1));
    return ctx.Reshape(cache, s);
  };
  const Value cos = angles(1), sin = angles(2);
  const Value a = SliceLast(ctx, x, 0, interleaved ? 2 : 1, half);
  const Value b = SliceLast(ctx, x, interleaved ? 1 : turned / 2, interleaved ? 2 : 1, half);
  Value first = ctx.Call("Sub", {ctx.Call("Mul", {a, cos}), ctx.Call("Mul", {b, sin})});
  Value second = ctx.Call("Add", {ctx.Call("Mul", {a, sin}), ctx.Call("Mul", {b, cos})});
  std::vector<Expr> whole = first.tensor().shape;
  if (interleaved) {
    std::vector<Expr> column = whole;
    column.push_back(Expr(1));
    first = ctx.Reshape(first, column);
    second = ctx.Reshape(second, column);
  }
  whole.back() = Expr(turned);
  Value y = ctx.Reshape(ctx.Call("Concat", {first, second}, {{"axis", int64_t(-1)}}), whole);
  if (turned < *size) {
    y = ctx.Call("Concat", {y, SliceLast(ctx, x, turned, 1, Expr(*size - turned))}, {{"axis", int64_t(-1)}});
  }
  ctx.Set(0, ctx.Reshape(y, shape));
}

// ---- Attention with pieces of the model inside

/// The result of a subgraph of one argument, which has its type.
Value Modified(NodeContext& ctx, const char* name, const Value& x) {
  if (!ctx.HasAttr(name)) return x;
  auto entry = std::make_shared<Entry>();
  entry->value = x;
  std::vector<EntryRef> made = ctx.importer().Inline(ctx.Graph(name), ctx.scope(), {entry});
  if (made.size() != 1) ctx.Fail("TW2017", fmt::format("{} has {} results, expected 1", name, made.size()));
  if (made[0]->poisoned) ctx.Unsupported(fmt::format("{} that depends on the content of inputs", name));
  Value y = ctx.importer().Materialise(*made[0]);
  if (!StructuralEqual(y->type, x->type))
    ctx.Fail("TW2017", fmt::format("{} makes {} of {}", name, y->type.ToString(), x->type.ToString()));
  return y;
}

void FlexAttention(NodeContext& ctx) {
  for (size_t i = 0; i < 3; ++i) {
    if (ctx.Rank(i) != 4)
      ctx.Fail("TW2017", fmt::format("argument {} has rank {}, expected 4", i, ctx.Rank(i)));
  }
  const DataType t = ctx.DType(0);
  DataType wide = t == kF64 ? kF64 : kF32;
  if (ctx.HasAttr("softmax_precision")) {
    wide = ElementType(int32_t(ctx.Int("softmax_precision")), "softmax_precision");
    if (!wide.is_float()) ctx.Fail("TW2015", "softmax_precision is no floating-point type");
  }
  Value q = ctx.Arg(0), k = ctx.Arg(1), v = ctx.Arg(2);
  const Groups groups = GroupsOf(ctx, q, k, v);
  Value scores = Modified(ctx, "score_mod", ctx.Cast(Scores(ctx, q, k, groups), wide));
  Value p = Modified(ctx, "prob_mod", ctx.Call("Softmax", {scores}, {{"axis", int64_t(-1)}}));
  Value y = ctx.Call("MatMul", {WithLast(ctx, ctx.Cast(p, t), groups.joined), ctx.Cast(v, t)});
  ctx.Set(0, WithLast(ctx, y, groups.apart));
}

// ---- Linear attention

/// A state per head, [key size, value size], that each token decays, corrects and adds to (the operator's
/// four rules), and that its query reads. Computed in 32 bits.
void LinearAttention(NodeContext& ctx) {
  constexpr int64_t kMostTokens = 1024;
  ctx.Ignore({"chunk_size"});
  const std::string rule = ctx.String("update_rule", "gated_delta");
  const bool gated = rule == "gated" || rule == "gated_delta",
             delta = rule == "delta" || rule == "gated_delta";
  if (!gated && !delta && rule != "linear")
    ctx.Fail("TW2015", fmt::format("there is no update rule '{}'", rule));
  if (gated != ctx.Has(4) || delta != ctx.Has(5))
    ctx.Fail("TW2017", fmt::format("decay or beta do not go with the update rule '{}'", rule));
  const int64_t q_heads = ctx.Int("q_num_heads"), heads = ctx.Int("kv_num_heads");
  if (heads < 1 || q_heads < 1 || q_heads % heads)
    ctx.Fail("TW2015", fmt::format("{} heads of queries and {} of keys", q_heads, heads));
  const std::vector<int64_t> shape = ctx.StaticShape(0), values = ctx.StaticShape(2);
  if (shape.size() != 3 || values.size() != 3 || shape[2] % q_heads || values[2] % heads || shape[2] == 0)
    ctx.Fail("TW2017", "query and value must have rank 3 and a size that their heads divide");
  const int64_t batch = shape[0], tokens = shape[1], key_size = shape[2] / q_heads,
                value_size = values[2] / heads;
  if (tokens < 1 || tokens > kMostTokens)
    ctx.Unsupported(fmt::format("linear attention over {} tokens", tokens));
  const double given = ctx.Float("scale", 0), scale = given != 0 ? given : 1 / std::sqrt(double(key_size));
  const DataType t = ctx.DType(0);
  // [batch, tokens, count * size] as [batch, tokens, heads, rows, columns].
  auto split = [&](size_t i, std::vector<int64_t> last) {
    std::vector<int64_t> s = {batch, tokens};
    s.insert(s.end(), last.begin(), last.end());
    if (ctx.Type(i).StaticShape().value_or(std::vector<int64_t>()).size() != 3)
      ctx.Fail("TW2017", fmt::format("argument {} has rank {}, expected 3", i, ctx.Rank(i)));
    return ctx.Reshape(ctx.Cast(ctx.Arg(i), kF32), ToExprs(s));
  };
  Value q = split(0, {heads, q_heads / heads, key_size}), k = split(1, {heads, key_size, 1}),
        v = split(2, {heads, 1, value_size});
  q = ctx.Call("Mul", {q, ctx.Scalar(kF32, scale)});
  Value decay, beta;
  if (gated) {
    auto width = AsInt(ctx.Shape(4).back());
    decay = ctx.Call("Exp", {split(4, {heads, width == heads ? 1 : key_size, 1})});
  }
  if (delta) beta = split(5, {AsInt(ctx.Shape(5).back()) == 1 ? 1 : heads, 1, 1});
  const std::vector<int64_t> state_shape = {batch, heads, key_size, value_size};
  Value state =
      ctx.Has(3) ? ctx.Reshape(ctx.Cast(ctx.Arg(3), kF32), ToExprs(state_shape))
                 : ctx.Call("Full", {}, {{"dtype", kF32}, {"shape", ToExprs(state_shape)}, {"value", 0.0}});
  std::vector<Value> read;
  for (int64_t i = 0; i < tokens; ++i) {
    const Value key = ctx.Element(k, 1, i);
    Value add = ctx.Element(v, 1, i);
    if (gated) state = ctx.Call("Mul", {state, ctx.Element(decay, 1, i)});
    if (delta) {
      Value stored = ctx.Call("MatMul", {key, state}, {{"transpose_a", true}});
      add = ctx.Call("Mul", {ctx.Element(beta, 1, i), ctx.Call("Sub", {add, stored})});
    }
    state = ctx.Call("Add", {state, ctx.Call("Mul", {key, add})});
    Value y = ctx.Call("MatMul", {ctx.Element(q, 1, i), state});
    read.push_back(ctx.Reshape(y, ToExprs({batch, 1, q_heads * value_size})));
  }
  ctx.Set(0, ctx.Cast(ctx.Join(std::move(read), 1), t));
  ctx.Set(1, ctx.Cast(state, ctx.Has(3) ? ctx.DType(3) : t));
}

// ---- Others

void SwiGLU(NodeContext& ctx) {
  if (!SameShape(ctx.Shape(0), ctx.Shape(1))) ctx.Fail("TW2017", "gate and value have different shapes");
  Value gate = ctx.Call("Swish", {ctx.Arg(0)}, {{"alpha", ctx.Float("alpha", 1)}, {"beta", 0.0}});
  ctx.Set(0, ctx.Call("Mul", {gate, ctx.Arg(1)}));
}

/// A depthwise convolution over what came before and x, that looks back only.
void CausalConvWithState(NodeContext& ctx) {
  Value x = ctx.Arg(0), weight = ctx.Arg(1), bias = ctx.OptionalArg(2), past = ctx.OptionalArg(3);
  if (x.tensor().rank() != 3 || weight.tensor().rank() != 3)
    ctx.Fail("TW2017", "input and weight must have rank 3");
  const std::vector<Expr> shape = x.tensor().shape;
  auto channels = AsInt(shape[1]), kernel = AsInt(weight.tensor().shape[2]);
  if (!channels || !kernel) ctx.Unsupported("a symbolic number of channels or taps");
  if (*channels < 1 || *kernel < 1)
    ctx.Fail("TW2017", fmt::format("{} channels and {} taps", *channels, *kernel));
  const Expr before(*kernel - 1);
  const std::vector<Expr> zeros(3, Expr(0)), border = {Expr(0), Expr(0), before};
  Value all = past ? ctx.Call("Concat", {past, x}, {{"axis", int64_t(2)}})
                   : ctx.Call("Pad", {x, nullptr}, {{"begin", border}, {"end", zeros}});
  const std::vector<int64_t> one = {1};
  Value y = ctx.Call(
      "Conv", {all, weight, bias},
      {{"strides", one}, {"dilations", one}, {"pads", std::vector<int64_t>{0, 0}}, {"groups", *channels}});
  const std::string activation = ctx.String("activation", "none");
  if (activation == "silu" || activation == "swish") {
    y = ctx.Call("Swish", {y}, {{"alpha", 1.0}, {"beta", 0.0}});
  } else if (activation != "none") {
    ctx.Fail("TW2015", fmt::format("activation is '{}', expected silu, swish or none", activation));
  }
  ctx.Set(0, y);
  ctx.Set(1, ctx.Call("Slice", {all},
                      {{"begin", std::vector<Expr>{Expr(0), Expr(0), all.tensor().shape[2] - before}},
                       {"stride", std::vector<int64_t>(3, 1)},
                       {"shape", std::vector<Expr>{shape[0], shape[1], before}}}));
}

/// A cache with a run of positions, per batch, replaced by an update.
void TensorScatter(NodeContext& ctx) {
  Value cache = ctx.Arg(0), update = ctx.Arg(1), start = ctx.OptionalArg(2);
  const std::vector<Expr> shape = cache.tensor().shape;
  const int rank = int(shape.size());
  if (update.tensor().rank() != rank) ctx.Fail("TW2017", "cache and update have different ranks");
  const int64_t axis = AxisFromFront(ctx, ctx.Int("axis", -2), rank);
  if (axis == 0) ctx.Fail("TW2015", "axis is 0, the batch");
  const std::string mode = ctx.String("mode", "linear");
  if (mode != "linear" && mode != "circular")
    ctx.Fail("TW2015", fmt::format("mode is '{}', expected linear or circular", mode));
  auto length = AsInt(update.tensor().shape[size_t(axis)]), room = AsInt(shape[size_t(axis)]);
  if (!length || !room) ctx.Unsupported("a sequence of symbolic length");
  if (*length > *room)
    ctx.Fail("TW2017", fmt::format("{} positions do not fit a cache of {}", *length, *room));
  if (*length == 0) return ctx.Set(0, ctx.Call("Identity", {cache}));
  // The position in the update of each position of the cache.
  Value from = Positions(ctx, shape[size_t(axis)], rank, int(axis));
  if (start) {
    std::vector<Expr> column(size_t(rank), Expr(1));
    column[0] = shape[0];
    from = ctx.Call("Sub", {from, ctx.Reshape(ctx.Cast(start, kI64), column)});
  }
  if (mode == "circular") from = ctx.Call("FloorMod", {from, ctx.Scalar(kI64, double(*room))});
  Value inside = ctx.Call("And", {ctx.Call("LessEqual", {ctx.Scalar(kI64, 0), from}),
                                  ctx.Call("Less", {from, ctx.Scalar(kI64, double(*length))})});
  Value nearest = ctx.Call(
      "Maximum", {ctx.Call("Minimum", {from, ctx.Scalar(kI64, double(*length - 1))}), ctx.Scalar(kI64, 0)});
  Value picked = ctx.Call("GatherElements", {update, ctx.Call("Expand", {nearest}, {{"shape", shape}})},
                          {{"axis", axis}});
  ctx.Set(0, ctx.Call("Where", {inside, picked, cache}));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"Attention", 23, 0, Attention},
    {"RotaryEmbedding", 23, 0, RotaryEmbedding},
    {"FlexAttention", 1, 0, FlexAttention, "ai.onnx.preview"},
    {"LinearAttention", 27, 0, LinearAttention},
    {"SwiGLU", 28, 0, SwiGLU},
    {"CausalConvWithState", 27, 0, CausalConvWithState},
    {"TensorScatter", 24, 0, TensorScatter},
});

}  // namespace
}  // namespace tilewright::onnx
