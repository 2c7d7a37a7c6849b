// SPDX-License-Identifier: Apache-2.0
// Pictures as model inputs.
#pragma once

#include <string>
#include <vector>

#include "tilewright/ir/ndarray.h"

namespace tilewright {

/// Rows of 8-bit RGB.
struct Image {
  int width = 0, height = 0;
  std::vector<uint8_t> rgb;  ///< 3 * width * height
};

/// How a picture becomes a tensor. The defaults are those of most ImageNet
/// classifiers.
struct ImageOptions {
  std::vector<double> mean = {123.675, 116.28, 103.53};  ///< subtracted from values 0..255, per channel
  std::vector<double> std = {58.395, 57.12, 57.375};     ///< divided by
  double crop = 0.875;  ///< the centre square of this share of the shorter side is taken
  bool bgr = false;     ///< channel order of the model
};

/// Reads a JPEG or PNG file, told apart by content. Error TW4201 when it is neither or damaged.
Image ReadImage(const std::string& path);

/// The image as f32 [1, 3, height, width], or [1, height, width, 3] with `channels_last`: centre crop,
/// bicubic resize with antialiasing, normalisation.
NDArray ImageTensor(const Image& image, int height, int width, bool channels_last,
                    const ImageOptions& options);

}  // namespace tilewright
