// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/kernel_set.h"

#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/driver/in_place.h"
#include "tilewright/driver/unit_codec.h"
#include "tilewright/graph/lower_function.h"
#include "tilewright/graph/op_def.h"
#include "tilewright/ir/printer.h"
#include "tilewright/runtime/checksum.h"
#include "tilewright/schedule/rules/rules.h"
#include "tilewright/te/merge_axes.h"

namespace tilewright {

void ParallelFor(size_t n, int threads, const std::function<void(size_t)>& work) {
  if (threads <= 0) threads = int(std::max(1u, std::thread::hardware_concurrency()));
  std::atomic<size_t> next{0};
  std::exception_ptr failure;
  size_t failed = n;
  std::mutex mutex;
  auto run = [&] {
    for (size_t i; (i = next.fetch_add(1)) < n;) {
      try {
        work(i);
      } catch (...) {
        std::lock_guard lock(mutex);
        if (i < failed) failure = std::current_exception(), failed = i;
        next = n;
      }
    }
  };
  std::vector<std::thread> pool;
  for (int t = 1; t < threads && size_t(t) < n; ++t) pool.emplace_back(run);
  run();
  for (std::thread& t : pool) t.join();
  if (failure) std::rethrow_exception(failure);
}

std::string CanonicalText(const GraphFunction& f, const std::vector<bool>& constant_args) {
  std::unordered_map<const ValueNode*, size_t> number;
  std::string text;
  for (size_t i = 0; i < f->params.size(); ++i) {
    number.emplace(f->params[i].get(), number.size());
    text += (constant_args[i] ? "const " : "") + f->params[i]->type.ToString() + ";";
  }
  for (const Binding& b : f->body.bindings) {
    auto* call = b.operation.As<OpCallNode>();
    TW_CHECK(call, "@{} is not a fused function", f.name());
    text += call->op->name + "(";
    for (const Value& v : call->args) text += v ? fmt::format("{},", number.at(v.get())) : "_,";
    text += ")" + ToString(call->attrs.ToMap());
    for (const Value& r : b.results) {
      number.emplace(r.get(), number.size());
      text += r->type.ToString() + ";";
    }
  }
  for (const Value& r : f->body.results) text += fmt::format("{},", number.at(r.get()));
  return text;
}

namespace {

/// "Conv+Add+Relu".
std::string OperatorNames(const GraphFunction& f) {
  std::string names;
  for (const Binding& b : f->body.bindings) {
    if (!names.empty()) names += "+";
    names += b.operation.As<OpCallNode>()->op->name;
  }
  return names;
}

Expr CountFlops(const GraphFunction& f) {
  Expr total = 0;
  for (const Binding& b : f->body.bindings) {
    auto& call = *b.operation.As<OpCallNode>();
    if (!call.op->flops) continue;
    total = total + call.op->flops(InferContext(*call.op, call.args, call.attrs, b.results[0]->origin));
  }
  return total;
}

/// An identifier from operator names, short enough for symbol tables, and what tells apart kernels of the
/// same operators.
std::string KernelName(const std::string& operators, const std::string& text) {
  std::string name;
  for (char c : operators.substr(0, 48))
    name += std::isalnum(static_cast<unsigned char>(c)) ? char(std::tolower(c)) : '_';
  const uint64_t digest = runtime::ComputeChecksum(std::as_bytes(std::span(text)));
  return name + fmt::format("_{:08x}", uint32_t(digest >> 32));
}

void ScheduleUnit(KernelUnit& unit, const Target& target) {
  Schedule schedule(unit.unscheduled);
  ApplyRules(schedule, {target, unit.constant_args, unit.explanation ? &*unit.explanation : nullptr});
  unit.scheduled = schedule.func();
  unit.trace = schedule.trace();
  unit.prepare = schedule.prepare();
  unit.in_place = InPlacePairs(unit.scheduled);
}

ObjectCode CodeOf(const LoweredKernels& lowered, const Target& target) {
  std::vector<PrimFunc> kernels;
  for (const KernelLaunch& launch : lowered.launches) kernels.push_back(launch.kernel);
  return CompileKernels(kernels, target);
}

/// The function of a unit before it is scheduled.
PrimFunc Unscheduled(const GraphFunction& graph) { return te::MergeAxes(LowerFunction(graph)); }

/// Code of a unit that was cached without: no program had launched it.
ObjectCode CodeAnew(const KernelUnit& cached, const Target& target) {
  KernelUnit unit = cached;
  unit.unscheduled = Unscheduled(unit.graph);
  ScheduleUnit(unit, target);
  return CodeOf(LowerPrimFunc(unit.scheduled, target), target);
}

}  // namespace

size_t KernelSet::Add(const GraphFunction& f, std::vector<bool> constant_args) {
  auto [it, fresh] = by_text_.try_emplace(CanonicalText(f, constant_args), units_.size());
  if (fresh) {
    KernelUnit unit;
    unit.constant_args = std::move(constant_args);
    unit.operators = OperatorNames(f);
    unit.flops = CountFlops(f);
    GraphFunctionNode named = *f;
    named.name = KernelName(unit.operators, it->first);
    while (!names_.insert(named.name).second) named.name += "x";
    unit.graph = GraphFunction(std::move(named));
    units_.push_back(std::move(unit));
  }
  return it->second;
}

size_t KernelSet::AddKernel(const PrimFunc& f, std::vector<bool> constant_args) {
  KernelUnit unit;
  unit.constant_args = std::move(constant_args);
  unit.unscheduled = unit.scheduled = f;
  if (f->stage == TirStage::kLowered) unit.lowered.launches.push_back({f, NumChunks(f), f->buffers, nullptr});
  units_.push_back(std::move(unit));
  return units_.size() - 1;
}

void KernelSet::LoadCached(const KernelCache& cache, const Target& target, int threads) {
  ParallelFor(units_.size(), threads, [&](size_t i) {
    if (!units_[i].graph) return;
    if (const auto bytes = cache.Load(UnitKey(units_[i], target))) DecodeUnit(*bytes, units_[i]);
  });
}

void KernelSet::StoreCached(const KernelCache& cache, const Target& target, int threads) const {
  std::atomic<bool> stored{false};
  ParallelFor(units_.size(), threads, [&](size_t i) {
    const KernelUnit& unit = units_[i];
    if (!unit.graph || (unit.cached && !unit.code_is_new)) return;
    const auto bytes = EncodeUnit(unit);
    if (!bytes) return;
    cache.Store(UnitKey(unit, target), *bytes);
    stored = true;
  });
  if (stored) cache.Trim();
}

void KernelSet::LowerFunctions(KernelLog& log) {
  for (size_t i = 0; i < units_.size(); ++i) {
    KernelUnit& unit = units_[i];
    if (unit.cached) continue;
    log.Unit(i, [&] {
      log.Before(i, "LowerFunctions", unit.graph);
      unit.unscheduled = Unscheduled(unit.graph);
      log.After(i, "LowerFunctions", unit.unscheduled);
    });
  }
}

void KernelSet::ScheduleAll(const Target& target, int threads, KernelLog& log, const Done& done) {
  std::atomic<size_t> count{0};
  ParallelFor(units_.size(), threads, [&](size_t i) {
    KernelUnit& unit = units_[i];
    if (unit.cached) return;
    log.Unit(i, [&] {
      log.Before(i, "Schedule", unit.unscheduled);
      ScheduleUnit(unit, target);
      log.After(i, "Schedule", unit.scheduled);
    });
    if (done) done(++count);
  });
}

void KernelSet::LowerKernels(const Target& target, int threads, const LowerOptions& range, KernelLog& log,
                             const Done& done) {
  std::atomic<size_t> count{0};
  ParallelFor(units_.size(), threads, [&](size_t i) {
    KernelUnit& unit = units_[i];
    if (unit.cached) return;
    log.Unit(i, [&] { unit.lowered = LowerPrimFunc(unit.scheduled, target, log.Reporting(i, range)); });
    if (done) done(++count);
  });
}

std::vector<ObjectCode> KernelSet::GenerateCode(const std::vector<PrimFunc>& kernels, const Target& target,
                                                int threads) {
  std::unordered_set<const PrimFuncNode*> wanted;
  for (const PrimFunc& kernel : kernels) wanted.insert(kernel.get());
  std::vector<KernelUnit*> launched;
  for (KernelUnit& unit : units_) {
    const auto& launches = unit.lowered.launches;
    if (std::ranges::any_of(launches, [&](auto& l) { return wanted.contains(l.kernel.get()); }))
      launched.push_back(&unit);
  }
  ParallelFor(launched.size(), threads, [&](size_t i) {
    KernelUnit& unit = *launched[i];
    if (!unit.code.bytes.empty()) return;
    unit.code = unit.cached ? CodeAnew(unit, target) : CodeOf(unit.lowered, target);
    unit.code_is_new = true;
  });
  std::vector<ObjectCode> objects;
  for (const KernelUnit* unit : launched) objects.push_back(unit->code);
  return objects;
}

}  // namespace tilewright
