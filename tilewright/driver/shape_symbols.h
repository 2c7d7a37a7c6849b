// SPDX-License-Identifier: Apache-2.0
// The compiler's symbolic dimensions as a program's symbols.
#pragma once

#include <unordered_map>
#include <vector>

#include "tilewright/ir/expr.h"
#include "tilewright/runtime/program.h"

namespace tilewright {

class ShapeSymbols {
 public:
  /// Declares a dimension, with its range and divisibility; again: nothing.
  void Declare(const Var& dim);
  bool Knows(const Var& dim) const { return numbers_.contains(dim.get()); }
  /// An index expression over declared dimensions. Error TW3101, naming `what`, where it is over others or
  /// holds what programs cannot evaluate.
  runtime::ShapeExpr Convert(const Expr& e, const std::string& what) const;
  std::vector<runtime::ShapeExpr> Convert(const std::vector<Expr>& shape, const std::string& what) const;
  /// Bytes of an array of these extents.
  runtime::ShapeExpr Bytes(const std::vector<Expr>& shape, DataType t, const std::string& what) const;

  const std::vector<runtime::SymbolInfo>& symbols() const { return symbols_; }
  /// A plausible value for each symbol, for decisions that need a size to compare by.
  std::vector<int64_t> TypicalValues() const;

 private:
  std::unordered_map<const ExprNode*, uint32_t> numbers_;
  std::vector<Var> dims_;  // kept alive: numbers_ knows them by address
  std::vector<runtime::SymbolInfo> symbols_;
};

}  // namespace tilewright
