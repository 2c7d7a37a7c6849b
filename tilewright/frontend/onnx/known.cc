// SPDX-License-Identifier: Apache-2.0
#include "tilewright/frontend/onnx/known.h"

namespace tilewright::onnx {

int64_t ElementCount(const std::vector<int64_t>& shape) {
  int64_t count = 1;
  bool beyond = false;
  for (int64_t d : shape) {
    if (d <= 0) return 0;
    beyond |= __builtin_mul_overflow(count, d, &count);
  }
  return beyond ? INT64_MAX : count;
}

std::vector<int64_t> RowMajor(const std::vector<int64_t>& shape) {
  std::vector<int64_t> strides(shape.size(), 1);
  for (size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

std::optional<Known> Known::FromArray(const NDArray& array) {
  if (array.size() > kMaxElements || (array.dtype().is_uint() && array.dtype().bits == 64))
    return std::nullopt;
  Known known{array.dtype(), array.shape(), {}};
  for (int64_t i = 0; i < array.size(); ++i) {
    bool is_float = array.dtype().is_float();
    known.elements.push_back(is_float ? MakeConst(kF64, array.AsDouble(i)) : Expr(array.AsInt(i)));
  }
  return known;
}

std::optional<std::vector<int64_t>> Known::Ints() const {
  std::vector<int64_t> values;
  for (const Expr& e : elements) {
    auto value = AsInt(e);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

std::optional<std::vector<double>> Known::Numbers() const {
  std::vector<double> values;
  for (const Expr& e : elements) {
    auto value = AsNumber(e);
    if (!value) return std::nullopt;
    values.push_back(*value);
  }
  return values;
}

bool Known::constant() const { return Numbers().has_value(); }

NDArray Known::ToArray() const {
  if (dtype.is_float()) return NDArray::FromDoubles(dtype, shape, *Numbers());
  return NDArray::FromInts(dtype, shape, *Ints());
}

Expr KnownElement(DataType dtype, double value) {
  if (!dtype.is_float()) return Expr(int64_t(value));
  if (dtype == kF32) return MakeConst(kF64, double(float(value)));
  if (dtype == kF64) return MakeConst(kF64, value);
  NDArray rounded = NDArray::Empty(dtype, {});
  rounded.SetDouble(0, value);
  return MakeConst(kF64, rounded.AsDouble(0));
}

}  // namespace tilewright::onnx
