// SPDX-License-Identifier: Apache-2.0
// Products of quantised matrices against direct evaluation in 64 bits, with every combination of signs and
// zero points.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "tilewright/frontend/onnx/test_import.h"

namespace tilewright::onnx {
namespace {

enum class Zero : uint8_t { kNone, kNought, kOne, kMany };

/// Numbers over the whole range of a type of 8 bits, its ends among them.
NDArray Bytes(DataType t, std::vector<int64_t> shape, std::mt19937& random) {
  NDArray a = NDArray::Empty(t, std::move(shape));
  for (int64_t i = 0; i < a.size(); ++i) {
    const int64_t ends[] = {0, 127, 128, 255};
    a.SetInt(i, random() % 3 ? int64_t(random() % 256) : ends[random() % 4]);
  }
  return a;
}

int OnnxType(DataType t) { return t == kU8 ? 2 : 3; }

void AddBytes(ModelProto& m, const std::string& name, const NDArray& a) {
  TensorProto* t = m.mutable_graph()->add_initializer();
  t->set_name(name);
  t->set_data_type(OnnxType(a.dtype()));
  for (int64_t d : a.shape()) t->add_dims(d);
  t->set_raw_data(a.data(), size_t(a.bytes()));
}

/// One MatMulInteger and what it should give.
struct IntegerCase {
  DataType a_type, b_type;
  Zero a_zero, b_zero;
  bool constant;
  int64_t depth;

