// SPDX-License-Identifier: Apache-2.0
// One input or output of a context: its shape, and the memory that it is in, the context's own or the user's.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tilewright/runtime/device.h"
#include "tilewright/runtime/program.h"

namespace tilewright::runtime {

class IoTensor {
 public:
  // `spec` outlives this; `what` is "input" or "output".
  IoTensor(const TensorSpec& spec, const char* what);
  ~IoTensor();
  IoTensor(const IoTensor&) = delete;
  IoTensor& operator=(const IoTensor&) = delete;

  const TensorSpec& spec() const { return spec_; }
  // "input 'x'".
  std::string Describe() const;
  // Whether no dimension depends on a symbol.
  bool is_static() const { return static_; }
  bool has_shape() const { return has_shape_; }
  std::span<const int64_t> shape() const { return shape_; }
  // The size of the tensor at its present shape.
  uint64_t bytes() const { return bytes_; }
  bool is_bound() const { return bound_; }
  // The tensor's memory; null where there is none yet.
  void* data() const { return shared_ != nullptr ? shared_->data() : data_; }
  // Whether its memory is another tensor's.
  bool is_shared() const { return shared_ != nullptr; }
  uint64_t owned_bytes() const { return owned_.bytes; }

  // Takes a shape whose fixed dimensions are the spec's; returns whether it differs from the present one.
  // Throws kWrongShape. Allocates nothing.
  bool SetShape(std::span<const int64_t> shape);
  // Makes memory of the context's own hold the present shape; returns whether data() changed.
  bool EnsureOwned();
  // Uses the user's tensor, which must be compact, on the host, aligned, and of the spec's dtype.
  void Bind(const DLTensor& tensor, uint64_t alignment);
  // Lies in the memory of `other`, which has the same size and outlives this, from now on.
  void ShareWith(IoTensor& other) { shared_ = &other; }
  // Exchanges the memory with that of another tensor; neither is bound or shared.
  void ExchangeMemory(IoTensor& other);
  // Goes back to the context's own memory, if it has any.
  void Unbind();
  // Throws unless the tensor is on the host, has the spec's dtype and a shape that the spec allows.
  void CheckTensor(const DLTensor& tensor) const;
  // Copies the elements of a checked tensor of the present shape, strided or not, into the memory.
  void CopyFrom(const DLTensor& tensor);

 private:
  void CheckShape(std::span<const int64_t> shape) const;

  const TensorSpec& spec_;
  const char* what_;
  bool static_;
  bool has_shape_ = false;
  bool bound_ = false;
  std::vector<int64_t> shape_;
  uint64_t bytes_ = 0;
  void* data_ = nullptr;
  uint64_t bound_bytes_ = 0;
  DeviceMemory owned_;
  IoTensor* shared_ = nullptr;
};

// "[1, 3, 224, 224]".
std::string ShapeText(std::span<const int64_t> shape);

// The size of a compact tensor. Throws kWrongShape where it exceeds what a size can be.
uint64_t TensorBytes(DLDataType dtype, std::span<const int64_t> shape);

}  // namespace tilewright::runtime
