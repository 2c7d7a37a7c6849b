// SPDX-License-Identifier: Apache-2.0
// The phases of a compilation, and the passes that they are made of. Compilation can stop after any of them
// and print (`--stop-after`).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tilewright {

// The one list, in order: name in the code, name for users, what holds afterwards.
#define TW_PHASES(X)                                                                                    \
  X(Import, "import", "the model's graph, weights as parameters")                                       \
  X(Bind, "bind", "parameters are constants")                                                           \
  X(Simplify, "simplify", "batch normalisation is folded, constants are computed, nothing is dead")     \
  X(Layout, "layout", "every value has its memory layout")                                              \
  X(Fuse, "fuse", "operators are grouped into kernels")                                                 \
  X(Lower, "lower", "every group is a kernel-level function, not yet scheduled")                        \
  X(Schedule, "schedule", "every kernel is scheduled")                                                  \
  X(LowerKernels, "lower-kernels", "kernels are flat loops over vectors, as code generators read them") \
  X(Codegen, "codegen", "machine code")                                                                 \
  X(Package, "package", "a module: program, parameters and code")

enum class Phase {
#define TW_PHASE(id, name, doc) k##id,
  TW_PHASES(TW_PHASE)
#undef TW_PHASE
};

std::string_view PhaseName(Phase phase);
std::string_view PhaseDoc(Phase phase);
std::optional<Phase> FindPhase(std::string_view name);
std::vector<Phase> AllPhases();

/// A pass, and the phase that it is part of. One that runs again has a number from the second time on.
struct PassInfo {
  std::string name;
  Phase phase;
};
/// All passes that leave IR or code behind, in order.
const std::vector<PassInfo>& AllPasses();
/// Null when there is no pass of that name.
const PassInfo* FindPass(std::string_view name);
/// The pass behind the last of a phase, or behind a pass; empty when there is none.
std::string PassAfter(Phase phase);
std::string PassAfter(std::string_view pass);
/// What `--stop-after` and `--print-after` take: names of phases, then of passes.
std::vector<std::string> PhaseAndPassNames();

}  // namespace tilewright
