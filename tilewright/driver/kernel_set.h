// SPDX-License-Identifier: Apache-2.0
// The distinct kernels of a model: fused functions that are alike up to names are compiled once.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "tilewright/codegen/llvm/codegen.h"
#include "tilewright/driver/kernel_cache.h"
#include "tilewright/driver/kernel_log.h"
#include "tilewright/graph/graph.h"
#include "tilewright/schedule/rules/explanation.h"
#include "tilewright/schedule/schedule.h"
#include "tilewright/target/target.h"
#include "tilewright/tir/lower/lower.h"

namespace tilewright {

/// A fused function on its way to machine code.
struct KernelUnit {
  GraphFunction graph;
  std::vector<bool> constant_args;  ///< which arguments are constants, the same in every call
  std::string operators;            ///< "Conv+Relu"
  Expr flops = 0;                   ///< of the direct algorithms
  PrimFunc unscheduled;
  PrimFunc scheduled;
  Trace trace;
  std::vector<Schedule::Prepare> prepare;  ///< of constant arguments
  std::vector<bool> in_place;              ///< of `scheduled` (driver/in_place.h)
  LoweredKernels lowered;
  ObjectCode code;  ///< of the kernels of `lowered`, by LLVM
  /// Whether the unit came from the kernel cache: then `unscheduled` and `trace` are empty, bodies of
  /// `scheduled` and of the kernels hold nothing, and `code` may be there already.
  bool cached = false;
  /// What was decided for it so far, where somebody asks; scheduling goes on with it.
  std::optional<Explanation> explanation;
  bool code_is_new = false;  ///< whether `code` did not come from there
};

class KernelSet {
 public:
  /// Adds a function, or finds one like it. Returns the unit's index. The unit's name tells its operators,
  /// and is the same in every model.
  size_t Add(const GraphFunction& f, std::vector<bool> constant_args);
  const std::vector<KernelUnit>& units() const { return units_; }
  /// Asks for an explanation of a unit, which begins with this one.
  void Explain(size_t unit, Explanation explanation) { units_[unit].explanation = std::move(explanation); }

  /// Adds a kernel-level function, which takes its unit's place at every stage.
  size_t AddKernel(const PrimFunc& f, std::vector<bool> constant_args);

  /// Takes what it can from a cache; the steps below leave these units alone.
  void LoadCached(const KernelCache& cache, const Target& target, int threads);
  /// Stores what did not come from there. Before: all steps have run.
  void StoreCached(const KernelCache& cache, const Target& target, int threads) const;

  // Each tells `log` what it does, and `done` how many units it has done.
  using Done = std::function<void(size_t)>;

  /// Kernel-level functions of all units.
  void LowerFunctions(KernelLog& log);
  void ScheduleAll(const Target& target, int threads, KernelLog& log, const Done& done);
  /// Lowers all scheduled units, by the passes of `range`.
  void LowerKernels(const Target& target, int threads, const LowerOptions& range, KernelLog& log,
                    const Done& done);
  /// Machine code of the units that have one of these kernels, an object each; their order, and what is in
  /// them, depends on neither the number of threads nor the cache.
  std::vector<ObjectCode> GenerateCode(const std::vector<PrimFunc>& kernels, const Target& target,
                                       int threads);

 private:
  std::vector<KernelUnit> units_;
  std::unordered_map<std::string, size_t> by_text_;
  std::unordered_set<std::string> names_;
};

/// A fused function as text in which all names are by position: equal texts mean equal kernels.
std::string CanonicalText(const GraphFunction& f, const std::vector<bool>& constant_args);

/// Calls `work(i)` for i in [0, n) on `threads` threads. When some throw, the rest is not begun, and the
/// exception of the smallest i is thrown again after all have ended.
void ParallelFor(size_t n, int threads, const std::function<void(size_t)>& work);

}  // namespace tilewright
