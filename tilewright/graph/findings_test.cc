// SPDX-License-Identifier: Apache-2.0
// Findings in texts: what a user may have written.
#include "tilewright/graph/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tilewright/graph/parser.h"
#include "tilewright/graph/test_operators.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// What is wrong with @main of a text.
std::vector<std::string> Findings(const std::string& text) {
  const IRModule module = ParseModule(text).module;
  return GraphFindings(GetGraphFunction(module), module);
}

std::vector<std::string> FindingsIn(const std::string& body) {
  return Findings("graph @main(%x: f32[4], %y: f32[4], %c: bool[], %n: i64[]) -> () {\n" + body + "\n}");
}

TEST(GraphFindings, AcceptsWhatIsRight) {
  EXPECT_THAT(FindingsIn(R"(
    %a: f32[4] = TestSum(%x, %y)
    %b: f32[4] = TestOptional(%a)
    %d: f32[4] = TestOptional(%a, _, %x, %y)
    (%e: f32[4], %f: f32[4]) = TestPair(%d)
    %g: f32[2] = constant [1.0, 2.0]
    %h: f32[4] = if %c { %t: f32[4] = TestCopy(%x) yield %t } else { yield %y }
    (%s: f32[4], %all: f32[4, 4]) = loop trip %n while %c carry (%h) body (%i: i64[], %go: bool[], %v: f32[4]) {
      yield %go, %v, %v
    }
    return %s)"),
              IsEmpty());
}

TEST(GraphFindings, CountsArguments) {
  EXPECT_THAT(FindingsIn("%a: f32[4] = TestSum(%x) return"),
              ElementsAre("argument 1 of TestSum ('b') is missing"));
  EXPECT_THAT(
      FindingsIn("%a: f32[4] = TestSum() return"),
      ElementsAre("argument 0 of TestSum ('a') is missing", "argument 1 of TestSum ('b') is missing"));
  EXPECT_THAT(FindingsIn("%a: f32[4] = TestSum(%x, _) return"),
              ElementsAre("argument 1 of TestSum ('b') is missing"));
  EXPECT_THAT(FindingsIn("%a: f32[4] = TestCopy(%x, %y) return"),
              ElementsAre("TestCopy takes at most 1 arguments, 2 given"));
  EXPECT_THAT(FindingsIn("%a: f32[4] = TestOptional(_, %y) return"),
              ElementsAre("argument 0 of TestOptional ('x') is missing"));
}

TEST(GraphFindings, PrimitiveFunctionsHoldOperatorCallsOnly) {
  EXPECT_THAT(
      Findings("graph @main() -> () attrs {primitive = true} { %a: f32[1] = constant [1.0] return %a }"),
      ElementsAre(HasSubstr("%a is no operator call")));
}

TEST(GraphFindings, SaysWhoseFaultItIs) {
  const IRModule module =
      ParseModule("graph @main(%x: f32[4]) -> () { %a: f32[4] = TestSum(%x) return }").module;
  EXPECT_THROW(VerifyGraph(GetGraphFunction(module), module), InternalError);
  EXPECT_THAT([&] { CheckGraph(GetGraphFunction(module), module); },
              testing::Throws<Error>(testing::Property(&Error::id, "TW2401")));
}

}  // namespace
}  // namespace tilewright
