// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/shape_expr.h"

#include <algorithm>
#include <array>

#include "tilewright/runtime/status.h"

namespace tilewright::runtime {
namespace {

bool IsLeaf(ExprOp op) { return op == ExprOp::kConstant || op == ExprOp::kSymbol; }

int OperandCount(ExprOp op) {
  if (IsLeaf(op)) return 0;
  return op == ExprOp::kSelect ? 3 : 2;
}

const char* Spelling(ExprOp op) {
  switch (op) {
    case ExprOp::kConstant:
      return "constant";
    case ExprOp::kSymbol:
      return "symbol";
    case ExprOp::kAdd:
      return "+";
    case ExprOp::kSub:
      return "-";
    case ExprOp::kMul:
      return "*";
    case ExprOp::kFloorDiv:
      return "floordiv";
    case ExprOp::kFloorMod:
      return "floormod";
    case ExprOp::kMin:
      return "min";
    case ExprOp::kMax:
      return "max";
    case ExprOp::kEqual:
      return "==";
    case ExprOp::kLess:
      return "<";
    case ExprOp::kSelect:
      return "select";
  }
  return nullptr;
}

[[noreturn]] void FailArithmetic(ExprOp op, int64_t a, int64_t b, const char* why) {
  throw RuntimeError(ErrorId::kShapeArithmetic, std::string("a shape computation ") + why + ": " +
                                                    std::to_string(a) + " " + Spelling(op) + " " +
                                                    std::to_string(b));
}

int64_t Apply(ExprOp op, int64_t a, int64_t b) {
  int64_t r = 0;
  switch (op) {
    case ExprOp::kAdd:
      if (__builtin_add_overflow(a, b, &r)) FailArithmetic(op, a, b, "overflows");
      return r;
    case ExprOp::kSub:
      if (__builtin_sub_overflow(a, b, &r)) FailArithmetic(op, a, b, "overflows");
      return r;
    case ExprOp::kMul:
      if (__builtin_mul_overflow(a, b, &r)) FailArithmetic(op, a, b, "overflows");
      return r;
    case ExprOp::kFloorDiv:
    case ExprOp::kFloorMod: {
      if (b == 0) FailArithmetic(op, a, b, "divides by zero");
      if (b == -1) {  // the one divisor whose quotient can overflow
        return op == ExprOp::kFloorMod ? 0 : Apply(ExprOp::kSub, 0, a);
      }
      int64_t remainder = a % b;
      bool adjust = remainder != 0 && (remainder < 0) != (b < 0);
      if (op == ExprOp::kFloorMod) return adjust ? remainder + b : remainder;
      return a / b - (adjust ? 1 : 0);
    }
    case ExprOp::kMin:
      return std::min(a, b);
    case ExprOp::kMax:
      return std::max(a, b);
    case ExprOp::kEqual:
      return a == b;
    case ExprOp::kLess:
      return a < b;
    case ExprOp::kConstant:
    case ExprOp::kSymbol:
    case ExprOp::kSelect:
      break;
  }
  throw RuntimeError(ErrorId::kBadExpression,
                     "operation " + std::to_string(static_cast<int>(op)) + " does not take two operands");
}

void Append(std::vector<ExprInstruction>& code, const ShapeExpr& e) {
  if (e.is_constant()) {
    code.push_back({ExprOp::kConstant, e.constant()});
  } else {
    code.insert(code.end(), e.code().begin(), e.code().end());
  }
}

}  // namespace

ShapeExpr ShapeExpr::Symbol(uint32_t symbol) {
  ShapeExpr e;
  e.code_ = {{ExprOp::kSymbol, symbol}};
  return e;
}

ShapeExpr ShapeExpr::FromCode(std::vector<ExprInstruction> code) {
  int depth = 0;
  for (const ExprInstruction& instruction : code) {
    if (Spelling(instruction.op) == nullptr) {
      throw RuntimeError(
          ErrorId::kBadExpression,
          "unknown operation " + std::to_string(static_cast<int>(instruction.op)) + " in a shape expression");
    }
    int operands = OperandCount(instruction.op);
    if (depth < operands) {
      throw RuntimeError(ErrorId::kBadExpression, std::string("operation '") + Spelling(instruction.op) +
                                                      "' of a shape expression lacks operands");
    }
    depth += 1 - operands;
    if (depth > kMaxDepth) {
      throw RuntimeError(ErrorId::kBadExpression,
                         "a shape expression needs a stack deeper than " + std::to_string(kMaxDepth));
    }
    if (instruction.op == ExprOp::kSymbol &&
        (instruction.value < 0 || instruction.value >= std::numeric_limits<uint32_t>::max())) {
      throw RuntimeError(ErrorId::kBadExpression,
                         "a shape expression names symbol number " + std::to_string(instruction.value));
    }
  }
  if (depth != 1) {
    throw RuntimeError(ErrorId::kBadExpression,
                       "a shape expression leaves " + std::to_string(depth) + " values, expected one");
  }
  if (code.size() == 1 && code[0].op == ExprOp::kConstant) return ShapeExpr(code[0].value);
  ShapeExpr e;
  e.code_ = std::move(code);
  return e;
}

ShapeExpr ShapeExpr::Select(const ShapeExpr& condition, const ShapeExpr& then, const ShapeExpr& otherwise) {
  if (condition.is_constant()) return condition.constant() != 0 ? then : otherwise;
  std::vector<ExprInstruction> code;
  Append(code, condition);
  Append(code, then);
  Append(code, otherwise);
  code.push_back({ExprOp::kSelect});
  return FromCode(std::move(code));
}

ShapeExpr ShapeExpr::Binary(ExprOp op, const ShapeExpr& a, const ShapeExpr& b) {
  if (a.is_constant() && b.is_constant()) return ShapeExpr(Apply(op, a.constant(), b.constant()));
  bool zero_right = b.is_constant() && b.constant() == 0;
  bool one_right = b.is_constant() && b.constant() == 1;
  bool zero_left = a.is_constant() && a.constant() == 0;
  bool one_left = a.is_constant() && a.constant() == 1;
  if (op == ExprOp::kAdd && zero_left) return b;
  if ((op == ExprOp::kAdd || op == ExprOp::kSub) && zero_right) return a;
  if (op == ExprOp::kMul && one_left) return b;
  if ((op == ExprOp::kMul || op == ExprOp::kFloorDiv) && one_right) return a;
  std::vector<ExprInstruction> code;
  Append(code, a);
  Append(code, b);
  code.push_back({op});
  return FromCode(std::move(code));
}

std::optional<uint32_t> ShapeExpr::AsSymbol() const {
  if (code_.size() == 1 && code_[0].op == ExprOp::kSymbol) return static_cast<uint32_t>(code_[0].value);
  return std::nullopt;
}

uint32_t ShapeExpr::SymbolBound() const {
  uint32_t bound = 0;
  for (const ExprInstruction& i : code_) {
    if (i.op == ExprOp::kSymbol) bound = std::max(bound, static_cast<uint32_t>(i.value) + 1);
  }
  return bound;
}

bool ShapeExpr::IsBound(std::span<const int64_t> symbols) const {
  return std::all_of(code_.begin(), code_.end(), [&](const ExprInstruction& i) {
    return i.op != ExprOp::kSymbol || (static_cast<size_t>(i.value) < symbols.size() &&
                                       symbols[static_cast<size_t>(i.value)] != kUnboundSymbol);
  });
}

int64_t ShapeExpr::EvaluateCode(std::span<const int64_t> symbols) const {
  std::array<int64_t, kMaxDepth> stack;
  size_t top = 0;  // FromCode has checked the depth
  for (const ExprInstruction& i : code_) {
    if (i.op == ExprOp::kConstant) {
      stack[top++] = i.value;
    } else if (i.op == ExprOp::kSymbol) {
      auto number = static_cast<size_t>(i.value);
      if (number >= symbols.size() || symbols[number] == kUnboundSymbol) {
        throw RuntimeError(
            ErrorId::kShapeArithmetic,
            "a shape depends on symbol number " + std::to_string(number) + ", which has no value yet");
      }
      stack[top++] = symbols[number];
    } else if (i.op == ExprOp::kSelect) {
      top -= 2;
      stack[top - 1] = stack[top - 1] != 0 ? stack[top] : stack[top + 1];
    } else {
      top -= 1;
      stack[top - 1] = Apply(i.op, stack[top - 1], stack[top]);
    }
  }
  return stack[0];
}

std::string ShapeExpr::ToString(std::span<const std::string> names) const {
  if (is_constant()) return std::to_string(constant_);
  std::vector<std::string> stack;
  auto pop = [&] {
    std::string text = std::move(stack.back());
    stack.pop_back();
    return text;
  };
  for (const ExprInstruction& i : code_) {
    if (i.op == ExprOp::kConstant) {
      stack.push_back(std::to_string(i.value));
    } else if (i.op == ExprOp::kSymbol) {
      auto number = static_cast<size_t>(i.value);
      stack.push_back(number < names.size() ? names[number] : "s" + std::to_string(number));
    } else if (i.op == ExprOp::kSelect) {
      std::string c = pop(), b = pop(), a = pop();
      stack.push_back("select(" + a + ", " + b + ", " + c + ")");
    } else {
      std::string b = pop(), a = pop();
      std::string op = Spelling(i.op);
      bool named = op[0] >= 'a' && op[0] <= 'z';
      stack.push_back(named ? op + "(" + a + ", " + b + ")" : "(" + a + " " + op + " " + b + ")");
    }
  }
  return stack[0];
}

}  // namespace tilewright::runtime
