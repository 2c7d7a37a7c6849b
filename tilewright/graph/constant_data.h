// SPDX-License-Identifier: Apache-2.0
// Where the elements of large constants lie: beside the text that names them, as raw bytes at an offset.
#pragma once

#include <memory>
#include <string>
#include <unordered_map>

#include "tilewright/ir/ndarray.h"

namespace tilewright {

/// The bytes of constants one behind the other, each at a multiple of 64, equal ones once.
class ConstantData {
 public:
  /// The offset of the array's elements, which are appended unless they are there already.
  int64_t Add(const NDArray& array);
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
  std::unordered_multimap<uint64_t, int64_t> offsets_;  ///< by hash
};

/// FNV-1a over the elements' bytes.
uint64_t HashBytes(const NDArray& array);

/// The array whose elements begin at `offset` of `bytes`; it shares their memory. Null when they end before
/// it does, or `offset` is negative.
NDArray ReadConstant(const std::shared_ptr<const std::string>& bytes, DataType dtype,
                     std::vector<int64_t> shape, int64_t offset);

}  // namespace tilewright
