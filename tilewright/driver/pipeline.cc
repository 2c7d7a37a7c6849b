// SPDX-License-Identifier: Apache-2.0
// The compile pipeline: one straight line from a model's graph to a program with code.
#include "tilewright/driver/pipeline.h"

#include "tilewright/codegen/c/codegen.h"
#include "tilewright/driver/build_program.h"
#include "tilewright/driver/constant_args.h"
#include "tilewright/driver/explain.h"
#include "tilewright/driver/graph_passes.h"
#include "tilewright/driver/kernel_set.h"
#include "tilewright/driver/prepare_constants.h"
#include "tilewright/driver/reproducer.h"
#include "tilewright/driver/text_file.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/graph/rewrite.h"
#include "tilewright/graph/verify.h"
#include "tilewright/target/code_generator.h"
#include "tilewright/target/tile_unit.h"
#include "tilewright/tir/verify.h"

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

/// The same for a kernel, where a pass has left one that a verifier knows.
void VerifyKernel(const std::string& pass, const PrimFunc& f) {
  if (pass != "LowerFunctions" && pass != "Schedule" && pass != LoweringPasses().back()) return;
  IRModule module;
  module.Set(f);
  VerifyModule(module);
}

/// One compilation. Members are what later steps read of earlier ones.
class Pipeline {
 public:
  explicit Pipeline(const CompileOptions& options) : options_(options), passes_(PassOptions(options)) {
    model_.target = options.target;
  }

  CompiledModel Run(const IRModule& module, const std::map<std::string, NDArray>& parameters, bool fold) {
    imported_ = module;
    parameters_ = parameters;
    reproduces_ = fold;
    return Guarded([&] { Steps(module, fold); });
  }

  /// Compiles functions that are each to be a kernel.
  CompiledModel RunKernels(const IRModule& functions) {
    return Guarded([&] {
      model_.kernels_only = true;
      model_.module = imported_ = fused_ = functions;
      for (const auto& [name, f] : functions.functions()) AddKernel(WithoutConstantArgs(f), ConstantArgs(f));
      KernelSteps();
      if (passes_.stopped() || (options_.stop_after && *options_.stop_after < Phase::kCodegen)) return;
      for (const KernelUnit& unit : kernels_.units()) {
        for (const KernelLaunch& launch : unit.lowered.launches) model_.kernels.push_back(launch.kernel);
      }
      GenerateCode();
    });
  }

 private:
  CompiledModel Guarded(const std::function<void()>& steps) {
    try {
      steps();
    } catch (const std::bad_alloc&) {
      throw;
    } catch (const std::exception& e) {
      // An error of the user's is explained by its text; what a bug of the compiler was given is kept, so
      // that it can be run again.
      const bool users = dynamic_cast<const Error*>(&e) != nullptr;
      if (reproduces_ && (!users || !options_.reproducer.empty())) Reproduce(e.what());
      throw;
    }
    model_.times = passes_.records();
    return std::move(model_);
  }

  void Steps(const IRModule& module, bool fold) {
    model_.module = module;
    model_.name = "main";
    CountOperators(GetGraphFunction(module)->body, model_);
    if (Finished(Phase::kImport)) {
      model_.unbound = parameters_;
      return;
    }

    for (Phase phase : {Phase::kBind, Phase::kSimplify, Phase::kLayout, Phase::kFuse}) {
      for (const GraphPass& pass : GraphPasses()) {
        if (pass.phase == phase && (fold || !pass.models_only)) Apply(pass);
      }
      if (Finished(phase)) return;
    }

    fused_ = model_.module;
    CollectKernels(fold);
    if (KernelSteps()) return;

    BuiltProgram built;
    Timed("BuildProgram", [&] { built = BuildProgram(model_.module, kernels_, unit_of_); });
    model_.program = std::move(built.program);
    model_.kernels = std::move(built.kernels);
    model_.memory = built.memory;
    for (const PreparedConstant& c : built.constants) model_.constants.push_back(c.offset);
    if (options_.explain) model_.explanations = ExplanationsByKernel(kernels_);
    if (GenerateCode()) return;
    Timed("PrepareConstants", [&] {
      model_.parameters = PrepareConstants(built.constants, built.parameter_bytes, options_.threads,
                                           UsesCache() ? options_.cache.get() : nullptr);
    });
    Finished(Phase::kPackage);
  }

