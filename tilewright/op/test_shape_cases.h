// SPDX-License-Identifier: Apache-2.0
// Cases of operators that rearrange elements or pick them by index.
#pragma once

#include <limits>

#include "tilewright/op/test_op_case.h"

namespace tilewright {

inline std::vector<Expr> TestExprs(const TestIndex& values) { return {values.begin(), values.end()}; }

/// A result whose elements are elements of argument 0.
inline OpCase PickCase(std::string name, std::string op, TestInput x, Annotations attrs, TestIndex shape,
                       std::function<TestIndex(const TestIndex&)> from) {
  return {
      std::move(name),  std::move(op),
      {std::move(x)},   std::move(attrs),
      std::move(shape), {[from](const TestArrays& in, const TestIndex& i) { return At(in[0], from(i)); }}};
}

inline std::vector<OpCase> RearrangeCases() {
  auto reshape = [](std::string name, TestIndex from, TestIndex to) {
    return OpCase{
        std::move(name),
        "Reshape",
        {{kF32, from}},
        {{"shape", TestExprs(to)}},
        to,
        {[to](const TestArrays& in, const TestIndex& i) { return in[0].AsDouble(FlatPosition(to, i)); }}};
  };
  auto transpose = [](std::string name, TestIndex from, TestIndex perm) {
    TestIndex shape;
    for (int64_t p : perm) shape.push_back(from[size_t(p < 0 ? p + int64_t(from.size()) : p)]);
    return PickCase(std::move(name), "Transpose", {kF32, from}, {{"perm", perm}}, shape,
                    [perm](const TestIndex& i) {
                      TestIndex at(i.size());
                      for (size_t d = 0; d < i.size(); ++d)
                        at[size_t(perm[d] < 0 ? perm[d] + int64_t(i.size()) : perm[d])] = i[d];
                      return at;
                    });
  };
  auto slice = [](std::string name, TestIndex from, TestIndex begin, TestIndex stride, TestIndex shape) {
    return PickCase(std::move(name), "Slice", {kF32, from},
                    {{"begin", TestExprs(begin)}, {"stride", stride}, {"shape", TestExprs(shape)}}, shape,
                    [begin, stride](const TestIndex& i) {
                      TestIndex at;
                      for (size_t d = 0; d < i.size(); ++d) at.push_back(begin[d] + i[d] * stride[d]);
                      return at;
                    });
  };
  auto tile = [](std::string name, TestIndex from, TestIndex repeats) {
    TestIndex shape;
    for (size_t d = 0; d < from.size(); ++d) shape.push_back(from[d] * repeats[d]);
    return PickCase(std::move(name), "Tile", {kF32, from}, {{"repeats", TestExprs(repeats)}}, shape,
                    [from](const TestIndex& i) {
                      TestIndex at;
                      for (size_t d = 0; d < i.size(); ++d) at.push_back(i[d] % from[d]);
                      return at;
                    });
  };
  return {
      reshape("split", {4, 15}, {4, 3, 5}),
      reshape("join", {2, 3, 4, 5}, {6, 20}),
      reshape("regroup", {4, 6, 5}, {8, 3, 5}),
      reshape("unrelated", {7, 6}, {2, 21}),
      reshape("ones", {1, 6, 1}, {2, 1, 3, 1}),
      reshape("to_scalar", {1, 1}, {}),
      reshape("from_scalar", {}, {1, 1}),
      reshape("empty", {0, 6}, {3, 0, 4}),
      transpose("matrix", {17, 5}, {1, 0}),
      transpose("channels_last", {2, 3, 4, 5}, {0, 2, 3, 1}),
      transpose("negative", {2, 3, 4}, {-1, 0, -2}),
      transpose("itself", {2, 3}, {0, 1}),
      {"ones",
       "Expand",
       {{kF32, {3, 1}}},
       {{"shape", TestExprs({2, 3, 4})}},
       {2, 3, 4},
       {[](const TestArrays& in, const TestIndex& i) { return AtBroadcast(in[0], i); }}},
      {"shorter_shape",
       "Expand",
       {{kF32, {2, 3, 4}}},
       {{"shape", TestExprs({4})}},
       {2, 3, 4},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], i); }}},
      tile("rows", {2, 3}, {2, 1}),
      tile("all", {2, 3, 2}, {1, 3, 2}),
      tile("none", {2, 3}, {0, 1}),
      slice("stride", {7, 9}, {1, 0}, {2, 3}, {3, 3}),
      slice("backwards", {7, 9}, {6, 8}, {-1, -4}, {7, 3}),
      slice("one", {7, 9}, {3, 4}, {1, 1}, {1, 1}),
      slice("nothing", {7, 9}, {7, 0}, {1, 1}, {0, 9}),
      {"axis1",
       "Concat",
       {{kF32, {2, 3, 5}}, {kF32, {2, 1, 5}}, {kF32, {2, 2, 5}}},
       {{"axis", int64_t(1)}},
       {2, 6, 5},
       {[](const TestArrays& in, const TestIndex& i) {
         TestIndex at = i;
         size_t k = 0;
         while (at[1] >= in[k].shape()[1]) at[1] -= in[k++].shape()[1];
         return At(in[k], at);
       }}},
      {"last_axis_with_empty",
       "Concat",
       {{kI32, {3, 2}, -9, 9}, {kI32, {3, 0}}, {kI32, {3, 1}, -9, 9}},
       {{"axis", int64_t(-1)}},
       {3, 3},
       {[](const TestArrays& in, const TestIndex& i) {
         return i[1] < 2 ? At(in[0], i) : At(in[2], {i[0], 0});
       }}},
      {"one",
       "Concat",
       {{kF32, {3, 2}}},
       {{"axis", int64_t(0)}},
       {3, 2},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], i); }}},
      {"f32",
       "Full",
       {},
       {{"dtype", kF32}, {"shape", TestExprs({2, 3})}, {"value", 2.5}},
       {2, 3},
       {[](const TestArrays&, const TestIndex&) { return 2.5; }}},
      {"bool",
       "Full",
       {},
       {{"dtype", kBool}, {"shape", TestExprs({3})}, {"value", 1.0}},
       {3},
       {[](const TestArrays&, const TestIndex&) { return 1; }}},
      {"list",
       "IndexList",
       {},
       {{"elements", TestExprs({7, -1, 5, 0})}, {"shape", TestIndex{2, 2}}},
       {2, 2},
       {[](const TestArrays&, const TestIndex& i) {
         return TestIndex{7, -1, 5, 0}[size_t(i[0] * 2 + i[1])];
       }}},
  };
}

