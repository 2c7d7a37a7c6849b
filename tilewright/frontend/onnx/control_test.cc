// SPDX-License-Identifier: Apache-2.0
// Branches, loops and scans: those that are unrolled when a model is imported, and those that the graph
// keeps.
#include <gtest/gtest.h>

#include "tilewright/frontend/onnx/test_import.h"

namespace tilewright::onnx {
namespace {

using testing::ElementsAre;

GraphProto* Body(NodeProto* n, const std::vector<std::string>& inputs,
                 const std::vector<std::string>& outputs) {
  AttributeProto* a = n->add_attribute();
  a->set_name("body");
  a->set_type(5);
  for (auto& name : inputs) a->mutable_g()->add_input()->set_name(name);
  for (auto& name : outputs) a->mutable_g()->add_output()->set_name(name);
  return a->mutable_g();
}

void Add(GraphProto* g, const std::string& op, const std::vector<std::string>& inputs,
         const std::string& output) {
  NodeProto* n = g->add_node();
  n->set_op_type(op);
  for (auto& name : inputs) n->add_input(name);
  n->add_output(output);
}

/// sums[t] = x[0] + ... + x[t] of x [3, 2], columns of y [2, 3] taken away; and the last of them.
ModelProto Sums(bool backwards) {
  ModelProto m = EmptyModel(17);
  AddInput(m, "start", {2});
  AddInput(m, "x", {3, 2});
  AddInput(m, "y", {2, 3});
  NodeProto* n = AddNode(m, "Scan", {"start", "x", "y"}, {"last", "sums"});
  SetInt(n, "num_scan_inputs", 2);
  SetInts(n, "scan_input_axes", {0, -1});
  SetInts(n, "scan_input_directions", {backwards, 0});
  SetInts(n, "scan_output_axes", {1});
  SetInts(n, "scan_output_directions", {backwards});
  GraphProto* g = Body(n, {"s", "a", "b"}, {"next", "out"});
  Add(g, "Add", {"s", "a"}, "sum");
  Add(g, "Sub", {"sum", "b"}, "next");
  Add(g, "Identity", {"next"}, "out");
  AddOutput(m, "last")->clear_type();
  AddOutput(m, "sums")->clear_type();
  return m;
}

TEST(Scan, CarriesAndStacksAlongAxes) {
  const std::vector<NDArray> in = {Floats({2}, {100, 200}), Counting({3, 2}),
                                   Floats({2, 3}, {1, 1, 1, 2, 2, 2})};
  const std::vector<NDArray> out = RunProto(Sums(false), in);
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(103, 203));
  EXPECT_THAT(out[1].shape(), ElementsAre(2, 3));
  EXPECT_THAT(out[1].ToDoubles(), ElementsAre(99, 100, 103, 199, 200, 203));
}

TEST(Scan, RunsBackwards) {
  const std::vector<NDArray> in = {Floats({2}, {0, 0}), Counting({3, 2}), NDArray::Zeros(kF32, {2, 3})};
  const std::vector<NDArray> out = RunProto(Sums(true), in);
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(6, 9));
  EXPECT_THAT(out[1].ToDoubles(), ElementsAre(6, 6, 4, 9, 8, 5));
}

TEST(Scan, RefusesWhatDoesNotFit) {
  ModelProto m = Sums(false);
  m.mutable_graph()
      ->mutable_input(2)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(1)
      ->set_dim_value(4);
  ExpectImportError([&] { ImportProto(m); }, "TW2017", {"Scan", "3 and 4"});
  m = Sums(false);
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->set_i(9);
  ExpectImportError([&] { ImportProto(m); }, "TW2015", {"num_scan_inputs"});
  m = Sums(false);
  m.mutable_graph()
      ->mutable_input(1)
      ->mutable_type()
      ->mutable_tensor_type()
      ->mutable_shape()
      ->mutable_dim(0)
      ->set_dim_param("n");
  ExpectImportError([&] { ImportProto(m); }, "TW2060", {"symbolic number of rounds"});
}

/// The kind of the only operation of @main that is neither a call of an operator nor a constant.
std::optional<OperationKind> KeptControl(const ImportedModel& model) {
  std::optional<OperationKind> kind;
  GraphFunction main = GetGraphFunction(model.module);
  for (const Binding& b : main->body.bindings) {
    if (b.operation.kind() == OperationKind::kGraphIf || b.operation.kind() == OperationKind::kGraphLoop)
      kind = b.operation.kind();
  }
  VerifyGraph(main, model.module);
  return kind;
}

