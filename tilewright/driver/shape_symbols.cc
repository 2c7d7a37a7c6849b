// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/shape_symbols.h"

#include <algorithm>

#include "tilewright/ir/printer.h"

namespace tilewright {

namespace {

using runtime::ExprOp;
using runtime::ShapeExpr;

/// What stands for a dimension whose values are not bounded: neither a special case nor a burden.
constexpr int64_t kTypicalExtent = 64;

ShapeExpr Not(const ShapeExpr& a) { return ShapeExpr(1) - a; }

std::optional<ShapeExpr> ConvertBinary(BinaryOp op, const ShapeExpr& a, const ShapeExpr& b) {
  switch (op) {
    case BinaryOp::kAdd:
      return a + b;
    case BinaryOp::kSub:
      return a - b;
    case BinaryOp::kMul:
      return a * b;
    case BinaryOp::kFloorDiv:
      return FloorDiv(a, b);
    case BinaryOp::kFloorMod:
      return FloorMod(a, b);
    case BinaryOp::kMin:
      return ShapeExpr::Binary(ExprOp::kMin, a, b);
    case BinaryOp::kMax:
      return ShapeExpr::Binary(ExprOp::kMax, a, b);
    case BinaryOp::kEq:
      return ShapeExpr::Binary(ExprOp::kEqual, a, b);
    case BinaryOp::kNe:
      return Not(ShapeExpr::Binary(ExprOp::kEqual, a, b));
    case BinaryOp::kLt:
      return ShapeExpr::Binary(ExprOp::kLess, a, b);
    case BinaryOp::kLe:
      return Not(ShapeExpr::Binary(ExprOp::kLess, b, a));
    case BinaryOp::kAnd:
      return a * b;
    case BinaryOp::kOr:
      return ShapeExpr::Binary(ExprOp::kMax, a, b);
    default:
      return std::nullopt;
  }
}

}  // namespace

void ShapeSymbols::Declare(const Var& dim) {
  if (!numbers_.try_emplace(dim.get(), uint32_t(symbols_.size())).second) return;
  auto& node = *dim.As<VarNode>();
  dims_.push_back(dim);
  symbols_.push_back({node.name, node.min, node.max, std::max<int64_t>(1, node.multiple)});
}

ShapeExpr ShapeSymbols::Convert(const Expr& e, const std::string& what) const {
  if (auto constant = AsInt(e)) return *constant;
  std::optional<ShapeExpr> result;
  if (auto* var = e.As<VarNode>()) {
    if (auto it = numbers_.find(var); it != numbers_.end()) result = ShapeExpr::Symbol(it->second);
  } else if (auto* binary = e.As<BinaryNode>()) {
    result = ConvertBinary(binary->op, Convert(binary->a, what), Convert(binary->b, what));
  } else if (auto* negation = e.As<NotNode>()) {
    result = Not(Convert(negation->value, what));
  } else if (auto* select = e.As<SelectNode>()) {
    result = ShapeExpr::Select(Convert(select->condition, what), Convert(select->true_value, what),
                               Convert(select->false_value, what));
  } else if (auto* cast = e.As<CastNode>(); cast && cast->dtype.is_int()) {
    result = Convert(cast->value, what);
  }
  if (result) return *result;
  throw Error(
      "TW3101",
      fmt::format("a dimension of {} is known neither at compile time nor from the shapes of inputs: {}",
                  what, ToString(e)),
      "", {"give the model's symbolic dimensions values with --dim NAME=N"});
}

std::vector<ShapeExpr> ShapeSymbols::Convert(const std::vector<Expr>& shape, const std::string& what) const {
  std::vector<ShapeExpr> result;
  for (const Expr& e : shape) result.push_back(Convert(e, what));
  return result;
}

ShapeExpr ShapeSymbols::Bytes(const std::vector<Expr>& shape, DataType t, const std::string& what) const {
  ShapeExpr bytes(t.element_bytes());
  for (const Expr& e : shape) bytes = bytes * Convert(e, what);
  return bytes;
}

std::vector<int64_t> ShapeSymbols::TypicalValues() const {
  std::vector<int64_t> values;
  for (const runtime::SymbolInfo& s : symbols_) {
    const int64_t rounded = (kTypicalExtent + s.divisor - 1) / s.divisor * s.divisor;
    values.push_back(std::clamp(rounded, s.min, s.max));
  }
  return values;
}

}  // namespace tilewright
