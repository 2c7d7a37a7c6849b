// SPDX-License-Identifier: Apache-2.0
#include "tilewright/driver/prepare_constants.h"

#include <cstring>

#include "tilewright/codegen/llvm/jit.h"
#include "tilewright/runtime/kernel_abi.h"
#include "tilewright/schedule/rules/rules.h"
#include "tilewright/tir/compare.h"

namespace tilewright {

namespace {

/// The distinct prepare functions, scheduled and lowered; many layers share one.
struct PrepareKernels {
  std::vector<LoweredKernels> lowered;
  std::unordered_map<const PrimFuncNode*, size_t> index;
};

PrepareKernels LowerPrepares(const std::vector<PreparedConstant>& constants, const Target& target) {
  PrepareKernels kernels;
  std::unordered_multimap<uint64_t, std::pair<PrimFunc, size_t>> known;
  for (const PreparedConstant& c : constants) {
    if (!c.prepare || kernels.index.contains(c.prepare.get())) continue;
    const uint64_t hash = StructuralHash(c.prepare);
    auto [begin, end] = known.equal_range(hash);
    auto same = std::find_if(begin, end, [&](auto& k) { return StructuralEqual(k.second.first, c.prepare); });
    if (same != end) {
      kernels.index[c.prepare.get()] = same->second.second;
      continue;
    }
    PrimFuncNode named = *c.prepare.get();
    named.name = fmt::format("prepare{}", kernels.lowered.size());
    PrimFunc f(std::move(named));
    Schedule schedule(f);
    ApplyRules(schedule, {target, std::vector<bool>(f->buffers.size(), false)});
    known.emplace(hash, std::pair(c.prepare, kernels.lowered.size()));
    kernels.index[c.prepare.get()] = kernels.lowered.size();
    kernels.lowered.push_back(LowerPrimFunc(schedule.func(), target));
  }
  return kernels;
}

/// Runs all launches of a prepare function from `source` into `destination`.
void RunPrepare(const LoweredKernels& kernels, const JitModule& code, const PrimFunc& prepare,
                const void* source, void* destination) {
  TW_CHECK(kernels.workspaces.empty(), "prepare function {} needs a workspace", prepare.name());
  for (const KernelLaunch& launch : kernels.launches) {
    TW_CHECK(!launch.workspace_bytes, "prepare function {} needs private memory", prepare.name());
    std::vector<void*> buffers;
    for (size_t i = 0; i < launch.args.size(); ++i) {
      const bool written = i + size_t(launch.kernel->num_outputs) >= launch.args.size();
      buffers.push_back(written ? destination : const_cast<void*>(source));
    }
    auto function = reinterpret_cast<tw_kernel>(code.Find(launch.kernel.name()));
    function(buffers.data(), nullptr, 0, AsInt(launch.num_chunks).value(), nullptr);
  }
}

}  // namespace

NDArray PrepareConstants(const std::vector<PreparedConstant>& constants, int64_t parameter_bytes,
                         int threads) {
  // Preparation happens here and now, so its code is for this machine, whatever the model is compiled for.
  const Target host = Target::Host();
  PrepareKernels kernels = LowerPrepares(constants, host);
  std::vector<PrimFunc> functions;
  for (const LoweredKernels& k : kernels.lowered) {
    for (const KernelLaunch& launch : k.launches) functions.push_back(launch.kernel);
  }
  std::optional<JitModule> code;
  if (!functions.empty()) {
    std::vector<ObjectCode> objects = CompileKernelGroups(functions, host, {.threads = threads});
    code = JitModule::Load(objects);
  }
  NDArray blob = NDArray::Empty(kU8, {parameter_bytes});
  char* base = static_cast<char*>(blob.mutable_data());
  ParallelFor(constants.size(), threads, [&](size_t i) {
    const PreparedConstant& c = constants[i];
    if (c.prepare) {
      // Kernels rely on the alignment of memory of ours; data in a model file have what the file gives.
      const bool aligned = reinterpret_cast<uintptr_t>(c.source.data()) % TW_MEMORY_ALIGNMENT == 0;
      const NDArray source = aligned ? c.source : c.source.Copy();
      RunPrepare(kernels.lowered[kernels.index.at(c.prepare.get())], *code, c.prepare, source.data(),
                 base + c.offset);
    } else {
      TW_CHECK(c.source.bytes() == c.bytes, "constant of {} bytes where {} are read", c.source.bytes(),
               c.bytes);
      std::memcpy(base + c.offset, c.source.data(), size_t(c.bytes));
    }
    // The gap up to the next constant is part of the module and must not hold what memory held before.
    const int64_t end = i + 1 < constants.size() ? constants[i + 1].offset : parameter_bytes;
    std::memset(base + c.offset + c.bytes, 0, size_t(end - c.offset - c.bytes));
  });
  return blob;
}

}  // namespace tilewright
