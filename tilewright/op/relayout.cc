// SPDX-License-Identifier: Apache-2.0
// Relayout: the same tensor in another memory layout. Inserted by ChooseLayout only.
#include "tilewright/graph/op_def.h"

namespace tilewright {

namespace {

struct RelayoutAttrs {
  std::string layout;
  static constexpr auto Fields() {
    return std::tuple(
        AttrField("layout", &RelayoutAttrs::layout, "the result's layout; empty: natural order"));
  }
};

TW_OP(Relayout) = OpDef{
    .name = "Relayout",
    .doc = "the argument in another memory layout",
    .inputs = {{"x"}},
    .attrs = DescribeAttrs<RelayoutAttrs>(),
    .infer = [](const InferContext& c) -> std::vector<Type> {
      TensorType t = c.Input(0);
      t.layout = Layout::Parse(c.Attr<RelayoutAttrs>().layout);
      for (const Layout::Dim& d : t.layout.dims) {
        if (d.axis >= t.rank())
          c.Fail("TW2105", fmt::format("layout '{}' has an axis beyond the rank", t.layout.ToString()));
      }
      return {t};
    },
    .lower = [](const LowerContext& c) -> std::vector<te::Tensor> {
      return {c.Compute([&](const LowerContext::Indices& i) { return te::Body(c.Read(0, i)); })};
    },
    .pattern = FusePattern::kInjective,
};

}  // namespace

}  // namespace tilewright
