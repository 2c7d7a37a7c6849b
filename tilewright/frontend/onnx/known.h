// SPDX-License-Identifier: Apache-2.0
// What the importer knows of a tensor's content: small tensors from which models compute shapes.
#pragma once

#include <optional>
#include <vector>

#include "tilewright/ir/expr.h"
#include "tilewright/ir/ndarray.h"

namespace tilewright::onnx {

/// A tensor's elements, row-major. Integers and bools are index expressions, over symbolic dimensions where
/// shapes are; floats are f64 constants, rounded to the tensor's type.
struct Known {
  DataType dtype;
  std::vector<int64_t> shape;
  std::vector<Expr> elements;

  /// Larger tensors are not followed: no shape comes from them.
  static constexpr int64_t kMaxElements = 4096;
  static std::optional<Known> FromArray(const NDArray& array);
  /// The elements when all are constant integers.
  std::optional<std::vector<int64_t>> Ints() const;
  std::optional<std::vector<double>> Numbers() const;
  bool constant() const;
  /// Only when constant.
  NDArray ToArray() const;
};

/// The constant `value` as an element of a Known tensor of this type.
Expr KnownElement(DataType dtype, double value);
/// Elements of a tensor of this shape: 0 where an extent is not positive, INT64_MAX where there are more.
int64_t ElementCount(const std::vector<int64_t>& shape);
/// Strides of a row-major tensor.
std::vector<int64_t> RowMajor(const std::vector<int64_t>& shape);

}  // namespace tilewright::onnx
