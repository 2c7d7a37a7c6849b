// SPDX-License-Identifier: Apache-2.0
// Border: x with constants around it, in x's own layout. Inserted by SeparateBorders only.
#include "tilewright/op/common.h"

namespace tilewright {
namespace {

struct BorderAttrs {
  std::vector<int64_t> begin, end;
  double value = 0;
  static constexpr auto Fields() {
    return std::tuple(AttrField("begin", &BorderAttrs::begin, "elements added before each axis"),
                      AttrField("end", &BorderAttrs::end, "elements added behind each axis"),
                      AttrField("value", &BorderAttrs::value, "what they are"));
  }
};

std::vector<Type> InferBorder(const InferContext& ctx) {
  const auto& attrs = ctx.Attr<BorderAttrs>();
  TensorType t = ctx.Input(0);
  if (attrs.begin.size() != t.shape.size() || attrs.end.size() != t.shape.size()) {
    ctx.Fail("TW2110", fmt::format("begin and end must have {} entries", t.rank()));
  }
  for (size_t d = 0; d < t.shape.size(); ++d) {
    if (attrs.begin[d] < 0 || attrs.end[d] < 0) ctx.Fail("TW2110", "a border has a negative width");
    t.shape[d] = t.shape[d] + Expr(attrs.begin[d] + attrs.end[d]);
  }
  return {t};
}

std::vector<te::Tensor> LowerBorder(const LowerContext& ctx) {
  const auto& attrs = ctx.Attr<BorderAttrs>();
  const TensorType& x = ctx.InputType(0);
  return {ctx.Compute(
      [&](const Indices& i) -> te::Body {
        Indices from = i;
        std::vector<Expr> inside;
        for (size_t d = 0; d < i.size(); ++d) {
          from[d] = i[d] - Expr(attrs.begin[d]);
          if (attrs.begin[d] > 0) inside.push_back(from[d] >= Expr(0));
          if (attrs.end[d] > 0) inside.push_back(from[d] < x.shape[d]);
        }
        Expr value = ctx.Read(0, from);
        if (inside.empty()) return value;
        return MakeIfThenElse(AllOf(inside), value, MakeConst(x.dtype, attrs.value));
      },
      0, {{"rule", std::string("border")}})};
}

TW_OP(Border) = OpDef{
    .name = "Border",
    .doc = "x with constants around it",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<BorderAttrs>(),
    .infer = InferBorder,
    .lower = LowerBorder,
    .pattern = FusePattern::kBorder,
};

}  // namespace
}  // namespace tilewright