  /// From fused functions to lowered kernels. True when compilation ends here.
  bool KernelSteps() {
    if (UsesCache()) {
      Timed("LoadCachedKernels",
            [&] { kernels_.LoadCached(*options_.cache, options_.target, options_.threads); });
    }
    ForKernels("LowerFunctions", [&](KernelLog& log) { kernels_.LowerFunctions(log); });
    ShowKernels(
        [](const KernelUnit& u) { return std::vector{WithConstantArgs(u.unscheduled, u.constant_args)}; });
    if (Finished(Phase::kLower)) return true;

    ForKernels("Schedule", [&](KernelLog& log) {
      kernels_.ScheduleAll(options_.target, options_.threads, log, ProgressOf(Phase::kSchedule));
    });
    ShowKernels([](const KernelUnit& u) { return std::vector{u.scheduled}; });
    if (Finished(Phase::kSchedule)) return true;

    LowerKernels();
    ShowKernels([](const KernelUnit& u) {
      std::vector<PrimFunc> lowered;
      for (const KernelLaunch& l : u.lowered.launches) lowered.push_back(l.kernel);
      return lowered;
    });
    return Finished(Phase::kLowerKernels);
  }

  void LowerKernels() {
    LowerOptions range;
    bool any = false;
    for (const std::string& pass : LoweringPasses()) {
      any |= passes_.Enter(pass);
      if (pass == options_.start_at) range.start_at = pass;
      if (pass == options_.stop_after_pass) range.stop_after = pass;
      passes_.Leave(pass);
    }
    if (!any) return;
    step_ = "LowerKernels";
    Logged([&](KernelLog& log) {
      kernels_.LowerKernels(options_.target, options_.threads, range, log, ProgressOf(Phase::kLowerKernels));
    });
  }

  /// Whether only the result is asked for: with the cache, most passes see no kernel.
  bool UsesCache() const {
    return options_.cache && !model_.kernels_only && !options_.explain &&
           CodeGeneratorOf(options_.target) == CodeGenerator::kLlvm &&
           options_.stop_after.value_or(Phase::kPackage) == Phase::kPackage &&
           options_.stop_after_pass.empty() && options_.start_at.empty() && options_.print_after.empty() &&
           options_.dump_dir.empty() && !options_.verify_each;
  }

  bool GenerateCode() {
    if (passes_.Enter("GenerateCode")) {
      if (CodeGeneratorOf(options_.target) == CodeGenerator::kNone) {
        throw Error("TW3103",
                    fmt::format("no code can be generated for the target '{}'", options_.target.name), "",
                    {"its kernels are lowered, and run by the interpreter: see --stop-after lower-kernels"});
      }
      Timed("GenerateCode", [&] {
        // Sources are written when the model is packaged.
        if (model_.kernels.empty() || CodeGeneratorOf(options_.target) == CodeGenerator::kC) return;
        model_.objects = kernels_.GenerateCode(model_.kernels, options_.target, options_.threads);
      });
      if (UsesCache()) {
        Timed("StoreCachedKernels",
              [&] { kernels_.StoreCached(*options_.cache, options_.target, options_.threads); });
      }
      if (CodeGeneratorOf(options_.target) == CodeGenerator::kC) {
        passes_.Show("GenerateCode", [&] { return KernelCText(model_.kernels); }, "c");
      } else {
        passes_.Show("GenerateCode", [&] { return KernelLlvmIr(model_.kernels, options_.target); }, "ll");
      }
      passes_.Leave("GenerateCode");
    }
    return Finished(Phase::kCodegen);
  }

