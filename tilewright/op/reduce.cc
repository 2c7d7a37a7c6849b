// SPDX-License-Identifier: Apache-2.0
// Reductions over axes, arg-reductions and running sums.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct ReduceAttrs {
  std::vector<int64_t> axes;
  bool keepdims = true;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axes", &ReduceAttrs::axes, "axes to reduce; empty: all"),
                      AttrField("keepdims", &ReduceAttrs::keepdims, "keep reduced axes with extent 1"));
  }
};

std::vector<Expr> ReducedShape(const std::vector<Expr>& shape, const std::vector<bool>& mask, bool keepdims) {
  std::vector<Expr> result;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (!mask[i]) {
      result.push_back(shape[i]);
    } else if (keepdims) {
      result.push_back(Expr(1));
    }
  }
  return result;
}

/// The argument's index for an index of the result and the reduction variables.
Indices InputIndices(const Indices& out, const std::vector<bool>& mask, bool keepdims,
                     const std::vector<IterVar>& axes) {
  Indices in;
  size_t o = 0, r = 0;
  for (bool reduced : mask) {
    if (reduced) {
      in.push_back(axes[r++].var);
      o += keepdims;
    } else {
      in.push_back(out[o++]);
    }
  }
  return in;
}

std::vector<Expr> Extents(const std::vector<Expr>& shape, const std::vector<bool>& mask) {
  std::vector<Expr> extents;
  for (size_t i = 0; i < shape.size(); ++i) {
    if (mask[i]) extents.push_back(shape[i]);
  }
  return extents;
}

std::vector<Type> InferReduce(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<ReduceAttrs>();
  const TensorType& x = ctx.Input(0);
  CheckedAxes(ctx, attrs.axes, x.rank());
  return OneResult(x.dtype, ReducedShape(x.shape, AxisMask(attrs.axes, x.rank(), true), attrs.keepdims));
}

/// What the reduced value becomes; gets the number of reduced elements.
using Finish = std::function<Expr(const Expr& value, const Expr& count)>;

std::vector<te::Tensor> LowerReduce(const LowerContext& ctx, te::Combiner combiner, const Finish& finish) {
  const auto& attrs = ctx.Attr<ReduceAttrs>();
  const TensorType& x = ctx.InputType(0);
  const std::vector<bool> mask = AxisMask(attrs.axes, x.rank(), true);
  const std::vector<Expr> extents = Extents(x.shape, mask);
  auto body = [&](const Indices& out) -> te::Body {
    std::vector<IterVar> axes = ReduceAxes(extents);
    Expr source = ToCompute(ctx.Read(0, InputIndices(out, mask, attrs.keepdims, axes)));
    if (axes.empty()) return source;
    return te::Body({source}, axes, combiner);
  };
  if (!finish && ComputeType(x.dtype) == x.dtype) return {ctx.Compute(body)};
  te::Tensor total = ctx.Compute(body, 0, {}, ".reduce");
  return {ctx.Compute([&](const Indices& out) -> te::Body {
    Expr value = AtLogical(ctx, total, out);
    if (finish) value = finish(value, Product(extents));
    return MakeCast(x.dtype, value);
  })};
}

// ---- Gradients

/// A value of the result's shape with the reduced axes back, of extent 1.
Value WithReducedAxes(const GradientContext& ctx, const Value& v) {
  const std::vector<Expr>& shape = ctx.Shape(0);
  return ctx.Reshape(
      v, ReducedShape(shape, AxisMask(ctx.Attr<ReduceAttrs>().axes, int(shape.size()), true), true));
}

Value Spread(const GradientContext& ctx, const Value& v) {
  return ctx.Call("Expand", {WithReducedAxes(ctx, v)}, {{"shape", ctx.Shape(0)}});
}

std::vector<Value> SumGradient(const GradientContext& ctx) { return {Spread(ctx, ctx.Cotangent())}; }

std::vector<Value> MeanGradient(const GradientContext& ctx) {
  const std::vector<Expr>& shape = ctx.Shape(0);
  const Expr count = Product(Extents(shape, AxisMask(ctx.Attr<ReduceAttrs>().axes, int(shape.size()), true)));
  Value n = ctx.Call("IndexList", {}, {{"elements", std::vector{count}}, {"shape", std::vector<int64_t>{}}});
  n = ctx.Call("Cast", {n}, {{"to", ctx.Arg(0).tensor().dtype}});
  return {Spread(ctx, ctx.Div(ctx.Cotangent(), n))};
}

