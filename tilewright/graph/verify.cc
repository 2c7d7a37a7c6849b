// SPDX-License-Identifier: Apache-2.0
#include "tilewright/graph/verify.h"

#include "tilewright/graph/infer.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/printer.h"

namespace tilewright {

namespace {

class Verifier {
 public:
  Verifier(const GraphFunction& f, const IRModule& module) : f_(f), module_(module) {}

  std::vector<std::string> Run() {
    for (const Value& p : f_->params) Bind(p);
    Block(f_->body);
    if (!f_->result_names.empty() && f_->result_names.size() != f_->body.results.size()) {
      Report(fmt::format("{} result names for {} results", f_->result_names.size(), f_->body.results.size()));
    }
    return std::move(findings_);
  }

 private:
  void Report(std::string finding) { findings_.push_back(std::move(finding)); }

  void Bind(const Value& v) {
    if (!v) return Report("a null value is bound");
    if (!bound_.insert(v.get()).second) Report("%" + v.name() + " is bound twice");
    visible_.insert(v.get());
  }

  void Use(const Value& v, const char* where) {
    if (!visible_.contains(v.get()))
      Report(fmt::format("%{} is used by {} before it is bound", v.name(), where));
  }

  /// What a block binds is seen in it alone.
  void InnerBlock(const GraphBlock& block) {
    const auto outside = visible_;
    Block(block);
    visible_ = outside;
  }

  void Block(const GraphBlock& block) {
    for (const Value& p : block.params) Bind(p);
    for (const Binding& b : block.bindings) {
      Check(b);
      for (const Value& r : b.results) Bind(r);
    }
    for (const Value& r : block.results) {
      r ? Use(r, "a block's results") : Report("a block's result is null");
    }
  }

  void Check(const Binding& b) {
    if (b.results.empty()) return Report("a binding without results");
    auto primitive = f_->attrs.find("primitive");
    if (primitive != f_->attrs.end() && primitive->second == AttrValue(true) && !b.operation.As<OpCallNode>())
      Report(fmt::format("%{} is no operator call, in a function that is to be one kernel",
                         b.results[0].name()));
    Dispatch(b.operation, Overloaded{
                              [&](const OpCallNode& n) { CheckCall(n, b); },
                              [&](const FunctionCallNode& n) { CheckFunctionCall(n, b); },
                              [&](const HostCallNode& n) { UseAll(n.args, "a host call"); },
                              [&](const ConstantNode& n) { CheckConstant(n, b); },
                              [&](const GraphIfNode& n) { CheckIf(n, b); },
                              [&](const GraphLoopNode& n) { CheckLoop(n, b); },
                          });
  }

  void UseAll(const std::vector<Value>& values, const char* where) {
    for (const Value& v : values) {
      if (v) Use(v, where);
    }
  }

  /// Equal up to layout.
  static bool SameType(const Type& a, const Type& b) {
    auto *x = a.tensor(), *y = b.tensor();
    if (!x || !y) return StructuralEqual(a, b);
    TensorType p = *x, q = *y;
    p.layout = q.layout = Layout();
    return StructuralEqual(Type(p), Type(q));
  }

  void CheckTypes(const std::vector<Type>& expected, const Binding& b, const std::string& what) {
    if (expected.size() != b.results.size()) {
      return Report(fmt::format("{} has {} results, {} are bound", what, expected.size(), b.results.size()));
    }
    for (size_t i = 0; i < expected.size(); ++i) {
      if (!SameType(expected[i], b.results[i]->type)) {
        Report(fmt::format("{} gives {}, %{} is {}", what, expected[i].ToString(), b.results[i].name(),
                           b.results[i]->type.ToString()));
      }
    }
  }

  /// Whether the arguments are as the definition lists them, so that inference may rely on it.
  bool CheckArguments(const OpCallNode& n) {
    const std::vector<InputDef>& inputs = n.op->inputs;
    const bool variadic = !inputs.empty() && inputs.back().variadic;
    const size_t found = findings_.size();
    if (n.args.size() > inputs.size() && !variadic) {
      Report(
          fmt::format("{} takes at most {} arguments, {} given", n.op->name, inputs.size(), n.args.size()));
    }
    for (size_t i = 0; i < std::max(inputs.size(), n.args.size()); ++i) {
      const InputDef* input = i < inputs.size() ? &inputs[i] : variadic ? &inputs.back() : nullptr;
      const bool given = i < n.args.size() && n.args[i];
      if (input && !given && !input->optional)
        Report(fmt::format("argument {} of {} ('{}') is missing", i, n.op->name, input->name));
    }
    return findings_.size() == found;
  }

  void CheckCall(const OpCallNode& n, const Binding& b) {
    UseAll(n.args, n.op->name.c_str());
    if (!CheckArguments(n)) return;
    try {
      CheckTypes(InferTypes(*n.op, InferContext(*n.op, n.args, n.attrs, b.results[0]->origin)), b,
                 n.op->name);
    } catch (const Error& e) {
      Report(e.what());
    }
  }

