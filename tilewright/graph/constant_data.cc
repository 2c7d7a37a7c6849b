// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/constant_data.h"

namespace tilewright {

int64_t ConstantData::Add(const NDArray& array) {
  constexpr size_t kAlignment = 64;
  const std::string_view elements(static_cast<const char*>(array.data()), size_t(array.bytes()));
  const uint64_t hash = HashBytes(array);
  auto [begin, end] = offsets_.equal_range(hash);
  for (auto it = begin; it != end; ++it) {
    if (std::string_view(bytes_).substr(size_t(it->second)).starts_with(elements)) return it->second;
  }
  bytes_.resize((bytes_.size() + kAlignment - 1) / kAlignment * kAlignment);
  const auto offset = int64_t(bytes_.size());
  bytes_ += elements;
  offsets_.emplace(hash, offset);
  return offset;
}

uint64_t HashBytes(const NDArray& array) {
  uint64_t h = 0xcbf29ce484222325ull;
  const auto* p = static_cast<const unsigned char*>(array.data());
  for (int64_t i = 0; i < array.bytes(); ++i) h = (h ^ p[i]) * 0x100000001b3ull;
  return h;
}

NDArray ReadConstant(const std::shared_ptr<const std::string>& bytes, DataType dtype,
                     std::vector<int64_t> shape, int64_t offset) {
  const auto available = int64_t(bytes->size());
  const int64_t needed = CheckedSize(shape, dtype.element_bytes()) * dtype.element_bytes();
  if (offset < 0 || offset > available || needed > available - offset) return {};
  return NDArray::View(dtype, std::move(shape), bytes->data() + offset, bytes);
}

}  // namespace tilewright
