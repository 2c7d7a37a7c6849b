// SPDX-License-Identifier: Apache-2.0
#include "tilewright/ir/ndarray.h"

#include <sys/mman.h>

#include <bit>
#include <cmath>
#include <cstdlib>

#include "tilewright/ir/float16.h"

namespace tilewright {

namespace {

constexpr int64_t kAlignment = 64;
constexpr size_t kHugePage = size_t(2) << 20;
constexpr int64_t kMaxBytes = int64_t(1) << 39;

void CheckElementType(DataType t) {
  const bool wide_enough = t.is_float() ? t.bits >= 16 : t.is_bool() || t.is_integer();
  // Integers of 3, 5, 6 or 7 bytes have no machine type behind them.
  const bool machine_size = std::has_single_bit(uint64_t(t.element_bytes()));
  if (wide_enough && machine_size && t.is_scalar()) return;
  throw Error("TW1010", fmt::format("no array of element type {}", t.ToString()), "",
              {"expected bool, i8 to i64, u8 to u64, f16, bf16, f32 or f64"});
}

std::string ShapeText(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

/// Null when there is no memory.
void* Allocate(size_t bytes) {
  if (bytes < 2 * kHugePage)
    return std::aligned_alloc(kAlignment, (bytes + kAlignment) / kAlignment * kAlignment);
  // Weights are written once, from end to end: with ordinary pages, most of that is asking the system for one
  // after the other.
  void* memory = nullptr;
  if (posix_memalign(&memory, kHugePage, bytes) != 0) return nullptr;
  madvise(memory, bytes / kHugePage * kHugePage,
          MADV_HUGEPAGE);  // where the system has none, nothing is lost
  return memory;
}

template <class T>
T Read(const char* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

template <class T>
void Write(char* p, T value) {
  std::memcpy(p, &value, sizeof(T));
}

double ReadFloat(const char* p, DataType t) {
  if (t.code == TypeCode::kBFloat) return BFloat16ToDouble(Read<uint16_t>(p));
  if (t.bits == 16) return HalfToDouble(Read<uint16_t>(p));
  return t.bits == 32 ? double(Read<float>(p)) : Read<double>(p);
}

int64_t ReadInt(const char* p, DataType t) {
  switch (t.element_bytes()) {
    case 1:
      return WrapToType(Read<int8_t>(p), t);
    case 2:
      return WrapToType(Read<int16_t>(p), t);
    case 4:
      return WrapToType(Read<int32_t>(p), t);
    default:
      return WrapToType(Read<int64_t>(p), t);
  }
}

/// The integer of a float, saturated to 64 bits.
int64_t Truncate(double value) {
  if (std::isnan(value)) return 0;
  if (value >= 0x1p63) return INT64_MAX;
  if (value < -0x1p63) return INT64_MIN;
  return static_cast<int64_t>(value);
}

}  // namespace

int64_t CheckedSize(const std::vector<int64_t>& shape, int64_t element_bytes) {
  int64_t size = 1;
  bool empty = false;
  for (int64_t d : shape) {
    if (d < 0)
      throw Error("TW1010", fmt::format("an array of shape {} has a negative dimension", ShapeText(shape)));
    empty |= d == 0;
  }
  if (empty) return 0;
  int64_t total = element_bytes;
  for (int64_t d : shape) {
    if (__builtin_mul_overflow(size, d, &size) || __builtin_mul_overflow(total, d, &total)) {
      throw Error("TW1010",
                  fmt::format("an array of shape {} exceeds the 64-bit address space", ShapeText(shape)));
    }
  }
  return size;
}

void CheckElementCount(int64_t found, int64_t expected) {
  if (found == expected) return;
  throw Error("TW1011", fmt::format("{} elements given for a shape of {} elements", found, expected));
}

NDArray NDArray::Empty(DataType dtype, std::vector<int64_t> shape) {
  CheckElementType(dtype);
  NDArray a;
  a.dtype_ = dtype;
  a.size_ = CheckedSize(shape, dtype.element_bytes());
  a.shape_ = std::move(shape);
  // A size beyond any machine's memory is refused here: sanitizers abort on it instead of returning null.
  void* memory = a.bytes() < kMaxBytes ? Allocate(size_t(a.bytes())) : nullptr;
  if (!memory) {
    throw Error("TW1010", fmt::format("no memory for {} bytes, an array {}{}", a.bytes(), dtype.ToString(),
                                      ShapeText(a.shape_)));
  }
  a.owner_ = std::shared_ptr<const void>(memory, [](const void* p) { std::free(const_cast<void*>(p)); });
  a.data_ = static_cast<char*>(memory);
  return a;
}

NDArray NDArray::Zeros(DataType dtype, std::vector<int64_t> shape) {
  NDArray a = Empty(dtype, std::move(shape));
  std::memset(a.data_, 0, size_t(a.bytes()));
  return a;
}

NDArray NDArray::FromDoubles(DataType dtype, std::vector<int64_t> shape, std::span<const double> values) {
  NDArray a = Empty(dtype, std::move(shape));
  CheckElementCount(int64_t(values.size()), a.size());
  for (int64_t i = 0; i < a.size(); ++i) a.SetDouble(i, values[size_t(i)]);
  return a;
}

NDArray NDArray::FromInts(DataType dtype, std::vector<int64_t> shape, std::span<const int64_t> values) {
  NDArray a = Empty(dtype, std::move(shape));
  CheckElementCount(int64_t(values.size()), a.size());
  for (int64_t i = 0; i < a.size(); ++i) a.SetInt(i, values[size_t(i)]);
  return a;
}

NDArray NDArray::View(DataType dtype, std::vector<int64_t> shape, const void* data,
                      std::shared_ptr<const void> owner) {
  CheckElementType(dtype);
  NDArray a;
  a.dtype_ = dtype;
  a.size_ = CheckedSize(shape, dtype.element_bytes());
  a.shape_ = std::move(shape);
  TW_CHECK(data, "a view of nothing");
  a.data_ = static_cast<char*>(const_cast<void*>(data));
  a.owner_ = std::move(owner);
  a.read_only_ = true;
  return a;
}

void* NDArray::mutable_data() {
  TW_CHECK(!read_only_, "writing to a read-only array");
  return data_;
}

char* NDArray::Element(int64_t i) const {
  TW_CHECK(i >= 0 && i < size_, "element {} of an array of {}", i, size_);
  return data_ + i * dtype_.element_bytes();
}

double NDArray::AsDouble(int64_t i) const {
  const char* p = Element(i);
  if (dtype_.is_float()) return ReadFloat(p, dtype_);
  const int64_t value = ReadInt(p, dtype_);
  return dtype_ == kU64 ? double(uint64_t(value)) : double(value);
}

int64_t NDArray::AsInt(int64_t i) const {
  const char* p = Element(i);
  return dtype_.is_float() ? Truncate(ReadFloat(p, dtype_)) : ReadInt(p, dtype_);
}

void NDArray::SetDouble(int64_t i, double value) {
  if (dtype_.is_bool()) return SetInt(i, value != 0);
  if (!dtype_.is_float()) {
    const bool high = dtype_ == kU64 && value >= 0x1p63;
    return SetInt(i, high ? int64_t(value >= 0x1p64 ? UINT64_MAX : uint64_t(value)) : Truncate(value));
  }
  mutable_data();
  char* p = Element(i);
  if (dtype_.code == TypeCode::kBFloat) return Write(p, DoubleToBFloat16(value));
  if (dtype_.bits == 16) return Write(p, DoubleToHalf(value));
  return dtype_.bits == 32 ? Write(p, float(value)) : Write(p, value);
}

void NDArray::SetInt(int64_t i, int64_t value) {
  if (dtype_.is_float()) return SetDouble(i, double(value));
  mutable_data();
  char* p = Element(i);
  if (dtype_.is_bool()) return Write(p, uint8_t(value != 0));
  value = WrapToType(value, dtype_);
  switch (dtype_.element_bytes()) {
    case 1:
      return Write(p, int8_t(value));
    case 2:
      return Write(p, int16_t(value));
    case 4:
      return Write(p, int32_t(value));
    default:
      return Write(p, value);
  }
}

std::vector<int64_t> NDArray::ToInts() const {
  std::vector<int64_t> out(static_cast<size_t>(size_));
  for (int64_t i = 0; i < size_; ++i) out[size_t(i)] = AsInt(i);
  return out;
}

std::vector<double> NDArray::ToDoubles() const {
  std::vector<double> out(static_cast<size_t>(size_));
  for (int64_t i = 0; i < size_; ++i) out[size_t(i)] = AsDouble(i);
  return out;
}

NDArray NDArray::Copy() const {
  NDArray a = Empty(dtype_, shape_);
  if (size_) std::memcpy(a.data_, data_, size_t(bytes()));
  return a;
}

NDArray NDArray::Reshape(std::vector<int64_t> shape) const {
  CheckElementCount(size_, CheckedSize(shape, dtype_.element_bytes()));
  NDArray a = *this;
  a.shape_ = std::move(shape);
  return a;
}

bool operator==(const NDArray& a, const NDArray& b) {
  if (a.dtype_ != b.dtype_ || a.shape_ != b.shape_ || !a.data_ != !b.data_) return false;
  return a.data_ == b.data_ || a.size_ == 0 || std::memcmp(a.data_, b.data_, size_t(a.bytes())) == 0;
}

std::string NDArray::ToString(int max_elements) const {
  if (!data_) return "(no array)";
  std::string text = dtype_.ToString() + ShapeText(shape_) + " {";
  for (int64_t i = 0; i < size_; ++i) {
    if (i) text += ", ";
    if (i == max_elements) {
      text += "...";
      break;
    }
    if (!dtype_.is_float()) {
      text += dtype_ == kU64 ? fmt::format("{}", uint64_t(AsInt(i))) : fmt::format("{}", AsInt(i));
    } else {
      // The shortest digits that give the value back in its own width (f16 and bf16 as f32).
      text += dtype_.bits == 64 ? fmt::format("{}", AsDouble(i)) : fmt::format("{}", float(AsDouble(i)));
    }
  }
  return text + "}";
}

}  // namespace tilewright
