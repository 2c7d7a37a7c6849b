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
