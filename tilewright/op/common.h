// SPDX-License-Identifier: Apache-2.0
// What operator definitions share: shape rules and small expression helpers.
//
// Errors of shape rules: TW2102 dimensions differ, TW2110 attribute out of range, TW2111 wrong rank,
// TW2112 wrong element type, TW2113 a dimension that must be constant is not.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tilewright/graph/gradient.h"
#include "tilewright/graph/op_def.h"

namespace tilewright {

using Indices = LowerContext::Indices;

/// One tensor result of natural layout.
std::vector<Type> OneResult(DataType dtype, std::vector<Expr> shape);
/// The type of the first argument.
std::vector<Type> InferSame(const InferContext& ctx);

/// The shape that numpy broadcasting gives. TW2102 when two dimensions cannot agree.
std::vector<Expr> BroadcastShape(const InferContext& ctx, const std::vector<Expr>& a,
                                 const std::vector<Expr>& b);
/// Broadcast of all arguments; keeps the layout of an argument that has the result's full shape.
std::vector<Type> InferBroadcast(const InferContext& ctx, DataType result);

/// `axis` counted from the front. TW2110 outside of [-rank, rank).
int CheckedAxis(const InferContext& ctx, int64_t axis, int rank);
/// The same for a list (empty stays empty), sorted; TW2110 for repeated axes.
std::vector<int> CheckedAxes(const InferContext& ctx, const std::vector<int64_t>& axes, int rank);
/// For lowerings, after the shape rule has checked.
int FromFront(int64_t axis, int rank);
std::vector<bool> AxisMask(const std::vector<int64_t>& axes, int rank, bool empty_means_all);

/// TW2111 unless the rank of argument `i` lies in [lo, hi].
void RequireRank(const InferContext& ctx, size_t i, int lo, int hi);
/// TW2112 unless argument `i` is a floating-point tensor.
void RequireFloat(const InferContext& ctx, size_t i);
/// TW2112 unless argument `i` has exactly this type.
void RequireDType(const InferContext& ctx, size_t i, DataType dtype);
/// TW2112 unless argument `i` has i32 or i64 elements.
void RequireIndex(const InferContext& ctx, size_t i);
/// TW2112 unless arguments a and b have the same element type.
void RequireSameDType(const InferContext& ctx, size_t a, size_t b);

/// TW2110 unless `value` is at most `limit`; where they are symbolic it is checked at run time, like
/// equalities.
void RequireAtMost(const InferContext& ctx, const Expr& value, const Expr& limit, const std::string& what);

/// Product of the shape.
Expr Product(const std::vector<Expr>& shape);
/// A constant of the type of `like`.
Expr ConstLike(const Expr& like, double value);

/// The type that arithmetic runs in: 16-bit floats compute in f32 and round once at the end.
DataType ComputeType(DataType dtype);
Expr ToCompute(const Expr& x);
/// f over the operands in their compute type, result in `dtype`.
Expr InComputeType(DataType dtype, const std::vector<Expr>& x,
                   const std::function<Expr(const std::vector<Expr>&)>& f);

/// A definition of an element-wise operator of one argument.
OpDef ElementwiseOp(std::string name, std::string doc,
                    std::function<Expr(const Expr& x, const LowerContext& ctx)> f);

/// The stage result `t`, which has the physical shape of output `out`, at a logical index.
Expr AtLogical(const LowerContext& ctx, const te::Tensor& t, const Indices& logical, size_t out = 0);
/// Reduction axes named r0, r1, ... of these extents.
std::vector<IterVar> ReduceAxes(const std::vector<Expr>& extents);
/// The conjunction of scalar conditions; null when there is none.
Expr AllOf(const std::vector<Expr>& conditions);

}  // namespace tilewright
