// SPDX-License-Identifier: Apache-2.0
// Matrix products.
#include <cctype>

#include "tilewright/frontend/onnx/integer_product.h"

namespace tilewright::onnx {
namespace {

/// numpy's matmul: vectors become matrices of one row or column, which the result then lacks.
Value MatMulOf(NodeContext& ctx, Value a, Value b) {
  const bool row = a.tensor().rank() == 1, column = b.tensor().rank() == 1;
  if (row) a = ctx.Reshape(a, {Expr(1), a.tensor().shape[0]});
  if (column) b = ctx.Reshape(b, {b.tensor().shape[0], Expr(1)});
  Value y = ctx.Call("MatMul", {a, b});
  if (!row && !column) return y;
  std::vector<Expr> shape = y.tensor().shape;
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return ctx.Reshape(y, shape);
}

void MatMul(NodeContext& ctx) {
  Value integers = DequantisedProduct(ctx);
  ctx.Set(0, integers ? integers : MatMulOf(ctx, ctx.Arg(0), ctx.Arg(1)));
}

void Gemm(NodeContext& ctx) {
  const double alpha = ctx.Float("alpha", 1), beta = ctx.Float("beta", 1);
  const bool ta = ctx.Int("transA", 0) != 0, tb = ctx.Int("transB", 0) != 0;
  ctx.Ignore({"broadcast"});
  for (size_t i = 0; i < 2; ++i) {
    if (ctx.Rank(i) != 2)
      ctx.Fail("TW2017", fmt::format("argument {} has rank {}, expected 2", i, ctx.Rank(i)));
  }
  Value y = ctx.Call("MatMul", {ctx.Arg(0), ctx.Arg(1)}, {{"transpose_a", ta}, {"transpose_b", tb}});
  const DataType t = y.tensor().dtype;
  if (alpha != 1) y = ctx.Call("Mul", {y, ctx.Scalar(t, alpha)});
  if (ctx.Has(2) && beta != 0) {
    Value c = ctx.Arg(2);
    if (beta != 1) c = ctx.Call("Mul", {c, ctx.Scalar(t, beta)});
    y = ctx.Call("Add", {y, c});
  }
  ctx.Set(0, y);
}

// ---- Einsum

/// Letters for the axes of each term; an ellipsis becomes letters that no term uses.
class EinsumText {
 public:
  EinsumText(const NodeContext& ctx, std::string text) : ctx_(ctx) {
    std::erase(text, ' ');
    size_t arrow = text.find("->");
    std::string left = text.substr(0, arrow);
    for (char c = 'A'; c <= 'z'; ++c) {
      if (std::isalpha(static_cast<unsigned char>(c)) && text.find(c) == std::string::npos) spare_ += c;
    }
    size_t term = 0;
    std::string part;
    left += ',';
    for (char c : left) {
      if (c != ',') {
        part += c;
        continue;
      }
      if (term >= ctx.size()) Fail(text);
      terms_.push_back(Expand(part, ctx.Rank(term++), text));
      part.clear();
    }
    if (terms_.size() != ctx.size()) Fail(text);
    result_ = arrow == std::string::npos ? Implicit() : Expand(text.substr(arrow + 2), -1, text);
  }

  std::string ToString() const { return fmt::format("{}->{}", fmt::join(terms_, ","), result_); }

 private:
  [[noreturn]] void Fail(const std::string& text) const {
    ctx_.Fail("TW2015", fmt::format("equation '{}' does not fit the arguments", text));
  }

  /// Without "->": the ellipsis, then the letters that occur once, sorted.
  std::string Implicit() const {
    std::map<char, int> count;
    for (const std::string& t : terms_) {
      for (char c : t) ++count[c];
    }
    std::string batch = spare_.substr(kMostBatch - widest_, widest_), once;
    for (auto& [c, n] : count) {
      if (n == 1 && batch.find(c) == std::string::npos) once += c;
    }
    return batch + once;
  }

  std::string Expand(const std::string& part, int rank, const std::string& text) {
    size_t dots = part.find("...");
    std::string letters = part;
    if (dots != std::string::npos) letters.erase(dots, 3);
    for (char c : letters) {
      if (!std::isalpha(static_cast<unsigned char>(c))) Fail(text);
    }
    if (dots == std::string::npos) {
      if (rank >= 0 && letters.size() != size_t(rank)) Fail(text);
      return letters;
    }
    if (rank >= 0 && letters.size() > size_t(rank)) Fail(text);
    size_t width = rank >= 0 ? size_t(rank) - letters.size() : widest_;
    widest_ = std::max(widest_, width);
    if (spare_.size() < kMostBatch) Fail(text);
    // Ellipses align at their right ends: the last spare letter used is the last axis.
    if (width > kMostBatch) Fail(text);
    std::string batch = spare_.substr(kMostBatch - width, width);
    return letters.substr(0, dots) + batch + letters.substr(dots);
  }

  static constexpr size_t kMostBatch = 8;
  const NodeContext& ctx_;
  std::vector<std::string> terms_;
  std::string result_, spare_;
  size_t widest_ = 0;
};

void Einsum(NodeContext& ctx) {
  EinsumText equation(ctx, ctx.String("equation"));
  std::vector<Value> args;
  for (size_t i = 0; i < ctx.size(); ++i) args.push_back(ctx.Arg(i));
  ctx.Set(0, ctx.Call("Einsum", args, {{"equation", equation.ToString()}}));
}

[[maybe_unused]] const bool kRegistered = RegisterRows({
    {"MatMul", 1, 0, MatMul},
    {"Gemm", 1, 0, Gemm},
    {"Einsum", 12, 0, Einsum},
});

}  // namespace
}  // namespace tilewright::onnx
