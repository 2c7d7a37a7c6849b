// SPDX-License-Identifier: Apache-2.0
#include "tilewright/transform/merge_views.h"

#include <gtest/gtest.h>

#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/test_modules.h"

namespace tilewright {
namespace {

Value Reshape(TestModule& m, const Value& x, std::vector<Expr> shape) {
  return m.Call("Reshape", {x}, {{"shape", std::move(shape)}});
}

/// Reshapes that are left on the way to the results.
int Left(const IRModule& module) {
  return CountCalls(EliminateDeadCode(ApplyPass(module, MergeViews)), "Reshape");
}

TEST(MergeViews, AChainBecomesOne) {
  TestModule m;
  Value y = Reshape(m, Reshape(m, Reshape(m, m.Input({2, 3, 4}), {6, 4}), {24}), {4, 6});
  EXPECT_EQ(Left(m.Finish({m.Call("Relu", {y})})), 1);
}

TEST(MergeViews, AViewThatChangesNothingGoes) {
  TestModule m;
  Value x = m.Input({2, 3}), same = Reshape(m, x, {2, 3}), back = Reshape(m, Reshape(m, x, {6}), {2, 3});
  EXPECT_EQ(Left(m.Finish({m.Call("Relu", {same}), m.Call("Exp", {back})})), 0);
}

TEST(MergeViews, WhatOthersReadStays) {
  TestModule m;
  Value flat = Reshape(m, m.Input({2, 3}), {6}), turned = Reshape(m, flat, {3, 2});
  EXPECT_EQ(Left(m.Finish({m.Call("Relu", {flat}), m.Call("Relu", {turned})})), 2);
}

TEST(MergeViews, AResultIsAValueOfItsOwn) {
  TestModule m;
  Value x = m.Input({2, 3});
  EXPECT_EQ(Left(m.Finish({Reshape(m, x, {2, 3}), Reshape(m, Reshape(m, x, {6}), {2, 3})})), 2);
}

TEST(MergeViews, OtherOperatorsEndAChain) {
  TestModule m;
  Value y = Reshape(m, m.Call("Exp", {Reshape(m, m.Input({2, 3}), {6})}), {3, 2});
  const IRModule module = m.Finish({y});
  EXPECT_TRUE(GetGraphFunction(MergeViews(module)) == GetGraphFunction(module));
}

}  // namespace
}  // namespace tilewright
