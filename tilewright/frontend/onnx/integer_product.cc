// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/integer_product.h"

#include <algorithm>

#include "tilewright/frontend/onnx/importer.h"

namespace tilewright::onnx {

namespace {

/// Groups of so many neighbours along the inner dimension are what dot products of bytes take.
constexpr int64_t kGroup = 4;

bool IsZero(const ByteOperand& x) {
  if (!x.zero) return true;
  if (!x.known) return false;
  for (int64_t i = 0; i < x.known.size(); ++i) {
    if (x.known.AsInt(i) != 0) return false;
  }
  return true;
}

/// The same operand with bytes of the other sign: data and zero point move by 128 together. The zero point is
/// i32, or null where it is known to be 0.
ByteOperand WithSign(NodeContext& ctx, ByteOperand x, DataType wanted) {
  if (x.data.tensor().dtype == wanted) {
    if (IsZero(x)) return {x.data, nullptr, {}, x.constant};
    x.zero = ctx.Cast(x.zero, kI32);
    return x;
  }
  const int64_t shift = wanted == kU8 ? 128 : -128;
  auto moved = [&](const Value& v) {
    return ctx.Call("Add", {ctx.Cast(v, kI32), ctx.Scalar(kI32, double(shift))});
  };
  ByteOperand y{ctx.Cast(moved(x.data), wanted), nullptr, {}, x.constant};
  if (!x.zero) {
    y.zero = ctx.Scalar(kI32, double(shift));
    return y;
  }
  if (x.known) {
    y.known = NDArray::Zeros(kI32, x.known.shape());
    for (int64_t i = 0; i < x.known.size(); ++i) y.known.SetInt(i, x.known.AsInt(i) + shift);
  }
  y.zero = IsZero({x.data, x.zero, y.known}) ? nullptr : moved(x.zero);
  return y;
}

Value Ones(NodeContext& ctx, DataType t, std::vector<int64_t> shape) {
  NDArray ones = NDArray::Empty(t, std::move(shape));
  for (int64_t i = 0; i < ones.size(); ++i) ones.SetInt(i, 1);
  return ctx.Constant(ones);
}

Value SumOver(NodeContext& ctx, const Value& x, int64_t axis) {
  return ctx.Call("ReduceSum", {ctx.Cast(x, kI32)},
                  {{"axes", std::vector<int64_t>{axis}}, {"keepdims", true}});
}

/// The sums of the columns of b, i8, as [.., 1, N]: a product with ones, since that reads bytes.
Value ColumnSums(NodeContext& ctx, const Value& b) {
  const auto& shape = b.tensor().shape;
  const auto depth = AsInt(shape[shape.size() - 2]);
  if (!depth) return SumOver(ctx, b, int64_t(shape.size()) - 2);
  return ctx.Call("MatMulInteger", {Ones(ctx, kU8, {1, *depth}), b});
}

/// The sums of the rows of a, u8, as [.., M, 1]: of as many equal columns as a group has, the first.
Value RowSums(NodeContext& ctx, const Value& a) {
  const auto& shape = a.tensor().shape;
  const auto depth = AsInt(shape.back());
  if (!depth) return SumOver(ctx, a, int64_t(shape.size()) - 1);
  Value sums = ctx.Call("MatMulInteger", {a, Ones(ctx, kI8, {*depth, kGroup})});
  std::vector<Expr> one = sums.tensor().shape;
  one.back() = Expr(1);
  return ctx.Call("Slice", {sums},
                  {{"begin", std::vector<Expr>(one.size(), Expr(0))},
                   {"stride", std::vector<int64_t>(one.size(), 1)},
                   {"shape", one}});
}

/// Zeros behind an axis, to a multiple of the group.
Value PaddedToGroups(NodeContext& ctx, const Value& x, size_t axis) {
  const auto& shape = x.tensor().shape;
  std::vector<Expr> begin(shape.size(), Expr(0)), end = begin;
  end[axis] = Expr((kGroup - *AsInt(shape[axis]) % kGroup) % kGroup);
  return ctx.Call("Pad", {x, nullptr}, {{"begin", begin}, {"end", end}});
}

/// The product of matrices.
Value ProductOfMatrices(NodeContext& ctx, ByteOperand a, ByteOperand b) {
  a = WithSign(ctx, a, kU8);
  b = WithSign(ctx, b, kI8);
  const size_t rank_a = a.data.tensor().shape.size(), rank_b = b.data.tensor().shape.size();
  Value left = a.data, right = b.data;
  const auto depth = AsInt(left.tensor().shape.back());
  if (b.constant && depth && *depth % kGroup) {
    left = PaddedToGroups(ctx, left, rank_a - 1);
    right = PaddedToGroups(ctx, right, rank_b - 2);
  }
  Value y = ctx.Call("MatMulInteger", {left, right});
  // The sum of (a - p)(b - q) over K is that of a b, less p times (that of b, less K q), less q times that of
  // a.
  if (a.zero) {
    Value centred = ColumnSums(ctx, b.data);
    if (b.zero) {
      Value shift = depth ? ctx.Call("Mul", {b.zero, ctx.Scalar(kI32, double(*depth))})
                          : SumOver(ctx, ctx.Call("Expand", {b.zero}, {{"shape", b.data.tensor().shape}}),
                                    int64_t(rank_b) - 2);
      centred = ctx.Call("Sub", {centred, shift});
    }
    y = ctx.Call("Sub", {y, ctx.Call("Mul", {a.zero, centred})});
  }
  if (b.zero) y = ctx.Call("Sub", {y, ctx.Call("Mul", {RowSums(ctx, a.data), b.zero})});
  return y;
}

}  // namespace

ByteOperand ByteArgument(NodeContext& ctx, size_t data, size_t zero) {
  ByteOperand x{ctx.Arg(data), ctx.OptionalArg(zero), {}, bool(ctx.Input(data).data)};
  if (x.zero) x.known = ctx.Input(zero).data;
  return x;
}

Value IntegerProduct(NodeContext& ctx, ByteOperand a, ByteOperand b) {
  for (const Value& v : {a.data, b.data}) {
    const DataType t = v.tensor().dtype;
    if (t != kU8 && t != kI8) ctx.Unsupported(fmt::format("an integer product of {}", t.ToString()));
  }
  const bool row = a.data.tensor().rank() == 1, column = b.data.tensor().rank() == 1;
  if (row) a.data = ctx.Reshape(a.data, {Expr(1), a.data.tensor().shape[0]});
  if (column) b.data = ctx.Reshape(b.data, {b.data.tensor().shape[0], Expr(1)});
  Value y = ProductOfMatrices(ctx, a, b);
  if (!row && !column) return y;
  std::vector<Expr> shape = y.tensor().shape;
  if (column) shape.pop_back();
  if (row) shape.erase(shape.end() - (column ? 1 : 2));
  return ctx.Reshape(y, shape);
}

Value DequantisedProduct(NodeContext& ctx) {
  const auto& known = ctx.importer().dequantised();
  auto a = known.find(ctx.Arg(0).get()), b = known.find(ctx.Arg(1).get());
  if (a == known.end() || b == known.end()) return nullptr;
  const Dequantised &x = a->second, &w = b->second;
  const int rank = w.bytes.data.tensor().rank();
  const bool per_column = !w.axis || (rank == 2 && *w.axis == 1);
  if (x.axis || !per_column || !w.bytes.constant || rank < 2 || x.bytes.data.tensor().rank() < 2)
    return nullptr;
  Value sums = ctx.Cast(IntegerProduct(ctx, x.bytes, w.bytes), kF32);
  return ctx.Call("Mul", {sums, ctx.Call("Mul", {x.scale, w.scale})});
}

}  // namespace tilewright::onnx
