// SPDX-License-Identifier: Apache-2.0
#include "tilewright/tir/lower/lower.h"

#include "tilewright/tir/lower/bind_threads.h"
#include "tilewright/tir/lower/compact_buffers.h"
#include "tilewright/tir/lower/contract_fma.h"
#include "tilewright/tir/lower/expand_math.h"
#include "tilewright/tir/lower/flatten_buffers.h"
#include "tilewright/tir/lower/insert_barriers.h"
#include "tilewright/tir/lower/insert_tokens.h"
#include "tilewright/tir/lower/interleave_threads.h"
#include "tilewright/tir/lower/lower_blocks.h"
#include "tilewright/tir/lower/partition_loops.h"
#include "tilewright/tir/lower/place_allocations.h"
#include "tilewright/tir/lower/place_workspaces.h"
#include "tilewright/tir/lower/promote_registers.h"
#include "tilewright/tir/lower/share_values.h"
#include "tilewright/tir/lower/simplify.h"
#include "tilewright/tir/lower/split_launches.h"
#include "tilewright/tir/lower/transpose_vectors.h"
#include "tilewright/tir/lower/unroll_loops.h"
#include "tilewright/tir/lower/vectorize_loops.h"

namespace tilewright {

namespace {

/// What a kernel may put on the stack of a pool's thread, in bytes.
constexpr int64_t kStackBytes = 32 * 1024;

struct KernelPass {
  std::string_view name;
  PrimFunc (*run)(const PrimFunc&, const Target&);
};

template <PrimFunc (*pass)(const PrimFunc&)>
PrimFunc ForAnyTarget(const PrimFunc& f, const Target&) {
  return pass(f);
}

constexpr KernelPass kBeforeSplit[] = {
    {"PlaceAllocations", PlaceAllocations},
    {"LowerBlocks", ForAnyTarget<LowerBlocks>},
    {"SimplifyFunc", ForAnyTarget<SimplifyFunc>},
    {"PartitionLoops", ForAnyTarget<PartitionLoops>},
    // Boxes are taken while indices are multi-dimensional and loops whole.
    {"CompactBuffers", CompactBuffers},
    {"SimplifyFunc.2", ForAnyTarget<SimplifyFunc>},
    // What threads share is told by their loops, before these are divided between host and device.
    {"InterleaveThreads", ForAnyTarget<InterleaveThreads>},
    {"BindThreads", BindThreads},
    {"InsertBarriers", InsertBarriers},
    {"InsertTokens", InsertTokens},
};

// Launches are cut before anything is vectorized or promoted, so that no register value crosses a cut.
constexpr std::string_view kSplit = "SplitLaunches";

constexpr KernelPass kAfterSplit[] = {
    {"FlattenBuffers", ForAnyTarget<FlattenBuffers>},
    // Vectorizing looks for ramps, which divisions by tile sizes hide until they are simplified.
    {"SimplifyFunc.3", ForAnyTarget<SimplifyFunc>},
    {"VectorizeLoops", VectorizeLoops},
    {"TransposeVectors", TransposeVectors},
    {"UnrollLoops", ForAnyTarget<UnrollLoops>},
    // Each copy of an unrolled body has constants of its own: register indices and conditions become
    // constants.
    {"SimplifyFunc.4", ForAnyTarget<SimplifyFunc>},
    {"ExpandMath", ExpandMath},
    {"ContractFma", [](const PrimFunc& f, const Target& t) { return t.has_fma ? ContractFma(f) : f; }},
    {"PromoteRegisters", ForAnyTarget<PromoteRegisters>},
    // Last, for whatever the passes before duplicated is shared here.
    {"ShareValues", ForAnyTarget<ShareValues>},
};

constexpr std::string_view kWorkspaces = "PlaceWorkspaces";

/// A kernel that was split off earlier, as the launch that it was.
KernelLaunch LaunchOf(const PrimFunc& kernel) {
  auto* loop = kernel->body.As<ForNode>();
  KernelLaunch launch{kernel, 1, kernel->buffers, nullptr, ThreadsOf(kernel->body)};
  if (loop && loop->for_kind == ForKind::kParallel) launch.num_chunks = loop->extent;
  auto it = kernel->attrs.find("workspace_bytes");
  if (it != kernel->attrs.end()) launch.workspace_bytes = std::get<Expr>(it->second);
  return launch;
}

/// The straight line, or the part of it that is asked for.
class Lowering {
 public:
  Lowering(const Target& target, const LowerOptions& options) : target_(target), options_(options) {
    const std::vector<std::string> names = LoweringPasses();
    auto place = [&](const std::string& name) {
      const auto it = std::find(names.begin(), names.end(), name);
      TW_CHECK(it != names.end(), "no lowering pass {}", name);
      return it - names.begin();
    };
    if (!options.start_at.empty()) first_ = place(options.start_at);
    last_ = options.stop_after.empty() ? std::ssize(names) - 1 : place(options.stop_after);
  }

  LoweredKernels Run(PrimFunc f) {
    for (const KernelPass& pass : kBeforeSplit) Apply(pass, f);
    LoweredKernels result;
    if (Enter(kSplit, f)) {
      result = SplitLaunches(f);
      for (const KernelLaunch& launch : result.launches) Leave(kSplit, launch.kernel);
    } else {
      result.launches.push_back(LaunchOf(f));
    }
    const std::ptrdiff_t behind_split = at_;
    for (KernelLaunch& launch : result.launches) {
      at_ = behind_split;
      for (const KernelPass& pass : kAfterSplit) Apply(pass, launch.kernel);
      if (!Enter(kWorkspaces, launch.kernel)) continue;
      if (launch.threads.empty()) PlaceWorkspaces(launch, kStackBytes);
      Leave(kWorkspaces, launch.kernel);
    }
    return result;
  }

 private:
  /// Whether the pass at this place of the line is to run.
  bool Enter(std::string_view name, const PrimFunc& f) {
    const std::ptrdiff_t place = at_++;
    if (place < first_ || place > last_) return false;
    if (options_.before) options_.before(name, f);
    return true;
  }
  void Leave(std::string_view name, const PrimFunc& f) {
    if (options_.after) options_.after(name, f);
  }
  void Apply(const KernelPass& pass, PrimFunc& f) {
    if (!Enter(pass.name, f)) return;
    f = pass.run(f, target_);
    Leave(pass.name, f);
  }

  const Target& target_;
  const LowerOptions& options_;
  std::ptrdiff_t first_ = 0, last_ = 0, at_ = 0;
};

}  // namespace

LoweredKernels LowerPrimFunc(const PrimFunc& scheduled, const Target& target, const LowerOptions& options) {
  return Lowering(target, options).Run(scheduled);
}

std::vector<std::string> LoweringPasses() {
  std::vector<std::string> names;
  for (const KernelPass& pass : kBeforeSplit) names.emplace_back(pass.name);
  names.emplace_back(kSplit);
  for (const KernelPass& pass : kAfterSplit) names.emplace_back(pass.name);
  names.emplace_back(kWorkspaces);
  return names;
}

bool TakesLoweredKernels(std::string_view pass) {
  const std::vector<std::string> names = LoweringPasses();
  const auto place = std::find(names.begin(), names.end(), pass);
  return place != names.end() && place > std::find(names.begin(), names.end(), "LowerBlocks");
}

}  // namespace tilewright