  void AddKernel(const Function& f, std::vector<bool> constant_args) {
    if (f->kind == FunctionKind::kPrim) {
      const PrimFunc kernel(static_cast<const PrimFuncNode*>(f.get()));
      constant_args.resize(kernel->buffers.size());
      kernels_.AddKernel(kernel, std::move(constant_args));
    } else {
      const GraphFunction graph(static_cast<const GraphFunctionNode*>(f.get()));
      constant_args.resize(graph->params.size());
      const size_t known = kernels_.units().size(), unit = kernels_.Add(graph, std::move(constant_args));
      unit_of_[graph.name()] = unit;
      if (options_.explain && unit == known) kernels_.Explain(unit, ExplainGraph(graph, decisions_));
    }
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
      AddKernel(model_.module.Find(call->callee), constant_args);
    }
  }

  /// Puts the kernels' functions into the module for printing and verification.
  void ShowKernels(const std::function<std::vector<PrimFunc>(const KernelUnit&)>& functions) {
    IRModule shown;
    for (const auto& [name, f] : model_.module.functions()) {
      if (f->kind == FunctionKind::kGraph) shown.Set(f);
    }
    for (const KernelUnit& u : kernels_.units()) {
      if (u.cached) continue;  // it has code, and nothing to look at
      for (const PrimFunc& f : functions(u)) {
        if (f) shown.Set(f);
      }
    }
    model_.module = shown;
  }

  void Apply(const GraphPass& pass) {
    const GraphPassContext context{parameters_, options_, options_.explain ? &decisions_ : nullptr};
    model_.module = passes_.Run(std::string(pass.name), model_.module,
                                [&](const IRModule& m) { return pass.run(m, context); });
  }

  void Timed(const std::string& name, const std::function<void()>& work) {
    step_ = name;
    Stopwatch watch;
    work();
    passes_.AddTime(name, watch.Milliseconds());
  }

  /// One pass over each kernel.
  void ForKernels(const std::string& pass, const std::function<void(KernelLog&)>& work) {
    if (!passes_.Enter(pass)) return;
    step_ = pass;
    Logged(work);
    passes_.Leave(pass);
  }

  /// Passes over each kernel; afterwards each is shown, one text for all kernels.
  void Logged(const std::function<void(KernelLog&)>& work) {
    KernelLog::Options log_options;
    log_options.keeps = [this](const std::string& pass) { return passes_.Shows(pass); };
    if (options_.verify_each) log_options.verify = VerifyKernel;
    KernelLog log(kernels_.units().size(), std::move(log_options));
    auto show = [&] {
      for (const KernelLog::Pass& pass : log.TakePasses()) {
        passes_.AddTime(pass.name, pass.milliseconds);
        IRModule all;
        for (const auto& [unit, functions] : pass.results) {
          for (const PrimFunc& f : functions) all.Set(f);
        }
        passes_.Show(pass.name, [&] { return ModuleText(all); });
      }
    };
    try {
      work(log);
    } catch (...) {
      kernel_failure_ = log.failure();
      show();
      throw;
    }
    show();
  }

  std::function<void(size_t)> ProgressOf(Phase phase) {
    if (!options_.progress) return nullptr;
    return [this, phase](size_t done) { options_.progress(phase, done, kernels_.units().size()); };
  }

  /// Whether to stop after this phase. A release compile verifies once, at its end.
  bool Finished(Phase phase) {
    // A text may begin right behind the phase to stop after.
    if (passes_.skipping() && options_.stop_after != phase) return false;
    if (options_.progress) options_.progress(phase, 0, 0);
    const std::string name(PhaseName(phase));
    if (options_.print_sink && options_.print_after.contains(name))
      options_.print_sink("# after " + name + "\n" + ModuleText(model_.module));
    const bool last = options_.stop_after == phase || phase == Phase::kPackage || passes_.stopped();
    if (last) Timed("Verify", [&] { passes_.Verify(Verifiable()); });
    return last;
  }

  /// The module without kernels that are between the stages which verifiers know.
  IRModule Verifiable() const {
    const PassInfo* last = FindPass(options_.stop_after_pass);
    if (!passes_.stopped() || last->phase != Phase::kLowerKernels || last->name == LoweringPasses().back())
      return model_.module;
    IRModule graphs;
    for (const auto& [name, f] : model_.module.functions()) {
      if (f->kind == FunctionKind::kGraph) graphs.Set(f);
    }
    return graphs;
  }

  static PassRunner::Options PassOptions(const CompileOptions& options) {
    PassRunner::Options o;
    o.verify = VerifyModule;
    o.verify_each = options.verify_each;
    o.print = ModuleText;
    o.print_after = options.print_after;
    o.print_sink = options.print_sink;
    o.dump_dir = options.dump_dir;
    o.start_at = options.start_at;
    o.stop_after = options.stop_after_pass;
    return o;
  }

  // ---- When a pass fails.

  void Reproduce(const std::string& error) {
    Reproducer r;
    r.error = error;
    if (kernel_failure_) {
      r.pass = kernel_failure_->pass;
      r.text.module.Set(kernel_failure_->input);
      r.text.attrs = TextOptions(options_, r.pass);
      if (r.pass == "LowerFunctions" || r.pass == "Schedule") {
        const std::vector<bool>& constant_args = kernels_.units()[kernel_failure_->unit].constant_args;
        r.text.module.Set(WithConstantArgs(kernel_failure_->input, constant_args));
      }
    } else if (step_ == "GenerateCode") {
      r.pass = step_;
      r.text.attrs = TextOptions(options_, r.pass);
      for (const PrimFunc& f : KernelsWithoutCode()) r.text.module.Set(f);
    } else if (step_ == "Verify") {
      r.pass = "(some pass; verification at the end found it)";
      r.text = {TextOptions(options_, options_.start_at), parameters_, imported_};
      r.text.attrs["verify_each"] = true;
    } else if (!step_.empty()) {
      // Between and behind the kernels' passes: everything from the fused graph on.
      r.pass = step_;
      r.text.module = fused_;
      r.text.attrs = TextOptions(options_, "LowerFunctions");
    } else {
      r.pass = passes_.last_pass();
      r.text.module = passes_.last_input();
      r.text.attrs = TextOptions(options_, r.pass);
      if (r.pass == "BindParameters") r.text.parameters = parameters_;
    }
    WriteReproducer(r, options_.reproducer);
  }

  /// Kernels that cannot be compiled; all, if each can alone.
  std::vector<PrimFunc> KernelsWithoutCode() const {
    std::vector<PrimFunc> guilty;
    for (const PrimFunc& f : model_.kernels) {
      try {
        CompileKernels({&f, 1}, options_.target);
      } catch (const std::exception&) {
        guilty.push_back(f);
      }
    }
    return guilty.empty() ? model_.kernels : guilty;
  }

  const CompileOptions& options_;
  PassRunner passes_;
  CompiledModel model_;
  std::map<std::string, NDArray> parameters_;
  KernelSet kernels_;
  std::map<std::string, size_t> unit_of_;  ///< by the name of the fused function
  std::vector<LayoutDecision> decisions_;  ///< where explanations are asked for
  bool reproduces_ = true;                 ///< whether failures are to be kept
  std::string step_;           ///< that runs or ran last, of those that are not from module to module
  IRModule imported_, fused_;  ///< as all passes began, and those of kernels
  std::optional<KernelLog::Failure> kernel_failure_;
};

