// SPDX-License-Identifier: Apache-2.0
// From an ONNX model to the graph level.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tilewright/graph/graph.h"

namespace tilewright {

struct ImportOptions {
  /// Inputs, by name, that are given here and now: they become parameters.
  std::map<std::string, NDArray> bound;
  /// Values of symbolic dimensions, by the model's names for them.
  std::map<std::string, int64_t> dims;
  /// Larger files are refused (TW2003); weights beyond that belong into external data.
  int64_t max_file_bytes = INT32_MAX;
};

/// A model's graph and its weights. The function "main" takes the model's inputs and then those parameters;
/// BindParameters makes constants of these.
struct ImportedModel {
  IRModule module;
  std::map<std::string, NDArray> parameters;
  std::vector<std::string> inputs;  ///< names of what the caller gives, in order
  int64_t opset = 0;                ///< of ONNX's own domain
  std::string producer;             ///< the program that wrote the file; may be empty
};

/// TW2051: shapes of the model depend on the values of inputs. It can be imported with these inputs bound.
class NeedsBoundInputs : public Error {
 public:
  NeedsBoundInputs(std::vector<std::string> names, Diagnostic diagnostic)
      : Error(std::move(diagnostic)), inputs(std::move(names)) {}
  std::vector<std::string> inputs;      ///< those that have to be bound
  std::vector<std::string> all_inputs;  ///< all that the caller gives, in the model's order
};

/// Reads a model file. Errors TW20xx name the file, the node and its operator set; everything that the model
/// needs and that is not there is listed in one of them (TW2010).
ImportedModel ImportOnnx(const std::string& path, const ImportOptions& options = {});
/// The same for a model in memory; external data are looked for in `folder` (empty: refused).
ImportedModel ImportOnnxBytes(std::string_view bytes, const std::string& folder = {},
                              const ImportOptions& options = {});

/// A tensor in ONNX's format, as in the .pb files of test data. Error TW2002 when it is damaged.
NDArray ReadOnnxTensor(std::string_view bytes);

}  // namespace tilewright
