// SPDX-License-Identifier: Apache-2.0
// The compile pipeline: one straight line from a model's graph to a program with code.
#include "tilewright/driver/pipeline.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "tilewright/driver/build_program.h"
#include "tilewright/driver/evaluate.h"
#include "tilewright/driver/kernel_set.h"
#include "tilewright/driver/prepare_constants.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/verify.h"
#include "tilewright/tir/printer.h"
#include "tilewright/tir/verify.h"
#include "tilewright/transform/bind_parameters.h"
#include "tilewright/transform/choose_layout.h"
#include "tilewright/transform/eliminate_common.h"
#include "tilewright/transform/eliminate_dead_code.h"
#include "tilewright/transform/fold_batch_norm.h"
#include "tilewright/transform/fold_constants.h"
#include "tilewright/transform/fuse_ops.h"
#include "tilewright/transform/hoist_invariants.h"
#include "tilewright/transform/merge_views.h"
#include "tilewright/transform/separate_borders.h"

namespace tilewright {

namespace {

void VerifyModule(const IRModule& module) {
  for (auto& [name, f] : module.functions()) {
    if (f->kind == FunctionKind::kGraph) {
      VerifyGraph(GraphFunction(static_cast<const GraphFunctionNode*>(f.get())), module);
    } else {
      try {
        CheckPrimFunc(PrimFunc(static_cast<const PrimFuncNode*>(f.get())));
      } catch (const Error& e) {
        // Nobody wrote this kernel but the compiler, so that the fault is its own.
        throw InternalError(e.what());
      }
    }
  }
}

void CountOperators(const GraphBlock& block, CompiledModel& model, double times = 1) {
  for (const Binding& b : block.bindings) {
    if (auto* branch = b.operation.As<GraphIfNode>()) {
      CountOperators(branch->then_block, model, times);
      CountOperators(branch->else_block, model, times);
    } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
      // Stacked results tell how often a loop runs.
      const bool stacks = b.results.size() > loop->carried.size();
      const auto trips = stacks ? AsInt(b.results.back().tensor().shape[0]) : std::nullopt;
      CountOperators(loop->body, model, times * double(trips.value_or(1)));
    }
    auto* call = b.operation.As<OpCallNode>();
    if (!call) continue;
    ++model.operators[call->op->name];
    if (!call->op->flops) continue;
    Expr flops = call->op->flops(InferContext(*call->op, call->args, call->attrs, b.results[0]->origin));
    model.flops += times * double(AsInt(flops).value_or(0));
  }
}

/// One compilation. Members are what later steps read of earlier ones.
class Pipeline {
 public:
  explicit Pipeline(const CompileOptions& options) : options_(options), passes_(PassOptions(options)) {
    model_.target = options.target;
  }

  CompiledModel Run(const IRModule& module, const std::map<std::string, NDArray>& parameters, bool fold) {
    try {
      Steps(module, parameters, fold);
    } catch (Error&) {
      throw;
    } catch (const std::exception&) {
      // A bug of the compiler: keep what the failing pass was given, so that it can be run again.
      WriteReproducer();
      throw;
    }
    model_.times = passes_.records();
    return std::move(model_);
  }

 private:
  void Steps(const IRModule& module, const std::map<std::string, NDArray>& parameters, bool fold) {
    model_.module = module;
    model_.name = module.Find("main") ? GetGraphFunction(module)->name : "main";
    CountOperators(GetGraphFunction(module)->body, model_);
    if (Finished(Phase::kImport)) return;

    Pass("BindParameters", [&](const IRModule& m) { return BindParameters(m, parameters); });
    if (Finished(Phase::kBind)) return;

    // Dead code first, so that nothing unused is evaluated; batch normalisation before constants are folded,
    // since it turns into arithmetic on weights; common subexpressions last, when equal constants can be
    // seen, and views of views are views of one value.
    Pass("EliminateDeadCode", EliminateDeadCode);
    if (fold) {
      Pass("FoldBatchNorm", FoldBatchNorm);
      Pass("HoistInvariants", HoistInvariants);
      Pass("FoldConstants",
           [&](const IRModule& m) { return FoldConstants(m, ConstantEvaluatorFor(options_)); });
    }
    Pass("MergeViews", MergeViews);
    Pass("EliminateCommonSubexpressions", EliminateCommonSubexpressions);
    Pass("EliminateDeadCode", EliminateDeadCode);
    if (Finished(Phase::kSimplify)) return;

    // Layouts before fusion: a Relayout is an operator that fuses like any other.
    if (fold) Pass("ChooseLayout", [&](const IRModule& m) { return ChooseLayout(m, options_.target); });
    if (fold) Pass("SeparateBorders", SeparateBorders);
    if (Finished(Phase::kLayout)) return;

    Pass("FuseOps", FuseOps);
    if (Finished(Phase::kFuse)) return;

    CollectKernels(fold);
    Timed("LowerFunctions", [&] { kernels_.LowerFunctions(); });
    ShowKernels([](const KernelUnit& u) { return std::vector{u.unscheduled}; });
    if (Finished(Phase::kLower)) return;

    Timed("Schedule",
          [&] { kernels_.ScheduleAll(options_.target, options_.threads, ProgressOf(Phase::kSchedule)); });
    ShowKernels([](const KernelUnit& u) { return std::vector{u.scheduled}; });
    if (Finished(Phase::kSchedule)) return;

    Timed("LowerKernels", [&] {
      kernels_.LowerKernels(options_.target, options_.threads, ProgressOf(Phase::kLowerKernels));
    });
    ShowKernels([](const KernelUnit& u) {
      std::vector<PrimFunc> lowered;
      for (const KernelLaunch& l : u.lowered.launches) lowered.push_back(l.kernel);
      return lowered;
    });
    if (Finished(Phase::kLowerKernels)) return;

    BuildProgramAndCode();
  }