/// Only inside of a graph: parameters and results of @main are natural.
inline std::vector<OpCase> RelayoutCases() {
  return {
      {"blocked",
       "Relayout",
       {{kF32, {2, 3}}},
       {{"layout", std::string("1 0")}},
       {3, 2},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], {i[1], i[0]}); }}},
  };
}

inline std::vector<OpCase> PadCases() {
  auto pad = [](std::string mode, TestIndex from, TestIndex begin, TestIndex end, bool value) {
    TestIndex shape;
    for (size_t d = 0; d < from.size(); ++d) shape.push_back(from[d] + begin[d] + end[d]);
    OpCase c{fmt::format("{}{}_{}", mode, value ? "_value" : "", fmt::join(from, "x")), "Pad", {{kF32, from}},
             {{"begin", TestExprs(begin)}, {"end", TestExprs(end)}, {"mode", mode}},    shape, {}};
    if (value) c.inputs.push_back({kF32, {}, 0, 0, {-7}});
    c.expected = {[=](const TestArrays& in, const TestIndex& i) {
      TestIndex at;
      for (size_t d = 0; d < i.size(); ++d) {
        int64_t p = i[d] - begin[d];
        const int64_t n = from[d];
        if (mode == "edge") p = std::clamp<int64_t>(p, 0, n - 1);
        if (mode == "wrap") p = ((p % n) + n) % n;
        while (mode == "reflect" && (p < 0 || p >= n)) p = n == 1 ? 0 : p < 0 ? -p : 2 * (n - 1) - p;
        at.push_back(p);
      }
      return IsInside(from, at) ? At(in[0], at) : value ? -7 : 0;
    }};
    return c;
  };
  return {
      pad("constant", {3, 5}, {1, 2}, {0, 3}, false),  pad("constant", {3, 5}, {1, 2}, {0, 3}, true),
      pad("constant", {4, 5}, {-1, 0}, {-2, 3}, true), pad("edge", {3, 5}, {2, 1}, {4, 0}, false),
      pad("reflect", {3, 5}, {2, 1}, {2, 4}, false),   pad("reflect", {1, 4}, {2, 6}, {1, 5}, false),
      pad("wrap", {3, 5}, {4, 1}, {2, 7}, false),      pad("edge", {4, 5}, {-1, 1}, {2, -2}, false),
  };
}

