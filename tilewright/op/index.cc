// SPDX-License-Identifier: Apache-2.0
// Operators that address elements by index tensors. Negative indices count from the end. An index that is
// still outside is moved to the nearest element, so that no data can make a kernel touch foreign memory.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

/// An element of an index tensor as a position in an axis.
Expr Position(const Expr& index, const Expr& extent) {
  Expr i = MakeCast(DataType::Index(), index);
  Expr wrapped = MakeSelect(i < Expr(0), i + extent, i);
  return Max(Min(wrapped, extent - Expr(1)), Expr(0));
}

void RequireElements(const InferContext& ctx, const Expr& extent) {
  if (IsInt(extent, 0)) ctx.Fail("TW2110", "the indexed axis has no elements");
}

struct AxisAttrs {
  int64_t axis = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &AxisAttrs::axis, "the indexed axis"));
  }
};

// ---- Gather family

std::vector<Type> InferGather(const InferContext& ctx) {
  RequireIndex(ctx, 1);
  const auto &x = ctx.Input(0).shape, &index = ctx.Input(1).shape;
  const int axis = CheckedAxis(ctx, ctx.Attr<AxisAttrs>().axis, int(x.size()));
  std::vector<Expr> shape(x.begin(), x.begin() + axis);
  shape.insert(shape.end(), index.begin(), index.end());
  shape.insert(shape.end(), x.begin() + axis + 1, x.end());
  if (!IsInt(Product(shape), 0)) RequireElements(ctx, x[size_t(axis)]);
  return OneResult(ctx.Input(0).dtype, shape);
}

std::vector<te::Tensor> LowerGather(const LowerContext& ctx) {
  const auto& x = ctx.InputType(0);
  const size_t axis = size_t(FromFront(ctx.Attr<AxisAttrs>().axis, x.rank()));
  const size_t width = ctx.InputType(1).shape.size();
  return {ctx.Compute([&](const Indices& o) {
    auto split = o.begin() + std::ptrdiff_t(axis);
    Indices at(o.begin(), split);
    Indices index(split, split + std::ptrdiff_t(width));
    at.push_back(Position(ctx.Read(1, index), x.shape[axis]));
    at.insert(at.end(), split + std::ptrdiff_t(width), o.end());
    return ctx.Read(0, at);
  })};
}

// ---- Gradients: what was gathered is scattered, and the other way round

Value ScatteredSum(const GradientContext& ctx, const std::string& op, const Value& zeros, const Value& index,
                   const Value& g, int64_t axis = 0) {
  return ctx.Call(op, {zeros, index, g}, {{"axis", axis}, {"reduction", std::string("add")}});
}

Value ZerosOf(const GradientContext& ctx, DataType dtype, const std::vector<Expr>& shape) {
  return ctx.Call("Full", {}, {{"dtype", dtype}, {"shape", shape}, {"value", 0.0}});
}

/// Slices are added to slices of zeros, with the indexed axis in front.
std::vector<Value> GatherGradient(const GradientContext& ctx) {
  const std::vector<Expr>&x = ctx.Shape(0), &index = ctx.Shape(1);
  const int64_t axis = FromFront(ctx.Attr<AxisAttrs>().axis, int(x.size())), width = int64_t(index.size());
  std::vector<int64_t> to_front, back;
  for (int64_t d = 0; d < width; ++d) to_front.push_back(axis + d);
  for (int64_t d = 0; d < axis; ++d) to_front.push_back(d), back.push_back(d + 1);
  back.push_back(0);
  for (int64_t d = axis + 1; d < int64_t(x.size()); ++d) to_front.push_back(d + width - 1), back.push_back(d);
  std::vector<Expr> shape = x, tuples = index;
  std::rotate(shape.begin(), shape.begin() + axis, shape.begin() + axis + 1);
  tuples.push_back(Expr(1));
  const Value g = ctx.Transpose(ctx.Cotangent(), to_front);
  const Value zeros = ZerosOf(ctx, g.tensor().dtype, shape);
  const Value sum = ScatteredSum(ctx, "ScatterND", zeros, ctx.Reshape(ctx.Arg(1), tuples), g);
  return {ctx.Transpose(sum, back), nullptr};
}

