// SPDX-License-Identifier: Apache-2.0
#include "tilewright/cli/image.h"

#include <csetjmp>
#include <cstdio>
// jpeglib.h needs the two above first.
#include <jpeglib.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <fstream>

namespace tilewright {

namespace {

[[noreturn]] void BadImage(const std::string& path, const std::string& why) {
  throw Error("TW4201", fmt::format("cannot read the image '{}': {}", path, why), "",
              {"expected a JPEG or PNG file"});
}

/// libjpeg reports errors by a callback that must not return.
struct JpegError {
  jpeg_error_mgr base;
  std::jmp_buf jump;
  char message[JMSG_LENGTH_MAX];
};

void OnJpegError(j_common_ptr info) {
  auto* error = reinterpret_cast<JpegError*>(info->err);
  info->err->format_message(info, error->message);
  std::longjmp(error->jump, 1);
}

/// Decodes into `image`; on failure returns false with the message in `error`. Holds nothing that a longjmp
/// would leave behind but the decompressor, which it destroys.
bool DecodeJpeg(const std::string& bytes, Image& image, JpegError& error) {
  jpeg_decompress_struct info;
  info.err = jpeg_std_error(&error.base);
  error.base.error_exit = OnJpegError;
  if (setjmp(error.jump)) {
    jpeg_destroy_decompress(&info);
    return false;
  }
  jpeg_create_decompress(&info);
  jpeg_mem_src(&info, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
  jpeg_read_header(&info, TRUE);
  info.out_color_space = JCS_RGB;
  jpeg_start_decompress(&info);
  image.width = int(info.output_width), image.height = int(info.output_height);
  image.rgb.resize(size_t(3) * info.output_width * info.output_height);
  while (info.output_scanline < info.output_height) {
    JSAMPROW row = image.rgb.data() + size_t(3) * info.output_width * info.output_scanline;
    jpeg_read_scanlines(&info, &row, 1);
  }
  jpeg_finish_decompress(&info);
  jpeg_destroy_decompress(&info);
  return true;
}

Image DecodePng(const std::string& bytes, const std::string& path) {
  png_image info{};
  info.version = PNG_IMAGE_VERSION;
  if (!png_image_begin_read_from_memory(&info, bytes.data(), bytes.size())) BadImage(path, info.message);
  info.format = PNG_FORMAT_RGB;
  Image image{int(info.width), int(info.height), {}};
  image.rgb.resize(PNG_IMAGE_SIZE(info));
  const png_color black{0, 0, 0};
  if (!png_image_finish_read(&info, &black, image.rgb.data(), 0, nullptr)) BadImage(path, info.message);
  return image;
}

/// Cubic convolution with a = -0.5 (Keys, "Cubic convolution interpolation for digital image processing",
/// 1981).
double Cubic(double x) {
  x = std::abs(x);
  constexpr double a = -0.5;
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/// For each output position: first input position and weights, the filter widened when the picture shrinks.
struct Taps {
  int first;
  std::vector<double> weights;
};
std::vector<Taps> ResizeTaps(double begin, double length, int input, int output) {
  std::vector<Taps> taps;
  const double scale = length / output, widen = std::max(scale, 1.0);
  for (int o = 0; o < output; ++o) {
    const double centre = begin + (o + 0.5) * scale;
    const int lo = std::max(0, int(std::floor(centre - 2 * widen)));
    const int hi = std::min(input - 1, int(std::ceil(centre + 2 * widen)));
    Taps t{lo, {}};
    double sum = 0;
    for (int i = lo; i <= hi; ++i) {
      t.weights.push_back(Cubic((i + 0.5 - centre) / widen));
      sum += t.weights.back();
    }
    for (double& w : t.weights) w /= sum;
    taps.push_back(std::move(t));
  }
  return taps;
}

}  // namespace

Image ReadImage(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  if (bytes.empty()) BadImage(path, "it is missing or empty");
  if (bytes.starts_with("\x89PNG")) return DecodePng(bytes, path);
  if (!bytes.starts_with("\xff\xd8")) BadImage(path, "it is neither JPEG nor PNG");
  Image image;
  JpegError error;
  if (!DecodeJpeg(bytes, image, error)) BadImage(path, error.message);
  return image;
}

NDArray ImageTensor(const Image& image, int height, int width, bool channels_last,
                    const ImageOptions& options) {
  const double side = options.crop * std::min(image.width, image.height);
  const std::vector<Taps> xs = ResizeTaps((image.width - side) / 2, side, image.width, width);
  const std::vector<Taps> ys = ResizeTaps((image.height - side) / 2, side, image.height, height);
  // Rows first: [image.height][width][3].
  std::vector<double> rows(size_t(image.height) * size_t(width) * 3);
  for (int y = 0; y < image.height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (size_t k = 0; k < xs[size_t(x)].weights.size(); ++k) {
          const size_t at =
              (size_t(y) * size_t(image.width) + size_t(xs[size_t(x)].first) + k) * 3 + size_t(c);
          sum += xs[size_t(x)].weights[k] * image.rgb[at];
        }
        rows[(size_t(y) * size_t(width) + size_t(x)) * 3 + size_t(c)] = sum;
      }
    }
  }
  const std::vector<int64_t> shape =
      channels_last ? std::vector<int64_t>{1, height, width, 3} : std::vector<int64_t>{1, 3, height, width};
  NDArray out = NDArray::Empty(kF32, shape);
  std::span<float> data = out.mutable_as<float>();
  for (int y = 0; y < height; ++y) {
    for (int x = 0; x < width; ++x) {
      for (int c = 0; c < 3; ++c) {
        double sum = 0;
        for (size_t k = 0; k < ys[size_t(y)].weights.size(); ++k) {
          const size_t row = size_t(ys[size_t(y)].first) + k;
          sum += ys[size_t(y)].weights[k] * rows[(row * size_t(width) + size_t(x)) * 3 + size_t(c)];
        }
        const int channel = options.bgr ? 2 - c : c;
        const size_t at = channels_last
                              ? (size_t(y) * size_t(width) + size_t(x)) * 3 + size_t(channel)
                              : (size_t(channel) * size_t(height) + size_t(y)) * size_t(width) + size_t(x);
        const double value = std::clamp(sum, 0.0, 255.0);
        data[at] = float((value - options.mean[size_t(c)]) / options.std[size_t(c)]);
      }
    }
  }
  return out;
}

}  // namespace tilewright