inline std::vector<OpCase> BorderCases() {
  auto border = [](std::string name, DataType t, TestIndex from, TestIndex begin, TestIndex end,
                   double value) {
    TestIndex shape;
    for (size_t d = 0; d < from.size(); ++d) shape.push_back(from[d] + begin[d] + end[d]);
    return OpCase{std::move(name),
                  "Border",
                  {{t, from, 1, 9}},
                  {{"begin", begin}, {"end", end}, {"value", value}},
                  shape,
                  {[=](const TestArrays& in, const TestIndex& i) {
                    TestIndex at = i;
                    for (size_t d = 0; d < at.size(); ++d) at[d] -= begin[d];
                    return IsInside(from, at) ? At(in[0], at) : value;
                  }}};
  };
  return {
      border("both_sides", kF32, {1, 2, 3, 4}, {0, 0, 1, 2}, {0, 0, 2, 1}, 0),
      border("none", kF32, {2, 3}, {0, 0}, {0, 0}, 0),
      border("least", kI8, {2, 3}, {1, 0}, {0, 2}, -128),
      border("infinite", kF32, {3}, {2}, {1}, -std::numeric_limits<double>::infinity()),
  };
}

/// An index as the operators take it: from the end where negative, moved to the nearest element outside.
inline int64_t TestPosition(double index, int64_t extent) {
  const int64_t i = int64_t(index) < 0 ? int64_t(index) + extent : int64_t(index);
  return std::clamp<int64_t>(i, 0, extent - 1);
}

inline std::vector<OpCase> GatherCases() {
  const TestInput picks = {kI64, {2, 3}, 0, 0, {0, 4, -1, 2, 2, -5}};
  return {
      {"middle_axis",
       "Gather",
       {{kF32, {3, 5, 4}}, picks},
       {{"axis", int64_t(1)}},
       {3, 2, 3, 4},
       {[](const TestArrays& in, const TestIndex& i) {
         return At(in[0], {i[0], TestPosition(At(in[1], {i[1], i[2]}), 5), i[3]});
       }}},
      {"scalar_index",
       "Gather",
       {{kF32, {3, 5}}, {kI32, {}, 0, 0, {-1}}},
       {{"axis", int64_t(-1)}},
       {3},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], {i[0], 4}); }}},
      {"outside_is_nearest",
       "Gather",
       {{kF32, {3}}, {kI64, {3}, 0, 0, {99, -99, 1}}},
       {{"axis", int64_t(0)}},
       {3},
       {[](const TestArrays& in, const TestIndex& i) {
         return At(in[0], {i[0] == 0 ? 2 : i[0] == 1 ? 0 : 1});
       }}},
      {"rows",
       "GatherElements",
       {{kF32, {5, 3}}, picks},
       {{"axis", int64_t(0)}},
       {2, 3},
       {[](const TestArrays& in, const TestIndex& i) {
         return At(in[0], {TestPosition(At(in[1], i), 5), i[1]});
       }}},
      {"tuples",
       "GatherND",
       {{kF32, {4, 5, 3}}, {kI64, {2, 2}, 0, 0, {0, -1, 3, 2}}},
       {{"batch_dims", int64_t(0)}},
       {2, 3},
       {[](const TestArrays& in, const TestIndex& i) {
         return At(in[0],
                   {TestPosition(At(in[1], {i[0], 0}), 4), TestPosition(At(in[1], {i[0], 1}), 5), i[1]});
       }}},
      {"batch",
       "GatherND",
       {{kF32, {2, 5, 3}}, {kI32, {2, 1}, 0, 0, {4, -2}}},
       {{"batch_dims", int64_t(1)}},
       {2, 3},
       {[](const TestArrays& in, const TestIndex& i) {
         return At(in[0], {i[0], TestPosition(At(in[1], {i[0], 0}), 5), i[1]});
       }}},
      {"front",
       "Row",
       {{kF32, {4, 2, 3}}, {kI64, {}, 0, 0, {1}}},
       {},
       {2, 3},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], {1, i[0], i[1]}); }}},
      {"from_end",
       "Row",
       {{kF32, {4, 3}}, {kI64, {}, 0, 0, {1}}},
       {{"from_end", true}},
       {3},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], {2, i[0]}); }}},
      {"middle_axis",
       "RepeatElements",
       {{kF32, {2, 3, 4}}},
       {{"axis", int64_t(1)}, {"times", int64_t(3)}},
       {2, 9, 4},
       {[](const TestArrays& in, const TestIndex& i) { return At(in[0], {i[0], i[1] / 3, i[2]}); }}},
      {"middle_axis",
       "OneHot",
       {{kI64, {2, 3}, 0, 0, {0, 3, -1, 9, 2, 1}}, {kF32, {2}, 0, 0, {-1, 5}}},
       {{"axis", int64_t(1)}, {"depth", Expr(4)}},
       {2, 4, 3},
       {[](const TestArrays& in, const TestIndex& i) {
         const double v = At(in[0], {i[0], i[2]});
         return (v < 0 ? v + 4 : v) == double(i[1]) ? 5 : -1;
       }}},
      {"upper",
       "Trilu",
       {{kF32, {2, 4, 5}}},
       {{"upper", true}, {"k", int64_t(1)}},
       {2, 4, 5},
       {[](const TestArrays& in, const TestIndex& i) { return i[2] - i[1] >= 1 ? At(in[0], i) : 0; }}},
      {"lower",
       "Trilu",
       {{kI32, {4, 5}, 1, 9}},
       {{"upper", false}, {"k", int64_t(-1)}},
       {4, 5},
       {[](const TestArrays& in, const TestIndex& i) { return i[1] - i[0] <= -1 ? At(in[0], i) : 0; }}},
      {"lengths",
       "ReverseSequence",
       {{kF32, {4, 3, 2}}, {kI64, {3}, 0, 0, {1, 4, 2}}},
       {{"time_axis", int64_t(0)}, {"batch_axis", int64_t(1)}},
       {4, 3, 2},
       {[](const TestArrays& in, const TestIndex& i) {
         const int64_t n = int64_t(At(in[1], {i[1]}));
         return At(in[0], {i[0] < n ? n - 1 - i[0] : i[0], i[1], i[2]});
       }}},
  };
}

