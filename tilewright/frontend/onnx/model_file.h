// SPDX-License-Identifier: Apache-2.0
// Files, and the tensors in them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "tilewright/frontend/onnx/onnx.pb.h"
#include "tilewright/ir/ndarray.h"

namespace tilewright::onnx {

/// A file mapped for reading, for as long as anyone holds it.
struct MappedFile {
  const char* data = nullptr;
  int64_t size = 0;
};
/// Throws Error TW2001 when it cannot be opened or is no ordinary file.
std::shared_ptr<const MappedFile> MapFile(const std::string& path);

/// Throws TW2002 for bytes that are not a whole message, TW2003 beyond `max_bytes`.
std::shared_ptr<const ModelProto> ParseModel(std::string_view bytes, const std::string& where,
                                             int64_t max_bytes);

/// ONNX's number of an element type as a type of ours. Throws TW2016 for types that are not supported; `what`
/// names the thing that has it.
DataType ElementType(int32_t onnx_type, const std::string& what);
/// "float16", "string", ... for messages.
std::string ElementTypeName(int32_t onnx_type);

/// Turns tensors of a model into arrays. Arrays share the memory of the model or of mapped files.
class TensorReader {
 public:
  /// External data are confined to `folder`; empty: refused. `owner` keeps the protos alive.
  TensorReader(std::string folder, std::shared_ptr<const void> owner)
      : folder_(std::move(folder)), owner_(std::move(owner)) {}
  /// Throws TW2016 (type), TW2020 (data do not fit the shape), TW2021 (dimensions), TW2022 and TW2023
  /// (external data).
  NDArray Read(const TensorProto& tensor);

 private:
  NDArray ReadExternal(const TensorProto& tensor, DataType dtype, const std::vector<int64_t>& shape);
  std::string folder_;
  std::shared_ptr<const void> owner_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace tilewright::onnx
