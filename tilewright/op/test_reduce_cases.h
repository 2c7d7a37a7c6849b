// SPDX-License-Identifier: Apache-2.0
// Cases of reductions, running sums, normalisations, selection and matrix products.
#pragma once

#include <algorithm>
#include <numeric>

#include "tilewright/op/test_elementwise_cases.h"

namespace tilewright {

/// All elements of argument 0 that agree with `out` but for `axes` (from the front), in row-major order.
inline std::vector<double> TestLine(const NDArray& x, const TestIndex& out, const TestIndex& axes) {
  TestIndex extents;
  for (int64_t a : axes) extents.push_back(x.shape()[size_t(a)]);
  std::vector<double> line;
  ForEachIndex(extents, [&](const TestIndex& r) {
    TestIndex at = out;
    for (size_t k = 0; k < axes.size(); ++k) at[size_t(axes[k])] = r[k];
    line.push_back(At(x, at));
  });
  return line;
}

using LineFunction = double (*)(const std::vector<double>&);

/// A reduction over axes; `out` gets the reduced axes back with index 0 before its line is read.
inline OpCase ReduceCase(std::string name, std::string op, TestInput x, TestIndex axes, bool keepdims,
                         LineFunction f) {
  TestIndex front;
  for (int64_t a : axes) front.push_back(a < 0 ? a + int64_t(x.shape.size()) : a);
  if (axes.empty()) {
    for (size_t d = 0; d < x.shape.size(); ++d) front.push_back(int64_t(d));
  }
  auto reduced = [front](size_t d) {
    return std::find(front.begin(), front.end(), int64_t(d)) != front.end();
  };
  TestIndex shape;
  for (size_t d = 0; d < x.shape.size(); ++d) {
    if (!reduced(d)) shape.push_back(x.shape[d]);
    if (reduced(d) && keepdims) shape.push_back(1);
  }
  const size_t rank = x.shape.size();
  return {std::move(name),
          std::move(op),
          {std::move(x)},
          {{"axes", axes}, {"keepdims", keepdims}},
          shape,
          {[=](const TestArrays& in, const TestIndex& i) {
            TestIndex full;
            for (size_t d = 0, o = 0; d < rank; ++d) {
              full.push_back(reduced(d) ? 0 : i[o]);
              if (!reduced(d) || keepdims) ++o;
            }
            return f(TestLine(in[0], full, front));
          }}};
}

inline double TestSum(const std::vector<double>& x) { return std::accumulate(x.begin(), x.end(), 0.0); }
inline double TestMean(const std::vector<double>& x) { return TestSum(x) / double(x.size()); }
inline double TestProduct(const std::vector<double>& x) {
  return std::accumulate(x.begin(), x.end(), 1.0, std::multiplies<double>());
}
inline double TestMax(const std::vector<double>& x) {
  double m = -kTestInf;
  for (double v : x) m = std::isnan(v) || std::isnan(m) ? kTestNan : std::max(m, v);
  return m;
}
inline double TestMin(const std::vector<double>& x) {
  double m = kTestInf;
  for (double v : x) m = std::isnan(v) || std::isnan(m) ? kTestNan : std::min(m, v);
  return m;
}

inline std::vector<OpCase> ReductionCases() {
  return {
      ReduceCase("last", "ReduceSum", {kF32, {3, 17}}, {-1}, true, TestSum),
      ReduceCase("first", "ReduceSum", {kF32, {5, 33}}, {0}, false, TestSum),
      ReduceCase("middle", "ReduceSum", {kF32, {2, 7, 20}}, {1}, false, TestSum),
      ReduceCase("two_axes", "ReduceSum", {kF32, {2, 3, 4, 5}}, {1, 3}, true, TestSum),
      ReduceCase("all", "ReduceSum", {kF32, {3, 4}}, {}, false, TestSum),
      ReduceCase("scalar", "ReduceSum", {kF32, {}}, {}, true, TestSum),
      ReduceCase("no_element", "ReduceSum", {kF32, {3, 0}}, {1}, false, TestSum),
      ReduceCase("no_element", "ReduceProd", {kF32, {0, 3}}, {0}, true, TestProduct),
      ReduceCase("no_result", "ReduceSum", {kF32, {0, 3}}, {1}, true, TestSum),
      ReduceCase("one_element", "ReduceSum", {kF32, {3, 1}}, {1}, false, TestSum),
      ReduceCase("f16", "ReduceSum", {kF16, {3, 100}}, {1}, false, TestSum),
      ReduceCase("i32", "ReduceSum", {kI32, {3, 9}, -9, 9}, {1}, false, TestSum),
      ReduceCase("f32", "ReduceProd", {kF32, {3, 9}, 0.5, 1.5}, {1}, true, TestProduct),
      ReduceCase("nan", "ReduceMax", {kF32, {2, 2}, 0, 0, {1, kTestNan, 2, 3}}, {1}, false, TestMax),
      ReduceCase("infinite", "ReduceMax", {kF32, {1, 2}, 0, 0, {-kTestInf, -kTestInf}}, {1}, false, TestMax),
      ReduceCase("i8", "ReduceMax", {kI8, {3, 5}, -128, -100}, {1}, false, TestMax),
      ReduceCase("any", "ReduceMax", {kBool, {5, 4}, 0, 1}, {1}, false, TestMax),
      ReduceCase("nan", "ReduceMin", {kF32, {2, 2}, 0, 0, {1, kTestNan, 2, 3}}, {1}, false, TestMin),
      ReduceCase("u8", "ReduceMin", {kU8, {3, 5}, 9, 200}, {0}, false, TestMin),
      ReduceCase("all_true", "ReduceMin", {kBool, {5, 4}, 0, 1}, {0}, false, TestMin),
      ReduceCase("f32", "ReduceMean", {kF32, {3, 21}}, {1}, false, TestMean),
      ReduceCase("integers", "ReduceMean", {kI32, {4, 7}, -9, 9}, {1}, false,
                 [](const std::vector<double>& x) { return std::trunc(TestMean(x)); }),
      ReduceCase("no_integer", "ReduceMean", {kI32, {3, 0}}, {1}, false,
                 [](const std::vector<double>&) { return 0.0; }),
  };
}

inline OpCase ArgCase(std::string name, std::string op, TestInput x, int64_t axis, bool keepdims, bool last) {
  TestIndex shape = x.shape;
  if (keepdims) {
    shape[size_t(axis)] = 1;
  } else {
    shape.erase(shape.begin() + axis);
  }
  const bool largest = op == "ArgMax";
  return {std::move(name),
          std::move(op),
          {std::move(x)},
          {{"axis", axis}, {"keepdims", keepdims}, {"last", last}},
          shape,
          {[=](const TestArrays& in, const TestIndex& i) {
            TestIndex full = i;
            if (!keepdims) full.insert(full.begin() + axis, 0);
            const std::vector<double> line = TestLine(in[0], full, {axis});
            size_t best = 0;
            for (size_t k = 1; k < line.size(); ++k) {
              const bool better = largest ? line[k] > line[best] : line[k] < line[best];
              if (better || (last && line[k] == line[best])) best = k;
            }
            return double(best);
          }}};
}

inline OpCase ScanCase(std::string name, std::string op, TestInput x, int64_t axis, bool exclusive,
                       bool reverse) {
  TestIndex shape = x.shape;
  const bool product = op == "CumProd";
  return {std::move(name),
          std::move(op),
          {std::move(x)},
          {{"axis", axis}, {"exclusive", exclusive}, {"reverse", reverse}},
          shape,
          {[=](const TestArrays& in, const TestIndex& i) {
            std::vector<double> line = TestLine(in[0], i, {axis});
            size_t at = size_t(i[size_t(axis)]);
            if (reverse) {
              std::reverse(line.begin(), line.end());
              at = line.size() - 1 - at;
            }
            line.resize(at + (exclusive ? 0 : 1));
            return product ? TestProduct(line) : TestSum(line);
          }}};
}

inline std::vector<OpCase> SelectionCases() {
  std::vector<OpCase> cases = {
      ArgCase("ties", "ArgMax", {kI32, {4, 9}, 0, 2}, 1, true, false),
      ArgCase("last_of_ties", "ArgMax", {kI32, {4, 9}, 0, 2}, 1, false, true),
      ArgCase("first_axis", "ArgMin", {kF32, {7, 5}}, 0, false, false),
      ArgCase("last_of_ties", "ArgMin", {kU8, {7, 5}, 0, 2}, 0, true, true),
      ArgCase("infinite", "ArgMax", {kF32, {3}, 0, 0, {-kTestInf, -kTestInf, -kTestInf}}, 0, false, false),
      ScanCase("sum", "CumSum", {kF32, {3, 6}}, 1, false, false),
      ScanCase("exclusive", "CumSum", {kF32, {3, 6}}, 1, true, false),
      ScanCase("reverse", "CumSum", {kI32, {6, 3}, -9, 9}, 0, false, true),
      ScanCase("both", "CumSum", {kF32, {2, 6, 2}}, 1, true, true),
      ScanCase("product", "CumProd", {kF32, {3, 6}, 0.5, 1.5}, 1, false, false),
      ScanCase("exclusive_reverse", "CumProd", {kF32, {3, 6}, 0.5, 1.5}, 1, true, true),
  };
  for (bool largest : {true, false}) {
    // The k-th place of a stable order: of equal elements the first stands first.
    auto ranked = [largest](const TestArrays& in, const TestIndex& i) {
      const std::vector<double> line = TestLine(in[0], i, {1});
      std::vector<int64_t> order(line.size());
      std::iota(order.begin(), order.end(), 0);
      std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
        const double x = line[size_t(a)], y = line[size_t(b)];
        return x == y ? a < b : largest == (x > y);
      });
      return std::pair(line[size_t(order[size_t(i[1])])], double(order[size_t(i[1])]));
    };
    for (DataType t : {kF32, kI32}) {
      cases.push_back({(largest ? "largest_" : "smallest_") + t.ToString(),
                       "TopK",
                       {{t, {3, 8, 2}, -3, 3}},
                       {{"axis", int64_t(1)}, {"k", Expr(4)}, {"largest", largest}},
                       {3, 4, 2},
                       {[=](const TestArrays& in, const TestIndex& i) { return ranked(in, i).first; },
                        [=](const TestArrays& in, const TestIndex& i) { return ranked(in, i).second; }}});
    }
  }
  return cases;
}

