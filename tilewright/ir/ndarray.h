// SPDX-License-Identifier: Apache-2.0
// A dense array in host memory: constants of the graph level, data of the interpreters, tensors of importers.
#pragma once

#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "tilewright/ir/dtype.h"
#include "tilewright/support/error.h"

namespace tilewright {

/// Row-major elements of a scalar numeric or bool type; copies share the memory. The memory is 64-byte
/// aligned when the array owns it; a view (of a mapped file) has what its owner gives. Types below 8 bits
/// take a byte each.
class NDArray {
 public:
  NDArray() = default;

  /// Elements are not initialised. Throws Error TW1010 for a type without elements in memory (str, custom,
  /// vectors), a negative dimension, or a size that cannot be had.
  static NDArray Empty(DataType dtype, std::vector<int64_t> shape);
  static NDArray Zeros(DataType dtype, std::vector<int64_t> shape);
  /// A copy of `values`, whose count must be the shape's (TW1011) and whose size that of the type (checked).
  template <class T>
  static NDArray FromVector(DataType dtype, std::vector<int64_t> shape, const std::vector<T>& values);
  /// The same with every value converted to the type, as by SetDouble or SetInt.
  static NDArray FromDoubles(DataType dtype, std::vector<int64_t> shape, std::span<const double> values);
  static NDArray FromInts(DataType dtype, std::vector<int64_t> shape, std::span<const int64_t> values);
  /// Read-only elements at `data` (at least NumBytes of them), kept alive by `owner`.
  static NDArray View(DataType dtype, std::vector<int64_t> shape, const void* data,
                      std::shared_ptr<const void> owner);

  explicit operator bool() const { return data_ != nullptr; }
  DataType dtype() const { return dtype_; }
  const std::vector<int64_t>& shape() const { return shape_; }
  int rank() const { return int(shape_.size()); }
  int64_t size() const { return size_; }  ///< number of elements; 1 for rank 0
  int64_t bytes() const { return size_ * dtype_.element_bytes(); }
  bool read_only() const { return read_only_; }

  const void* data() const { return data_; }
  /// Writable elements; a read-only view is an internal error.
  void* mutable_data();
  /// The elements as T, whose size must be the type's.
  template <class T>
  std::span<const T> as() const;
  template <class T>
  std::span<T> mutable_as();

  /// Element by row-major position (checked). Integers beyond 2^53 lose digits as double; floats truncate as
  /// int.
  double AsDouble(int64_t i) const;
  int64_t AsInt(int64_t i) const;
  /// Stores the value rounded (floats) or wrapped (integers) to the type; bool stores value != 0. A float
  /// that no 64-bit integer holds saturates, NaN gives 0.
  void SetDouble(int64_t i, double value);
  void SetInt(int64_t i, int64_t value);
  std::vector<int64_t> ToInts() const;
  std::vector<double> ToDoubles() const;

  /// A copy with memory of its own.
  NDArray Copy() const;
  /// The same elements under another shape of as many elements (TW1011).
  NDArray Reshape(std::vector<int64_t> shape) const;
  /// Same type, shape and bytes: NaNs equal themselves, 0.0 differs from -0.0.
  friend bool operator==(const NDArray& a, const NDArray& b);

  /// "f32[2, 3] {1, 2, 3, ...}" with the first elements.
  std::string ToString(int max_elements = 16) const;

 private:
  char* Element(int64_t i) const;
  DataType dtype_;
  std::vector<int64_t> shape_;
  int64_t size_ = 0;
  char* data_ = nullptr;
  std::shared_ptr<const void> owner_;
  bool read_only_ = false;
};

/// The number of elements of a shape; throws Error TW1010 for negative dimensions and overflow of
/// `element_bytes` times the count.
int64_t CheckedSize(const std::vector<int64_t>& shape, int64_t element_bytes = 1);

/// Throws Error TW1011 when `found` elements are given for a shape of `expected`.
void CheckElementCount(int64_t found, int64_t expected);

template <class T>
NDArray NDArray::FromVector(DataType dtype, std::vector<int64_t> shape, const std::vector<T>& values) {
  NDArray a = Empty(dtype, std::move(shape));
  CheckElementCount(int64_t(values.size()), a.size());
  if constexpr (std::is_same_v<T, bool>) {
    for (int64_t i = 0; i < a.size(); ++i) a.SetInt(i, values[size_t(i)]);
  } else {
    TW_CHECK(sizeof(T) == size_t(dtype.element_bytes()), "elements of {} bytes for {}", sizeof(T),
             dtype.ToString());
    if (!values.empty()) std::memcpy(a.mutable_data(), values.data(), size_t(a.bytes()));
  }
  return a;
}

template <class T>
std::span<const T> NDArray::as() const {
  TW_CHECK(sizeof(T) == size_t(dtype_.element_bytes()), "{} read by {} bytes", dtype_.ToString(), sizeof(T));
  return {reinterpret_cast<const T*>(data_), size_t(size_)};
}

template <class T>
std::span<T> NDArray::mutable_as() {
  TW_CHECK(sizeof(T) == size_t(dtype_.element_bytes()), "{} written by {} bytes", dtype_.ToString(),
           sizeof(T));
  return {static_cast<T*>(mutable_data()), size_t(size_)};
}

}  // namespace tilewright