TEST(Scan, OfManyRoundsIsALoop) {
  for (int64_t rounds : {5, 9}) {
    ModelProto m = Sums(true);
    for (int i : {1, 2}) {
      m.mutable_graph()
          ->mutable_input(i)
          ->mutable_type()
          ->mutable_tensor_type()
          ->mutable_shape()
          ->mutable_dim(i - 1)
          ->set_dim_value(rounds);
    }
    EXPECT_EQ(KeptControl(ImportProto(m)), OperationKind::kGraphLoop);
    const std::vector<NDArray> out =
        RunProto(m, {Floats({2}, {0, 0}), Counting({rounds, 2}), NDArray::Zeros(kF32, {2, rounds})});
    double even = 0, odd = 0;
    for (int64_t t = rounds - 1; t >= 0; --t) {
      EXPECT_EQ(out[1].AsDouble(t), even += double(2 * t));
      EXPECT_EQ(out[1].AsDouble(rounds + t), odd += double(2 * t + 1));
    }
    EXPECT_THAT(out[0].ToDoubles(), ElementsAre(even, odd));
  }
}

/// Doubles x while the round's number is below `limit` (a known number), at most `trips` times (none: without
/// end); stacks the number of the round.
ModelProto Doubling(std::optional<int64_t> trips, int64_t limit) {
  ModelProto m = EmptyModel(17);
  AddInput(m, "x", {2});
  if (trips) AddInts(m, "trips", {}, {*trips});
  AddInts(m, "limit", {}, {limit});
  AddInts(m, "one", {}, {1});
  NodeProto* n = AddNode(m, "Loop", {trips ? "trips" : "", "", "x"}, {"y", "numbers"});
  GraphProto* g = Body(n, {"i", "go", "v"}, {"more", "next", "number"});
  Add(g, "Add", {"i", "one"}, "after");
  Add(g, "Less", {"after", "limit"}, "more");
  Add(g, "Add", {"v", "v"}, "next");
  Add(g, "Identity", {"i"}, "number");
  AddOutput(m, "y")->clear_type();
  AddOutput(m, "numbers")->clear_type();
  return m;
}

TEST(Loop, EndsByCountOrByCondition) {
  const NDArray x = Floats({2}, {1, 3});
  std::vector<NDArray> out = RunProto(Doubling(3, 99), {x});
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(8, 24));
  EXPECT_THAT(out[1].ToInts(), ElementsAre(0, 1, 2));
  out = RunProto(Doubling(std::nullopt, 5), {x});
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(32, 96));
  EXPECT_EQ(out[1].size(), 5);
}

TEST(Loop, OfNoRoundHandsThrough) {
  std::vector<NDArray> out = RunProto(Doubling(0, 9), {Floats({2}, {1, 3})});
  EXPECT_THAT(out[0].ToDoubles(), ElementsAre(1, 3));
  EXPECT_THAT(out[1].shape(), ElementsAre(0));
}

/// The same without a limit, for as long as `go` (true in every round) says; the trip count is an input.
ModelProto DoublingAtRunTime() {
  ModelProto m = EmptyModel(17);
  AddInput(m, "x", {2});
  AddInput(m, "trips", {}, 7);
  AddInput(m, "most", {}, 1);
  NodeProto* n = AddNode(m, "Loop", {"trips", "", "x"}, {"y"});
  GraphProto* g = Body(n, {"i", "go", "v"}, {"more", "next"});
  Add(g, "ReduceMax", {"next"}, "largest");
  SetInt(g->mutable_node(0), "keepdims", 0);
  Add(g, "Less", {"largest", "most"}, "more");
  Add(g, "Add", {"v", "v"}, "next");
  AddOutput(m, "y")->clear_type();
  return m;
}

TEST(Loop, EndsByWhatOnlyTheRunKnows) {
  ModelProto m = DoublingAtRunTime();
  EXPECT_EQ(KeptControl(ImportProto(m)), OperationKind::kGraphLoop);
  auto run = [&](int64_t trips, double most) {
    return RunProto(m, {Floats({2}, {1, 3}), NDArray::FromInts(kI64, {}, std::vector<int64_t>{trips}),
                        Floats({}, {most})})[0]
        .ToDoubles();
  };
  EXPECT_THAT(run(0, 100), ElementsAre(1, 3));
  EXPECT_THAT(run(3, 100), ElementsAre(8, 24));
  EXPECT_THAT(run(99, 40), ElementsAre(16, 48));
}

