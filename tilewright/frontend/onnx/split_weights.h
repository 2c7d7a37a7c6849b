// SPDX-License-Identifier: Apache-2.0
// Most of a model file are weights, which nobody has to copy out of it.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace tilewright::onnx {

/// A ModelProto as bytes, without the raw data of its large initialisers.
struct SplitModel {
  std::string rest;  ///< the message; where raw data were taken out it has empty ones
  std::map<int, std::string_view>
      raw;  ///< what was taken out, by the initialiser's place in the graph's list
};

/// Takes raw data of `least` bytes and more out of a model. Null when there are none, and for bytes that are
/// not the plain form that exporters write (damaged ones, or a field twice that should be there once): a
/// parser is to judge those.
std::optional<SplitModel> SplitWeights(std::string_view bytes, size_t least);

}  // namespace tilewright::onnx