  void CheckFunctionCall(const FunctionCallNode& n, const Binding& b) {
    UseAll(n.args, "a call");
    Function callee = module_.Find(n.callee);
    if (!callee) return Report("there is no function @" + n.callee);
    if (callee->kind != FunctionKind::kGraph) return;
    auto& f = static_cast<const GraphFunctionNode&>(*callee);
    if (f.params.size() != n.args.size()) {
      return Report(
          fmt::format("@{} takes {} arguments, {} given", n.callee, f.params.size(), n.args.size()));
    }
    for (size_t i = 0; i < n.args.size(); ++i) {
      if (!n.args[i] || !StructuralEqual(n.args[i]->type, f.params[i]->type)) {
        Report(fmt::format("argument {} of @{} is not {}", i, n.callee, f.params[i]->type.ToString()));
      }
    }
    std::vector<Type> types;
    for (const Value& r : f.body.results) types.push_back(r->type);
    CheckTypes(types, b, "@" + n.callee);
  }

  void CheckConstant(const ConstantNode& n, const Binding& b) {
    auto* t = b.results[0]->type.tensor();
    bool fits = t && n.data.dtype() == t->dtype;
    if (fits) {
      std::vector<Expr> shape = t->PhysicalShape();
      fits = shape.size() == n.data.shape().size();
      for (size_t d = 0; fits && d < shape.size(); ++d) fits = IsInt(shape[d], n.data.shape()[d]);
    }
    if (!fits)
      Report(fmt::format("constant {} is bound to a {}", n.data.ToString(0), b.results[0]->type.ToString()));
  }

  void CheckCondition(const Value& v) {
    if (!v) return Report("a condition is null");
    Use(v, "a condition");
    auto* t = v->type.tensor();
    if (!t || !t->dtype.is_bool()) Report(fmt::format("condition %{} is {}", v.name(), v->type.ToString()));
  }

  void CheckIf(const GraphIfNode& n, const Binding& b) {
    CheckCondition(n.condition);
    InnerBlock(n.then_block), InnerBlock(n.else_block);
    if (n.then_block.results.size() != b.results.size() || n.else_block.results.size() != b.results.size()) {
      return Report("the branches of an if do not have as many results as it binds");
    }
    for (size_t i = 0; i < b.results.size(); ++i) {
      CheckSame(n.then_block.results[i], b.results[i]->type, "the first branch of an if");
      CheckSame(n.else_block.results[i], b.results[i]->type, "the second branch of an if");
    }
  }

  void CheckSame(const Value& v, const Type& expected, const char* what) {
    if (v && !SameType(v->type, expected))
      Report(fmt::format("{} gives %{}: {}, expected {}", what, v.name(), v->type.ToString(),
                         expected.ToString()));
  }

  /// What is stacked has the type of one, with the iterations on a new axis 0.
  void CheckStacked(const Value& one, const Value& all) {
    auto *t = one->type.tensor(), *stacked = all->type.tensor();
    if (!t || !stacked || stacked->shape.empty())
      return Report(fmt::format("%{} cannot stack %{}", all.name(), one.name()));
    TensorType expected = *t;
    expected.shape.insert(expected.shape.begin(), stacked->shape[0]);
    CheckSame(all, Type(expected), "a loop");
  }

  void CheckLoop(const GraphLoopNode& n, const Binding& b) {
    if (n.trip_count) Use(n.trip_count, "a loop");
    if (n.condition) CheckCondition(n.condition);
    UseAll(n.carried, "a loop");
    InnerBlock(n.body);
    const size_t carried = n.carried.size();
    if (n.body.params.size() != carried + 2) return Report("a loop body does not take what the loop carries");
    if (n.body.results.size() != b.results.size() + 1 || b.results.size() < carried)
      return Report("a loop body does not give what the loop binds");
    for (const Value& v : n.body.results) {
      if (!v) return;  // reported with the block
    }
    for (size_t i = 0; i < carried; ++i) {
      if (!n.carried[i] || !n.body.params[i + 2]) continue;
      const Type& type = n.carried[i]->type;
      CheckSame(n.body.params[i + 2], type, "a loop");
      CheckSame(n.body.results[i + 1], type, "a loop's body");
      CheckSame(b.results[i], type, "a loop");
    }
    for (size_t i = carried; i < b.results.size(); ++i) CheckStacked(n.body.results[i + 1], b.results[i]);
  }

  GraphFunction f_;
  const IRModule& module_;
  std::unordered_set<const ValueNode*> bound_, visible_;
  std::vector<std::string> findings_;
};

}  // namespace

std::vector<std::string> GraphFindings(const GraphFunction& f, const IRModule& module) {
  return Verifier(f, module).Run();
}

void VerifyGraph(const GraphFunction& f, const IRModule& module) {
  const std::vector<std::string> findings = GraphFindings(f, module);
  if (findings.empty()) return;
  throw InternalError(
      fmt::format("the graph function is malformed:\n  {}\n{}", fmt::join(findings, "\n  "), ToString(f)));
}

void CheckGraph(const GraphFunction& f, const IRModule& module) {
  std::vector<std::string> findings = GraphFindings(f, module);
  if (findings.empty()) return;
  throw Error("TW2401", fmt::format("function @{} breaks the rules of the graph level", f.name()), "",
              std::move(findings));
}

}  // namespace tilewright
