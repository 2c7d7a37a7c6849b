// SPDX-License-Identifier: Apache-2.0
// One use of an operator with direct evaluation beside it: what the tests of operators run, interpreted here
// and compiled in driver/.
#pragma once

#include <gmock/gmock.h>

#include <cmath>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "tilewright/graph/op_def.h"
#include "tilewright/ir/float16.h"
#include "tilewright/ir/ndarray.h"

namespace tilewright {

using TestIndex = std::vector<int64_t>;
using TestArrays = std::vector<NDArray>;

/// Calls f with every index of a shape, in row-major order.
inline void ForEachIndex(const TestIndex& shape, const std::function<void(const TestIndex&)>& f) {
  int64_t count = 1;
  for (int64_t d : shape) count *= d;
  TestIndex index(shape.size(), 0);
  for (int64_t n = 0; n < count; ++n) {
    f(index);
    for (size_t d = shape.size(); d-- > 0;) {
      if (++index[d] < shape[d]) break;
      index[d] = 0;
    }
  }
}

inline int64_t FlatPosition(const TestIndex& shape, const TestIndex& index) {
  int64_t flat = 0;
  for (size_t d = 0; d < shape.size(); ++d) flat = flat * shape[d] + index[d];
  return flat;
}

inline bool IsInside(const TestIndex& shape, const TestIndex& index) {
  for (size_t d = 0; d < shape.size(); ++d) {
    if (index[d] < 0 || index[d] >= shape[d]) return false;
  }
  return true;
}

/// The element at an index, which must lie inside.
inline double At(const NDArray& a, const TestIndex& index) {
  TW_CHECK(index.size() == a.shape().size() && IsInside(a.shape(), index), "index outside of {}",
           a.ToString(0));
  return a.AsDouble(FlatPosition(a.shape(), index));
}

/// The element that broadcasting puts at an index of the result.
inline double AtBroadcast(const NDArray& a, const TestIndex& out) {
  TestIndex index(out.end() - a.rank(), out.end());
  for (size_t d = 0; d < index.size(); ++d) {
    if (a.shape()[d] == 1) index[d] = 0;
  }
  return At(a, index);
}

/// An argument: random elements of [low, high] (whole ones for integers), or those given.
struct TestInput {
  DataType dtype;
  TestIndex shape;
  double low = -2, high = 2;
  std::vector<double> values = {};
  bool absent = false;  ///< an optional argument that is left out
};

struct OpCase {
  std::string name;
  std::string op;
  std::vector<TestInput> inputs;
  Annotations attrs;
  TestIndex shape;  ///< of all results
  /// Element of each result from the arguments.
  std::vector<std::function<double(const TestArrays& in, const TestIndex& out)>> expected;
};

inline void PrintTo(const OpCase& c, std::ostream* out) { *out << c.name; }

inline std::string OpCaseName(const testing::TestParamInfo<OpCase>& info) {
  std::string name = info.param.op + "_" + info.param.name;
  for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) ? c : '_';
  return name;
}

inline NDArray MakeInput(const TestInput& input, uint64_t seed) {
  if (!input.values.empty()) return NDArray::FromDoubles(input.dtype, input.shape, input.values);
  NDArray a = NDArray::Empty(input.dtype, input.shape);
  std::mt19937_64 random(seed);
  const bool whole = !input.dtype.is_float();
  const double low = input.dtype.is_uint() || input.dtype.is_bool() ? std::max(input.low, 0.0) : input.low;
  for (int64_t i = 0; i < a.size(); ++i) {
    const double x = low + (input.high - low) * double(random() >> 11) * 0x1p-53;
    a.SetDouble(i, whole ? std::round(x) : x);
  }
  return a;
}

inline Value TestValue(const std::string& name, DataType dtype, std::vector<Expr> shape) {
  return Value(name, Type(TensorType{dtype, std::move(shape), {}, "", "global"}), name);
}

/// @main applies the operator to its arguments, in order.
inline GraphFunction CaseFunction(const OpCase& c) {
  GraphFunctionNode f;
  f.name = "main";
  std::vector<Value> args;
  for (const TestInput& in : c.inputs) {
    if (in.absent) {
      args.push_back(nullptr);
      continue;
    }
    f.params.push_back(
        TestValue("x" + std::to_string(args.size()), in.dtype, {in.shape.begin(), in.shape.end()}));
    args.push_back(f.params.back());
  }
  GraphBuilder builder;
  std::vector<Value> results = builder.Call(c.op, args, OpRegistry::Get(c.op)->attrs.from_map(c.attrs));
  f.body = builder.Finish(std::move(results));
  return GraphFunction(std::move(f));
}

/// The arguments that are there.
inline TestArrays CaseInputs(const OpCase& c) {
  TestArrays inputs;
  for (size_t i = 0; i < c.inputs.size(); ++i) {
    if (!c.inputs[i].absent) inputs.push_back(MakeInput(c.inputs[i], i + 1));
  }
  return inputs;
}

/// Largest error of an element, relative to its magnitude where that exceeds 1: some units in the last place
/// of what arithmetic runs in, and one rounding of a narrower result.
inline double ToleranceOf(DataType t) {
  if (!t.is_float()) return 0;
  if (t.bits == 64) return 0x1p-45;
  if (t.bits == 32) return 0x1p-17;
  return t == kF16 ? 0x1p-10 : 0x1p-7;
}

inline void ExpectCase(const OpCase& c, const TestArrays& inputs, const TestArrays& found) {
  ASSERT_EQ(found.size(), c.expected.size());
  for (size_t r = 0; r < found.size(); ++r) {
    ASSERT_EQ(found[r].shape(), c.shape) << "result " << r;
    const double tolerance = ToleranceOf(found[r].dtype());
    int wrong = 0;
    ForEachIndex(c.shape, [&](const TestIndex& i) {
      const double want = c.expected[r](inputs, i), got = At(found[r], i);
      if (got == want || (std::isnan(got) && std::isnan(want))) return;
      if (std::abs(got - want) <= tolerance * std::max(1.0, std::abs(want))) return;
      if (++wrong <= 3)
        ADD_FAILURE() << "result " << r << " at " << testing::PrintToString(i) << ": " << got << ", expected "
                      << want;
    });
    EXPECT_EQ(wrong, 0) << "wrong elements of result " << r;
  }
}

/// The operator refuses these arguments with this id, in a message that holds `text`.
inline void ExpectRefused(const std::string& op, const std::vector<Value>& args, const Annotations& attrs,
                          const std::string& id, const std::string& text) {
  GraphBuilder builder;
  try {
    builder.Call(op, args, OpRegistry::Get(op)->attrs.from_map(attrs), "culprit");
    ADD_FAILURE() << op << " is accepted; expected " << id;
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), id) << e.what();
    EXPECT_THAT(e.what(), testing::HasSubstr(text));
    EXPECT_THAT(e.what(), testing::HasSubstr("culprit"));
  }
}

/// The types of an operator's results, as text.
inline std::vector<std::string> InferredTypes(const std::string& op, const std::vector<Value>& args,
                                              const Annotations& attrs = {}) {
  GraphBuilder builder;
  std::vector<std::string> types;
  for (const Value& v : builder.Call(op, args, OpRegistry::Get(op)->attrs.from_map(attrs))) {
    types.push_back(v->type.ToString());
  }
  return types;
}

}  // namespace tilewright
