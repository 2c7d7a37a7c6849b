// SPDX-License-Identifier: Apache-2.0
// The graph level: first-order, pure functions in A-normal form. A function is a block of bindings; each
// names the results of one operation on names bound before. Operations with several results bind several
// names at once, so that no pass has to look through tuples.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tilewright/ir/attrs.h"
#include "tilewright/ir/module.h"
#include "tilewright/ir/ndarray.h"
#include "tilewright/ir/type.h"

namespace tilewright {

struct OpDef;

/// A named, typed value: a parameter or the result of a binding. Identity is the node.
struct ValueNode : Object {
  std::string name;
  Type type;
  std::string origin;  ///< the model's name for it, for errors and profiles; may be empty
};

class Value : public Ref<ValueNode> {
 public:
  using Ref::Ref;
  Value() = default;
  Value(std::string name, Type type, std::string origin = {});
  const TensorType& tensor() const;  ///< TW_CHECK that it is one
  const std::string& name() const { return get()->name; }
};

// The one list of operation kinds.
#define TW_OPERATION_KINDS(X) \
  X(OpCall)                   \
  X(FunctionCall)             \
  X(HostCall)                 \
  X(Constant)                 \
  X(GraphIf)                  \
  X(GraphLoop)

enum class OperationKind : uint8_t {
#define TW_KIND(name) k##name,
  TW_OPERATION_KINDS(TW_KIND)
#undef TW_KIND
};

struct OperationNode : Object {
  OperationKind kind;
  explicit OperationNode(OperationKind k) : kind(k) {}
};

class Operation : public Ref<OperationNode> {
 public:
  using Ref::Ref;
  OperationKind kind() const { return get()->kind; }
  template <class T>
  const T* As() const {
    return get() && get()->kind == T::kKind ? static_cast<const T*>(get()) : nullptr;
  }
};

/// `results = operation`.
struct Binding {
  std::vector<Value> results;
  Operation operation;
};

/// Bindings in order, and what they amount to.
struct GraphBlock {
  std::vector<Value> params;  ///< of a loop body; empty elsewhere
  std::vector<Binding> bindings;
  std::vector<Value> results;
};

/// An operator of the core set applied to values. An omitted optional argument is a null Value.
struct OpCallNode : OperationNode {
  static constexpr OperationKind kKind = OperationKind::kOpCall;
  const OpDef* op;
  std::vector<Value> args;
  Attrs attrs;
  OpCallNode(const OpDef* o, std::vector<Value> a, Attrs at)
      : OperationNode(kKind), op(o), args(std::move(a)), attrs(std::move(at)) {}
};

/// A function of the module: a fused graph function, or a kernel (PrimFunc) once lowered.
struct FunctionCallNode : OperationNode {
  static constexpr OperationKind kKind = OperationKind::kFunctionCall;
  std::string callee;
  std::vector<Value> args;
  FunctionCallNode(std::string c, std::vector<Value> a)
      : OperationNode(kKind), callee(std::move(c)), args(std::move(a)) {}
};

/// A routine of the host that is not a kernel (strings, image decoding).
struct HostCallNode : OperationNode {
  static constexpr OperationKind kKind = OperationKind::kHostCall;
  std::string routine;
  std::vector<Value> args;
  Attrs attrs;
  HostCallNode(std::string r, std::vector<Value> a, Attrs at)
      : OperationNode(kKind), routine(std::move(r)), args(std::move(a)), attrs(std::move(at)) {}
};

struct ConstantNode : OperationNode {
  static constexpr OperationKind kKind = OperationKind::kConstant;
  NDArray data;  ///< in the physical shape of the result's type
  explicit ConstantNode(NDArray d) : OperationNode(kKind), data(std::move(d)) {}
};

/// Runs one of two blocks, which may use values bound outside.
struct GraphIfNode : OperationNode {
  static constexpr OperationKind kKind = OperationKind::kGraphIf;
  Value condition;  ///< bool[]
  GraphBlock then_block, else_block;
  GraphIfNode(Value c, GraphBlock t, GraphBlock e)
      : OperationNode(kKind), condition(std::move(c)), then_block(std::move(t)), else_block(std::move(e)) {}
};

/// ONNX's loop: params of the body are (iteration i64[], condition bool[], carried...); its results are
/// (condition, carried..., scanned...). Results of the loop: carried..., then scanned stacked on a new axis
/// 0.
struct GraphLoopNode : OperationNode {
  static constexpr OperationKind kKind = OperationKind::kGraphLoop;
  Value trip_count;  ///< i64[] or null: unbounded
  Value condition;   ///< bool[] or null: true
  std::vector<Value> carried;
  GraphBlock body;
  GraphLoopNode(Value n, Value c, std::vector<Value> init, GraphBlock b)
      : OperationNode(kKind),
        trip_count(std::move(n)),
        condition(std::move(c)),
        carried(std::move(init)),
        body(std::move(b)) {}
};

template <class F>
decltype(auto) Dispatch(const Operation& o, F&& f) {
  switch (o.kind()) {
#define TW_CASE(name)          \
  case OperationKind::k##name: \
    return f(static_cast<const name##Node&>(*o));
    TW_OPERATION_KINDS(TW_CASE)
#undef TW_CASE
  }
  FailCheck("known operation kind", __FILE__, __LINE__, "");
}

/// Attributes in `attrs`: "primitive" = true for a fused group that becomes one kernel.
struct GraphFunctionNode : FunctionNode {
  std::vector<Value> params;
  GraphBlock body;
  std::vector<std::string> result_names;  ///< the model's names of the results
  GraphFunctionNode() : FunctionNode(FunctionKind::kGraph) {}
};

class GraphFunction : public Ref<GraphFunctionNode> {
 public:
  using Ref::Ref;
  GraphFunction() = default;
  GraphFunction(GraphFunctionNode node) : Ref(new GraphFunctionNode(std::move(node))) {}
  const std::string& name() const { return get()->name; }
};

/// The graph function of that name; a TW_CHECK fails when there is none.
GraphFunction GetGraphFunction(const IRModule& module, const std::string& name = "main");

Operation MakeOpCall(const OpDef* op, std::vector<Value> args, Attrs attrs);
Operation MakeFunctionCall(std::string callee, std::vector<Value> args);
Operation MakeHostCall(std::string routine, std::vector<Value> args, Attrs attrs);
Operation MakeConstant(NDArray data);
Operation MakeGraphIf(Value condition, GraphBlock then_block, GraphBlock else_block);
Operation MakeGraphLoop(Value trip_count, Value condition, std::vector<Value> carried, GraphBlock body);

/// Values that an operation uses; for If and Loop also those that their blocks take from outside. No nulls.
std::vector<Value> UsedValues(const Operation& o);
/// The operation with each argument replaced by `f`, inside blocks too; the same node when nothing changed.
Operation MapArgs(const Operation& o, const std::function<Value(const Value&)>& f);

/// Builds a block binding by binding; infers result types by the operator definitions. Errors of inference
/// (TW21xx) name the operator, its arguments and `origin`.
class GraphBuilder {
 public:
  /// Applies an operator by name and returns its results.
  std::vector<Value> Call(const std::string& op, std::vector<Value> args, Attrs attrs = {},
                          std::string origin = {});
  /// The same for operators with one result.
  Value Call1(const std::string& op, std::vector<Value> args, Attrs attrs = {}, std::string origin = {});
  std::vector<Value> CallOp(const OpDef* op, std::vector<Value> args, Attrs attrs, std::string origin = {});
  Value Constant(NDArray data, std::string name = {});
  /// Binds an operation whose results have known types.
  std::vector<Value> Bind(Operation operation, std::vector<Type> types, std::string origin = {});
  void Append(Binding binding) { block_.bindings.push_back(std::move(binding)); }

  const GraphBlock& block() const { return block_; }
  /// The finished block; the builder is empty afterwards.
  GraphBlock Finish(std::vector<Value> results);

 private:
  GraphBlock block_;
  int next_id_ = 0;
};

std::string ToString(const GraphFunction& f);  ///< the text form (graph/printer.h)

}  // namespace tilewright