TW_OP(Gather) = OpDef{
    .name = "Gather",
    .doc = "slices of x along an axis, picked by index",
    .inputs = {{"x"}, {"indices"}},
    .attrs = DescribeAttrs<AxisAttrs>(),
    .infer = InferGather,
    .lower = LowerGather,
    .pattern = FusePattern::kInjective,
    .gradient = GatherGradient,
};

struct RowAttrs {
  bool from_end = false;
  static constexpr auto Fields() {
    return std::tuple(AttrField("from_end", &RowAttrs::from_end, "0 is the last row"));
  }
};

// What one step of a loop reads of a sequence. Nothing is fused with it, so that a loop over a sequence in
// memory can read the row where it lies.
TW_OP(Row) = OpDef{
    .name = "Row",
    .doc = "x[i] along the first axis",
    .inputs = {{"x"}, {"i"}},
    .attrs = DescribeAttrs<RowAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          const TensorType& x = ctx.Input(0);
          RequireRank(ctx, 0, 1, 16);
          RequireIndex(ctx, 1);
          RequireRank(ctx, 1, 0, 0);
          RequireElements(ctx, x.shape[0]);
          return OneResult(x.dtype, {x.shape.begin() + 1, x.shape.end()});
        },
    .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
      const Expr rows = ctx.InputType(0).shape[0];
      return {ctx.Compute([&](const Indices& o) {
        Expr i = MakeCast(DataType::Index(), ctx.Read(1, {}));
        if (ctx.Attr<RowAttrs>().from_end) i = rows - Expr(1) - i;
        Indices at = {Max(Min(i, rows - Expr(1)), Expr(0))};
        at.insert(at.end(), o.begin(), o.end());
        return ctx.Read(0, at);
      })};
    },
    .pattern = FusePattern::kOpaque,
    .gradient = [](const GradientContext& ctx) -> std::vector<Value> {
      const std::vector<Expr>& x = ctx.Shape(0);
      Value index = ctx.Arg(1);
      if (ctx.Attr<RowAttrs>().from_end) {
        Value last = ctx.Call("IndexList", {},
                              {{"elements", std::vector{x[0] - Expr(1)}}, {"shape", std::vector<int64_t>{}}});
        index = ctx.Sub(ctx.Call("Cast", {last}, {{"to", index.tensor().dtype}}), index);
      }
      std::vector<Expr> row = x;
      row[0] = Expr(1);
      return {ScatteredSum(ctx, "ScatterND", ctx.Zeros(ctx.Arg(0)), ctx.Reshape(index, {Expr(1), Expr(1)}),
                           ctx.Reshape(ctx.Cotangent(), row)),
              nullptr};
    },
};

TW_OP(GatherElements) = OpDef{
    .name = "GatherElements",
    .doc = "x[i, ..., indices[i, ..., j], ...]: one index per element of the result",
    .inputs = {{"x"}, {"indices"}},
    .attrs = DescribeAttrs<AxisAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          RequireIndex(ctx, 1);
          const TensorType& x = ctx.Input(0);
          RequireRank(ctx, 1, x.rank(), x.rank());
          size_t axis = size_t(CheckedAxis(ctx, ctx.Attr<AxisAttrs>().axis, x.rank()));
          if (!IsInt(ctx.Input(1).NumElements(), 0)) RequireElements(ctx, x.shape[axis]);
          for (size_t d = 0; d < x.shape.size(); ++d) {
            auto have = AsInt(x.shape[d]), want = AsInt(ctx.Input(1).shape[d]);
            if (d != axis && have && want && *want > *have) {
              ctx.Fail("TW2102",
                       fmt::format("indices reach beyond dimension {} of x: {} > {}", d, *want, *have));
            }
            if (d != axis)
              RequireAtMost(ctx, ctx.Input(1).shape[d], x.shape[d],
                            fmt::format("indices and dimension {}", d));
          }
          return OneResult(x.dtype, ctx.Input(1).shape);
        },
    .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
      const auto& x = ctx.InputType(0);
      const size_t axis = size_t(FromFront(ctx.Attr<AxisAttrs>().axis, x.rank()));
      return {ctx.Compute([&](const Indices& o) {
        Indices at = o;
        at[axis] = Position(ctx.Read(1, o), x.shape[axis]);
        return ctx.Read(0, at);
      })};
    },
    .pattern = FusePattern::kInjective,
    .gradient = [](const GradientContext& ctx) -> std::vector<Value> {
      return {ScatteredSum(ctx, "ScatterElements", ctx.Zeros(ctx.Arg(0)), ctx.Arg(1), ctx.Cotangent(),
                           ctx.Attr<AxisAttrs>().axis),
              nullptr};
    },
};