  std::string Name() const {
    return fmt::format("{} by {}, zero points {} and {}, {}, depth {}", a_type.ToString(), b_type.ToString(),
                       int(a_zero), int(b_zero), constant ? "constant" : "variable", depth);
  }
};

NDArray ZeroPoint(Zero kind, DataType t, int64_t many, std::mt19937& random) {
  if (kind == Zero::kNone) return {};
  if (kind == Zero::kNought) return NDArray::Zeros(t, {});
  return Bytes(t, kind == Zero::kOne ? std::vector<int64_t>{} : std::vector<int64_t>{many}, random);
}

int64_t ZeroAt(const NDArray& zero, int64_t i) { return zero ? zero.AsInt(zero.size() == 1 ? 0 : i) : 0; }

void Check(const IntegerCase& c, unsigned seed) {
  SCOPED_TRACE(c.Name());
  constexpr int64_t kRows = 3, kColumns = 5;
  std::mt19937 random(seed);
  const NDArray a = Bytes(c.a_type, {kRows, c.depth}, random),
                b = Bytes(c.b_type, {c.depth, kColumns}, random);
  const NDArray p = ZeroPoint(c.a_zero, c.a_type, kRows, random),
                q = ZeroPoint(c.b_zero, c.b_type, kColumns, random);
  ModelProto m = EmptyModel();
  AddInput(m, "a", {kRows, c.depth}, OnnxType(c.a_type));
  std::vector<NDArray> inputs = {a};
  if (c.constant) {
    AddBytes(m, "b", b);
  } else {
    AddInput(m, "b", {c.depth, kColumns}, OnnxType(c.b_type));
    inputs.push_back(b);
  }
  if (p) AddBytes(m, "p", p);
  if (q) AddBytes(m, "q", q);
  AddNode(m, "MatMulInteger", {"a", "b", p ? "p" : "", q ? "q" : ""}, {"y"});
  AddOutput(m, "y")->clear_type();
  const NDArray y = RunProto(m, inputs).at(0);
  ASSERT_EQ(y.dtype(), kI32);
  ASSERT_EQ(y.shape(), (std::vector<int64_t>{kRows, kColumns}));
  for (int64_t i = 0; i < kRows; ++i) {
    for (int64_t j = 0; j < kColumns; ++j) {
      int64_t sum = 0;
      for (int64_t k = 0; k < c.depth; ++k) {
        sum += (a.AsInt(i * c.depth + k) - ZeroAt(p, i)) * (b.AsInt(k * kColumns + j) - ZeroAt(q, j));
      }
      EXPECT_EQ(y.AsInt(i * kColumns + j), sum) << i << ", " << j;
    }
  }
}

TEST(Quantised, IntegerProductsAreExact) {
  unsigned seed = 1;
  const Zero zeros[] = {Zero::kNone, Zero::kNought, Zero::kOne, Zero::kMany};
  for (DataType a : {kU8, kI8}) {
    for (DataType b : {kU8, kI8}) {
      for (Zero p : zeros) {
        for (Zero q : zeros) {
          const int64_t depth = seed % 2 ? 8 : 7;
          Check({a, b, p, q, seed % 3 != 0, depth}, seed);
          ++seed;
        }
      }
    }
  }
}

/// ConvInteger over an image of two axes.
struct ConvCase {
  std::vector<int64_t> kernel, strides, dilations, pads;
  int64_t groups = 1;
};

void Check(const ConvCase& c, unsigned seed) {
  SCOPED_TRACE(fmt::format("kernel {} strides {} dilations {} pads {} groups {}", fmt::join(c.kernel, ","),
                           fmt::join(c.strides, ","), fmt::join(c.dilations, ","), fmt::join(c.pads, ","),
                           c.groups));
  constexpr int64_t kBatch = 2, kChannels = 4, kFilters = 6, kHeight = 6, kWidth = 7;
  const int64_t depth = kChannels / c.groups;
  std::mt19937 random(seed);
  const NDArray x = Bytes(kU8, {kBatch, kChannels, kHeight, kWidth}, random),
                w = Bytes(kI8, {kFilters, depth, c.kernel[0], c.kernel[1]}, random);
  const NDArray p = Bytes(kU8, {}, random), q = Bytes(kI8, {kFilters}, random);
  ModelProto m = EmptyModel();
  AddInput(m, "x", x.shape(), 2);
  AddBytes(m, "w", w);
  AddBytes(m, "p", p);
  AddBytes(m, "q", q);
  NodeProto* node = AddNode(m, "ConvInteger", {"x", "w", "p", "q"}, {"y"});
  SetInts(node, "strides", c.strides);
  SetInts(node, "dilations", c.dilations);
  SetInts(node, "pads", c.pads);
  SetInt(node, "group", c.groups);
  AddOutput(m, "y")->clear_type();
  const NDArray y = RunProto(m, {x}).at(0);
  auto positions = [&](size_t d, int64_t extent) {
    const int64_t room = extent + c.pads[d] + c.pads[d + 2] - (c.kernel[d] - 1) * c.dilations[d] - 1;
    return room / c.strides[d] + 1;
  };
  const std::vector<int64_t> shape = {kBatch, kFilters, positions(0, kHeight), positions(1, kWidth)};
  ASSERT_EQ(y.shape(), shape);
  auto pixel = [&](int64_t n, int64_t ch, int64_t row, int64_t column) -> int64_t {
    if (row < 0 || row >= kHeight || column < 0 || column >= kWidth) return 0;
    return x.AsInt(((n * kChannels + ch) * kHeight + row) * kWidth + column) - p.AsInt(0);
  };
  for (int64_t flat = 0; flat < y.size(); ++flat) {
    const int64_t column = flat % shape[3], row = flat / shape[3] % shape[2],
                  o = flat / (shape[2] * shape[3]) % kFilters, n = flat / (shape[1] * shape[2] * shape[3]);
    const int64_t first = o / (kFilters / c.groups) * depth;
    int64_t sum = 0, at = o * depth * c.kernel[0] * c.kernel[1];
    for (int64_t ch = 0; ch < depth; ++ch) {
      for (int64_t i = 0; i < c.kernel[0]; ++i) {
        for (int64_t j = 0; j < c.kernel[1]; ++j, ++at) {
          sum += pixel(n, first + ch, row * c.strides[0] + i * c.dilations[0] - c.pads[0],
                       column * c.strides[1] + j * c.dilations[1] - c.pads[1]) *
                 (w.AsInt(at) - q.AsInt(o));
        }
      }
    }
    ASSERT_EQ(y.AsInt(flat), sum) << flat;
  }
}

TEST(Quantised, IntegerConvolutionsAreExact) {
  unsigned seed = 1;
  for (const ConvCase& c : std::vector<ConvCase>{
           {{1, 1}, {1, 1}, {1, 1}, {0, 0, 0, 0}},
           {{3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
           {{2, 3}, {2, 1}, {1, 2}, {0, 2, 1, 1}},
           {{3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}, 2},
       }) {
    Check(c, seed++);
  }
}

/// y = dequantised x [2, 4] by dequantised w [4, 3], whose scales lie along `axis`.
ModelProto DequantisedModel(int64_t axis, bool constant = true) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {2, 4}, 2);
  std::mt19937 random(7);
  AddBytes(m, "zx", NDArray::FromInts(kU8, {}, std::vector<int64_t>{131}));
  if (constant) {
    AddBytes(m, "w", Bytes(kI8, {4, 3}, random));
  } else {
    AddInput(m, "w", {4, 3}, 3);
  }
  AddTensor(m, "sx", {})->set_float_data(0, 0.25F);
  TensorProto* scales = AddTensor(m, "sw", {axis == 1 ? 3 : 4});
  for (int i = 0; i < scales->float_data_size(); ++i) scales->set_float_data(i, 0.5F + float(i));
  AddNode(m, "DequantizeLinear", {"x", "sx", "zx"}, {"xf"});
  SetInt(AddNode(m, "DequantizeLinear", {"w", "sw"}, {"wf"}), "axis", axis);
  AddNode(m, "MatMul", {"xf", "wf"}, {"y"});
  AddOutput(m, "y");
  return m;
}

TEST(Quantised, ConvolutionsOfDequantisedBytesAreProducts) {
  ModelProto m = EmptyModel();
  AddInput(m, "x", {-1, 2, 4}, 2);
  std::mt19937 random(3);
  const NDArray w = Bytes(kI8, {3, 2, 2}, random), x = Bytes(kU8, {2, 2, 4}, random);
  AddBytes(m, "w", w);
  AddBytes(m, "zx", NDArray::FromInts(kU8, {}, std::vector<int64_t>{9}));
  AddTensor(m, "sx", {})->set_float_data(0, 0.25F);
  AddTensor(m, "bias", {3});
  TensorProto* scales = AddTensor(m, "sw", {3});
  for (int i = 0; i < 3; ++i) scales->set_float_data(i, 0.5F + float(i));
  AddNode(m, "DequantizeLinear", {"x", "sx", "zx"}, {"xf"});
  SetInt(AddNode(m, "DequantizeLinear", {"w", "sw"}, {"wf"}), "axis", 0);
  AddNode(m, "Conv", {"xf", "wf", "bias"}, {"y"});
  AddOutput(m, "y");
  const ImportedModel imported = ImportProto(m);
  EXPECT_THAT(OperatorsOf(imported),
              testing::AllOf(testing::Contains("MatMulInteger"), testing::Not(testing::Contains("Conv"))));
  const NDArray y = RunImported(imported, {x}).at(0);
  ASSERT_EQ(y.shape(), (std::vector<int64_t>{2, 3, 3}));
  for (int64_t flat = 0; flat < y.size(); ++flat) {
    const int64_t at = flat % 3, o = flat / 3 % 3, n = flat / 9;
    int64_t sum = 0;
    for (int64_t c = 0; c < 2; ++c) {
      for (int64_t t = 0; t < 2; ++t)
        sum += (x.AsInt((n * 2 + c) * 4 + at + t) - 9) * w.AsInt((o * 2 + c) * 2 + t);
    }
    EXPECT_EQ(y.AsDouble(flat), double(sum) * 0.25 * (0.5 + double(o)) + 0.125 * double(o)) << flat;
  }
}

TEST(Quantised, ProductsOfDequantisedBytesAreIntegers) {
  const ImportedModel columns = ImportProto(DequantisedModel(1));
  const auto has = [](const ImportedModel& m, const std::string& op) {
    const auto names = OperatorsOf(m);
    return std::find(names.begin(), names.end(), op) != names.end();
  };
  EXPECT_TRUE(has(columns, "MatMulInteger"));
  EXPECT_FALSE(has(columns, "MatMul"));
  // A scale per row of the weight is none of the result's.
  EXPECT_TRUE(has(ImportProto(DequantisedModel(0)), "MatMul"));
  EXPECT_TRUE(has(ImportProto(DequantisedModel(1, false)), "MatMul"));

  std::mt19937 random(7);
  const NDArray w = Bytes(kI8, {4, 3}, random), x = Bytes(kU8, {2, 4}, random);
  const NDArray y = RunImported(columns, {x}).at(0);
  for (int64_t i = 0; i < 2; ++i) {
    for (int64_t j = 0; j < 3; ++j) {
      int64_t sum = 0;
      for (int64_t k = 0; k < 4; ++k) sum += (x.AsInt(i * 4 + k) - 131) * w.AsInt(k * 3 + j);
      EXPECT_EQ(y.AsDouble(i * 3 + j), double(sum) * 0.25 * (0.5 + double(j)));
    }
  }
}

}  // namespace
}  // namespace tilewright::onnx
