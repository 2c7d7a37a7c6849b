// SPDX-License-Identifier: Apache-2.0
// Operators for tests of this layer, which does not know those of op/. Inline: each is registered once,
// however many tests include them.
#pragma once

#include "tilewright/graph/op_def.h"

namespace tilewright {

/// One field of each type that attributes have.
struct TestAttrs {
  bool flag = false;
  int64_t axis = -1;
  double scale = 1;
  std::string mode = "plain";
  DataType to = kF32;
  std::vector<int64_t> pads;
  std::vector<double> scales;
  std::vector<std::string> names;
  Expr extent = 0;
  std::vector<Expr> shape;
  static constexpr auto Fields() {
    return std::tuple(AttrField("flag", &TestAttrs::flag, ""), AttrField("axis", &TestAttrs::axis, ""),
                      AttrField("scale", &TestAttrs::scale, ""), AttrField("mode", &TestAttrs::mode, ""),
                      AttrField("to", &TestAttrs::to, ""), AttrField("pads", &TestAttrs::pads, ""),
                      AttrField("scales", &TestAttrs::scales, ""), AttrField("names", &TestAttrs::names, ""),
                      AttrField("extent", &TestAttrs::extent, ""), AttrField("shape", &TestAttrs::shape, ""));
  }
};

inline std::vector<Type> InferLikeFirst(const InferContext& c) { return {c.Input(0)}; }

inline const OpRegistrar kOpTestsum =
    OpDef{.name = "TestSum", .inputs = {{"a"}, {"b"}}, .infer = InferLikeFirst};
inline const OpRegistrar kOpTestcopy = OpDef{.name = "TestCopy", .inputs = {{"x"}}, .infer = InferLikeFirst};
inline const OpRegistrar kOpTestoptional = OpDef{.name = "TestOptional",
                                                 .inputs = {{"x"}, {"bias", true}, {"rest", true, true}},
                                                 .attrs = DescribeAttrs<TestAttrs>(),
                                                 .infer = InferLikeFirst};
inline const OpRegistrar kOpTestpair =
    OpDef{.name = "TestPair", .inputs = {{"x"}}, .infer = [](const InferContext& c) {
            return std::vector<Type>{c.Input(0), c.Input(0)};
          }};
// A word of the grammar, and a name that is no identifier: users may register such operators.
inline const OpRegistrar kOpCall = OpDef{.name = "call", .inputs = {{"x"}}, .infer = InferLikeFirst};
inline const OpRegistrar kOpDotted = OpDef{.name = "my.op", .inputs = {{"x"}}, .infer = InferLikeFirst};

}  // namespace tilewright