struct BatchAttrs {
  int64_t batch_dims = 0;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("batch_dims", &BatchAttrs::batch_dims, "leading axes that x and indices share"));
  }
};

/// Length of the index tuples: the last dimension of the index tensor. TW2113 when it is not constant.
int64_t TupleLength(const InferContext& ctx, size_t i) {
  RequireRank(ctx, i, 1, 16);
  auto length = AsInt(ctx.Input(i).shape.back());
  if (!length) ctx.Fail("TW2113", "the last dimension of the indices must be constant");
  return *length;
}

std::vector<Type> InferGatherND(const InferContext& ctx) {
  RequireIndex(ctx, 1);
  const auto &x = ctx.Input(0).shape, &index = ctx.Input(1).shape;
  const int64_t batch = ctx.Attr<BatchAttrs>().batch_dims, length = TupleLength(ctx, 1);
  if (batch < 0 || batch >= int64_t(index.size()) || batch + length > int64_t(x.size()) || length < 1) {
    ctx.Fail("TW2110", fmt::format("{} batch axes and index tuples of {} do not fit a tensor of rank {}",
                                   batch, length, x.size()));
  }
  for (size_t d = 0; d < size_t(batch); ++d) ctx.SameDim(x[d], index[d], fmt::format("batch axis {}", d));
  std::vector<Expr> shape(index.begin(), index.end() - 1);
  shape.insert(shape.end(), x.begin() + batch + length, x.end());
  for (int64_t d = batch; d < batch + length; ++d) {
    if (!IsInt(Product(shape), 0)) RequireElements(ctx, x[size_t(d)]);
  }
  return OneResult(ctx.Input(0).dtype, shape);
}

TW_OP(GatherND) = OpDef{
    .name = "GatherND",
    .doc = "slices of x, picked by tuples of indices",
    .inputs = {{"x"}, {"indices"}},
    .attrs = DescribeAttrs<BatchAttrs>(),
    .infer = InferGatherND,
    .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
      const auto& x = ctx.InputType(0).shape;
      const auto& index = ctx.InputType(1).shape;
      const size_t batch = size_t(ctx.Attr<BatchAttrs>().batch_dims), length = size_t(*AsInt(index.back()));
      return {ctx.Compute([&](const Indices& o) {
        auto split = o.begin() + std::ptrdiff_t(index.size() - 1);
        Indices at(o.begin(), o.begin() + std::ptrdiff_t(batch));
        for (size_t k = 0; k < length; ++k) {
          Indices tuple(o.begin(), split);
          tuple.push_back(Expr(int64_t(k)));
          at.push_back(Position(ctx.Read(1, tuple), x[batch + k]));
        }
        at.insert(at.end(), split, o.end());
        return ctx.Read(0, at);
      })};
    },
    .pattern = FusePattern::kInjective,
    .gradient = [](const GradientContext& ctx) -> std::vector<Value> {
      if (ctx.Attr<BatchAttrs>().batch_dims != 0) ctx.Fail("it has batch axes");
      return {ScatteredSum(ctx, "ScatterND", ctx.Zeros(ctx.Arg(0)), ctx.Arg(1), ctx.Cotangent()), nullptr};
    },
};

// ---- Scatter family

struct ScatterAttrs {
  int64_t axis = 0;
  std::string reduction = "none";
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &ScatterAttrs::axis, "the indexed axis (ScatterElements)"),
                      AttrField("reduction", &ScatterAttrs::reduction, "none, add, mul, max or min"));
  }
};

