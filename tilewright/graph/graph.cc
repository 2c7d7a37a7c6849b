// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/graph.h"

#include "tilewright/graph/infer.h"

namespace tilewright {

Value::Value(std::string name, Type type, std::string origin) {
  auto* node = new ValueNode();
  node->name = std::move(name);
  node->type = std::move(type);
  node->origin = std::move(origin);
  *this = Value(node);
}

const TensorType& Value::tensor() const {
  const TensorType* t = get()->type.tensor();
  TW_CHECK(t, "%{} is not a tensor but {}", name(), get()->type.ToString());
  return *t;
}

GraphFunction GetGraphFunction(const IRModule& module, const std::string& name) {
  Function f = module.Find(name);
  TW_CHECK(f && f->kind == FunctionKind::kGraph, "no graph function @{}", name);
  return GraphFunction(static_cast<const GraphFunctionNode*>(f.get()));
}

Operation MakeOpCall(const OpDef* op, std::vector<Value> args, Attrs attrs) {
  return Operation(new OpCallNode(op, std::move(args), std::move(attrs)));
}
Operation MakeFunctionCall(std::string callee, std::vector<Value> args) {
  return Operation(new FunctionCallNode(std::move(callee), std::move(args)));
}
Operation MakeHostCall(std::string routine, std::vector<Value> args, Attrs attrs) {
  return Operation(new HostCallNode(std::move(routine), std::move(args), std::move(attrs)));
}
Operation MakeConstant(NDArray data) { return Operation(new ConstantNode(std::move(data))); }
Operation MakeGraphIf(Value condition, GraphBlock then_block, GraphBlock else_block) {
  return Operation(new GraphIfNode(std::move(condition), std::move(then_block), std::move(else_block)));
}
Operation MakeGraphLoop(Value trip_count, Value condition, std::vector<Value> carried, GraphBlock body) {
  return Operation(
      new GraphLoopNode(std::move(trip_count), std::move(condition), std::move(carried), std::move(body)));
}

namespace {

/// Values that a block takes from outside.
void CollectFree(const GraphBlock& block, std::vector<Value>& out) {
  std::unordered_set<const ValueNode*> bound;
  for (const Value& p : block.params) bound.insert(p.get());
  auto use = [&](const Value& v) {
    if (v && !bound.contains(v.get())) out.push_back(v);
  };
  for (const Binding& b : block.bindings) {
    for (const Value& v : UsedValues(b.operation)) use(v);
    for (const Value& r : b.results) bound.insert(r.get());
  }
  for (const Value& r : block.results) use(r);
}

GraphBlock MapBlock(const GraphBlock& block, const std::function<Value(const Value&)>& f, bool& changed) {
  GraphBlock out{block.params, {}, {}};
  for (const Binding& b : block.bindings) {
    out.bindings.push_back({b.results, MapArgs(b.operation, f)});
    changed |= !(out.bindings.back().operation == b.operation);
  }
  for (const Value& r : block.results) {
    out.results.push_back(f(r));
    changed |= !(out.results.back() == r);
  }
  return out;
}

}  // namespace

std::vector<Value> UsedValues(const Operation& o) {
  std::vector<Value> used;
  auto add = [&](const Value& v) {
    if (v) used.push_back(v);
  };
  auto all = [&](const std::vector<Value>& list) {
    for (const Value& v : list) add(v);
  };
  Dispatch(o, Overloaded{
                  [&](const OpCallNode& n) { all(n.args); },
                  [&](const FunctionCallNode& n) { all(n.args); },
                  [&](const HostCallNode& n) { all(n.args); },
                  [&](const ConstantNode&) {},
                  [&](const GraphIfNode& n) {
                    add(n.condition);
                    CollectFree(n.then_block, used), CollectFree(n.else_block, used);
                  },
                  [&](const GraphLoopNode& n) {
                    add(n.trip_count), add(n.condition), all(n.carried);
                    CollectFree(n.body, used);
                  },
              });
  return used;
}

Operation MapArgs(const Operation& o, const std::function<Value(const Value&)>& f) {
  bool changed = false;
  auto one = [&](const Value& v) {
    if (!v) return v;
    Value r = f(v);
    changed |= !(r == v);
    return r;
  };
  auto all = [&](const std::vector<Value>& list) {
    std::vector<Value> out;
    for (const Value& v : list) out.push_back(one(v));
    return out;
  };
  return Dispatch(o, Overloaded{
                         [&](const OpCallNode& n) {
                           auto args = all(n.args);
                           return changed ? MakeOpCall(n.op, std::move(args), n.attrs) : o;
                         },
                         [&](const FunctionCallNode& n) {
                           auto args = all(n.args);
                           return changed ? MakeFunctionCall(n.callee, std::move(args)) : o;
                         },
                         [&](const HostCallNode& n) {
                           auto args = all(n.args);
                           return changed ? MakeHostCall(n.routine, std::move(args), n.attrs) : o;
                         },
                         [&](const ConstantNode&) { return o; },
                         [&](const GraphIfNode& n) {
                           Value c = one(n.condition);
                           GraphBlock t = MapBlock(n.then_block, one, changed);
                           GraphBlock e = MapBlock(n.else_block, one, changed);
                           return changed ? MakeGraphIf(c, std::move(t), std::move(e)) : o;
                         },
                         [&](const GraphLoopNode& n) {
                           Value trip = one(n.trip_count), c = one(n.condition);
                           auto carried = all(n.carried);
                           GraphBlock body = MapBlock(n.body, one, changed);
                           return changed ? MakeGraphLoop(trip, c, std::move(carried), std::move(body)) : o;
                         },
                     });
}

std::vector<Value> GraphBuilder::Bind(Operation operation, std::vector<Type> types, std::string origin) {
  Binding binding{{}, std::move(operation)};
  for (Type& t : types) {
    binding.results.push_back(Value(fmt::format("v{}", next_id_++), std::move(t), origin));
  }
  std::vector<Value> results = binding.results;
  block_.bindings.push_back(std::move(binding));
  return results;
}

std::vector<Value> GraphBuilder::CallOp(const OpDef* op, std::vector<Value> args, Attrs attrs,
                                        std::string origin) {
  std::vector<Type> types = InferTypes(*op, InferContext(*op, args, attrs, origin));
  return Bind(MakeOpCall(op, std::move(args), std::move(attrs)), std::move(types), std::move(origin));
}

std::vector<Value> GraphBuilder::Call(const std::string& op, std::vector<Value> args, Attrs attrs,
                                      std::string origin) {
  return CallOp(OpRegistry::Get(op), std::move(args), std::move(attrs), std::move(origin));
}

Value GraphBuilder::Call1(const std::string& op, std::vector<Value> args, Attrs attrs, std::string origin) {
  std::vector<Value> results = Call(op, std::move(args), std::move(attrs), std::move(origin));
  TW_CHECK(results.size() == 1, "{} has {} results", op, results.size());
  return results.front();
}

Value GraphBuilder::Constant(NDArray data, std::string name) {
  TensorType type{data.dtype(), {}, {}, "", "global"};
  for (int64_t d : data.shape()) type.shape.push_back(Expr(d));
  return Bind(MakeConstant(std::move(data)), {type}, std::move(name)).front();
}

GraphBlock GraphBuilder::Finish(std::vector<Value> results) {
  block_.results = std::move(results);
  return std::exchange(block_, {});
}

}  // namespace tilewright
