// SPDX-License-Identifier: Apache-2.0
// What rules say of themselves: it names what they did, and asking for it changes nothing.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tilewright/schedule/rules/rules.h"
#include "tilewright/schedule/test_workloads.h"
#include "tilewright/te/te.h"

namespace tilewright {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;

const Target kTarget = Target::Parse("x86-64-v4,cores=2");

Explanation Explained(const PrimFunc& f) {
  Explanation explanation;
  Schedule asked(f), silent(f);
  ApplyRules(asked, {kTarget, {false, true, false}, &explanation});
  ApplyRules(silent, {kTarget, {false, true, false}});
  EXPECT_EQ(ToString(asked.func()), ToString(silent.func()));
  return explanation;
}

const ExplainedDecision& Decision(const Explanation& e, const std::string& about) {
  const auto it = std::ranges::find(e.decisions, about, &ExplainedDecision::about);
  TW_CHECK(it != e.decisions.end(), "no decision about {}", about);
  return *it;
}

TEST(Explanation, OfAProductHasTheTileThatWasTaken) {
  const Explanation e = Explained(ProductByRule(56, 192, 64));
  EXPECT_THAT(e.rules, ElementsAre(HasSubstr("matmul: block C")));
  const ExplainedDecision& tile = Decision(e, "register tile");
  const auto taken = std::ranges::find(tile.options, true, &ExplainedOption::taken);
  ASSERT_NE(taken, tile.options.end());
  EXPECT_THAT(taken->what, HasSubstr(" vectors of 64 bytes"));
  EXPECT_EQ(taken, tile.options.begin()) << "what is taken is predicted to be the fastest";
  EXPECT_TRUE(std::ranges::is_sorted(tile.options, {}, &ExplainedOption::cycles));
  EXPECT_GT(tile.weighed, int(tile.options.size()));
  EXPECT_EQ(e.cycles, taken->cycles);
  // No faster than the pipes of two cores allow.
  EXPECT_GE(e.cycles, 56.0 * 192 * 64 / 16 / 2 / kTarget.fma_per_cycle);
  EXPECT_THAT(Decision(e, "threads").reason, HasSubstr("for 2 cores"));
}

TEST(Explanation, SaysWhatARuleDoesNotTake) {
  const Explanation e = Explained(ProductByRule(64, 1, 64));
  EXPECT_THAT(e.rules,
              Contains(HasSubstr("not matmul: block C: it tiles products with more than one column")));
  EXPECT_EQ(e.cycles, 0);
}

TEST(Explanation, OfRowsAndElements) {
  te::Tensor x = te::Placeholder("X", kF32, {32, 64});
  te::Tensor y = te::Compute("Y", {32, 64}, [&](auto& i) { return x(i) + x(i); });
  EXPECT_THAT(Explained(te::CreatePrimFunc("twice", {x}, {y})).rules, ElementsAre("injective: block Y"));
  const IterVar r = te::ReduceAxis(64, "r");
  te::Tensor sum = te::Compute("S", {32}, [&](auto& i) { return te::Sum(x({i[0], r.var}), {r}); });
  te::Tensor z = te::Compute("Z", {32, 64}, [&](auto& i) { return x(i) + sum({i[0]}); });
  EXPECT_THAT(Explained(te::CreatePrimFunc("center", {x}, {z})).rules, ElementsAre(HasSubstr("rows: block")));
}

}  // namespace
}  // namespace tilewright
