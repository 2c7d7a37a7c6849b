// SPDX-License-Identifier: Apache-2.0
#include "tests/malformed/cases.h"

namespace tilewright::onnx {

namespace {

FunctionProto* AddFunction(ModelProto& m, const std::string& name, const std::string& calls) {
  FunctionProto* f = m.add_functions();
  f->set_name(name);
  f->set_domain("local");
  f->add_input("a");
  f->add_output("z");
  f->add_opset_import()->set_version(17);
  auto* own = f->add_opset_import();
  own->set_domain("local");
  own->set_version(1);
  NodeProto* n = f->add_node();
  n->set_op_type(calls);
  n->set_domain("local");
  n->add_input("a");
  n->add_output("z");
  return f;
}

void CallFunction(ModelProto& m, const std::string& name) {
  auto* own = m.add_opset_import();
  own->set_domain("local");
  own->set_version(1);
  Only(m, name, {"x"})->set_domain("local");
}

/// A graph of one node, whose result is named `result`.
GraphProto OneNode(const std::string& op, const std::vector<std::string>& inputs, const std::string& result,
                   int type = 1) {
  ModelProto m = EmptyModel();
  AddNode(m, op, inputs, {result});
  AddOutput(m, result)->mutable_type()->mutable_tensor_type()->set_elem_type(type);
  return m.graph();
}

void SetGraph(NodeProto* n, const std::string& name, const GraphProto& g) {
  *AddAttribute(n, name, 5)->mutable_g() = g;
}

/// y = If(condition) of two branches; the condition is an input of type `type`.
NodeProto* AddIf(ModelProto& m, const GraphProto& then_branch, const GraphProto& else_branch, int type = 9) {
  AddInput(m, "condition", {}, type);
  NodeProto* n = Only(m, "If", {"condition"});
  SetGraph(n, "then_branch", then_branch);
  SetGraph(n, "else_branch", else_branch);
  m.mutable_graph()->mutable_output(0)->clear_type();
  return n;
}

/// The body of a loop that carries one f32 value: what it stores is op(carried).
ModelProto LoopBody(const std::string& op, const std::vector<int64_t>& carried = {1, 3, 8, 8}) {
  ModelProto body = EmptyModel();
  AddInput(body, "i", {}, 7);
  AddInput(body, "go", {}, 9);
  AddInput(body, "v", carried);
  AddNode(body, "Identity", {"go"}, {"go_on"});
  AddNode(body, op, {"v"}, {"w_next"});
  AddOutput(body, "go_on")->mutable_type()->mutable_tensor_type()->set_elem_type(9);
  AddOutput(body, "w_next")->clear_type();
  return body;
}

/// y = Loop(trips, no condition, x).
NodeProto* AddLoop(ModelProto& m, const ModelProto& body, int trips_type = 7) {
  AddInput(m, "trips", {}, trips_type);
  NodeProto* n = Only(m, "Loop", {"trips", "", "x"});
  SetGraph(n, "body", body.graph());
  m.mutable_graph()->mutable_output(0)->clear_type();
  return n;
}

/// y = Scan over the first axis of x; the body maps one slice by `op`.
NodeProto* AddScan(ModelProto& m, const std::string& op, int64_t scan_inputs) {
  ModelProto body = EmptyModel();
  AddInput(body, "slice", {3, 8, 8});
  AddNode(body, op, {"slice"}, {"out"});
  AddOutput(body, "out")->clear_type();
  NodeProto* n = Only(m, "Scan", {"x"});
  SetGraph(n, "body", body.graph());
  SetInt(n, "num_scan_inputs", scan_inputs);
  m.mutable_graph()->mutable_output(0)->clear_type();
  return n;
}

}  // namespace

std::vector<MalformedCase> ControlCases() {
  return {
      // ---- Functions.
      {"FunctionCallsItself", "TW2014",
       [](ModelProto& m) {
         AddFunction(m, "F", "F");
         CallFunction(m, "F");
       }},
      {"FunctionsCallEachOther", "TW2014",
       [](ModelProto& m) {
         AddFunction(m, "F", "G");
         AddFunction(m, "G", "F");
         CallFunction(m, "F");
       }},
      {"FunctionTwice", "TW2011",
       [](ModelProto& m) {
         AddFunction(m, "F", "Relu");
         AddFunction(m, "F", "Relu");
       }},
      {"FunctionWithTooManyArguments", "TW2017",
       [](ModelProto& m) {
         AddFunction(m, "F", "Relu")->mutable_node(0)->clear_domain();
         CallFunction(m, "F");
         Node(m, 0)->add_input("x");
       }},
      {"FunctionsNestedTooDeep", "TW2014",
       [](ModelProto& m) {
         constexpr int kDepth = 10000;
         for (int i = 0; i < kDepth; ++i)
           AddFunction(m, "F" + std::to_string(i), "F" + std::to_string(i + 1));
         AddFunction(m, "F" + std::to_string(kDepth), "Relu")->mutable_node(0)->clear_domain();
         CallFunction(m, "F0");
       }},
      {"FunctionsThatDouble", "TW2014",
       [](ModelProto& m) {
         for (int i = 0; i < 40; ++i) {
           NodeProto* again =
               AddFunction(m, "F" + std::to_string(i), "F" + std::to_string(i + 1))->add_node();
           again->set_op_type("F" + std::to_string(i + 1));
           again->set_domain("local");
           again->add_input("a");
           again->add_output("unused");
         }
         AddFunction(m, "F40", "Relu")->mutable_node(0)->clear_domain();
         CallFunction(m, "F0");
       }},
      {"FunctionReadsWhatIsNotThere", "TW2012",
       [](ModelProto& m) {
         FunctionProto* f = AddFunction(m, "F", "Relu");
         f->mutable_node(0)->clear_domain();
         f->mutable_node(0)->set_input(0, "x");  // a value of the graph, not of the function
         CallFunction(m, "F");
       }},
      {"FunctionWithoutItsResult", "TW2012",
       [](ModelProto& m) {
         AddFunction(m, "F", "Relu")->clear_node();
         CallFunction(m, "F");
       }},
      {"FunctionOfAnUnknownOperator", "TW2010",
       [](ModelProto& m) {
         AddFunction(m, "F", "Frobnicate")->mutable_node(0)->clear_domain();
         CallFunction(m, "F");
       }},
      {"FunctionOfAForeignOperatorSet", "TW2006",
       [](ModelProto& m) {
         AddFunction(m, "F", "Relu")->mutable_node(0)->set_domain("elsewhere");
         CallFunction(m, "F");
       }},

      // ---- Branches.
      {"IfWithoutBranches", "TW2015",
       [](ModelProto& m) {
         AddInput(m, "condition", {}, 9);
         Only(m, "If", {"condition"});
       }},
      {"IfWithoutElse", "TW2015",
       [](ModelProto& m) {
         AddIf(m, OneNode("Relu", {"x"}, "t"), OneNode("Neg", {"x"}, "e"))->mutable_attribute()->RemoveLast();
       }},
      {"IfBranchIsNoGraph", "TW2015",
       [](ModelProto& m) {
         AddInput(m, "condition", {}, 9);
         NodeProto* n = Only(m, "If", {"condition"});
         SetInt(n, "then_branch", 1);
         SetInt(n, "else_branch", 2);
       }},
      {"IfBranchesDifferInType", "TW2051",
       [](ModelProto& m) { AddIf(m, OneNode("Shape", {"x"}, "t", 7), OneNode("Neg", {"x"}, "e")); }},
      {"IfBranchesDifferInRank", "TW2051",
       [](ModelProto& m) { AddIf(m, OneNode("Flatten", {"x"}, "t"), OneNode("Neg", {"x"}, "e")); }},
      {"IfBranchGivesTooMuch", "TW2017",
       [](ModelProto& m) {
         GraphProto two = OneNode("Relu", {"x"}, "t");
         *two.add_output() = two.output(0);
         AddIf(m, two, OneNode("Neg", {"x"}, "e"));
       },
       "then_branch"},
      {"IfBranchNotTakenGivesTooMuch", "TW2017",
       [](ModelProto& m) {
         GraphProto two = OneNode("Relu", {"x"}, "t");
         *two.add_output() = two.output(0);
         TensorProto* known = AddTensor(m, "known", {}, 9);
         known->clear_float_data();
         known->add_int32_data(1);
         AddIf(m, OneNode("Neg", {"x"}, "e"), two)->set_input(0, "known");
       },
       "else_branch"},
      {"IfConditionIsNoBool", "TW2016",
       [](ModelProto& m) { AddIf(m, OneNode("Relu", {"x"}, "t"), OneNode("Neg", {"x"}, "e"), 7); }},
      {"IfBranchReadsWhatIsNotThere", "TW2051",
       [](ModelProto& m) { AddIf(m, OneNode("Relu", {"nowhere"}, "t"), OneNode("Neg", {"x"}, "e")); },
       "nowhere"},
      {"IfBranchReadsTheOther", "TW2051",
       [](ModelProto& m) { AddIf(m, OneNode("Relu", {"x"}, "t"), OneNode("Neg", {"t"}, "e")); }, "'t'"},
      {"IfBranchWithoutItsResult", "TW2051",
       [](ModelProto& m) {
         GraphProto empty = OneNode("Relu", {"x"}, "t");
         empty.clear_node();
         AddIf(m, empty, OneNode("Neg", {"x"}, "e"));
       }},
      {"IfBranchOfItself", "TW2051",
       [](ModelProto& m) { AddIf(m, OneNode("Relu", {"y"}, "t"), OneNode("Neg", {"x"}, "e")); }},

      // ---- Loops.
      {"LoopWithoutBody", "TW2015", [](ModelProto& m) { AddLoop(m, LoopBody("Relu"))->clear_attribute(); }},
      {"LoopBodyTakesTooFew", "TW2017",
       [](ModelProto& m) {
         ModelProto body = LoopBody("Relu");
         body.mutable_graph()->mutable_input()->RemoveLast();
         AddLoop(m, body);
       }},
      {"LoopBodyGivesTooFew", "TW2017",
       [](ModelProto& m) {
         ModelProto body = LoopBody("Relu");
         body.mutable_graph()->mutable_output()->RemoveLast();
         AddLoop(m, body);
       }},
      {"LoopBodyGivesNothing", "TW2017",
       [](ModelProto& m) {
         ModelProto body = LoopBody("Relu");
         body.mutable_graph()->clear_output();
         AddLoop(m, body);
       }},
      {"LoopTripsAreNoNumber", "TW2016", [](ModelProto& m) { AddLoop(m, LoopBody("Relu"), 1); }},
      {"LoopValueChangesItsType", "TW2060", [](ModelProto& m) { AddLoop(m, LoopBody("Shape")); }},
      {"LoopValueChangesItsRank", "TW2060", [](ModelProto& m) { AddLoop(m, LoopBody("Flatten")); }},
      {"LoopBodyInputTwice", "TW2011",
       [](ModelProto& m) {
         ModelProto body = LoopBody("Relu");
         body.mutable_graph()->mutable_input(2)->set_name("go");
         AddLoop(m, body);
       }},
      {"LoopWithTooManyResults", "TW2017",
       [](ModelProto& m) {
         NodeProto* n = AddLoop(m, LoopBody("Relu"));
         for (int i = 0; i < 3; ++i) n->add_output("more" + std::to_string(i));
       }},
      {"ScanOfMoreThanThereIs", "TW2015", [](ModelProto& m) { AddScan(m, "Relu", 5); }},
      {"ScanOfNothing", "TW2015", [](ModelProto& m) { AddScan(m, "Relu", 0); }},
      {"ScanOfLessThanNothing", "TW2015", [](ModelProto& m) { AddScan(m, "Relu", -1); }},
      {"ScanAlongAnAxisThatIsNotThere", "TW2015",
       [](ModelProto& m) { SetInts(AddScan(m, "Relu", 1), "scan_input_axes", {7}); }},
      {"ScanInNoDirection", "TW2015",
       [](ModelProto& m) { SetInts(AddScan(m, "Relu", 1), "scan_input_directions", {2}); }},
      {"ScanOfMoreAxesThanArguments", "TW2015",
       [](ModelProto& m) { SetInts(AddScan(m, "Relu", 1), "scan_input_axes", {0, 0}); }},
      {"ScanOfMoreAxesThanResults", "TW2015",
       [](ModelProto& m) { SetInts(AddScan(m, "Relu", 1), "scan_output_axes", {0, 0}); }},
      {"ScanWithoutBody", "TW2015",
       [](ModelProto& m) { AddScan(m, "Relu", 1)->mutable_attribute()->DeleteSubrange(0, 1); }},
  };
}

}  // namespace tilewright::onnx