TEST(Loop, RefusesWhatDoesNotFit) {
  ExpectImportError([] { ImportProto(Doubling(5000, 9999)); }, "TW2060", {"stacks results"});
  ExpectImportError([] { ImportProto(Doubling(std::nullopt, 99999)); }, "TW2060", {"stacks results"});
  ModelProto m = Doubling(3, 9);
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_output()->RemoveLast();
  ExpectImportError([&] { ImportProto(m); }, "TW2017", {"2 results, expected 3"});
  m = Doubling(3, 9);
  m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g()->mutable_input()->RemoveLast();
  ExpectImportError([&] { ImportProto(m); }, "TW2017", {"the body has 2 inputs, expected 3"});
  m = DoublingAtRunTime();
  GraphProto* g = m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g();
  g->mutable_node(2)->set_op_type("Concat");
  SetInt(g->mutable_node(2), "axis", 0);
  ExpectImportError([&] { ImportProto(m); }, "TW2060", {"changes its type", "f32[4]"});
}

/// Loops in loops, `depth` of them, of `trips` rounds each.
ModelProto LoopsInLoops(int depth, int64_t trips, const std::string& innermost) {
  ModelProto m = EmptyModel(17);
  AddInput(m, "x", {2});
  AddInts(m, "trips", {}, {trips});
  NodeProto* n = AddNode(m, "Loop", {"trips", "", "x"}, {"y"});
  AddOutput(m, "y")->clear_type();
  std::string outer = "x";
  for (int d = 0; d < depth; ++d) {
    const std::string v = fmt::format("v{}", d), next = fmt::format("n{}", d);
    GraphProto* g = Body(n, {fmt::format("i{}", d), fmt::format("g{}", d), v}, {fmt::format("g{}", d), next});
    Add(g, d + 1 < depth ? "Loop" : innermost,
        d + 1 < depth ? std::vector<std::string>{"trips", "", v} : std::vector<std::string>{v}, next);
    n = g->mutable_node(0);
  }
  return m;
}

TEST(Loop, InLoopsEndsInTime) {
  EXPECT_EQ(RunProto(LoopsInLoops(3, 2, "Neg"), {Floats({2}, {1, 3})})[0].ToDoubles(),
            (std::vector<double>{1, 3}));
  ExpectImportError([] { ImportProto(LoopsInLoops(24, 2, "Neg")); }, "TW2014", {"200000 nodes"});
  // What no attempt can convert is not tried again at every level.
  EXPECT_THROW(ImportProto(LoopsInLoops(24, 900, "Flatten")), Error);
}

// ---- If

GraphProto* Branch(NodeProto* n, const std::string& name, const std::string& output) {
  auto* a = n->add_attribute();
  a->set_name(name);
  a->set_type(5);
  a->mutable_g()->add_output()->set_name(output);
  return a->mutable_g();
}

/// x + x where `go`, else x - w, w being a weight of the branch.
ModelProto Choice() {
  ModelProto m = EmptyModel(17);
  AddInput(m, "go", {}, 9);
  AddInput(m, "x", {2});
  NodeProto* n = AddNode(m, "If", {"go"}, {"y"});
  Add(Branch(n, "then_branch", "a"), "Add", {"x", "x"}, "a");
  GraphProto* no = Branch(n, "else_branch", "b");
  TensorProto* w = no->add_initializer();
  w->set_name("w");
  w->set_data_type(1);
  w->add_dims(2);
  w->add_float_data(10);
  w->add_float_data(20);
  Add(no, "Sub", {"x", "w"}, "b");
  AddOutput(m, "y")->clear_type();
  return m;
}

TEST(If, ChoosesAtRunTime) {
  ModelProto m = Choice();
  EXPECT_EQ(KeptControl(ImportProto(m)), OperationKind::kGraphIf);
  for (bool go : {true, false}) {
    const NDArray condition = NDArray::FromInts(kBool, {}, std::vector<int64_t>{go});
    const std::vector<double> y = RunProto(m, {condition, Floats({2}, {1, 3})})[0].ToDoubles();
    EXPECT_THAT(y, go ? ElementsAre(2, 6) : ElementsAre(-9, -17));
  }
}

TEST(If, OfDifferentShapesMustBeKnown) {
  ModelProto m = Choice();
  GraphProto* yes = m.mutable_graph()->mutable_node(0)->mutable_attribute(0)->mutable_g();
  yes->mutable_node(0)->set_op_type("Concat");
  SetInt(yes->mutable_node(0), "axis", 0);
  ExpectImportError([&] { ImportProto(m); }, "TW2051", {"f32[4] or f32[2]", "go"});
  ImportOptions options;
  options.bound["go"] = NDArray::FromInts(kBool, {}, std::vector<int64_t>{0});
  EXPECT_FALSE(KeptControl(ImportProto(m, options)));
}

}  // namespace
}  // namespace tilewright::onnx