void CheckReduction(const InferContext& ctx) {
  const std::string& r = ctx.Attr<ScatterAttrs>().reduction;
  if (r != "none" && r != "add" && r != "mul" && r != "max" && r != "min") {
    ctx.Fail("TW2110", fmt::format("there is no scatter reduction '{}'", r));
  }
  if (r != "none" && ctx.Input(0).dtype.is_bool()) ctx.Fail("TW2112", "bool elements cannot be reduced so");
}

Expr Update(const std::string& reduction, const Expr& old, const Expr& update) {
  if (reduction == "add") return old + update;
  if (reduction == "mul") return old * update;
  if (reduction == "max") return Max(old, update);
  if (reduction == "min") return Min(old, update);
  return update;
}

/// Serial loops over `shape` around f(indices).
Stmt LoopNest(const std::vector<Expr>& shape, const std::string& prefix,
              const std::function<Stmt(const Indices&)>& f) {
  std::vector<Var> vars;
  Indices index;
  for (size_t d = 0; d < shape.size(); ++d) {
    vars.emplace_back(fmt::format("{}{}", prefix, d));
    index.push_back(vars.back());
  }
  Stmt body = f(index);
  for (size_t d = shape.size(); d-- > 0;) body = MakeFor(vars[d], Expr(0), shape[d], ForKind::kSerial, body);
  return body;
}

/// The updates in order, into memory that holds x already (OpDef::updates_argument); `target` maps an index
/// into the updates to one into x. The statement is built after the lowering has returned: what it needs is
/// copied into it.
std::vector<te::Tensor> LowerScatter(
    const LowerContext& ctx,
    const std::function<Indices(const LowerContext& ctx, const Indices& update)>& target) {
  const TensorType& x = ctx.InputType(0);
  auto statement = [ctx, target](const std::vector<Buffer>& out) {
    const std::string& reduction = ctx.Attr<ScatterAttrs>().reduction;
    return LoopNest(ctx.InputType(2).shape, "u", [&](const Indices& u) {
      Indices at = target(ctx, u);
      return MakeStore(out[0], Update(reduction, out[0](at), ctx.Read(2, u)), at);
    });
  };
  return te::Custom(ctx.name(), {ctx.Physical(1), ctx.Physical(2)}, {{x.dtype, x.shape}}, statement);
}

/// Of x: g without what was replaced, of the updates: g where they went. `gather` is the operator that reads
/// what this one writes. Where updates meet, the last one stays, but all get its share: as the result, the
/// gradient is that of indices that differ.
std::vector<Value> ScatterGradient(const GradientContext& ctx, const std::string& gather,
                                   const Annotations& gather_attrs) {
  const auto& attrs = ctx.Attr<ScatterAttrs>();
  const Value& g = ctx.Cotangent();
  if (attrs.reduction != "none" && attrs.reduction != "add")
    ctx.Fail(fmt::format("its updates are combined by '{}'", attrs.reduction));
  std::vector<Value> cotangents(3);
  if (ctx.Wanted(0)) {
    cotangents[0] =
        attrs.reduction == "add" ? g : ctx.CallSame({g, ctx.Arg(1), ctx.Zeros(ctx.Arg(2))}, ctx.attrs());
  }
  if (ctx.Wanted(2)) cotangents[2] = ctx.Call(gather, {g, ctx.Arg(1)}, gather_attrs);
  return cotangents;
}