inline std::vector<OpCase> NormalizationCases() {
  auto softmax = [](std::string name, std::string op, TestInput x, int64_t axis) {
    TestIndex shape = x.shape;
    const int64_t front = axis < 0 ? axis + int64_t(shape.size()) : axis;
    const bool logarithm = op == "LogSoftmax";
    return OpCase{std::move(name),
                  std::move(op),
                  {std::move(x)},
                  {{"axis", axis}},
                  shape,
                  {[=](const TestArrays& in, const TestIndex& i) {
                    const std::vector<double> line = TestLine(in[0], i, {front});
                    const double top = TestMax(line);
                    double sum = 0;
                    for (double v : line) sum += std::exp(v - top);
                    const double y = At(in[0], i) - top;
                    return logarithm ? y - std::log(sum) : std::exp(y) / sum;
                  }}};
  };
  auto norm = [](std::string name, std::string op, TestInput x, TestIndex axes, double epsilon) {
    TestIndex shape = x.shape;
    const bool centred = op == "MeanVarianceNormalization";
    return OpCase{std::move(name),
                  std::move(op),
                  {std::move(x)},
                  {{"axes", axes}, {"epsilon", epsilon}},
                  shape,
                  {[=](const TestArrays& in, const TestIndex& i) {
                    std::vector<double> line = TestLine(in[0], i, axes);
                    const double centre = centred ? TestMean(line) : 0;
                    for (double& v : line) v = (v - centre) * (v - centre);
                    return (At(in[0], i) - centre) / std::sqrt(TestMean(line) + epsilon);
                  }}};
  };
  auto batch_norm = [](std::string name, DataType x, DataType statistics, TestIndex shape) {
    const TestInput channel = {statistics, {shape[1]}, 0.5, 2};
    return OpCase{std::move(name),
                  "BatchNormalization",
                  {{x, shape}, channel, channel, channel, channel},
                  {{"epsilon", 0.25}},
                  shape,
                  {[](const TestArrays& in, const TestIndex& i) {
                    auto of = [&](size_t k) { return At(in[k], {i[1]}); };
                    return (At(in[0], i) - of(3)) / std::sqrt(of(4) + 0.25) * of(1) + of(2);
                  }}};
  };
  auto lrn = [](std::string name, TestIndex shape, int64_t size) {
    return OpCase{std::move(name),
                  "LRN",
                  {{kF32, shape}},
                  {{"size", size}, {"alpha", 0.5}, {"beta", 0.75}, {"bias", 2.0}},
                  shape,
                  {[=](const TestArrays& in, const TestIndex& i) {
                    double sum = 0;
                    for (int64_t c = i[1] - (size - 1) / 2; c <= i[1] + size / 2; ++c) {
                      if (c < 0 || c >= shape[1]) continue;
                      TestIndex at = i;
                      at[1] = c;
                      sum += At(in[0], at) * At(in[0], at);
                    }
                    return At(in[0], i) / std::pow(2 + 0.5 / double(size) * sum, 0.75);
                  }}};
  };
  return {
      softmax("last", "Softmax", {kF32, {3, 19}}, -1),
      softmax("middle", "Softmax", {kF32, {2, 5, 16}}, 1),
      softmax("large", "Softmax", {kF32, {2, 3}, 0, 0, {1000, 1001, 999, -1000, -1001, -1002}}, 1),
      softmax("f16", "Softmax", {kF16, {3, 19}}, 1),
      softmax("no_row", "Softmax", {kF32, {0, 4}}, 1),
      softmax("last", "LogSoftmax", {kF32, {3, 19}}, -1),
      softmax("large", "LogSoftmax", {kF32, {1, 3}, 0, 0, {1000, 1001, 999}}, 1),
      norm("last", "MeanVarianceNormalization", {kF32, {3, 19}}, {1}, 1e-5),
      norm("spatial", "MeanVarianceNormalization", {kF32, {2, 3, 4, 5}}, {2, 3}, 0.5),
      norm("f16", "MeanVarianceNormalization", {kF16, {3, 19}}, {1}, 1e-3),
      norm("last", "RMSNormalization", {kF32, {3, 19}}, {1}, 1e-5),
      norm("first", "RMSNormalization", {kF32, {5, 7}}, {0}, 1e-5),
      batch_norm("image", kF32, kF32, {2, 5, 3, 4}),
      batch_norm("matrix", kF32, kF32, {4, 18}),
      batch_norm("mixed", kF16, kF32, {2, 5, 3}),
      lrn("odd", {1, 7, 2, 3}, 3),
      lrn("even", {1, 5, 3}, 4),
  };
}