/// The value of an element after all updates that hit it, in order.
inline double TestScatter(const TestArrays& in, const TestIndex& out, const std::string& reduction,
                          const std::function<TestIndex(const TestIndex& update)>& target) {
  double value = At(in[0], out);
  ForEachIndex(in[2].shape(), [&](const TestIndex& u) {
    if (target(u) != out) return;
    const double x = At(in[2], u);
    value = reduction == "add"   ? value + x
            : reduction == "mul" ? value * x
            : reduction == "max" ? std::max(value, x)
            : reduction == "min" ? std::min(value, x)
                                 : x;
  });
  return value;
}

inline std::vector<OpCase> ScatterCases() {
  std::vector<OpCase> cases;
  for (std::string reduction : {"none", "add", "mul", "max", "min"}) {
    cases.push_back({reduction,
                     "ScatterElements",
                     {{kF32, {3, 5}}, {kI64, {2, 3}, 0, 0, {1, 4, 1, 0, 2, -1}}, {kF32, {2, 3}}},
                     {{"axis", int64_t(1)}, {"reduction", reduction}},
                     {3, 5},
                     {[=](const TestArrays& in, const TestIndex& i) {
                       return TestScatter(in, i, reduction, [&](const TestIndex& u) {
                         return TestIndex{u[0], TestPosition(At(in[1], u), 5)};
                       });
                     }}});
    cases.push_back({reduction,
                     "ScatterND",
                     {{kI32, {4, 3}, -5, 5}, {kI64, {3, 1}, 0, 0, {2, 0, 2}}, {kI32, {3, 3}, -5, 5}},
                     {{"reduction", reduction}},
                     {4, 3},
                     {[=](const TestArrays& in, const TestIndex& i) {
                       return TestScatter(in, i, reduction, [&](const TestIndex& u) {
                         return TestIndex{TestPosition(At(in[1], {u[0], 0}), 4), u[1]};
                       });
                     }}});
  }
  return cases;
}

inline std::vector<OpCase> ShapeCases() {
  std::vector<OpCase> all;
  for (auto list : {RearrangeCases, PadCases, BorderCases, GatherCases, ScatterCases}) {
    for (OpCase& c : list()) all.push_back(std::move(c));
  }
  return all;
}

}  // namespace tilewright
