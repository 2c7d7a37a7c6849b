// SPDX-License-Identifier: Apache-2.0
// Each rule of the graph level, broken once.
#include "tilewright/graph/verify.h"

#include <gtest/gtest.h>

#include "tilewright/graph/test_graph_ops.h"

namespace tilewright {
namespace {

using testing::HasSubstr;

void ExpectMalformed(const GraphFunction& f, const std::string& text, const IRModule& module = {}) {
  try {
    VerifyGraph(f, module);
    ADD_FAILURE() << "accepted; expected: " << text;
  } catch (const InternalError& e) {
    EXPECT_THAT(e.what(), HasSubstr(text));
  }
}

const Value kX = TestTensor("x", {Expr(2)}), kCondition = TestTensor("c", {}, kBool);

GraphBlock Results(std::vector<Value> results) {
  GraphBlock block;
  block.results = std::move(results);
  return block;
}

TEST(VerifyGraph, AcceptsWhatIsRight) {
  GraphBuilder builder;
  Value y = builder.CallOp(TestAdd(), {kX, nullptr}, {}, "").front();
  GraphBuilder yes;
  Value inner = yes.CallOp(TestAdd(), {y, kX}, {}, "").front();
  Value z = builder.Bind(MakeGraphIf(kCondition, yes.Finish({inner}), Results({y})), {kX->type}).front();
  VerifyGraph(TestFunction({kX, kCondition}, builder.Finish({z, kX})), {});
}

TEST(VerifyGraph, FindsUseBeforeBindingAndDoubleBinding) {
  GraphBuilder builder;
  Value y = builder.CallOp(TestAdd(), {kX}, {}, "").front();
  GraphBlock block = builder.Finish({y});
  ExpectMalformed(TestFunction({}, block), "%x is used by TestAdd before it is bound");
  ExpectMalformed(TestFunction({kX, kX}, block), "%x is bound twice");
  block.bindings.push_back(block.bindings[0]);
  ExpectMalformed(TestFunction({kX}, block), "is bound twice");
  ExpectMalformed(TestFunction({kX}, Results({nullptr})), "result is null");
  ExpectMalformed(TestFunction({}, Results({kX})), "%x is used by a block's results");
}

TEST(VerifyGraph, WhatABranchBindsStaysInIt) {
  GraphBuilder yes;
  Value inner = yes.CallOp(TestAdd(), {kX}, {}, "").front();
  GraphBlock branch = yes.Finish({inner});
  GraphBuilder builder;
  builder.Bind(MakeGraphIf(kCondition, branch, Results({kX})), {kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({inner})), "before it is bound");
  builder.Bind(MakeGraphIf(kCondition, branch, Results({inner})), {kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({kX})), "before it is bound");
  builder.Bind(MakeGraphIf(kCondition, branch, branch), {kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({kX})), "is bound twice");
}

TEST(VerifyGraph, FindsWrongTypes) {
  GraphBuilder builder;
  builder.Bind(MakeOpCall(TestAdd(), {kX}, {}), {TestTensor("", {Expr(3)})->type});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "TestAdd gives f32[2], %v0 is f32[3]");
  builder.Bind(MakeOpCall(TestNeighbours(), {kX}, {}), {kX->type});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "has 2 results, 1 are bound");
  builder.Bind(MakeOpCall(TestAdd(), {kX, TestTensor("y", {Expr(3)})}, {}), {kX->type});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "TW2102");
  builder.Bind(MakeConstant(TestFloats({3}, {1, 2, 3})), {kX->type});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "is bound to a f32[2]");
  builder.Bind(MakeConstant(TestFloats({2}, {1, 2})), {});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "without results");
}

TEST(VerifyGraph, LayoutsAreNotInferred) {
  TensorType t = kX.tensor();
  t.layout = Layout::Blocked(1, 0, 2);
  GraphBuilder builder;
  builder.Bind(MakeOpCall(TestAdd(), {kX}, {}), {Type(t)});
  VerifyGraph(TestFunction({kX}, builder.Finish({})), {});
}

TEST(VerifyGraph, FindsWrongCalls) {
  GraphBuilder inner;
  Value p = TestTensor("p", {Expr(2)});
  IRModule module;
  module.Set(TestFunction({p}, inner.Finish({p}), "callee"));
  auto call = [&](const std::string& name, std::vector<Value> args, Type result) {
    GraphBuilder builder;
    builder.Bind(MakeFunctionCall(name, std::move(args)), {std::move(result)});
    return TestFunction({kX, kCondition}, builder.Finish({}));
  };
  VerifyGraph(call("callee", {kX}, kX->type), module);
  ExpectMalformed(call("nobody", {kX}, kX->type), "no function @nobody", module);
  ExpectMalformed(call("callee", {}, kX->type), "takes 1 arguments, 0 given", module);
  ExpectMalformed(call("callee", {kCondition}, kX->type), "argument 0 of @callee is not f32[2]", module);
  ExpectMalformed(call("callee", {kX}, kCondition->type), "@callee gives f32[2]", module);
}

TEST(VerifyGraph, FindsWrongControlFlow) {
  GraphBuilder builder;
  builder.Bind(MakeGraphIf(kX, Results({kX}), Results({kX})), {kX->type});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "condition %x is f32[2]");
  builder.Bind(MakeGraphIf(nullptr, Results({kX}), Results({kX})), {kX->type});
  ExpectMalformed(TestFunction({kX}, builder.Finish({})), "a condition is null");
  builder.Bind(MakeGraphIf(kCondition, Results({kX}), Results({})), {kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({})), "as many results");
  builder.Bind(MakeGraphLoop(nullptr, nullptr, {kX}, Results({kCondition, kX})), {kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({})), "does not take what the loop carries");
  builder.Bind(MakeGraphIf(kCondition, Results({kX}), Results({kCondition})), {kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({})), "the second branch of an if gives %c");
  GraphBlock body = Results({kCondition, kCondition, kX});
  body.params = {TestTensor("i", {}, kI64), TestTensor("g", {}, kBool), TestTensor("v", {Expr(2)})};
  builder.Bind(MakeGraphLoop(nullptr, nullptr, {kX}, body),
               {kX->type, TestTensor("s", {Expr(4), Expr(2)})->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({})), "a loop's body gives %c");
  body.results[1] = kX;
  builder.Bind(MakeGraphLoop(nullptr, nullptr, {kX}, body), {kX->type, kX->type});
  ExpectMalformed(TestFunction({kX, kCondition}, builder.Finish({})), "expected f32[2, 2]");
  GraphFunctionNode named;
  named.name = "main";
  named.params = {kX};
  named.body.results = {kX};
  named.result_names = {"a", "b"};
  ExpectMalformed(GraphFunction(std::move(named)), "2 result names for 1 results");
}

}  // namespace
}  // namespace tilewright