/// Of the largest or smallest element: equal ones share.
std::vector<Value> ExtremeGradient(const GradientContext& ctx) {
  const Value &x = ctx.Arg(0), &g = ctx.Cotangent();
  Value found = ctx.Call("Equal", {x, WithReducedAxes(ctx, ctx.Result())});
  Value chosen = ctx.Call("Cast", {found}, {{"to", x.tensor().dtype}});
  const std::vector<bool> mask = AxisMask(ctx.Attr<ReduceAttrs>().axes, x.tensor().rank(), true);
  std::vector<int64_t> axes;
  for (size_t d = 0; d < mask.size(); ++d) {
    if (mask[d]) axes.push_back(int64_t(d));
  }
  Value share = ctx.Div(WithReducedAxes(ctx, g), ctx.Sum(chosen, axes, true));
  return {ctx.Mul(chosen, share)};
}

OpDef ReduceOp(std::string name, std::string doc, te::Combiner combiner, te::Combiner of_bool,
               Gradient gradient, Finish finish = nullptr) {
  OpDef def;
  def.name = std::move(name);
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.attrs = DescribeAttrs<ReduceAttrs>();
  def.infer = [combiner, of_bool](const InferContext& ctx) {
    if (combiner == of_bool && ctx.Input(0).dtype.is_bool()) {
      ctx.Fail("TW2112", "argument 0 is bool, expected a number");
    }
    return InferReduce(ctx);
  };
  def.lower = [=](const LowerContext& ctx) {
    return LowerReduce(ctx, ctx.InputType(0).dtype.is_bool() ? of_bool : combiner, finish);
  };
  def.pattern = FusePattern::kReduction;
  // Over the places of a map: channels stay in blocks.
  def.follows_input_layout = true;
  def.gradient = std::move(gradient);
  return def;
}

using C = te::Combiner;
TW_OP(ReduceSum) = ReduceOp("ReduceSum", "sum over axes", C::kSum, C::kSum, SumGradient);
TW_OP(ReduceProd) = ReduceOp("ReduceProd", "product over axes", C::kProd, C::kProd, nullptr);
TW_OP(ReduceMax) = ReduceOp("ReduceMax", "maximum over axes; of bool: any", C::kMax, C::kOr, ExtremeGradient);
TW_OP(ReduceMin) = ReduceOp("ReduceMin", "minimum over axes; of bool: all", C::kMin, C::kAnd,
                            ExtremeGradient);
TW_OP(ReduceMean) = ReduceOp("ReduceMean", "mean over axes; of integers: rounded towards zero", C::kSum,
                             C::kSum, MeanGradient, [](const Expr& total, const Expr& count) {
                               Expr n = MakeCast(total.dtype(), count);
                               if (total.dtype().is_float()) return total / n;
                               // The mean of no integers is taken as 0, so that no target traps.
                               return TruncDiv(total, Max(n, ConstLike(n, 1)));
                             });

struct ArgAttrs {
  int64_t axis = 0;
  bool keepdims = true;
  bool last = false;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &ArgAttrs::axis, "reduced axis"),
                      AttrField("keepdims", &ArgAttrs::keepdims, "keep the axis with extent 1"),
                      AttrField("last", &ArgAttrs::last, "of equal values the last index, else the first"));
  }
};

OpDef ArgOp(std::string name, std::string doc, te::Combiner first, te::Combiner last) {
  OpDef def;
  def.name = std::move(name);
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.attrs = DescribeAttrs<ArgAttrs>();
  def.infer = [](const InferContext& ctx) {
    const auto& attrs = ctx.Attr<ArgAttrs>();
    const TensorType& x = ctx.Input(0);
    const size_t axis = size_t(CheckedAxis(ctx, attrs.axis, x.rank()));
    std::vector<Expr> shape = ReducedShape(x.shape, AxisMask({attrs.axis}, x.rank(), false), attrs.keepdims);
    if (IsInt(x.shape[axis], 0) && !IsInt(Product(shape), 0)) {
      ctx.Fail("TW2110",
               fmt::format("axis {} has no elements, of which none is the largest or smallest", axis));
    }
    return OneResult(kI64, shape);
  };
  def.lower = [first, last](const LowerContext& ctx) -> std::vector<te::Tensor> {
    const auto& attrs = ctx.Attr<ArgAttrs>();
    const TensorType& x = ctx.InputType(0);
    std::vector<bool> mask = AxisMask({attrs.axis}, x.rank(), false);
    return {te::ComputeMulti(ctx.name(), ctx.OutputType().shape, [&](const te::Axes& out) {
      std::vector<IterVar> axes = ReduceAxes(Extents(x.shape, mask));
      Expr value = ToCompute(ctx.Read(0, InputIndices(out, mask, attrs.keepdims, axes)));
      return te::ArgReduce(attrs.last ? last : first, value, axes[0].var, axes);
    })[1]};
  };
  def.pattern = FusePattern::kOpaque;
  return def;
}

