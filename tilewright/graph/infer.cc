// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/infer.h"

#include <algorithm>

#include "tilewright/arith/analyzer.h"

namespace tilewright {

std::vector<Type> InferTypes(const OpDef& op, const InferContext& context) {
  std::vector<Type> types = op.infer(context);
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
