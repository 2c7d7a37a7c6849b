// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/shape_expr.h"

#include <random>

#include "tilewright/runtime/test_support.h"

namespace tilewright::runtime {
namespace {

const ShapeExpr n = ShapeExpr::Symbol(0);
const ShapeExpr m = ShapeExpr::Symbol(1);

int64_t Eval(const ShapeExpr& e, std::vector<int64_t> symbols = {}) { return e.Evaluate(symbols); }

TEST(ShapeExpr, ConstantsFold) {
  ShapeExpr e = (ShapeExpr(3) + 4) * 5 - 1;
  EXPECT_TRUE(e.is_constant());
  EXPECT_EQ(e.constant(), 34);
  EXPECT_EQ(n + 0, n);
  EXPECT_EQ(ShapeExpr(0) + n, n);
  EXPECT_EQ(n * 1, n);
  EXPECT_EQ(FloorDiv(n, 1), n);
}

TEST(ShapeExpr, Evaluates) {
  EXPECT_EQ(Eval(n * 4 + m, {10, 3}), 43);
  EXPECT_EQ(Eval(ShapeExpr::Binary(ExprOp::kMin, n, m), {10, 3}), 3);
  EXPECT_EQ(Eval(ShapeExpr::Binary(ExprOp::kMax, n, m), {10, 3}), 10);
  EXPECT_EQ(Eval(ShapeExpr::Binary(ExprOp::kEqual, n, m), {3, 3}), 1);
  EXPECT_EQ(Eval(ShapeExpr::Binary(ExprOp::kLess, n, m), {3, 3}), 0);
  ShapeExpr select = ShapeExpr::Select(ShapeExpr::Binary(ExprOp::kEqual, n, 1), m, n);
  EXPECT_EQ(Eval(select, {1, 7}), 7);
  EXPECT_EQ(Eval(select, {5, 7}), 5);
}

TEST(ShapeExpr, DivisionRoundsDown) {
  for (int64_t a = -20; a <= 20; ++a) {
    for (int64_t b : {-7, -3, -1, 1, 2, 5}) {
      int64_t q = Eval(FloorDiv(n, m), {a, b});
      int64_t r = Eval(FloorMod(n, m), {a, b});
      EXPECT_EQ(q * b + r, a);
      EXPECT_TRUE(r == 0 || (r < 0) == (b < 0)) << a << " " << b;
      EXPECT_LT(std::abs(r), std::abs(b));
    }
  }
}

TEST(ShapeExpr, RefusesOverflowAndDivisionByZero) {
  constexpr int64_t kMost = INT64_MAX;
  constexpr int64_t kLeast = INT64_MIN + 1;  // the least value that is not kUnboundSymbol
  ExpectError(ErrorId::kShapeArithmetic, "overflows", [&] { Eval(n + m, {kMost, 1}); });
  ExpectError(ErrorId::kShapeArithmetic, "overflows", [&] { Eval(n - m, {kLeast, 2}); });
  ExpectError(ErrorId::kShapeArithmetic, "overflows", [&] { Eval(n * m, {kMost, 2}); });
  ExpectError(ErrorId::kShapeArithmetic, "overflows", [&] { Eval(FloorDiv(n - 1, m), {kLeast, -1}); });
  ExpectError(ErrorId::kShapeArithmetic, "divides by zero", [&] { Eval(FloorDiv(n, m), {1, 0}); });
  ExpectError(ErrorId::kShapeArithmetic, "divides by zero", [&] { Eval(FloorMod(n, m), {1, 0}); });
  ExpectError(ErrorId::kShapeArithmetic, "overflows", [&] { ShapeExpr(kMost) * 2; });
}

TEST(ShapeExpr, RefusesUnboundSymbols) {
  ExpectError(ErrorId::kShapeArithmetic, "no value yet", [&] { Eval(n + 1, {kUnboundSymbol}); });
  ExpectError(ErrorId::kShapeArithmetic, "no value yet", [&] { Eval(m + 1, {1}); });
  EXPECT_FALSE((n + m).IsBound(std::vector<int64_t>{1, kUnboundSymbol}));
  EXPECT_TRUE((n + m).IsBound(std::vector<int64_t>{1, 2}));
}

TEST(ShapeExpr, ChecksCode) {
  using Code = std::vector<ExprInstruction>;
  auto from = [](Code code) { return [code] { ShapeExpr::FromCode(code); }; };
  ExpectError(ErrorId::kBadExpression, "leaves 0 values", from({}));
  ExpectError(ErrorId::kBadExpression, "leaves 2 values",
              from({{ExprOp::kConstant, 1}, {ExprOp::kConstant, 2}}));
  ExpectError(ErrorId::kBadExpression, "lacks operands", from({{ExprOp::kConstant, 1}, {ExprOp::kAdd}}));
  ExpectError(ErrorId::kBadExpression, "unknown operation 99", from({{static_cast<ExprOp>(99), 1}}));
  ExpectError(ErrorId::kBadExpression, "symbol number -1", from({{ExprOp::kSymbol, -1}}));
  Code deep(40, {ExprOp::kConstant, 1});
  for (int i = 0; i < 39; ++i) deep.push_back({ExprOp::kAdd});
  ExpectError(ErrorId::kBadExpression, "deeper", from(deep));
}

TEST(ShapeExpr, Prints) {
  std::vector<std::string> names = {"batch"};
  EXPECT_EQ((n * 4 + m).ToString(names), "((batch * 4) + s1)");
  EXPECT_EQ(FloorDiv(n, 2).ToString(names), "floordiv(batch, 2)");
  EXPECT_EQ(ShapeExpr(7).ToString(), "7");
}

// Random code either is refused or evaluates to the same as its own round trip, without touching anything
// else.
TEST(ShapeExpr, RandomCodeIsRefusedOrRuns) {
  std::mt19937_64 random(7);
  int accepted = 0;
  for (int i = 0; i < 20000; ++i) {
    std::vector<ExprInstruction> code;
    for (uint64_t length = random() % 8; length > 0; --length) {
      code.push_back({static_cast<ExprOp>(random() % 14), static_cast<int64_t>(random() % 5) - 1});
    }
    try {
      ShapeExpr e = ShapeExpr::FromCode(code);
      ++accepted;
      Eval(e, {3, 5});
    } catch (const RuntimeError& e) {
      EXPECT_TRUE(e.id() == ErrorId::kBadExpression || e.id() == ErrorId::kShapeArithmetic) << e.what();
    }
  }
  EXPECT_GT(accepted, 100);
}

}  // namespace
}  // namespace tilewright::runtime
