// SPDX-License-Identifier: Apache-2.0
// Building graphs, and what passes ask of operations.
#include "tilewright/graph/graph.h"

#include <gtest/gtest.h>

#include "tilewright/graph/rewrite.h"
#include "tilewright/graph/test_graph_ops.h"

namespace tilewright {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(GraphBuilder, BindsInOrderAndInfersTypes) {
  const Var n = Var::Symbol("n");
  Value x = TestTensor("x", {n, Expr(3)});
  GraphBuilder builder;
  Value y = builder.CallOp(TestAdd(), {x, x}, {}, "first").front();
  std::vector<Value> z = builder.CallOp(TestNeighbours(), {y}, {}, "second");
  EXPECT_EQ(y->type.ToString(), "f32[n, 3]");
  EXPECT_EQ(y->origin, "first");
  ASSERT_EQ(z.size(), 2u);
  EXPECT_NE(z[0].name(), z[1].name());
  const GraphBlock block = builder.Finish({z[1]});
  ASSERT_EQ(block.bindings.size(), 2u);
  EXPECT_THAT(block.bindings[1].results, ElementsAre(z[0], z[1]));
  EXPECT_THAT(block.results, ElementsAre(z[1]));
  EXPECT_TRUE(builder.block().bindings.empty()) << "the builder is empty after Finish";
}

TEST(GraphBuilder, ConstantHasTheTypeOfItsData) {
  GraphBuilder builder;
  Value c = builder.Constant(NDArray::FromInts(kI8, {2, 1}, std::vector<int64_t>{3, 4}), "weights");
  EXPECT_EQ(c->type.ToString(), "i8[2, 1]");
  EXPECT_EQ(c->origin, "weights");
}

TEST(GraphBuilder, ErrorsNameOperatorArgumentsAndNode) {
  GraphBuilder builder;
  Value x = TestTensor("x", {Expr(2)}), y = TestTensor("y", {Expr(3)});
  auto add = [&](std::vector<Value> args) { builder.CallOp(TestAdd(), std::move(args), {}, "conv1"); };
  ExpectGraphError([&] { add({x, y}); }, "TW2102", "2 and 3 differ");
  ExpectGraphError([&] { add({x, y}); }, "TW2102", "node conv1");
  ExpectGraphError([&] { add({x, y}); }, "TW2102", "TestAdd(f32[2], f32[3])");
  ExpectGraphError([&] { add({nullptr, y}); }, "TW2103", "argument 0 of TestAdd is missing");
  ExpectGraphError([&] { add({nullptr, y}); }, "TW2103", "TestAdd(none, f32[3])");
  Value list("l", Type(TupleType{{x->type}}));
  ExpectGraphError([&] { add({list}); }, "TW2104", "not a tensor");
  EXPECT_TRUE(builder.block().bindings.empty());
}

TEST(GraphBuilder, ADimensionThatIsKnownWins) {
  GraphBuilder builder;
  const Var n = Var::Symbol("n");
  Value x = TestTensor("x", {n}), y = TestTensor("y", {Expr(4)});
  EXPECT_EQ(builder.CallOp(TestAdd(), {x, y}, {}, "").front()->type.ToString(), "f32[4]");
}

TEST(OpRegistry, FindsByNameAndRefusesTwins) {
  const OpDef* add = TestAdd();  // registers it where no other test has
  EXPECT_EQ(OpRegistry::Find("TestAdd"), add);
  EXPECT_EQ(OpRegistry::Find("NoSuchOperator"), nullptr);
  EXPECT_THROW(OpRegistry::Get("NoSuchOperator"), InternalError);
  EXPECT_THROW(OpRegistry::Register({.name = TestAdd()->name}), InternalError);
  const std::vector<const OpDef*> all = OpRegistry::All();
  EXPECT_TRUE(std::is_sorted(all.begin(), all.end(), [](auto* a, auto* b) { return a->name < b->name; }));
}

/// if c { y = x + outside } else { x }, with `x` bound outside of it.
struct Branching {
  Value c = TestTensor("c", {}, kBool), x = TestTensor("x", {Expr(2)}), outside = TestTensor("o", {Expr(2)});
  Value inner;
  Operation operation;
  Branching() {
    GraphBuilder yes;
    inner = yes.CallOp(TestAdd(), {x, outside}, {}, "").front();
    GraphBlock no;
    no.results = {x};
    operation = MakeGraphIf(c, yes.Finish({inner}), no);
  }
};

/// A loop that adds `step` to what it carries.
struct Looping {
  Value trips = TestTensor("n", {}, kI64), start = TestTensor("start", {Expr(2)}),
        step = TestTensor("step", {Expr(2)});
  Value i = TestTensor("i", {}, kI64), go = TestTensor("go", {}, kBool),
        carried = TestTensor("carried", {Expr(2)});
  Operation operation;
  Looping() {
    GraphBuilder body;
    Value next = body.CallOp(TestAdd(), {carried, step}, {}, "").front();
    GraphBlock block = body.Finish({go, next, carried});
    block.params = {i, go, carried};
    operation = MakeGraphLoop(trips, nullptr, {start}, std::move(block));
  }
};

TEST(UsedValues, LookIntoBlocksForWhatComesFromOutside) {
  const Branching b;
  EXPECT_THAT(UsedValues(b.operation), ElementsAre(b.c, b.x, b.outside, b.x));
  const Looping l;
  EXPECT_THAT(UsedValues(l.operation), ElementsAre(l.trips, l.start, l.step));
  EXPECT_THAT(UsedValues(MakeOpCall(TestAdd(), {b.x, nullptr}, {})), ElementsAre(b.x));
  EXPECT_THAT(UsedValues(MakeConstant(TestFloats({1}, {1}))), ElementsAre());
  EXPECT_THAT(UsedValues(MakeHostCall("sort", {b.c}, {})), ElementsAre(b.c));
}

TEST(MapArgs, GivesTheSameNodeWhereNothingChanges) {
  const Branching b;
  const Looping l;
  auto same = [](const Value& v) { return v; };
  for (const Operation& o : {b.operation, l.operation, MakeOpCall(TestAdd(), {b.x, nullptr}, {}),
                             MakeFunctionCall("f", {b.x}), MakeConstant(TestFloats({1}, {1}))}) {
    EXPECT_TRUE(MapArgs(o, same) == o);
  }
}

TEST(MapArgs, ReplacesInsideOfBlocks) {
  const Branching b;
  const Value y = TestTensor("y", {Expr(2)});
  const Operation mapped = MapArgs(b.operation, [&](const Value& v) { return v == b.x ? y : v; });
  EXPECT_THAT(UsedValues(mapped), ElementsAre(b.c, y, b.outside, y));
  EXPECT_THAT(UsedValues(b.operation), ElementsAre(b.c, b.x, b.outside, b.x)) << "nodes do not change";
  const Looping l;
  EXPECT_THAT(UsedValues(MapArgs(l.operation, [&](const Value& v) { return v == l.step ? y : v; })),
              ElementsAre(l.trips, l.start, y));
}

TEST(CountUses, CountsArgumentsBlocksAndResults) {
  const Branching b;
  GraphBuilder builder;
  Value y = builder.CallOp(TestAdd(), {b.x, b.x}, {}, "").front();
  Value z = builder.Bind(b.operation, {b.x->type}).front();
  const GraphBlock block = builder.Finish({y, z, y});
  auto uses = CountUses(block);
  EXPECT_EQ(uses[b.x.get()], 4);
  EXPECT_EQ(uses[y.get()], 2);
  EXPECT_EQ(uses[b.outside.get()], 1);
  EXPECT_EQ(uses.count(b.inner.get()), 0u);
}

TEST(Definitions, FindConstants) {
  GraphBuilder builder;
  Value c = builder.Constant(TestFloats({2}, {1, 2}));
  Value y = builder.CallOp(TestScale(), {c}, TestScale()->attrs.from_map({}), "").front();
  const GraphBlock block = builder.Finish({y});
  const auto definitions = Definitions(block);
  ASSERT_NE(ConstantOf(c, definitions), nullptr);
  EXPECT_EQ(ConstantOf(c, definitions)->AsDouble(1), 2);
  EXPECT_EQ(ConstantOf(y, definitions), nullptr);
  EXPECT_EQ(ConstantOf(TestTensor("p", {}), definitions), nullptr);
}

GraphFunction Chain() {
  Value x = TestTensor("x", {Expr(2)});
  GraphBuilder builder;
  Value a = builder.CallOp(TestAdd(), {x, x}, {}, "a").front();
  Value b = builder.CallOp(TestAdd(), {a, x}, {}, "b").front();
  Value c = builder.CallOp(TestAdd(), {b, a}, {}, "c").front();
  return TestFunction({x}, builder.Finish({c, a}));
}

TEST(RewriteBindings, GivesTheSameFunctionWhereNothingChanges) {
  const GraphFunction f = Chain();
  EXPECT_TRUE(RewriteBindings(f, [](const Binding&, GraphBuilder&) { return std::nullopt; }) == f);
  IRModule module;
  module.Set(f);
  EXPECT_TRUE(GetGraphFunction(OnMain(module, [](const GraphFunction& g) { return g; })) == f);
}

TEST(RewriteBindings, HandsOverMappedArgumentsAndMapsResults) {
  const GraphFunction f = Chain();
  const Value x = f->params[0];
  Value replacement;
  const GraphFunction g =
      RewriteBindings(f, [&](const Binding& b, GraphBuilder& builder) -> std::optional<std::vector<Value>> {
        if (b.results[0]->origin != "a") {
          EXPECT_EQ(UsedValues(b.operation).back(), b.results[0]->origin == "b" ? x : replacement);
          return std::nullopt;
        }
        replacement = builder.CallOp(TestScale(), {x}, TestScale()->attrs.from_map({}), "a2").front();
        return std::vector{replacement};
      });
  ASSERT_EQ(g->body.bindings.size(), 3u);
  EXPECT_EQ(g->body.results[1], replacement);
  EXPECT_EQ(g->body.bindings[1].results[0], f->body.bindings[1].results[0])
      << "what is kept keeps its values";
  EXPECT_EQ(f->body.bindings.size(), 3u);
}

TEST(RewriteBindings, AValueMayStandForABinding) {
  const GraphFunction f = Chain();
  const GraphFunction g =
      RewriteBindings(f, [&](const Binding& b, GraphBuilder&) -> std::optional<std::vector<Value>> {
        if (b.results[0]->origin == "b") return std::vector{f->params[0]};
        return std::nullopt;
      });
  EXPECT_EQ(g->body.bindings.size(), 2u);
  EXPECT_THAT(UsedValues(g->body.bindings[1].operation), ElementsAre(f->params[0], f->body.results[1]));
}

}  // namespace
}  // namespace tilewright
