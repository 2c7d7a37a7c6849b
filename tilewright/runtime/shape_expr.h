// SPDX-License-Identifier: Apache-2.0
// Integer expressions over a program's symbols: dimensions, byte offsets, sizes, chunk counts. They are
// stored as postfix code and evaluated when shapes change; most are constants and cost one integer.
#pragma once

#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tilewright::runtime {

// The operations of the postfix code. The numbers are part of the module format.
enum class ExprOp : uint8_t {
  kConstant = 1,  // push value
  kSymbol = 2,    // push the value of symbol number `value`
  kAdd = 3,       // pop b, pop a, push a op b, likewise below
  kSub = 4,
  kMul = 5,
  kFloorDiv = 6,  // rounds towards minus infinity; b must not be 0
  kFloorMod = 7,  // a - b * floor(a / b)
  kMin = 8,
  kMax = 9,
  kEqual = 10,   // 1 or 0
  kLess = 11,    // 1 or 0
  kSelect = 12,  // pop c, pop b, pop a, push (a != 0 ? b : c)
};

struct ExprInstruction {
  ExprOp op;
  int64_t value = 0;  // of kConstant and kSymbol; 0 elsewhere
  bool operator==(const ExprInstruction&) const = default;
};

// The value of a symbol that nothing has bound yet.
inline constexpr int64_t kUnboundSymbol = std::numeric_limits<int64_t>::min();

class ShapeExpr {
 public:
  // The deepest stack that a program's expressions may need.
  static constexpr int kMaxDepth = 32;

  ShapeExpr(int64_t constant = 0) : constant_(constant) {}  // NOLINT: constants convert
  static ShapeExpr Symbol(uint32_t symbol);
  // Throws kBadExpression when the code does not leave exactly one value or needs a deeper stack.
  static ShapeExpr FromCode(std::vector<ExprInstruction> code);
  static ShapeExpr Select(const ShapeExpr& condition, const ShapeExpr& then, const ShapeExpr& otherwise);
  static ShapeExpr Binary(ExprOp op, const ShapeExpr& a, const ShapeExpr& b);

  bool is_constant() const { return code_.empty(); }
  int64_t constant() const { return constant_; }
  // The symbol's number when the expression is nothing but one symbol.
  std::optional<uint32_t> AsSymbol() const;
  // Postfix code; empty for a constant.
  std::span<const ExprInstruction> code() const { return code_; }
  // One more than the largest symbol named; 0 without symbols.
  uint32_t SymbolBound() const;

  // The value for the given symbols. Throws kShapeArithmetic on overflow, division by zero or an unbound
  // symbol. Allocates nothing.
  int64_t Evaluate(std::span<const int64_t> symbols) const {
    return is_constant() ? constant_ : EvaluateCode(symbols);
  }
  // Whether every symbol in it is bound.
  bool IsBound(std::span<const int64_t> symbols) const;
  // Infix text, symbols printed by name ("s3" where `names` is too short).
  std::string ToString(std::span<const std::string> names = {}) const;

  bool operator==(const ShapeExpr&) const = default;

 private:
  int64_t EvaluateCode(std::span<const int64_t> symbols) const;

  int64_t constant_ = 0;
  std::vector<ExprInstruction> code_;
};

inline ShapeExpr operator+(const ShapeExpr& a, const ShapeExpr& b) {
  return ShapeExpr::Binary(ExprOp::kAdd, a, b);
}
inline ShapeExpr operator-(const ShapeExpr& a, const ShapeExpr& b) {
  return ShapeExpr::Binary(ExprOp::kSub, a, b);
}
inline ShapeExpr operator*(const ShapeExpr& a, const ShapeExpr& b) {
  return ShapeExpr::Binary(ExprOp::kMul, a, b);
}
inline ShapeExpr FloorDiv(const ShapeExpr& a, const ShapeExpr& b) {
  return ShapeExpr::Binary(ExprOp::kFloorDiv, a, b);
}
inline ShapeExpr FloorMod(const ShapeExpr& a, const ShapeExpr& b) {
  return ShapeExpr::Binary(ExprOp::kFloorMod, a, b);
}

}  // namespace tilewright::runtime