TW_OP(ArgMax) = ArgOp("ArgMax", "index of the largest element along an axis", C::kArgMax, C::kArgMaxLast);
TW_OP(ArgMin) = ArgOp("ArgMin", "index of the smallest element along an axis", C::kArgMin, C::kArgMinLast);

struct ScanAttrs {
  int64_t axis = 0;
  bool exclusive = false;
  bool reverse = false;
  static constexpr auto Fields() {
    return std::tuple(AttrField("axis", &ScanAttrs::axis, "axis to run along"),
                      AttrField("exclusive", &ScanAttrs::exclusive, "leave the element itself out"),
                      AttrField("reverse", &ScanAttrs::reverse, "run from the end"));
  }
};

/// out[i] = combine(out[previous i], x[i]) along the axis, in order.
Stmt ScanStatement(const LowerContext& ctx, const Buffer& out, bool product) {
  const auto& attrs = ctx.Attr<ScanAttrs>();
  const TensorType& type = ctx.OutputType();
  const size_t axis = size_t(FromFront(attrs.axis, type.rank()));
  std::vector<Var> vars;
  Indices here;
  for (int i = 0; i < type.rank(); ++i) {
    vars.emplace_back(fmt::format("i{}", i));
    here.push_back(vars.back());
  }
  const Expr step = here[axis], last = type.shape[axis] - Expr(1);
  if (attrs.reverse) here[axis] = last - step;
  Indices before = here;
  before[axis] = attrs.reverse ? here[axis] + Expr(1) : here[axis] - Expr(1);
  Expr unit = MakeConst(type.dtype, product ? 1 : 0);
  Expr first = Eq(step, Expr(0));
  Expr so_far = MakeIfThenElse(first, unit, out(before));
  Expr next = attrs.exclusive ? MakeIfThenElse(first, unit, ctx.Read(0, before)) : ctx.Read(0, here);
  Stmt body = MakeStore(out, product ? so_far * next : so_far + next, here);
  for (size_t i = vars.size(); i-- > 0;) {
    body = MakeFor(vars[i], Expr(0), type.shape[i], ForKind::kSerial, body);
  }
  return body;
}

OpDef ScanOp(std::string name, std::string doc, bool product) {
  OpDef def;
  def.name = std::move(name);
  def.doc = std::move(doc);
  def.inputs = {{"x"}};
  def.attrs = DescribeAttrs<ScanAttrs>();
  def.infer = [](const InferContext& ctx) {
    CheckedAxis(ctx, ctx.Attr<ScanAttrs>().axis, ctx.Input(0).rank());
    return OneResult(ctx.Input(0).dtype, ctx.Input(0).shape);
  };
  def.lower = [product](const LowerContext& ctx) {
    const TensorType& type = ctx.OutputType();
    return te::Custom(
        ctx.name(), {ctx.Physical(0)}, {{type.dtype, type.shape}},
        [ctx, product](const std::vector<Buffer>& out) { return ScanStatement(ctx, out[0], product); });
  };
  return def;
}

TW_OP(CumSum) = [] {
  OpDef def = ScanOp("CumSum", "running sum along an axis", false);
  def.gradient = [](const GradientContext& ctx) -> std::vector<Value> {
    ScanAttrs backwards = ctx.Attr<ScanAttrs>();
    backwards.reverse = !backwards.reverse;
    return {ctx.CallSame({ctx.Cotangent()}, backwards)};
  };
  return def;
}();
TW_OP(CumProd) = ScanOp("CumProd", "running product along an axis", true);

}  // namespace
}  // namespace tilewright
