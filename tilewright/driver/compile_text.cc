// SPDX-License-Identifier: Apache-2.0
// What a text must be so that it can be compiled, and where its compilation begins.
#include <algorithm>
#include <functional>

#include "tilewright/driver/pipeline.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/verify.h"
#include "tilewright/ir/printer.h"
#include "tilewright/tir/lower/lower.h"
#include "tilewright/tir/verify.h"

namespace tilewright {

namespace {

[[noreturn]] void Refuse(const std::string& message, std::vector<std::string> notes = {}) {
  throw Error("TW3303", message, "", std::move(notes));
}

[[noreturn]] void RefuseStart(const std::string& pass, const std::string& why) {
  throw Error("TW3304", fmt::format("compilation of this text cannot begin at {}: {}", pass, why));
}

bool IsPrimitive(const FunctionNode& f) {
  auto it = f.attrs.find("primitive");
  return it != f.attrs.end() && it->second == AttrValue(true);
}

/// The functions of a text by what they are.
struct Contents {
  std::vector<GraphFunction> fused, other;
  std::vector<PrimFunc> kernels;
};

Contents ContentsOf(const IRModule& module) {
  Contents contents;
  for (const auto& [name, f] : module.functions()) {
    if (f->kind == FunctionKind::kPrim) {
      contents.kernels.emplace_back(static_cast<const PrimFuncNode*>(f.get()));
    } else {
      const GraphFunction graph(static_cast<const GraphFunctionNode*>(f.get()));
      (IsPrimitive(*f) ? contents.fused : contents.other).push_back(graph);
    }
  }
  return contents;
}

void CheckValue(const Value& v) {
  auto* t = v->type.tensor();
  if (!t || t->dtype.is_string())
    Refuse(fmt::format("%{} is {}: only tensors of numbers can be compiled", v.name(), v->type.ToString()));
}

/// All bindings of a block, those of inner blocks too.
void ForEachBinding(const GraphBlock& block, const std::function<void(const Binding&)>& visit) {
  for (const Binding& b : block.bindings) {
    visit(b);
    if (auto* branch = b.operation.As<GraphIfNode>()) {
      ForEachBinding(branch->then_block, visit);
      ForEachBinding(branch->else_block, visit);
    } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
      for (const Value& p : loop->body.params) CheckValue(p);
      ForEachBinding(loop->body, visit);
    }
  }
}

/// Verified, and nothing in it that this compiler has no kernels for.
void CheckGraphFunction(const GraphFunction& f, const IRModule& module) {
  CheckGraph(f, module);
  for (const Value& p : f->params) CheckValue(p);
  ForEachBinding(f->body, [&](const Binding& b) {
    for (const Value& r : b.results) CheckValue(r);
    auto* call = b.operation.As<FunctionCallNode>();
    if (call && !IsPrimitive(*module.Find(call->callee)))
      Refuse(fmt::format("@{} is called, and is not one kernel", call->callee),
             {"add attrs {primitive = true} to it"});
    if (b.operation.As<HostCallNode>())
      Refuse(fmt::format("%{} is made by the host, which cannot be compiled", b.results[0].name()));
  });
}

void CheckParameters(const TextModule& text, const GraphFunction& main) {
  for (const auto& [name, data] : text.parameters) {
    const bool known = std::any_of(main->params.begin(), main->params.end(), [&](const Value& p) {
      return (p->origin.empty() ? p.name() : p->origin) == name;
    });
    if (!known) Refuse(fmt::format("@main has no parameter '{}'", name));
  }
}

/// Compilation cannot stop before it begins.
void CheckStop(const CompileOptions& options) {
  const PassInfo* start = FindPass(options.start_at);
  if (!options.stop_after_pass.empty() && FindPass(options.stop_after_pass) < start)
    RefuseStart(options.start_at, fmt::format("it is to stop after {}", options.stop_after_pass));
  if (options.stop_after && FindPass(PassAfter(*options.stop_after)) &&
      FindPass(PassAfter(*options.stop_after)) < start)
    RefuseStart(options.start_at, fmt::format("it is to stop after {}", PhaseName(*options.stop_after)));
}

CompiledModel CompileModelText(const TextModule& text, const Contents& contents, CompileOptions options) {
  if (!contents.kernels.empty())
    Refuse("the text holds a model and kernels", {"kernels are compiled from a text of their own"});
  for (const GraphFunction& f : contents.other) {
    if (f.name() != "main") Refuse(fmt::format("@{} is neither @main nor one kernel", f.name()));
  }
  for (const auto& [name, f] : text.module.functions())
    CheckGraphFunction(GetGraphFunction(text.module, name), text.module);
  const GraphFunction main = GetGraphFunction(text.module);
  CheckParameters(text, main);
  const std::string fused = "LowerFunctions";
  if (options.start_at.empty()) options.start_at = contents.fused.empty() ? "BindParameters" : fused;
  const std::string& start = options.start_at;
  if (FindPass(start)->phase > Phase::kLower) RefuseStart(start, "it is a graph");
  if (!contents.fused.empty() && start != fused) RefuseStart(start, "its operators are fused");
  if (!text.parameters.empty() && start != "BindParameters")
    RefuseStart(start, "it has parameters that are not constants yet");
  bool has_operators = false;
  ForEachBinding(main->body,
                 [&](const Binding& b) { has_operators |= b.operation.As<OpCallNode>() != nullptr; });
  if (has_operators && start == fused) RefuseStart(start, "its operators are not fused");
  CheckStop(options);
  return CompileModel(text.module, text.parameters, options);
}

void CheckKernel(const PrimFunc& f, const std::string& start) {
  if (NameOrQuoted(f.name()) != f.name())
    Refuse(fmt::format("the name of kernel '{}' is not an identifier", f.name()));
  const bool takes_lowered = TakesLoweredKernels(start) || start == "GenerateCode";
  if (takes_lowered != (f->stage == TirStage::kLowered))
    RefuseStart(start, fmt::format("@{} is {}", f.name(), takes_lowered ? "scheduled" : "lowered"));
  // Between these, functions are what passes leave to each other, which no verifier knows.
  if (start == "Schedule" || start == LoweringPasses().front() || start == "GenerateCode") CheckPrimFunc(f);
}

CompiledModel CompileKernelText(const TextModule& text, const Contents& contents, CompileOptions options) {
  if (!contents.other.empty()) {
    Refuse(fmt::format("there is no @main, and @{} is not one kernel", contents.other[0].name()),
           {"add attrs {primitive = true} to it, or call it main"});
  }
  if (contents.fused.empty() == contents.kernels.empty())
    Refuse(contents.fused.empty() ? "the text holds no function"
                                  : "the text holds fused functions and kernels");
  if (!text.parameters.empty()) Refuse("only @main has parameters");
  std::string& start = options.start_at;
  if (!contents.fused.empty()) {
    if (start.empty()) start = "LowerFunctions";
    if (start != "LowerFunctions") RefuseStart(start, "it holds fused functions");
    for (const GraphFunction& f : contents.fused) CheckGraphFunction(f, text.module);
  } else {
    const bool lowered = contents.kernels[0]->stage == TirStage::kLowered;
    if (start.empty()) start = lowered ? "GenerateCode" : LoweringPasses().front();
    if (FindPass(start)->phase < Phase::kSchedule) RefuseStart(start, "it holds kernels");
    for (const PrimFunc& f : contents.kernels) CheckKernel(f, start);
  }
  CheckStop(options);
  return CompileKernelFunctions(text.module, options);
}

}  // namespace

CompiledModel CompileText(const TextModule& text, const CompileOptions& options) {
  if (!options.start_at.empty() && !FindPass(options.start_at)) {
    throw Error("TW3304", fmt::format("there is no pass '{}' to begin at", options.start_at), "",
                {"`tilewright compile --help` lists the passes"});
  }
  const Contents contents = ContentsOf(text.module);
  return text.module.Find("main") && text.module.Find("main")->kind == FunctionKind::kGraph &&
                 !IsPrimitive(*text.module.Find("main"))
             ? CompileModelText(text, contents, options)
             : CompileKernelText(text, contents, options);
}

}  // namespace tilewright
