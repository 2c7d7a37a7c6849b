// SPDX-License-Identifier: Apache-2.0
// What the conversion of one ONNX node sees, and the table of conversions.
#pragma once

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tilewright/frontend/onnx/import.h"
#include "tilewright/frontend/onnx/known.h"
#include "tilewright/frontend/onnx/model_file.h"
#include "tilewright/graph/op_def.h"

namespace tilewright::onnx {

class Importer;

/// What a name of the model stands for. At least one of value, known and data is there.
struct Entry {
  Value value;                 ///< in the graph under construction, once somebody needs it there
  std::optional<Known> known;  ///< its content, where that is known
  NDArray data;                ///< the whole content of an initialiser or Constant
  bool is_parameter = false;   ///< `data` enters the function as a parameter
  std::string name;
  /// Graph inputs from which its content follows.
  std::shared_ptr<const std::set<std::string>> depends;
  bool poisoned = false;  ///< its type is not known, since NeedsBoundInputs was met on the way
};
using EntryRef = std::shared_ptr<Entry>;

/// Names of a graph, a function body or a subgraph, which also sees the names outside.
struct Scope {
  std::map<std::string, EntryRef> entries;
  const Scope* outer = nullptr;
  std::map<std::string, int64_t> opsets;                              ///< by domain
  const std::map<std::string, AttributeProto>* attributes = nullptr;  ///< of the function call, or null
  EntryRef Find(const std::string& name) const;
};

/// One node under conversion. Errors name the node; ids: TW2015 attribute, TW2016 element type, TW2017
/// argument missing, TW2050 content unknown, TW2051 content depends on graph inputs, TW2060 not supported.
class NodeContext {
 public:
  NodeContext(Importer& importer, Scope& scope, const NodeProto& node, std::vector<EntryRef> inputs,
              int64_t opset);

  const NodeProto& node() const { return node_; }
  int64_t opset() const { return opset_; }
  Importer& importer() { return importer_; }
  Scope& scope() { return scope_; }

  // ---- Arguments.
  size_t size() const { return inputs_.size(); }
  bool Has(size_t i) const {
    asked_ = std::max(asked_, i + 1);
    return i < inputs_.size() && inputs_[i];
  }
  /// TW2017 when it is missing.
  const Entry& Input(size_t i) const;
  Value Arg(size_t i);
  /// Null when it is left out.
  Value OptionalArg(size_t i);
  TensorType Type(size_t i) const;
  int Rank(size_t i) const { return Type(i).rank(); }
  DataType DType(size_t i) const { return Type(i).dtype; }
  const std::vector<Expr> Shape(size_t i) const { return Type(i).shape; }
  /// The extents as integers; TW2060 when one is symbolic.
  std::vector<int64_t> StaticShape(size_t i) const;
  std::optional<Known> KnownInput(size_t i) const;
  /// The content that decides about shapes or attributes. TW2051 (or TW2050) when it is not known.
  Known RequireKnown(size_t i, const std::string& what) const;
  std::vector<Expr> RequireExprs(size_t i, const std::string& what) const;
  std::vector<int64_t> RequireInts(size_t i, const std::string& what) const;
  std::vector<double> RequireNumbers(size_t i, const std::string& what) const;
  double RequireNumber(size_t i, const std::string& what) const;

  // ---- Attributes.
  bool HasAttr(const std::string& name) const { return FindAttr(name) != nullptr; }
  int64_t Int(const std::string& name, std::optional<int64_t> otherwise = {}) const;
  double Float(const std::string& name, std::optional<double> otherwise = {}) const;
  std::string String(const std::string& name, std::optional<std::string> otherwise = {}) const;
  std::vector<int64_t> Ints(const std::string& name,
                            std::optional<std::vector<int64_t>> otherwise = {}) const;
  std::vector<double> Floats(const std::string& name,
                             std::optional<std::vector<double>> otherwise = {}) const;
  std::vector<std::string> Strings(const std::string& name) const;  ///< empty when it is missing
  NDArray Tensor(const std::string& name) const;
  const GraphProto& Graph(const std::string& name) const;
  /// These attributes have no influence on the result.
  void Ignore(std::initializer_list<const char*> names) const { used_.insert(names.begin(), names.end()); }
  /// TW2015 for an attribute that the conversion did not look at, TW2017 for arguments behind all that it
  /// did.
  void CheckAllUsed() const;
  /// Takes no argument for looked at: a rule that did not apply may have seen more than the operator takes.
  void ForgetArguments() { asked_ = 0; }