TW_OP(ScatterElements) = OpDef{
    .name = "ScatterElements",
    .doc = "x with updates at one index per update along an axis",
    .inputs = {{"x"}, {"indices"}, {"updates"}},
    .attrs = DescribeAttrs<ScatterAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          const TensorType& x = ctx.Input(0);
          RequireIndex(ctx, 1);
          RequireSameDType(ctx, 0, 2);
          RequireRank(ctx, 1, x.rank(), x.rank());
          RequireRank(ctx, 2, x.rank(), x.rank());
          const size_t axis = size_t(CheckedAxis(ctx, ctx.Attr<ScatterAttrs>().axis, x.rank()));
          CheckReduction(ctx);
          for (size_t d = 0; d < x.shape.size(); ++d) {
            const Expr& n = ctx.Input(1).shape[d];
            ctx.SameDim(n, ctx.Input(2).shape[d], fmt::format("dimension {} of indices and updates", d));
            auto have = AsInt(x.shape[d]), want = AsInt(n);
            if (d != axis && have && want && *want > *have) {
              ctx.Fail("TW2102",
                       fmt::format("updates reach beyond dimension {} of x: {} > {}", d, *want, *have));
            }
            if (d != axis) RequireAtMost(ctx, n, x.shape[d], fmt::format("updates and dimension {}", d));
          }
          if (!IsInt(ctx.Input(1).NumElements(), 0)) RequireElements(ctx, x.shape[axis]);
          return OneResult(x.dtype, x.shape);
        },
    .lower =
        [](const LowerContext& ctx) {
          return LowerScatter(ctx, [](const LowerContext& c, const Indices& u) {
            const TensorType& x = c.InputType(0);
            const size_t axis = size_t(FromFront(c.Attr<ScatterAttrs>().axis, x.rank()));
            Indices at = u;
            at[axis] = Position(c.Read(1, u), x.shape[axis]);
            return at;
          });
        },
    .pattern = FusePattern::kOpaque,
    .gradient =
        [](const GradientContext& ctx) {
          return ScatterGradient(ctx, "GatherElements", {{"axis", ctx.Attr<ScatterAttrs>().axis}});
        },
    .updates_argument = true,
};

TW_OP(ScatterND) = OpDef{
    .name = "ScatterND",
    .doc = "x with slices replaced or reduced at tuples of indices",
    .inputs = {{"x"}, {"indices"}, {"updates"}},
    .attrs = DescribeAttrs<ScatterAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          const auto &x = ctx.Input(0).shape, &index = ctx.Input(1).shape;
          RequireIndex(ctx, 1);
          RequireSameDType(ctx, 0, 2);
          CheckReduction(ctx);
          const int64_t length = TupleLength(ctx, 1);
          if (length < 1 || length > int64_t(x.size())) {
            ctx.Fail("TW2110",
                     fmt::format("index tuples of {} do not fit a tensor of rank {}", length, x.size()));
          }
          std::vector<Expr> shape(index.begin(), index.end() - 1);
          shape.insert(shape.end(), x.begin() + length, x.end());
          RequireRank(ctx, 2, int(shape.size()), int(shape.size()));
          for (size_t d = 0; d < shape.size(); ++d) {
            ctx.SameDim(shape[d], ctx.Input(2).shape[d], fmt::format("dimension {} of the updates", d));
          }
          for (size_t d = 0; d < size_t(length); ++d) {
            if (!IsInt(Product(shape), 0)) RequireElements(ctx, x[d]);
          }
          return OneResult(ctx.Input(0).dtype, x);
        },
    .lower =
        [](const LowerContext& ctx) {
          return LowerScatter(ctx, [](const LowerContext& c, const Indices& u) {
            const auto& x = c.InputType(0).shape;
            const auto& index = c.InputType(1).shape;
            const size_t length = size_t(*AsInt(index.back()));
            auto split = u.begin() + std::ptrdiff_t(index.size() - 1);
            Indices at;
            for (size_t k = 0; k < length; ++k) {
              Indices tuple(u.begin(), split);
              tuple.push_back(Expr(int64_t(k)));
              at.push_back(Position(c.Read(1, tuple), x[k]));
            }
            at.insert(at.end(), split, u.end());
            return at;
          });
        },
    .pattern = FusePattern::kOpaque,
    .gradient = [](const GradientContext& ctx) { return ScatterGradient(ctx, "GatherND", {}); },
    .updates_argument = true,
};

// ---- Others

struct OneHotAttrs {
  int64_t axis = -1;
  Expr depth = Expr(1);
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &OneHotAttrs::axis, "position of the new axis in the result"),
                      AttrField("depth", &OneHotAttrs::depth, "extent of the new axis"));
  }
};

