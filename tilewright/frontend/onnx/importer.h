// SPDX-License-Identifier: Apache-2.0
// The walk over a model: names, order, functions, subgraphs.
#pragma once

#include "tilewright/frontend/onnx/integer_product.h"
#include "tilewright/frontend/onnx/node_context.h"

namespace tilewright::onnx {

class Importer {
 public:
  Importer(std::shared_ptr<const Model> model, const std::string& folder, const ImportOptions& options,
           std::string where);
  ImportedModel Run();

  /// Where bindings go: the function, or the block of an If or Loop under conversion.
  GraphBuilder& builder() { return *current_; }
  TensorReader& tensors() { return tensors_; }
  /// The entry as a value of the graph: a parameter, a constant or a computed value. What is not computed is
  /// bound in the function, so that it can be used wherever its name can.
  Value Materialise(Entry& entry);
  /// Converts the nodes of a subgraph in place and returns its results; `inputs` are what its inputs stand
  /// for.
  std::vector<EntryRef> Inline(const GraphProto& graph, const Scope& outer, std::vector<EntryRef> inputs);
  /// Whether so many nodes came in by subgraphs and functions that no more may.
  bool Exhausted() const { return inlined_nodes_ > kMostInlinedNodes; }
  /// What values are dequantised bytes.
  std::unordered_map<const ValueNode*, Dequantised>& dequantised() { return dequantised_; }
  /// Does `work` with its bindings in `builder`: the block of an If or Loop.
  void BuildIn(GraphBuilder& builder, const std::function<void()>& work);

 private:
  ImportedModel RunAll();
  void CheckVersions();
  void CollectFunctions();
  void CheckSupported();
  void CheckNodesSupported(const google::protobuf::RepeatedPtrField<NodeProto>& nodes,
                           const std::map<std::string, int64_t>& opsets, int depth);
  void AddInitialisers(const GraphProto& graph, Scope& scope);
  void AddInput(const ValueInfoProto& input, Scope& scope);
  void BindInput(const std::string& name, const TensorType& type, Scope& scope);
  TensorType DeclaredType(const ValueInfoProto& info);
  Expr DeclaredDim(const TensorShapeProto& shape, const std::string& input, int index);
  /// Error TW2019 for a value given to a dimension that no input has.
  void CheckFixedDims() const;
  void ConvertNodes(const google::protobuf::RepeatedPtrField<NodeProto>& nodes, Scope& scope,
                    const std::string& what);
  void ConvertNode(const NodeProto& node, Scope& scope);
  void CallFunction(const FunctionProto& function, const NodeProto& node, Scope& scope);
  std::vector<EntryRef> NodeInputs(const NodeProto& node, const Scope& scope);
  void Publish(const NodeProto& node, std::vector<EntryRef> outputs, const std::vector<EntryRef>& inputs,
               Scope& scope);
  Value Result(const ValueInfoProto& output, const Scope& scope);
  /// A name for a parameter, fit for the text form, from the model's.
  std::string UniqueName(const std::string& model_name);
  const FunctionProto* FindFunction(const NodeProto& node) const;
  /// Counts nodes of a subgraph or function that is about to be converted. TW2014 when they are too many:
  /// calls of calls and loops in loops could multiply without end.
  void Charge(int nodes, const std::string& where);

  std::shared_ptr<const Model> model_;
  ImportOptions options_;
  std::string where_;
  TensorReader tensors_;
  GraphBuilder builder_;
  GraphBuilder* current_ = &builder_;
  static constexpr int64_t kMostInlinedNodes = 200'000;
  int64_t inlined_nodes_ = 0;
  std::map<std::string, int64_t> opsets_;
  std::map<std::tuple<std::string, std::string, std::string>, const FunctionProto*> functions_;
  std::vector<const FunctionProto*> call_stack_;
  std::map<std::string, Expr> dims_;  ///< symbolic dimensions by the model's names, and what they are
  std::set<std::string> value_names_;
  std::unordered_map<const ValueNode*, Dequantised> dequantised_;
  std::vector<Value> inputs_, parameters_;
  std::map<std::string, NDArray> parameter_data_;
  std::set<std::string> needed_inputs_;
  std::vector<Diagnostic> needed_diagnostics_;

  struct Missing {
    int64_t version = 0;
    int count = 0;
    std::vector<std::string> nodes;
  };
  std::map<std::pair<std::string, std::string>, Missing> missing_;
  std::set<const FunctionProto*> checked_;
};

/// "ai.onnx" and "" are the same domain.
std::string NormalDomain(const std::string& domain);
/// The nodes in an order in which each comes behind those whose results it uses; equal choices keep the
/// file's order. TW2011 for a name with two makers, TW2013 for a cycle.
std::vector<int> SortNodes(const google::protobuf::RepeatedPtrField<NodeProto>& nodes,
                           const std::string& what);

}  // namespace tilewright::onnx
