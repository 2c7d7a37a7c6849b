// SPDX-License-Identifier: Apache-2.0
// Elements in another type: by value and by bits.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct CastAttrs {
  DataType to = kF32;
  static constexpr auto Fields() {
    return std::tuple(AttrField("to", &CastAttrs::to, "the result's element type"));
  }
};

/// To bool: whether x is not 0. A bool counts as 0 or 1.
Expr ConvertTo(DataType to, const Expr& x) {
  if (to.is_bool()) return x.dtype().is_bool() ? x : Ne(x, ConstLike(x, 0));
  return MakeCast(to, x);
}

TW_OP(Cast) = [] {
  OpDef def;
  def.name = "Cast";
  def.doc = "x in another element type; floats truncate to integers, integers wrap";
  def.inputs = {{"x"}};
  def.attrs = DescribeAttrs<CastAttrs>();
  def.infer = [](const InferContext& ctx) -> std::vector<Type> {
    TensorType t = ctx.Input(0);
    t.dtype = ctx.Attr<CastAttrs>().to;
    return {Type(std::move(t))};
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {
        ctx.Compute([&](const Indices& i) { return ConvertTo(ctx.Attr<CastAttrs>().to, ctx.Read(0, i)); })};
  };
  def.gradient = [](const GradientContext& ctx) -> std::vector<Value> {
    return {ctx.Call("Cast", {ctx.Cotangent()}, {{"to", ctx.Arg(0).tensor().dtype}})};
  };
  def.pattern = FusePattern::kElementwise;
  def.layout_agnostic = true;
  return def;
}();

/// The bits of x as another type of the same width. A bool is a byte of 0 or 1.
Expr SameBits(DataType to, const Expr& x) {
  if (x.dtype() == to) return x;
  if (x.dtype().is_bool()) return SameBits(to, MakeCast(kU8, x));
  if (to.is_bool()) return Ne(x, ConstLike(x, 0));
  return MakeCall(to, Intrinsic::k_reinterpret, {x});
}

TW_OP(BitCast) = [] {
  OpDef def;
  def.name = "BitCast";
  def.doc = "the bits of x as another type of the same width; to bool: whether any is set";
  def.inputs = {{"x"}};
  def.attrs = DescribeAttrs<CastAttrs>();
  def.infer = [](const InferContext& ctx) -> std::vector<Type> {
    TensorType t = ctx.Input(0);
    const DataType from = t.dtype, to = ctx.Attr<CastAttrs>().to;
    auto plain = [](DataType d) { return d.is_float() || d.is_integer() || d.is_bool(); };
    if (!plain(from) || !plain(to) || from.element_bytes() != to.element_bytes() ||
        (from.bits < 8 && !from.is_bool()) || (to.bits < 8 && !to.is_bool())) {
      ctx.Fail("TW2112", fmt::format("{} has other bits than {}", to.ToString(), from.ToString()));
    }
    t.dtype = to;
    return {Type(std::move(t))};
  };
  def.lower = [](const LowerContext& ctx) -> std::vector<te::Tensor> {
    return {
        ctx.Compute([&](const Indices& i) { return SameBits(ctx.Attr<CastAttrs>().to, ctx.Read(0, i)); })};
  };
  def.pattern = FusePattern::kElementwise;
  def.layout_agnostic = true;
  return def;
}();

}  // namespace
}  // namespace tilewright