inline OpCase MatMulCase(std::string name, TestInput a, TestInput b, bool transpose_a, bool transpose_b,
                         TestIndex shape, std::string op = "MatMul") {
  Annotations attrs;
  if (op == "MatMul") attrs = {{"transpose_a", transpose_a}, {"transpose_b", transpose_b}};
  return {std::move(name),
          std::move(op),
          {std::move(a), std::move(b)},
          std::move(attrs),
          std::move(shape),
          {[=](const TestArrays& in, const TestIndex& i) {
            auto at = [&](const NDArray& m, int64_t row, int64_t column, bool swap) {
              TestIndex index(i.end() - m.rank(), i.end());
              for (size_t d = 0; d + 2 < index.size(); ++d) {
                if (m.shape()[d] == 1) index[d] = 0;
              }
              index[index.size() - 2] = swap ? column : row;
              index[index.size() - 1] = swap ? row : column;
              return At(m, index);
            };
            const int64_t depth = in[0].shape()[size_t(in[0].rank() - (transpose_a ? 2 : 1))];
            double sum = 0;
            for (int64_t k = 0; k < depth; ++k) {
              sum += at(in[0], i[i.size() - 2], k, transpose_a) * at(in[1], k, i[i.size() - 1], transpose_b);
            }
            return sum;
          }}};
}

