// SPDX-License-Identifier: Apache-2.0
// Cases of convolution, pooling and resampling.
#pragma once

#include "tilewright/op/test_elementwise_cases.h"

namespace tilewright {

struct TestWindow {
  TestIndex kernel, strides, dilations, pads;
  /// Where tap `k` of the window at `out` lies along spatial axis d.
  int64_t Position(size_t d, int64_t out, int64_t k) const {
    return out * strides[d] - pads[d] + k * dilations[d];
  }
  int64_t Outputs(size_t d, int64_t extent, bool ceil_mode = false) const {
    const int64_t room = extent + pads[d] + pads[d + kernel.size()] - (kernel[d] - 1) * dilations[d] - 1;
    int64_t n = (room + (ceil_mode ? strides[d] - 1 : 0)) / strides[d] + 1;
    // No window starts in what is added behind the axis and its padding.
    if (ceil_mode && (n - 1) * strides[d] >= extent + pads[d]) --n;
    return n;
  }
};

inline TestWindow SameWindow(size_t axes, int64_t kernel, int64_t stride, int64_t dilation, int64_t pad) {
  return {TestIndex(axes, kernel), TestIndex(axes, stride), TestIndex(axes, dilation),
          TestIndex(2 * axes, pad)};
}

inline OpCase ConvCaseOf(std::string name, DataType t, TestIndex x, int64_t filters, int64_t groups,
                         TestWindow w, bool bias = false) {
  TestIndex weight = {filters, x[1] / groups}, shape = {x[0], filters};
  for (size_t d = 0; d < w.kernel.size(); ++d) {
    weight.push_back(w.kernel[d]);
    shape.push_back(w.Outputs(d, x[d + 2]));
  }
  OpCase c{std::move(name),
           "Conv",
           {{t, x, -1, 1}, {t, weight, -1, 1}, {t, {filters}, -1, 1, {}, !bias}},
           {{"strides", w.strides}, {"dilations", w.dilations}, {"pads", w.pads}, {"groups", groups}},
           shape,
           {}};
  c.expected = {[=](const TestArrays& in, const TestIndex& i) {
    double sum = bias ? At(in[2], {i[1]}) : 0;
    const int64_t first = i[1] / (filters / groups) * weight[1];
    ForEachIndex({weight.begin() + 1, weight.end()}, [&](const TestIndex& k) {
      TestIndex at = {i[0], first + k[0]}, tap = {i[1]};
      tap.insert(tap.end(), k.begin(), k.end());
      for (size_t d = 0; d < w.kernel.size(); ++d) at.push_back(w.Position(d, i[d + 2], k[d + 1]));
      if (IsInside(x, at)) sum += At(in[0], at) * At(in[1], tap);
    });
    return sum;
  }};
  return c;
}

/// Square windows of so many taps that move by `stride`, with this many zeros around.
inline OpCase ConvWinogradCaseOf(std::string name, TestIndex x, int64_t filters, int64_t tile, int64_t pad,
                                 bool bias = false, int64_t kernel = 3, int64_t stride = 1,
                                 int64_t block = 1) {
  OpCase c = ConvCaseOf(std::move(name), kF32, x, filters, 1, SameWindow(2, kernel, stride, 1, pad), bias);
  c.op = "ConvWinograd";
  c.attrs = {{"tile", tile},
             {"stride", stride},
             {"block", block},
             {"pads", TestIndex{pad, pad}},
             {"outputs", TestIndex{c.shape[2], c.shape[3]}}};
  return c;
}

inline OpCase ConvTransposeCaseOf(std::string name, TestIndex x, int64_t filters, int64_t groups,
                                  TestWindow w, TestIndex output_padding, bool bias = false) {
  const int64_t per_group = filters / groups;
  TestIndex weight = {x[1], per_group}, shape = {x[0], filters};
  for (size_t d = 0; d < w.kernel.size(); ++d) {
    weight.push_back(w.kernel[d]);
    shape.push_back((x[d + 2] - 1) * w.strides[d] + (w.kernel[d] - 1) * w.dilations[d] + 1 +
                    output_padding[d] - w.pads[d] - w.pads[d + w.kernel.size()]);
  }
  OpCase c{std::move(name),
           "ConvTranspose",
           {{kF32, x, -1, 1}, {kF32, weight, -1, 1}, {kF32, {filters}, -1, 1, {}, !bias}},
           {{"strides", w.strides},
            {"dilations", w.dilations},
            {"pads", w.pads},
            {"groups", groups},
            {"output_padding", output_padding}},
           shape,
           {}};
  // Each element of x adds a weighted window to the result: those that reach `i`.
  c.expected = {[=](const TestArrays& in, const TestIndex& i) {
    double sum = bias ? At(in[2], {i[1]}) : 0;
    const int64_t group = i[1] / per_group;
    ForEachIndex(x, [&](const TestIndex& from) {
      if (from[0] != i[0] || from[1] / (x[1] / groups) != group) return;
      TestIndex tap = {from[1], i[1] % per_group};
      for (size_t d = 0; d < w.kernel.size(); ++d) {
        const int64_t ahead = i[d + 2] - w.Position(d, from[d + 2], 0);
        if (ahead < 0 || ahead % w.dilations[d] || ahead / w.dilations[d] >= w.kernel[d]) return;
        tap.push_back(ahead / w.dilations[d]);
      }
      sum += At(in[0], from) * At(in[1], tap);
    });
    return sum;
  }};
  return c;
}

inline std::vector<OpCase> ConvCases() {
  TestWindow uneven = {{3, 2}, {2, 1}, {1, 2}, {1, 0, 2, 3}};
  return {
      ConvCaseOf("image", kF32, {1, 3, 9, 10}, 8, 1, SameWindow(2, 3, 1, 1, 1)),
      ConvCaseOf("bias_stride", kF32, {2, 4, 9, 10}, 6, 1, SameWindow(2, 3, 2, 1, 1), true),
      ConvCaseOf("uneven", kF32, {1, 2, 7, 8}, 3, 1, uneven, true),
      ConvCaseOf("pointwise", kF32, {1, 16, 5, 5}, 32, 1, SameWindow(2, 1, 1, 1, 0)),
      ConvCaseOf("blocked", kF32, {1, 32, 6, 6}, 32, 1, SameWindow(2, 3, 1, 1, 1)),
      ConvCaseOf("groups", kF32, {1, 6, 5, 5}, 4, 2, SameWindow(2, 3, 1, 1, 1)),
      ConvCaseOf("depthwise", kF32, {1, 16, 7, 7}, 16, 16, SameWindow(2, 3, 1, 1, 1)),
      ConvCaseOf("depthwise_multiplier", kF32, {1, 4, 5, 5}, 8, 4, SameWindow(2, 3, 1, 1, 1)),
      ConvCaseOf("dilated", kF32, {1, 2, 9, 9}, 3, 1, SameWindow(2, 3, 1, 3, 2)),
      ConvCaseOf("line", kF32, {2, 3, 17}, 4, 1, SameWindow(1, 5, 2, 1, 2)),
      ConvCaseOf("volume", kF32, {1, 2, 4, 5, 6}, 3, 1, SameWindow(3, 2, 1, 1, 1)),
      ConvCaseOf("f16", kF16, {1, 2, 5, 5}, 3, 1, SameWindow(2, 3, 1, 1, 1), true),
      ConvCaseOf("stride_beyond_kernel", kF32, {1, 2, 9, 9}, 2, 1, SameWindow(2, 1, 3, 1, 0)),
      ConvCaseOf("no_channel", kF32, {1, 0, 4, 4}, 2, 1, SameWindow(2, 3, 1, 1, 1), true),
      ConvCaseOf("no_batch", kF32, {0, 2, 4, 4}, 2, 1, SameWindow(2, 3, 1, 1, 1)),
      ConvWinogradCaseOf("two", {1, 3, 9, 10}, 8, 2, 1),
      ConvWinogradCaseOf("four", {1, 16, 12, 7}, 16, 4, 1, true),
      ConvWinogradCaseOf("no_border", {2, 5, 6, 9}, 3, 4, 0),
      ConvWinogradCaseOf("two_taps", {1, 4, 7, 10}, 8, 3, 0, true, 2),
      ConvWinogradCaseOf("two_taps_large", {1, 4, 7, 10}, 8, 5, 1, false, 2),
      ConvWinogradCaseOf("four_taps", {1, 4, 7, 10}, 8, 3, 2, false, 4),
      ConvWinogradCaseOf("five_taps", {1, 4, 7, 10}, 8, 2, 2, true, 5),
      ConvWinogradCaseOf("phases", {1, 3, 15, 18}, 8, 3, 3, true, 7, 2, 12),
      ConvWinogradCaseOf("phases_of_blocks", {2, 4, 9, 10}, 8, 4, 2, false, 5, 2),
      ConvWinogradCaseOf("phases_of_three", {1, 2, 17, 16}, 4, 4, 1, false, 7, 3, 6),
      ConvWinogradCaseOf("phases_of_lines", {1, 3, 9, 9}, 4, 5, 0, false, 3, 2),
      ConvTransposeCaseOf("plain", {1, 3, 4, 5}, 2, 1, SameWindow(2, 3, 1, 1, 0), {0, 0}),
      ConvTransposeCaseOf("stride", {2, 3, 4, 5}, 4, 1, SameWindow(2, 3, 2, 1, 1), {1, 0}, true),
      ConvTransposeCaseOf("groups", {1, 4, 3, 3}, 6, 2, SameWindow(2, 2, 2, 1, 0), {0, 1}),
      ConvTransposeCaseOf("dilated", {1, 2, 4, 4}, 3, 1, SameWindow(2, 2, 1, 3, 1), {0, 0}),
      ConvTransposeCaseOf("line", {1, 2, 6}, 3, 1, SameWindow(1, 4, 3, 1, 2), {2}),
      ConvTransposeCaseOf("blocked", {1, 16, 3, 3}, 16, 1, SameWindow(2, 4, 2, 1, 1), {0, 0}),
  };
}

/// Columns of a transposed convolution on an image of two axes, to 3 filters.
inline OpCase ColumnsCaseOf(std::string name, TestIndex image, TestIndex result, TestIndex kernel,
                            TestIndex strides, TestIndex pads, bool places_first, bool bias = false) {
  const int64_t filters = 3, columns = filters * kernel[0] * kernel[1], places = image[0] * image[1];
  const TestIndex shape = places_first ? TestIndex{2, places, columns} : TestIndex{2, columns, places};
  OpCase c{std::move(name),
           "ColumnsToImage",
           {{kF32, shape}},
           {{"filters", filters},
            {"image", image},
            {"result", result},
            {"kernel", kernel},
            {"strides", strides},
            {"pads", pads},
            {"places_first", places_first}},
           {2, filters, result[0], result[1]},
           {}};
  if (bias) c.inputs.push_back({kF32, {filters}});
  c.expected = {[=](const TestArrays& in, const TestIndex& i) {
    double y = bias ? At(in[1], {i[1]}) : 0;
    ForEachIndex(kernel, [&](const TestIndex& k) {
      int64_t place = 0;
      for (size_t d = 0; d < 2; ++d) {
        const int64_t from = i[d + 2] + pads[d] - k[d];
        if (from < 0 || from % strides[d] || from / strides[d] >= image[d]) return;
        place = place * image[d] + from / strides[d];
      }
      const int64_t column = (i[1] * kernel[0] + k[0]) * kernel[1] + k[1];
      y += At(in[0], places_first ? TestIndex{i[0], place, column} : TestIndex{i[0], column, place});
    });
    return y;
  }};
  return c;
}

inline std::vector<OpCase> ColumnsCases() {
  return {
      ColumnsCaseOf("plain", {3, 4}, {5, 6}, {3, 3}, {1, 1}, {0, 0}, false),
      ColumnsCaseOf("strides", {3, 4}, {6, 7}, {3, 2}, {2, 2}, {1, 0}, false, true),
      ColumnsCaseOf("apart", {2, 3}, {4, 8}, {1, 2}, {3, 3}, {0, 0}, true),
      ColumnsCaseOf("one_place", {1, 1}, {4, 5}, {4, 5}, {1, 1}, {0, 0}, true, true),
  };
}

/// Phases of a transposed convolution by strides, over two axes, to 3 filters. `places` is what each phase
/// has.
inline OpCase PhasesCaseOf(std::string name, TestIndex result, TestIndex kernel, TestIndex strides,
                           TestIndex pads, TestIndex places) {
  constexpr int64_t filters = 3;
  // Phases along an axis that are one argument's: the first and how many.
  std::vector<std::vector<TestIndex>> groups(2);
  for (size_t d = 0; d < 2; ++d) {
    const int64_t longer = kernel[d] % strides[d];
    if (longer > 0) groups[d].push_back({0, longer});
    groups[d].push_back({longer, strides[d] - longer});
  }
  OpCase c{
      std::move(name),
      "InterleavePhases",
      {},
      {{"filters", filters}, {"result", result}, {"kernel", kernel}, {"strides", strides}, {"pads", pads}},
      {2, filters, result[0], result[1]},
      {}};
  for (const TestIndex& a : groups[0]) {
    for (const TestIndex& b : groups[1])
      c.inputs.push_back({kF32, {2, a[1] * b[1] * filters, places[0], places[1]}});
  }
  c.expected = {[=](const TestArrays& in, const TestIndex& i) {
    size_t part = 0;
    int64_t phase = 0;
    TestIndex at = {i[0], 0};
    for (size_t d = 0; d < 2; ++d) {
      const int64_t u = i[d + 2] + pads[d], r = u % strides[d];
      const size_t own = groups[d].size() > 1 && r >= groups[d][1][0] ? 1 : 0;
      part = part * groups[d].size() + own;
      phase = phase * groups[d][own][1] + r - groups[d][own][0];
      at.push_back(u / strides[d] - pads[d] / strides[d]);
    }
    at[1] = phase * filters + i[1];
    return At(in[part], at);
  }};
  return c;
}

inline std::vector<OpCase> PhasesCases() {
  return {
      PhasesCaseOf("two_arguments", {7, 6}, {3, 2}, {2, 2}, {0, 0}, {4, 3}),
      PhasesCaseOf("four_arguments", {8, 9}, {5, 4}, {3, 3}, {1, 2}, {3, 4}),
      PhasesCaseOf("one_argument", {5, 7}, {4, 3}, {2, 3}, {3, 1}, {3, 3}),
  };
}

struct TestPool {
  TestWindow window;
  bool ceil_mode = false, count_include_pad = false;
  double p = 2;
};

/// Elements of a window that lie in x; `counted` gets the number of taps that an average divides by.
inline std::vector<double> PoolLine(const NDArray& x, const TestPool& pool, const TestIndex& i,
                                    int64_t* counted) {
  std::vector<double> line;
  *counted = 0;
  const TestWindow& w = pool.window;
  ForEachIndex(w.kernel, [&](const TestIndex& k) {
    TestIndex at = {i[0], i[1]};
    bool bordered = true;
    for (size_t d = 0; d < k.size(); ++d) {
      at.push_back(w.Position(d, i[d + 2], k[d]));
      bordered &= at.back() < x.shape()[d + 2] + w.pads[d + k.size()];
    }
    const bool inside = IsInside(x.shape(), at);
    if (inside) line.push_back(At(x, at));
    *counted += pool.count_include_pad ? bordered : inside;
  });
  return line;
}

inline OpCase PoolCase(std::string name, std::string op, TestInput x, TestPool pool) {
  TestIndex shape = {x.shape[0], x.shape[1]};
  const TestWindow& w = pool.window;
  for (size_t d = 0; d < w.kernel.size(); ++d) shape.push_back(w.Outputs(d, x.shape[d + 2], pool.ceil_mode));
  Annotations attrs = {{"kernel", w.kernel},
                       {"strides", w.strides},
                       {"dilations", w.dilations},
                       {"pads", w.pads},
                       {"ceil_mode", pool.ceil_mode}};
  if (op != "MaxPoolWithIndices") {
    attrs["count_include_pad"] = pool.count_include_pad;
    attrs["p"] = pool.p;
  }
  OpCase c{std::move(name), std::move(op), {std::move(x)}, attrs, shape, {}};
  const bool average = c.op == "AveragePool", norm = c.op == "LpPool";
  c.expected = {[=](const TestArrays& in, const TestIndex& i) {
    int64_t counted = 0;
    const std::vector<double> line = PoolLine(in[0], pool, i, &counted);
    double y = average || norm ? 0 : -kTestInf;
    for (double v : line) y = norm ? y + std::pow(std::abs(v), pool.p) : average ? y + v : std::max(y, v);
    return norm ? std::pow(y, 1 / pool.p) : average ? y / double(counted) : y;
  }};
  if (c.op == "MaxPoolWithIndices") {
    // The first element of the window, in row-major order, that has the largest value.
    c.expected.push_back([=](const TestArrays& in, const TestIndex& i) {
      double best = -kTestInf;
      int64_t index = -1;
      ForEachIndex(pool.window.kernel, [&](const TestIndex& k) {
        TestIndex at = {i[0], i[1]};
        for (size_t d = 0; d < k.size(); ++d) at.push_back(pool.window.Position(d, i[d + 2], k[d]));
        if (!IsInside(in[0].shape(), at) || (index >= 0 && At(in[0], at) <= best)) return;
        best = At(in[0], at);
        index = FlatPosition(in[0].shape(), at);
      });
      return double(index);
    });
  }
  return c;
}

inline std::vector<OpCase> PoolCases() {
  const TestPool plain = {SameWindow(2, 2, 2, 1, 0)}, padded = {SameWindow(2, 3, 2, 1, 1)};
  const TestPool ceil = {SameWindow(2, 3, 2, 1, 0), true}, both = {SameWindow(2, 3, 2, 1, 1), true, true};
  const TestPool dilated = {SameWindow(2, 2, 1, 2, 1)};
  const TestPool uneven = {{{2, 3}, {1, 2}, {1, 1}, {1, 0, 0, 2}}, false, true};
  std::vector<OpCase> cases;
  for (const char* op : {"MaxPool", "AveragePool", "LpPool", "MaxPoolWithIndices"}) {
    const std::string name = op;
    cases.push_back(PoolCase("plain", op, {kF32, {1, 3, 8, 9}}, plain));
    cases.push_back(PoolCase("padded", op, {kF32, {2, 2, 7, 8}}, padded));
    cases.push_back(PoolCase("ceil", op, {kF32, {1, 2, 8, 7}}, ceil));
    cases.push_back(PoolCase("uneven", op, {kF32, {1, 2, 5, 6}}, uneven));
    cases.push_back(PoolCase("dilated", op, {kF32, {1, 2, 6, 6}}, dilated));
    cases.push_back(PoolCase("line", op, {kF32, {1, 3, 11}}, {SameWindow(1, 3, 2, 1, 1)}));
    cases.push_back(PoolCase("volume", op, {kF32, {2, 3, 4, 4, 4}}, {SameWindow(3, 2, 2, 1, 0)}));
    cases.push_back(PoolCase("wide", op, {kF32, {1, 2, 9, 37}}, {SameWindow(2, 4, 1, 1, 1)}));
    cases.push_back(PoolCase("wide_strides", op, {kF32, {1, 2, 13, 45}}, {SameWindow(2, 5, 3, 1, 2)}));
    cases.push_back(PoolCase("column", op, {kF32, {1, 2, 21, 1}}, {SameWindow(2, 5, 1, 1, 2)}));
    cases.push_back(PoolCase("beyond", op, {kF32, {1, 3, 2, 2}}, {SameWindow(2, 7, 4, 1, 3)}));
    cases.push_back(PoolCase("blocked", op, {kF32, {1, 32, 6, 6}}, padded));
  }
  cases.push_back(PoolCase("ceil_with_pad", "AveragePool", {kF32, {1, 2, 8, 9}}, both));
  cases.push_back(PoolCase("f16", "AveragePool", {kF16, {1, 2, 7, 7}}, padded));
  cases.push_back(PoolCase("u8", "MaxPool", {kU8, {1, 2, 7, 7}, 0, 255}, padded));
  cases.push_back(PoolCase("i8_least", "MaxPool", {kI8, {1, 1, 4, 4}, -128, -128}, padded));
  // Padding has the value of the smallest element, but no position.
  cases.push_back(PoolCase("zeros", "MaxPoolWithIndices", {kU8, {1, 2, 4, 4}, 0, 0}, padded));
  cases.push_back(
      PoolCase("p1", "LpPool", {kF32, {1, 2, 7, 7}}, {SameWindow(2, 3, 2, 1, 1), false, false, 1}));
  cases.push_back(
      PoolCase("p3", "LpPool", {kF32, {1, 2, 7, 7}}, {SameWindow(2, 3, 2, 1, 1), false, false, 3}));
  return cases;
}

inline OpCase ResampleCase(std::string name, DataType t, TestIndex x, int64_t axis, int64_t outputs,
                           int64_t taps) {
  TestIndex shape = x;
  shape[size_t(axis)] = outputs;
  const double last = double(x[size_t(axis)]);
  return {std::move(name),
          "Resample",
          {{t, x}, {kI64, {outputs, taps}, -2, last + 1}, {t == kF64 ? kF64 : kF32, {outputs, taps}, -1, 1}},
          {{"axis", axis}},
          shape,
          {[=](const TestArrays& in, const TestIndex& i) {
            double sum = 0;
            for (int64_t k = 0; k < taps; ++k) {
              TestIndex at = i;
              at[size_t(axis)] =
                  std::clamp<int64_t>(int64_t(At(in[1], {i[size_t(axis)], k})), 0, int64_t(last) - 1);
              sum += At(in[2], {i[size_t(axis)], k}) * At(in[0], at);
            }
            return sum;
          }}};
}

/// The number of elements by which a grid coordinate lies behind the first one.
inline double TestGridPlace(double g, int64_t extent, bool align_corners) {
  return align_corners ? (g + 1) / 2 * double(extent - 1) : ((g + 1) * double(extent) - 1) / 2;
}

/// Bilinear interpolation, element by element of x: each weighs as much as it is near, and 0 beyond one step.
inline OpCase GridCase(std::string name, TestIndex x, TestIndex grid, std::string mode, std::string padding,
                       bool corners, double reach) {
  TestIndex shape = {x[0], x[1]};
  shape.insert(shape.end(), grid.begin() + 1, grid.end() - 1);
  return {std::move(name),
          "GridSample",
          {{kF32, x}, {kF32, grid, -reach, reach}},
          {{"mode", mode}, {"padding", padding}, {"align_corners", corners}},
          shape,
          {[=](const TestArrays& in, const TestIndex& i) {
            std::vector<double> place;
            for (size_t d = 2; d < x.size(); ++d) {
              TestIndex at = {i[0]};
              at.insert(at.end(), i.begin() + 2, i.end());
              at.push_back(int64_t(x.size() - 1 - d));
              double p = TestGridPlace(At(in[1], at), x[d], corners);
              if (padding == "border") p = std::clamp(p, 0.0, double(x[d] - 1));
              if (mode == "nearest") p = std::nearbyint(p);
              place.push_back(p);
            }
            double sum = 0;
            ForEachIndex({x.begin() + 2, x.end()}, [&](const TestIndex& k) {
              double weight = 1;
              for (size_t d = 0; d < k.size(); ++d)
                weight *= std::max(0.0, 1 - std::abs(place[d] - double(k[d])));
              TestIndex at = {i[0], i[1]};
              at.insert(at.end(), k.begin(), k.end());
              if (weight > 0) sum += weight * At(in[0], at);
            });
            return sum;
          }}};
}

inline std::vector<OpCase> GridCases() {
  return {
      GridCase("linear", {2, 3, 5, 6}, {2, 4, 3, 2}, "linear", "zeros", false, 1.3),
      GridCase("corners", {1, 2, 5, 6}, {1, 4, 3, 2}, "linear", "zeros", true, 1.1),
      GridCase("border", {1, 2, 5, 6}, {1, 4, 3, 2}, "linear", "border", false, 2),
      GridCase("nearest", {1, 2, 5, 6}, {1, 4, 3, 2}, "nearest", "border", false, 1.5),
      GridCase("line", {1, 2, 7}, {1, 9, 1}, "linear", "zeros", false, 1.3),
      GridCase("volume", {1, 2, 3, 4, 5}, {1, 2, 3, 2, 3}, "linear", "zeros", false, 1.2),
      // No place is inside, and nothing may be read outside.
      {"not_a_number",
       "GridSample",
       {{kF32, {1, 1, 3, 3}}, {kF32, {1, 1, 3, 2}, 0, 0, {1e30, -1e30, kTestInf, 0, -1e30, kTestInf}}},
       {{"mode", std::string("nearest")}},
       {1, 1, 1, 3},
       {[](const TestArrays&, const TestIndex&) { return 0.0; }}},
      // Inside of the outermost centres reflection changes nothing; one element is its own mirror image.
      GridCase("reflection", {1, 2, 5, 6}, {1, 4, 3, 2}, "linear", "reflection", true, 1),
      GridCase("one_element", {1, 2, 1, 1}, {1, 4, 3, 2}, "nearest", "reflection", true, 1),
  };
}

inline std::vector<OpCase> WindowCases() {
  std::vector<OpCase> all = {
      ResampleCase("linear", kF32, {1, 2, 5, 6}, 2, 9, 2), ResampleCase("cubic", kF32, {2, 5, 3}, 1, 3, 4),
      ResampleCase("area", kF32, {2, 16}, 1, 3, 7),        ResampleCase("f16", kF16, {1, 3, 5}, 2, 8, 2),
      ResampleCase("f64", kF64, {2, 5}, 0, 3, 2),
  };
  for (auto list : {ConvCases, ColumnsCases, PhasesCases, PoolCases, GridCases}) {
    for (OpCase& c : list()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace tilewright
