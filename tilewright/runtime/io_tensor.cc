// SPDX-License-Identifier: Apache-2.0
#include "tilewright/runtime/io_tensor.h"

#include <algorithm>
#include <cstring>

#include "tilewright/runtime/dtype.h"
#include "tilewright/runtime/status.h"

namespace tilewright::runtime {
namespace {

// Whether a tensor's elements lie row-major without gaps. Strides of dimensions of extent 1 do not matter,
// nor do any where there is no element.
bool IsCompact(const DLTensor& t) {
  if (t.strides == nullptr) return true;
  int64_t expected = 1;
  bool compact = true;
  for (int32_t d = t.ndim - 1; d >= 0; --d) {
    if (t.shape[d] == 0) return true;
    if (t.shape[d] != 1) compact = compact && t.strides[d] == expected;
    expected *= t.shape[d];
  }
  return compact;
}

const std::byte* FirstElement(const DLTensor& t) {
  return static_cast<const std::byte*>(t.data) + t.byte_offset;
}

// Copies a strided tensor row by row along its last dimension.
void CopyStrided(std::byte* out, const DLTensor& t, size_t element) {
  int32_t last = t.ndim - 1;
  std::vector<int64_t> index(static_cast<size_t>(t.ndim), 0);
  for (;;) {
    int64_t offset = 0;
    for (int32_t d = 0; d < last; ++d) offset += index[static_cast<size_t>(d)] * t.strides[d];
    const std::byte* row = FirstElement(t) + offset * static_cast<int64_t>(element);
    int64_t step = t.strides[last] * static_cast<int64_t>(element);
    for (int64_t i = 0; i < t.shape[last]; ++i, out += element) std::memcpy(out, row + i * step, element);
    int32_t d = last - 1;
    while (d >= 0 && ++index[static_cast<size_t>(d)] == t.shape[d]) index[static_cast<size_t>(d--)] = 0;
    if (d < 0) return;
  }
}

}  // namespace

std::string ShapeText(std::span<const int64_t> shape) {
  std::string text;
  for (int64_t dim : shape) text += (text.empty() ? "" : ", ") + std::to_string(dim);
  return "[" + text + "]";
}

uint64_t TensorBytes(DLDataType dtype, std::span<const int64_t> shape) {
  int64_t count = 1;
  int64_t bits = 0;
  bool overflow = false;
  for (int64_t dim : shape) overflow |= __builtin_mul_overflow(count, dim, &count);
  overflow |= __builtin_mul_overflow(count, ElementBits(dtype), &bits) || bits > INT64_MAX - 7;
  // A zero among the dimensions empties the tensor, however large the others are.
  if (std::find(shape.begin(), shape.end(), 0) != shape.end()) return 0;
  if (overflow) {
    throw RuntimeError(ErrorId::kWrongShape,
                       "a tensor of shape " + ShapeText(shape) + " is larger than memory can be");
  }
  return static_cast<uint64_t>(bits + 7) / 8;
}

IoTensor::IoTensor(const TensorSpec& spec, const char* what)
    : spec_(spec),
      what_(what),
      static_(std::all_of(spec.shape.begin(), spec.shape.end(),
                          [](const ShapeExpr& dim) { return dim.is_constant(); })) {
  shape_.resize(spec.shape.size());
  for (size_t d = 0; d < shape_.size(); ++d)
    shape_[d] = spec.shape[d].is_constant() ? spec.shape[d].constant() : -1;
  if (static_) {
    bytes_ = TensorBytes(spec.dtype, shape_);
    has_shape_ = true;
  }
}

IoTensor::~IoTensor() { FreeHost(owned_); }

std::string IoTensor::Describe() const { return std::string(what_) + " '" + spec_.name + "'"; }

void IoTensor::CheckShape(std::span<const int64_t> shape) const {
  bool fits = shape.size() == spec_.shape.size();
  std::string expected;
  for (size_t d = 0; d < spec_.shape.size(); ++d) {
    const ShapeExpr& dim = spec_.shape[d];
    fits = fits && shape[d] >= 0 && (!dim.is_constant() || dim.constant() == shape[d]);
  }
  if (fits) return;
  for (const ShapeExpr& dim : spec_.shape) {
    expected += (expected.empty() ? "" : ", ") + (dim.is_constant() ? dim.ToString() : std::string("any"));
  }
  throw RuntimeError(ErrorId::kWrongShape, "the shape of " + Describe() + " is " + ShapeText(shape) +
                                               ", expected [" + expected + "]");
}

bool IoTensor::SetShape(std::span<const int64_t> shape) {
  CheckShape(shape);
  if (has_shape_ && std::equal(shape.begin(), shape.end(), shape_.begin())) return false;
  bytes_ = TensorBytes(spec_.dtype, shape);
  std::copy(shape.begin(), shape.end(), shape_.begin());
  has_shape_ = true;
  return true;
}

bool IoTensor::EnsureOwned() {
  if (shared_ != nullptr) return shared_->EnsureOwned();
  if (bound_) {
    if (bytes_ <= bound_bytes_) return false;
    throw RuntimeError(ErrorId::kWrongSize, Describe() + " needs " + std::to_string(bytes_) +
                                                " bytes, but the tensor bound to it has " +
                                                std::to_string(bound_bytes_));
  }
  if (owned_.data == nullptr || owned_.bytes < bytes_) {
    DeviceMemory larger = AllocateHost(bytes_);
    FreeHost(owned_);
    owned_ = larger;
  }
  bool changed = data_ != owned_.data;
  data_ = owned_.data;
  return changed;
}

void IoTensor::CheckTensor(const DLTensor& tensor) const {
  if (tensor.device.device_type != kDLCPU) {
    throw RuntimeError(ErrorId::kNotOnHost, "the tensor given for " + Describe() + " is on device type " +
                                                std::to_string(tensor.device.device_type) +
                                                ", expected host memory (kDLCPU)");
  }
  if (!SameDType(tensor.dtype, spec_.dtype)) {
    throw RuntimeError(ErrorId::kWrongDType, "the dtype of the tensor given for " + Describe() + " is " +
                                                 DTypeName(tensor.dtype) + ", expected " +
                                                 DTypeName(spec_.dtype));
  }
  if (tensor.ndim < 0 || (tensor.ndim > 0 && tensor.shape == nullptr)) {
    throw RuntimeError(ErrorId::kWrongShape, "the tensor given for " + Describe() + " has no shape");
  }
  std::span<const int64_t> shape(tensor.shape, static_cast<size_t>(tensor.ndim));
  CheckShape(shape);
  if (tensor.data == nullptr && TensorBytes(spec_.dtype, shape) > 0) {
    throw RuntimeError(ErrorId::kNullArgument, "the tensor given for " + Describe() + " has null data");
  }
}

void IoTensor::Bind(const DLTensor& tensor, uint64_t alignment) {
  CheckTensor(tensor);
  if (!IsCompact(tensor)) {
    throw RuntimeError(
        ErrorId::kNotCompact,
        "the tensor bound to " + Describe() + " has gaps or another order than row-major; copy it instead");
  }
  const std::byte* data = FirstElement(tensor);
  if (reinterpret_cast<uintptr_t>(data) % alignment != 0) {
    throw RuntimeError(ErrorId::kMisaligned, "the tensor bound to " + Describe() + " is not aligned to " +
                                                 std::to_string(alignment) + " bytes; copy it instead");
  }
  SetShape({tensor.shape, static_cast<size_t>(tensor.ndim)});
  data_ = const_cast<std::byte*>(data);
  bound_bytes_ = bytes_;
  bound_ = true;
}

void IoTensor::Unbind() {
  if (!bound_) return;
  bound_ = false;
  data_ = owned_.bytes >= bytes_ ? owned_.data : nullptr;
}

void IoTensor::ExchangeMemory(IoTensor& other) {
  std::swap(owned_, other.owned_);
  std::swap(data_, other.data_);
}

void IoTensor::CopyFrom(const DLTensor& tensor) {
  auto* out = static_cast<std::byte*>(data_);
  if (bytes_ == 0) return;
  if (IsCompact(tensor)) {
    std::memcpy(out, FirstElement(tensor), bytes_);
  } else if (ElementBits(spec_.dtype) % 8 != 0) {
    throw RuntimeError(ErrorId::kNotCompact, "the tensor given for " + Describe() +
                                                 " has elements of less than a byte and is not compact");
  } else {
    CopyStrided(out, tensor, static_cast<size_t>(ElementBits(spec_.dtype) / 8));
  }
}

}  // namespace tilewright::runtime