  void BuildProgramAndCode() {
    BuiltProgram built;
    Timed("BuildProgram", [&] { built = BuildProgram(model_.module, kernels_, unit_of_); });
    model_.program = std::move(built.program);
    model_.kernels = std::move(built.kernels);
    model_.kernel_infos = std::move(built.infos);
    model_.memory = built.memory;
    Timed("GenerateCode", [&] {
      if (model_.kernels.empty()) return;
      model_.objects = CompileKernelGroups(model_.kernels, options_.target, {.threads = options_.threads});
    });
    if (Finished(Phase::kCodegen)) return;
    Timed("PrepareConstants", [&] {
      model_.parameters = PrepareConstants(built.constants, built.parameter_bytes, options_.threads);
    });
    Finished(Phase::kPackage);
  }

  /// The distinct kernels behind the calls of @main. Constants count as such only where their layout is free.
  void CollectKernels(bool constants_are_constant) {
    std::unordered_set<const ValueNode*> constants;
    CollectKernels(GetGraphFunction(model_.module)->body, constants_are_constant, constants);
  }

  void CollectKernels(const GraphBlock& block, bool constants_are_constant,
                      std::unordered_set<const ValueNode*>& constants) {
    for (const Binding& b : block.bindings) {
      if (b.operation.As<ConstantNode>() && constants_are_constant) constants.insert(b.results[0].get());
      if (auto* branch = b.operation.As<GraphIfNode>()) {
        CollectKernels(branch->then_block, constants_are_constant, constants);
        CollectKernels(branch->else_block, constants_are_constant, constants);
      } else if (auto* loop = b.operation.As<GraphLoopNode>()) {
        CollectKernels(loop->body, constants_are_constant, constants);
      }
      auto* call = b.operation.As<FunctionCallNode>();
      if (!call) continue;
      std::vector<bool> constant_args;
      for (const Value& v : call->args) constant_args.push_back(constants.contains(v.get()));
      unit_of_[call->callee] =
          kernels_.Add(GetGraphFunction(model_.module, call->callee), std::move(constant_args));
    }
  }

  /// Puts the kernels' functions into the module for printing, dumps and verification.
  void ShowKernels(const std::function<std::vector<PrimFunc>(const KernelUnit&)>& functions) {
    IRModule shown;
    shown.Set(GetGraphFunction(model_.module));
    for (const auto& [name, f] : model_.module.functions()) {
      if (f->kind == FunctionKind::kGraph) shown.Set(f);
    }
    for (const KernelUnit& u : kernels_.units()) {
      for (const PrimFunc& f : functions(u)) shown.Set(f);
    }
    Timed("ShowKernels", [&] { model_.module = shown; });
    if (options_.verify_each) passes_.Verify(model_.module);
  }

  void Pass(const std::string& name, const std::function<IRModule(const IRModule&)>& pass) {
    model_.module = passes_.Run(name, model_.module, pass);
  }

  void Timed(const std::string& name, const std::function<void()>& work) {
    Stopwatch watch;
    work();
    passes_.AddTime(name, watch.Milliseconds());
  }

  std::function<void(size_t)> ProgressOf(Phase phase) {
    if (!options_.progress) return nullptr;
    return [this, phase](size_t done) { options_.progress(phase, done, kernels_.units().size()); };
  }

  /// Whether to stop after this phase. A release compile verifies once, at its end.
  bool Finished(Phase phase) {
    if (options_.progress) options_.progress(phase, 0, 0);
    const bool last = options_.stop_after == phase || phase == Phase::kPackage;
    if (last) Timed("Verify", [&] { passes_.Verify(model_.module); });
    return last;
  }

  static PassRunner::Options PassOptions(const CompileOptions& options) {
    PassRunner::Options o;
    o.verify = VerifyModule;
    o.verify_each = options.verify_each;
    o.print = ModuleText;
    o.print_after = options.print_after;
    o.print_sink = options.print_sink;
    o.dump_dir = options.dump_dir;
    return o;
  }

  void WriteReproducer() const {
    const std::filesystem::path file =
        std::filesystem::temp_directory_path() / fmt::format("tilewright-reproducer-{}.tw", getpid());
    std::ofstream out(file);
    out << "// The module that the pass '" << passes_.last_pass() << "' was given when it failed.\n"
        << "// target: " << options_.target.ToString() << "\n"
        << ModuleText(passes_.last_input());
    if (out.flush()) fmt::print(stderr, "note: what the compiler worked on is in {}\n", file.string());
  }

  const CompileOptions& options_;
  PassRunner passes_;
  CompiledModel model_;
  KernelSet kernels_;
  std::map<std::string, size_t> unit_of_;  ///< by the name of the fused function
};

}  // namespace

CompiledModel CompileModel(const IRModule& module, const std::map<std::string, NDArray>& parameters,
                           const CompileOptions& options) {
  return Pipeline(options).Run(module, parameters, true);
}

CompiledModel CompileConstantPart(const IRModule& module, const CompileOptions& options) {
  return Pipeline(options).Run(module, {}, false);
}

std::string ModuleText(const IRModule& module) {
  std::string text;
  for (FunctionKind kind : {FunctionKind::kGraph, FunctionKind::kPrim}) {
    for (auto& [name, f] : module.functions()) {
      if (f->kind != kind) continue;
      text += kind == FunctionKind::kGraph
                  ? ToString(GraphFunction(static_cast<const GraphFunctionNode*>(f.get())))
                  : ToString(PrimFunc(static_cast<const PrimFuncNode*>(f.get())));
      text += "\n";
    }
  }
  return text;
}

}  // namespace tilewright
