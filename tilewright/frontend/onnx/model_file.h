// SPDX-License-Identifier: Apache-2.0
// Files, and the tensors in them.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

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

/// A model as its file has it. Large weights may be left where they lie: their tensors have empty raw data
/// then.
struct Model {
  ModelProto proto;
  std::shared_ptr<const void> weights_owner;                         ///< of all `weights`
  std::unordered_map<const TensorProto*, std::string_view> weights;  ///< raw data, by the proto's tensors
};

/// Throws TW2002 for bytes that are not a whole message, TW2003 beyond `max_bytes`. With an owner of the
/// bytes large weights are not copied.
std::shared_ptr<const Model> ParseModel(std::string_view bytes, const std::string& where, int64_t max_bytes,
                                        std::shared_ptr<const void> owner = nullptr);

/// ONNX's number of an element type as a type of ours. Throws TW2016 for types that are not supported; `what`
/// names the thing that has it.
DataType ElementType(int32_t onnx_type, const std::string& what);
/// "float16", "string", ... for messages.
std::string ElementTypeName(int32_t onnx_type);

/// Turns tensors of a model into arrays. Arrays share the memory of the model or of mapped files.
class TensorReader {
 public:
  /// External data are confined to `folder`; empty: refused. `model` is that of the tensors; null: they are
  /// copied.
  TensorReader(std::string folder, std::shared_ptr<const Model> model)
      : folder_(std::move(folder)), model_(std::move(model)) {}
  /// Throws TW2016 (type), TW2020 (data do not fit the shape), TW2021 (dimensions), TW2022 and TW2023
  /// (external data).
  NDArray Read(const TensorProto& tensor);

 private:
  NDArray ReadExternal(const TensorProto& tensor, DataType dtype, const std::vector<int64_t>& shape);
  std::string folder_;
  std::shared_ptr<const Model> model_;
  std::map<std::string, std::shared_ptr<const MappedFile>> files_;
};

}  // namespace tilewright::onnx