  // ---- Results.
  Value Call(const std::string& op, std::vector<Value> args, const Annotations& attrs = {});
  std::vector<Value> CallMulti(const std::string& op, std::vector<Value> args, const Annotations& attrs = {});
  Value Constant(NDArray array);
  /// A rank-0 constant.
  Value Scalar(DataType dtype, double value);
  Value Reshape(const Value& x, std::vector<Expr> shape);
  Value Cast(const Value& x, DataType to);
  /// Concat of at least one value, in groups where there are many: a kernel of very many arguments is slow.
  Value Join(std::vector<Value> parts, int64_t axis);
  /// Element `i` along an axis, which goes. The index is data, so that all elements share a kernel.
  Value Element(const Value& x, int64_t axis, int64_t i);
  /// The node wants its result `i` (it has a name).
  bool Wants(size_t i) const;
  void Set(size_t i, Value value);
  void SetKnown(size_t i, Known known);
  void SetEntry(size_t i, EntryRef entry);
  std::vector<EntryRef>& outputs() { return outputs_; }

  std::string Where() const;  ///< "node 'conv1' (Conv, opset 13)"
  std::string Origin() const;
  [[noreturn]] void Fail(const std::string& id, const std::string& message,
                         std::vector<std::string> notes = {}) const;
  /// TW2060: this use of the operator is not supported.
  [[noreturn]] void Unsupported(const std::string& what) const { Fail("TW2060", what + " is not supported"); }

 private:
  const AttributeProto* FindAttr(const std::string& name) const;
  const AttributeProto* TypedAttr(const std::string& name, int type, bool required) const;

  Importer& importer_;
  Scope& scope_;
  const NodeProto& node_;
  std::vector<EntryRef> inputs_;
  int64_t opset_;
  std::vector<EntryRef> outputs_;
  mutable std::set<std::string> used_;
  mutable size_t asked_ = 0;  ///< arguments from here on were not looked at
};

/// One row of the table of conversions: an operator of a domain ("" is ONNX's own), from operator set `since`
/// to `until` (0: the newest).
struct OpRow {
  std::string op;
  int64_t since = 1;
  int64_t until = 0;
  void (*convert)(NodeContext& ctx);
  std::string domain = "";
};
/// Adds rows; called from static objects, one a file.
bool RegisterRows(std::vector<OpRow> rows);
/// The row of an operator at a version, or null.
const OpRow* FindRow(const std::string& domain, const std::string& op, int64_t version);

/// Content of results from content of arguments, element types kept: true when it set all results.
using KnownRule = bool (*)(NodeContext& ctx);
bool RegisterKnownRules(std::map<std::string, KnownRule> rules);
KnownRule FindKnownRule(const std::string& op);

/// The newest operator set of ONNX's own domain that is understood, and the newest file version.
inline constexpr int64_t kNewestOpset = 28;
inline constexpr int64_t kNewestIrVersion = 14;

/// An integer list as expressions.
std::vector<Expr> ToExprs(const std::vector<int64_t>& values);
/// `axis` counted from the front; TW2015 outside of [-rank, rank).
int64_t AxisFromFront(const NodeContext& ctx, int64_t axis, int64_t rank);
/// TW2015 unless the list has `expected` entries, each within 32 bits.
void RequireEntries(const NodeContext& ctx, const std::vector<int64_t>& list, size_t expected,
                    const char* name);

}  // namespace tilewright::onnx