/// Puts what the options say into the attribute of @main, which is the text's and the pipeline's form of it.
IRModule WithDonations(const IRModule& module, const CompileOptions& options) {
  if (options.donate.empty()) return module;
  return OnMain(module, [&](const GraphFunction& f) {
    GraphFunctionNode copy = *f;
    std::vector<std::string> names;
    if (auto it = copy.attrs.find("donate"); it != copy.attrs.end()) {
      if (auto* given = std::get_if<std::vector<std::string>>(&it->second)) names = *given;
    }
    for (const auto& [input, output] : options.donate) names.insert(names.end(), {input, output});
    copy.attrs["donate"] = std::move(names);
    return GraphFunction(std::move(copy));
  });
}

}  // namespace

namespace {

/// The options with a target that has what the precision needs, and no matrix unit that would not be used but
/// asked for when the module is loaded.
CompileOptions ForPrecision(CompileOptions options) {
  const Target& t = options.target;
  if (options.precision == Precision::kF32) {
    options.target = WithoutTiles(t);
  } else if (!t.has_dot_bf16 && TileUnitOf(t).registers == 0) {
    throw Error("TW3104", fmt::format("the target '{}' has no products of bf16", t.name), "",
                {"compile without --precision, or for a target that has them (docs/precision.md)"});
  }
  return options;
}

}  // namespace

CompiledModel CompileModel(const IRModule& module, const std::map<std::string, NDArray>& parameters,
                           const CompileOptions& options) {
  const CompileOptions prepared = ForPrecision(options);
  return Pipeline(prepared).Run(WithDonations(module, prepared), parameters, true);
}

CompiledModel CompileKernelFunctions(const IRModule& functions, const CompileOptions& options) {
  return Pipeline(options).RunKernels(functions);
}

CompiledModel CompileConstantPart(const IRModule& module, const CompileOptions& options) {
  return Pipeline(options).Run(module, {}, false);
}

std::string ModuleText(const IRModule& module) { return PrintModule({{}, {}, module}); }

}  // namespace tilewright