inline std::vector<OpCase> ProductCases() {
  auto einsum = [](std::string name, std::string equation, std::vector<TestInput> inputs, TestIndex shape,
                   std::function<double(const TestArrays&, const TestIndex&)> f) {
    return OpCase{std::move(name),          "Einsum",         std::move(inputs),
                  {{"equation", equation}}, std::move(shape), {f}};
  };
  auto bytes = [](std::string name, TestInput a, TestInput b, TestIndex shape) {
    return MatMulCase(std::move(name), std::move(a), std::move(b), false, false, std::move(shape),
                      "MatMulInteger");
  };
  return {
      MatMulCase("plain", {kF32, {5, 7}}, {kF32, {7, 33}}, false, false, {5, 33}),
      MatMulCase("tile", {kF32, {24, 16}}, {kF32, {16, 64}}, false, false, {24, 64}),
      MatMulCase("transpose_a", {kF32, {7, 5}}, {kF32, {7, 16}}, true, false, {5, 16}),
      MatMulCase("transpose_b", {kF32, {5, 7}}, {kF32, {16, 7}}, false, true, {5, 16}),
      MatMulCase("both", {kF32, {7, 5}}, {kF32, {9, 7}}, true, true, {5, 9}),
      MatMulCase("row", {kF32, {1, 40}}, {kF32, {40, 17}}, false, false, {1, 17}),
      MatMulCase("column", {kF32, {17, 40}}, {kF32, {40, 1}}, false, false, {17, 1}),
      MatMulCase("batch", {kF32, {2, 3, 4, 5}}, {kF32, {3, 5, 6}}, false, false, {2, 3, 4, 6}),
      MatMulCase("batch_broadcast", {kF32, {2, 1, 4, 5}}, {kF32, {1, 3, 5, 6}}, false, false, {2, 3, 4, 6}),
      // The rows of all matrices meet one matrix.
      MatMulCase("rows_by_one_column", {kF32, {5, 3, 20}}, {kF32, {20, 1}}, false, false, {5, 3, 1}),
      MatMulCase("joined_rows", {kF32, {35, 1, 20}}, {kF32, {20, 33}}, false, false, {35, 1, 33}),
      MatMulCase("rows_of_three_axes", {kF32, {5, 3, 8, 3, 2}}, {kF32, {5, 2}}, false, true, {5, 3, 8, 3, 5}),
      MatMulCase("joined_rows_in_runs", {kI32, {3, 2, 2048}, -9, 9}, {kI32, {2048, 5}, -9, 9}, false, false,
                 {3, 2, 5}),
      MatMulCase("joined_rows_f16", {kF16, {4, 2, 9}}, {kF16, {9, 17}}, false, false, {4, 2, 17}),
      MatMulCase("transposed_matrices", {kF32, {3, 7, 5}}, {kF32, {7, 16}}, true, false, {3, 5, 16}),
      MatMulCase("no_depth", {kF32, {2, 0}}, {kF32, {0, 3}}, false, false, {2, 3}),
      MatMulCase("no_rows", {kF32, {0, 4}}, {kF32, {4, 3}}, false, false, {0, 3}),
      MatMulCase("f16", {kF16, {5, 9}}, {kF16, {9, 17}}, false, false, {5, 17}),
      MatMulCase("i32", {kI32, {5, 9}, -9, 9}, {kI32, {9, 17}, -9, 9}, false, false, {5, 17}),
      // Long inner dimensions are summed in runs.
      MatMulCase("runs", {kI32, {2, 4096}, -9, 9}, {kI32, {4096, 3}, -9, 9}, false, false, {2, 3}),
      bytes("u8s8", {kU8, {5, 24}, 0, 255}, {kI8, {24, 33}, -128, 127}, {5, 33}),
      bytes("s8u8", {kI8, {4, 7}, -128, 127}, {kU8, {7, 16}, 0, 255}, {4, 16}),
      bytes("bytes_batch", {kU8, {2, 1, 3, 8}, 0, 255}, {kU8, {4, 8, 5}, 0, 255}, {2, 4, 3, 5}),
      bytes("bytes_no_depth", {kU8, {2, 0}}, {kI8, {0, 3}}, {2, 3}),
      einsum("product", "bij,bjk->bik", {{kF32, {2, 3, 4}}, {kF32, {2, 4, 5}}}, {2, 3, 5},
             [](const TestArrays& in, const TestIndex& i) {
               double sum = 0;
               for (int64_t j = 0; j < 4; ++j) sum += At(in[0], {i[0], i[1], j}) * At(in[1], {i[0], j, i[2]});
               return sum;
             }),
      einsum("diagonal", "ii->i", {{kF32, {4, 4}}}, {4},
             [](const TestArrays& in, const TestIndex& i) { return At(in[0], {i[0], i[0]}); }),
      einsum("trace", "ii->", {{kF32, {4, 4}}}, {},
             [](const TestArrays& in, const TestIndex&) {
               double sum = 0;
               for (int64_t k = 0; k < 4; ++k) sum += At(in[0], {k, k});
               return sum;
             }),
      einsum("outer", "i,j->ij", {{kF32, {3}}, {kF32, {5}}}, {3, 5},
             [](const TestArrays& in, const TestIndex& i) { return At(in[0], {i[0]}) * At(in[1], {i[1]}); }),
      einsum("ones_broadcast", "ij,ij->i", {{kF32, {3, 1}}, {kF32, {3, 5}}}, {3},
             [](const TestArrays& in, const TestIndex& i) {
               double sum = 0;
               for (int64_t j = 0; j < 5; ++j) sum += At(in[0], {i[0], 0}) * At(in[1], {i[0], j});
               return sum;
             }),
      einsum("no_depth", "ij,jk->ik", {{kF32, {2, 0}}, {kF32, {0, 3}}}, {2, 3},
             [](const TestArrays&, const TestIndex&) { return 0.0; }),
  };
}

inline std::vector<OpCase> ReduceCases() {
  std::vector<OpCase> all;
  for (auto list : {ReductionCases, SelectionCases, NormalizationCases, ProductCases}) {
    for (OpCase& c : list()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace tilewright
