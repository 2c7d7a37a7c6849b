// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/gradient.h"

#include <numeric>

namespace tilewright {

Value GradientContext::Call(const std::string& op, std::vector<Value> args, const Annotations& attrs) const {
  const OpDef* def = OpRegistry::Get(op);
  return builder_.CallOp(def, std::move(args), def->attrs.from_map(attrs), origin_).front();
}

Value GradientContext::CallSame(std::vector<Value> args, Attrs attrs) const {
  return builder_.CallOp(call_.op, std::move(args), std::move(attrs), origin_).front();
}

Value GradientContext::Scalar(double value, const Value& like) const {
  return builder_.Constant(NDArray::FromDoubles(like.tensor().dtype, {}, std::vector{value}));
}

Value GradientContext::Zeros(const Value& like) const {
  return Call("Full", {}, {{"dtype", like.tensor().dtype}, {"shape", like.tensor().shape}, {"value", 0.0}});
}

Value GradientContext::Reshape(const Value& x, std::vector<Expr> shape) const {
  if (SameShape(x.tensor().shape, shape)) return x;
  return Call("Reshape", {x}, {{"shape", std::move(shape)}});
}

Value GradientContext::Transpose(const Value& x, std::vector<int64_t> perm) const {
  std::vector<int64_t> same(perm.size());
  std::iota(same.begin(), same.end(), 0);
  if (perm == same) return x;
  return Call("Transpose", {x}, {{"perm", std::move(perm)}});
}

Value GradientContext::Sum(const Value& x, std::vector<int64_t> axes, bool keepdims) const {
  if (axes.empty()) return x;  // to ReduceSum it would mean all axes
  return Call("ReduceSum", {x}, {{"axes", std::move(axes)}, {"keepdims", keepdims}});
}

Value GradientContext::SumTo(const Value& g, const std::vector<Expr>& shape) const {
  const std::vector<Expr>& wide = g.tensor().shape;
  const size_t skip = wide.size() - shape.size();
  std::vector<int64_t> axes;
  for (size_t d = 0; d < wide.size(); ++d) {
    if (d < skip || (IsInt(shape[d - skip], 1) && !IsInt(wide[d], 1))) axes.push_back(int64_t(d));
  }
  return Reshape(Sum(g, std::move(axes), false), shape);
}

void GradientContext::Fail(const std::string& reason) const {
  throw Error("TW2203", fmt::format("operator {} has no gradient here: {}", call_.op->name, reason),
              origin_.empty() ? "" : "node " + origin_);
}

std::vector<Value> ZeroGradient(const GradientContext& ctx) { return std::vector<Value>(ctx.size()); }

}  // namespace tilewright