TW_OP(OneHot) = OpDef{
    .name = "OneHot",
    .doc = "values[1] where the new axis has the index's position, values[0] elsewhere",
    .inputs = {{"indices"}, {"values"}},
    .attrs = DescribeAttrs<OneHotAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          const auto& attrs = ctx.Attr<OneHotAttrs>();
          RequireRank(ctx, 1, 1, 1);
          ctx.SameDim(ctx.Input(1).shape[0], Expr(2), "values");
          std::vector<Expr> shape = ctx.Input(0).shape;
          int axis = CheckedAxis(ctx, attrs.axis, int(shape.size()) + 1);
          shape.insert(shape.begin() + axis, attrs.depth);
          return OneResult(ctx.Input(1).dtype, shape);
        },
    .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
      const auto& attrs = ctx.Attr<OneHotAttrs>();
      const int axis = FromFront(attrs.axis, ctx.OutputType().rank());
      return {ctx.Compute([&](const Indices& o) {
        Indices at = o;
        at.erase(at.begin() + axis);
        Expr index = MakeCast(DataType::Index(), ctx.Read(0, at));
        Expr wrapped = MakeSelect(index < Expr(0), index + attrs.depth, index);
        return MakeSelect(Eq(wrapped, o[size_t(axis)]), ctx.Read(1, {Expr(1)}), ctx.Read(1, {Expr(0)}));
      })};
    },
    .pattern = FusePattern::kInjective,
};

struct TriluAttrs {
  bool upper = true;
  int64_t k = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("upper", &TriluAttrs::upper, "keep the upper triangle, else the lower"),
                      AttrField("k", &TriluAttrs::k, "diagonal where the triangle ends"));
  }
};

TW_OP(Trilu) = OpDef{
    .name = "Trilu",
    .doc = "a triangle of the last two axes, zeros elsewhere",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<TriluAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          RequireRank(ctx, 0, 2, 16);
          return OneResult(ctx.Input(0).dtype, ctx.Input(0).shape);
        },
    .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
      const auto& attrs = ctx.Attr<TriluAttrs>();
      return {ctx.Compute([&](const Indices& i) {
        Expr diagonal = i[i.size() - 1] - i[i.size() - 2], x = ctx.Read(0, i);
        Expr keep = attrs.upper ? diagonal >= Expr(attrs.k) : diagonal <= Expr(attrs.k);
        return MakeSelect(keep, x, x.dtype().is_bool() ? MakeBool(false) : MakeConst(x.dtype(), 0));
      })};
    },
    .pattern = FusePattern::kInjective,
};

struct ReverseAttrs {
  int64_t time_axis = 0, batch_axis = 1;
  static constexpr auto Fields() {
    return std::tuple(AttrField("time_axis", &ReverseAttrs::time_axis, "the axis to reverse"),
                      AttrField("batch_axis", &ReverseAttrs::batch_axis, "the axis of the lengths"));
  }
};

TW_OP(ReverseSequence) = OpDef{
    .name = "ReverseSequence",
    .doc = "the first lengths[b] elements of each sequence in reverse order",
    .inputs = {{"x"}, {"lengths"}},
    .attrs = DescribeAttrs<ReverseAttrs>(),
    .infer =
        [](const InferContext& ctx) {
          const TensorType& x = ctx.Input(0);
          const auto& attrs = ctx.Attr<ReverseAttrs>();
          CheckedAxes(ctx, {attrs.time_axis, attrs.batch_axis}, x.rank());
          RequireRank(ctx, 1, 1, 1);
          RequireIndex(ctx, 1);
          ctx.SameDim(ctx.Input(1).shape[0], x.shape[size_t(FromFront(attrs.batch_axis, x.rank()))],
                      "lengths");
          return OneResult(x.dtype, x.shape);
        },
    .lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
      const auto& attrs = ctx.Attr<ReverseAttrs>();
      const TensorType& x = ctx.InputType(0);
      const size_t time = size_t(FromFront(attrs.time_axis, x.rank()));
      const size_t batch = size_t(FromFront(attrs.batch_axis, x.rank()));
      return {ctx.Compute([&](const Indices& i) {
        Expr length = MakeCast(DataType::Index(), ctx.Read(1, {i[batch]}));
        Expr mirrored = Max(Min(length, x.shape[time]) - Expr(1) - i[time], Expr(0));
        Indices at = i;
        at[time] = MakeSelect(i[time] < length, mirrored, i[time]);
        return ctx.Read(0, at);
      })};
    },
    .pattern = FusePattern::kInjective,
};

}  // namespace
}  // namespace tilewright
