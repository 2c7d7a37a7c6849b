// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/compare.h"

#include <gtest/gtest.h>

#include "tilewright/graph/parser.h"
#include "tilewright/graph/test_operators.h"

namespace tilewright {
namespace {

std::string Replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

constexpr const char* kText = R"(
symbol n in [1, 8] by 2
symbol m
graph @main(%x: f32[n, 4], %y: f32[m, 16] layout(0 1 1:16) device("d") scope("s")) -> ("r") attrs {tag = n_} {
  %c: f32[2] = constant [1.0, 2.0]
  %a: f32[n, 4] "node" = TestSum(%x, %x)
  %b: f32[n, 4] = TestOptional(%a, _, %x) {axis = 3, shape = exprs[n * 2]}
  %d: f32[n, 4] = call @f(%b)
  %e: f32[n, 4] = host "h"(%d) {k = 1}
  return %e
}
)";

TEST(CompareGraphs, NamesDoNotCountAndAllElseDoes) {
  const std::string text = Replaced(kText, "n_", "expr(n + 1)");
  const IRModule module = ParseModule(text).module;
  auto same = [&](const std::string& from, const std::string& to) {
    SCOPED_TRACE(from + " -> " + to);
    std::string changed = Replaced(text, from, to);
    const IRModule other = ParseModule(changed).module;
    EXPECT_EQ(StructuralEqual(module, other), StructuralEqual(other, module));
    return StructuralEqual(module, other);
  };
  EXPECT_TRUE(StructuralEqual(module, ParseModule(text).module));
  EXPECT_TRUE(same("%c", "%other"));
  EXPECT_TRUE(same("\"node\"", "\"another\""));
  EXPECT_TRUE(same("symbol m", "symbol m # a comment"));

  EXPECT_FALSE(same("[1, 8]", "[1, 9]"));
  EXPECT_FALSE(same("by 2", "by 4"));
  EXPECT_FALSE(same("%y: f32[m", "%y: f32[n"));
  EXPECT_FALSE(same("%a: f32[n", "%a: f32[m"));
  EXPECT_FALSE(same("%x: f32", "%x: f16"));
  EXPECT_FALSE(same("layout(0 1 1:16)", "layout(1 0 1:16)"));
  EXPECT_FALSE(same("\"d\"", "\"e\""));
  EXPECT_FALSE(same("\"s\"", "\"t\""));
  EXPECT_FALSE(same("(\"r\")", "(\"q\")"));
  EXPECT_FALSE(same("%y: f32[m, 16]", "%y: f32[m, 32]"));
  EXPECT_FALSE(same("n + 1", "n + 2"));
  EXPECT_FALSE(same("2.0", "3.0"));
  EXPECT_FALSE(same("TestSum(%x, %x)", "TestSum(%x, %y)"));
  EXPECT_FALSE(same("TestSum", "TestPair"));
  EXPECT_FALSE(same("_, %x", "%x"));
  EXPECT_FALSE(same("axis = 3", "axis = 2"));
  EXPECT_FALSE(same("n * 2", "m * 2"));
  EXPECT_FALSE(same("@f", "@g"));
  EXPECT_FALSE(same("\"h\"", "\"g\""));
  EXPECT_FALSE(same("k = 1", "k = 2"));
  EXPECT_FALSE(same("return %e", "return %d"));
  EXPECT_FALSE(same("return %e", "return %e, %e"));
  EXPECT_FALSE(same("@main(%x: f32[n, 4]", "@main(%x: f32[n, 4] \"input\""));
  EXPECT_FALSE(same("@main", "@other"));
}

TEST(CompareGraphs, BlocksCount) {
  const std::string text = R"(
graph @main(%c: bool[], %x: f32[4]) -> () {
  %y: f32[4] = if %c { %t: f32[4] = TestCopy(%x) yield %t } else { yield %x }
  (%z: f32[4]) = loop trip _ while %c carry (%y) body (%i: i64[], %g: bool[], %s: f32[4]) { yield %g, %s }
  return %z
})";
  const IRModule module = ParseModule(text).module;
  EXPECT_TRUE(StructuralEqual(
      module,
      ParseModule(Replaced(text, "%t: ", "%c_1: ").replace(text.find("yield %t") + 2, 8, "yield %c_1"))
          .module));
  EXPECT_FALSE(StructuralEqual(module, ParseModule(Replaced(text, "yield %t", "yield %x")).module));
  EXPECT_FALSE(
      StructuralEqual(module, ParseModule(Replaced(text, "{ yield %x }", "{ yield %x, %x }")).module));
  EXPECT_FALSE(StructuralEqual(module, ParseModule(Replaced(text, "while %c", "while _")).module));
  EXPECT_FALSE(StructuralEqual(module, ParseModule(Replaced(text, "carry (%y)", "carry (%x)")).module));
  EXPECT_FALSE(StructuralEqual(module, ParseModule(Replaced(text, "yield %g, %s", "yield %g, %x")).module));
}

TEST(CompareGraphs, SymbolsCorrespondOverAllFunctions) {
  const std::string text = R"(
symbol n
symbol m
graph @f(%x: f32[n]) -> () { return %x }
graph @g(%x: f32[n]) -> () { return %x }
)";
  const IRModule module = ParseModule(text).module;
  std::string other = text;
  other.replace(other.rfind("f32[n]"), 6, "f32[m]");
  EXPECT_FALSE(StructuralEqual(module, ParseModule(other).module));
  EXPECT_FALSE(StructuralEqual(ParseModule(other).module, module));
}

}  // namespace
}  // namespace tilewright
