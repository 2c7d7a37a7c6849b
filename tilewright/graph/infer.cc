// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/infer.h"

#include <algorithm>

#include "tilewright/arith/analyzer.h"
#include "tilewright/ir/ndarray.h"

namespace tilewright {

namespace {

/// Arguments that are small may ask for results that no machine can hold.
void CheckSize(const InferContext& context, const Type& type) {
  const TensorType* tensor = type.tensor();
  if (!tensor) return;
  if (tensor->rank() > kMostAxes)
    context.Fail("TW2114", fmt::format("the result has {} axes, more than {}", tensor->rank(), kMostAxes));
  for (const Expr& e : tensor->shape) {
    bool symbolic = bool(AsInt(e));
    PreOrder(e, [&](const Expr& x) { return !(symbolic |= x.kind() == ExprKind::kVar); });
    // Arithmetic on constants stays as it is where it overflows.
    if (!symbolic)
      context.Fail("TW2114", fmt::format("a dimension of the result overflows: {}", ToString(e)));
  }
  const auto shape = tensor->StaticShape();
  if (!shape) return;
  try {
    CheckedSize(*shape, tensor->dtype.element_bytes());
  } catch (const Error& e) {
    context.Fail("TW2114", "the result is too large", {e.diagnostics().front().message});
  }
}

}  // namespace

std::vector<Type> InferTypes(const OpDef& op, const InferContext& context) {
  std::vector<Type> types = op.infer(context);
  for (const Type& type : types) CheckSize(context, type);
  for (Type& type : types) {
    const TensorType* tensor = type.tensor();
    if (!tensor) continue;
    const bool fixed =
        std::all_of(tensor->shape.begin(), tensor->shape.end(), [](const Expr& e) { return AsInt(e); });
    if (fixed) continue;
    TensorType simplified = *tensor;
    Analyzer analyzer;
    for (Expr& e : simplified.shape) e = analyzer.Simplify(e);
    type = Type(std::move(simplified));
  }
  return types;
}

}  // namespace tilewright
