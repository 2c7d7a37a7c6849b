// SPDX-License-Identifier: Apache-2.0
// What operators infer from symbolic shapes, and what they refuse.
#include <gtest/gtest.h>

#include "tilewright/arith/eval.h"
#include "tilewright/op/test_op_case.h"

namespace tilewright {
namespace {

using testing::ElementsAre;

const Var kN = Var::Symbol("n"), kM = Var::Symbol("m");

Value Of(std::vector<Expr> shape, DataType t = kF32) { return TestValue("x", t, std::move(shape)); }

using Ints = std::vector<int64_t>;
using Exprs = std::vector<Expr>;

/// The shape of the only result where n is 7 and m is 5.
Ints ShapeAt(const std::string& op, const std::vector<Value>& args, const Annotations& attrs) {
  GraphBuilder builder;
  Ints shape;
  for (const Expr& d : builder.Call1(op, args, OpRegistry::Get(op)->attrs.from_map(attrs)).tensor().shape) {
    shape.push_back(EvalInt(d, {{kN, 7}, {kM, 5}}).value());
  }
  return shape;
}

Annotations Window(Ints strides, Ints pads) {
  return {{"strides", strides}, {"dilations", Ints(strides.size(), 1)}, {"pads", pads}};
}
Annotations ConvOf(Ints strides, Ints pads, int64_t groups = 1) {
  Annotations a = Window(std::move(strides), std::move(pads));
  a["groups"] = groups;
  return a;
}
Annotations PoolOf(Ints kernel, Ints strides, Ints pads, bool ceil = false) {
  Annotations a = Window(std::move(strides), std::move(pads));
  a["kernel"] = kernel;
  a["ceil_mode"] = ceil;
  return a;
}

// ---- Symbolic shapes

TEST(Infer, ElementwiseKeepsTheShape) {
  EXPECT_THAT(InferredTypes("Relu", {Of({kN, 3})}), ElementsAre("f32[n, 3]"));
  EXPECT_THAT(InferredTypes("IsNaN", {Of({kN})}), ElementsAre("bool[n]"));
  EXPECT_THAT(InferredTypes("Cast", {Of({kN})}, {{"to", kI8}}), ElementsAre("i8[n]"));
}

TEST(Infer, BroadcastPrefersWhatIsKnown) {
  EXPECT_THAT(InferredTypes("Add", {Of({kN, 1}), Of({4})}), ElementsAre("f32[n, 4]"));
  EXPECT_THAT(InferredTypes("Add", {Of({kN}), Of({4})}), ElementsAre("f32[4]"));
  EXPECT_THAT(InferredTypes("Less", {Of({kN}), Of({})}), ElementsAre("bool[n]"));
  EXPECT_THAT(InferredTypes("Where", {Of({kN, 1}, kBool), Of({kM}), Of({})}), ElementsAre("f32[n, m]"));
}

TEST(Infer, ProductsAndReductions) {
  EXPECT_THAT(InferredTypes("MatMul", {Of({kN, 3, kM}), Of({kM, 5})}), ElementsAre("f32[n, 3, 5]"));
  EXPECT_THAT(
      InferredTypes("MatMul", {Of({3, kN}), Of({5, 3})}, {{"transpose_a", true}, {"transpose_b", true}}),
      ElementsAre("f32[n, 5]"));
  EXPECT_THAT(InferredTypes("ReduceSum", {Of({kN, 3})}, {{"axes", Ints{0}}, {"keepdims", false}}),
              ElementsAre("f32[3]"));
  EXPECT_THAT(InferredTypes("ArgMax", {Of({kN, 3})}, {{"axis", int64_t(1)}}), ElementsAre("i64[n, 1]"));
  EXPECT_THAT(InferredTypes("TopK", {Of({kN, 9})}, {{"k", Expr(kM)}}), ElementsAre("f32[n, m]", "i64[n, m]"));
  EXPECT_THAT(InferredTypes("Einsum", {Of({kN, 3}), Of({3, kM})}, {{"equation", std::string("ab,bc->ca")}}),
              ElementsAre("f32[m, n]"));
}

TEST(Infer, Windows) {
  EXPECT_THAT(
      InferredTypes("Conv", {Of({kN, 3, 8, 8}), Of({4, 3, 3, 3}), nullptr}, ConvOf({2, 2}, {1, 1, 1, 1})),
      ElementsAre("f32[n, 4, 4, 4]"));
  EXPECT_EQ(ShapeAt("Conv", {Of({1, 3, kN}), Of({4, 3, 3}), Of({4})}, ConvOf({2}, {1, 1})), (Ints{1, 4, 4}));
  EXPECT_THAT(InferredTypes("MaxPool", {Of({kN, 3, 7})}, PoolOf({2}, {2}, {0, 0})),
              ElementsAre("f32[n, 3, 3]"));
  EXPECT_THAT(InferredTypes("MaxPool", {Of({kN, 3, 7})}, PoolOf({2}, {2}, {0, 0}, true)),
              ElementsAre("f32[n, 3, 4]"));
  // A window that would start in the padding behind is left out.
  EXPECT_THAT(InferredTypes("AveragePool", {Of({1, 1, 4})}, PoolOf({1}, {5}, {0, 1}, true)),
              ElementsAre("f32[1, 1, 1]"));
}

TEST(Infer, Rearrangements) {
  EXPECT_THAT(InferredTypes("Reshape", {Of({kN, 6})}, {{"shape", Exprs{kN, 2, 3}}}),
              ElementsAre("f32[n, 2, 3]"));
  EXPECT_THAT(InferredTypes("Transpose", {Of({kN, kM, 3})}, {{"perm", Ints{2, 0, 1}}}),
              ElementsAre("f32[3, n, m]"));
  EXPECT_THAT(InferredTypes("Concat", {Of({kN, 2}), Of({kM, 2})}, {{"axis", int64_t(0)}}),
              ElementsAre("f32[n + m, 2]"));
  EXPECT_THAT(InferredTypes("Tile", {Of({kN})}, {{"repeats", Exprs{Expr(3)}}}), ElementsAre("f32[n * 3]"));
  EXPECT_EQ(ShapeAt("Pad", {Of({kN}), nullptr}, {{"begin", Exprs{Expr(3)}}, {"end", Exprs{Expr(-1)}}}),
            (Ints{9}));
  EXPECT_THAT(InferredTypes("Gather", {Of({kN, 5}), Of({kM, 2}, kI64)}, {{"axis", int64_t(0)}}),
              ElementsAre("f32[m, 2, 5]"));
  EXPECT_THAT(InferredTypes("GatherND", {Of({kN, 5}), Of({kM, 1}, kI64)}), ElementsAre("f32[m, 5]"));
  EXPECT_THAT(InferredTypes("OneHot", {Of({kN}, kI64), Of({2})}, {{"depth", Expr(kM)}}),
              ElementsAre("f32[n, m]"));
}

// ---- What is refused, by id

struct Refusal {
  std::string name, op;
  std::vector<Value> args;
  Annotations attrs;
  std::string id, text;
};

void PrintTo(const Refusal& r, std::ostream* out) { *out << r.name; }

std::vector<Refusal> Refusals() {
  const Value f = Of({2, 3}), i = Of({2, 3}, kI64), b = Of({2, 3}, kBool), image = Of({1, 4, 5, 5}),
              w = Of({4, 4, 3, 3});
  return {
      // Types
      {"float_of_int", "Exp", {i}, {}, "TW2112", "i64"},
      {"number_of_bool", "Neg", {b}, {}, "TW2112", "bool"},
      {"bool_of_float", "Not", {f}, {}, "TW2112", "expected bool"},
      {"two_types", "Add", {f, i}, {}, "TW2112", "i64"},
      {"bool_sum", "Add", {b, b}, {}, "TW2112", "bool"},
      {"bits_of_float", "BitwiseAnd", {f, f}, {}, "TW2112", "f32"},
      {"other_width", "BitCast", {f}, {{"to", kI64}}, "TW2112", "i64"},
      {"condition", "Where", {f, f, f}, {}, "TW2112", "expected bool"},
      {"bool_product", "MatMul", {b, b}, {}, "TW2112", "bool"},
      {"reduce_bool", "ReduceSum", {b}, {}, "TW2112", "bool"},
      {"softmax_int", "Softmax", {i}, {}, "TW2112", "i64"},
      {"float_index", "Gather", {f, f}, {}, "TW2112", "i32 or i64"},
      {"concat_types", "Concat", {f, i}, {{"axis", int64_t(0)}}, "TW2112", "i64"},
      {"conv_types",
       "Conv",
       {image, Of({4, 4, 3, 3}, kF64), nullptr},
       ConvOf({1, 1}, {0, 0, 0, 0}),
       "TW2112",
       "f64"},
      {"statistics",
       "BatchNormalization",
       {f, Of({3}), Of({3}), Of({3}), Of({3}, kI32)},
       {},
       "TW2112",
       "i32"},
      {"scatter_types", "ScatterND", {f, Of({1, 1}, kI64), Of({1, 3}, kI32)}, {}, "TW2112", "i32"},
      {"average_int", "AveragePool", {Of({1, 1, 4}, kI32)}, PoolOf({2}, {2}, {0, 0}), "TW2112", "i32"},
      // Dimensions
      {"broadcast", "Add", {f, Of({4})}, {}, "TW2102", "3 and 4 differ"},
      {"inner", "MatMul", {f, f}, {}, "TW2102", "3 and 2 differ"},
      {"elements", "Reshape", {f}, {{"shape", Exprs{4, 2}}}, "TW2102", "6 elements cannot become 8"},
      {"concat", "Concat", {f, Of({2, 4})}, {{"axis", int64_t(0)}}, "TW2102", "dimension 1"},
      {"expand", "Expand", {f}, {{"shape", Exprs{2, 4}}}, "TW2102", "3 and 4 differ"},
      {"conv_channels",
       "Conv",
       {image, Of({4, 3, 3, 3}), nullptr},
       ConvOf({1, 1}, {0, 0, 0, 0}),
       "TW2102",
       "channels"},
      {"conv_bias", "Conv", {image, w, Of({5})}, ConvOf({1, 1}, {0, 0, 0, 0}), "TW2102", "bias"},
      {"channels", "BatchNormalization", {f, Of({3}), Of({3}), Of({2}), Of({3})}, {}, "TW2102", "channels"},
      {"updates", "ScatterElements", {f, i, Of({2, 2})}, {}, "TW2102", "updates"},
      {"beyond", "GatherElements", {f, Of({3, 3}, kI64)}, {{"axis", int64_t(1)}}, "TW2102", "3 > 2"},
      {"einsum", "Einsum", {f, f}, {{"equation", std::string("ij,jk->ik")}}, "TW2102", "'j'"},
      {"positions", "Resample", {f, Of({4, 2}, kI64), Of({4, 3})}, {}, "TW2102", "weights"},
      // Attributes
      {"axis", "Softmax", {f}, {{"axis", int64_t(2)}}, "TW2110", "outside of [-2, 2)"},
      {"axis_twice", "ReduceMax", {f}, {{"axes", Ints{1, -1}}}, "TW2110", "twice"},
      {"perm", "Transpose", {f}, {{"perm", Ints{0}}}, "TW2110", "1 axes for a tensor of rank 2"},
      {"negative", "Reshape", {f}, {{"shape", Exprs{-2, -3}}}, "TW2110", "negative"},
      {"slice",
       "Slice",
       {f},
       {{"begin", Exprs{0, 1}}, {"stride", Ints{1, 1}}, {"shape", Exprs{2, 3}}},
       "TW2110",
       "axis 1"},
      {"slice_stride",
       "Slice",
       {f},
       {{"begin", Exprs{0, 0}}, {"stride", Ints{1, 0}}, {"shape", Exprs{2, 1}}},
       "TW2110",
       "stride is 0"},
      {"pad_mode",
       "Pad",
       {f, nullptr},
       {{"begin", Exprs{0, 0}}, {"end", Exprs{0, 0}}, {"mode", std::string("odd")}},
       "TW2110",
       "'odd'"},
      {"pad_cut", "Pad", {f, nullptr}, {{"begin", Exprs{-3, 0}}, {"end", Exprs{0, 0}}}, "TW2110", "negative"},
      {"pad_empty",
       "Pad",
       {Of({0}), nullptr},
       {{"begin", Exprs{1}}, {"end", Exprs{0}}, {"mode", std::string("edge")}},
       "TW2110",
       "empty"},
      {"tile", "Tile", {f}, {{"repeats", Exprs{Expr(2)}}}, "TW2110", "1 repeats"},
      {"kernel", "MaxPool", {image}, PoolOf({2}, {1, 1}, {0, 0, 0, 0}), "TW2110", "1 axes, expected 2"},
      {"too_large", "MaxPool", {image}, PoolOf({7, 2}, {1, 1}, {0, 0, 0, 0}), "TW2110", "2 too long"},
      {"strides", "Conv", {image, w, nullptr}, ConvOf({0, 1}, {0, 0, 0, 0}), "TW2110", "strides"},
      {"groups", "Conv", {image, w, nullptr}, ConvOf({1, 1}, {0, 0, 0, 0}, 3), "TW2110", "groups"},
      {"k", "TopK", {f}, {{"k", Expr(4)}}, "TW2110", "k is 4"},
      {"empty_axis", "ArgMax", {Of({2, 0})}, {{"axis", int64_t(1)}}, "TW2110", "no elements"},
      {"empty_gather", "Gather", {Of({0, 2}), Of({1}, kI64)}, {}, "TW2110", "no elements"},
      {"reduction",
       "ScatterND",
       {f, Of({1, 1}, kI64), Of({1, 3})},
       {{"reduction", std::string("xor")}},
       "TW2110",
       "'xor'"},
      {"size", "LRN", {image}, {{"size", int64_t(0)}}, "TW2110", "size"},
      {"result_letter", "Einsum", {f}, {{"equation", std::string("ij->k")}}, "TW2110", "'k'"},
      {"sampling",
       "GridSample",
       {image, Of({1, 2, 2, 2})},
       {{"mode", std::string("odd")}},
       "TW2110",
       "'odd'"},
      {"list",
       "IndexList",
       {},
       {{"elements", Exprs{Expr(1)}}, {"shape", Ints{2}}},
       "TW2110",
       "does not hold"},
      // Ranks
      {"conv_rank", "Conv", {f, f, nullptr}, ConvOf({}, {}), "TW2111", "rank 2"},
      {"product_rank", "MatMul", {Of({3}), f}, {}, "TW2111", "rank 1"},
      {"triangle_rank", "Trilu", {Of({3})}, {}, "TW2111", "rank 1"},
      {"value_rank", "Pad", {f, Of({1})}, {{"begin", Exprs{0, 0}}, {"end", Exprs{0, 0}}}, "TW2111", "rank 1"},
      {"tuples", "GatherND", {f, Of({}, kI64)}, {}, "TW2111", "rank 0"},
      // Constants
      {"tuple_length", "GatherND", {f, Of({2, kN}, kI64)}, {}, "TW2113", "must be constant"},
      {"missing", "MatMul", {f, nullptr}, {}, "TW2103", "argument 1"},
  };
}

class Refused : public testing::TestWithParam<Refusal> {};

TEST_P(Refused, NamesWhatIsWrong) {
  const Refusal& r = GetParam();
  ExpectRefused(r.op, r.args, r.attrs, r.id, r.text);
}

INSTANTIATE_TEST_SUITE_P(Infer, Refused, testing::ValuesIn(Refusals()),
                         [](const testing::TestParamInfo<Refusal>& i) {
                           return i.param.op + "_" + i.param.name;
                         });

/// What an operator leaves to be checked at run time, as text.
std::vector<std::string> Unproven(const std::string& op, const std::vector<Value>& args,
                                  const Annotations& attrs) {
  const OpDef* def = OpRegistry::Get(op);
  const Attrs given = def->attrs.from_map(attrs);
  std::vector<DimEquality> found;
  def->infer(InferContext(*def, args, given, "", &found));
  std::vector<std::string> text;
  for (const DimEquality& e : found) text.push_back(e.what);
  return text;
}

TEST(Infer, WhatSymbolsDecideIsCheckedAtRunTime) {
  EXPECT_THAT(Unproven("Reshape", {Of({kN, 3})}, {{"shape", Exprs{6}}}),
              ElementsAre("elements before and after"));
  EXPECT_THAT(Unproven("Reshape", {Of({2, 3})}, {{"shape", Exprs{6}}}), ElementsAre());
  EXPECT_THAT(Unproven("Slice", {Of({kN})}, {{"begin", Exprs{2}}, {"stride", Ints{1}}, {"shape", Exprs{3}}}),
              ElementsAre("last index and axis 0"));
  EXPECT_THAT(Unproven("Slice", {Of({5})}, {{"begin", Exprs{kN}}, {"stride", Ints{-1}}, {"shape", Exprs{3}}}),
              ElementsAre("last index and axis 0", "first index of axis 0"));
  EXPECT_THAT(Unproven("GatherElements", {Of({kN, 3}), Of({kM, 2}, kI64)}, {{"axis", int64_t(1)}}),
              ElementsAre("indices and dimension 0"));
  EXPECT_THAT(Unproven("TopK", {Of({kN})}, {{"k", Expr(4)}}), ElementsAre("k and the axis"));
  EXPECT_THAT(Unproven("MaxPool", {Of({1, 2, kN})}, PoolOf({3}, {1}, {0, 0})),
              ElementsAre("the window and spatial axis 0"));
}

TEST(Infer, ResultsThatNoMachineHoldsAreRefused) {
  GraphBuilder builder;
  auto expand = [&](Ints repeats) {
    return builder.Call1(
        "Expand", {Of({1, 1, 1})},
        OpRegistry::Get("Expand")->attrs.from_map({{"shape", Exprs(repeats.begin(), repeats.end())}}));
  };
  EXPECT_NO_THROW(expand({1 << 20, 1 << 20, 1 << 20}));
  try {
    expand({1 << 20, 1 << 20, 1 << 22});
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW2114");
  }
  try {
    expand(Ints(65, 1));
    ADD_FAILURE();
  } catch (const Error& e) {
    EXPECT_EQ(e.id(), "TW2114");
  }
}

TEST(Infer, AttributesAreChecked) {
  const AttrsInfo& info = OpRegistry::Get("Softmax")->attrs;
  EXPECT_THROW(info.from_map({{"axes", int64_t(1)}}), Error);
  EXPECT_THROW(info.from_map({{"axis", 1.5}}), Error);
}

}  // namespace
}  // namespace tilewright
