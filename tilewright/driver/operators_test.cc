// SPDX-License-Identifier: Apache-2.0
// The cases of the operators (op/test_*_cases.h) compiled: layouts, fusion with what is around, schedules,
// code.
#include <gtest/gtest.h>

#include "tilewright/driver/evaluate.h"
#include "tilewright/op/test_reduce_cases.h"
#include "tilewright/op/test_shape_cases.h"
#include "tilewright/op/test_window_cases.h"
#include "tilewright/target/test_target.h"

namespace tilewright {
namespace {

class OpCompiled : public testing::TestWithParam<OpCase> {};

TEST_P(OpCompiled, AgreesWithDirectEvaluation) {
  IRModule module;
  module.Set(CaseFunction(GetParam()));
  CompileOptions options;
  options.target = TestTarget();
  options.verify_each = true;
  const TestArrays inputs = CaseInputs(GetParam());
  const CompiledModel model = CompileModel(module, {}, options);
  ExpectCase(GetParam(), inputs, RunModule(LoadInProcess(model), inputs));
}

INSTANTIATE_TEST_SUITE_P(Elementwise, OpCompiled, testing::ValuesIn(ElementwiseCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Shape, OpCompiled, testing::ValuesIn(ShapeCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Reduce, OpCompiled, testing::ValuesIn(ReduceCases()), OpCaseName);
INSTANTIATE_TEST_SUITE_P(Window, OpCompiled, testing::ValuesIn(WindowCases()), OpCaseName);

}  // namespace
}  // namespace tilewright
