// SPDX-License-Identifier: Apache-2.0
// Every case of every operator through its lowering and the interpreter, against direct evaluation.
#include <gtest/gtest.h>

#include "tilewright/graph/interpreter.h"
#include "tilewright/graph/verify.h"
#include "tilewright/op/test_reduce_cases.h"
#include "tilewright/op/test_shape_cases.h"
#include "tilewright/op/test_window_cases.h"

namespace tilewright {
namespace {

class OpInterpreted : public testing::TestWithParam<OpCase> {};

TEST_P(OpInterpreted, AgreesWithDirectEvaluation) {
  const GraphFunction f = CaseFunction(GetParam());
  VerifyGraph(f, {});
  const TestArrays inputs = CaseInputs(GetParam());
  ExpectCase(GetParam(), inputs, Interpret(f, inputs));
}

INSTANTIATE_TEST_SUITE_P(Elementwise, OpInterpreted, testing::ValuesIn(ElementwiseCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Shape, OpInterpreted, testing::ValuesIn(ShapeCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Relayout, OpInterpreted, testing::ValuesIn(RelayoutCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Reduce, OpInterpreted, testing::ValuesIn(ReduceCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Window, OpInterpreted, testing::ValuesIn(WindowCases()), OpCaseName);

/// What the cases do not name is not tested: a new operator comes with one.
TEST(OpCases, NameEveryOperator) {
  std::set<std::string> named;
  for (auto list : {ElementwiseCases, ShapeCases, RelayoutCases, ReduceCases, WindowCases}) {
    for (const OpCase& c : list()) named.insert(c.op);
  }
  for (const OpDef* op : OpRegistry::All()) EXPECT_TRUE(named.contains(op->name)) << op->name;
}

}  // namespace
}  // namespace tilewright
