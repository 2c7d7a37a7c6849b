// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/contract_fma.h"

namespace tilewright {

namespace {

const BinaryNode* AsProduct(const Expr& e) {
  auto* b = e.As<BinaryNode>();
  return b && b->op == BinaryOp::kMul ? b : nullptr;
}

Expr Contract(const Expr& e) {
  auto* sum = e.As<BinaryNode>();
  if (!sum || sum->op != BinaryOp::kAdd) return e;
  const DataType t = sum->dtype.element();
  if (t != kF32 && t != kF64) return e;
  if (auto* p = AsProduct(sum->b)) return MakeCall(Intrinsic::k_fma, {p->a, p->b, sum->a});
  if (auto* p = AsProduct(sum->a)) return MakeCall(Intrinsic::k_fma, {p->a, p->b, sum->b});
  return e;
}

}  // namespace

PrimFunc ContractFma(const PrimFunc& f) {
  return f.WithBody(
      PostOrderRewrite(f->body, nullptr, [](const Expr& e) { return PostOrderRewrite(e, Contract); }));
}

}  // namespace tilewright
