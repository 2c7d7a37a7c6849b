// SPDX-License-Identifier: Apache-2.0
// Tensors in files: NumPy's .npy and .npz, and ONNX's TensorProto .pb.
#pragma once

#include <map>
#include <string>

#include "tilewright/ir/ndarray.h"

namespace tilewright {

/// Reads a .npy file (format versions 1 to 3, either element order). Error TW4101 when it is malformed or of
/// a type that has no counterpart, TW1007 when it cannot be read.
NDArray ReadNpy(const std::string& path);
/// The arrays of a .npz file by name.
std::map<std::string, NDArray> ReadNpz(const std::string& path);
/// Reads a tensor by the file's ending: .npy, .pb (TensorProto), or .npz with a single array.
NDArray ReadTensor(const std::string& path);

/// Writes format version 1.0; bf16 is written as f32, which NumPy knows. Error TW1006 when it cannot be
/// written.
void WriteNpy(const std::string& path, const NDArray& array);

}  // namespace tilewright
